import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn_photographs import drawn_face
from PIL import Image
from scipy import ndimage

from avlgan_jax.editing import photograph
from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop, detectors, procedural, warp
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.procedural import named
from avlgan_jax.models.networks import image_to_uint8

R = 48


@pytest.fixture(scope="module")
def detector():
    return detectors.create("dlib")


@pytest.fixture(scope="module")
def two_people():
    """Return a photograph of two people side by side, and the landmarks of the one at the right."""
    left, right = drawn_face(1), drawn_face(2)
    return np.hstack([left.image, right.image]), right.landmarks + np.array([224, 0])


def test_faces_are_cropped_as_for_training_from_left_to_right(detector, two_people):
    photo, truth = two_people
    faces = photograph.faces(photo, detector, R, "two.png")
    assert len(faces) == 2 and faces[0].square.left < faces[1].square.left
    face = faces[1]
    np.testing.assert_array_equal(face.image, crop.crop_square(photo, face.square, R))
    in_photograph = face.square.to_photograph(face.landmarks, R)
    assert np.linalg.norm(in_photograph - truth, axis=-1).mean() < 8.0


def test_a_photograph_without_a_face_and_a_rotated_face_have_different_errors(detector):
    with pytest.raises(UserError, match=r"wall.png \(200 x 150 pixels\): dlib found no face"):
        photograph.faces(np.full((150, 200, 3), 128, np.uint8), detector, R, "wall.png")
    upright = np.asarray(Image.fromarray(drawn_face(1).image))
    with pytest.raises(UserError, match="rotation by 90 degrees clockwise"):
        photograph.faces(np.ascontiguousarray(np.rot90(upright, 1)), detector, R, "sideways.png")


def test_3d_landmarks_are_cropped_with_the_square_of_the_2d_landmarks(detector, two_people):
    class DetectorWithDepth:
        name = "with_depth"

        def detect(self, images):
            (found,) = detector.detect(images)
            depth = [np.concatenate([face.landmarks + 1.0, np.full((68, 1), 8.0)], axis=1) for face in found]
            return [[dataclasses.replace(f, landmarks_3d=d) for f, d in zip(found, depth, strict=True)]]

    with_2d, with_3d = (
        photograph.faces(two_people[0], DetectorWithDepth(), R, "two.png", dimensions)[1] for dimensions in (2, 3)
    )
    assert with_3d.square == with_2d.square and with_3d.landmarks.shape == (68, 3)
    scale = R / with_3d.square.side
    np.testing.assert_allclose(with_3d.landmarks[:, :2], with_2d.landmarks + scale, atol=1e-3)
    np.testing.assert_allclose(with_3d.landmarks[:, 2], 8.0 * scale, rtol=1e-5)
    with pytest.raises(UserError, match="3-D landmarks, which dlib does not detect; use --landmarks fan3d"):
        photograph.faces(two_people[0], detector, R, "two.png", 3)


def test_blending_an_unchanged_face_does_not_change_the_photograph(detector, two_people):
    photo, _ = two_people
    face = photograph.faces(photo, detector, R, "two.png")[1]
    np.testing.assert_array_equal(photograph.blend(photo, face, face.image), photo)


def test_a_blend_has_full_weight_in_the_middle_and_no_seam(detector, two_people):
    photo, _ = two_people
    face = photograph.faces(photo, detector, R, "two.png")[1]
    brighter = face.image.astype(int) + 20
    face = photograph.FaceCrop((brighter - 20).clip(0, 235).astype(np.uint8), face.landmarks, face.square)
    change = photograph.blend(photo, face, face.image + np.uint8(20)).astype(int) - photo
    square = face.square
    middle = np.array([square.top + square.side / 2, square.left + square.side / 2]).astype(int)
    assert change[middle[0], middle[1]].max() == 20
    outside = np.ones(photo.shape[:2], bool)
    top, left, side = (int(v) for v in (square.top, square.left, np.ceil(square.side)))
    outside[top : top + side + 2, left : left + side + 2] = False
    assert not change[outside].any()
    # The change differs little between neighbouring pixels. Saturated pixels, which cannot get brighter, are excluded.
    unsaturated = (photo < 230).all(axis=-1)
    jumps = np.abs(np.diff(change[..., 0], axis=1))[unsaturated[:, 1:] & unsaturated[:, :-1]]
    assert jumps.max() <= 2


def test_drawn_faces_have_names():
    image, landmarks = named.draw_by_name("procedural:3")
    np.testing.assert_array_equal(named.draw_by_name("procedural:3", dimensions=3)[1][:, :2], landmarks)
    assert image.shape == (256, 256, 3) and landmarks.shape == (68, 2)
    assert (named.draw_by_name("procedural-infant:3")[0] != image).any()
    assert named.draw_by_name("me.jpg") is None
    with pytest.raises(UserError, match="procedural:x: expected a number"):
        named.draw_by_name("procedural:x")
    face = photograph.uncropped_face(image, landmarks, R)
    assert face.image.shape == (R, R, 3) and np.allclose(face.landmarks, landmarks * R / 256, atol=1e-3)


def surprised_at_native_size():
    """Return a drawn face at 256 px, its crop of 64 px, the landmarks of its surprise in the crop, and the true one."""
    person = procedural.sample_face(5, 3, 0, False)
    calm, surprised = (procedural.render(person, *emotion, 256) for emotion in ((0.0, 0.0), (0.2, 0.8)))
    face = photograph.uncropped_face(calm.image, calm.landmarks, 64)
    return calm.image, face, face.square.to_crop(surprised.landmarks, 64), surprised.image


def test_a_warp_moves_the_photographs_own_pixels():
    photo, face, moved, truth = surprised_at_native_size()
    points = [jnp.asarray(lm.normalise(p, 64)) for p in (face.landmarks, moved)]

    def warped(image, fine=False):
        side = len(image)
        flow = jax.jit(warp.fit, static_argnums=2)(*points, fine)
        shift = warp.displacement(flow, warp.pixel_centres(side, side)).reshape(side, side, 2)
        return np.asarray(image_to_uint8(warp.sample(jnp.asarray(image, jnp.float32) / 127.5 - 1.0, shift)))

    found = photograph.blend(photo, face, warped(face.image), moved)  # a network that paints nothing
    enlarged = photograph.blend(photo, face, warped(face.image))
    # The inside of a mouth that opens is drawn.
    lips = face.square.to_photograph(moved[48:60], 64)
    rows, columns = (slice(int(lips[:, axis].min()), int(lips[:, axis].max()) + 2) for axis in (1, 0))
    errors = [np.abs(made.astype(int) - warped(photo, fine=True)) for made in (found, enlarged)]
    for error in errors:
        error[rows, columns] = 0
    near, far = (error.mean() for error in errors)
    assert near < 0.3 and near < 0.2 * far
    before, after = (np.square(made.astype(float) - truth).mean() for made in (photo, found))
    assert after < 0.8 * before
    flow = warp.fit(*points)
    background = np.asarray(warp.face(flow, warp.pixel_centres(256, 256))).reshape(256, 256) == 0.0
    inner = ndimage.binary_erosion(background, iterations=6)  # the flow is interpolated between points of a grid
    assert inner.mean() > 0.2
    np.testing.assert_array_equal(found[inner], photo[inner])


def test_equal_landmarks_and_nothing_painted_give_the_photograph_back():
    photo, face, _, _ = surprised_at_native_size()
    np.testing.assert_array_equal(photograph.blend(photo, face, face.image, face.landmarks), photo)


def test_paint_is_added_in_mouth_and_eyes_only_and_in_eyes_without_colour():
    photo, face, _, _ = surprised_at_native_size()
    colour = np.array([30, -30, 60])
    edited = np.clip(face.image.astype(int) + colour, 0, 255).astype(np.uint8)
    found = photograph.blend(photo, face, edited, face.landmarks).astype(int) - photo
    points = face.square.to_photograph(face.landmarks, len(face.image))

    def at(*indices):
        x, y = np.rint(points[list(indices)].mean(axis=0)).astype(int)
        return found[y, x]

    for place in (at(8), at(29), at(1), at(15)):  # chin, nose, both cheeks
        np.testing.assert_array_equal(place, 0)
    brightness = colour @ photograph._BRIGHTNESS
    for eye in (at(*range(36, 42)), at(*range(42, 48))):
        np.testing.assert_allclose(eye, brightness, atol=4)  # the crop's edges are not the photograph's
    np.testing.assert_allclose(at(*range(60, 68)), brightness + 0.5 * (colour - brightness), atol=6)


def test_what_has_opened_shows_nothing_of_the_stretched_lips_nor_of_what_the_networks_painted():
    photo, face, moved, _ = surprised_at_native_size()
    # Lips with lines, which a warp stretches over the opened mouth.
    striped = photo.copy()
    rows = np.arange(256) % 4 < 2
    striped[rows] = np.clip(striped[rows].astype(int) + 60, 0, 255)
    lit = dataclasses.replace(face, light=np.ones(3, np.float32))
    green = np.full((64, 64, 3), (20, 200, 20), np.uint8)
    points = face.square.to_photograph(moved, 64)
    x, y = np.rint(points[[61, 62, 63, 65, 66, 67]].mean(axis=0)).astype(int)
    inside = [
        photograph.blend(*inputs, moved)[y - 2 : y + 3, x - 2 : x + 3].astype(int)
        for inputs in ((striped, lit, green), (photo, lit, face.image))
    ]
    np.testing.assert_allclose(*inside, atol=1)


def test_an_infants_mouth_has_gums():
    photo, face, moved, _ = surprised_at_native_size()
    adult, infant = (
        photograph.blend(photo, dataclasses.replace(face, infant=infant), face.image, moved) for infant in (False, True)
    )
    x, y = np.rint(face.square.to_photograph(moved, 64)[62]).astype(int)
    (red, green, _), tooth = infant[y + 3, x].astype(int), adult[y + 3, x].astype(int)
    assert red > 1.4 * green and tooth[1] > 1.4 * green

"""An edited face is put back into its photograph."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn_photographs import drawn_pair
from scipy import ndimage

from avlgan_jax.faces import detectors, procedural, warp
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.models.networks import image_to_uint8
from avlgan_jax.photographs import blending, cropping, toning

R = 48


@pytest.fixture(scope="module")
def detector():
    return detectors.create("dlib")


@pytest.fixture(scope="module")
def two_people():
    return drawn_pair()


def test_blending_an_unchanged_face_does_not_change_the_photograph(detector, two_people):
    photo, _ = two_people
    face = cropping.faces(photo, detector, R, "two.png")[1]
    np.testing.assert_array_equal(blending.blend(photo, face, face.image), photo)


def test_a_blend_has_full_weight_in_the_middle_and_no_seam(detector, two_people):
    photo, _ = two_people
    face = cropping.faces(photo, detector, R, "two.png")[1]
    brighter = face.image.astype(int) + 20
    face = cropping.FaceCrop((brighter - 20).clip(0, 235).astype(np.uint8), face.landmarks, face.square)
    change = blending.blend(photo, face, face.image + np.uint8(20)).astype(int) - photo
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


def surprised_at_native_size():
    """Return a drawn face at 256 px, its crop of 64 px, the landmarks of its surprise in the crop, and the true one."""
    person = procedural.sample_face(5, 3, 0, False)
    calm, surprised = (procedural.render(person, *emotion, 256) for emotion in ((0.0, 0.0), (0.2, 0.8)))
    face = cropping.uncropped_face(calm.image, calm.landmarks, 64)
    return calm.image, face, face.square.to_crop(surprised.landmarks, 64), surprised.image


def test_a_warp_moves_the_photographs_own_pixels():
    photo, face, moved, truth = surprised_at_native_size()
    points = [jnp.asarray(lm.normalise(p, 64)) for p in (face.landmarks, moved)]

    def warped(image, fine=False):
        side = len(image)
        flow = jax.jit(warp.fit, static_argnums=2)(*points, fine)
        shift = warp.displacement(flow, warp.pixel_centres(side, side)).reshape(side, side, 2)
        return np.asarray(image_to_uint8(warp.sample(jnp.asarray(image, jnp.float32) / 127.5 - 1.0, shift)))

    found = blending.blend(photo, face, warped(face.image), moved)  # a network that paints nothing
    enlarged = blending.blend(photo, face, warped(face.image))
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
    np.testing.assert_array_equal(blending.blend(photo, face, face.image, face.landmarks), photo)


def test_paint_is_added_in_mouth_and_eyes_only_and_in_eyes_without_colour():
    photo, face, _, _ = surprised_at_native_size()
    colour = np.array([30, -30, 60])
    edited = np.clip(face.image.astype(int) + colour, 0, 255).astype(np.uint8)
    found = blending.blend(photo, face, edited, face.landmarks).astype(int) - photo
    points = face.square.to_photograph(face.landmarks, len(face.image))

    def at(*indices):
        x, y = np.rint(points[list(indices)].mean(axis=0)).astype(int)
        return found[y, x]

    for place in (at(8), at(29), at(1), at(15)):  # chin, nose, both cheeks
        np.testing.assert_array_equal(place, 0)
    brightness = colour @ toning.BRIGHTNESS
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
        blending.blend(*inputs, moved)[y - 2 : y + 3, x - 2 : x + 3].astype(int)
        for inputs in ((striped, lit, green), (photo, lit, face.image))
    ]
    np.testing.assert_allclose(*inside, atol=1)


def test_an_infants_mouth_has_gums():
    photo, face, moved, _ = surprised_at_native_size()
    adult, infant = (
        blending.blend(photo, dataclasses.replace(face, infant=infant), face.image, moved) for infant in (False, True)
    )
    x, y = np.rint(face.square.to_photograph(moved, 64)[62]).astype(int)
    (red, green, _), tooth = infant[y + 3, x].astype(int), adult[y + 3, x].astype(int)
    assert red > 1.4 * green and tooth[1] > 1.4 * green

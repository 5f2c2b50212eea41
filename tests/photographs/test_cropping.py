import dataclasses

import numpy as np
import pytest
from drawn_photographs import drawn_face, drawn_pair
from PIL import Image

from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop, detectors
from avlgan_jax.faces.procedural import named
from avlgan_jax.photographs import cropping

R = 48


@pytest.fixture(scope="module")
def detector():
    return detectors.create("dlib")


@pytest.fixture(scope="module")
def two_people():
    return drawn_pair()


def test_faces_are_cropped_as_for_training_from_left_to_right(detector, two_people):
    photo, truth = two_people
    faces = cropping.faces(photo, detector, R, "two.png")
    assert len(faces) == 2 and faces[0].square.left < faces[1].square.left
    face = faces[1]
    np.testing.assert_array_equal(face.image, crop.crop_square(photo, face.square, R))
    in_photograph = face.square.to_photograph(face.landmarks, R)
    assert np.linalg.norm(in_photograph - truth, axis=-1).mean() < 8.0


def test_a_photograph_without_a_face_and_a_rotated_face_have_different_errors(detector):
    with pytest.raises(UserError, match=r"wall.png \(200 x 150 pixels\): dlib found no face"):
        cropping.faces(np.full((150, 200, 3), 128, np.uint8), detector, R, "wall.png")
    upright = np.asarray(Image.fromarray(drawn_face(1).image))
    with pytest.raises(UserError, match="rotation by 90 degrees clockwise"):
        cropping.faces(np.ascontiguousarray(np.rot90(upright, 1)), detector, R, "sideways.png")


def test_3d_landmarks_are_cropped_with_the_square_of_the_2d_landmarks(detector, two_people):
    class DetectorWithDepth:
        name = "with_depth"

        def detect(self, images):
            (found,) = detector.detect(images)
            depth = [np.concatenate([face.landmarks + 1.0, np.full((68, 1), 8.0)], axis=1) for face in found]
            return [[dataclasses.replace(f, landmarks_3d=d) for f, d in zip(found, depth, strict=True)]]

    with_2d, with_3d = (
        cropping.faces(two_people[0], DetectorWithDepth(), R, "two.png", dimensions)[1] for dimensions in (2, 3)
    )
    assert with_3d.square == with_2d.square and with_3d.landmarks.shape == (68, 3)
    scale = R / with_3d.square.side
    np.testing.assert_allclose(with_3d.landmarks[:, :2], with_2d.landmarks + scale, atol=1e-3)
    np.testing.assert_allclose(with_3d.landmarks[:, 2], 8.0 * scale, rtol=1e-5)
    with pytest.raises(UserError, match="3-D landmarks, which dlib does not detect; use --landmarks fan3d"):
        cropping.faces(two_people[0], detector, R, "two.png", 3)


def test_drawn_faces_have_names():
    image, landmarks = named.draw_by_name("procedural:3")
    np.testing.assert_array_equal(named.draw_by_name("procedural:3", dimensions=3)[1][:, :2], landmarks)
    assert image.shape == (256, 256, 3) and landmarks.shape == (68, 2)
    assert (named.draw_by_name("procedural-infant:3")[0] != image).any()
    assert named.draw_by_name("me.jpg") is None
    with pytest.raises(UserError, match="procedural:x: expected a number"):
        named.draw_by_name("procedural:x")
    face = cropping.uncropped_face(image, landmarks, R)
    assert face.image.shape == (R, R, 3) and np.allclose(face.landmarks, landmarks * R / 256, atol=1e-3)

"""Section IV-C frame for frame, on models whose answers are known."""

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation.experiments.transfer import MOMENTS, choose_moments
from avlgan_jax.models import transfer


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(4, seed=6)


def test_what_the_discriminator_overshoots_comes_back_to_the_disc(faces):
    models = oracle.oracle(faces)
    models.read_emotions = lambda images: np.array([[0.3, -0.4], [1.2, 1.6], [-2.0, 0.0]], np.float32)
    np.testing.assert_allclose(
        transfer.read_emotions_in_disc(models, faces.images[:3]), [[0.3, -0.4], [0.6, 0.8], [-1.0, 0.0]]
    )


def test_a_portrait_performs_the_emotions_of_another_face(faces):
    models = oracle.oracle(faces)
    portrait = transfer.Portrait(faces.images[0], faces.landmarks[0])
    emotions = transfer.read_emotions_in_disc(models, faces.images)
    images, landmarks = transfer.perform(models, portrait, emotions)
    keys = np.repeat(faces.extras["face_key"][:1], 4, axis=0)
    for image, points, truth in zip(images, landmarks, oracle.render_all(keys, emotions), strict=True):
        np.testing.assert_array_equal(image, truth[0])
        np.testing.assert_array_equal(points, truth[1])
    np.testing.assert_allclose(models.predict(images), faces.emotions)


def test_a_film_may_be_worked_through_in_pieces(faces):
    models = oracle.oracle(faces)
    portrait = transfer.Portrait(faces.images[1], faces.landmarks[1])
    whole, _ = transfer.perform(models, portrait, faces.emotions)
    pieces = [transfer.perform(models, portrait, faces.emotions[k : k + 3])[0] for k in (0, 3)]
    np.testing.assert_array_equal(whole, np.concatenate(pieces))


def test_the_moments_of_a_dyad():
    time = np.linspace(0.0, 1.0, 101)
    parent = np.where(time < 0.5, 0.8 - time, 0.1)
    infant = np.where(time < 0.7, 0.6 - time, 0.9)
    chosen = choose_moments(parent, infant)
    assert list(chosen) == list(MOMENTS)
    # Best at the start; worst just before the infant's valence jumps at .7; farthest apart once it has.
    assert chosen["both pleased"] == 0
    assert chosen["both displeased"] == 69
    assert chosen["farthest apart"] == 75


def test_a_film_of_one_frame_has_its_moments_too():
    assert set(choose_moments(np.zeros(1), np.ones(1)).values()) == {0}

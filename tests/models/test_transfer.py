"""Emotion transfer of Section IV-C, with models whose outputs are known."""

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation.experiments.transfer import MOMENTS, choose_moments
from avlgan_jax.models import transfer


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(4, seed=6)


def test_predictions_outside_the_disc_are_moved_to_its_edge(faces):
    models = oracle.oracle(faces)
    models.read_emotions = lambda images: np.array([[0.3, -0.4], [1.2, 1.6], [-2.0, 0.0]], np.float32)
    np.testing.assert_allclose(
        transfer.read_emotions_in_disc(models, faces.images[:3]), [[0.3, -0.4], [0.6, 0.8], [-1.0, 0.0]]
    )


def test_a_portrait_is_converted_to_the_emotions_of_another_face(faces):
    models = oracle.oracle(faces)
    portrait = transfer.Portrait(faces.images[0], faces.landmarks[0])
    emotions = transfer.read_emotions_in_disc(models, faces.images)
    images, landmarks = transfer.perform(models, portrait, emotions)
    keys = np.repeat(faces.extras["face_key"][:1], 4, axis=0)
    for image, points, truth in zip(images, landmarks, oracle.render_all(keys, emotions), strict=True):
        np.testing.assert_array_equal(image, truth[0])
        np.testing.assert_array_equal(points, truth[1])
    np.testing.assert_allclose(models.predict(images), faces.emotions)


def test_a_video_can_be_converted_in_pieces(faces):
    models = oracle.oracle(faces)
    portrait = transfer.Portrait(faces.images[1], faces.landmarks[1])
    at_once, _ = transfer.perform(models, portrait, faces.emotions)
    pieces = [transfer.perform(models, portrait, faces.emotions[k : k + 3])[0] for k in (0, 3)]
    np.testing.assert_array_equal(at_once, np.concatenate(pieces))


def test_choose_moments_finds_best_worst_and_most_different_frames():
    time = np.linspace(0.0, 1.0, 101)
    parent = np.where(time < 0.5, 0.8 - time, 0.1)
    infant = np.where(time < 0.7, 0.6 - time, 0.9)
    chosen = choose_moments(parent, infant)
    assert list(chosen) == list(MOMENTS)
    # The sum of the valences is highest at the start and lowest just before the infant's jumps up at 0.7. From 0.7 on
    # the difference is largest; 75 is the first of these frames at the minimum distance from 69.
    assert chosen["both pleased"] == 0
    assert chosen["both displeased"] == 69
    assert chosen["farthest apart"] == 75


def test_choose_moments_of_a_single_frame():
    assert set(choose_moments(np.zeros(1), np.ones(1)).values()) == {0}

"""Ground truth: the same face rendered at another emotion, in one process or several."""

import dataclasses

import numpy as np
import oracle

from avlgan_jax.evaluation import ground_truth


def test_the_ground_truth_at_the_own_emotion_of_a_face_is_the_face():
    faces = oracle.draw_faces(2, seed=5)
    image, landmarks = ground_truth.render(faces.extras["face_key"][1], faces.emotions[1], oracle.RESOLUTION)
    np.testing.assert_array_equal(image, faces.images[1])
    np.testing.assert_array_equal(landmarks, faces.landmarks[1])


def test_several_processes_render_the_same_as_one_and_in_order():
    faces = oracle.draw_faces(6, seed=5)
    with ground_truth.renderer(oracle.RESOLUTION) as render:
        drawn = list(render(faces.extras["face_key"], faces.emotions[::-1]))
    for (image, landmarks), key, emotion in zip(drawn, faces.extras["face_key"], faces.emotions[::-1], strict=True):
        expected, points = ground_truth.render(key, emotion, oracle.RESOLUTION)
        np.testing.assert_array_equal(image, expected)
        np.testing.assert_array_equal(landmarks, points)


def test_a_remembering_renderer_draws_the_same_trials_once():
    calls = []

    def render(keys, emotions):
        for key, emotion in zip(keys, emotions, strict=True):
            calls.append((key.tolist(), emotion.tolist()))
            yield len(calls)

    keys, emotions = np.arange(12).reshape(3, 4), np.array([[0.0, 0.1], [0.2, 0.3], [0.4, 0.5]])
    remembered = ground_truth.remembering(render)
    first = remembered(keys, emotions)
    assert next(first) == 1 and len(calls) == 1  # it draws no more than is taken
    assert list(remembered(keys.copy(), emotions.copy())) == [1, 2, 3]
    assert list(first) == [2, 3] and list(remembered(keys, emotions)) == [1, 2, 3]
    assert len(calls) == 3
    assert list(remembered(keys, emotions + 0.1)) == [4, 5, 6]
    assert list(remembered(keys + 1, emotions)) == [7, 8, 9]


def test_only_stills_of_drawn_faces_have_a_ground_truth():
    faces = oracle.draw_faces(4, seed=5)
    np.testing.assert_array_equal(ground_truth.face_keys(faces), faces.extras["face_key"])
    assert ground_truth.face_keys(oracle.photographs(faces)) is None
    for dyad, known in ((np.full(4, -1), True), (np.arange(4) // 2, False)):
        of_dyads = dataclasses.replace(faces, extras=faces.extras | {"dyad": dyad})
        assert (ground_truth.face_keys(of_dyads) is not None) == known

"""Openness and heights of the parts of faces: by hand, and of models whose scores are known."""

import numpy as np
import oracle

from avlgan_jax.evaluation import trials
from avlgan_jax.evaluation.experiments import shape
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import procedural


def test_measures_of_a_face_by_hand():
    points = np.zeros((1, 68, 2))
    points[0, 36], points[0, 45] = (0.0, 0.0), (10.0, 0.0)  # outer corners: all is over 10
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        points[0, upper], points[0, lower] = (3.0, -1.0), (3.0, 1.0)
    points[0, 62], points[0, 66] = (5.0, 8.0), (5.0, 11.0)
    points[0, 60], points[0, 64] = (3.0, 9.0), (7.0, 9.0)
    points[0, 48:55:6], points[0, 51], points[0, 57] = (5.0, 9.0), (5.0, 7.0), (5.0, 12.0)
    points[0, 17:27] = (5.0, -4.0)
    points[0, 20:24] = (5.0, -5.0)
    found = {name: values[0] for name, values in lm.shape_measures(points).items()}
    brows = (6 * 4.0 + 4 * 5.0) / 10
    expected = {
        "eye_openness": 0.2,
        "mouth_openness": 0.3,
        "mouth_width": 0.4,
        "brow_height": brows / 10,
        "inner_brow_height": 0.5,
        "lip_corner_height": (9.5 - 9.0) / 10,
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-9, err_msg=name)
    # They do not depend on size and place.
    for name, values in lm.shape_measures(3.0 * points + 7.0).items():
        np.testing.assert_allclose(values[0], expected[name], atol=1e-9, err_msg=name)


def test_landmarks_without_a_drawing_are_those_of_the_drawing():
    face = procedural.sample_face(2, 9, 1, True)
    drawn = procedural.render(face, -0.4, 0.7, 48)
    np.testing.assert_array_equal(procedural.landmarks(face, -0.4, 0.7, 48), drawn.landmarks_3d)


def test_a_perfect_converter_correlates_fully_and_doing_nothing_does_not():
    faces, training = oracle.draw_faces(12, 1), oracle.draw_faces(6, 2)
    drawn = trials.draw_trials(faces.emotions, 40, seed=1)
    found = shape.to_metrics(shape.measure(oracle.oracle(faces, training), faces, drawn))
    assert sum(group["trials"] for group in found.values()) == 40
    for group in found.values():
        assert group["nme"]["avlandmarkgan"] < 1e-6 < 0.01 < group["nme"]["do_nothing"]
        for name in lm.shape_measures(faces.landmarks):
            assert group[name]["avlandmarkgan"] > 0.9999 > group[name]["do_nothing"]


def test_photographs_have_no_shape_scores():
    faces, training = oracle.draw_faces(6, 1), oracle.draw_faces(6, 2)
    photographs = oracle.photographs(faces)
    drawn = trials.draw_trials(faces.emotions, 4, seed=1)
    assert shape.to_metrics(shape.measure(oracle.oracle(faces, training), photographs, drawn)) == {}

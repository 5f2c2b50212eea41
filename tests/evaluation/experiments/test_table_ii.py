"""Table II, the eight expressions, with models whose outputs are known."""

import dataclasses

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation.experiments import table_ii
from avlgan_jax.faces.emotions import EXPRESSIONS, TABLE_II


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(8, seed=4)


def test_table_ii_by_hand(faces):
    expressions = np.array([1, 1, 2, 2, 2, 0, 0, 0], np.int32)
    numbers = table_ii.to_metrics(dataclasses.replace(faces, expressions=expressions))
    assert list(numbers) == list(EXPRESSIONS)
    assert numbers["happy"]["count"] == 2
    assert numbers["happy"]["valence"] == pytest.approx(faces.emotions[:2, 0].mean())
    assert numbers["sad"]["arousal"] == pytest.approx(faces.emotions[2:5, 1].mean())
    assert numbers["fear"] == {"count": 0, "valence": None, "arousal": None}
    means = table_ii.means(numbers)
    np.testing.assert_allclose(means[1], faces.emotions[:2].mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(means[4], TABLE_II[4])


def test_table_ii_leaves_out_labels_that_are_absent(faces):
    emotions = faces.emotions.copy()
    emotions[0, 1] = emotions[2:5, 1] = np.nan
    expressions = np.array([1, 1, 2, 2, 2, -1, -1, -1], np.int32)
    numbers = table_ii.to_metrics(dataclasses.replace(faces, expressions=expressions, emotions=emotions))
    assert numbers["happy"]["arousal"] == pytest.approx(emotions[1, 1])
    assert numbers["happy"]["valence"] == pytest.approx(emotions[:2, 0].mean())
    assert (numbers["sad"]["count"], numbers["sad"]["arousal"], numbers["neutral"]["count"]) == (3, None, 0)
    np.testing.assert_array_equal(table_ii.means(numbers)[2], TABLE_II[2])

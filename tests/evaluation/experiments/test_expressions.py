"""Figure 6's expressions with models whose outputs are known."""

import json

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation.experiments import expressions
from avlgan_jax.faces.emotions import EXPRESSIONS, TABLE_II


def test_a_model_that_follows_its_target_is_recognised_and_one_that_does_nothing_is_not():
    faces = oracle.draw_faces(8, seed=4)
    models = oracle.oracle(faces)
    perfect = expressions.measure(models, faces, 0, TABLE_II)
    assert perfect.shape == (4, 8) and perfect.all()
    models.convert = {"avlandmarkgan": models.convert["avgan"]}
    unchanged = expressions.measure(models, faces, 0, TABLE_II)
    np.testing.assert_array_equal(unchanged.sum(axis=1), 1)  # each face is read as one expression, whatever was asked


def test_the_shares_by_hand():
    recognised = np.zeros((4, 8))
    recognised[:, [EXPRESSIONS.index(name) for name in expressions.CLEAR]] = 1.0
    recognised[:2, EXPRESSIONS.index("anger")] = 1.0
    numbers = expressions.to_metrics(recognised, seed=0)
    assert numbers["people"] == 4 and numbers["recognised"]["happy"] == 1.0 and numbers["recognised"]["anger"] == 0.5
    assert numbers["clear"] == [1.0, 1.0, 1.0]
    value, low, high = numbers["harder_by"]
    assert value == pytest.approx(1 - 1 / 6) and low < value < high
    json.dumps(numbers, allow_nan=False)
    assert expressions.to_metrics(recognised[:1], seed=0)["clear"] == [1.0, None, None]

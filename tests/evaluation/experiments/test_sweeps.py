"""Sweeps along the axes of the plane: linearity by hand, and of models whose readings are known."""

import json

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation.experiments import circumplex, sweeps

STEPS = sweeps.STEPS


def test_the_targets_lie_along_the_axes_and_in_the_disc():
    targets = sweeps.targets()
    assert targets.shape == (22, 2) and np.abs(targets).max() == pytest.approx(0.8)
    np.testing.assert_allclose(targets[:11], np.stack([STEPS, 0 * STEPS], axis=-1), atol=1e-6)
    np.testing.assert_allclose(targets[11:], np.stack([0 * STEPS, STEPS], axis=-1), atol=1e-6)


def test_readings_on_a_line_have_the_gain_of_its_slope():
    read = np.stack([0.5 * STEPS + 0.2, 0.7 * STEPS - 0.1])
    assert sweeps.linearity(read) == pytest.approx({"pcc": 1.0, "lowest_pcc": 1.0, "gain": 0.6, "monotone": 1.0})


def test_a_reading_that_never_changes_and_one_that_goes_backwards():
    read = np.stack([np.full(11, 0.3), -STEPS])
    found = sweeps.linearity(read)
    assert found == pytest.approx({"pcc": -0.5, "lowest_pcc": -1.0, "gain": -0.5, "monotone": 0.5})


def test_a_reading_may_waver_and_not_fall():
    wavers, falls, creeps = STEPS.copy(), STEPS.copy(), STEPS.copy()
    wavers[5] = wavers[4] - 0.9 * sweeps.TOLERANCE
    falls[5] = falls[4] - 1.1 * sweeps.TOLERANCE
    # Small falls add up: each is allowed, all together are not.
    creeps[4:7] = creeps[3] - 0.6 * sweeps.TOLERANCE * np.arange(1, 4)
    for read, monotone in ((wavers, 1.0), (falls, 0.0), (creeps, 0.0)):
        assert sweeps.linearity(read[None])["monotone"] == monotone


def test_a_reading_is_taken_along_the_axis_that_is_asked():
    predicted = np.arange(2 * 22 * 2, dtype=np.float32).reshape(44, 2)
    found = sweeps._along_axes(predicted)
    assert found.shape == (2, 2, 11)
    np.testing.assert_array_equal(found[1, 0], predicted[22:33, 0])
    np.testing.assert_array_equal(found[0, 1], predicted[11:22, 1])


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(8, seed=4)


def test_a_perfect_model_follows_and_one_that_changes_nothing_does_not(faces, monkeypatch):
    monkeypatch.setattr(circumplex, "FACES", 1)
    found = sweeps.to_metrics(sweeps.measure(oracle.oracle(faces), faces, 0, oracle.render_all))
    assert found["asked"] == pytest.approx(STEPS.tolist())
    for group in ("adult", "infant"):
        assert found[group]["faces"] == 1
        for axis in ("valence", "arousal"):
            rows = found[group][axis]
            assert list(rows) == ["avlandmarkgan", "avgan", "warp", "truth"]
            assert rows["avlandmarkgan"] == rows["truth"]
            assert rows["truth"] == pytest.approx({"pcc": 1.0, "lowest_pcc": 1.0, "gain": 1.0, "monotone": 1.0})
            assert rows["avgan"] == {"pcc": 0.0, "lowest_pcc": 0.0, "gain": pytest.approx(0.0), "monotone": 1.0}
    json.dumps(found, allow_nan=False)


def test_each_person_is_swept_once_and_a_group_without_faces_is_missing():
    adults = oracle.draw_faces(4, seed=4, infants=False)
    found = sweeps.to_metrics(sweeps.measure(oracle.oracle(adults), adults, 0, oracle.render_all))
    assert set(found) == {"asked", "adult"} and found["adult"]["faces"] == 2


def test_photographs_are_swept_without_a_truth(faces, monkeypatch):
    monkeypatch.setattr(circumplex, "FACES", 1)
    models = oracle.oracle(faces)
    models.convert = {"avlandmarkgan": models.convert["avlandmarkgan"]}
    found = sweeps.to_metrics(sweeps.measure(models, oracle.photographs(faces), 0, None))
    assert list(found["adult"]["valence"]) == ["avlandmarkgan", "warp"]
    json.dumps(found, allow_nan=False)

"""Landmarks and people as dlib sees them, on faces whose landmarks and persons are known."""

import json

import numpy as np
import oracle
import pytest

from avlgan_jax.errors import UserError
from avlgan_jax.evaluation.experiments import fidelity
from avlgan_jax.evaluation.trials import draw_trials

pytest.importorskip("dlib")


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(8, seed=6)


@pytest.fixture(scope="module")
def found(faces):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fidelity, "EVERY", 2)
        trials = draw_trials(faces.emotions, 16, seed=0)
        return fidelity.measure(oracle.oracle(faces), faces, trials)


def test_a_model_that_does_nothing_keeps_the_person(found):
    assert found.identity["avgan"].shape == (8,)
    assert found.identity["avgan"].max() == 0.0


def test_another_person_is_farther_than_the_same_one_with_another_face(found):
    assert found.identity["others"].mean() > 1.3 * found.identity["avlandmarkgan"].mean() > 0.0


def test_the_landmarks_of_the_truth_are_found_about_where_they_are(found):
    assert found.landmark_nme["avlandmarkgan"].mean() < 0.15
    assert found.landmark_nme["real"].mean() < 0.15


def test_the_numbers_are_means_and_fit_into_json(found):
    told = fidelity.to_metrics(found)
    assert told["samples"] == 8
    assert told["identity_distance"]["others"] == pytest.approx(found.identity["others"].mean())
    assert set(told["landmark_nme"]) == {"avlandmarkgan", "real"}
    json.dumps(told, allow_nan=False)


def test_without_dlibs_models_there_is_nothing_to_tell(faces, monkeypatch):
    def missing():
        raise UserError("not installed")

    monkeypatch.setattr(fidelity.predictor, "packaged_model", missing)
    trials = draw_trials(faces.emotions, 4, seed=0)
    assert fidelity.measure(oracle.oracle(faces), faces, trials) is None
    assert fidelity.to_metrics(None) == {"samples": 0, "landmark_nme": None, "identity_distance": None}


def test_the_other_person_is_never_oneself():
    subjects = np.array(["a", "a", "b", "a"])
    assert fidelity._others(subjects).tolist() == [2, 2, 3, 2]
    assert fidelity._others(np.array(["a", "a"])).tolist() == [0, 1]

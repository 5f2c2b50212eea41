"""Landmarks and identities measured with dlib, on faces whose landmarks and identities are known."""

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


def test_an_unchanged_face_has_identity_distance_zero(found):
    assert found.identity["avgan"].shape == (8,)
    assert found.identity["avgan"].max() == 0.0


def test_the_identity_distance_to_another_person_is_larger_than_to_another_emotion(found):
    assert found.identity["others"].mean() > 1.3 * found.identity["avlandmarkgan"].mean() > 0.0


def test_dlib_finds_the_landmarks_of_the_ground_truth(found):
    assert found.landmark_nme["avlandmarkgan"].mean() < 0.15
    assert found.landmark_nme["real"].mean() < 0.15


def test_doing_nothing_is_farther_from_the_converted_landmarks_than_the_ground_truth_is(found):
    assert found.landmark_nme["do_nothing"].mean() > found.landmark_nme["avlandmarkgan"].mean()


def test_where_nothing_is_asked_doing_nothing_has_dlibs_own_error(faces, monkeypatch):
    monkeypatch.setattr(fidelity, "EVERY", 2)
    models = oracle.oracle(faces)
    models.convert_landmarks = lambda landmarks, emotions: landmarks
    found = fidelity.measure(models, faces, draw_trials(faces.emotions, 8, seed=0))
    np.testing.assert_array_equal(found.landmark_nme["do_nothing"], found.landmark_nme["real"])


def test_the_metrics_are_means_and_valid_json(found):
    numbers = fidelity.to_metrics(found)
    assert numbers["samples"] == 8
    assert numbers["identity_distance"]["others"] == pytest.approx(found.identity["others"].mean())
    assert set(numbers["landmark_nme"]) == {"avlandmarkgan", "do_nothing", "real"}
    json.dumps(numbers, allow_nan=False)


def test_without_avgan_the_other_distances_are_the_same(faces, found, monkeypatch):
    monkeypatch.setattr(fidelity, "EVERY", 2)
    trials = draw_trials(faces.emotions, 16, seed=0)
    alone = fidelity.to_metrics(fidelity.measure(oracle.without_avgan(oracle.oracle(faces)), faces, trials))
    assert alone == oracle.leave_out_avgan(fidelity.to_metrics(found))


def test_without_dlibs_models_the_metrics_are_none(faces, monkeypatch):
    def missing():
        raise UserError("not installed")

    monkeypatch.setattr(fidelity.predictor, "packaged_model", missing)
    trials = draw_trials(faces.emotions, 4, seed=0)
    assert fidelity.measure(oracle.oracle(faces), faces, trials) is None
    assert fidelity.to_metrics(None) == {"samples": 0, "landmark_nme": None, "identity_distance": None}


@pytest.mark.parametrize(
    ("wrong", "content", "message"),
    [
        (fidelity.predictor.MODEL, b"another predictor", "has SHA-256 .*, expected fbdc2cb80eb9"),
        (fidelity.predictor.MODEL, None, "is missing; install it with: pip install"),
        (fidelity.DESCRIPTOR, b"another descriptor", "has SHA-256 .*, expected 55533b28a958"),
        (fidelity.DESCRIPTOR, None, "is missing; install it with: pip install"),
    ],
)
def test_a_wrong_model_file_is_told_and_not_taken_for_a_missing_package(
    faces, monkeypatch, tmp_path, wrong, content, message
):
    installed = fidelity.predictor.packaged_model().parent
    for name in (fidelity.predictor.MODEL, fidelity.DESCRIPTOR):
        (tmp_path / name).symlink_to(installed / name)
    (tmp_path / wrong).unlink()
    if content is not None:
        (tmp_path / wrong).write_bytes(content)
    monkeypatch.setattr(fidelity.predictor, "packaged_model", lambda: tmp_path / fidelity.predictor.MODEL)
    with pytest.raises(UserError, match=f"{wrong} {message}") as told:
        fidelity.measure(oracle.oracle(faces), faces, draw_trials(faces.emotions, 4, seed=0))
    assert len(str(told.value).splitlines()) == 1


def test_the_other_person_is_never_the_same_person_if_there_are_others():
    subjects = np.array(["a", "a", "b", "a"])
    assert fidelity._others(subjects).tolist() == [2, 2, 3, 2]
    assert fidelity._others(np.array(["a", "a"])).tolist() == [0, 1]

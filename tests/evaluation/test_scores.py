"""Scores of small arrays computed by hand, and missing scores, which are None and never NaN."""

import dataclasses
import json

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation import metrics, scores
from avlgan_jax.evaluation.trials import ReferenceFeatures, by_group, draw_trials, measure


def test_affect_scores_by_hand():
    predicted = np.array([[0.0, 0.5], [1.0, 0.5]])
    expected = np.array([[0.5, 0.5], [1.0, 0.5]])
    found = scores.affect_scores(predicted, expected)
    assert set(found) == set(scores.AFFECT)
    assert found["rmse"] == pytest.approx(0.25)
    assert found["rmse_valence"] == pytest.approx(np.sqrt(0.125))
    assert found["rmse_arousal"] == 0.0
    assert found["pcc_valence"] == pytest.approx(1.0)
    assert found["pcc_arousal"] == 0.0
    assert found["sagr_valence"] == 0.5


def test_affect_scores_without_rows_are_none():
    found = scores.affect_scores(np.zeros((0, 2)), np.zeros((0, 2)))
    assert set(found) == set(scores.AFFECT)
    assert set(found.values()) == {None}


def reference(features, infants):
    moments = {group: metrics.moments(features[members]) for group, members in by_group(infants).items()}
    return ReferenceFeatures(moments, features, infants)


def test_distribution_scores_of_the_same_features():
    features = np.random.default_rng(0).normal(size=(30, 3))
    infants = np.arange(30) < 10
    found = scores.distribution_scores(features, reference(features, infants), "all")
    assert found["frechet_regressor"] == pytest.approx(0.0, abs=1e-9)
    assert (found["precision_regressor"], found["recall_regressor"]) == (1.0, 1.0)
    shifted = scores.distribution_scores(features[:10] + 100.0, reference(features, infants), "infant")
    assert shifted["frechet_regressor"] == pytest.approx(3e4)
    assert (shifted["precision_regressor"], shifted["recall_regressor"]) == (0.0, 0.0)


def test_distribution_scores_of_too_few_vectors_are_none():
    features = np.random.default_rng(1).normal(size=(30, 3))
    found = scores.distribution_scores(features, reference(features, np.arange(30) < 3), "infant")
    assert set(found.values()) == {None}


@pytest.fixture(scope="module")
def measured():
    faces, training = oracle.draw_faces(12, seed=2, infants=False), oracle.draw_faces(16, seed=1, infants=False)
    trials = draw_trials(faces.emotions, 40, seed=0)
    models = oracle.oracle(faces, training)
    return measure(models, faces, training, trials, oracle.render_all, lambda done: None)


def test_without_avgan_the_other_rows_are_the_same_and_there_is_no_difference(measured):
    alone = dataclasses.replace(measured, models={"avlandmarkgan": measured.models["avlandmarkgan"]})
    for compute in (scores.score, lambda results: scores.intervals(results, seed=0)):
        assert compute(alone) == oracle.leave_out_avgan(compute(measured))


def test_without_infants_their_scores_are_none_under_the_same_keys(measured):
    found = scores.score(measured)
    adult, infant = found["groups"]["adult"], found["groups"]["infant"]
    assert infant["samples"] == 0
    for row in ("avlandmarkgan", "avgan", "do_nothing", "regressor"):
        assert infant[row].keys() == adult[row].keys()
        assert set(infant[row].values()) == {None}
    json.dumps(found | scores.intervals(measured, seed=0), allow_nan=False)


def test_every_score_has_an_interval_that_contains_it(measured):
    found, bounds = scores.score(measured), scores.intervals(measured, seed=0)
    for name in ("do_nothing", "regressor"):
        distances = set(scores.DISTANCES["features"]) if name == "regressor" else set()
        assert set(bounds[name]) == set(found[name]) - {*scores.DISTRIBUTION, *scores.INCEPTION} | distances
    for name in scores.DISTANCES["features"]:
        low, high = bounds["models"]["avlandmarkgan"][name]
        assert low < found["models"]["avlandmarkgan"][name] < high
        low, high = bounds["difference"][name]
        assert low < found["models"]["avlandmarkgan"][name] - found["models"]["avgan"][name] < high
    assert "fid" not in bounds["models"]["avlandmarkgan"]
    for name in scores.AFFECT:
        low, high = bounds["do_nothing"][name]
        assert low <= found["do_nothing"][name] <= high
    low, high = bounds["do_nothing"]["truth_psnr"]
    assert low < found["do_nothing"]["truth_psnr"] < high


def test_the_interval_of_the_difference_shows_the_better_model(measured):
    difference = scores.intervals(measured, seed=0)["difference"]
    assert difference["rmse"][1] < 0
    assert difference["pcc_valence"][0] > 0
    assert difference["truth_psnr"][0] > 0
    assert "truth_landmark_nme" not in difference


def test_fid_has_an_interval_where_it_is_measured(measured):
    """The regressor's features stand for Inception's."""
    both = dataclasses.replace(
        measured,
        models={name: dataclasses.replace(found, inception=found.features) for name, found in measured.models.items()},
        inception_reference=measured.reference,
    )
    found = scores.intervals(both, seed=0)["models"]["avlandmarkgan"]
    assert found["fid"] == found["frechet_regressor"] and found["kid"] == found["kid_regressor"]


def test_distances_of_one_person_have_no_interval():
    features = np.random.default_rng(2).normal(size=(30, 3))
    real = reference(features, np.zeros(30, bool))
    assert scores.jackknifed_distances(features, np.zeros(30, int), real, "all") is None
    assert scores.jackknifed_distances(features[:4], np.arange(4), real, "all") is None  # three vectors are too few
    assert scores.jackknifed_distances(features[:4], np.arange(4), real, "infant") is None


def test_labels_that_are_absent_do_not_count():
    predicted = np.array([[0.0, 0.5], [1.0, 0.5], [0.3, 0.9]])
    expected = np.array([[0.5, 0.5], [1.0, np.nan], [0.3, 0.5]])
    found = scores.affect_scores(predicted, expected)
    assert found["rmse_valence"] == pytest.approx(np.sqrt(0.25 / 3))
    assert found["rmse_arousal"] == pytest.approx(np.sqrt(0.16 / 2))
    assert found["rmse"] == pytest.approx(np.sqrt((0.25 + 0.16) / 5))
    unrated = scores.affect_scores(predicted, np.stack([expected[:, 0], np.full(3, np.nan)], axis=1))
    assert {name for name, value in unrated.items() if value is None} == {
        "rmse",
        *(f"{kind}_arousal" for kind in ("rmse", "pcc", "ccc", "sagr")),
    }
    assert unrated["rmse_valence"] == found["rmse_valence"]

"""The comparison of models with known outputs: scores, differences, and what they are intervals over."""

import dataclasses
import json

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation.experiments import comparison
from avlgan_jax.evaluation.report import comparison_table, findings
from avlgan_jax.evaluation.trials import draw_trials

SAMPLES = 12


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(16, seed=3)


@pytest.fixture(scope="module")
def measured(faces):
    models = oracle.oracle(faces)
    runs = {"recipe": dict.fromkeys((0, 1), lambda: models), "recipe_avgan": {0: lambda: models}}
    rows, found = comparison.measure(models, runs, faces, SAMPLES, 5, oracle.render_all)
    seeds = {name: list(by_seed) for name, by_seed in runs.items()}
    return rows, found, comparison.to_metrics(rows, found, seeds, seed=0)


def test_the_targets_are_drawn_several_times_from_the_seed_of_the_trials(faces, measured):
    rows, found, _ = measured
    assert len(rows.sources) == comparison.TRIAL_SEEDS * SAMPLES
    first = draw_trials(faces.emotions, SAMPLES, 5)
    np.testing.assert_array_equal(rows.targets[rows.trial_seed == 0], first.targets)
    assert found["recipe"].predicted.shape == (2, len(rows.sources), 2)


def test_the_scores_are_those_of_the_outputs(measured):
    _, _, numbers = measured
    perfect, unchanged = numbers["rows"]["recipe"], numbers["rows"]["recipe_avgan"]
    for group in ("all", "adult", "infant"):
        assert perfect[group]["rmse"] == [0.0, 0.0, 0.0]
        assert perfect[group]["truth_landmark_nme"][0] == 0.0
        assert unchanged[group]["rmse"] == numbers["rows"]["do_nothing"][group]["rmse"]
        assert unchanged[group]["truth_landmark_nme"] is None  # avGAN has no landmarks
        value, low, high = unchanged[group]["rmse"]
        assert low < value < high
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers


def test_only_pairs_of_trained_models_are_subtracted(measured):
    _, _, numbers = measured
    (difference,) = numbers["differences"]
    assert (difference["first"], difference["second"]) == ("recipe", "recipe_avgan")
    value, low, high = difference["all"]["rmse"]
    assert value == -numbers["rows"]["recipe_avgan"]["all"]["rmse"][0]
    assert low < value < high < 0.0
    assert difference["all"]["truth_landmark_nme"] is None


def test_photographs_have_no_similarity_to_a_ground_truth(faces):
    models = oracle.oracle(faces)
    runs = {"recipe": {0: lambda: models}}
    rows, found = comparison.measure(models, runs, faces, SAMPLES, 0, None)
    numbers = comparison.to_metrics(rows, found, {"recipe": [0]}, seed=0)
    assert numbers["rows"]["recipe"]["all"]["truth_psnr"] is None
    assert numbers["rows"]["recipe"]["all"]["rmse"] is not None


def test_the_table_names_trainings_and_leaves_out_groups_without_faces(measured):
    _, _, numbers = measured
    everyone, adults, infants = comparison_table.tables(numbers)
    assert [table.group for table in (everyone, adults, infants)] == ["everyone", "adults", "infants"]
    assert [row.name for row in everyone.models] == [
        "doing nothing",
        "avLandmarkGAN, this recipe (2 trainings)",
        "avGAN, this recipe (1 training)",
    ]
    assert everyone.models[1].cells[0] == "0.000 [0.000, 0.000]"
    assert everyone.models[2].cells[-1] == "–"
    assert everyone.differences[0].cells[0].startswith("−0.")
    assert comparison_table.tables({}) == []
    numbers["rows"]["recipe"]["all"]["pcc_valence"] = [0.01, -0.05, 0.07]
    assert comparison_table.tables(numbers)[0].models[1].cells[1] == "0.01 [−0.05, 0.07]"


def test_a_group_without_faces_has_no_scores(faces):
    adults = faces.take(np.flatnonzero(~faces.infants))
    models = oracle.oracle(faces)
    rows, found = comparison.measure(models, {"recipe": {0: lambda: models}}, adults, SAMPLES, 0, oracle.render_all)
    numbers = comparison.to_metrics(rows, found, {"recipe": [0]}, seed=0)
    assert set(numbers["rows"]["recipe"]["infant"].values()) == {None}
    assert [table.group for table in comparison_table.tables(numbers)] == ["everyone", "adults"]


@pytest.fixture(scope="module")
def sequences(faces):
    """Three people with four frames each: two infants and a parent."""
    drawn = faces.take(np.arange(12))
    frame = np.tile(np.arange(4) * 3, 3)
    subjects = np.repeat(["0-baby", "1-baby", "1-mother"], 4)
    infants = np.repeat([True, True, False], 4)
    return dataclasses.replace(drawn, subjects=subjects, infants=infants, extras={**drawn.extras, "frame": frame})


def test_section_iv_b_is_measured_with_every_training(faces, sequences):
    models = oracle.oracle(faces)
    runs = {"recipe": dict.fromkeys((0, 1), lambda: models), "recipe_avgan": {0: lambda: models}}
    found = comparison.measure_baby(runs, sequences)
    assert found["infant"].predicted["recipe"].shape == (2, 6) and found["parent"].expected.shape == (3,)
    numbers = comparison.baby_to_metrics(found, seed=0)
    infants = numbers["infant"]
    assert infants["people"] == 2 and infants["paper"] == 0.21
    assert infants["rows"]["recipe"]["pcc_valence"][0] == pytest.approx(1.0)
    assert infants["rows"]["recipe_avgan"]["pcc_valence_within"][0] == 0.0  # one output for all targets
    (difference,) = infants["differences"]
    expected = 1.0 - infants["rows"]["recipe_avgan"]["pcc_valence"][0]
    assert difference["pcc_valence"][0] == pytest.approx(expected)
    assert numbers["parent"]["rows"]["recipe"]["pcc_valence"][1:] == [None, None]  # one person has no interval
    json.dumps(numbers, allow_nan=False)
    seeds = {"recipe": [0, 1], "recipe_avgan": [0]}
    tables = comparison_table.baby_tables({"comparison": {"seeds": seeds}, "comparison_baby": numbers})
    assert [table.group for table in tables] == ["infants, 2 people", "parents, 1 person"]
    assert comparison.measure_baby(runs, faces) == {} and comparison_table.baby_tables({}) == []


def test_the_findings_hold_the_differences_between_models_with_and_without_landmarks(faces, sequences):
    models = oracle.oracle(faces)
    runs = {name: dict.fromkeys((0, 1), lambda: models) for name in ("recipe", "recipe_avgan", "paper")}
    rows, outputs = comparison.measure(models, runs, faces, SAMPLES, 0, None)
    seeds = {name: [0, 1] for name in runs}
    report = {
        "protocol": {"data": "procedural_faces"},
        "provenance": {"steps": {"image": 4, "avgan": 0}},
        "comparison": comparison.to_metrics(rows, outputs, seeds, seed=0),
        "comparison_baby": comparison.baby_to_metrics(comparison.measure_baby(runs, sequences), seed=0),
    }
    found = [row for row in findings.findings(report) if "over trainings" in row.claim]
    assert [row.place for row in found] == ["Abstract", "Section IV-B", "Section IV-B"]
    assert all("avLandmarkGAN, this recipe, minus avGAN, this recipe" in row.claim for row in found)
    assert found[0].verdict == "agrees"

"""The experiments by name: only the selected ones run, and their numbers go to the right keys of `metrics.json`."""

from typing import get_args, get_type_hints

from avlgan_jax.evaluation import run, suite
from avlgan_jax.evaluation.suite import ExperimentResult


def test_every_experiment_can_be_selected_by_name():
    names, _ = get_args(get_type_hints(run.Arguments)["experiment"])
    assert get_args(names) == tuple(suite.EXPERIMENTS)


def test_selected_experiments_run_in_order(monkeypatch):
    announced = []
    for name in ("baby", "table_ii"):
        monkeypatch.setitem(
            suite.EXPERIMENTS, name, lambda context, name=name: ExperimentResult({name: context}, [name])
        )
    result = suite.run_experiments("context", ["baby", "table_ii"], announced.append)
    assert announced == result.figures == ["baby", "table_ii"]
    assert result.numbers == {"schema_version": 1, "baby": "context", "table_ii": "context"}


def test_a_known_result_is_not_computed_again_and_a_new_one_is_kept(monkeypatch):
    for name in ("baby", "table_ii"):
        monkeypatch.setitem(suite.EXPERIMENTS, name, lambda context, name=name: ExperimentResult({name: "new"}, [name]))
    announced, kept = [], {}
    known = {"baby": ExperimentResult({"baby": "known"}, ["baby"])}
    result = suite.run_experiments(None, ["baby", "table_ii"], announced.append, known, kept.__setitem__)
    assert result.numbers == {"schema_version": 1, "baby": "known", "table_ii": "new"}
    assert result.figures == ["baby", "table_ii"] and announced == list(kept) == ["table_ii"]


def test_the_rows_of_the_models_include_scores_of_other_experiments(monkeypatch):
    results = {
        "trials": {"models": {"avlandmarkgan": {"rmse": 0.2}, "avgan": {"rmse": 0.3}}},
        "circumplex": {"circumplex": {"response": {"avlandmarkgan": 0.05, "avgan": 0.04, "truth": 0.06}}},
        "fidelity": {"fidelity": {"samples": 0, "landmark_nme": None, "identity_distance": None}},
    }
    for name, numbers in results.items():
        monkeypatch.setitem(suite.EXPERIMENTS, name, lambda context, numbers=numbers: ExperimentResult(numbers))
    rows = suite.run_experiments(None, results).numbers["models"]
    missing = {"landmark_nme": None, "identity_distance": None}
    assert rows["avgan"] == {"rmse": 0.3, "response": 0.04, **missing}
    assert suite.run_experiments(None, ["trials"]).numbers["models"]["avgan"] == {
        "rmse": 0.3,
        "response": None,
        **missing,
    }

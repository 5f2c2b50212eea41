"""The experiments by name: those asked for and no others, and their numbers where `metrics.json` has them."""

from typing import get_args, get_type_hints

from avlgan_jax.evaluation import run, suite
from avlgan_jax.evaluation.suite import ExperimentResult


def test_every_experiment_can_be_asked_for_by_name():
    names, _ = get_args(get_type_hints(run.Arguments)["experiment"])
    assert get_args(names) == tuple(suite.EXPERIMENTS)


def test_those_named_are_run_in_turn(monkeypatch):
    asked = []
    for name in ("baby", "table_ii"):
        monkeypatch.setitem(suite.EXPERIMENTS, name, lambda scene, name=name: ExperimentResult({name: scene}, [name]))
    told = suite.run_experiments("scene", ["baby", "table_ii"], asked.append)
    assert asked == told.figures == ["baby", "table_ii"]
    assert told.numbers == {"schema_version": 1, "baby": "scene", "table_ii": "scene"}


def test_the_rows_of_the_models_sum_up_what_other_experiments_found(monkeypatch):
    given = {
        "trials": {"models": {"avlandmarkgan": {"rmse": 0.2}, "avgan": {"rmse": 0.3}}},
        "circumplex": {"circumplex": {"response": {"avlandmarkgan": 0.05, "avgan": 0.04, "truth": 0.06}}},
        "fidelity": {"fidelity": {"samples": 0, "landmark_nme": None, "identity_distance": None}},
    }
    for name, numbers in given.items():
        monkeypatch.setitem(suite.EXPERIMENTS, name, lambda scene, numbers=numbers: ExperimentResult(numbers))
    rows = suite.run_experiments(None, given).numbers["models"]
    nothing = {"landmark_nme": None, "identity_distance": None}
    assert rows["avgan"] == {"rmse": 0.3, "response": 0.04, **nothing}
    assert suite.run_experiments(None, ["trials"]).numbers["models"]["avgan"] == {
        "rmse": 0.3,
        "response": None,
        **nothing,
    }

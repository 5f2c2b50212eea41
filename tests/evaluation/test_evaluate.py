"""The command line of evaluate.py: its report, its reproducibility and its errors."""

import dataclasses
import json
import shutil

import jax
import pytest
from conftest import RESOLUTION, run, run_here

from avlgan_jax.errors import UserError
from avlgan_jax.evaluation import examples, provenance, suite
from avlgan_jax.evaluation import run as evaluation
from avlgan_jax.evaluation.experiments import circumplex, fidelity

MODEL_KEYS = {
    *("rmse", "rmse_valence", "rmse_arousal", "pcc_valence", "pcc_arousal", "ccc_valence", "ccc_arousal"),
    *("frechet_regressor", "truth_landmark_nme", "truth_psnr"),
}
ADDED_KEYS = {"response", "landmark_nme", "identity_distance", "fid", "kid", "precision", "recall"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", "0"], "--samples is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--all", "--experiment", "baby"], "expected one of the two"),
        ([], "nowhere"),
        (["--features", "inception", "--inception", "no.pth"], "pt_inception-2015-12-05-6726825d.pth"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line(tmp_path, arguments, message):
    done = run_here("evaluate.py", "--workdir", str(tmp_path / "nowhere"), *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in str(jax.config.jax_compilation_cache_dir)  # later tests would write there


def test_help_describes_every_option():
    output = run_here("evaluate.py", "--help").stdout
    for option in ("--workdir", "--data", "--data-dir", "--samples", "--split", "--seed"):
        assert option in output
    assert "the paper uses 10,000" in " ".join(output.replace("│", " ").split())


def test_a_run_without_avgan_is_evaluated_without_it(run_without_avgan, monkeypatch, capsys):
    for module, name in ((examples, "FACES"), (examples, "MATRICES"), (circumplex, "FACES")):
        monkeypatch.setattr(module, name, 1)
    arguments = evaluation.Arguments(run_without_avgan, samples=8, devices=1, batch_size=8)
    page = evaluation.evaluate(arguments).read_text()
    found = json.loads((run_without_avgan / "report" / "metrics.json").read_text())
    assert set(found["models"]) == {"avlandmarkgan"} and found["models"]["avlandmarkgan"].keys() >= MODEL_KEYS
    assert found["provenance"]["steps"] == {"regressor": 4, "landmark": 4, "image": 4}
    infants = found["baby"]["infant"]
    assert infants.keys() == {"frames", "people", "interval_over", "avlandmarkgan", "real", "difference"}
    assert infants["difference"] is None
    assert page.count("avGAN") == 1 and "avgan" not in json.dumps(found)
    output = capsys.readouterr().out
    assert output.count("avGAN") == 1 and "doing nothing" in output


def test_a_wrong_file_of_dlibs_models_is_told_before_an_experiment_runs(tmp_path, monkeypatch):
    def wrong():
        raise UserError("another file")

    monkeypatch.setattr(fidelity, "installed_models", wrong)
    with pytest.raises(UserError, match="another file"):
        evaluation._experiments(evaluation.Arguments(tmp_path))
    assert evaluation._experiments(evaluation.Arguments(tmp_path, experiment="baby")) == (["baby"], {})


def test_an_evaluation_that_was_stopped_goes_on_where_it_was(run_without_avgan, tmp_path, monkeypatch, capsys):
    for name in ("FACES", "MATRICES", "FACES_PER_MOVE"):
        monkeypatch.setattr(examples, name, 1)
    monkeypatch.setattr(provenance, "code_digest", lambda: "the same code, even if a file is edited meanwhile")
    folder, ran, stops = tmp_path / "run", [], []
    shutil.copytree(run_without_avgan, folder, ignore=shutil.ignore_patterns("report", "experiments"))

    def counted(name, experiment):
        def run_experiment(context):
            ran.append(name)
            if name in stops:
                raise KeyboardInterrupt
            return experiment(context)

        return run_experiment

    few = {name: counted(name, suite.EXPERIMENTS[name]) for name in ("table_ii", "faces", "shape")}
    monkeypatch.setattr(suite, "EXPERIMENTS", few)
    arguments = evaluation.Arguments(folder, samples=8, devices=1, batch_size=8)

    def evaluate(seed=0):
        ran.clear()
        evaluation.evaluate(dataclasses.replace(arguments, seed=seed))
        return {path.name: path.read_bytes() for path in (folder / "report").iterdir()}

    undisturbed = evaluate()
    assert ran == list(few) and not (folder / "experiments").exists()
    stops.append("shape")
    with pytest.raises(KeyboardInterrupt):
        evaluate()
    assert ran == list(few), "the results of a finished evaluation were used again"
    stops.clear()
    capsys.readouterr()
    assert evaluate() == undisturbed and ran == ["shape"]
    told = "2 of 3 experiments were finished before this evaluation was stopped: table_ii, faces\n"
    assert capsys.readouterr().out.startswith(told)
    stops.append("faces")
    with pytest.raises(KeyboardInterrupt):
        evaluate()
    stops.clear()
    evaluate(seed=1)
    assert ran == list(few), "results of another seed were used"


@pytest.fixture(scope="module")
def workdir(data_dir, tmp_path_factory):
    """Return the workdir of a training run of a few steps, evaluated once."""
    folder = tmp_path_factory.mktemp("run")
    options = ["--resolution", str(RESOLUTION), "--data-dir", str(data_dir), "--workdir", str(folder)]
    run("train.py", "all", "--preset", "debug", *options)
    output = run("evaluate.py", "--workdir", str(folder), "--samples", "40").stdout
    (folder / "output.txt").write_text(output)
    return folder


@pytest.mark.slow
def test_the_report_has_every_documented_number(workdir):
    found = json.loads((workdir / "report" / "metrics.json").read_text())
    for name in ("avlandmarkgan", "avgan"):
        assert found["models"][name].keys() >= MODEL_KEYS | ADDED_KEYS
        assert isinstance(found["models"][name]["truth_psnr"], float)
        for group in ("adult", "infant"):
            assert found["groups"][group][name].keys() >= MODEL_KEYS
        assert 0.0 <= found["models"][name]["rmse"] <= 2.0
    assert found["models"]["avgan"]["truth_landmark_nme"] is None
    assert found["models"]["avlandmarkgan"]["truth_landmark_nme"] > 0.0
    assert found["do_nothing"].keys() >= {"truth_landmark_nme", "truth_psnr"}
    assert found["regressor"].keys() >= {"rmse", "ccc_valence", "ccc_arousal"}
    assert found["provenance"]["steps"].keys() == {"regressor", "landmark", "image", "avgan"}
    assert found["protocol"]["landmark_dimensions"] == 2
    assert found["provenance"].keys() == {"steps", "config_digest", "data_digest", "versions", "processor"}
    assert found["provenance"]["processor"]
    for group in ("adult", "infant"):
        regions, sweeps = found["regions"][group], found["sweeps"][group]
        assert list(regions["psnr"]) == ["avlandmarkgan", "avgan", "warp", "do_nothing"]
        assert regions["background_changed"]["do_nothing"] == {"trials": 0, "largest": 0}
        assert regions["specks"]["do_nothing"] == 0.0 <= regions["specks"]["avlandmarkgan"]
        assert regions["psnr"]["do_nothing"]["background"] == pytest.approx(58.92, abs=0.01)
        assert list(sweeps["valence"]) == ["avlandmarkgan", "avgan", "warp", "truth"]
        assert len(found["circumplex"][group]["rmse"]["truth"]) == len(found["circumplex"]["targets"])
    assert found["regions"]["adult"]["trials"] + found["regions"]["infant"]["trials"] == 40
    assert found["baby"]["infant"]["avgan"].keys() >= {"pcc_valence", "interval", "pcc_valence_within", "paper"}


@pytest.mark.slow
def test_the_command_prints_the_table_and_the_path_of_the_page(workdir):
    output = (workdir / "output.txt").read_text()
    page = workdir / "report" / "index.html"
    assert page.stat().st_size > 100_000
    assert output.rstrip().endswith(f"report: {page}")
    assert "avLandmarkGAN" in output


@pytest.mark.slow
def test_evaluating_twice_gives_the_same_bytes_and_another_seed_does_not(workdir):
    before = {path.name: path.read_bytes() for path in (workdir / "report").iterdir()}
    run("evaluate.py", "--workdir", str(workdir), "--samples", "40")
    assert {path.name: path.read_bytes() for path in (workdir / "report").iterdir()} == before
    # In a folder of its own: other tests compare with the report of seed 0.
    run("evaluate.py", "--workdir", str(workdir), "--samples", "40", "--experiment", "trials", "--seed", "1")
    other = json.loads((workdir / "experiments" / "trials" / "metrics.json").read_text())
    assert (
        other["models"]["avlandmarkgan"]["rmse"]
        != json.loads(before["metrics.json"])["models"]["avlandmarkgan"]["rmse"]
    )


@pytest.mark.slow
def test_an_error_does_not_change_the_report(workdir):
    before = {path.name: path.stat().st_mtime_ns for path in (workdir / "report").iterdir()}
    done = run("evaluate.py", "--workdir", str(workdir), "--split", "nosuch", check=False)
    assert done.returncode == 2
    assert "nosuch" in done.stderr
    assert {path.name: path.stat().st_mtime_ns for path in (workdir / "report").iterdir()} == before


@pytest.mark.slow
def test_the_trials_of_a_run_with_3d_landmarks(trained_run_3d):
    folder, _, _ = trained_run_3d
    run("evaluate.py", "--workdir", str(folder), "--samples", "12", "--experiment", "trials")
    found = json.loads((folder / "experiments" / "trials" / "metrics.json").read_text())
    assert found["protocol"]["landmark_dimensions"] == 3
    assert 0.0 < found["models"]["avlandmarkgan"]["truth_landmark_nme"] < 0.2
    page = (folder / "experiments" / "trials" / "index.html").read_text()
    assert "3-D landmarks" in page and "0.211" in page and "26.7" in page


@pytest.mark.slow
def test_all_experiments_have_numbers_with_3d_landmarks(workdir, trained_run_3d):
    folder, _, _ = trained_run_3d
    run("evaluate.py", "--workdir", str(folder), "--samples", "40")
    with_2d, with_3d = (
        json.loads((directory / "report" / "metrics.json").read_text()) for directory in (workdir, folder)
    )
    assert with_3d.keys() == with_2d.keys() and with_3d["transfer"] and with_3d["baby"].keys() == with_2d["baby"].keys()
    assert with_3d["fidelity"]["samples"] == with_2d["fidelity"]["samples"]
    # Both runs have the same faces and ground truth, so scores that need no model are equal.
    assert with_3d["do_nothing"]["truth_landmark_nme"] == with_2d["do_nothing"]["truth_landmark_nme"]

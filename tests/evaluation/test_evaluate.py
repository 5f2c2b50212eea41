"""evaluate.py as a user runs it: what it writes, that it writes the same again, and how it refuses."""

import json

import jax
import pytest
from conftest import RESOLUTION, run, run_here

MODEL_KEYS = {
    *("rmse", "rmse_valence", "rmse_arousal", "pcc_valence", "pcc_arousal", "ccc_valence", "ccc_arousal"),
    *("frechet_regressor", "truth_landmark_nme", "truth_psnr"),
}
ADDED_KEYS = {"response", "landmark_nme", "identity_distance", "fid", "kid", "precision", "recall"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--samples", "0"], "--samples is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--all", "--experiment", "baby"], "expected one of the two"),
        ([], "nowhere"),
        (["--features", "inception", "--inception", "no.pth"], "pt_inception-2015-12-05-6726825d.pth"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, arguments, said):
    done = run_here("evaluate.py", "--workdir", str(tmp_path / "nowhere"), *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in str(jax.config.jax_compilation_cache_dir)  # or later tests would write there


def test_help_describes_every_option():
    told = run_here("evaluate.py", "--help").stdout
    for option in ("--workdir", "--data", "--data-dir", "--samples", "--split", "--seed"):
        assert option in told
    assert "the paper uses 10,000" in " ".join(told.replace("│", " ").split())


@pytest.fixture(scope="module")
def workdir(data_dir, tmp_path_factory):
    """A training run of a few steps, evaluated once."""
    folder = tmp_path_factory.mktemp("run")
    options = ["--resolution", str(RESOLUTION), "--data-dir", str(data_dir), "--workdir", str(folder)]
    run("train.py", "all", "--preset", "debug", *options)
    told = run("evaluate.py", "--workdir", str(folder), "--samples", "40").stdout
    (folder / "told.txt").write_text(told)
    return folder


@pytest.mark.slow
def test_the_report_has_every_promised_number(workdir):
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
    assert found["provenance"].keys() == {"steps", "config_digest", "data_digest", "versions"}
    assert found["baby"]["infant"]["avgan"].keys() >= {"pcc_valence", "interval", "pcc_valence_within", "paper"}


@pytest.mark.slow
def test_the_command_tells_the_table_and_where_the_page_is(workdir):
    told = (workdir / "told.txt").read_text()
    page = workdir / "report" / "index.html"
    assert page.stat().st_size > 100_000
    assert told.rstrip().endswith(f"report: {page}")
    assert "avLandmarkGAN" in told


@pytest.mark.slow
def test_evaluating_twice_gives_the_same_bytes_and_another_seed_does_not(workdir):
    before = {path.name: path.read_bytes() for path in (workdir / "report").iterdir()}
    run("evaluate.py", "--workdir", str(workdir), "--samples", "40")
    assert {path.name: path.read_bytes() for path in (workdir / "report").iterdir()} == before
    run("evaluate.py", "--workdir", str(workdir), "--samples", "40", "--seed", "1")
    assert (workdir / "report" / "metrics.json").read_bytes() != before["metrics.json"]


@pytest.mark.slow
def test_a_refusal_leaves_the_report_as_it_was(workdir):
    before = {path.name: path.stat().st_mtime_ns for path in (workdir / "report").iterdir()}
    done = run("evaluate.py", "--workdir", str(workdir), "--split", "nosuch", check=False)
    assert done.returncode == 2
    assert "nosuch" in done.stderr
    assert {path.name: path.stat().st_mtime_ns for path in (workdir / "report").iterdir()} == before


@pytest.mark.slow
def test_a_run_of_3d_landmarks_is_put_to_trial_by_the_same_command(trained_run_3d):
    folder, _, _ = trained_run_3d
    run("evaluate.py", "--workdir", str(folder), "--samples", "12", "--experiment", "trials")
    found = json.loads((folder / "experiments" / "trials" / "metrics.json").read_text())
    assert found["protocol"]["landmark_dimensions"] == 3
    assert 0.0 < found["models"]["avlandmarkgan"]["truth_landmark_nme"] < 0.2
    page = (folder / "experiments" / "trials" / "index.html").read_text()
    assert "3-D landmarks" in page and "0.211" in page and "26.7" in page


@pytest.mark.slow
def test_every_experiment_has_its_numbers_with_3d_landmarks(workdir, trained_run_3d):
    folder, _, _ = trained_run_3d
    run("evaluate.py", "--workdir", str(folder), "--samples", "40")
    flat, deep = (json.loads((place / "report" / "metrics.json").read_text()) for place in (workdir, folder))
    assert deep.keys() == flat.keys() and deep["transfer"] and deep["baby"].keys() == flat["baby"].keys()
    assert deep["fidelity"]["samples"] == flat["fidelity"]["samples"]
    # The same faces, the same truth: what needs no model is the same.
    assert deep["do_nothing"]["truth_landmark_nme"] == flat["do_nothing"]["truth_landmark_nme"]

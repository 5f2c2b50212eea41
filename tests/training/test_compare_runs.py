"""Comparison of real training runs, also with edited metrics."""

import dataclasses
import json
import shutil

import pytest
from conftest import run as run_script
from conftest import run_here

from avlgan_jax.config import LandmarkTraining
from avlgan_jax.errors import UserError
from avlgan_jax.presets import debug
from avlgan_jax.training import compare_runs, loop


@pytest.fixture(scope="module")
def config(data_dir):
    landmark = LandmarkTraining(steps=6, batch_size=4, width=8, blocks=1, d_layers=1)
    small = dataclasses.replace(debug(), landmark=landmark, data_dir=str(data_dir), devices=1)
    return dataclasses.replace(small, checkpoint_every=4, log_every=2, sample_every=6)


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    loop.train(config, "landmark", folder)
    return folder


def command(*arguments):
    done = run_here("avlgan_jax.training.compare_runs", *arguments)
    return done.returncode, done.stdout + done.stderr


def edited_copy(run, tmp_path, change):
    """Return a copy of the run after `change`, which edits the list of lines of metrics.jsonl in place."""
    copy = shutil.copytree(run, tmp_path / "copy")
    log = copy / "landmark" / "metrics.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    change(lines)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return copy


def test_two_runs_of_the_same_command_are_equal(config, run, tmp_path):
    loop.train(config, "landmark", tmp_path / "again")
    assert (tmp_path / "again/landmark/metrics.jsonl").read_bytes() == (run / "landmark/metrics.jsonl").read_bytes()
    code, output = command(run, tmp_path / "again")
    assert code == 0 and "landmark: the same batches and losses in 6 steps, the same" in output


def test_runs_with_different_learning_rates_differ_from_the_first_step_on(config, run, tmp_path):
    faster = dataclasses.replace(config, landmark=dataclasses.replace(config.landmark, learning_rate=2e-4))
    loop.train(faster, "landmark", tmp_path / "faster")
    code, output = command(run, tmp_path / "faster")
    assert code == 1
    assert "config: landmark.learning_rate: 0.0001 here, 0.0002 there" in output
    # The discriminator loss of step 0 is equal, but the generator loss already depends on the updated discriminator.
    assert "losses differ first at step 0 of 6" in output and "batches differ" not in output
    assert "the states differ first after 2 steps" in output and "leaves, first generator/Dense_0/bias" in output


def test_a_different_order_of_the_batches_is_reported(run, tmp_path):
    def swap(lines):
        batches = lines[1]["digests"]["batches"]
        lines[1]["digests"]["batches"] = batches[8:16] + batches[:8]

    code, output = command(run, edited_copy(run, tmp_path, swap))
    assert code == 1 and "batches differ first at step 0 of 6" in output and "losses differ" not in output


def test_the_first_differing_leaf_is_named(run, tmp_path):
    leaves = compare_runs.trace(run / "landmark").leaves
    index = leaves.index("generator/Dense_0/kernel")

    def change(lines):
        line = next(line for line in lines if line["step"] == 4 and "digests" in line)
        state = line["digests"]["state"]
        line["digests"]["state"] = state[: 8 * index] + "0123abcd" + state[8 * index + 8 :]

    code, output = command(run, edited_copy(run, tmp_path, change))
    assert code == 1
    assert (
        f"the states differ first after 4 steps, in 1 of {len(leaves)} leaves, first generator/Dense_0/kernel" in output
    )


def test_a_shorter_run_and_a_missing_model_are_reported(run, tmp_path):
    shorter = edited_copy(run, tmp_path, lambda lines: lines.__delitem__(slice(-2, None)))
    code, output = command(run, shorter)
    assert code == 1 and "the first run has 6 steps, the second 4" in output
    shutil.rmtree(shorter / "landmark")
    code, output = command(run, shorter)
    assert code == 1 and f"landmark: trained in {run} only" in output


def test_reports_are_compared_byte_by_byte(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    other = shutil.copytree(run, tmp_path / "other")
    for folder in (copy, other):
        (folder / "report").mkdir()
        (folder / "report" / "metrics.json").write_text("{}")
    assert command(copy, other)[0] == 0
    (other / "report" / "metrics.json").write_text("{ }")
    code, output = command(copy, other)
    assert code == 1 and "report: 1 of 1 files differ, first report/metrics.json" in output


def test_folders_without_runs_or_digests_are_user_errors(tmp_path):
    code, output = command(tmp_path, tmp_path)
    assert code == 2 and "no training run in" in output
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2}\n')
    with pytest.raises(UserError, match="holds no digests"):
        compare_runs.trace(tmp_path)


@pytest.mark.slow
def test_self_trains_twice_in_fresh_processes(data_dir):
    options = ["--self", "all", "--preset", "debug", "--data-dir", str(data_dir)]
    output = run_script("-m", "avlgan_jax.training.compare_runs", *options).stdout
    for name in ("regressor", "landmark", "image", "avgan"):
        assert f"{name}: the same batches and losses in 4 steps" in output

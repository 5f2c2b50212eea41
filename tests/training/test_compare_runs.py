"""Real runs held against each other."""

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


def altered(run, tmp_path, change):
    """A copy of the run, a line of whose metrics.jsonl has been through `change`."""
    copy = shutil.copytree(run, tmp_path / "copy")
    log = copy / "landmark" / "metrics.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    change(lines)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return copy


def test_two_runs_of_one_command_are_the_same(config, run, tmp_path):
    loop.train(config, "landmark", tmp_path / "again")
    assert (tmp_path / "again/landmark/metrics.jsonl").read_bytes() == (run / "landmark/metrics.jsonl").read_bytes()
    code, told = command(run, tmp_path / "again")
    assert code == 0 and "landmark: the same batches and losses in 6 steps, the same" in told


def test_another_learning_rate_parts_from_the_first_step_on(config, run, tmp_path):
    faster = dataclasses.replace(config, landmark=dataclasses.replace(config.landmark, learning_rate=2e-4))
    loop.train(faster, "landmark", tmp_path / "faster")
    code, told = command(run, tmp_path / "faster")
    assert code == 1
    assert "config: landmark.learning_rate: 0.0001 here, 0.0002 there" in told
    # Step 0's discriminator loss is that of equal weights, but its generator has seen the new discriminator.
    assert "losses differ first at step 0 of 6" in told and "batches differ" not in told
    assert "the states differ first after 2 steps" in told and "leaves, first generator/Dense_0/bias" in told


def test_another_order_of_the_data_is_told_apart(run, tmp_path):
    def swap(lines):
        batches = lines[1]["digests"]["batches"]
        lines[1]["digests"]["batches"] = batches[8:16] + batches[:8]

    code, told = command(run, altered(run, tmp_path, swap))
    assert code == 1 and "batches differ first at step 0 of 6" in told and "losses differ" not in told


def test_the_first_leaf_is_named(run, tmp_path):
    leaves = compare_runs.trace(run / "landmark").leaves
    place = leaves.index("generator/Dense_0/kernel")

    def change(lines):
        line = next(line for line in lines if line["step"] == 4 and "digests" in line)
        state = line["digests"]["state"]
        line["digests"]["state"] = state[: 8 * place] + "0123abcd" + state[8 * place + 8 :]

    code, told = command(run, altered(run, tmp_path, change))
    assert code == 1
    assert (
        f"the states differ first after 4 steps, in 1 of {len(leaves)} leaves, first generator/Dense_0/kernel" in told
    )


def test_a_shorter_run_and_one_model_too_few_are_told(run, tmp_path):
    shorter = altered(run, tmp_path, lambda lines: lines.__delitem__(slice(-2, None)))
    code, told = command(run, shorter)
    assert code == 1 and "the first run has 6 steps, the second 4" in told
    shutil.rmtree(shorter / "landmark")
    code, told = command(run, shorter)
    assert code == 1 and f"landmark: trained in {run} only" in told


def test_reports_are_compared_byte_by_byte(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    other = shutil.copytree(run, tmp_path / "other")
    for folder in (copy, other):
        (folder / "report").mkdir()
        (folder / "report" / "metrics.json").write_text("{}")
    assert command(copy, other)[0] == 0
    (other / "report" / "metrics.json").write_text("{ }")
    code, told = command(copy, other)
    assert code == 1 and "report: 1 of 1 files differ, first report/metrics.json" in told


def test_no_run_is_one_line(tmp_path):
    code, told = command(tmp_path, tmp_path)
    assert code == 2 and "no training run in" in told
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2}\n')
    with pytest.raises(UserError, match="holds no digests"):
        compare_runs.trace(tmp_path)


@pytest.mark.slow
def test_self_trains_twice_in_fresh_processes(data_dir):
    options = ["--self", "all", "--preset", "debug", "--data-dir", str(data_dir)]
    told = run_script("-m", "avlgan_jax.training.compare_runs", *options).stdout
    for name in ("regressor", "landmark", "image", "avgan"):
        assert f"{name}: the same batches and losses in 4 steps" in told

"""Runs of several real processes on this machine, which communicate with gloo."""

import signal
import time

import jax
import numpy as np
import pytest
from training_processes import ended, leaves, start, start_job, steps_saved, wait_for

from avlgan_jax.runtime import multihost

LONG = ("--landmark.steps", 1_000_000, "--log-every", 20, "--checkpoint-every", 100, "--sample-every", 1_000_000)


def trained_by(data_dir, folder, model, processes, devices, *options):
    """Train a model in processes with `devices` devices each; return the leaves of its checkpoint."""
    if processes == 1:
        job = [start(data_dir, folder, model, *options, devices=devices)]
    else:
        job = start_job(data_dir, folder, model, *options, processes=processes, devices=devices)
    for code, output in ended(*job):
        assert code == 0, output
    return leaves(folder, model)


def assert_near(ours, theirs):
    """Assert the documented tolerance: fewer than 1 % of the parameters differ by more than 5e-6.

    Adam's first steps are nearly the sign of the gradient. Where the gradient is a rounding error, the sign may differ,
    so a few parameters may move the other way.
    """
    differing = sum(int(np.sum(np.abs(a - b) > 5e-6)) for a, b in zip(ours, theirs, strict=True))
    assert differing < 0.01 * sum(leaf.size for leaf in ours)


@pytest.mark.parametrize(
    ("processes", "on_device"),
    [(2, "auto"), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((2, "yes"), (4, "auto")))],
)
def test_any_processes_make_the_same_update(data_dir, tmp_path, processes, on_device):
    alone = trained_by(data_dir, tmp_path / "alone", "landmark", 1, 4)
    faces = ("--data-on-device", on_device)
    together = trained_by(data_dir, tmp_path / "together", "landmark", processes, 4 // processes, *faces)
    assert_near(together, alone)
    # One process continues from the checkpoint of several.
    (code, output), *_ = ended(start(data_dir, tmp_path / "together", "landmark", "--landmark.steps", 4, devices=1))
    assert code == 0 and "4 of 4 steps are done already" in output


@pytest.mark.slow
def test_a_stop_request_to_one_process_saves_and_stops_all(data_dir, tmp_path):
    job = start_job(data_dir, tmp_path, "landmark", *LONG, processes=2, devices=1)
    wait_for(lambda: steps_saved(tmp_path), *job)
    job[1].send_signal(signal.SIGTERM)
    found = ended(*job, seconds=60)
    assert [code for code, _ in found] == [75, 75], found
    assert steps_saved(tmp_path)[-1] > 100


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_when_one_process_is_killed_the_others_end(data_dir, tmp_path, killed):
    job = start_job(data_dir, tmp_path, "landmark", *LONG, processes=2, devices=1)
    wait_for(lambda: steps_saved(tmp_path), *job)
    job[killed].kill()
    died = time.monotonic()
    found = ended(*job, seconds=90)
    assert time.monotonic() - died < 90
    code, output = found[1 - killed]
    assert code != 0 and ("another process of this run has ended" in output or "JAX distributed service" in output), (
        output
    )
    assert steps_saved(tmp_path), "the last checkpoint is intact"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("UNAVAILABLE: connection to the coordinator is lost", 75),
        ("INTERNAL: Gloo all-reduce failed: Connection closed by peer", 75),
        ("RESOURCE_EXHAUSTED: Out of memory", 2),
        ("INVALID_ARGUMENT: shapes differ", 1),
    ],
)
def test_only_a_lost_connection_asks_for_a_restart(text, status, capsys):
    assert multihost._report_and_exit_code(jax.errors.JaxRuntimeError(text)) == status
    assert ("another process" in capsys.readouterr().err) == (status == 75)

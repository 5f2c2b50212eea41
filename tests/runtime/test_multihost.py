"""Runs of several real processes, over gloo on this machine."""

import signal
import time

import numpy as np
import pytest
from training_processes import ended, leaves, start, start_job, steps_saved, wait_for

LONG = ("--landmark.steps", 1_000_000, "--log-every", 20, "--checkpoint-every", 100, "--sample-every", 1_000_000)


def trained_by(data_dir, folder, model, processes, devices, *options):
    if processes == 1:
        job = [start(data_dir, folder, model, *options, devices=devices)]
    else:
        job = start_job(data_dir, folder, model, *options, processes=processes, devices=devices)
    for code, told in ended(*job):
        assert code == 0, told
    return leaves(folder, model)


def assert_near(ours, theirs):
    """The documented tolerance: Adam's first steps are nearly the sign of the gradient, and where that is a rounding
    error it may turn over, so a few parameters may move the other way."""
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
    # What several processes saved one goes on from.
    (code, told), *_ = ended(start(data_dir, tmp_path / "together", "landmark", "--landmark.steps", 4, devices=1))
    assert code == 0 and "4 of 4 steps are done already" in told


@pytest.mark.slow
def test_asking_one_process_to_stop_saves_for_all(data_dir, tmp_path):
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
    code, told = found[1 - killed]
    assert code != 0 and ("another process of this run has ended" in told or "JAX distributed service" in told), told
    assert steps_saved(tmp_path), "the last checkpoint is intact"

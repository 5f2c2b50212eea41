"""Spawned processes: one BLAS thread each, whatever this process has."""

import os

import pytest

from avlgan_jax import processes


def threads_of_openblas(_):
    import numpy as np

    np.ones((300, 300)) @ np.ones((300, 300))
    return os.environ["OPENBLAS_NUM_THREADS"], len(os.listdir("/proc/self/task"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads where Linux lists them")
@pytest.mark.parametrize(("asked", "told"), [(None, "1"), ("2", "2")])
def test_a_spawned_process_multiplies_in_one_thread_or_as_the_user_says(asked, told, monkeypatch):
    for library in ("OPENBLAS", "MKL", "OMP"):
        monkeypatch.delenv(f"{library}_NUM_THREADS", raising=False)
        if asked is not None:
            monkeypatch.setenv(f"{library}_NUM_THREADS", asked)
    with processes.single_threaded_context().Pool(1) as pool:
        ((setting, threads),) = pool.map(threads_of_openblas, [0])
    assert setting == told
    if told == "1":
        assert threads == 1

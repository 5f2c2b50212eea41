"""Spawned processes: one BLAS thread each, independent of this process's number of threads."""

import os

import pytest

from avlgan_jax import processes


def threads_of_openblas(_):
    """Return OPENBLAS_NUM_THREADS and the number of threads of this process after a matrix product."""
    import numpy as np

    np.ones((300, 300)) @ np.ones((300, 300))
    return os.environ["OPENBLAS_NUM_THREADS"], len(os.listdir("/proc/self/task"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts the threads in Linux's /proc")
@pytest.mark.parametrize(("user_setting", "expected"), [(None, "1"), ("2", "2")])
def test_a_spawned_process_uses_one_blas_thread_or_the_number_that_the_user_sets(user_setting, expected, monkeypatch):
    for library in ("OPENBLAS", "MKL", "OMP"):
        monkeypatch.delenv(f"{library}_NUM_THREADS", raising=False)
        if user_setting is not None:
            monkeypatch.setenv(f"{library}_NUM_THREADS", user_setting)
    with processes.single_threaded_context().Pool(1) as pool:
        ((setting, threads),) = pool.map(threads_of_openblas, [0])
    assert setting == expected
    if expected == "1":
        assert threads == 1

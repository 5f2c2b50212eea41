"""Processes that share the cores evenly."""

import multiprocessing
import os
from multiprocessing.context import SpawnContext

# What NumPy's BLAS, whichever it is, reads the number of its threads from.
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def single_threaded_context() -> SpawnContext:
    """Where processes are spawned that leave each other's cores alone.

    NumPy's BLAS starts a thread for each core in every process, and those that wait spin: two processes that draw
    faces on two cores then take more than twice as long. A process reads the setting when it imports NumPy, so this
    one keeps what it has. What the user has set stays.
    """
    for setting in THREADS:
        os.environ.setdefault(setting, "1")
    return multiprocessing.get_context("spawn")

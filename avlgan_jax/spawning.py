"""Processes that share the cores evenly."""

import multiprocessing
import os
from multiprocessing.context import SpawnContext


def one_thread_each() -> SpawnContext:
    """Where processes are spawned that leave each other's cores alone.

    NumPy's BLAS starts a thread for each core in every process, and those that wait spin: two processes that draw
    faces on two cores then take more than twice as long. A process reads the setting when it imports NumPy, so this
    one keeps what it has. What the user has set stays.
    """
    for library in ("OPENBLAS", "MKL", "OMP"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    return multiprocessing.get_context("spawn")

"""Worker processes that use one thread each."""

import multiprocessing
import os
from multiprocessing.context import SpawnContext

# Environment variables from which the BLAS libraries of NumPy read their number of threads.
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def single_threaded_context() -> SpawnContext:
    """Return a multiprocessing context whose spawned processes use one BLAS thread each.

    By default NumPy's BLAS starts one thread per core in every process, and waiting threads spin: two processes that
    draw faces on two cores then take more than twice as long.

    This sets the variables in `THREADS` that the user has not set. BLAS reads them when NumPy is imported, so the
    calling process keeps its number of threads.
    """
    for setting in THREADS:
        os.environ.setdefault(setting, "1")
    return multiprocessing.get_context("spawn")

"""Parallel map over processes that keeps the order of its inputs and shows a progress line."""

import collections
import functools
import itertools
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tqdm import tqdm

from avlgan_jax.errors import UserError
from avlgan_jax.processes import single_threaded_context

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[list[Item]], list[Result]],
    items: Iterable[Item],
    *,
    count: int,
    workers: int,
    title: str,
    chunk: int = 16,
) -> Iterator[Result]:
    """Yield the result of each item, in the order of `items` for any number of workers.

    With more than one worker, `function`, the items and the results are pickled, and processes are spawned: a fork
    would copy the locks of TensorFlow's threads.

    Args:
        function: Maps a list of up to `chunk` items to a list of as many results. It takes several items because
            sending one to a process costs as much as drawing a small face, and because detectors on a GPU work in
            batches.
        items: The inputs.
        count: Number of items, for the progress line.
        workers: Number of processes; 1 runs `function` in this process.
        title: Label of the progress line.
        chunk: Largest number of items in one call of `function`.

    Raises:
        UserError: If a worker process is killed.
    """
    iterator = iter(items)
    chunks = iter(lambda: list(itertools.islice(iterator, chunk)), [])
    with tqdm(total=count, desc=title, unit="faces", mininterval=0.5, dynamic_ncols=True) as progress:
        for results in map(function, chunks) if workers <= 1 else _spread(function, chunks, workers):
            progress.update(len(results))
            yield from results


def _spread(
    function: Callable[[list[Item]], list[Result]], chunks: Iterator[list[Item]], workers: int
) -> Iterator[list[Result]]:
    """Yield the results of each chunk in order, computed by worker processes."""
    executor = _executor(workers)
    # At most 4 chunks per worker are submitted at a time, so that a data set of half a million images does not fill
    # the memory.
    pending = collections.deque()
    try:
        while True:
            pending.extend(executor.submit(function, c) for c in itertools.islice(chunks, 4 * workers - len(pending)))
            if not pending:
                return
            yield pending.popleft().result()
    except BrokenProcessPool:
        _executor.cache_clear()
        raise UserError(
            f"one of {workers} worker processes was killed, possibly for lack of memory; try again with fewer --workers"
        ) from None
    finally:
        for future in pending:
            future.cancel()


@functools.cache
def _executor(workers: int) -> ProcessPoolExecutor:
    """Return a pool of processes, kept for the next split because starting them takes a second."""
    return ProcessPoolExecutor(workers, mp_context=single_threaded_context(), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Make a worker exit when its parent process is killed; otherwise it would wait for work forever."""

    def wait() -> None:
        multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()

"""Work spread over processes, given back in order, with a progress line."""

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
    """The results of `items`, in their order whatever the number of `workers`.

    `function` takes a list of up to `chunk` items and gives a list of as many results: sending one to a process costs
    as much as drawing a small face, and a detector on a GPU wants several at once. One worker means this process.
    Otherwise `function`, items and results are pickled, and fresh processes are spawned (a fork would copy the locks
    of TensorFlow's threads). `count` and `title` are for the progress line. Raises UserError when a worker is killed.
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
    executor = _executor(workers)
    # A window of work in flight, so that a set of half a million images is never in memory at once.
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
            f"one of {workers} worker processes was killed, perhaps for want of memory; try again with fewer --workers"
        ) from None
    finally:
        for future in pending:
            future.cancel()


@functools.cache
def _executor(workers: int) -> ProcessPoolExecutor:
    """Kept for the next split: processes take a second to start. They end with this one."""
    return ProcessPoolExecutor(workers, mp_context=single_threaded_context(), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Let a worker end when the process that started it is killed: else it would wait for work for ever."""

    def wait() -> None:
        multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()

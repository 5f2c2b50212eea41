"""Timing of contenders that take turns in one process after a warm-up, as medians with their range."""

import dataclasses
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

# A call is warm if it takes fewer new pages (of 4 kB) from the system, which clears each of them.
_FEW_PAGES = 5_000
# Calls of a warm-up, at most, and warm ones in a row that end it.
_MOST_CALLS, _WARM_CALLS = 24, 3


@dataclasses.dataclass(frozen=True)
class Setting:
    """Device and sizes of a measurement.

    Attributes:
        device: "cpu" or "gpu".
        tiny: Whether to use the smallest sizes and one round, only to check that everything runs.
        compiles: Whether to make the first call of each contender only, so that its programs are in the caches.
    """

    device: Literal["cpu", "gpu"]
    tiny: bool
    compiles: bool = False

    @property
    def rounds(self) -> int:
        """Number of rounds over which the median is taken."""
        return 0 if self.compiles else 1 if self.tiny else 7

    @property
    def torch_device(self) -> str:
        """Name of the device in PyTorch."""
        return {"cpu": "cpu", "gpu": "cuda"}[self.device]


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Times or rates of one contender over several rounds.

    Attributes:
        median: Median of the rounds.
        low: Lowest value.
        high: Highest value.
        unit: Unit of these values; rates, for which more is better, end in "/s".
        rounds: Number of rounds.
        first: Seconds of the call before the rounds, which includes compilation.
    """

    median: float
    low: float
    high: float
    unit: str
    rounds: int
    first: float

    @property
    def more_is_better(self) -> bool:
        """Whether the values are rates, not times."""
        return self.unit.endswith("/s")


@dataclasses.dataclass(frozen=True)
class Case:
    """One entry of the table.

    Attributes:
        name: Name of the entry.
        measured: Measurements by contender, `ours` first.
        facts: Further numbers, by name and unit.
    """

    name: str
    measured: dict[str, Measurement]
    facts: dict[str, float] = dataclasses.field(default_factory=dict)


def single(seconds: float, unit: str, items: float = 1.0) -> Measurement:
    """Return the measurement of something that is timed once, such as a start, because a repetition would differ.

    Args:
        seconds: The time.
        unit: "s", or a rate such as "images/s".
        items: Number of items processed in that time.
    """
    return summarised([seconds], unit, items)


def summarised(seconds: Sequence[float], unit: str, items: float = 1.0) -> Measurement:
    """Return the measurement of rounds that were timed in other processes.

    Args:
        seconds: The time of each round.
        unit: "s", or a rate such as "images/s".
        items: Number of items processed in each round.
    """
    return _measurement(list(seconds), unit, items, seconds[0])


def alternate(
    contenders: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    unit: str,
    items: float = 1.0,
    warm_up_calls: int | None = None,
) -> dict[str, Measurement]:
    """Time all contenders in turn, so that a machine that slows down slows all of them.

    Args:
        contenders: Functions by name. A call must return when its work is done, not when it is queued.
        rounds: Number of timed calls of each contender, after a first call and `warm_up`; 0 for the first call only,
            whose time is then returned.
        unit: "s" for the seconds of a call divided by `items`, or a rate such as "images/s" for `items` divided by the
            seconds.
        items: Number of items processed in a call.
        warm_up_calls: Number of calls in place of `warm_up`. Processes that wait for each other in a call must make the
            same number, and the memory of each grows in its own way.

    Returns:
        The measurements by name.
    """
    first = {name: _seconds(call) for name, call in contenders.items()}
    if not rounds:
        return {name: _measurement([seconds], unit, items, seconds) for name, seconds in first.items()}
    for call in contenders.values():
        if warm_up_calls is None:
            warm_up(call)
        else:
            for _ in range(warm_up_calls):
                call()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            times[name].append(_seconds(call))
    return {name: _measurement(seconds, unit, items, first[name]) for name, seconds in times.items()}


def warm_up(call: Callable[[], object]) -> int:
    """Call until three calls in a row take hardly any new memory from the system, and return the number of calls.

    Caches fill, some contenders compile on the second call, and the heap of a training grows for up to 15 steps: at 64
    px and width 32 a step that takes half a gigabyte of new pages lasts 1.5 times as long as the others.
    """
    made = warm = 0
    while warm < _WARM_CALLS and made < _MOST_CALLS:
        before = _page_faults()
        call()
        made += 1
        warm = warm + 1 if _page_faults() - before < _FEW_PAGES else 0
    return made


def _page_faults() -> int:
    """Return the number of pages that the process has taken from the system so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _measurement(seconds: list[float], unit: str, items: float, first: float) -> Measurement:
    values = [items / s if unit.endswith("/s") else s / items for s in seconds]
    return Measurement(statistics.median(values), min(values), max(values), unit, len(values), first)


def ratio(ours: Measurement, theirs: Measurement) -> float:
    """Return the speed-up of `ours` over `theirs`; above 1, `ours` is faster."""
    return ours.median / theirs.median if ours.more_is_better else theirs.median / ours.median


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start

"""Fair times: contenders take turns in one process after a warm-up, and the median stands beside its spread."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where to measure, and whether only to see that everything runs."""

    device: Literal["cpu", "gpu"]
    tiny: bool

    @property
    def rounds(self) -> int:
        """Rounds of which the median is taken."""
        return 1 if self.tiny else 7

    @property
    def torch_device(self) -> str:
        """The device's name in PyTorch."""
        return {"cpu": "cpu", "gpu": "cuda"}[self.device]


@dataclasses.dataclass(frozen=True)
class Measurement:
    """Median of several rounds, and the lowest and highest of them; `unit` ends in `/s` where more is better."""

    median: float
    low: float
    high: float
    unit: str
    rounds: int
    first: float
    """Seconds of the call before the rounds, which compiles."""

    @property
    def more_is_better(self) -> bool:
        """Rates are to be high, times to be low."""
        return self.unit.endswith("/s")


@dataclasses.dataclass(frozen=True)
class Case:
    """One line of the table: contenders by name, `ours` first, and numbers that belong to it by name and unit."""

    name: str
    measured: dict[str, Measurement]
    facts: dict[str, float] = dataclasses.field(default_factory=dict)


def single(seconds: float, unit: str, items: float = 1.0) -> Measurement:
    """What was measured once, of what would not be the same a second time: a start, a preparation."""
    return summarised([seconds], unit, items)


def summarised(seconds: Sequence[float], unit: str, items: float = 1.0) -> Measurement:
    """What was timed elsewhere, in processes of its own: each of `seconds` counts for `items`."""
    return _measurement(list(seconds), unit, items, seconds[0])


def alternate(
    contenders: Mapping[str, Callable[[], object]], *, rounds: int, unit: str, items: float = 1.0
) -> dict[str, Measurement]:
    """Time every contender `rounds` times, in turn, so that a machine that slows down slows all of them.

    A call must return when its work is done, not when it is queued. With a unit like `images/s` a call counts for
    `items` of them; with `s` the measurement is the seconds of a call over `items`.
    """
    first = {name: _seconds(call) for name, call in contenders.items()}
    for call in contenders.values():  # once more: caches fill, and some compile on the second call
        call()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            times[name].append(_seconds(call))
    return {name: _measurement(seconds, unit, items, first[name]) for name, seconds in times.items()}


def _measurement(seconds: list[float], unit: str, items: float, first: float) -> Measurement:
    values = [items / s if unit.endswith("/s") else s / items for s in seconds]
    return Measurement(statistics.median(values), min(values), max(values), unit, len(values), first)


def ratio(ours: Measurement, theirs: Measurement) -> float:
    """How many times faster ours is."""
    return ours.median / theirs.median if ours.more_is_better else theirs.median / ours.median


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start

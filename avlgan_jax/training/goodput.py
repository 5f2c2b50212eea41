"""Goodput: which part of a run's wall-clock time went into steps that count.

    python -m avlgan_jax.training.goodput runs/demo

A training that is stopped and started again is a sequence of attempts. Each attempt writes lines to
WORKDIR/MODEL/attempts.jsonl that say how many seconds it has spent on what. Time between the attempts, and steps that a
later attempt had to repeat, are lost.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jax
import tyro

from avlgan_jax.config import MODEL_NAMES
from avlgan_jax.errors import UserError, command

FILE = "attempts.jsonl"
# What an attempt spends its time on. "steps" is what remains.
KINDS = ("start", "compile", "data", "checkpoint", "evaluation", "steps")
WORDS = {
    "steps": "steps that count",
    "start": "start: reading data and checkpoint",
    "compile": "compilation, with the first step of each program",
    "data": "waiting for data",
    "checkpoint": "waiting for a checkpoint",
    "evaluation": "validation and samples",
    "repeated": "lost: what a later attempt did again",
    "between": "lost: between attempts",
}
_HIT, _MISS = "/jax/compilation_cache/cache_hits", "/jax/compilation_cache/cache_misses"


class Stopwatch:
    """The seconds that this attempt has spent so far, by kind."""

    def __init__(self):
        self.started = time.time()
        self._begin = time.perf_counter()
        self._spent = dict.fromkeys(KINDS[:-1], 0.0)

    def add(self, kind: str, seconds: float) -> None:
        """Add seconds to one of KINDS but "steps"."""
        self._spent[kind] += seconds

    @contextlib.contextmanager
    def measure(self, kind: str) -> Iterator[None]:
        """Add the duration of the block to one of KINDS but "steps"."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.add(kind, time.perf_counter() - begin)

    def ready(self) -> None:
        """Count all time so far as "start"."""
        self._spent["start"] = time.perf_counter() - self._begin

    def seconds(self) -> dict[str, float]:
        """Return the seconds by kind. They add up to the time since the attempt started."""
        spent = time.perf_counter() - self._begin
        return {**self._spent, "steps": max(spent - sum(self._spent.values()), 0.0)}


@dataclass
class CompiledPrograms:
    """Counts of the programs that JAX took from the compilation cache and that it compiled, while the block runs."""

    cached: int = 0
    compiled: int = 0
    seconds: float = 0.0

    def __enter__(self) -> "CompiledPrograms":
        self.seconds = -time.perf_counter()
        jax.monitoring.register_event_listener(self._count)
        return self

    def __exit__(self, *_) -> None:
        self.seconds += time.perf_counter()
        jax.monitoring.unregister_event_listener(self._count)

    def _count(self, event: str, **_) -> None:
        self.cached += event == _HIT
        self.compiled += event == _MISS

    @property
    def words(self) -> str:
        """The duration, and the counts if there is a cache, in words."""
        took = f"compilation took {self.seconds:.1f} s"
        if not self.cached + self.compiled:
            return took
        return f"{took}: {self.cached} programs from the cache, {self.compiled} compiled"


def write(folder: Path, stopwatch: Stopwatch, step: int) -> None:
    """Append a line with the state of this attempt after `step` steps to the model's folder.

    A line that a kill left incomplete is removed first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seconds = {kind: round(value, 3) for kind, value in stopwatch.seconds().items()}
    line = {"started": round(stopwatch.started, 3), "step": step, "seconds": seconds}
    with (folder / FILE).open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        file.write(json.dumps(line).encode() + b"\n")


@dataclass
class Goodput:
    """Where the wall-clock time of a training went."""

    attempts: int = 0
    wall: float = 0.0
    """Seconds from the start of the first attempt to the last line of the last one."""
    spent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(WORDS, 0.0))
    """Seconds by the keys of WORDS; they add up to `wall`."""

    @property
    def share(self) -> float:
        """Share of the wall-clock time that went into steps that count."""
        return self.spent["steps"] / self.wall if self.wall else 0.0


def read(folder: Path) -> Goodput:
    """Return the goodput of the training in a model's folder.

    The end of a killed attempt is not known. Its time after its last line counts as time between attempts.

    Raises:
        UserError: No attempt is recorded, or the record is damaged.
    """
    path, attempts = folder / FILE, {}
    if not path.is_file():
        raise UserError(f"{path} is missing: no training of this version has run there")
    lines = path.read_text().splitlines()
    for number, text in enumerate(lines, 1):
        try:
            line = json.loads(text)
            line = {"started": float(line["started"]), "step": int(line["step"]), "seconds": dict(line["seconds"])}
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                break  # a kill left it incomplete
            raise UserError(f"{path}, line {number} is damaged; delete the file to measure from now on") from error
        attempts.setdefault(line["started"], []).append(line)
    return _add_up([attempts[started] for started in sorted(attempts)])


def _add_up(attempts: list[list[dict]]) -> Goodput:
    """Return the goodput of attempts in order, each a list of its lines."""
    result = Goodput(len(attempts))
    if not attempts:
        return result
    followers = [*attempts[1:], None]
    for lines, follower in zip(attempts, followers, strict=True):
        last = lines[-1]["seconds"]
        kept = last
        if follower is not None:
            # The next attempt started from a checkpoint; all that this one did later was done again.
            before = [line for line in lines if line["step"] <= follower[0]["step"]]
            kept = before[-1]["seconds"] if before else dict.fromkeys(KINDS, 0.0)
            end = lines[0]["started"] + sum(last.values())
            result.spent["between"] += max(follower[0]["started"] - end, 0.0)
        for kind in KINDS:
            result.spent[kind] += kept[kind]
        result.spent["repeated"] += sum(last.values()) - sum(kept.values())
    result.wall = sum(result.spent.values())
    return result


def text_table(found: dict[str, Goodput]) -> str:
    """Return a table: one line per model and kind of time that it has."""
    lines = []
    for name, goodput in found.items():
        attempts = f"{goodput.attempts} attempt{'s' if goodput.attempts != 1 else ''}"
        lines.append(f"{name}: {goodput.share:.1%} of {goodput.wall:.0f} s in steps that count, {attempts}")
        lines += [
            f"  {words:50} {goodput.spent[kind]:8.1f} s {goodput.spent[kind] / goodput.wall:6.1%}"
            for kind, words in WORDS.items()
            if goodput.spent[kind] >= 0.05
        ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Arguments:
    """Print where the wall-clock time of a run's trainings went."""

    workdir: tyro.conf.Positional[Path]
    """Folder of the training run."""


@command
def main() -> None:
    """Run the command line."""
    folder = tyro.cli(Arguments, description=__doc__).workdir
    names = [name for name in MODEL_NAMES if (folder / name / FILE).is_file()]
    if not names:
        raise UserError(f"no model in {folder} has a record of its attempts ({FILE}): expected a training run")
    print(text_table({name: read(folder / name) for name in names}))


if __name__ == "__main__":
    main()

"""Which batches a run passes over because a number went bad in them, written down so that the run can be made again.

A bad step is written to WORKDIR/MODEL/bad_step.json when it ends the run. With `--resume-skip` its place and those
before it, back to the checkpoint that training goes on from, move to skipped.json: these steps then see other batches,
as after a loss spike in PaLM (Chowdhery et al. 2022, section 5.1).
"""

import dataclasses
import json
from pathlib import Path

from avlgan_jax.atomic_files import write_text
from avlgan_jax.errors import UserError
from avlgan_jax.runtime import multihost

BAD, SKIPPED = "bad_step.json", "skipped.json"
# Batches are a function of the step; those of steps no run will reach take the place of what is skipped.
_REPLACEMENT_OFFSET = 2**40


@dataclasses.dataclass(frozen=True)
class SkippedSteps:
    """The steps, first and last included, whose batches are replaced; a step skipped twice is replaced twice."""

    intervals: tuple[tuple[int, int], ...] = ()

    def data_step(self, step: int) -> int:
        """The step whose batch `step` sees."""
        return step + _REPLACEMENT_OFFSET * sum(first <= step <= last for first, last in self.intervals)


def read_skips(folder: Path) -> SkippedSteps:
    """What is skipped in the model folder. Raises UserError if the file is not what `resume_past` writes."""
    path = folder / SKIPPED
    if not path.exists():
        return SkippedSteps()
    try:
        return SkippedSteps(tuple((int(first), int(last)) for first, last in json.loads(path.read_text())))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}); restore it, or train in another workdir") from None


def broadcast_skips(ours: SkippedSteps) -> SkippedSteps:
    """What the first of a run's processes skips."""
    return SkippedSteps(tuple(map(tuple, json.loads(multihost.broadcast_text(json.dumps(ours.intervals))))))


def resume_past(folder: Path, start: int) -> SkippedSteps:
    """Skip from `start` to the bad step that ended the run, if one did."""
    skips, path = read_skips(folder), folder / BAD
    if not path.exists():
        return skips
    try:
        bad = int(json.loads(path.read_text())["step"])
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it") from None
    skips = SkippedSteps((*skips.intervals, (start, bad)))
    write_text(folder / SKIPPED, json.dumps(skips.intervals) + "\n")
    path.unlink()
    print(f"skipping the batches of steps {start} to {bad}, as {folder / SKIPPED} says from now on")
    return skips


def write_bad_step(folder: Path, found: dict) -> Path:
    """Write down the bad step: `step`, what was found there, and the ids of its faces."""
    write_text(folder / BAD, json.dumps(found, indent=1) + "\n")
    return folder / BAD

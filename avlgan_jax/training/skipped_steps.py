"""Steps whose batches are replaced because they led to a number that is not finite, recorded for reproducibility.

A bad step ends the run and is written to WORKDIR/MODEL/bad_step.json. With `--resume-skip`, all steps from the restored
checkpoint up to and including the bad step are added to skipped.json. These steps then use other batches, as after a
loss spike in PaLM (Chowdhery et al. 2022, section 5.1).
"""

import dataclasses
import json
from pathlib import Path

from avlgan_jax.atomic_files import write_text
from avlgan_jax.errors import UserError
from avlgan_jax.runtime import multihost

BAD, SKIPPED = "bad_step.json", "skipped.json"
# A batch is a function of the step. A skipped step uses the batch of a step that is too large for any run to reach.
_REPLACEMENT_OFFSET = 2**40


@dataclasses.dataclass(frozen=True)
class SkippedSteps:
    """Intervals of steps, [first, last] inclusive, whose batches are replaced.

    A step in two intervals gets a second replacement.
    """

    intervals: tuple[tuple[int, int], ...] = ()

    def data_step(self, step: int) -> int:
        """Return the step whose batch is used at `step`: `step` itself unless it is skipped."""
        return step + _REPLACEMENT_OFFSET * sum(first <= step <= last for first, last in self.intervals)


def read_skips(folder: Path) -> SkippedSteps:
    """Read skipped.json from a model's folder; return no intervals if the file does not exist.

    Raises:
        UserError: The file is damaged.
    """
    path = folder / SKIPPED
    if not path.exists():
        return SkippedSteps()
    try:
        return SkippedSteps(tuple((int(first), int(last)) for first, last in json.loads(path.read_text())))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}); restore it, or train in another workdir") from None


def broadcast_skips(ours: SkippedSteps) -> SkippedSteps:
    """Return the first process's skipped steps in every process of the run."""
    return SkippedSteps(tuple(map(tuple, json.loads(multihost.broadcast_text(json.dumps(ours.intervals))))))


def resume_past(folder: Path, start: int) -> SkippedSteps:
    """Add the steps from `start` to the recorded bad step to skipped.json, and delete bad_step.json.

    Args:
        folder: The model's folder.
        start: Step of the checkpoint that training resumes from.

    Returns:
        All skipped steps, unchanged if there is no bad_step.json.

    Raises:
        UserError: bad_step.json or skipped.json is damaged.
    """
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
    print(f"replacing the batches of steps {start} to {bad}, as recorded in {folder / SKIPPED}")
    return skips


def write_bad_step(folder: Path, found: dict) -> Path:
    """Write bad_step.json to a model's folder and return its path.

    Args:
        folder: The model's folder.
        found: The bad `step`, the metric or leaf, its value, the last good checkpoint and the ids of the batch's faces.
    """
    write_text(folder / BAD, json.dumps(found, indent=1) + "\n")
    return folder / BAD

"""Check whether two training runs computed the same, and print the first step and quantity that differ.

    python -m avlgan_jax.training.compare_runs runs/a runs/b
    python -m avlgan_jax.training.compare_runs --self all --preset debug --data-dir data

The first form compares two workdirs: configs, the digests in metrics.jsonl of each model, step by step, and the reports
byte by byte. The second form takes the arguments of train.py except `--workdir`, trains twice in new processes and
compares the two runs. The exit status is 0 if the runs are equal and 1 if they differ.
"""

import dataclasses
import operator
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import tyro

from avlgan_jax import config as configuration
from avlgan_jax.config import MODEL_NAMES
from avlgan_jax.errors import UserError, command
from avlgan_jax.training import fingerprints, metric_writer, workdir
from avlgan_jax.training.workdir import REPORT


@dataclasses.dataclass(frozen=True)
class Trace:
    """The digests in the metrics.jsonl of one model, by step."""

    leaves: tuple[str, ...]
    """Names of the leaves of the state."""
    batches: dict[int, str]
    """Digest of the batch plan of each step."""
    losses: dict[int, str]
    """Digest of the metrics of each step."""
    states: dict[int, tuple[str, ...]]
    """One digest per leaf of the state, by the number of steps done. Only steps with a line in metrics.jsonl."""

    @property
    def steps(self) -> int:
        """Number of steps done."""
        return max(self.states, default=0)


def trace(folder: Path) -> Trace:
    """Read the digests in the metrics.jsonl of a model's folder.

    Raises:
        UserError: metrics.jsonl has an invalid line, or no digests.
    """
    found = Trace((), {}, {}, {})
    for line in metric_writer.read_metrics(folder):
        try:
            found = _with_line(found, line)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{folder / metric_writer.METRICS} has an invalid line ({error}); restore the file or train again"
            ) from None
    if not found.states:
        raise UserError(f"{folder / metric_writer.METRICS} holds no digests; train again, this version writes them")
    return found


def _with_line(found: Trace, line: dict) -> Trace:
    """Return the trace with the digests of one line added."""
    if "leaves" in line:
        return dataclasses.replace(found, leaves=tuple(map(str, line["leaves"])))
    if "digests" not in line:
        return found
    last, digests = operator.index(line["step"]), line["digests"]
    for name, of_step in (("batches", found.batches), ("losses", found.losses)):
        window = fingerprints.split(digests[name])
        of_step.update(zip(range(last - len(window), last), window, strict=True))
    found.states[last] = tuple(fingerprints.split(digests["state"]))
    if len(found.states[last]) != len(found.leaves):
        raise ValueError(f"{len(found.states[last])} digests of {len(found.leaves)} leaves")
    return found


def compare_traces(ours: Trace, theirs: Trace) -> list[str]:
    """Compare two runs of one model.

    Batches and losses are compared at every step that both runs have, states at the steps at which both runs wrote a
    line.

    Returns:
        One sentence for the first difference of each kind; empty if the runs are equal.
    """
    found = []
    for what in ("batches", "losses"):
        a, b = getattr(ours, what), getattr(theirs, what)
        step = next((step for step in sorted(a.keys() & b.keys()) if a[step] != b[step]), None)
        if step is not None:
            found.append(f"{what} differ first at step {step} of {len(a.keys() & b.keys())}")
    if ours.leaves != theirs.leaves:
        unmatched = sorted(set(ours.leaves) ^ set(theirs.leaves))
        found.append(f"the states have different leaves: {', '.join(unmatched[:3]) or 'the order differs'}")
        return found
    for step in sorted(ours.states.keys() & theirs.states.keys()):
        pairs = zip(ours.leaves, ours.states[step], theirs.states[step], strict=True)
        differing = [name for name, a, b in pairs if a != b]
        if differing:
            found.append(
                f"the states differ first after {step} steps, in {len(differing)} of {len(ours.leaves)} leaves, "
                f"first {differing[0]}"
            )
            break
    if ours.steps != theirs.steps:
        found.append(f"the first run has {ours.steps} steps, the second {theirs.steps}")
    return found


def compare(one: Path, two: Path) -> Iterator[tuple[bool, str]]:
    """Yield (equal, message) for the configs, for each model that is trained, and for the reports.

    Args:
        one: Workdir of the first run.
        two: Workdir of the second run.

    Raises:
        UserError: A folder is not a workdir, or a metrics.jsonl cannot be read or has no digests.
    """
    changed = configuration.differences(workdir.read_config(one), workdir.read_config(two))
    yield not changed, f"config: {'; '.join(changed) or 'the same'}"
    for name in MODEL_NAMES:
        present = [(run / name / metric_writer.METRICS).exists() for run in (one, two)]
        if not any(present):
            continue
        if not all(present):
            yield False, f"{name}: trained in {one if present[0] else two} only"
            continue
        a, b = trace(one / name), trace(two / name)
        differences = compare_traces(a, b)
        shared = len(a.states.keys() & b.states.keys())
        same = f"the same batches and losses in {a.steps} steps, the same {len(a.leaves)} leaves at {shared} of them"
        yield not differences, f"{name}: {'; '.join(differences) or same}"
    files = sorted(
        {path.relative_to(run) for run in (one, two) for path in (run / REPORT).rglob("*") if path.is_file()}
    )
    if files:
        differing = [str(file) for file in files if _content(one / file) != _content(two / file)]
        text = f"{len(differing)} of {len(files)} files differ, first {differing[0]}" if differing else "the same bytes"
        yield not differing, f"report: {text}"


def _content(path: Path) -> bytes | None:
    """Return the bytes of a file, or None if it does not exist."""
    return path.read_bytes() if path.is_file() else None


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Two workdirs to compare, or `--self` followed by the arguments of train.py."""

    workdirs: Annotated[tuple[Path, Path], tyro.conf.Positional]
    """Workdirs of the two runs."""


@command
def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["--self"]:
        with tempfile.TemporaryDirectory() as folder:
            runs = Path(folder, "first"), Path(folder, "second")
            for run in runs:
                training = [sys.executable, "-m", "avlgan_jax.training.run", *sys.argv[2:], "--workdir", str(run)]
                if subprocess.run(training).returncode:
                    raise UserError("a training run failed; its error message is above")
            _print_comparison(*runs)
        return
    _print_comparison(*tyro.cli(Arguments, description=__doc__).workdirs)


def _print_comparison(one: Path, two: Path) -> None:
    """Print every message of `compare`, and exit with status 1 if the runs differ."""
    found = list(compare(one, two))
    for _, text in found:
        print(text)
    if not all(same for same, _ in found):
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Did two training runs do the same? If not, from which step on, and in what first?

    python -m avlgan_jax.training.compare_runs runs/a runs/b
    python -m avlgan_jax.training.compare_runs --self all --preset debug --data-dir data

The first compares two workdirs by the digests in their metrics.jsonl, model by model and step by step, and then the
reports byte by byte. The second takes the arguments of train.py but `--workdir`, trains twice in fresh processes, and
compares. The exit status is 0 where all is the same and 1 where something differs.
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

_REPORT = "report"


@dataclasses.dataclass(frozen=True)
class Trace:
    """What the metrics.jsonl of one model tells: digests by step."""

    leaves: tuple[str, ...]
    batches: dict[int, str]
    losses: dict[int, str]
    states: dict[int, tuple[str, ...]]
    """One digest per leaf, of the state after that many steps."""

    @property
    def steps(self) -> int:
        """Steps done."""
        return max(self.states, default=0)


def trace(folder: Path) -> Trace:
    """Read the digests of the model in `folder`. Raises UserError where there are none."""
    found = Trace((), {}, {}, {})
    for line in metric_writer.read_metrics(folder):
        try:
            found = _with_line(found, line)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{folder / metric_writer.METRICS} has a line that training did not write ({error})"
            ) from None
    if not found.states:
        raise UserError(f"{folder / metric_writer.METRICS} holds no digests; train with this version to have them")
    return found


def _with_line(found: Trace, line: dict) -> Trace:
    if "leaves" in line:
        return dataclasses.replace(found, leaves=tuple(map(str, line["leaves"])))
    if "digests" not in line:
        return found
    last, told = operator.index(line["step"]), line["digests"]
    for name, of_step in (("batches", found.batches), ("losses", found.losses)):
        window = fingerprints.split(told[name])
        of_step.update(zip(range(last - len(window), last), window, strict=True))
    found.states[last] = tuple(fingerprints.split(told["state"]))
    if len(found.states[last]) != len(found.leaves):
        raise ValueError(f"{len(found.states[last])} digests of {len(found.leaves)} leaves")
    return found


def compare_traces(ours: Trace, theirs: Trace) -> list[str]:
    """What differs between two runs of one model, the first of each kind; nothing where they are the same.

    Batches and losses are known of every step, states of those at which both runs wrote a line.
    """
    found = []
    for what in ("batches", "losses"):
        a, b = getattr(ours, what), getattr(theirs, what)
        step = next((step for step in sorted(a.keys() & b.keys()) if a[step] != b[step]), None)
        if step is not None:
            found.append(f"{what} differ first at step {step} of {len(a.keys() & b.keys())}")
    if ours.leaves != theirs.leaves:
        strange = sorted(set(ours.leaves) ^ set(theirs.leaves))
        found.append(f"the states have other leaves: {', '.join(strange[:3]) or 'in another order'}")
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
        found.append(f"{ours.steps} steps were done here, {theirs.steps} there")
    return found


def compare(one: Path, two: Path) -> Iterator[tuple[bool, str]]:
    """(whether it is the same, what to say) for the configs, each model and each file of the reports."""
    apart = configuration.differences(workdir.read_config(one), workdir.read_config(two))
    yield not apart, f"config: {'; '.join(apart) or 'the same'}"
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
        {path.relative_to(run) for run in (one, two) for path in (run / _REPORT).rglob("*") if path.is_file()}
    )
    if files:
        differing = [str(file) for file in files if _content(one / file) != _content(two / file)]
        told = f"{len(differing)} of {len(files)} files differ, first {differing[0]}" if differing else "the same bytes"
        yield not differing, f"report: {told}"


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Two workdirs, or `--self` and the arguments of train.py."""

    workdirs: Annotated[tuple[Path, Path], tyro.conf.Positional]
    """The two runs."""


@command
def main() -> None:
    """The command line."""
    if sys.argv[1:2] == ["--self"]:
        with tempfile.TemporaryDirectory() as folder:
            runs = Path(folder, "first"), Path(folder, "second")
            for run in runs:
                training = [sys.executable, "-m", "avlgan_jax.training.run", *sys.argv[2:], "--workdir", str(run)]
                if subprocess.run(training).returncode:
                    raise UserError("training did not end well; its own message stands above")
            _tell(*runs)
        return
    _tell(*tyro.cli(Arguments, description=__doc__).workdirs)


def _tell(one: Path, two: Path) -> None:
    found = list(compare(one, two))
    for _, text in found:
        print(text)
    if not all(same for same, _ in found):
        sys.exit(1)


if __name__ == "__main__":
    main()

"""What a training run says while it runs: a progress line, metrics.jsonl, TensorBoard."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from avlgan_jax.atomic_files import write_text

METRICS = "metrics.jsonl"


@contextlib.contextmanager
def _without_torch() -> Iterator[None]:
    """For importing what takes PyTorch along wherever it is installed, which takes seconds, and does without."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # what Python takes for a package that cannot be imported
    try:
        yield
    finally:
        del sys.modules["torch"]


with _without_torch():
    import tensorboardX


class MetricWriter:
    """Tells of one model's training in `folder`. Lines of steps after `start` (of a run that died) are dropped.

    The first line of metrics.jsonl names the leaves of the state, in the order of their digests in later lines.
    """

    def __init__(self, folder: Path, name: str, start: int, steps: int, batch_size: int, leaves: list[str]):
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / METRICS
        self._batch_size = batch_size
        self._warned: set[str] = set()
        kept = [text for text, line in _lines(self._log) if _step_of(line) <= start]
        if not any("leaves" in json.loads(text) for text in kept[:1]):
            kept.insert(0, json.dumps({"step": 0, "leaves": leaves}))
        write_text(self._log, "".join(f"{line}\n" for line in kept))
        self._board = tensorboardX.SummaryWriter(str(folder), purge_step=start)
        # Lines for a file are fewer than updates for a screen.
        pause = 0.5 if sys.stderr.isatty() else 10.0
        self._line = tqdm(total=steps, initial=start, desc=name, unit="step", mininterval=pause, dynamic_ncols=True)

    def advance(self, steps: int) -> None:
        """Move the progress line by `steps`."""
        self._line.update(steps)

    def log(self, step: int, metrics: dict[str, float], waiting: float, digests: dict[str, str] | None = None) -> None:
        """Write the means of metrics at `step`; `waiting` is the share of time spent waiting for data.

        `digests` are those of the steps that the means are over, and of the state after them.
        """
        rate = self._line.format_dict["rate"]
        images = f"{rate * self._batch_size:.0f} images/s, " if rate else ""
        loss = metrics.get("loss", metrics.get("g/loss"))
        told = f"loss {loss:.3f}, " if loss is not None else ""
        self._line.set_postfix_str(f"{images}{told}{waiting:.1%} waiting for data", refresh=False)
        line = {"step": step} | {k: round(float(v), 7) for k, v in metrics.items()}
        with self._log.open("a") as file:
            file.write(json.dumps(line | ({"digests": digests} if digests else {})) + "\n")
        for name, value in metrics.items():
            self._board.add_scalar(name, value, step)
        if rate:
            self._board.add_scalar("speed/images_per_second", rate * self._batch_size, step)
        self._board.add_scalar("speed/waiting", waiting, step)

    def warn(self, step: int, kind: str, text: str) -> None:
        """Tell of a kind of trouble, the first time it is seen."""
        if kind not in self._warned:
            self._warned.add(kind)
            tqdm.write(f"warning: step {step}: {text}", file=sys.stderr)

    def show(self, step: int, image: np.ndarray) -> None:
        """A picture (h, w, 3) uint8 for TensorBoard."""
        self._board.add_image("samples", image, step, dataformats="HWC")

    def close(self) -> None:
        """End the line and the files."""
        self._line.close()
        self._board.close()


def read_metrics(folder: Path) -> list[dict]:
    """The lines of the metrics.jsonl in a model's folder; one cut short by a crash is left out."""
    return [line for _, line in _lines(folder / METRICS)]


def has_metric(folder: Path, step: int, metric: str) -> bool:
    """Whether a line of `step` tells `metric`."""
    return any(line.get("step") == step and metric in line for line in read_metrics(folder))


def _lines(path: Path) -> Iterator[tuple[str, dict]]:
    if not path.exists():
        return
    for text in path.read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):  # cut short by a crash, or no line of ours
            continue
        if isinstance(line, dict):
            yield text, line


def _step_of(line: dict) -> float:
    step = line.get("step")
    return step if isinstance(step, int) else float("inf")

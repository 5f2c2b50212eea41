"""Output of a training run: the progress bar, metrics.jsonl and TensorBoard."""

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
    """Prevent the import of PyTorch, which tensorboardX imports if installed (seconds) but does not need."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # makes `import torch` raise ModuleNotFoundError
    try:
        yield
    finally:
        del sys.modules["torch"]


with _without_torch():
    import tensorboardX


class MetricWriter:
    """A writer of one model's metrics to metrics.jsonl, TensorBoard and the progress bar.

    Opening it removes lines of steps after `start`, which an interrupted run left in metrics.jsonl. The first line
    names the leaves of the state, in the order of their digests in later lines.

    Args:
        folder: The model's folder.
        name: Name of the model, shown in the progress bar.
        start: Number of steps done.
        steps: Number of steps to train in total.
        batch_size: Images per step, for the images per second.
        leaves: Names of the leaves of the state (`fingerprints.names`).
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
        # Seconds between updates: a log file gets fewer than a terminal.
        interval = 0.5 if sys.stderr.isatty() else 10.0
        self._line = tqdm(total=steps, initial=start, desc=name, unit="step", mininterval=interval, dynamic_ncols=True)

    def advance(self, steps: int) -> None:
        """Advance the progress bar by `steps`."""
        self._line.update(steps)

    def log(self, step: int, metrics: dict[str, float], waiting: float, digests: dict[str, str] | None = None) -> None:
        """Write one line of metrics to metrics.jsonl and TensorBoard, and show the loss in the progress bar.

        Args:
            step: Number of steps done.
            metrics: Mean metrics by name.
            waiting: Share of the time that was spent waiting for data, in [0, 1].
            digests: Digests of the batches and losses since the last line, and of the state after `step` steps.
        """
        rate = self._line.format_dict["rate"]
        images = f"{rate * self._batch_size:.0f} images/s, " if rate else ""
        loss = metrics.get("loss", metrics.get("g/loss"))
        loss_text = f"loss {loss:.3f}, " if loss is not None else ""
        self._line.set_postfix_str(f"{images}{loss_text}{waiting:.1%} waiting for data", refresh=False)
        line = {"step": step} | {k: round(float(v), 7) for k, v in metrics.items()}
        with self._log.open("a") as file:
            file.write(json.dumps(line | ({"digests": digests} if digests else {})) + "\n")
        for name, value in metrics.items():
            self._board.add_scalar(name, value, step)
        if rate:
            self._board.add_scalar("speed/images_per_second", rate * self._batch_size, step)
        self._board.add_scalar("speed/waiting", waiting, step)

    def warn(self, step: int, kind: str, text: str) -> None:
        """Print a warning, once per `kind`."""
        if kind not in self._warned:
            self._warned.add(kind)
            tqdm.write(f"warning: step {step}: {text}", file=sys.stderr)

    def tell(self, text: str) -> None:
        """Print a line without breaking the progress bar."""
        tqdm.write(text, file=sys.stderr)

    def show(self, step: int, image: np.ndarray) -> None:
        """Write an image, uint8 (h, w, 3), to TensorBoard."""
        self._board.add_image("samples", image, step, dataformats="HWC")

    def close(self) -> None:
        """Close the progress bar and the TensorBoard files."""
        self._line.close()
        self._board.close()


def read_metrics(folder: Path) -> list[dict]:
    """Return the lines of metrics.jsonl in a model's folder, without lines that a crash left incomplete."""
    return [line for _, line in _lines(folder / METRICS)]


def has_metric(folder: Path, step: int, metric: str) -> bool:
    """Return whether metrics.jsonl has a line of `step` with `metric`."""
    return any(line.get("step") == step and metric in line for line in read_metrics(folder))


def _lines(path: Path) -> Iterator[tuple[str, dict]]:
    """Yield (text, parsed line) for each valid line; nothing if the file does not exist."""
    if not path.exists():
        return
    for text in path.read_text(errors="replace").splitlines():
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):  # left incomplete by a crash, or not written here
            continue
        if isinstance(line, dict):
            yield text, line


def _step_of(line: dict) -> float:
    """Return the step of a line, infinity if it has none."""
    step = line.get("step")
    return step if isinstance(step, int) else float("inf")

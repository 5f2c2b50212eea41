"""What a training run says while it runs: a progress line, metrics.jsonl, TensorBoard."""

import json
import sys
from pathlib import Path

import numpy as np
import tensorboardX
from tqdm import tqdm

from avlgan_jax.records import write_text


class Telemetry:
    """Tells of one model's training in `folder`. Lines of steps after `start` (of a run that died) are dropped."""

    def __init__(self, folder: Path, name: str, start: int, steps: int, batch_size: int):
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "metrics.jsonl"
        self._batch_size = batch_size
        if self._log.exists():
            kept = [line for line in self._log.read_text().splitlines() if _step_of(line) <= start]
            write_text(self._log, "".join(f"{line}\n" for line in kept))
        self._board = tensorboardX.SummaryWriter(str(folder), purge_step=start)
        # Lines for a file are fewer than updates for a screen.
        pause = 0.5 if sys.stderr.isatty() else 10.0
        self._line = tqdm(total=steps, initial=start, desc=name, unit="step", mininterval=pause, dynamic_ncols=True)

    def advance(self, steps: int) -> None:
        """Move the progress line by `steps`."""
        self._line.update(steps)

    def log(self, step: int, metrics: dict[str, float], waiting: float) -> None:
        """Write the means of metrics at `step`; `waiting` is the share of time spent waiting for data."""
        rate = self._line.format_dict["rate"]
        images = f"{rate * self._batch_size:.0f} images/s, " if rate else ""
        loss = metrics.get("loss", metrics.get("g/loss"))
        told = f"loss {loss:.3f}, " if loss is not None else ""
        self._line.set_postfix_str(f"{images}{told}{waiting:.1%} waiting for data", refresh=False)
        with self._log.open("a") as file:
            file.write(json.dumps({"step": step} | {k: round(float(v), 7) for k, v in metrics.items()}) + "\n")
        for name, value in metrics.items():
            self._board.add_scalar(name, value, step)
        if rate:
            self._board.add_scalar("speed/images_per_second", rate * self._batch_size, step)
        self._board.add_scalar("speed/waiting", waiting, step)

    def show(self, step: int, image: np.ndarray) -> None:
        """A picture (h, w, 3) uint8 for TensorBoard."""
        self._board.add_image("samples", image, step, dataformats="HWC")

    def close(self) -> None:
        """End the line and the files."""
        self._line.close()
        self._board.close()


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line cut short by a crash

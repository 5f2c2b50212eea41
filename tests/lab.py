"""Setup of chaos.py: prepared data, an undisturbed run to compare with, disks, processes and flipped bits."""

import contextlib
import dataclasses
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir(), "avlgan_chaos_programs")))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")

import numpy as np
from conftest import ROOT
from training_processes import ended, leaves, start, start_job, steps_saved

from avlgan_jax.training import metric_writer

STEPS, EVERY = 240, 20
OPTIONS = ("--landmark.steps", STEPS, "--log-every", EVERY, "--checkpoint-every", EVERY, "--sample-every", 3 * EVERY)
RESTART = 75


@dataclasses.dataclass
class Outcome:
    """Counts and note of one table row; chaos.py defines "lost" and "wrong"."""

    injected: int = 0
    lost: int = 0
    wrong: int = 0
    note: str = ""


class Lab:
    """Prepared data and an undisturbed run, with which disturbed runs are compared.

    Args:
        folder: Folder for the data and all runs.
        seed: Seed of the random choices.
    """

    def __init__(self, folder: Path, seed: int):
        self.folder, self.random = folder, random.Random(seed)
        self.data = folder / "data"
        prepare = [sys.executable, str(ROOT / "prepare.py"), "procedural_faces", "--resolution", "32", "--faces", "64"]
        few = ["--held-out", "32", "--dyads", "1", "--dyad-seconds", "1", "--data-dir", str(self.data)]
        subprocess.run([*prepare, *few], check=True, capture_output=True)
        began = time.monotonic()
        self.undisturbed = self.run(folder / "undisturbed")
        self.seconds = time.monotonic() - began
        self.leaves, self.metrics = (
            leaves(self.undisturbed),
            (self.undisturbed / "landmark" / metric_writer.METRICS).read_bytes(),
        )
        self._made = 0

    def start(self, run: Path, *options, devices=2) -> subprocess.Popen:
        """Start training the landmark converter in `run`, in a separate process with `devices` CPU devices."""
        return start(self.data, run, "landmark", *OPTIONS, *options, devices=devices)

    def run(self, run: Path, *options) -> Path:
        """Train to the last step in `run`: start again as long as the exit status requests it. Return `run`."""
        while True:
            ((code, output),) = ended(self.start(run, *options), seconds=1800)
            if code == 0:
                return run
            assert code == RESTART, output

    def start_job(self, run: Path, processes: int) -> list[subprocess.Popen]:
        """Start training the landmark converter in several processes with four devices in total."""
        return start_job(self.data, run, "landmark", *OPTIONS, processes=processes, devices=4 // processes)

    def start_saving_job(self, run: Path, processes: int) -> list[subprocess.Popen]:
        """Start a job and return it after its first checkpoint, at the end of a process, or after ten minutes."""
        job = self.start_job(run, processes)
        until = time.monotonic() + 600
        while not steps_saved(run) and all(p.poll() is None for p in job) and time.monotonic() < until:
            time.sleep(0.05)
        return job

    def fresh(self) -> Path:
        """Return an unused path."""
        self._made += 1
        return self.folder / f"run{self._made}"

    def is_same(self, run: Path) -> bool:
        """Return whether checkpoint, batches and losses are bit for bit those of the undisturbed run."""
        same = all(a.tobytes() == b.tobytes() for a, b in zip(leaves(run), self.leaves, strict=True))
        return same and digests(run) == digests(self.undisturbed)

    def is_near(self, run: Path) -> bool:
        """Return whether more than 95 % of the checkpoint's values are within 5 % + 0.001 of the undisturbed run's."""
        pairs = list(zip(leaves(run), self.leaves, strict=True))
        differing = sum(int(np.sum(~np.isclose(a, b, rtol=0.05, atol=1e-3))) for a, b in pairs)
        return differing < 0.05 * sum(a.size for a, _ in pairs)


def digests(run: Path) -> tuple[str, str]:
    """Return the digests of all batches and of all losses in metrics.jsonl, independent of its division into lines."""
    found = [line["digests"] for line in metric_writer.read_metrics(run / "landmark") if "digests" in line]
    return "".join(digest["batches"] for digest in found), "".join(digest["losses"] for digest in found)


def last_line(run: Path) -> int:
    """Return the last step in metrics.jsonl, or 0."""
    return max((line["step"] for line in metric_writer.read_metrics(run / "landmark")), default=0)


@contextlib.contextmanager
def disk(lab: Lab, options: str) -> Iterator[Path | None]:
    """Yield the folder of a new file system with mount options `options`, or None if mounting is not permitted."""
    folder = lab.fresh()
    folder.mkdir()
    try:
        yield folder if mount(folder, options) else None
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


def mount(folder: Path, options: str) -> bool:
    """Mount a tmpfs at `folder` and return whether that succeeded."""
    return not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True
    ).returncode


def listens(process: subprocess.Popen) -> bool:
    """Return whether the process handles SIGTERM yet. In its first second it does not, and has nothing to save."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (signal.SIGTERM - 1) & 1)


def flip(path: Path, chance: random.Random) -> None:
    """Flip a random bit of a file."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)

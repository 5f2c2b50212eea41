"""What chaos.py breaks and holds the pieces against: prepared data, an undisturbed run, disks, processes, bits."""

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
    """One row of the table."""

    injected: int = 0
    lost: int = 0
    wrong: int = 0
    note: str = ""


class Lab:
    """Prepared data, an undisturbed run, and what a broken one is held against."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.random = folder, random.Random(seed)
        self.data = folder / "data"
        prepare = [sys.executable, str(ROOT / "prepare.py"), "procedural_faces", "--resolution", "32", "--faces", "64"]
        few = ["--held-out", "32", "--dyads", "1", "--dyad-seconds", "1", "--data-dir", str(self.data)]
        subprocess.run([*prepare, *few], check=True, capture_output=True)
        began = time.monotonic()
        self.whole = self.run(folder / "whole")
        self.seconds = time.monotonic() - began
        self.leaves, self.metrics = leaves(self.whole), (self.whole / "landmark" / metric_writer.METRICS).read_bytes()
        self._made = 0

    def start(self, run: Path, *options, devices=2) -> subprocess.Popen:
        return start(self.data, run, "landmark", *OPTIONS, *options, devices=devices)

    def run(self, run: Path, *options) -> Path:
        """Start a run, again and again while it asks for it, until its last step."""
        while True:
            ((code, told),) = ended(self.start(run, *options), seconds=1800)
            if code == 0:
                return run
            assert code == RESTART, told

    def start_job(self, run: Path, processes: int) -> list[subprocess.Popen]:
        """The same in several processes with four devices together."""
        return start_job(self.data, run, "landmark", *OPTIONS, processes=processes, devices=4 // processes)

    def start_saving_job(self, run: Path, processes: int) -> list[subprocess.Popen]:
        """A job that has saved something and has much to do yet."""
        job = self.start_job(run, processes)
        until = time.monotonic() + 600
        while not steps_saved(run) and all(p.poll() is None for p in job) and time.monotonic() < until:
            time.sleep(0.05)
        return job

    def fresh(self) -> Path:
        """A folder that nothing has been in."""
        self._made += 1
        return self.folder / f"run{self._made}"

    def is_same(self, run: Path) -> bool:
        same = all(a.tobytes() == b.tobytes() for a, b in zip(leaves(run), self.leaves, strict=True))
        return same and digests(run) == digests(self.whole)

    def is_near(self, run: Path) -> bool:
        pairs = list(zip(leaves(run), self.leaves, strict=True))
        differing = sum(int(np.sum(~np.isclose(a, b, rtol=0.05, atol=1e-3))) for a, b in pairs)
        return differing < 0.05 * sum(a.size for a, _ in pairs)


def digests(run: Path) -> tuple[str, str]:
    """What the lines of metrics.jsonl say of every batch and every loss, wherever one line ends and the next begins."""
    told = [line["digests"] for line in metric_writer.read_metrics(run / "landmark") if "digests" in line]
    return "".join(one["batches"] for one in told), "".join(one["losses"] for one in told)


def last_line(run: Path) -> int:
    return max((line["step"] for line in metric_writer.read_metrics(run / "landmark")), default=0)


@contextlib.contextmanager
def disk(lab: Lab, options: str) -> Iterator[Path | None]:
    """A file system of its own, or None where this machine lets nobody mount one."""
    place = lab.fresh()
    place.mkdir()
    try:
        yield place if mount(place, options) else None
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def mount(place: Path, options: str) -> bool:
    return not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True
    ).returncode


def listens(process: subprocess.Popen) -> bool:
    """Whether it catches SIGTERM yet: before that, in its first second, it has nothing to save and just ends."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (signal.SIGTERM - 1) & 1)


def flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)

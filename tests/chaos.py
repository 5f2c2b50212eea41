"""Breaks real training runs and counts what was lost and what came out wrong: `make test-chaos`.

    make test-chaos
    PYTHONPATH=. python tests/chaos.py --times 10 --soak-minutes 30
    PYTHONPATH=. python tests/chaos.py --only kill,save --times 2 --soak-minutes 0.5

Every fault is done to runs of their own, which are then started again until they have made their last step. "Lost"
counts injections that cost more than the steps since the last checkpoint, or a checkpoint, or the exit status that
asks for a restart. "Wrong" counts runs that did not end as the undisturbed one, bit for bit (for several processes:
within the documented tolerance), or a fault that nobody noticed.
"""

import contextlib
import dataclasses
import functools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir(), "avlgan_chaos_programs")))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")

import numpy as np
import tyro
from conftest import ROOT
from processes import ended, leaves, start, start_job, steps_saved, wait_for

from avlgan_jax import telemetry

STEPS, EVERY = 240, 20
OPTIONS = ("--landmark.steps", STEPS, "--log-every", EVERY, "--checkpoint-every", EVERY, "--sample-every", 3 * EVERY)
RESTART = 75
# A request to stop is answered within this time, a lost process noticed by the others within that (seconds).
PROMPT, BOUND = 15, 90


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to break, and how often."""

    times: int = 10
    """Injections of each fault (a fifth of it for those of several processes)."""
    soak_minutes: float = 30.0
    """How long the last run trains while its memory is watched."""
    only: str = ""
    """Names of faults, with commas between; all without it."""
    seed: int = 0
    """Where and when to break things follows from it."""


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
        self.leaves, self.metrics = leaves(self.whole), (self.whole / "landmark" / telemetry.METRICS).read_bytes()
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

    def fresh(self) -> Path:
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
    told = [line["digests"] for line in telemetry.read(run / "landmark") if "digests" in line]
    return "".join(one["batches"] for one in told), "".join(one["losses"] for one in told)


def last_line(run: Path) -> int:
    return max((line["step"] for line in telemetry.read(run / "landmark")), default=0)


def kill_at_random(lab: Lab, times: int) -> Outcome:
    """SIGKILL at a random moment"""
    return _killed(lab, times, lambda run: time.sleep(lab.random.uniform(0, lab.seconds)))


def kill_in_save(lab: Lab, times: int) -> Outcome:
    """SIGKILL while a checkpoint is being written"""

    def wait(run: Path) -> None:
        before = set(steps_saved(run))
        after = lab.random.choice([EVERY, 2 * EVERY, 5 * EVERY])
        until = time.monotonic() + lab.seconds
        while time.monotonic() < until:
            folders = list((run / "landmark" / "checkpoints").glob("*"))
            if len(set(steps_saved(run)) - before) * EVERY >= after and len(folders) > len(steps_saved(run)):
                return  # a folder that no manifest has sealed yet

    return _killed(lab, times, wait)


def _killed(lab: Lab, times: int, wait: Callable[[Path], None]) -> Outcome:
    outcome = Outcome()
    while outcome.injected < times:
        run = lab.fresh()
        for _ in range(3):
            process = lab.start(run)
            wait(run)
            if process.poll() is None:
                process.kill()
                outcome.injected += 1
            process.communicate()
            reached, kept = last_line(run), max(steps_saved(run), default=0)
            outcome.lost += reached - kept > EVERY
        outcome.wrong += not lab.is_same(lab.run(run))
    return outcome


def stop_at_random(lab: Lab, times: int) -> Outcome:
    """SIGTERM or SIGINT at a random moment, compiling, looking and saving included"""
    outcome, slowest = Outcome(), 0.0
    while outcome.injected < times:
        run = lab.fresh()
        for _ in range(3):
            process = lab.start(run)
            wait_for(lambda process=process: _listens(process))
            time.sleep(lab.random.uniform(0, lab.seconds))
            if process.poll() is None:
                process.send_signal(lab.random.choice([signal.SIGTERM, signal.SIGINT]))
                asked = time.monotonic()
                process.communicate()
                outcome.injected += 1
                slowest = max(slowest, time.monotonic() - asked)
                lost = process.returncode not in (RESTART, 0) or last_line(run) > max([0, *steps_saved(run)])
                if lost:
                    print(
                        f"status {process.returncode}, told {last_line(run)}, saved {steps_saved(run)}", file=sys.stderr
                    )
                outcome.lost += lost
            else:
                process.communicate()
        outcome.wrong += not lab.is_same(lab.run(run))
    outcome.lost += slowest > PROMPT
    outcome.note = f"slowest answer {slowest:.1f} s"
    return outcome


def flip_in_checkpoint(lab: Lab, times: int) -> Outcome:
    """a flipped bit in a file of the newest checkpoint"""
    outcome = Outcome()
    for _ in range(times):
        run = lab.fresh()
        shutil.copytree(lab.whole, run)
        newest = steps_saved(run)[-1]
        found = (run / "landmark" / "checkpoints" / str(newest)).rglob("*")
        files = [path for path in found if path.is_file() and path.stat().st_size]
        _flip(lab.random.choice(files), lab.random)
        ((code, told),) = ended(lab.start(run), seconds=1800)
        outcome.injected += 1
        outcome.lost += code != 0
        outcome.wrong += "is damaged" not in told or not lab.is_same(run)
    return outcome


def flip_in_records(lab: Lab, times: int) -> Outcome:
    """a flipped bit in a record file"""
    outcome = Outcome()
    for _ in range(times):
        broken = lab.fresh()
        shutil.copytree(lab.data, broken)
        file = lab.random.choice(list(broken.rglob("*.tfrecord*")))
        _flip(file, lab.random)
        ((code, told),) = ended(start(broken, lab.fresh(), "landmark", *OPTIONS, devices=2), seconds=600)
        outcome.injected += 1
        outcome.wrong += code != 2 or file.name not in told
        shutil.rmtree(broken)
    return outcome


def flip_in_cache(lab: Lab, times: int) -> Outcome:
    """a flipped bit in the decoded arrays"""
    outcome = Outcome()
    for _ in range(times):
        broken, run = lab.fresh(), lab.fresh()
        shutil.copytree(lab.data, broken)
        _flip(lab.random.choice([*broken.rglob("*/train/*.npy")]), lab.random)
        ((code, _),) = ended(start(broken, run, "landmark", *OPTIONS, devices=2), seconds=1800)
        outcome.injected += 1
        outcome.wrong += code != 0 or not lab.is_same(run)
        shutil.rmtree(broken)
    return outcome


def fill_disk(lab: Lab, times: int) -> Outcome:
    """a full disk (a file system of a few MB)"""
    outcome = Outcome()
    for _ in range(times):
        with _disk(lab, f"size={lab.random.randint(600, 3000)}k") as place:
            if place is None:
                return dataclasses.replace(outcome, note="not run: mounting needs root")
            _refused(lab, place, outcome, "size=200m")
    return outcome


def forbid_writing(lab: Lab, times: int) -> Outcome:
    """a directory that is read-only when a run is started again"""
    outcome = Outcome()
    for _ in range(times):
        with _disk(lab, "size=200m") as place:
            if place is None:
                return dataclasses.replace(outcome, note="not run: mounting needs root")
            process = lab.start(place / "run")
            until = time.monotonic() + 600
            while not steps_saved(place / "run") and process.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            # The disk of a running process cannot be made read-only: it has files open for writing.
            process.kill()
            process.communicate()
            _mount(place, "remount,ro")
            _refused(lab, place, outcome, "rw")
    return outcome


def _refused(lab: Lab, place: Path, outcome: Outcome, mended: str) -> None:
    """Start a run that the disk refuses; when that is mended, it ends as the undisturbed one."""
    ((code, told),) = ended(lab.start(place / "run"), seconds=1800)
    if code == 0:
        return  # it was done before
    outcome.injected += 1
    outcome.wrong += code != 2 or "Traceback" in told or not re.search(r"^error: ", told, flags=re.M)
    _mount(place, f"remount,{mended}")
    outcome.lost += not lab.is_same(lab.run(place / "run"))


@contextlib.contextmanager
def _disk(lab: Lab, options: str) -> Iterator[Path | None]:
    """A file system of its own, or None where this machine lets nobody mount one."""
    place = lab.fresh()
    place.mkdir()
    try:
        yield place if _mount(place, options) else None
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def _mount(place: Path, options: str) -> bool:
    return not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True
    ).returncode


def kill_process(lab: Lab, times: int, processes: int = 2) -> Outcome:
    """SIGKILL of one of two processes of a run"""
    outcome, slowest = Outcome(), 0.0
    for _ in range(times):
        run = lab.fresh()
        job = _job(lab, run, processes)
        victim = lab.random.randrange(processes)
        job[victim].kill()
        died = time.monotonic()
        found = ended(*job, seconds=600)
        slowest = max(slowest, time.monotonic() - died)
        outcome.injected += 1
        outcome.lost += not steps_saved(run)
        others = [one for index, one in enumerate(found) if index != victim]
        outcome.wrong += any(code == 0 or not told.strip() for code, told in others)
        again = start_job(lab.data, run, "landmark", *OPTIONS, processes=processes, devices=4 // processes)
        codes = [code for code, _ in ended(*again, seconds=1800)]
        outcome.wrong += codes != [0] * processes or not lab.is_near(run)
    outcome.lost += slowest > BOUND
    outcome.note = f"the others ended within {slowest:.0f} s"
    return outcome


def _job(lab: Lab, run: Path, processes: int) -> list[subprocess.Popen]:
    """A run of several processes that has saved something and has much to do yet."""
    job = start_job(lab.data, run, "landmark", *OPTIONS, processes=processes, devices=4 // processes)
    until = time.monotonic() + 600
    while not steps_saved(run) and all(p.poll() is None for p in job) and time.monotonic() < until:
        time.sleep(0.05)
    return job


def preempt_process(lab: Lab, times: int, processes: int = 2) -> Outcome:
    """SIGTERM to one of two processes of a run"""
    outcome = Outcome()
    for _ in range(times):
        run = lab.fresh()
        job = _job(lab, run, processes)
        lab.random.choice(job).send_signal(signal.SIGTERM)
        found = ended(*job, seconds=600)
        outcome.injected += 1
        outcome.lost += {code for code, _ in found} not in ({RESTART}, {0})
        again = start_job(lab.data, run, "landmark", *OPTIONS, processes=processes, devices=4 // processes)
        codes = [code for code, _ in ended(*again, seconds=1800)]
        outcome.wrong += codes != [0] * processes or not lab.is_near(run)
    return outcome


def soak(lab: Lab, minutes: float) -> Outcome:
    """a long run, its memory watched"""
    run, seen = lab.fresh(), []
    process = start(lab.data, run, "landmark", "--landmark.steps", 10**9, *OPTIONS[2:], devices=2)
    until = time.monotonic() + 60 * minutes
    while time.monotonic() < until and process.poll() is None:
        time.sleep(0.5)
        pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1] if process.poll() is None else seen[-1]
        if steps_saved(run):  # compiling is over
            seen.append(int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20)
    process.terminate()
    ((code, told),) = ended(process, seconds=120)
    third = max(len(seen) // 3, 1)
    early, late = float(np.median(seen[:third])), float(np.median(seen[-third:]))
    note = (
        f"{minutes:g} minutes, {last_line(run):,} steps, {early:.0f} MB in the first third, {late:.0f} MB in the last"
    )
    assert "Traceback" not in told, told
    return Outcome(1, int(code != RESTART), int(late > 1.1 * early + 20), note)


FAULTS: dict[str, Callable[[Lab, int], Outcome]] = {
    "kill": kill_at_random,
    "save": kill_in_save,
    "stop": stop_at_random,
    "checkpoint": flip_in_checkpoint,
    "records": flip_in_records,
    "cache": flip_in_cache,
    "disk": fill_disk,
    "readonly": forbid_writing,
    "two": kill_process,
    "four": functools.partial(kill_process, processes=4),
    "preempt": preempt_process,
    "soak": soak,
}


def _listens(process: subprocess.Popen) -> bool:
    """Whether it catches SIGTERM yet: before that, in its first second, it has nothing to save and just ends."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return bool(int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> (signal.SIGTERM - 1) & 1)


def _flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def main() -> None:
    """Print the table, a row as soon as it is known."""
    arguments = tyro.cli(Arguments, description=__doc__)
    chosen = arguments.only.split(",") if arguments.only else list(FAULTS)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder), arguments.seed)
        print("| fault | times injected | lost | wrong | |\n|---|---|---|---|---|", flush=True)
        for name in chosen:
            fault = FAULTS[name]
            amount = arguments.times if name not in ("two", "four", "preempt") else -(-arguments.times // 5)
            found = fault(lab, arguments.soak_minutes if name == "soak" else amount)
            title = (fault.func if name == "four" else fault).__doc__.strip()
            title = title.replace("of two", "of four") if name == "four" else title
            print(f"| {title} | {found.injected} | {found.lost} | {found.wrong} | {found.note} |", flush=True)
            bad += found.lost + found.wrong
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()

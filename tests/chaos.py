"""Fault injection in real training runs, with counts of lost and wrong results: `make test-chaos`.

    make test-chaos
    PYTHONPATH=. python tests/chaos.py --times 10 --soak-minutes 30
    PYTHONPATH=. python tests/chaos.py --only kill,save --times 2 --soak-minutes 0.5

Each fault is injected into separate runs, which are then started again until they have made their last step. "Lost"
counts injections after which more than the steps since the last checkpoint was lost, or a checkpoint, or the exit
status that requests a restart. "Wrong" counts runs that did not end bit for bit like the undisturbed run (for several
processes: within the documented tolerance), and faults that were not reported.
"""

import dataclasses
import functools
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tyro
from lab import EVERY, OPTIONS, RESTART, Lab, Outcome, disk, flip, last_line, listens, mount
from training_processes import ended, start, steps_saved, wait_for

from avlgan_jax.presets import demo
from avlgan_jax.training import goodput

# Limits in seconds: from a stop request to the exit, and from the loss of a process to the exit of the others.
PROMPT, BOUND = 15, 90


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Which faults to inject, and how often."""

    times: int = 10
    """Injections of each fault (a fifth of this for faults in runs of several processes)."""
    soak_minutes: float = 30.0
    """Minutes that the soak run trains while its memory is monitored."""
    goodput_minutes: float = 10.0
    """Minutes of the run whose goodput is measured."""
    only: str = ""
    """Names of the faults to inject, separated by commas. Empty: all."""
    seed: int = 0
    """Random seed of the moments and places of the faults."""


# The docstring of each of the following fault functions is the title of its row in the table.


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
                return  # a checkpoint without a manifest: it is being written

    return _killed(lab, times, wait)


def _killed(lab: Lab, times: int, wait: Callable[[Path], None]) -> Outcome:
    """Kill runs, each three times after `wait(run)`, start them again, and compare the results."""
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
    """SIGTERM or SIGINT at a random moment, including compilation, validation and saving"""
    outcome, slowest = Outcome(), 0.0
    while outcome.injected < times:
        run = lab.fresh()
        for _ in range(3):
            process = lab.start(run)
            wait_for(lambda process=process: listens(process))
            time.sleep(lab.random.uniform(0, lab.seconds))
            if process.poll() is None:
                process.send_signal(lab.random.choice([signal.SIGTERM, signal.SIGINT]))
                requested = time.monotonic()
                process.communicate()
                outcome.injected += 1
                slowest = max(slowest, time.monotonic() - requested)
                lost = process.returncode not in (RESTART, 0) or last_line(run) > max([0, *steps_saved(run)])
                if lost:
                    print(
                        f"exit status {process.returncode}, last step in metrics.jsonl {last_line(run)}, "
                        f"checkpoints {steps_saved(run)}",
                        file=sys.stderr,
                    )
                outcome.lost += lost
            else:
                process.communicate()
        outcome.wrong += not lab.is_same(lab.run(run))
    outcome.lost += slowest > PROMPT
    outcome.note = f"slowest reaction {slowest:.1f} s"
    return outcome


def flip_in_checkpoint(lab: Lab, times: int) -> Outcome:
    """a flipped bit in a file of the newest checkpoint"""
    outcome = Outcome()
    for _ in range(times):
        run = lab.fresh()
        shutil.copytree(lab.undisturbed, run)
        newest = steps_saved(run)[-1]
        found = (run / "landmark" / "checkpoints" / str(newest)).rglob("*")
        files = [path for path in found if path.is_file() and path.stat().st_size]
        flip(lab.random.choice(files), lab.random)
        ((code, output),) = ended(lab.start(run), seconds=1800)
        outcome.injected += 1
        outcome.lost += code != 0
        outcome.wrong += "is damaged" not in output or not lab.is_same(run)
    return outcome


def flip_in_records(lab: Lab, times: int) -> Outcome:
    """a flipped bit in a record file"""
    outcome = Outcome()
    for _ in range(times):
        broken = lab.fresh()
        shutil.copytree(lab.data, broken)
        file = lab.random.choice(list(broken.rglob("*.tfrecord*")))
        flip(file, lab.random)
        ((code, output),) = ended(start(broken, lab.fresh(), "landmark", *OPTIONS, devices=2), seconds=600)
        outcome.injected += 1
        outcome.wrong += code != 2 or file.name not in output
        shutil.rmtree(broken)
    return outcome


def flip_in_cache(lab: Lab, times: int) -> Outcome:
    """a flipped bit in the decoded arrays"""
    outcome = Outcome()
    for _ in range(times):
        broken, run = lab.fresh(), lab.fresh()
        shutil.copytree(lab.data, broken)
        flip(lab.random.choice([*broken.rglob("*/train/*.npy")]), lab.random)
        ((code, _),) = ended(start(broken, run, "landmark", *OPTIONS, devices=2), seconds=1800)
        outcome.injected += 1
        outcome.wrong += code != 0 or not lab.is_same(run)
        shutil.rmtree(broken)
    return outcome


def fill_disk(lab: Lab, times: int) -> Outcome:
    """a full disk (a file system of a few MB)"""
    outcome = Outcome()
    for _ in range(times):
        with disk(lab, f"size={lab.random.randint(600, 3000)}k") as folder:
            if folder is None:
                return dataclasses.replace(outcome, note="not run: mounting needs root")
            _refused(lab, folder, outcome, "size=200m")
    return outcome


def forbid_writing(lab: Lab, times: int) -> Outcome:
    """a directory that is read-only when a run is started again"""
    outcome = Outcome()
    for _ in range(times):
        with disk(lab, "size=200m") as folder:
            if folder is None:
                return dataclasses.replace(outcome, note="not run: mounting needs root")
            process = lab.start(folder / "run")
            until = time.monotonic() + 600
            while not steps_saved(folder / "run") and process.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            # The disk of a running process cannot be made read-only: it has files open for writing.
            process.kill()
            process.communicate()
            mount(folder, "remount,ro")
            _refused(lab, folder, outcome, "rw")
    return outcome


def _refused(lab: Lab, folder: Path, outcome: Outcome, writable: str) -> None:
    """Start a run on a disk that cannot be written, remount it with `writable`, and compare the result of the run."""
    ((code, output),) = ended(lab.start(folder / "run"), seconds=1800)
    if code == 0:
        return  # the run finished before the disk was full
    outcome.injected += 1
    outcome.wrong += code != 2 or "Traceback" in output or not re.search(r"^error: ", output, flags=re.M)
    mount(folder, f"remount,{writable}")
    outcome.lost += not lab.is_same(lab.run(folder / "run"))


def kill_process(lab: Lab, times: int, processes: int = 2) -> Outcome:
    """SIGKILL of one of two processes of a run"""
    outcome, slowest = Outcome(), 0.0
    for _ in range(times):
        run = lab.fresh()
        job = lab.start_saving_job(run, processes)
        victim = lab.random.randrange(processes)
        job[victim].kill()
        died = time.monotonic()
        found = ended(*job, seconds=600)
        slowest = max(slowest, time.monotonic() - died)
        outcome.injected += 1
        outcome.lost += not steps_saved(run)
        others = [one for index, one in enumerate(found) if index != victim]
        outcome.wrong += any(code == 0 or not output.strip() for code, output in others)
        again = lab.start_job(run, processes)
        codes = [code for code, _ in ended(*again, seconds=1800)]
        outcome.wrong += codes != [0] * processes or not lab.is_near(run)
    outcome.lost += slowest > BOUND
    outcome.note = f"the others ended within {slowest:.0f} s"
    return outcome


def preempt_process(lab: Lab, times: int, processes: int = 2) -> Outcome:
    """SIGTERM to one of two processes of a run"""
    outcome = Outcome()
    for _ in range(times):
        run = lab.fresh()
        job = lab.start_saving_job(run, processes)
        lab.random.choice(job).send_signal(signal.SIGTERM)
        found = ended(*job, seconds=600)
        outcome.injected += 1
        outcome.lost += {code for code, _ in found} not in ({RESTART}, {0})
        again = lab.start_job(run, processes)
        codes = [code for code, _ in ended(*again, seconds=1800)]
        outcome.wrong += codes != [0] * processes or not lab.is_near(run)
    return outcome


def soak(lab: Lab, minutes: float) -> Outcome:
    """a long run that logs, saves and validates as often as preset `demo`, with its memory monitored"""
    run, megabytes = lab.fresh(), []
    usual = demo()
    often = ("--log-every", usual.log_every, "--checkpoint-every", checkpoint_every)
    often += ("--sample-every", usual.sample_every)
    process = start(lab.data, run, "landmark", "--landmark.steps", 10**9, *often, devices=2)
    until = time.monotonic() + 60 * minutes
    while time.monotonic() < until and process.poll() is None:
        time.sleep(0.5)
        pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1] if process.poll() is None else megabytes[-1]
        if steps_saved(run):  # compilation is over
            megabytes.append(int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20)
    process.terminate()
    ((code, output),) = ended(process, seconds=120)
    third = max(len(megabytes) // 3, 1)
    early, late = float(np.median(megabytes[:third])), float(np.median(megabytes[-third:]))
    note = (
        f"{minutes:g} minutes, {last_line(run):,} steps, {early:.0f} MB in the first third, {late:.0f} MB in the last"
    )
    assert "Traceback" not in output, output
    return Outcome(1, int(code != RESTART), int(late > 1.1 * early + 20), note)


def measure_goodput(lab: Lab, minutes: float) -> Outcome:
    """an image converter as large as the demo's, killed five times, with the time that counts"""
    return _goodput(lab, minutes, demo().checkpoint_every)


def measure_goodput_of_saving(lab: Lab, minutes: float) -> Outcome:
    """the same with `--checkpoint-every 0`"""
    return _goodput(lab, minutes, 0)


def _goodput(lab: Lab, minutes: float, checkpoint_every: int) -> Outcome:
    run, usual = lab.fresh(), demo()
    size = {name: getattr(usual.image, name) for name in ("width", "blocks", "d_width", "batch_size")}
    options = [part for name, value in size.items() for part in (f"--image.{name.replace('_', '-')}", value)]
    often = ("--log-every", usual.log_every, "--checkpoint-every", checkpoint_every)
    often += ("--sample-every", usual.sample_every)
    lab.run(run, *options)  # the landmark converter that an image converter needs
    begin, kills = time.monotonic(), 5
    # A kill falls into each of the first parts of equal length; the last part ends with a stop request.
    part = 60 * minutes / (kills + 1)
    for number in range(kills + 1):
        process = start(lab.data, run, "image", "--image.steps", 10**9, *options, *often, *OPTIONS[:2])
        at = begin + part * (number + (lab.random.uniform(0.3, 1.0) if number < kills else 1.0))
        time.sleep(max(at - time.monotonic(), 0.0))
        assert process.poll() is None, process.communicate()
        if number < kills:
            process.kill()
            process.communicate()
        else:
            process.terminate()
            ((code, output),) = ended(process, seconds=120)
    found = goodput.read(run / "image")
    print(goodput.text_table({"image": found}), file=sys.stderr)
    return Outcome(kills, int(code != RESTART), int("Traceback" in output), f"{found.share:.0%} of {found.wall:.0f} s")


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
    "goodput": measure_goodput,
    "saving": measure_goodput_of_saving,
    "soak": soak,
}
# These take minutes instead of a number of injections.
LONG = {"goodput": "goodput_minutes", "saving": "goodput_minutes", "soak": "soak_minutes"}


def main() -> None:
    """Inject the faults and print one table row after each. Exit with 1 if anything was lost or wrong."""
    arguments = tyro.cli(Arguments, description=__doc__)
    chosen = arguments.only.split(",") if arguments.only else list(FAULTS)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder), arguments.seed)
        print("| fault | times injected | lost | wrong | |\n|---|---|---|---|---|", flush=True)
        for name in chosen:
            fault = FAULTS[name]
            amount = arguments.times if name not in ("two", "four", "preempt") else -(-arguments.times // 5)
            found = fault(lab, getattr(arguments, LONG[name]) if name in LONG else amount)
            title = (fault.func if name == "four" else fault).__doc__.strip()
            title = title.replace("of two", "of four") if name == "four" else title
            print(f"| {title} | {found.injected} | {found.lost} | {found.wrong} | {found.note} |", flush=True)
            bad += found.lost + found.wrong
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()

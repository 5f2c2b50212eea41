"""What three choices of the set-up are worth, each beside the case without it: initial states compiled in haste, freed
memory kept, one BLAS thread for each process that draws."""

import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

from avlgan_jax.processes import THREADS
from benchmarks.timing import Case, Setting, alternate, single, summarised

ROOT = Path(__file__).parents[1]


def choices(setting: Setting) -> Iterator[Case]:
    """The three of them; `ours` is what train.py and prepare.py do."""
    yield from _haste(setting)
    if setting.device == "cpu":
        yield _memory(setting)
    yield _threads(setting)


def _haste(setting: Setting) -> Iterator[Case]:
    """Compiling the initial state of each converter that sees images."""
    import jax

    from avlgan_jax import presets
    from avlgan_jax.models import build
    from avlgan_jax.runtime import dispatch
    from avlgan_jax.training import states

    config = (presets.debug if setting.tiny else presets.demo)()
    for name in ("landmark",) if setting.tiny else ("image", "avgan"):
        model = build.build(name, config, 1)
        frozen = states.state_shapes(model, config).frozen
        arguments = (jax.random.key(0), build.empty_batch(config, 1, model.with_images), frozen)

        def compile_by(form, init=model.trainer.init, arguments=arguments) -> None:
            form(init).lower(*arguments).compile()

        contenders = {
            "ours": lambda call=compile_by: call(dispatch.jit_unoptimised),
            "with care": lambda call=compile_by: call(jax.jit),
        }
        # Each compiles for the first time, every time; three rounds of half a minute are enough to tell 10 from 1.
        measured = alternate(contenders, rounds=min(setting.rounds, 3), unit="s")
        yield Case(f"compiling the initial state of {name}", measured)


def _memory(setting: Setting) -> Case:
    """A joint step of the demo's image converter, in processes that keep their memory and in ones that do not."""
    kept, given = [], []
    for _ in range(1 if setting.tiny else 3):
        for found, keep in ((kept, True), (given, False)):
            code = f"from benchmarks import choices; choices.report_steps({keep}, {setting.tiny})"
            found.append(json.loads(output([sys.executable, "-c", code]).splitlines()[-1]))
    measured = {
        name: summarised([one["seconds"] for one in found], "s")
        for name, found in (("ours", kept), ("given back", given))
    }
    faults = {
        f"page faults a step, {name}": statistics.median(one["page faults"] for one in found)
        for name, found in (("kept", kept), ("given back", given))
    }
    return Case("a joint step by where freed memory goes", measured, faults)


def report_steps(keep: bool, tiny: bool) -> None:
    """Print, as JSON, the median seconds of a joint step in this process, and the page faults of one."""
    from avlgan_jax.runtime import devices

    devices.one_device_per_core()
    if keep:
        devices.retain_freed_memory()

    from avlgan_jax import presets
    from benchmarks.training import OurRun

    config = (presets.debug if tiny else presets.demo)()
    run = OurRun(dataclasses.replace(config, image=dataclasses.replace(config.image, d_warmup=0)), "image")
    for _ in range(2):
        run()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    times = []
    for _ in range(2 if tiny else 20):
        started = time.perf_counter()
        run()
        times.append((time.perf_counter() - started) / run.steps)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    print(json.dumps({"seconds": statistics.median(times), "page faults": faults / len(times) / run.steps}))


def _threads(setting: Setting) -> Case:
    """Drawing faces in a process for each core."""
    faces, cores = (32, 2) if setting.tiny else (800, len(os.sched_getaffinity(0)))
    measured = {}
    for name, threads in (("ours", "1"), ("a thread for each core", str(cores))):
        settings = dict.fromkeys(THREADS, threads)
        code = f"from benchmarks import choices; choices.report_drawing({faces}, {cores})"
        seconds = float(output([sys.executable, "-c", code], settings).splitlines()[-1])
        measured[name] = single(seconds, "faces/s", faces)
    return Case(f"drawing in {cores} processes by their BLAS threads", measured)


def report_drawing(faces: int, processes: int) -> None:
    """Print the seconds that `processes` take to draw `faces` faces, once they are up."""
    from avlgan_jax.datasets.procedural_faces import plan

    stills = list(plan.faces(plan.Options(faces=faces + processes), "train"))
    with get_context("spawn").Pool(processes) as pool:
        pool.starmap(plan.draw, [([still], 48) for still in stills[:processes]], chunksize=1)
        started = time.perf_counter()
        pool.starmap(plan.draw, [(stills[i : i + 16], 48) for i in range(processes, len(stills), 16)], chunksize=1)
        print(time.perf_counter() - started)


def output(command: list[str], settings: dict[str, str] | None = None) -> str:
    """What a command prints, run from the repository with these settings in its environment."""
    environment = os.environ | (settings or {})
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout

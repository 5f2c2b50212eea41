"""Effect of three set-up choices, each compared with the default behaviour.

The choices are: compiling initial states without optimisation, keeping freed memory in the process, and one BLAS thread
for each process that draws faces.
"""

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
    """Yield a case for each choice; the contender `ours` does what train.py and prepare.py do."""
    yield from _unoptimised(setting)
    if setting.device == "cpu":
        yield _memory(setting)
    yield _threads(setting)


def _unoptimised(setting: Setting) -> Iterator[Case]:
    """Yield the time to compile the initial state of the image converter and of avGAN."""
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
        # Every call compiles from scratch. Three rounds of half a minute are enough to distinguish a factor of 10.
        measured = alternate(contenders, rounds=min(setting.rounds, 3), unit="s")
        yield Case(f"compiling the initial state of {name}", measured)


def _memory(setting: Setting) -> Case:
    """Measure a joint step of the demo's image converter, with and without keeping freed memory in the process."""
    kept, returned = [], []
    for _ in range(1 if setting.tiny else 3):
        for results, keep in ((kept, True), (returned, False)):
            code = f"from benchmarks import choices; choices.report_steps({keep}, {setting.tiny})"
            results.append(json.loads(output([sys.executable, "-c", code]).splitlines()[-1]))
    measured = {
        name: summarised([result["seconds"] for result in results], "s")
        for name, results in (("ours", kept), ("given back", returned))
    }
    faults = {
        f"page faults a step, {name}": statistics.median(result["page faults"] for result in results)
        for name, results in (("kept", kept), ("given back", returned))
    }
    return Case("a joint step by where freed memory goes", measured, faults)


def report_steps(keep: bool, tiny: bool) -> None:
    """Print, as JSON, the median seconds and the mean page faults of a joint step in this process.

    Args:
        keep: Whether the process keeps the memory that it frees.
        tiny: Whether to use the smallest sizes.
    """
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
    """Measure the rate of drawing faces with one process per core, by the number of BLAS threads in each."""
    faces, cores = (32, 2) if setting.tiny else (800, len(os.sched_getaffinity(0)))
    measured = {}
    for name, threads in (("ours", "1"), ("a thread for each core", str(cores))):
        settings = dict.fromkeys(THREADS, threads)
        code = f"from benchmarks import choices; choices.report_drawing({faces}, {cores})"
        seconds = float(output([sys.executable, "-c", code], settings).splitlines()[-1])
        measured[name] = single(seconds, "faces/s", faces)
    return Case(f"drawing in {cores} processes by their BLAS threads", measured)


def report_drawing(faces: int, processes: int) -> None:
    """Print the seconds that `processes` processes take to draw `faces` faces, without the time to start them."""
    from avlgan_jax.datasets.procedural_faces import plan

    stills = list(plan.faces(plan.Options(faces=faces + processes), "train"))
    with get_context("spawn").Pool(processes) as pool:
        pool.starmap(plan.draw, [([still], 48) for still in stills[:processes]], chunksize=1)
        started = time.perf_counter()
        pool.starmap(plan.draw, [(stills[i : i + 16], 48) for i in range(processes, len(stills), 16)], chunksize=1)
        print(time.perf_counter() - started)


def output(command: list[str], settings: dict[str, str] | None = None) -> str:
    """Run a command in the repository's folder and return its standard output.

    Args:
        command: The program and its arguments.
        settings: Environment variables to set.

    Raises:
        subprocess.CalledProcessError: If the command fails.
    """
    environment = os.environ | (settings or {})
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout

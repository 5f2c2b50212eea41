"""Several processes on one machine, and many accelerators on paper.

`processes` measures: the same global batch over 1 to 8 processes that communicate with gloo, whether they make the same
update, and what a sum over all of them costs by size. `curve` calculates: how training scales to hundreds of
accelerators, from measured work and the rates in `Assumptions`.
"""

import dataclasses
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from avlgan_jax.models import build
from avlgan_jax.runtime import dispatch, multihost
from avlgan_jax.runtime.cluster import Cluster
from avlgan_jax.runtime.devices import DEVICE_AXIS, device_mesh
from avlgan_jax.training.states import state_shapes
from benchmarks import training
from benchmarks.timing import Case, Setting, alternate, single

ROOT = Path(__file__).parents[1]
COUNTS = (1, 2, 4, 8)
UPDATES = 3  # updates after which the weights are compared
NEAR = 5e-6  # the largest difference of two weights that count as equal, as in tests/runtime/test_multihost.py
WARM_UP_CALLS = 8  # the same in all processes, which wait for each other in every call
NUMBERS = (10_000, 1_000_000, 10_000_000)  # lengths of the arrays that are summed over all processes


@dataclasses.dataclass(frozen=True)
class Assumptions:
    """Rates of one accelerator and its surroundings. Those of links and disk were not measured."""

    flops: float = 138e12
    """FLOP/s that a step reaches: measured on an H100 in bfloat16, batch 16 (docs/performance.md, "GPUs")."""
    batch: int = 16
    """Images per accelerator and step; the global batch grows with the accelerators."""
    per_host: int = 8
    """Accelerators in one host."""
    inside: float = 450e9
    """Bytes/s from one accelerator to the next in a host."""
    between: float = 50e9
    """Bytes/s from one host to the next, for each accelerator: 400 Gbit/s."""
    batches: float = 7_000
    """Images/s that one thread of a host puts into batches (measured on a CPU: 7,380; `--what data`)."""
    disk: float = 1e9
    """Bytes/s at which the first host writes a checkpoint."""


def processes(setting: Setting) -> Iterator[Case]:
    """Yield the rate of the same global batch over several processes, one CPU device each, and the cost of sums."""
    with tempfile.TemporaryDirectory() as folder:
        alone = None
        for count in COUNTS[:2] if setting.tiny else COUNTS:
            found = _run_processes(count, setting.tiny, Path(folder))
            weights = np.load(Path(folder, f"{count}.npy"))
            alone = weights if alone is None else alone
            facts = {"weights equal to one process's, %": 100 * float(np.mean(np.abs(weights - alone) <= NEAR))}
            facts |= {f"sum of {length:,} numbers, ms": 1e3 * seconds for length, seconds in found["sums"].items()}
            yield Case(f"{count} processes", {"ours": single(1.0, "images/s", found["images/s"])}, facts)


def _run_processes(count: int, tiny: bool, folder: Path) -> dict:
    """Run `report` in `count` processes; return what the first one prints."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
    started = []
    try:
        for index in range(count):
            code = f"from benchmarks import scale; scale.report({port}, {count}, {index}, {tiny}, {str(folder)!r})"
            output = subprocess.PIPE if index == 0 else subprocess.DEVNULL
            command = [sys.executable, "-c", code]
            started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, text=True))
        printed, _ = started[0].communicate()
        if any(process.wait() for process in started):
            raise RuntimeError(f"one of {count} processes failed: {[process.returncode for process in started]}")
    finally:
        for process in started:
            process.kill()
            process.wait()
    found = json.loads(printed.splitlines()[-1])
    return found | {"sums": {int(length): seconds for length, seconds in found["sums"].items()}}


def report(port: int, count: int, index: int, tiny: bool, folder: str) -> None:
    """Train as process `index` of `count`; the first prints rate and times as JSON and stores the weights."""
    with multihost.join_cluster(Cluster(f"localhost:{port}", count, index)):
        side, width, batch_size = training.TINY if tiny else (48, 16, 16)
        config, devices = training.configured(side, width, batch_size), jax.devices()
        model = build.build("image", config, training.FACES)
        state = multihost.broadcast_state(training.drawn_state(model, config), devices)
        own = multihost.local_batch_slice(batch_size)
        stream = jax.tree.map(lambda leaf: leaf[:, own], training.example_batches(config, model, 1))
        step, rounds = dispatch.make_dispatch(model.trainer.step, devices), Setting("cpu", tiny).rounds
        for _ in range(UPDATES):
            state, _ = step(state, stream)
        local = multihost.local_state(state)
        if multihost.is_first():
            weights = [np.ravel(leaf) for leaf in jax.tree.leaves((local.generator, local.discriminator))]
            np.save(Path(folder, f"{count}.npy"), np.concatenate(weights))

        def update() -> None:
            nonlocal state
            state, _ = step(state, stream)
            jax.block_until_ready(state)

        calls = 1 if tiny else WARM_UP_CALLS
        timed = alternate({"ours": update}, rounds=rounds, unit="images/s", items=batch_size, warm_up_calls=calls)
        rate = timed["ours"].median
        sums = {length: _seconds_of_sum(length, devices, rounds, calls) for length in NUMBERS} if count > 1 else {}
        if multihost.is_first():
            print(json.dumps({"images/s": rate, "sums": sums}))


def _seconds_of_sum(length: int, devices: list[jax.Device], rounds: int, calls: int) -> float:
    """Return the median time to add an array of each device over all devices, after `calls` calls of warm-up."""
    mesh, split = device_mesh(devices), PartitionSpec(DEVICE_AXIS)
    summed = jax.jit(
        jax.shard_map(
            lambda part: jax.lax.psum(part, DEVICE_AXIS), mesh=mesh, in_specs=split, out_specs=PartitionSpec()
        )
    )
    local = jax.make_array_from_process_local_data(NamedSharding(mesh, split), np.ones((1, length), np.float32))
    call = lambda: jax.block_until_ready(summed(local))  # noqa: E731
    return alternate({"sum": call}, rounds=rounds, unit="s", warm_up_calls=calls)["sum"].median


def curve(setting: Setting) -> Iterator[Case]:
    """Yield, calculated from `Assumptions`, how the paper's image converter at 128 px scales."""
    side, width, _ = training.TINY if setting.tiny else (training.PAPER_SIDE, training.PAPER_WIDTH, None)
    config = training.configured(side, width, 16)
    model = build.build("image", config, training.FACES)
    state, work = state_shapes(model, config).replace(key=None), training.flop_per_image(config)
    sizes = [4 * leaf.size for leaf in jax.tree.leaves((state.generator, state.discriminator))]
    stored = sum(4 * leaf.size for leaf in jax.tree.leaves(state))
    for count in (8, 64, 512):
        facts = on_paper(Assumptions(), count, work, float(sum(sizes)), float(stored), 3.0 * side * side)
        yield Case(f"{count} accelerators, {side} px", {}, facts)


def on_paper(a: Assumptions, count: int, work: float, gradients: float, stored: float, image: float) -> dict:
    """Return what `count` accelerators reach.

    Gradients are summed in a ring after the step: each accelerator sends and receives twice its share of them, over the
    slowest link. Nothing is overlapped with it, so the rates are lower bounds.

    Args:
        a: The assumed rates.
        count: Number of accelerators.
        work: FLOP per image.
        gradients: Bytes of the gradients of one step.
        stored: Bytes of a checkpoint.
        image: Bytes of one image.
    """
    computing = a.batch * work / a.flops
    link = a.inside if count <= a.per_host else a.between
    summing = 2 * (count - 1) / count * gradients / link
    rate = count * a.batch / (computing + summing)
    per_host = rate / max(count / a.per_host, 1.0)
    return {
        "images/s": rate,
        "of linear scaling, %": 100 * computing / (computing + summing),
        "threads per host for batches": per_host / a.batches,
        "MB/s of images per host": per_host * image / 1e6,
        "s to write a checkpoint": stored / a.disk,
    }

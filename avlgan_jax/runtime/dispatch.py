"""Several training steps in one compiled call, under `jax.jit`, `jax.pmap` or over several processes.

The step is the same pure function in all cases. Under pmap the state is not stacked: it goes in and comes out as one
tree (`in_axes=None`), each device holds a copy, and only the batch is split. Gradients are averaged over the devices,
so the update from a global batch does not depend on the number of devices, except for rounding (sums are taken in
another order). For several processes (`runtime.multihost`), where pmap cannot keep an unstacked state, `jax.shard_map`
replaces it.
"""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from avlgan_jax.data.batches import BatchIndices, DeviceFaces, Stream, gather_batch
from avlgan_jax.runtime.devices import DEVICE_AXIS, device_mesh

State = Any
Dispatch = Callable[[State, Stream], tuple[State, dict[str, jax.Array]]]


def jit_unoptimised(function: Callable) -> Callable:
    """Return `jax.jit` of a function that is called once, compiled without optimisation on a CPU.

    On a CPU, XLA takes 20 seconds to compile an initialisation with optimisation and 2 seconds without. Either program
    runs for hundredths of a second.
    """
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=options)


def choose_steps_per_dispatch(wanted: int, convolves: bool) -> int:
    """Return the number of training steps in one compiled call.

    Args:
        wanted: The number, or 0 for the fastest in measurements: 1 for a model with 2-D convolutions on a CPU, else 20.
        convolves: Whether the model has 2-D convolutions.
    """
    return wanted or (1 if convolves and jax.default_backend() == "cpu" else 20)


def choose_loader_threads(wanted: int) -> int:
    """Return the number of threads that prepare batches in advance.

    Args:
        wanted: The number, or 0: 1 on a CPU, whose cores the steps need; elsewhere half of the host's cores, at most 8.
            On an H100 the landmark converter with random proportions waited for one thread 80 % of its time.
    """
    return wanted or (1 if jax.default_backend() == "cpu" else max(1, min(8, (os.cpu_count() or 1) // 2)))


def spans(
    start: int, steps: int, longest: int, due: Iterable[int], kind: Callable[[int], Any]
) -> Iterator[tuple[int, int]]:
    """Yield the half-open range of steps [first, last) of each dispatch, from `start` to `steps`.

    Args:
        start: The first step.
        steps: The end of training: the last step plus 1.
        longest: The largest number of steps in a dispatch.
        due: Intervals in steps; a dispatch ends at every multiple of each.
        kind: The kind of a step, such as a trainer's `step_kind`; all steps of a dispatch are of the same kind.
    """
    while start < steps:
        stop = min(start + longest, steps, *((start // every + 1) * every for every in due))
        stop = next((step for step in range(start + 1, stop) if kind(step) != kind(start)), stop)
        yield start, stop
        start = stop


def make_dispatch(step: Callable, devices: Sequence[jax.Device], faces: DeviceFaces | None = None) -> Dispatch:
    """Return a compiled `(state, batches) -> (state, metrics)` that runs one step per leading index of `batches`.

    The memory of the state passed in is donated: that state cannot be used again (see `copy_state`).

    Args:
        step: A model's `(state, batch, key, axis) -> (state, metrics)`. `axis` is None on a single device.
        devices: The devices to use, those of other processes included.
        faces: The training faces, copied to the devices by `devices.replicate`. If given, `batches` are `BatchIndices`
            of these faces instead of `Batch`es.

    Returns:
        The compiled function. Its metrics have the steps as their leading axis. In a run of several processes each
        process passes its own part of the batches (`multihost.local_batch_slice`).
    """

    def run(state: State, batches: Stream, faces: DeviceFaces | None, axis: str | None):
        def body(state: State, batch: Stream):
            if isinstance(batch, BatchIndices):
                batch = gather_batch(faces, batch)
            return step(state, batch, jax.random.fold_in(state.key, state.step), axis)

        if batches.position.shape[0] > 1:
            return jax.lax.scan(body, state, batches)
        # No loop for a single step: XLA on a CPU runs convolutions ten times slower inside a loop.
        state, metrics = body(state, jax.tree.map(lambda leaf: leaf[0], batches))
        return state, jax.tree.map(lambda value: value[None], metrics)

    if jax.process_count() > 1:
        return _across_processes(functools.partial(run, axis=DEVICE_AXIS), devices, faces)
    if len(devices) == 1:
        compiled = jax.jit(functools.partial(run, axis=None), donate_argnums=0)
        return lambda state, batches: compiled(state, batches, faces)
    mapped = jax.pmap(
        functools.partial(run, axis=DEVICE_AXIS),
        axis_name=DEVICE_AXIS,
        in_axes=(None, 1, None),
        out_axes=(None, None),
        donate_argnums=0,
        devices=devices,
    )

    def dispatch(state: State, batches: Stream):
        return mapped(state, jax.tree.map(functools.partial(_split, parts=len(devices)), batches), faces)

    return dispatch


def _across_processes(run: Callable, devices: Sequence[jax.Device], faces: DeviceFaces | None) -> Dispatch:
    """Map `run` over the devices of several processes, each of which passes its own part of the batch."""
    mesh = device_mesh(devices)
    split = PartitionSpec(None, DEVICE_AXIS)
    specs = {"in_specs": (PartitionSpec(), split, PartitionSpec()), "out_specs": PartitionSpec()}
    mapped = jax.jit(jax.shard_map(run, mesh=mesh, check_vma=False, **specs), donate_argnums=0)
    distribute = functools.partial(jax.make_array_from_process_local_data, NamedSharding(mesh, split))

    def dispatch(state: State, batches: Stream):
        state, metrics = mapped(state, jax.tree.map(distribute, batches), faces)
        return state, jax.tree.map(lambda value: value.addressable_data(0), metrics)

    return dispatch


def copy_state(state: State) -> State:
    """Return a copy of `state` in separate memory, which stays valid when a dispatch donates the original."""
    return jax.tree.map(lambda leaf: jax.device_put(leaf, leaf.sharding, may_alias=False), state)


def _split(leaf: np.ndarray, parts: int) -> np.ndarray:
    """Reshape (steps, batch, ...) to (steps, parts, batch // parts, ...)."""
    steps, batch = leaf.shape[:2]
    return leaf.reshape(steps, parts, batch // parts, *leaf.shape[2:])

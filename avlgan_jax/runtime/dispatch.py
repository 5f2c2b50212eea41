"""Several training steps in one compiled call, under `jax.jit`, `jax.pmap` or over several processes.

The step is the same pure function in all cases. Under pmap the state is not stacked: it goes in and comes out as one
tree (`in_axes=None`), each device holds a copy, and only the batch is split. Gradients are means over the devices, so
one update follows from a global batch however many devices share it, up to the rounding of another order of sums.
Over several processes (`hosts`), where pmap keeps no unstacked state, `jax.shard_map` takes its place.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from avlgan_jax.data.batches import BatchIndices, DeviceFaces, Stream, gather_batch
from avlgan_jax.runtime.devices import DEVICE_AXIS

State = Any
Dispatch = Callable[[State, Stream], tuple[State, dict[str, jax.Array]]]


def jit_unoptimised(function: Callable) -> Callable:
    """`jax.jit` of what runs once: XLA on a CPU takes 20 seconds to make a good program of an initialisation, 2 for a
    plain one, and either runs for hundredths of a second."""
    in_haste = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=in_haste)


def choose_steps_per_dispatch(wanted: int, convolves: bool) -> int:
    """`wanted`, or with 0 what measures best: loops of 20 steps, but single steps for convolutions on a CPU."""
    return wanted or (1 if convolves and jax.default_backend() == "cpu" else 20)


def spans(
    start: int, steps: int, longest: int, due: Iterable[int], kind: Callable[[int], Any]
) -> Iterator[tuple[int, int]]:
    """Yield [first, last) of each dispatch from `start` to `steps`.

    A dispatch has at most `longest` steps, all of one `kind(step)`, and ends at every multiple of a number in `due`.
    """
    while start < steps:
        stop = min(start + longest, steps, *((start // every + 1) * every for every in due))
        stop = next((step for step in range(start + 1, stop) if kind(step) != kind(start)), stop)
        yield start, stop
        start = stop


def make_dispatch(step: Callable, devices: Sequence[jax.Device], faces: DeviceFaces | None = None) -> Dispatch:
    """A compiled `(state, batches) -> (state, metrics)` that runs one step per leading index of `batches`.

    `step(state, batch, key, axis)` is a model's. With `faces`, which lie on the devices (`place`), it takes `Picks` of
    them instead of batches. The old state's memory is given up. Every metric comes back with the steps as its leading
    axis.
    """

    def run(state: State, batches: Stream, faces: DeviceFaces | None, axis: str | None):
        def body(state: State, batch: Stream):
            if isinstance(batch, BatchIndices):
                batch = gather_batch(faces, batch)
            return step(state, batch, jax.random.fold_in(state.key, state.step), axis)

        if batches.position.shape[0] > 1:
            return jax.lax.scan(body, state, batches)
        # A single step goes without the loop: XLA on a CPU runs convolutions inside one ten times slower.
        state, metrics = body(state, jax.tree.map(lambda leaf: leaf[0], batches))
        return state, jax.tree.map(lambda value: value[None], metrics)

    if jax.process_count() > 1:
        return _across_processes(functools.partial(run, axis=DEVICE_AXIS), devices, faces)
    if len(devices) == 1:
        alone = jax.jit(functools.partial(run, axis=None), donate_argnums=0)
        return lambda state, batches: alone(state, batches, faces)
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
    """As `jax.pmap`, over the devices of several processes, each of which brings its share of the batch."""
    mesh = jax.sharding.Mesh(np.array(devices), (DEVICE_AXIS,))
    split = PartitionSpec(None, DEVICE_AXIS)
    specs = {"in_specs": (PartitionSpec(), split, PartitionSpec()), "out_specs": PartitionSpec()}
    mapped = jax.jit(jax.shard_map(run, mesh=mesh, check_vma=False, **specs), donate_argnums=0)
    spread = functools.partial(jax.make_array_from_process_local_data, NamedSharding(mesh, split))

    def dispatch(state: State, batches: Stream):
        state, metrics = mapped(state, jax.tree.map(spread, batches), faces)
        return state, jax.tree.map(lambda value: value.addressable_data(0), metrics)

    return dispatch


def copy_state(state: State) -> State:
    """The same state in memory of its own, which a dispatch does not give up."""
    return jax.tree.map(lambda leaf: jax.device_put(leaf, leaf.sharding, may_alias=False), state)


def _split(leaf: np.ndarray, parts: int) -> np.ndarray:
    steps, batch = leaf.shape[:2]
    return leaf.reshape(steps, parts, batch // parts, *leaf.shape[2:])

"""Running steps on one device or many: several steps in one dispatch, under `jax.jit` or `jax.pmap`.

The step is the same pure function in both cases. Under pmap the state is not stacked: it goes in and comes out as one
tree (`in_axes=None`), each device holds a copy, and only the batch is split. Gradients are means over the devices, so
one update follows from a global batch however many devices share it, up to the rounding of another order of sums.
Over several processes (`hosts`), where pmap keeps no unstacked state, `jax.shard_map` takes its place.
"""

import ctypes
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from avlgan_jax.batches import Picks, Store, Stream, gather
from avlgan_jax.errors import UserError
from avlgan_jax.optimisation import DEVICE_AXIS

State = Any
Dispatch = Callable[[State, Stream], tuple[State, dict[str, jax.Array]]]
# The share of a device's memory that the training faces may fill.
_SHARE = 0.25


def set_up_cpu() -> None:
    """Make the most of a CPU: a device for each core, and memory that is kept (to be called before JAX's first
    computation)."""
    one_device_per_core()
    keep_memory()


def one_device_per_core() -> None:
    """Let JAX see one CPU device per core.

    Two devices of one thread each finish a step sooner than one device of two threads. It changes nothing where JAX
    runs on an accelerator, nor where XLA_FLAGS already say how many CPU devices there shall be.
    """
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


def keep_memory() -> None:
    """Let the process keep the memory that it frees.

    Every dispatch on a CPU asks for its scratch memory anew. The C library gives such large pieces back to the system
    each time, and the system clears each page before it comes again: an eighth of a demo's step on two cores. Nothing
    happens where the C library is not glibc.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None:
        # malloc.h: M_MMAP_MAX, no piece is mapped apart; M_TRIM_THRESHOLD, none is given back, however large (the -1 is
        # taken for the largest size there is); M_ARENA_MAX, one heap.
        for option, value in ((-4, 0), (-1, -1), (-8, 1)):
            adjust(option, value)


def keep_compiled(folder: Path) -> None:
    """Let JAX keep compiled programs in `folder` and find them there (to be called before its first computation)."""
    jax.config.update("jax_compilation_cache_dir", os.fspath(folder.absolute()))
    # Small ones too: pmap takes its outputs apart by a hundred programs that compile in milliseconds each.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def compiled_in_haste(function: Callable) -> Callable:
    """`jax.jit` of what runs once: XLA on a CPU takes 20 seconds to make a good program of an initialisation, 2 for a
    plain one, and either runs for hundredths of a second."""
    in_haste = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=in_haste)


def deterministic() -> None:
    """Let a GPU give the same bits each time (to be called before JAX's first computation).

    XLA then uses no operation that adds up in an order of chance, and does not choose between kernels by timing them.
    """
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()


def choose_devices(wanted: int, batch_size: int, convolves: bool = True) -> list[jax.Device]:
    """The devices to use: `wanted` of them, or with 0 what measures best: as many as there are and as divide the
    batch, but of a CPU a single one where nothing convolves (two take half as long again, for such steps are short).

    With several processes: all devices of all of them.

    Raises UserError where there are fewer, or where the batch cannot be split evenly.
    """
    there = jax.devices()
    if jax.process_count() > 1:  # all of them, or some process would have nothing to do
        if wanted not in (0, len(there)) or batch_size % len(there):
            raise UserError(
                f"{jax.process_count()} processes have {len(there)} devices together: expected devices 0 (is {wanted}) "
                f"and a batch_size that {len(there)} divides (is {batch_size})"
            )
        return there
    if wanted > len(there):
        raise UserError(f"devices is {wanted}, but there are {len(there)} ({there[0].platform}); ask for fewer, or 0")
    if wanted and batch_size % wanted:
        raise UserError(f"batch_size is {batch_size}: expected a multiple of devices ({wanted})")
    if not wanted and not convolves and there[0].platform == "cpu":
        return there[:1]
    count = wanted or max(n for n in range(1, len(there) + 1) if batch_size % n == 0)
    return there[:count]


def choose_steps_per_dispatch(wanted: int, convolves: bool) -> int:
    """`wanted`, or with 0 what measures best: loops of 20 steps, but single steps for convolutions on a CPU."""
    return wanted or (1 if convolves and jax.default_backend() == "cpu" else 20)


def data_fits(wanted: str, nbytes: int, devices: Sequence[jax.Device]) -> bool:
    """Whether the faces shall lie on the devices: by the config's `data_on_device`, or with `auto` by their memory."""
    if wanted != "auto":
        return wanted == "yes"
    # Only devices of this process tell. A CPU, which has the host's memory, tells None.
    told = next(device for device in devices if device.process_index == jax.process_index()).memory_stats()
    return told is not None and nbytes <= _SHARE * told["bytes_limit"]


def place(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """The arrays of `tree` whole on each of the devices, those of other processes included."""
    if len(devices) == 1:
        return jax.device_put(tree, devices[0])
    everywhere = NamedSharding(jax.sharding.Mesh(np.array(devices), (DEVICE_AXIS,)), PartitionSpec())
    return jax.tree.map(lambda leaf: jax.make_array_from_callback(leaf.shape, everywhere, leaf.__getitem__), tree)


def make_dispatch(step: Callable, devices: Sequence[jax.Device], faces: Store | None = None) -> Dispatch:
    """A compiled `(state, batches) -> (state, metrics)` that runs one step per leading index of `batches`.

    `step(state, batch, key, axis)` is a model's. With `faces`, which lie on the devices (`place`), it takes `Picks` of
    them instead of batches. The old state's memory is given up. Every metric comes back with the steps as its leading
    axis.
    """

    def run(state: State, batches: Stream, faces: Store | None, axis: str | None):
        def body(state: State, batch: Stream):
            if isinstance(batch, Picks):
                batch = gather(faces, batch)
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


def _across_processes(run: Callable, devices: Sequence[jax.Device], faces: Store | None) -> Dispatch:
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


def copy(state: State) -> State:
    """The same state in memory of its own, which a dispatch does not give up."""
    return jax.tree.map(lambda leaf: jax.device_put(leaf, leaf.sharding, may_alias=False), state)


def _split(leaf: np.ndarray, parts: int) -> np.ndarray:
    steps, batch = leaf.shape[:2]
    return leaf.reshape(steps, parts, batch // parts, *leaf.shape[2:])


def in_chunks(
    function: Callable, weights: Any, sizes: tuple[int, ...], devices: Sequence[jax.Device] = ()
) -> Callable[..., Any]:
    """`function(weights, *arrays)` compiled, as a function of numpy arrays with any number of rows.

    `sizes` are the numbers of rows for which it is compiled, ascending: each device is given so many of the largest
    at once, and the last rows are filled up to the smallest that holds them. Without `devices` JAX's first is used.
    What a device computes has one shape on one device and on eight, so the numbers are the same.
    """
    count = max(len(devices), 1)
    if count > 1:
        mesh = jax.sharding.Mesh(np.array(devices), (DEVICE_AXIS,))
        whole, rows = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec(DEVICE_AXIS)
        each = jax.shard_map(
            lambda weights, arrays: function(weights, *arrays),
            mesh=mesh,
            in_specs=(whole, rows),
            out_specs=rows,
            check_vma=False,
        )
        place = jax.sharding.NamedSharding(mesh, whole)
    else:
        each, place = lambda weights, arrays: function(weights, *arrays), (devices or jax.local_devices())[0]
    compiled, placed = jax.jit(each), jax.device_put(weights, place)

    def call(*arrays: np.ndarray):
        longest, pieces = sizes[-1] * count, []
        for start in range(0, max(len(arrays[0]), 1), longest):
            part = [np.asarray(array[start : start + longest]) for array in arrays]
            part = [np.asarray(p, np.float32) if p.dtype == np.float64 else p for p in part]
            length = len(part[0])
            size = next(size for size in sizes if size * count >= length) * count
            filled = [np.concatenate([p, np.zeros((size - length, *p.shape[1:]), p.dtype)]) for p in part]
            output = jax.tree.map(np.asarray, compiled(placed, filled))
            pieces.append(jax.tree.map(lambda leaf, length=length: leaf[:length], output))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *pieces)

    return call

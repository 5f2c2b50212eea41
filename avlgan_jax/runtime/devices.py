"""Devices of a run: CPU set-up, the compilation cache, the choice of devices, and the axis over which they average."""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from avlgan_jax.errors import UserError

# The pmap axis over which gradients and metrics are averaged.
DEVICE_AXIS = "devices"


def mean_over_devices(tree: Any, axis: str | None) -> Any:
    """The mean of every leaf over the devices of the mapped axis; the tree itself where there is no axis."""
    return tree if axis is None else jax.lax.pmean(tree, axis)


# The share of a device's memory that the training faces may fill.
_DATA_SHARE = 0.25


def set_up_cpu() -> None:
    """Make the most of a CPU: a device for each core, and memory that is kept (to be called before JAX's first
    computation)."""
    one_device_per_core()
    retain_freed_memory()


def one_device_per_core() -> None:
    """Let JAX see one CPU device per core.

    Two devices of one thread each finish a step sooner than one device of two threads. It changes nothing where JAX
    runs on an accelerator, nor where XLA_FLAGS already say how many CPU devices there shall be.
    """
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


def retain_freed_memory() -> None:
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


def use_compilation_cache(folder: Path) -> None:
    """Let JAX keep compiled programs in `folder` and find them there (to be called before its first computation)."""
    jax.config.update("jax_compilation_cache_dir", os.fspath(folder.absolute()))
    # Small ones too: pmap takes its outputs apart by a hundred programs that compile in milliseconds each.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


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


def data_fits(wanted: str, nbytes: int, devices: Sequence[jax.Device]) -> bool:
    """Whether the faces shall lie on the devices: by the config's `data_on_device`, or with `auto` by their memory."""
    if wanted != "auto":
        return wanted == "yes"
    # Only devices of this process tell. A CPU, which has the host's memory, tells None.
    told = next(device for device in devices if device.process_index == jax.process_index()).memory_stats()
    return told is not None and nbytes <= _DATA_SHARE * told["bytes_limit"]


def replicate(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """The arrays of `tree` whole on each of the devices, those of other processes included."""
    if len(devices) == 1:
        return jax.device_put(tree, devices[0])
    everywhere = NamedSharding(jax.sharding.Mesh(np.array(devices), (DEVICE_AXIS,)), PartitionSpec())
    return jax.tree.map(lambda leaf: jax.make_array_from_callback(leaf.shape, everywhere, leaf.__getitem__), tree)

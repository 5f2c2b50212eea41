"""Devices of a run: CPU setup, compilation cache, choice of devices, and the axis over which devices average."""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from avlgan_jax.errors import UserError

# The mapped axis over which gradients and metrics are averaged.
DEVICE_AXIS = "devices"


def mean_over_devices(tree: Any, axis: str | None) -> Any:
    """Return the mean of every leaf over the devices of the mapped axis `axis`, or `tree` itself if it is None."""
    return tree if axis is None else jax.lax.pmean(tree, axis)


# The largest share of a device's memory that the training faces may fill.
_DATA_SHARE = 0.25


def set_up_cpu() -> None:
    """Create one CPU device per core and keep freed memory. Call it before JAX's first computation."""
    one_device_per_core()
    retain_freed_memory()


def one_device_per_core() -> None:
    """Make JAX create one CPU device per core. Call it before JAX's first computation.

    Two devices with one thread each finish a step sooner than one device with two threads. This has no effect if JAX
    runs on an accelerator, or if XLA_FLAGS already sets the number of CPU devices.
    """
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))


def retain_freed_memory() -> None:
    """Make the C library keep freed memory in the process instead of returning it to the system.

    Every dispatch on a CPU allocates its scratch memory anew. By default glibc returns blocks of this size to the
    system, which clears each page before it hands it out again. That takes an eighth of a step of the demo on two
    cores. This has no effect with another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # Options from malloc.h. M_MMAP_MAX (-4) of 0: allocate no block by mmap. M_TRIM_THRESHOLD (-1) of -1, which
        # glibc reads as the largest size: never return memory. M_ARENA_MAX (-8) of 1: a single heap.
        for option, value in ((-4, 0), (-1, -1), (-8, 1)):
            mallopt(option, value)


def use_compilation_cache(folder: Path) -> None:
    """Make JAX store compiled programs in `folder` and reuse them. Call it before JAX's first computation.

    The environment variable JAX_COMPILATION_CACHE_DIR comes first.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    jax.config.update("jax_compilation_cache_dir", os.fspath(folder.absolute()))
    # Cache small programs too: pmap splits its outputs with about a hundred programs that compile in milliseconds each.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def deterministic() -> None:
    """Make a GPU compute the same bits in every run. Call it before JAX's first computation.

    XLA then avoids operations that add in a varying order, and does not choose between kernels by timing them.
    """
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()


def choose_devices(wanted: int, batch_size: int, convolves: bool = True) -> list[jax.Device]:
    """Return the devices to use.

    A run of several processes always uses all devices of all processes.

    Args:
        wanted: Number of devices, or 0 for the fastest choice: the largest number of devices that divides the batch,
            but a single CPU device for a model without convolutions. Steps of such a model are short, and two CPU
            devices take 1.5 times as long.
        batch_size: Examples in a step, over all devices together. 0 fits any number of devices.
        convolves: Whether the model has 2-D convolutions.

    Raises:
        UserError: There are fewer devices than `wanted`, the batch cannot be split evenly, or a run of several
            processes is to use only some of its devices.
    """
    available = jax.devices()
    if jax.process_count() > 1:  # a process without devices would have nothing to compute
        if wanted not in (0, len(available)) or batch_size % len(available):
            raise UserError(
                f"{jax.process_count()} processes have {len(available)} devices in total: expected devices 0 "
                f"(found {wanted}) and a batch_size that is a multiple of {len(available)} (found {batch_size})"
            )
        return available
    if wanted > len(available):
        raise UserError(
            f"devices is {wanted}, but there are {len(available)} ({available[0].platform}): "
            f"set devices to {len(available)} or less, or to 0 (automatic)"
        )
    if wanted and batch_size % wanted:
        raise UserError(f"batch_size is {batch_size}: expected a multiple of devices ({wanted})")
    if not wanted and not convolves and available[0].platform == "cpu":
        return available[:1]
    count = wanted or max(n for n in range(1, len(available) + 1) if batch_size % n == 0)
    return available[:count]


def data_fits(wanted: str, nbytes: int, devices: Sequence[jax.Device]) -> bool:
    """Return whether to keep the training faces on the devices.

    Args:
        wanted: The config's `data_on_device`. "yes" and "no" decide; "auto" keeps the faces on devices that report
            their memory if the faces fill at most a quarter of it. A CPU reports none, since its memory is the host's.
        nbytes: Size of the faces in bytes.
        devices: The devices of the run. The first one that belongs to this process is examined.
    """
    if wanted != "auto":
        return wanted == "yes"
    # Devices of other processes report no memory.
    local_device = next(device for device in devices if device.process_index == jax.process_index())
    memory = local_device.memory_stats()
    return memory is not None and nbytes <= _DATA_SHARE * memory["bytes_limit"]


def device_mesh(devices: Sequence[jax.Device]) -> jax.sharding.Mesh:
    """Return the one-dimensional mesh of the devices, whose only axis is DEVICE_AXIS."""
    return jax.sharding.Mesh(np.array(devices), (DEVICE_AXIS,))


def replicate(tree: Any, devices: Sequence[jax.Device]) -> Any:
    """Copy every array of `tree` to each of the devices, which may belong to several processes.

    Each process copies its own `tree` to its own devices, so all processes must pass the same values.
    """
    if len(devices) == 1:
        return jax.device_put(tree, devices[0])
    everywhere = NamedSharding(device_mesh(devices), PartitionSpec())
    if jax.process_count() == 1:
        return jax.device_put(tree, everywhere)
    return jax.tree.map(lambda leaf: jax.make_array_from_callback(leaf.shape, everywhere, leaf.__getitem__), tree)

"""Functions compiled for fixed numbers of rows and applied to any number of rows."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from avlgan_jax.runtime.devices import DEVICE_AXIS, device_mesh


def in_chunks(
    function: Callable, weights: Any, sizes: tuple[int, ...], devices: Sequence[jax.Device] = ()
) -> Callable[..., Any]:
    """Compile `function(weights, *arrays)` and return it as a function of numpy arrays with any number of rows.

    The rows are cut into chunks of the largest size per device. The last chunk is zero-padded to the smallest size
    that holds it. With a single size each device always computes the same shape, so the outputs do not depend on the
    number of devices.

    Args:
        function: A pure function of the weights and of arrays with one row per example. Its output is an array, or a
            tree of arrays, with one row per example.
        weights: The parameter tree, copied once to every device.
        sizes: The numbers of rows per device to compile for, in ascending order.
        devices: The devices to use; empty for JAX's first local device.

    Returns:
        A function of arrays with equal numbers of rows (0 is allowed). float64 arrays are converted to float32.
    """
    count = max(len(devices), 1)
    if count > 1:
        mesh = device_mesh(devices)
        replicated, rows = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec(DEVICE_AXIS)
        each = jax.shard_map(
            lambda weights, arrays: function(weights, *arrays),
            mesh=mesh,
            in_specs=(replicated, rows),
            out_specs=rows,
            check_vma=False,
        )
        placement = jax.sharding.NamedSharding(mesh, replicated)
    else:
        each, placement = lambda weights, arrays: function(weights, *arrays), (devices or jax.local_devices())[0]
    compiled, placed = jax.jit(each), jax.device_put(weights, placement)

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

"""A function compiled for fixed numbers of rows, applied to any number of rows."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from avlgan_jax.runtime.devices import DEVICE_AXIS


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

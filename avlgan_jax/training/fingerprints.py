"""What a run computed, in eight hexadecimal digits each: its batches, its losses, every leaf of its state.

Two runs that did the same have the same digests; where they part, the first that differs says when and in what
(`reproduce`). They tell differences of chance, not of malice.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, UInt32

DIGITS = 8
_WORDS = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32}


def fingerprint_arrays(arrays: Sequence[np.ndarray]) -> str:
    """One digest of the bytes of host arrays, in their order."""
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).tobytes(), value)
    return f"{value:08x}"


def fingerprint_metrics(metrics: Mapping[str, np.ndarray]) -> list[str]:
    """A digest of each step's metrics; every metric holds the steps along its leading axis."""
    names = sorted(metrics)
    steps = len(metrics[names[0]])
    return [fingerprint_arrays([metrics[name][step] for name in names]) for step in range(steps)]


def names(state: Any) -> list[str]:
    """The name of each leaf of a state, such as `generator/Dense_0/kernel`, in the order of `of_leaves`."""
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in _leaves(state)]


def fingerprint_state(state: Any) -> tuple[UInt32[np.ndarray, "leaves"], Bool[np.ndarray, "leaves"]]:
    """A digest of each leaf's bits, and whether all its numbers are finite. Computed where the state lies.

    Each word is mixed with its place (the finaliser of MurmurHash3) and all are added up modulo 2^32, a sum that no
    order of adding changes.
    """
    values, finite = zip(*jax.device_get([_of_leaf(leaf) for _, leaf in _leaves(state)]), strict=True)
    return np.array(values), np.array(finite)


def join(values: UInt32[np.ndarray, "leaves"]) -> str:
    """The digests of leaves as one text of eight digits each."""
    return "".join(f"{int(value):08x}" for value in np.asarray(values))


def split(digests: str) -> list[str]:
    """The single digests of a text that holds several. Raises ValueError where it does not."""
    if not isinstance(digests, str) or len(digests) % DIGITS:
        raise ValueError(f"{digests!r:.40} is no row of digests")
    return [digests[start : start + DIGITS] for start in range(0, len(digests), DIGITS)]


def _leaves(state: Any) -> list[tuple[tuple, Array]]:
    storable = state.replace(key=jax.random.key_data(state.key))
    return jax.tree_util.tree_leaves_with_path(storable)


# A program for each shape and not for each state: hundreds of leaves have a few dozen shapes.
@jax.jit
def _of_leaf(leaf: Array) -> tuple[UInt32[Array, ""], Bool[Array, ""]]:
    finite = jnp.isfinite(leaf).all() if jnp.issubdtype(leaf.dtype, jnp.inexact) else jnp.array(True)
    if leaf.dtype == jnp.bool_:
        leaf = leaf.astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(leaf, _WORDS[leaf.dtype.itemsize]).astype(jnp.uint32).ravel()
    mixed = words ^ (jnp.arange(1, words.size + 1, dtype=jnp.uint32) * jnp.uint32(0x9E3779B1))
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed = (mixed ^ (mixed >> shift)) * jnp.uint32(factor)
    return jnp.sum(mixed ^ (mixed >> 16), dtype=jnp.uint32), finite

"""Digests of what a run computed: its batches, its losses and every leaf of its state, eight hexadecimal digits each.

Two runs that computed the same have the same digests. Where two runs differ, the first differing digest shows the step
and the quantity (`compare_runs`). The digests detect accidental differences; they are not cryptographic.
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
    """Return one digest (CRC-32) of the bytes of host arrays, in their order."""
    value = 0
    for array in arrays:
        value = zlib.crc32(np.ascontiguousarray(array).tobytes(), value)
    return f"{value:08x}"


def fingerprint_metrics(metrics: Mapping[str, np.ndarray]) -> list[str]:
    """Return one digest per step of the metrics of a dispatch; the leading axis of every metric is the step."""
    names = sorted(metrics)
    steps = len(metrics[names[0]])
    return [fingerprint_arrays([metrics[name][step] for name in names]) for step in range(steps)]


def names(state: Any) -> list[str]:
    """Return the name of each leaf of a state, such as `generator/Dense_0/kernel`.

    The order is that of the leaves in `fingerprint_state`.
    """
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in _leaves(state)]


def fingerprint_state(state: Any) -> tuple[UInt32[np.ndarray, "leaves"], Bool[np.ndarray, "leaves"]]:
    """Return a digest of each leaf's bits, and whether all numbers of the leaf are finite.

    The digests are computed on the device that holds the state. Each word of a leaf is mixed with its index (finaliser
    of MurmurHash3) and the results are summed modulo 2^32, so the digest does not depend on the order of summation.
    """
    values, finite = zip(*jax.device_get([_of_leaf(leaf) for _, leaf in _leaves(state)]), strict=True)
    return np.array(values), np.array(finite)


def join(values: UInt32[np.ndarray, "leaves"]) -> str:
    """Return the digests of leaves as one string, DIGITS hexadecimal digits per leaf."""
    return "".join(f"{int(value):08x}" for value in np.asarray(values))


def split(digests: str) -> list[str]:
    """Split a string of concatenated digests into single digests.

    Raises:
        ValueError: `digests` is not a string, or its length is not a multiple of DIGITS.
    """
    if not isinstance(digests, str) or len(digests) % DIGITS:
        raise ValueError(f"{digests!r:.40} is not a sequence of digests of {DIGITS} digits")
    return [digests[start : start + DIGITS] for start in range(0, len(digests), DIGITS)]


def _leaves(state: Any) -> list[tuple[tuple, Array]]:
    """Return (path, leaf) for each leaf of a state, with the random key as an array of integers."""
    storable = state.replace(key=jax.random.key_data(state.key))
    return jax.tree_util.tree_leaves_with_path(storable)


# Compiled once per shape, not once per state: the hundreds of leaves have only a few dozen shapes.
@jax.jit
def _of_leaf(leaf: Array) -> tuple[UInt32[Array, ""], Bool[Array, ""]]:
    """Return the digest of one leaf and whether all its numbers are finite."""
    finite = jnp.isfinite(leaf).all() if jnp.issubdtype(leaf.dtype, jnp.inexact) else jnp.array(True)
    if leaf.dtype == jnp.bool_:
        leaf = leaf.astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(leaf, _WORDS[leaf.dtype.itemsize]).astype(jnp.uint32).ravel()
    mixed = words ^ (jnp.arange(1, words.size + 1, dtype=jnp.uint32) * jnp.uint32(0x9E3779B1))
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed = (mixed ^ (mixed >> shift)) * jnp.uint32(factor)
    return jnp.sum(mixed ^ (mixed >> 16), dtype=jnp.uint32), finite

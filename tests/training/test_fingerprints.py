"""Digests depend on every bit and on the order of a state's numbers, and on nothing else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from avlgan_jax.training import fingerprints


class State(struct.PyTreeNode):
    key: jax.Array
    weights: dict


def state(**weights):
    return State(key=jax.random.key(3), weights=weights)


def digest_of(value):
    return fingerprints.split(fingerprints.join(fingerprints.fingerprint_state(state(a=value))[0]))[1]


def test_names_are_in_the_order_of_the_digests():
    found = state(b=jnp.zeros(2), a={"kernel": jnp.ones((2, 3))})
    assert fingerprints.names(found) == ["key", "weights/a/kernel", "weights/b"]
    assert len(fingerprints.split(fingerprints.join(fingerprints.fingerprint_state(found)[0]))) == 3


@pytest.mark.parametrize("kind", [jnp.float32, jnp.bfloat16, jnp.int32, jnp.uint8])
def test_one_flipped_bit_changes_the_digest(kind):
    value = np.array(jnp.arange(100).astype(kind))
    flipped = value.copy()
    flipped.view(np.uint8)[37] ^= 1
    assert digest_of(jnp.asarray(value)) == digest_of(jnp.asarray(value)) != digest_of(jnp.asarray(flipped))


def test_the_digest_depends_on_the_order_and_on_the_sign_of_zero():
    assert digest_of(jnp.array([1.0, 2.0])) != digest_of(jnp.array([2.0, 1.0]))
    assert digest_of(jnp.array([0.0])) != digest_of(jnp.array([-0.0]))
    assert digest_of(jnp.array([True, False])) != digest_of(jnp.array([False, True]))


def test_the_digest_does_not_depend_on_the_sharding():
    value = jax.random.normal(jax.random.key(0), (64, 8))
    mesh = jax.make_mesh((4,), ("d",))
    spread = jax.device_put(value, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("d")))
    assert digest_of(value) == digest_of(spread)


def test_leaves_that_are_not_finite_are_reported():
    _, finite = fingerprints.fingerprint_state(state(a=jnp.array([1.0, jnp.nan]), b=jnp.array([1, 2])))
    assert finite.tolist() == [True, False, True]


def test_digests_of_host_arrays_depend_on_order_and_content():
    a, b = np.arange(4), np.ones(2, np.float32)
    assert fingerprints.fingerprint_arrays([a, b]) == fingerprints.fingerprint_arrays([a.copy(), b])
    assert fingerprints.fingerprint_arrays([a, b]) != fingerprints.fingerprint_arrays([b, a])
    steps = fingerprints.fingerprint_metrics({"x": np.array([1.0, 1.0, 2.0]), "y": np.zeros(3)})
    assert steps[0] == steps[1] != steps[2]

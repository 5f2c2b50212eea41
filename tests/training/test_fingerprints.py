"""Digests see every bit and every place, and nothing else."""

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


def of(value):
    return fingerprints.split(fingerprints.join(fingerprints.fingerprint_state(state(a=value))[0]))[1]


def test_names_stand_in_the_order_of_the_digests():
    found = state(b=jnp.zeros(2), a={"kernel": jnp.ones((2, 3))})
    assert fingerprints.names(found) == ["key", "weights/a/kernel", "weights/b"]
    assert len(fingerprints.split(fingerprints.join(fingerprints.fingerprint_state(found)[0]))) == 3


@pytest.mark.parametrize("kind", [jnp.float32, jnp.bfloat16, jnp.int32, jnp.uint8])
def test_one_flipped_bit_changes_the_digest(kind):
    value = np.array(jnp.arange(100).astype(kind))
    flipped = value.copy()
    flipped.view(np.uint8)[37] ^= 1
    assert of(jnp.asarray(value)) == of(jnp.asarray(value)) != of(jnp.asarray(flipped))


def test_the_place_counts_and_so_does_the_sign_of_zero():
    assert of(jnp.array([1.0, 2.0])) != of(jnp.array([2.0, 1.0]))
    assert of(jnp.array([0.0])) != of(jnp.array([-0.0]))
    assert of(jnp.array([True, False])) != of(jnp.array([False, True]))


def test_the_digest_does_not_depend_on_where_the_state_lies():
    value = jax.random.normal(jax.random.key(0), (64, 8))
    mesh = jax.make_mesh((4,), ("d",))
    spread = jax.device_put(value, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("d")))
    assert of(value) == of(spread)


def test_what_is_not_finite_is_found():
    _, finite = fingerprints.fingerprint_state(state(a=jnp.array([1.0, jnp.nan]), b=jnp.array([1, 2])))
    assert finite.tolist() == [True, False, True]


def test_digests_of_host_arrays_see_order_and_content():
    a, b = np.arange(4), np.ones(2, np.float32)
    assert fingerprints.fingerprint_arrays([a, b]) == fingerprints.fingerprint_arrays([a.copy(), b])
    assert fingerprints.fingerprint_arrays([a, b]) != fingerprints.fingerprint_arrays([b, a])
    steps = fingerprints.fingerprint_metrics({"x": np.array([1.0, 1.0, 2.0]), "y": np.zeros(3)})
    assert steps[0] == steps[1] != steps[2]

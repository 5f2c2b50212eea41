import numpy as np
import pytest

from avlgan_jax.data import mixed, records
from avlgan_jax.data.manifest import records_digest
from avlgan_jax.errors import UserError


def test_one_name_is_that_data_set(data_dir):
    one, same = (load(data_dir, "procedural_faces", 32, "train") for load in (records.load, mixed.load))
    np.testing.assert_array_equal(one.images, same.images)
    assert same.parts == () and same.extras.keys() == one.extras.keys()
    assert mixed.digest(data_dir, "procedural_faces", 32) == records_digest(data_dir, "procedural_faces", 32)


def test_two_names_are_both_one_after_another_with_an_identity_of_their_own(data_dir):
    one = records.load(data_dir, "procedural_faces", 32, "train")
    twice = mixed.load(data_dir, "procedural_faces+procedural_faces", 32, "train")
    assert twice.parts == (len(one), len(one)) and len(twice) == 2 * len(one)
    for half in (slice(0, len(one)), slice(len(one), None)):
        np.testing.assert_array_equal(twice.images[half], one.images)
        np.testing.assert_array_equal(twice.landmarks[half], one.landmarks)
        np.testing.assert_array_equal(twice.extras["face_key"][half], one.extras["face_key"])
    digests = {mixed.digest(data_dir, name, 32) for name in ("procedural_faces", "procedural_faces+procedural_faces")}
    assert len(digests) == 2 and all(len(digest) == 32 for digest in digests)


def test_faces_without_keys_get_keys_of_their_own(data_dir):
    drawn = records.load(data_dir, "procedural_faces", 32, "train")
    plain = drawn.take(np.arange(3))
    plain.extras.pop("face_key")
    keys = mixed.join([drawn, plain]).extras["face_key"]
    np.testing.assert_array_equal(keys[: len(drawn)], drawn.extras["face_key"])
    assert (keys[len(drawn) :, 0] < 0).all() and len(np.unique(keys[len(drawn) :], axis=0)) == 3


def test_a_data_set_that_is_not_prepared_is_named(data_dir):
    with pytest.raises(UserError, match="diffusion_fer"):
        mixed.load(data_dir, "procedural_faces+diffusion_fer", 32, "train")

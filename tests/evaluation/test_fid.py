"""The cache of the training set's features: computed once, and again if a part of the key differs."""

import dataclasses

import numpy as np
import pytest

from avlgan_jax.evaluation import metrics
from avlgan_jax.evaluation.fid import FeatureCacheKey, load_or_measure
from avlgan_jax.evaluation.trials import ReferenceFeatures

IDENTITY = FeatureCacheKey(weights="ab12", mode="clean", resolution=32, count=6, data="d1ce57")


@pytest.fixture
def reference():
    vectors = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    infants = np.array([False, True] * 3)
    moments = {"all": metrics.moments(vectors), "infant": metrics.moments(vectors[infants])}
    return ReferenceFeatures(moments, vectors, infants)


def fail():
    raise AssertionError("measured again")


def test_features_are_computed_once(tmp_path, reference):
    assert load_or_measure(tmp_path, IDENTITY, lambda: reference) is reference
    found = load_or_measure(tmp_path, IDENTITY, fail)
    np.testing.assert_array_equal(found.features, reference.features)
    np.testing.assert_array_equal(found.infants, reference.infants)
    assert found.moments.keys() == reference.moments.keys()
    for group, moments in found.moments.items():
        assert moments.count == reference.moments[group].count
        np.testing.assert_array_equal(moments.covariance, reference.moments[group].covariance)
        assert metrics.frechet_distance(moments, reference.moments[group]) == pytest.approx(0.0, abs=1e-12)
    assert [path.name for path in (tmp_path / ".cache" / "d1ce57").iterdir()] == ["inception-clean.npz"]


@pytest.mark.parametrize("other", [{"weights": "cd34"}, {"resolution": 64}, {"count": 7}])
def test_features_with_another_key_are_computed_again(tmp_path, reference, other):
    load_or_measure(tmp_path, IDENTITY, lambda: reference)
    changed = dataclasses.replace(reference, features=reference.features + 1)
    assert load_or_measure(tmp_path, dataclasses.replace(IDENTITY, **other), lambda: changed) is changed


def test_each_mode_has_its_own_file(tmp_path, reference):
    load_or_measure(tmp_path, IDENTITY, lambda: reference)
    load_or_measure(tmp_path, dataclasses.replace(IDENTITY, mode="legacy"), lambda: reference)
    assert load_or_measure(tmp_path, IDENTITY, fail) is not None


@pytest.mark.parametrize("keep", [0, 40, -7])
def test_features_of_a_damaged_file_are_computed_again(tmp_path, reference, keep):
    load_or_measure(tmp_path, IDENTITY, lambda: reference)
    (path,) = tmp_path.rglob("*.npz")
    path.write_bytes(path.read_bytes()[:keep])
    assert load_or_measure(tmp_path, IDENTITY, lambda: reference) is reference
    assert load_or_measure(tmp_path, IDENTITY, fail) is not reference


def test_a_failed_write_leaves_no_file(tmp_path, reference, monkeypatch):
    def fail_to_save(*arguments, **arrays):
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", fail_to_save)
    with pytest.raises(OSError, match="no space"):
        load_or_measure(tmp_path, IDENTITY, lambda: reference)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

"""Disk cache of the training set's Inception features, computed once for each set of weights, mode and resolution.

    DATA_DIR/.cache/DIGEST/inception-MODE.npz

The file records its `FeatureCacheKey`. A file with another key, or one that cannot be read, is computed again.
"""

import dataclasses
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from avlgan_jax import atomic_files
from avlgan_jax.evaluation.metrics import Moments
from avlgan_jax.evaluation.trials import ReferenceFeatures


@dataclasses.dataclass(frozen=True)
class FeatureCacheKey:
    """The inputs that determine the cached features: network weights, resizing and training images."""

    weights: str
    """SHA-256 of the file with Inception's weights."""
    mode: str
    """Resizing of the images for the network (`inception.Mode`)."""
    resolution: int
    """Side of the images in pixels before resizing."""
    count: int
    """Number of images."""
    data: str
    """Digest of the records that hold the images."""


def load_or_measure(
    data_dir: Path, identity: FeatureCacheKey, measure: Callable[[], ReferenceFeatures]
) -> ReferenceFeatures:
    """Return the features for `identity` from the cache, or compute them and write them to the cache.

    Args:
        data_dir: Folder of the prepared data, which holds the cache.
        identity: Key of the features.
        measure: Computes the features; called only if the cache has no readable file with this key.
    """
    path = Path(data_dir, ".cache", identity.data, f"inception-{identity.mode}.npz")
    found = _read(path, identity)
    if found is None:
        found = measure()
        _write(path, identity, found)
    return found


def _write(path: Path, identity: FeatureCacheKey, reference: ReferenceFeatures) -> None:
    """Write the features and their key to `path`, atomically."""
    arrays = {"identity": np.array(json.dumps(dataclasses.asdict(identity)))}
    for group, moments in reference.moments.items():
        arrays |= {f"{group}.{name}": np.asarray(value) for name, value in dataclasses.asdict(moments).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_files.atomic_file(path) as partial, open(partial, "wb") as stream:
        np.savez(stream, features=reference.features, infants=reference.infants, **arrays)


def _read(path: Path, identity: FeatureCacheKey) -> ReferenceFeatures | None:
    """Return the features in `path`, or None if the file cannot be read or has another key."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if json.loads(str(stored["identity"])) != dataclasses.asdict(identity):
                return None
            groups = [name.removesuffix(".count") for name in stored.files if name.endswith(".count")]
            moments = {
                g: Moments(int(stored[f"{g}.count"]), stored[f"{g}.mean"], stored[f"{g}.scatter"]) for g in groups
            }
            return ReferenceFeatures(moments, stored["features"], stored["infants"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None

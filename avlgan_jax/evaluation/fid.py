"""The training pictures seen through Inception, kept on disk: measured once for each set of weights, mode and size.

    DATA_DIR/.cache/DIGEST/inception-MODE.npz

The file says what it was made with (`Identity`); one that says anything else, or that cannot be read, is made again.
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
    """What the statistics of a training set are statistics of."""

    weights: str
    """SHA-256 of the file of Inception's weights."""
    mode: str
    """How the pictures were resized for the network."""
    resolution: int
    """Side of the pictures in pixels before that."""
    count: int
    """How many pictures there were."""
    data: str
    """Digest of the records they come from."""


def load_or_measure(
    data_dir: Path, identity: FeatureCacheKey, measure: Callable[[], ReferenceFeatures]
) -> ReferenceFeatures:
    """The statistics of `identity`: those on disk if there are any, else those that `measure` gives, which are kept."""
    path = Path(data_dir, ".cache", identity.data, f"inception-{identity.mode}.npz")
    found = _read(path, identity)
    if found is None:
        found = measure()
        _write(path, identity, found)
    return found


def _write(path: Path, identity: FeatureCacheKey, reference: ReferenceFeatures) -> None:
    arrays = {"identity": np.array(json.dumps(dataclasses.asdict(identity)))}
    for group, moments in reference.moments.items():
        arrays |= {f"{group}.{name}": np.asarray(value) for name, value in dataclasses.asdict(moments).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_files.atomic_file(path) as partial, open(partial, "wb") as stream:
        np.savez(stream, features=reference.features, infants=reference.infants, **arrays)


def _read(path: Path, identity: FeatureCacheKey) -> ReferenceFeatures | None:
    try:
        with np.load(path, allow_pickle=False) as kept:
            if json.loads(str(kept["identity"])) != dataclasses.asdict(identity):
                return None
            groups = [name.removesuffix(".count") for name in kept.files if name.endswith(".count")]
            moments = {g: Moments(int(kept[f"{g}.count"]), kept[f"{g}.mean"], kept[f"{g}.scatter"]) for g in groups}
            return ReferenceFeatures(moments, kept["features"], kept["infants"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None

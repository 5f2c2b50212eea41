"""Several prepared data sets as one: `procedural_faces+diffusion_fer`.

A batch takes as many faces of each, however large they are (`batches.plan_batch`). Validation faces are those of the
first.
"""

import hashlib
from pathlib import Path

import numpy as np
from jaxtyping import Int

from avlgan_jax.data import records
from avlgan_jax.data.manifest import records_digest
from avlgan_jax.data.records import Faces


def names(data: str) -> tuple[str, ...]:
    """Return the names of the data sets in `data`, a name or several with a plus between."""
    return tuple(data.split("+"))


def load(data_dir: Path, data: str, resolution: int, split: str, dimensions: int = 2) -> Faces:
    """Return one split of all data sets in `data`, joined.

    Args:
        data_dir: The folder of all prepared data sets.
        data: The names of the data sets.
        resolution: The image side in pixels.
        split: The name of the split.
        dimensions: Coordinates per landmark, 2 or 3.

    Raises:
        UserError: As `records.load`.
    """
    return join([records.load(data_dir, name, resolution, split, dimensions) for name in names(data)])


def join(sets: list[Faces]) -> Faces:
    """Return several data sets, one after another (`Faces.parts`).

    Their `face_key` stays; faces without one get negative ones, each its own: no other image shows them in this pose.
    """
    if len(sets) == 1:
        return sets[0]
    keys = [_keys(faces, place) for place, faces in enumerate(sets)]
    fields = ("images", "landmarks", "emotions", "expressions", "infants", "ids", "subjects")
    joined = {name: np.concatenate([getattr(faces, name) for faces in sets]) for name in fields}
    return Faces(**joined, extras={"face_key": np.concatenate(keys)}, parts=tuple(map(len, sets)))


def _keys(faces: Faces, place: int) -> Int[np.ndarray, "n 4"]:
    """Return `face_key` of a data set; if it has none, another negative key for each face."""
    if "face_key" in faces.extras:
        return np.asarray(faces.extras["face_key"])
    keys = np.zeros((len(faces), 4), np.int64)
    keys[:, 0], keys[:, 1] = -1 - place, np.arange(len(faces))
    return keys


def digest(data_dir: Path, data: str, resolution: int) -> str:
    """Return the identity of the prepared data sets in `data`.

    Raises:
        UserError: As `manifest.records_digest`.
    """
    digests = [records_digest(data_dir, name, resolution) for name in names(data)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("+".join(digests).encode()).hexdigest()[:32]

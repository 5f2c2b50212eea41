"""Jaws of photographs that drop: mouth and cheeks become narrower.

Drawn mouths hardly become narrower when they open, and the landmark converter has learned that from them. On a
photograph it looks like a laugh where surprise was asked. Photographs that show surprise have a narrower mouth and jaw
than neutral ones (`docs/experiments.md`).
"""

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.landmarks import in_plane

# A chin that descends by less, in distances of the outer eye corners, belongs to a smile or to lips that part.
_PARTED = 0.03
# How much narrower a mouth becomes, over the rest of the chin's descent.
_MOUTH = 0.5
# How far each side of the jaw moves inwards, over that rest: the most, and the share of it by landmark.
_JAW = 0.24
_SHARES = {2: 0.3, 3: 0.7, 4: 1.0, 5: 0.6, 6: 0.2}
_CHIN, _CORNERS, _LIPS = 8, (48, 54), slice(48, 68)


def dropped(
    before: Float[np.ndarray, "*batch 68 d"], after: Float[np.ndarray, "*batch 68 d"]
) -> Float[np.ndarray, "*batch 68 d"]:
    """Return the landmarks after an edit, with mouth and jaw narrower by a share of the chin's descent.

    A laugh that widens the mouth still does so, by less the more the jaw drops. Faces whose chin hardly descends stay
    as they are to the bit.

    Args:
        before: Landmarks of the photograph, in any unit.
        after: Landmarks of the edit, in the same unit.
    """
    moved, narrow = in_plane(after), after.copy()
    unit, axes = lm.eye_distance(before), lm.eye_axes(before)
    across, down = axes[..., 0, :], axes[..., 1, :]
    descent = _dot(moved[..., _CHIN, :] - in_plane(before)[..., _CHIN, :], down)
    drop = np.maximum(descent - _PARTED * unit, 0.0)
    ends = moved[..., _CORNERS, :]
    middle, width = ends.mean(axis=-2), np.linalg.norm(ends[..., 1, :] - ends[..., 0, :], axis=-1)
    inwards = np.zeros(after.shape[:-1], after.dtype)
    share = np.minimum(_MOUTH * drop / np.maximum(width, 1e-6), 0.5)
    inwards[..., _LIPS] = -share[..., None] * _dot(moved[..., _LIPS, :] - middle[..., None, :], across[..., None, :])
    for landmark, part in _SHARES.items():
        inwards[..., landmark] = _JAW * part * drop
        inwards[..., lm.FLIP_ORDER[landmark]] = -_JAW * part * drop
    narrow[..., :2] += inwards[..., None] * across[..., None, :]
    return narrow


def _dot(a: Float[np.ndarray, "*batch 2"], b: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch"]:
    """Return the products of vectors."""
    return (a * b).sum(axis=-1)

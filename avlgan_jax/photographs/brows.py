"""Brows of photographs: how far they may be lowered.

Drawn faces have higher brows than most people. A brow of a photograph that is lowered by as much as theirs would lie on
the lid, where the flow bends it into a hook.
"""

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.landmarks import in_plane

# The smallest distance of a lowered brow from the upper lid below it, in distances of the outer eye corners.
# Photographs at rest have about 0.2, and drawn faces 0.04 more (`data.proportions`).
ROOM = 0.11
# A brow whose distance at rest is small keeps this share of it instead.
SHARE = 0.7
# The points that are lowered most: by at least this share of the largest lowering.
_MOST = 0.5
# Points of a brow and of the upper lid below it; the eyes' corners belong to it.
_BROWS_AND_LIDS = ((slice(17, 22), slice(36, 40)), (slice(22, 27), slice(42, 46)))


def above_lids(before: Float[np.ndarray, "68 d"], after: Float[np.ndarray, "68 d"]) -> Float[np.ndarray, "68 d"]:
    """Return the landmarks after an edit, with brows that stop above the lids.

    All lowered points of a brow move by the same share of what is asked, sideways too, so that the brow keeps its shape
    and brows that are hardly lowered do not meet: the largest share, up to 1, with which the points that are lowered
    most keep `ROOM`, or `SHARE` of their distance at rest if that is less. An upper lid that is raised towards a
    lowered brow gives way, at most until it is where it was. Raised brows and all other landmarks stay to the bit.

    Args:
        before: Landmarks of the photograph, in any unit.
        after: Landmarks of the edit, in the same unit.
    """
    unit, (along, down) = float(lm.eye_distance(before)), lm.eye_axes(before)
    stopped = after.copy()
    for brow, lid in _BROWS_AND_LIDS:
        moved = in_plane(after)[brow] - in_plane(before)[brow]
        lowering = np.maximum(moved @ down, 0.0)
        most = (lowering > 0.0) & (lowering >= _MOST * lowering.max())
        if not most.any():
            continue
        rise = np.maximum((in_plane(before)[lid] - in_plane(after)[lid]) @ down, 0.0)
        lowest = in_plane(after)[lid] + rise[:, None] * down
        distance = _height(lowest, in_plane(after)[brow], along, down) - in_plane(before)[brow] @ down
        kept = np.minimum(ROOM * unit, SHARE * np.maximum(distance, 0.0))
        share = float(((distance - kept)[most] / lowering[most]).clip(0.0, 1.0).min())
        stopped[brow, :2] -= (1.0 - share) * (lowering > 0.0)[:, None] * moved
        # Both points of a lid give way by the same share of their rise, so that the eye keeps its shape.
        room = in_plane(after)[lid] @ down - _height(in_plane(stopped)[brow], in_plane(after)[lid], along, down)
        risen = rise > 0.0
        lacking = (kept[most].min() - room)[risen] / rise[risen]
        stopped[lid, :2] += float(lacking.clip(0.0, 1.0).max(initial=0.0)) * rise[:, None] * down
    return stopped


def _height(
    line: Float[np.ndarray, "n 2"],
    places: Float[np.ndarray, "k 2"],
    along: Float[np.ndarray, "2"],
    down: Float[np.ndarray, "2"],
) -> Float[np.ndarray, "k"]:
    """Return how far down a line through points lies where it passes under or over each of `places`."""
    across = line @ along
    order = np.argsort(across)
    return np.interp(places @ along, across[order], (line @ down)[order])

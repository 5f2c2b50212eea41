"""Brows of photographs: how far they may be lowered.

Drawn faces have higher brows than most people. A brow of a photograph that is lowered by as much as theirs would lie on
the lid, where the flow bends it into a hook.
"""

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.landmarks import in_plane

# The smallest distance of a lowered brow from the upper lid below it, in distances of the outer eye corners. Drawn and
# photographed faces at rest have 0.2 (`docs/experiments.md`).
ROOM = 0.11
# Points of a brow and of the upper lid below it; the eyes' corners belong to it.
_BROWS_AND_LIDS = ((slice(17, 22), slice(36, 40)), (slice(22, 27), slice(42, 46)))
_OUTER_CORNERS = (36, 45)


def above_lids(before: Float[np.ndarray, "68 d"], after: Float[np.ndarray, "68 d"]) -> Float[np.ndarray, "68 d"]:
    """Return the landmarks after an edit, with brows that stop above the lids.

    A brow that was nearer than `ROOM` before is not lowered further. Raised brows and all other landmarks stay to the
    bit.

    Args:
        before: Landmarks of the photograph, in any unit.
        after: Landmarks of the edit, in the same unit.
    """
    right, left = in_plane(before)[list(_OUTER_CORNERS)]
    unit = float(np.linalg.norm(left - right))
    if not unit > 0.0:
        return after
    along = (left - right) / unit
    down = np.array([-along[1], along[0]])
    stopped = after.copy()
    for brow, lid in _BROWS_AND_LIDS:
        across = in_plane(after)[lid] @ along
        order = np.argsort(across)
        lid_height = np.interp(in_plane(after)[brow] @ along, across[order], (in_plane(after)[lid] @ down)[order])
        was, lowered = in_plane(before)[brow] @ down, in_plane(after)[brow] @ down
        lowest = np.maximum(was, lid_height - ROOM * unit)
        stopped[brow, :2] -= np.maximum(lowered - lowest, 0.0)[:, None] * down
    return stopped

"""Where a face opens: the mouth and the eyes, as smooth functions of landmarks at any points.

A painter has to paint what an opening reveals (`revealed`), and may paint in the features and near them (`features`).
Points are normalised as in `avlgan_jax.faces.warp`. All functions run under `jit`, `vmap` and `pmap`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from avlgan_jax.faces import warp
from avlgan_jax.faces.landmarks import in_plane
from avlgan_jax.faces.warp import Points

# Mouth and eyes end between these distances outside lips and lids, over the distance of the outer eye corners.
FEATURE_EDGE = (0.06, 0.18)
# Rings of landmarks that open: the inner lips and both eyes.
INNER_LIPS = tuple(range(60, 68))
RIGHT_EYE, LEFT_EYE = tuple(range(36, 42)), tuple(range(42, 48))
OUTER_LIPS = tuple(range(48, 60))

# The rings of each feature.
MOUTH, EYES = (OUTER_LIPS,), (RIGHT_EYE, LEFT_EYE)


def opening(landmarks: Float[Array, "68 d"], ring: tuple[int, ...], points: Points) -> Float[Array, "n"]:
    """Return how far each point lies inside a ring of landmarks: its distance to the ring, negative outside."""
    corners = in_plane(landmarks)[jnp.array(ring)]
    edge = jnp.roll(corners, -1, axis=0) - corners
    # A row per edge, a column per point: XLA vectorises over the last axis.
    edge_x, edge_y = edge[:, :1], edge[:, 1:]
    to_x, to_y = points[:, 0] - corners[:, :1], points[:, 1] - corners[:, 1:]
    squared_length = jnp.maximum(edge_x * edge_x + edge_y * edge_y, 1e-9)
    along = jnp.clip((to_x * edge_x + to_y * edge_y) / squared_length, 0.0, 1.0)
    off_x, off_y = to_x - along * edge_x, to_y - along * edge_y
    distance = jnp.sqrt(jnp.min(off_x * off_x + off_y * off_y, axis=0) + 1e-12)
    # Even-odd rule: a ray to the right crosses the ring an odd number of times from within.
    straddles = (to_y < 0.0) != (to_y - edge_y < 0.0)
    crossing = to_y * edge_x / jnp.where(jnp.abs(edge_y) < 1e-9, 1e-9, edge_y)
    crossings = jnp.sum(straddles & (to_x < crossing), axis=0)
    return jnp.where(crossings % 2 == 1, distance, -distance)


def features(
    source: Float[Array, "68 d"],
    target: Float[Array, "68 d"],
    points: Points,
    rings: tuple[tuple[int, ...], ...] = MOUTH + EYES,
    edge: tuple[float, float] = FEATURE_EDGE,
) -> Float[Array, "n"]:
    """Return 1 in the mouth and the eyes, or in some `rings`, before or after, 0 away from them, and smooth between.

    The fall from 1 to 0 is at the distances `edge` outside the rings, over the distance of the outer eye corners.
    """
    (near, far), unit = edge, warp.eye_distance(source)
    found = jnp.zeros(len(points))
    for ring in rings:
        for landmarks in (source, target):
            inside = opening(landmarks, ring, points) / unit
            found = jnp.maximum(found, warp.smooth_step((far + inside) / (far - near)))
    return found


def revealed(
    source: Float[Array, "68 d"],
    target: Float[Array, "68 d"],
    points: Points,
    moved: Points,
    sharpness: float,
) -> Float[Array, "n"]:
    """Return where a mouth or an eye is open in the target and closed at the same pixels of the source, from 0 to 1.

    Along the edges of an opening that stays as it is, it is 0.25.

    Args:
        source: The landmarks of the image.
        target: The landmarks of the warped image.
        points: Points of the warped image.
        moved: The displacement at `points`.
        sharpness: 1 over the width of the edges.
    """
    found = jnp.zeros(len(points))
    for ring in (INNER_LIPS, RIGHT_EYE, LEFT_EYE):
        now = jax.nn.sigmoid(4.0 * sharpness * opening(target, ring, points))
        before = jax.nn.sigmoid(4.0 * sharpness * opening(source, ring, points + moved))
        found = jnp.maximum(found, now * (1.0 - before))
    return found

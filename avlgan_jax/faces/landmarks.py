"""Geometry of the 68 facial landmarks (iBUG 300-W order, as dlib and FAN give them).

Coordinates are (x, y), x to the right and y down, in pixels, measured from the top left *corner* of the picture: the
centre of the first pixel is (0.5, 0.5). The networks see them normalised, so that the picture spans [-1, 1]. A third
coordinate z, toward the viewer, is in pixels too and normalised by the same scale; its zero is where the data puts it.
"Left" and "right" are the person's own: the right eye is on the picture's left.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

Array = jax.Array | np.ndarray

COUNT = 68

# The seven groups of the face feature centre loss, equation (4).
GROUPS = {
    "jaw": slice(0, 17),
    "right_brow": slice(17, 22),
    "left_brow": slice(22, 27),
    "nose": slice(27, 36),
    "right_eye": slice(36, 42),
    "left_eye": slice(42, 48),
    "mouth": slice(48, 68),
}
# The lines of a drawn landmark face: (first, last point, is it closed).
CONTOURS = (
    (0, 16, False),
    (17, 21, False),
    (22, 26, False),
    (27, 30, False),
    (31, 35, False),
    (36, 41, True),
    (42, 47, True),
    (48, 59, True),
    (60, 67, True),
)


def _mirror_order() -> np.ndarray:
    pairs = [(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)]
    pairs += [(31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    pairs += [(48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)]
    order = np.arange(COUNT)
    for a, b in pairs:
        order[a], order[b] = b, a
    return order


# Landmark k of a mirrored face is landmark FLIP_ORDER[k] of the face itself.
FLIP_ORDER = _mirror_order()

# By coordinate: what a mirror does to it, and where the picture's middle is in units of half its side.
_MIRROR = np.array([-1.0, 1.0, 1.0], np.float32)
_MIDDLE = np.array([1.0, 1.0, 0.0], np.float32)


def in_plane(landmarks: Float[Array, "*points d"]) -> Float[Array, "*points 2"]:
    """Where the points lie in the picture: x and y, without the depth that 3-D landmarks have."""
    return landmarks[..., :2]


def flip(landmarks: Float[Array, "*batch 68 d"]) -> Float[Array, "*batch 68 d"]:
    """Mirror *normalised* landmarks left to right, keeping every point's meaning. Takes numpy or JAX arrays."""
    return landmarks[..., FLIP_ORDER, :] * _MIRROR[: landmarks.shape[-1]]


def normalise(landmarks: Float[Array, "*points d"], resolution: int) -> Float[Array, "*points d"]:
    """Pixels of a square picture of side `resolution` to [-1, 1]. Points outside the picture go beyond it.

    Depth, where there is any, is scaled as x and y are and keeps its zero.
    """
    return landmarks * (2.0 / resolution) - _MIDDLE[: landmarks.shape[-1]]


def to_pixels(normalised: Float[Array, "*points d"], resolution: int) -> Float[Array, "*points d"]:
    """The inverse of `normalise`."""
    return (normalised + _MIDDLE[: normalised.shape[-1]]) * (resolution / 2.0)


def feature_centres(landmarks: Float[Array, "*batch 68 d"]) -> Float[Array, "*batch 7 d"]:
    """The centre h_j of each of the seven GROUPS, equation (4)."""
    return jnp.stack([landmarks[..., group, :].mean(axis=-2) for group in GROUPS.values()], axis=-2)


def draw(normalised: Float[Array, "batch 68 d"], resolution: int, radius: float = 0.012) -> Float[Array, "batch h w 1"]:
    """The landmark picture of Section IV-A: dark dots (-1) on white (+1), one channel.

    Each dot is a Gaussian of standard deviation `radius` times the picture's side (never under 0.6 pixels), so the
    picture moves smoothly with its numbers; where dots meet, the darker one counts. A dot with a depth is the darker
    the nearer it is (`_darkness`), and so covers what lies behind it.
    """
    sigma = max(radius * resolution, 0.6)
    centres = jnp.arange(resolution, dtype=normalised.dtype) + 0.5
    points = in_plane(to_pixels(normalised, resolution))
    falloff = jnp.exp(-0.5 * jnp.square((centres - points[..., None]) / sigma))  # (batch, 68, xy, resolution)
    dots = falloff[:, :, 1, :, None] * falloff[:, :, 0, None, :]
    if normalised.shape[-1] == 3:
        dots *= _darkness(normalised[..., 2])[..., None, None]
    return (1.0 - 2.0 * jnp.max(dots, axis=1))[..., None]


def _darkness(depth: Float[Array, "batch 68"]) -> Float[Array, "batch 68"]:
    """How dark a dot at this normalised depth is, in (0.25, 1): steep over a head's half depth, visible at any."""
    return 0.25 + 0.75 * jax.nn.sigmoid(4.0 * depth)


def eye_distance(landmarks: Float[np.ndarray, "*batch 68 d"]) -> Float[np.ndarray, "*batch"]:
    """Distance in the picture between the outer eye corners, the usual yardstick of landmark errors (300-W)."""
    return np.linalg.norm(in_plane(landmarks[..., 36, :] - landmarks[..., 45, :]), axis=-1)


def normalised_mean_error(
    found: Float[np.ndarray, "*batch 68 d"], truth: Float[np.ndarray, "*batch 68 k"]
) -> Float[np.ndarray, "*batch"]:
    """Mean distance in the picture of the 68 points from the truth, over the true outer eye distance (NME, 300-W).

    Depth does not count, so that 2-D and 3-D landmarks compare.
    """
    distances = np.linalg.norm(in_plane(found) - in_plane(truth), axis=-1)
    return distances.mean(axis=-1) / eye_distance(truth)

"""Geometry of the 68 facial landmarks, in the iBUG 300-W order that dlib and FAN use.

Coordinates are (x, y), x to the right and y down, in pixels, measured from the top left *corner* of the image: the
centre of the first pixel is (0.5, 0.5). Networks use normalised coordinates, in which the image spans [-1, 1]. A third
coordinate z points toward the viewer. It is in pixels too and normalised by the same scale; the data set defines its
zero. "Left" and "right" are those of the person: the right eye is on the left of the image.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

Array = jax.Array | np.ndarray

COUNT = 68

# The seven landmark groups of the face feature centre loss, equation (4).
GROUPS = {
    "jaw": slice(0, 17),
    "right_brow": slice(17, 22),
    "left_brow": slice(22, 27),
    "nose": slice(27, 36),
    "right_eye": slice(36, 42),
    "left_eye": slice(42, 48),
    "mouth": slice(48, 68),
}
# The lines of a landmark drawing: (first point, last point, whether the line is closed).
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
    """Return the index of each landmark's mirror image."""
    pairs = [(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)]
    pairs += [(31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    pairs += [(48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67)]
    order = np.arange(COUNT)
    for a, b in pairs:
        order[a], order[b] = b, a
    return order


# Landmark k of a mirrored face is landmark FLIP_ORDER[k] of the original face.
FLIP_ORDER = _mirror_order()

# For x, y and z: the factor of a mirrored coordinate, and the image centre in units of half the image side.
_MIRROR = np.array([-1.0, 1.0, 1.0], np.float32)
_MIDDLE = np.array([1.0, 1.0, 0.0], np.float32)


def in_plane(landmarks: Float[Array, "*points d"]) -> Float[Array, "*points 2"]:
    """Return x and y of each point, without the depth of 3-D landmarks."""
    return landmarks[..., :2]


def flip(landmarks: Float[Array, "*batch 68 d"]) -> Float[Array, "*batch 68 d"]:
    """Mirror *normalised* landmarks left to right, and reorder them so that each keeps its anatomical meaning."""
    return landmarks[..., FLIP_ORDER, :] * _MIRROR[: landmarks.shape[-1]]


def normalise(landmarks: Float[Array, "*points d"], resolution: int) -> Float[Array, "*points d"]:
    """Convert pixels of a square image of side `resolution` to normalised coordinates.

    Points inside the image are in [-1, 1]; points outside it are not. A depth is scaled like x and y and keeps its
    zero.
    """
    return landmarks * (2.0 / resolution) - _MIDDLE[: landmarks.shape[-1]]


def to_pixels(normalised: Float[Array, "*points d"], resolution: int) -> Float[Array, "*points d"]:
    """Convert normalised coordinates to pixels; the inverse of `normalise`."""
    return (normalised + _MIDDLE[: normalised.shape[-1]]) * (resolution / 2.0)


def feature_centres(landmarks: Float[Array, "*batch 68 d"]) -> Float[Array, "*batch 7 d"]:
    """Return the centre h_j of each of the seven GROUPS, equation (4)."""
    return jnp.stack([landmarks[..., group, :].mean(axis=-2) for group in GROUPS.values()], axis=-2)


def draw(normalised: Float[Array, "batch 68 d"], resolution: int, radius: float = 0.012) -> Float[Array, "batch h w 1"]:
    """Draw the landmark image of Section IV-A: dark dots (-1) on white (+1), in one channel.

    Each dot is a Gaussian, so the image is a smooth function of the coordinates. Where dots overlap, the darkest dot
    counts. A dot with a depth is darker the nearer it is to the viewer (`_darkness`), so it covers the dots behind it.

    Args:
        normalised: The normalised landmarks, 2-D or 3-D.
        resolution: The side of the image in pixels.
        radius: Standard deviation of a dot, as a fraction of the image side; at least 0.6 pixels are used.
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
    """Return the darkness of a dot, in (0.25, 1): steep over half the depth of a head, and visible at any depth."""
    return 0.25 + 0.75 * jax.nn.sigmoid(4.0 * depth)


def lid_distance(ring: Float[np.ndarray, "6 2"]) -> float:
    """Return the mean distance between the lids of an eye, from its six landmarks."""
    return float(np.linalg.norm(ring[[1, 2]] - ring[[5, 4]], axis=-1).mean())


def lip_distance(landmarks: Float[np.ndarray, "68 d"]) -> float:
    """Return the mean distance between the inner lips at their middle."""
    upper, lower = in_plane(landmarks[[61, 62, 63]]), in_plane(landmarks[[67, 66, 65]])
    return float(np.linalg.norm(upper - lower, axis=-1).mean())


def eye_distance(landmarks: Float[np.ndarray, "*batch 68 d"]) -> Float[np.ndarray, "*batch"]:
    """Return the distance between the outer corners of the eyes, by which 300-W normalises landmark errors."""
    return np.asarray(np.linalg.norm(in_plane(landmarks[..., 36, :] - landmarks[..., 45, :]), axis=-1))


def eye_axes(landmarks: Float[np.ndarray, "*batch 68 d"]) -> Float[np.ndarray, "*batch 2 2"]:
    """Return the unit vectors across a face, along the line of the outer eye corners, and down it, in the plane.

    Both are 0 where the corners coincide.
    """
    right, left = in_plane(landmarks[..., 36, :]), in_plane(landmarks[..., 45, :])
    across = (left - right) / np.maximum(eye_distance(landmarks), 1e-6)[..., None]
    return np.stack([across, np.stack([-across[..., 1], across[..., 0]], axis=-1)], axis=-2)


def shape_measures(landmarks: Float[np.ndarray, "n 68 d"]) -> dict[str, Float[np.ndarray, "n"]]:
    """Return how open, wide and high the parts of each face are, in the picture's plane.

    Returns:
        `eye_openness`, `mouth_openness`, `mouth_width`, `brow_height` (above the eyes), `inner_brow_height` and
        `lip_corner_height` (above the middle of the lips), all over the outer eye distance; upwards is positive.
    """
    points = in_plane(landmarks)
    scale = eye_distance(points)

    def distance(a: int, b: int) -> np.ndarray:
        return np.linalg.norm(points[:, a] - points[:, b], axis=-1)

    def height(indices: list[int] | slice) -> np.ndarray:
        return -points[:, indices, 1].mean(axis=1)

    measures = {
        "eye_openness": np.mean([distance(37, 41), distance(38, 40), distance(43, 47), distance(44, 46)], axis=0),
        "mouth_openness": distance(62, 66),
        "mouth_width": distance(60, 64),
        "brow_height": height(slice(17, 27)) - height(slice(36, 48)),
        "inner_brow_height": height([20, 21, 22, 23]) - height(slice(36, 48)),
        "lip_corner_height": height([48, 54]) - height([51, 57]),
    }
    return {name: values / scale for name, values in measures.items()}


def normalised_mean_error(
    found: Float[np.ndarray, "*batch 68 d"], truth: Float[np.ndarray, "*batch 68 k"]
) -> Float[np.ndarray, "*batch"]:
    """Return the mean distance of the 68 points from the ground truth, divided by the true `eye_distance` (NME, 300-W).

    Depth is ignored, so that the errors of 2-D and 3-D landmarks are comparable.
    """
    distances = np.linalg.norm(in_plane(found) - in_plane(truth), axis=-1)
    return distances.mean(axis=-1) / eye_distance(truth)

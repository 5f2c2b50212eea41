"""Random proportions of faces, for the landmark converter: longer or shorter faces, wider mouths, lowered brows.

Drawn adults are more alike than people are. On photographs the chin is on average a fifth nearer to the eyes, the eyes
are narrower, and the brows longer and lower: networks of landmarks trained on drawn faces take a neutral photograph for
a frown of valence -0.5 (`docs/experiments.md`). So each example gets proportions of its own, around those of drawn
faces or of photographs, the same for the source and its pair: an expression moves the landmarks of a short face by
less, in the same way.

The proportions are changed in the frame of the eyes: its origin is the middle between the outer eye corners, x points
to the left eye, y downwards, and the corners are one unit apart.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.landmarks import GROUPS

# Mean of photographs (neutral training faces of DiffusionFER against neutral drawn adults, by dlib), and standard
# deviation, at strength 1. Draws are clipped to two standard deviations. Logarithms of factors:
LENGTH = (-0.21, 0.1)  # distance of nose, mouth and jaw from the line of the eyes
WIDTH = (0.07, 0.07)  # width of the jaw
MOUTH = ((-0.1, -0.07), 0.1)  # width and height of the mouth, about the base of the nose
EYES = ((-0.1, -0.4), (0.05, 0.18))  # width and height of the eyes, about their middle
BROW_LENGTH = (0.19, 0.1)  # about the middle of each brow
# Added, in units of the frame:
BROWS = (-0.04, 0.03)  # distance of the brows from the eyes
TILT = (-0.015, 0.02)  # distance of the inner ends of the brows from the eyes
CORNERS = (-0.012, 0.02)  # height of the corners of the mouth

_BASE_OF_NOSE = 33
_OUTER_CORNERS = (36, 45)
# The share of TILT and of CORNERS by landmark.
_TILTED = {21: 1.0, 22: 1.0, 20: 0.7, 23: 0.7, 19: 0.35, 24: 0.35}
_CORNERS_OF_MOUTH = {48: 1.0, 54: 1.0, 60: 1.0, 64: 1.0} | dict.fromkeys((49, 53, 55, 59, 61, 63, 65, 67), 0.4)


class Proportions(NamedTuple):
    """The proportions of each of n faces: factors, (x, y) where there are two, and heights that are added."""

    length: Float[np.ndarray, "n"]
    width: Float[np.ndarray, "n"]
    mouth: Float[np.ndarray, "n 2"]
    eyes: Float[np.ndarray, "n 2"]
    brow_length: Float[np.ndarray, "n"]
    brows: Float[np.ndarray, "n"]
    tilt: Float[np.ndarray, "n"]
    corners: Float[np.ndarray, "n"]


def draw(generator: np.random.Generator, count: int, strength: float) -> Proportions:
    """Draw the proportions of `count` faces: half are around those of drawn faces, half around those of photographs.

    A `strength` of 0 changes nothing.
    """
    photographed = generator.random(count) < 0.5

    def deviates(mean_and_deviation: tuple, *shape: int) -> np.ndarray:
        mean, deviation = map(np.asarray, mean_and_deviation)
        centre = photographed.reshape(count, *(1,) * len(shape)) * mean
        return strength * (centre + deviation * np.clip(generator.normal(size=(count, *shape)), -2.0, 2.0))

    return Proportions(
        length=np.exp(deviates(LENGTH)),
        width=np.exp(deviates(WIDTH)),
        mouth=np.exp(deviates(MOUTH, 2)),
        eyes=np.exp(deviates(EYES, 2)),
        brow_length=np.exp(deviates(BROW_LENGTH)),
        brows=deviates(BROWS),
        tilt=deviates(TILT),
        corners=deviates(CORNERS),
    )


def apply(points: Float[np.ndarray, "n 68 d"], changes: Proportions) -> Float[np.ndarray, "n 68 d"]:
    """Return landmarks with other proportions. The depth of 3-D landmarks stays."""
    right, left = (points[:, corner, :2] for corner in _OUTER_CORNERS)
    origin, along = (right + left) / 2.0, left - right
    # Rows are the axes of the frame. Each has the length of the unit, so its square divides.
    axes = np.stack([along, np.stack([-along[:, 1], along[:, 0]], axis=-1)], axis=1)
    square = np.maximum(np.sum(along * along, axis=-1), 1e-12)
    framed = np.einsum("nij,npj->npi", axes, points[..., :2] - origin[:, None]) / square[:, None, None]
    changed = np.einsum("nji,npj->npi", axes, _apply_in_frame(framed, changes)) + origin[:, None]
    return np.concatenate([changed, points[..., 2:]], axis=-1).astype(points.dtype)


def _apply_in_frame(points: Float[np.ndarray, "n 68 2"], changes: Proportions) -> Float[np.ndarray, "n 68 2"]:
    """Return landmarks with other proportions, both in the frame of the eyes."""
    changed = points.copy()
    mouth, base = GROUPS["mouth"], points[:, [_BASE_OF_NOSE]]
    changed[:, mouth] = base + changes.mouth[:, None] * (points[:, mouth] - base)
    for name in ("jaw", "nose", "mouth"):
        changed[:, GROUPS[name], 1] *= changes.length[:, None]
    changed[:, GROUPS["jaw"], 0] *= changes.width[:, None]
    for name in ("right_eye", "left_eye"):
        middle = points[:, GROUPS[name]].mean(axis=1, keepdims=True)
        changed[:, GROUPS[name]] = middle + changes.eyes[:, None] * (points[:, GROUPS[name]] - middle)
    for name in ("right_brow", "left_brow"):
        across = points[:, GROUPS[name], 0]
        middle = (across[:, :1] + across[:, -1:]) / 2.0
        changed[:, GROUPS[name], 0] = middle + changes.brow_length[:, None] * (across - middle)
        changed[:, GROUPS[name], 1] -= changes.brows[:, None]
    for shares, height in ((_TILTED, changes.tilt), (_CORNERS_OF_MOUTH, changes.corners)):
        changed[:, list(shares), 1] -= height[:, None] * np.array(list(shares.values()))
    return changed

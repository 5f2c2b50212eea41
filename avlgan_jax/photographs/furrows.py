"""Furrows between the brows of a photograph that an edit draws together.

    furrows.draw(photo, source, target)

A frown folds the skin between the brows, which landmarks do not tell and moved pixels do not show. What the networks
paint there is a smear at a photograph's size, so two furrows are shaded here, as strong as the brows come together.
The shade multiplies: hair over the forehead stays dark, and the skin keeps its grain.

Points are (x, y) in pixels of the photograph; sizes are over the distance of its outer eye corners.
"""

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.painting import Box

# Furrows begin where the inner ends of the brows come nearer by the first of these distances, and are full from the
# second one. An angry drawn face, whose brows come nearer by 0.1, has most of a furrow, and a fearful one little.
_NEARER = (0.03, 0.13)
# Knots of the furrow on the picture's right, from its top: distance from the middle line and height below the ends of
# the brows. The other furrow is its mirror image.
_KNOTS = np.array(((0.066, -0.075), (0.050, 0.0), (0.058, 0.085)))
_WIDTH, _BLUR = 0.030, 0.016
# Factors of the skin's RGB in the middle of a full furrow.
_SHADE = (0.62, 0.54, 0.52)
# How strong an infant's furrows are beside an adult's, as in drawn faces.
_INFANT = 0.6
_INNER_ENDS = [21, 22]


def strength(source: Float[np.ndarray, "68 2"], target: Float[np.ndarray, "68 2"]) -> float:
    """Return how much the brows come together from `source` to `target`: 0 for not at all, 1 for a full frown."""
    apart = [float(np.linalg.norm(np.subtract(*points[_INNER_ENDS]))) for points in (source, target)]
    nearer = (apart[0] - apart[1]) / max(float(lm.eye_distance(source)), 1e-6)
    return float(np.clip((nearer - _NEARER[0]) / (_NEARER[1] - _NEARER[0]), 0.0, 1.0))


def draw(
    photo: Float[np.ndarray, "h w 3"],
    source: Float[np.ndarray, "68 2"],
    target: Float[np.ndarray, "68 2"],
    infant: bool = False,
) -> None:
    """Shade the furrows into a photograph whose pixels are moved already, in place.

    Args:
        photo: RGB from 0 to 255.
        source: Landmarks of the photograph.
        target: Landmarks that its pixels were moved to.
        infant: Whether the skin is an infant's, whose furrows are weaker.
    """
    full, unit = strength(source, target) * (_INFANT if infant else 1.0), float(lm.eye_distance(source))
    ends = target[_INNER_ENDS]
    middle, across = ends.mean(axis=0), ends[1] - ends[0]
    across = across / max(float(np.linalg.norm(across)), 1e-6)
    axes = unit * np.stack([across, (-across[1], across[0])])
    knots = np.stack([middle + (_KNOTS * (side, 1.0)) @ axes for side in (-1.0, 1.0)])
    margin = (_WIDTH + 4.0 * _BLUR) * unit + 1.0
    height, width = photo.shape[:2]
    low = np.floor(knots.min(axis=(0, 1)) - margin).astype(int).clip(0)
    high = np.minimum(np.ceil(knots.max(axis=(0, 1)) + margin).astype(int), (width, height))
    if full == 0.0 or (high <= low).any():
        return
    box = Box(0, 0, *(high - low).tolist())
    spines = painting.curve(knots - low, 4)
    widths = _WIDTH * unit * painting.taper(spines.shape[1], 0.15, 0.25)
    outlines = painting.ribbon(spines, np.broadcast_to(widths, spines.shape[:2]))
    cover = full * painting.fill(box, list(outlines), max(_BLUR * unit, 0.5))[..., None]
    photo[low[1] : high[1], low[0] : high[0]] *= 1.0 - cover * (1.0 - np.array(_SHADE, np.float32))

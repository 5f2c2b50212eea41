"""Mouths of photographs that an edit closes: lips slide over teeth that stay.

    closing_mouth.draw(photo, original, displacements, before, after)

One smooth flow squeezes teeth and cavity between lips that come together, so a laugh that is asked to be sad would keep
a row of flat teeth. So each lip gets a flow of its own (`sources`), in which the other lip moves as it does: below the
edge of the lower lip the pixels are those of the lower lip and of the skin below it, above it those of the upper lip
and of the teeth below that one. The two flows meet at the edge of the lower lip, where a face has an edge too.

Points are (x, y); sizes are over the distance of the outer eye corners.
"""

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.landmarks import in_plane
from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.painting import Box
from avlgan_jax.photographs import pixels

Photo = Float[np.ndarray, "h w 3"]
Points = Float[np.ndarray, "68 2"]

# Each point of the upper lip, and the point of the lower lip below it.
_UPPER = (49, 50, 51, 52, 53, 61, 62, 63)
_LOWER = (59, 58, 57, 56, 55, 67, 66, 65)
_LOWER_EDGE, _OUTLINE = (60, 67, 66, 65, 64), slice(48, 60)
# The two flows begin to show where this share of the opening is lost, and show fully from the second one.
_LOST = (0.1, 0.4)
# A mouth is closed below the first of these openings and open above the second. Between them dlib's landmarks do not
# tell: there are closed lips and lips that show teeth.
_OPEN = (0.015, 0.04)
# Lips that come as near as the first of these meet, below the second they are drawn to each other: landmarks that were
# converted from an open mouth stay as far apart as those of closed lips in photographs.
_MEET = (0.04, 0.06)
# Landmarks of lips are not exact, and lips bend between them, more the wider a mouth is open. Each lip is taken from
# this far outside the opening, and beside its middle by this share of its height farther, so that no teeth show. The
# height counts up to a limit: lips of a scream would be crumpled.
_OUTSIDE, _BEND, _SCREAM = 0.015, np.array([[0.15], [0.0], [0.15]]), 0.12
# Softness of the edge of the lower lip, and of the border of the lips.
_EDGE, _BORDER = 0.008, 0.03
# Width of the line between closed lips, and factors of RGB in its middle.
_WIDTH, _SHADE = 0.03, (0.45, 0.33, 0.33)


def share(before: Float[np.ndarray, "68 d"], after: Float[np.ndarray, "68 d"]) -> float:
    """Return how much a mouth closes from `before` to `after`: 0 for not at all, 1 for so much that lips slide."""
    gap, unit = lm.lip_distance(before), max(float(lm.eye_distance(before)), 1e-6)
    lost = 1.0 - lm.lip_distance(after) / max(gap, 1e-6)
    return pixels.rise(gap / unit, *_OPEN) * pixels.rise(lost, *_LOST)


def meeting(before: Float[np.ndarray, "68 d"], after: Float[np.ndarray, "68 d"]) -> Float[np.ndarray, "68 d"]:
    """Return the landmarks after an edit, with lips that meet where a mouth closes and they are almost together.

    Mouths that do not close stay as they are to the bit.

    Args:
        before: Landmarks of the photograph, in any unit.
        after: Landmarks of the edit, in the same unit.
    """
    closing, unit = share(before, after), float(lm.eye_distance(before))
    if closing == 0.0:
        return after
    near = 1.0 - pixels.rise(lm.lip_distance(after) / unit, *_MEET)
    met, upper, lower = after.copy(), list(_UPPER), list(_LOWER)
    half = 0.5 * closing * near * (after[lower[5:], :2] - after[upper[5:], :2])
    # The outer edges follow the inner ones, which keeps the lips as thick as they are.
    follow = half[[0, 0, 1, 2, 2, 0, 1, 2]] * np.array([0.5, 1, 1, 1, 0.5, 1, 1, 1])[:, None]
    met[upper, :2] += follow
    met[lower, :2] -= follow
    return met


def sources(before: Float[np.ndarray, "68 d"], after: Float[np.ndarray, "68 d"]) -> tuple[Points, Points]:
    """Return the places that the landmarks `after` come from in the flow of the upper lip, and in that of the lower.

    Args:
        before: Landmarks of the photograph, in any unit.
        after: Landmarks of the edit, in the same unit.
    """
    before, after = in_plane(before), in_plane(after)
    closing, unit = share(before, after), float(lm.eye_distance(before))
    upper, lower, found = list(_UPPER), list(_LOWER), []
    opened = before[lower[5:]] - before[upper[5:]]
    down = opened / np.maximum(np.linalg.norm(opened, axis=1, keepdims=True), 1e-6)
    outside = (_OUTSIDE * unit + _BEND * min(lm.lip_distance(before), _SCREAM * unit)) * down
    for this, other, sign in ((upper, lower, -1.0), (lower, upper, 1.0)):
        place = before.copy()
        place[this[5:]] += sign * outside
        place[other] = after[other] + (place - after)[this]
        found.append(before + np.float32(closing) * (place - before))
    return found[0], found[1]


def draw(
    photo: Photo,
    original: Photo,
    displacements: tuple[Float[np.ndarray, "h w 2"], Float[np.ndarray, "h w 2"]],
    before: Points,
    after: Points,
) -> None:
    """Draw a mouth that closes into a photograph whose pixels are moved already, in place.

    Args:
        photo: RGB from 0 to 255.
        original: The same photograph before its pixels were moved.
        displacements: Position in `original` minus position of each pixel, in pixels, in the flows of both `sources`.
        before: Landmarks of the photograph, in its pixels.
        after: Landmarks that its pixels were moved to.
    """
    unit, (height, width) = float(lm.eye_distance(before)), photo.shape[:2]
    outline = painting.curve(after[_OUTLINE], 4, closed=True)
    low = np.floor(outline.min(axis=0) - 3.0 * _BORDER * unit - 2.0).astype(int).clip(0)
    high = np.minimum(np.ceil(outline.max(axis=0) + 3.0 * _BORDER * unit + 2.0).astype(int), (width, height))
    if (high <= low).any():
        return
    here, box = (slice(low[1], high[1]), slice(low[0], high[0])), Box(0, 0, *(high - low).tolist())
    at = pixels.positions(low, high)
    upper, lower = (pixels.sample(original, at + displacement[here]) for displacement in displacements)
    edge = painting.curve(after[list(_LOWER_EDGE)], 6)
    softness = max(_EDGE * unit, 0.5)
    # Landmarks count from a pixel's corner, positions from its centre.
    mouth = lower + _above(at + np.float32(0.5), edge, softness)[..., None] * (upper - lower)
    closed = 1.0 - min(lm.lip_distance(after) / (0.5 * _MEET[0] * unit), 1.0)
    line = painting.ribbon(edge - low, _WIDTH * unit * painting.taper(len(edge), 0.3, 0.3))
    dark = share(before, after) * closed * painting.fill(box, [line], softness)[..., None]
    mouth *= 1.0 - dark * (1.0 - np.array(_SHADE, np.float32))
    lips = painting.fill(box, [outline - low], max(_BORDER * unit, 0.5))[..., None]
    photo[here] += lips * (mouth - photo[here])


def _above(at: np.ndarray, edge: Float[np.ndarray, "n 2"], softness: float) -> Float[np.ndarray, "h w"]:
    """Return 1 above a curve from left to right, 0 below it, with a soft edge."""
    along = edge[-1] - edge[0]
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    down = np.array([-along[1], along[0]])
    border = np.interp(at @ along, edge @ along, edge @ down)
    return np.clip(0.5 + (border - at @ down) / (2.0 * softness), 0.0, 1.0).astype(np.float32)

"""Eyes of a photograph that an edit closes: lids slide over an eyeball that stays.

    closing_eyes.draw(photo, original, displacement, source, target)

Moved pixels squeeze white, iris and pupil between the lids that come together, as if the eyeball were flattened, and
the smooth flow leaves some of them where the lids are closed. So an eye that is almost or quite closed is drawn. Where
its lids are still open, the pixels of the untouched eye are shown again, moved with its corners alone. The rest of it
is covered by the skin below the lower lid, mirrored at the lid: above the upper one are brows and hair. The upper lid's
edge is dark, as lashes are. Eyes that are half closed look natural when their pixels are moved.

Points are (x, y) in pixels of the photograph; sizes are over the distance of its outer eye corners.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import openings
from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.painting import Box
from avlgan_jax.photographs import pixels

Photo = Float[np.ndarray, "h w 3"]
Points = Float[np.ndarray, "68 2"]
Ring = Float[np.ndarray, "6 2"]

EYES = (openings.RIGHT_EYE, openings.LEFT_EYE)
# The drawing begins to show where this share of the opening is lost, and shows fully from the second one.
_LOST = (0.65, 0.8)
# Softness of the outlines, and how far lashes and the edges of the lids are outside the landmarks.
_EDGE, _LASHES = 0.010, 0.035
# An eye of less than this openness (height over width) in the photograph is closed already and is left alone.
_OPEN = 0.12
# Of the skin below the lid, this share of the eye's height is stretched over all of it.
_STRETCH = 0.5
# Width of the shaded edge of the upper lid, and factors of the skin's RGB in its middle.
_WIDTH, _SHADE = 0.03, (0.3, 0.25, 0.24)


class _Eye(NamedTuple):
    """One eye in pixels of its box."""

    before: Ring
    """The landmarks of the photograph, moved with the corners of the eye."""
    after: Ring
    moved: Float[np.ndarray, "2"]
    """By how much the corners move."""
    unit: float
    """Distance of the outer eye corners."""


def closed(source: Points, target: Points) -> Float[np.ndarray, "2"]:
    """Return how much the eyes on the picture's left and right close from `source` to `target`: 0 for not at all."""
    found = []
    for eye in EYES:
        before, after = (lm.lid_distance(points[list(eye)]) for points in (source, target))
        lost = 1.0 - after / max(before, 1e-6)
        open_before = before >= _OPEN * np.linalg.norm(np.subtract(*source[[eye[0], eye[3]]]))
        found.append(open_before * np.clip((lost - _LOST[0]) / (_LOST[1] - _LOST[0]), 0.0, 1.0))
    return np.array(found, np.float32)


def draw(
    photo: Photo, original: Photo, displacement: Float[np.ndarray, "h w 2"], source: Points, target: Points
) -> None:
    """Draw the eyes that close into a photograph whose pixels are moved already, in place.

    Args:
        photo: RGB from 0 to 255.
        original: The same photograph before its pixels were moved.
        displacement: Position in `original` minus position of each pixel, by which they were moved, in pixels.
        source: Landmarks of the photograph.
        target: Landmarks that its pixels were moved to.
    """
    height, width = photo.shape[:2]
    unit = float(lm.eye_distance(source))
    for ring, share in zip(EYES, closed(source, target), strict=True):
        before, after = source[list(ring)], target[list(ring)]
        moved = (after[[0, 3]] - before[[0, 3]]).mean(axis=0)
        around, margin = np.concatenate([after, before, before + moved]), 3.0 * _LASHES * unit + 2.0
        low = np.floor(around.min(axis=0) - margin).astype(int).clip(0)
        high = np.minimum(np.ceil(around.max(axis=0) + margin).astype(int), (width, height))
        if share == 0.0 or (high <= low).any():
            continue
        eye = _Eye(before + moved - low, after - low, moved, unit)
        here = (slice(low[1], high[1]), slice(low[0], high[0]))
        at = pixels.positions(low, high)
        drawn = _drawn(eye, photo[here], original, at, at + displacement[here])
        photo[here] += share * (drawn - photo[here])


def _drawn(eye: _Eye, shown: Photo, original: Photo, at: np.ndarray, came_from: np.ndarray) -> Photo:
    """Return the box of an eye as it looks when it closes.

    Args:
        eye: The eye.
        shown: The moved pixels of the box.
        original: The complete photograph, not moved.
        at: Position of each pixel of the box in the photograph.
        came_from: Position in `original` that each pixel of `shown` came from.
    """
    box, edge = Box(0, 0, shown.shape[1], shown.shape[0]), max(_EDGE * eye.unit, 0.5)
    corner = at[0, 0]
    # Where the moved pixels show the eye, its lashes included.
    lashes = painting.ribbon(_closed_outline(eye.before), np.full(25, 2.0 * _LASHES * eye.unit))
    eye_before = painting.fill(box, [_outline(eye.before)])
    eye_before = np.maximum(eye_before, painting.fill(box, [lashes]))
    seen = pixels.sample(eye_before, came_from - corner + eye.moved.astype(np.float32))
    output = shown + painting.soften(seen, edge)[..., None] * (_lid(eye, original, at) - shown)
    opened = np.minimum(*(painting.fill(box, [_outline(ring)], edge) for ring in (eye.after, eye.before)))
    eyeball = pixels.sample(original, at - eye.moved.astype(np.float32))
    output += opened[..., None] * (eyeball - output)
    upper = painting.curve(eye.after[:4], 6)
    line = painting.ribbon(upper, _WIDTH * eye.unit * painting.taper(len(upper), 0.3, 0.3))
    return output * (1.0 - painting.fill(box, [line], edge)[..., None] * (1.0 - np.array(_SHADE, np.float32)))


def _lid(eye: _Eye, original: Photo, at: np.ndarray) -> Photo:
    """Return the skin below the lower lid, mirrored at the lid and stretched over the eye."""
    corner = at[0, 0]
    along = eye.before[3] - eye.before[0]
    along = along / max(float(np.linalg.norm(along)), 1e-6)
    down = np.array([-along[1], along[0]], np.float32)
    lower = painting.curve(eye.before[[3, 4, 5, 0]], 6)[::-1]
    here = at - corner
    edge = np.interp(here @ along.astype(np.float32), lower @ along, lower @ down)
    above = np.maximum(edge - here @ down, 0.0)
    height = edge + _LASHES * eye.unit + _STRETCH * above
    places = here + (height - here @ down)[..., None] * down
    return pixels.sample(original, (places + corner - eye.moved).astype(np.float32))


def _outline(ring: Ring) -> Float[np.ndarray, "n 2"]:
    """Return the outline of an eye: a curve along each lid, from corner to corner."""
    upper, lower = painting.curve(ring[:4], 4), painting.curve(ring[[3, 4, 5, 0]], 4)
    return np.concatenate([upper[:-1], lower[:-1]])


def _closed_outline(ring: Ring) -> Float[np.ndarray, "25 2"]:
    """Return the outline with its first point again at its end."""
    outline = _outline(ring)
    return np.concatenate([outline, outline[:1]])

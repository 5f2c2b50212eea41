"""The inside of a mouth that an edit opens, drawn at the photograph's own size.

    light, hidden = lighting.light(photo, source), lighting.hidden_teeth(photo, source)
    opened_mouth.draw(photo, source, target, light, hidden, infant=False)

The networks paint it at their own size, where an opened mouth is a few pixels high: enlarged, its teeth are a grey
smear. Here the outline is that of the converted landmarks, the teeth have the widths of an adult's, the shadows are
those of drawn faces, and the brightness is that of the skin or of the whites of the eyes. These are not the teeth of
the person, which a closed mouth hides.

Points are (x, y) in pixels of the photograph; sizes are over the distance of its outer eye corners.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import openings
from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.painting import Box
from avlgan_jax.photographs import pixels
from avlgan_jax.photographs.lighting import CLOSED

Photo = Float[np.ndarray, "h w 3"]
Points = Float[np.ndarray, "68 2"]

# Colours in full light: enamel, gums, tongue, and the dark behind them.
_ENAMEL, _GUM = np.array((0.90, 0.90, 0.885), np.float32), np.array((0.66, 0.36, 0.35), np.float32)
_TONGUE, _CAVITY = np.array((0.62, 0.30, 0.29), np.float32), np.array((0.19, 0.06, 0.055), np.float32)
_SHADOW, _BETWEEN = (0.34, 0.26, 0.25), (0.70, 0.60, 0.55)
# Borders of the upper teeth on each side of the middle line: an adult's incisors, canine and premolars, 8.5, 6.5, 7
# and twice 6 mm wide as seen from the front, where the outer eye corners are 92 mm apart.
_BORDERS = np.array((0.0, 0.092, 0.163, 0.239, 0.304, 0.369))
# The inside is drawn where the opening grows by the second of these factors or more, and kept below the first. A mouth
# that is open already, by the second of these openings, has to grow twice as much: its own teeth are shown.
_GROWTH, _SHOWN = (1.15, 1.6), (0.06, 0.14)
# A mouth smiles, and shows teeth, from the first of these growths of its width on, completely from the second.
_SMILE = (1.05, 1.2)
# The most that is seen of the upper teeth or gums: as high as this, and as this share of the opening.
_HEIGHT, _SHARE = 0.085, 0.72
# A tall mouth shows less of them, since its upper lip is low: less by _HIDDEN from the second ratio of height to width.
_TALL, _HIDDEN = (0.25, 0.6), 0.35
# Lips that were closed are taken from this far outside the line between them, which is dark, or from their middle.
_SEAM = 0.02
# Each point of the inner edge of the lips, and the point of the outer edge beside it.
_INNER, _OUTER = (61, 62, 63, 65, 66, 67), (50, 51, 52, 56, 57, 58)


class Mouth(NamedTuple):
    """An opened mouth in pixels of its box."""

    ring: Float[np.ndarray, "48 2"]
    """The inner edge of the lips, from the corner on the picture's left over the upper lip."""
    top: Float[np.ndarray, "2"]
    """The middle of the upper lip's edge."""
    bottom: Float[np.ndarray, "2"]
    across: Float[np.ndarray, "2"]
    """Direction from corner to corner."""
    down: Float[np.ndarray, "2"]
    halves: tuple[float, float]
    """Distances from the middle line to the two corners; they differ in a turned head."""
    gap: float
    """Distance between the lips."""
    unit: float
    """Distance of the outer eye corners."""


def novelty(source: Points, target: Points) -> float:
    """Return how new the inside of the mouth is: 0 where the photograph shows it, 1 where it has to be drawn."""
    unit = _unit(source)
    before, after = lm.lip_distance(source) / unit, lm.lip_distance(target) / unit
    return pixels.rise(after / max(before, CLOSED) / (1.0 + pixels.rise(before, *_SHOWN)), *_GROWTH)


def _widened(source: Points, target: Points) -> float:
    """Return how much a mouth becomes wider, as in a smile: 0 to 1."""
    before, after = (float(np.linalg.norm(points[64] - points[60])) for points in (source, target))
    return pixels.rise(after / max(before, 1e-6), *_SMILE)


def lips(source: Float[np.ndarray, "68 d"], target: Float[np.ndarray, "68 d"]) -> Float[np.ndarray, "68 d"]:
    """Return the landmarks of the photograph from which to take the pixels of lips that open.

    Closed lips meet in a dark line. Stretched, it would be a dark band along them; taken from a little outside of it,
    they keep their colour, and what is drawn between them covers it. Where no inside is drawn, the landmarks stay as
    they are to the bit.

    Args:
        source: Landmarks of the photograph, in any unit.
        target: Landmarks that its pixels are moved to, in the same unit.
    """
    new = novelty(source, target)
    if new == 0.0:
        return source
    apart = source.copy()
    across = source[list(_OUTER), :2] - source[list(_INNER), :2]
    thick = np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    apart[list(_INNER), :2] += new * np.minimum(_SEAM * _unit(source) / thick, 0.5) * across
    return apart


def draw(
    photo: Photo,
    source: Points,
    target: Points,
    lit: Float[np.ndarray, "3"],
    hidden: float = 0.0,
    infant: bool = False,
) -> None:
    """Draw the inside of an opened mouth into a photograph whose pixels are moved already, in place.

    Args:
        photo: RGB from 0 to 255.
        source: Landmarks of the photograph.
        target: Landmarks that its pixels were moved to.
        lit: The light, as from `lighting.light`.
        hidden: How dark the mouth was, as from `lighting.hidden_teeth`. Smiles of dark mouths get teeth too, but not
            those of infants.
        infant: Whether the mouth has gums instead of teeth.
    """
    new, lips = novelty(source, target), target[list(openings.INNER_LIPS)]
    if not infant:
        new = max(new, hidden * _widened(source, target))
    height, width = photo.shape[:2]
    low = np.floor(lips.min(axis=0) - 2.0 - 0.05 * _unit(source)).astype(int).clip(0)
    high = np.minimum(np.ceil(lips.max(axis=0) + 2.0 + 0.05 * _unit(source)).astype(int), (width, height))
    if new == 0.0 or (high <= low).any():
        return
    mouth, box = _mouth(source, target, low), Box(0, 0, *(high - low).tolist())
    inside = _inside(mouth, box, infant) * lit[:, None, None]
    # An edge of at least a pixel: lips in a photograph are not cut out.
    cover = new * painting.fill(box, [mouth.ring], max(0.010 * mouth.unit, 0.5))[..., None]
    part = photo[low[1] : high[1], low[0] : high[0]]
    part += cover * (255.0 * inside.transpose(1, 2, 0) - part)


def _inside(mouth: Mouth, box: Box, infant: bool) -> Float[np.ndarray, "3 h w"]:
    """Return what is behind the lips in full light, over the complete box."""
    unit = mouth.unit
    canvas = np.empty((3, box.y1, box.x1), np.float32)
    canvas[:] = _CAVITY[:, None, None]
    if mouth.gap > 0.05 * unit:
        rise = min(0.5 * mouth.gap, 0.10 * unit)
        turn = math.atan2(mouth.across[1], mouth.across[0])
        tongue = painting.ellipse(mouth.bottom + 0.02 * unit * mouth.down, (0.62 * min(mouth.halves), rise), turn)
        painting.tint(canvas, box, 0.85 * painting.fill(box, [tongue], 0.25 * rise), _TONGUE)
    row, borders = _upper_row(mouth, 0.6 * _HEIGHT if infant else _HEIGHT)
    row = painting.fill(box, [row], max((0.02 if infant else 0.008) * unit, 0.5))
    painting.tint(canvas, box, row, _GUM if infant else _ENAMEL)
    if not infant:
        strokes = [painting.ribbon(border, np.full(2, max(0.004 * unit, 0.7))) for border in borders]
        painting.shade(canvas, box, 0.35 * painting.fill(box, strokes, 0.004 * unit) * row, _BETWEEN)
    # The upper lip and the cheeks shade the inside.
    rim = painting.ribbon(mouth.ring[:25], np.full(25, 0.05 * unit))
    shadow = 0.62 * _sideways(mouth, box) ** 2 + 0.5 * painting.fill(box, [rim], 0.018 * unit)
    painting.shade(canvas, box, np.minimum(shadow, 1.0), _SHADOW)
    return canvas


def _upper_row(mouth: Mouth, height: float) -> tuple[Float[np.ndarray, "n 2"], list[Float[np.ndarray, "2 2"]]]:
    """Return the outline of the row of upper teeth, each rounded at its edge, and the borders between them.

    Args:
        mouth: The mouth.
        height: The most that is seen of the row.
    """
    unit, rounding = mouth.unit, 0.010 * mouth.unit
    tall = pixels.rise(mouth.gap / sum(mouth.halves), *_TALL)
    seen = min(_SHARE * mouth.gap, height * (1.0 - _HIDDEN * tall) * unit)
    # The row bends towards the corners of the mouth, half as far as the lip does.
    corner = 0.5 * sum(float((mouth.ring[k] - mouth.top) @ mouth.down) for k in (0, 24))

    def place(side: int, x: float, lift: float) -> Float[np.ndarray, "2"]:
        """Return the point at a distance from the middle line on a side (0 or 1), `lift` above the row's edge."""
        half = mouth.halves[side]
        along = x * unit * half / (0.5 * sum(mouth.halves))
        y = seen - lift + 0.55 * (corner - seen) * min(along / half, 1.2) ** 2
        return mouth.top + (along if side else -along) * mouth.across + y * mouth.down

    sides, borders = [], []
    for side in (0, 1):
        across_a_tooth = (0.04, 0.2, 0.5, 0.8, 0.96)
        parts = [
            (left + t * (right - left), rounding * (2.0 * t - 1.0) ** 2)
            for left, right in itertools.pairwise(_BORDERS)
            for t in across_a_tooth
        ]
        sides.append(np.stack([place(side, x, lift) for x, lift in parts]))
        borders += [np.stack([place(side, x, 0.0), place(side, x, 0.15 * unit)]) for x in _BORDERS[side:]]
    edge = np.concatenate([sides[0][::-1], sides[1]])
    return np.concatenate([edge, edge[::-1] - 0.4 * unit * mouth.down]), borders


def _sideways(mouth: Mouth, box: Box) -> Float[np.ndarray, "h w"]:
    """Return how far each pixel is from the middle line: 0 on it, 1 at a corner of the mouth and beyond."""
    x, y = np.meshgrid(*(np.arange(size, dtype=np.float32) + 0.5 for size in (box.x1, box.y1)))
    along = (x - mouth.top[0]) * mouth.across[0] + (y - mouth.top[1]) * mouth.across[1]
    return np.where(along < 0.0, -along / mouth.halves[0], along / mouth.halves[1]).clip(0.0, 1.0)


def _mouth(source: Points, target: Points, corner: np.ndarray) -> Mouth:
    """Return the mouth of `target` in pixels from a corner of the photograph."""
    lips = (target - corner)[list(openings.INNER_LIPS)]
    (left, top, right, bottom), centre = lips[[0, 2, 4, 6]], 0.5 * (lips[2] + lips[6])
    across = (right - left) / max(float(np.linalg.norm(right - left)), 1e-6)
    halves = (max(float((centre - left) @ across), 1.0), max(float((right - centre) @ across), 1.0))
    ring = painting.curve(lips, 6, closed=True)
    down = np.array([-across[1], across[0]])
    return Mouth(ring, top, bottom, across, down, halves, lm.lip_distance(target), _unit(source))


def _unit(landmarks: Points) -> float:
    """Return the distance of the outer eye corners."""
    return max(float(lm.eye_distance(landmarks)), 1e-6)

"""Painting of the skin's folds, furrows and lines, which depend on action units and age.

The landmarks do not contain this information. Each fold is a soft stroke of shadow or light. Strokes of equal blur are
drawn in one pass.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.scene import Sheet

# Factors of the skin's RGB in a stroke of strength 1.
_SHADOW = (0.56, 0.41, 0.37)
_LIGHT = (1.17, 1.14, 1.12)
FINE, SOFT, BROAD = 0.011, 0.020, 0.040  # standard deviations of the blur, in face units


class Stroke(NamedTuple):
    """A stroke of shadow or light along a fold."""

    knots: Float[np.ndarray, "n 2"]  # canvas pixels
    width: float  # full width in the middle, in face units
    strength: float  # opacity in [0, 1]; a larger value counts as 1
    blur: float = SOFT  # one of FINE, SOFT, BROAD
    light: bool = False  # False for shadow
    ends: tuple[float, float] = (0.1, 0.1)  # width at the start and the end, as a share of the middle's


def paint_folds(sheet: Sheet) -> None:
    """Paint all folds of the current expression on the skin."""
    strokes = [
        *_cheeks(sheet),
        *_brow(sheet),
        *_nose_root(sheet),
        *_wings(sheet),
        *_forehead(sheet),
        *_under_eyes(sheet),
        *_chin(sheet),
    ]
    strokes = [stroke for stroke in strokes if stroke.strength > 0.012]
    box = sheet.box(np.concatenate([stroke.knots for stroke in strokes]), 0.12)
    outlined = _outline(sheet, strokes)
    for light, factor in ((False, _SHADOW), (True, _LIGHT)):
        total = None
        for blur in (FINE, SOFT, BROAD):
            group = [item for item in outlined if item[0].blur == blur and item[0].light == light]
            if group:
                strengths, shapes = zip(*((stroke.strength, shape) for stroke, shape in group), strict=True)
                mask = painting.fill(box, shapes, blur * sheet.unit, strengths)
                total = mask if total is None else total + mask
        if total is not None:
            painting.shade(sheet.canvas, box, np.minimum(total, 1.0), factor)


def _outline(sheet: Sheet, strokes: list[Stroke]) -> list[tuple[Stroke, Float[np.ndarray, "n 2"]]]:
    """Return the strokes and their outlines, from weak to strong, computed together for equal numbers of knots."""
    outlined = []
    for count in {len(stroke.knots) for stroke in strokes}:
        group = [stroke for stroke in strokes if len(stroke.knots) == count]
        lines = painting.curve(np.array([stroke.knots for stroke in group]), 12 // (count - 1))
        widths = np.array([stroke.width * painting.taper(lines.shape[1], *stroke.ends) for stroke in group])
        shapes = painting.ribbon(lines, np.maximum(widths * sheet.unit, 0.6))
        outlined += zip(group, shapes, strict=True)
    # `fill` keeps the last polygon: where two strokes cross, the stronger one wins.
    return sorted(outlined, key=lambda item: item[0].strength)


def _cheeks(sheet: Sheet) -> list[Stroke]:
    """Return the nasolabial folds, the dimples next to the mouth and the lines below lowered mouth corners."""
    identity, points = sheet.face.identity, sheet.points
    smile, sneer = sheet.units["AU12"], sheet.units["AU10"] + 0.8 * sheet.units["AU9"]
    droop, stretch = sheet.units["AU15"], sheet.units["AU20"]
    strokes = []
    for wing, corner, side in ((31, 48, -1.0), (35, 54, 1.0)):
        dimple = sheet.units["AU14"] if side > 0 else 0.0
        strength = 0.08 + 0.30 * identity.wrinkles + 0.55 * smile + 0.50 * sneer + 0.2 * stretch + 0.5 * dimple
        strength *= 0.48 if identity.infant else 1.0
        out = 0.11 + 0.03 * smile
        top, low = points[wing] + sheet.by(side * 0.045, -0.05), points[corner] + sheet.by(side * out, 0.02)
        middle = 0.5 * (top + low) + sheet.by(side * (0.035 + 0.03 * smile), -0.015)
        fold = np.array([top, middle, low, points[corner] + sheet.by(side * (out - 0.02), 0.15)])
        strokes.append(Stroke(fold, 0.05, 0.62 * strength, SOFT, False, (0.5, 0.0)))
        strokes.append(Stroke(fold + sheet.by(side * 0.07, -0.02), 0.10, 0.5 * strength, BROAD, True))
        pit = sheet.along(points[corner], (side * 0.035, -0.03), (side * 0.045, 0.05))
        strokes.append(Stroke(pit, 0.05, 0.35 * smile + 0.6 * dimple + 0.1))
        line = sheet.along(points[corner], (side * 0.01, 0.02), (side * 0.05, 0.10), (side * 0.06, 0.20))
        strokes.append(Stroke(line, 0.045, 0.5 * droop + 0.2 * identity.wrinkles, SOFT, False, (0.6, 0.0)))
    return strokes


def _brow(sheet: Sheet) -> list[Stroke]:
    """Return the vertical furrows between the brows and the light bulge between them; both are weaker in infants."""
    identity, points = sheet.face.identity, sheet.points
    frown = sheet.units["AU4"]
    between = 0.5 * (points[21] + points[22])
    strokes = []
    for side in (-1.0, 1.0):
        x = side * 0.065
        furrow = sheet.along(between, (x * 1.25, -0.12), (x, 0.0), (x * 1.2, 0.12))
        strokes.append(
            Stroke(furrow, 0.035, (0.55 if not identity.infant else 0.32) * frown + 0.08 * identity.wrinkles)
        )
    bulge = sheet.along(between, (0.0, -0.10), (0.0, 0.06))
    strokes.append(Stroke(bulge, 0.07, (0.35 if not identity.infant else 0.15) * frown, BROAD, True))
    return strokes


def _nose_root(sheet: Sheet) -> list[Stroke]:
    """Return the folds of a wrinkled nose, across its root and along its sides, and the inner eye sockets' shadows."""
    points, soft = sheet.points, 0.6 if sheet.face.infant else 1.0
    wrinkle = sheet.units["AU9"] * soft
    root = 0.6 * points[27] + 0.4 * points[28]
    strokes = [
        Stroke(sheet.along(root, (-0.09, y + 0.03), (0.0, y - 0.015), (0.09, y + 0.03)), 0.030, 0.32 * wrinkle, SOFT)
        for y in (-0.07, 0.04)
    ]
    for side, wing in ((-1.0, 31), (1.0, 35)):
        flank = sheet.along(points[wing], (-side * 0.02, -0.28), (side * 0.03, -0.18), (side * 0.07, -0.10))
        strokes.append(Stroke(flank, 0.03, 0.38 * wrinkle))
        # The inner end of the eye socket is in the shadow of the nose and the brow.
        inner = points[39] if side < 0 else points[42]
        pit = sheet.along(inner, (-side * 0.045, -0.12), (-side * 0.045, 0.02))
        strokes.append(Stroke(pit, 0.09, 0.30 * soft, BROAD))
    return strokes


def _wings(sheet: Sheet) -> list[Stroke]:
    """Return the edges of the nose's wings and the groove between nose and upper lip."""
    points, small = sheet.points, 0.8 if sheet.face.infant else 1.0
    strokes = [Stroke(sheet.along(points[33], (0.0, 0.03), (0.0, 0.15 * small)), 0.05, 0.18, SOFT)]
    for wing, side in ((31, -1.0), (35, 1.0)):
        line = sheet.along(points[wing], (side * 0.015, -0.11 * small), (side * 0.035, -0.04 * small), (0.0, 0.0))
        strokes.append(Stroke(line, 0.03, 0.5 * small, FINE, False, (0.0, 0.2)))
    return strokes


def _forehead(sheet: Sheet) -> list[Stroke]:
    """Return the lines across the forehead. They are longer when the outer brow (AU2) is raised too."""
    identity, points = sheet.face.identity, sheet.points
    raised = 0.5 * (sheet.units["AU1"] + sheet.units["AU2"]) * (0.35 if identity.infant else 1.0)
    strength = raised * (0.28 + 0.35 * identity.wrinkles) + 0.12 * identity.wrinkles
    between = 0.5 * (points[21] + points[22])
    top = sheet.camera.turn(sheet.anatomy.hairline[4:5])[0]
    across = 0.34 + 0.20 * min(sheet.units["AU2"], 1.0)
    strokes = []
    for k, share in enumerate((0.32, 0.50, 0.67)):
        middle = (1.0 - share) * between + share * top
        arch = -0.045 * (1.0 - 0.3 * k)
        wide = across * (1.0 - 0.12 * k)
        line = sheet.along(middle, (-wide, 0.03), (-0.5 * wide, arch), (0.0, -0.012), (0.5 * wide, arch), (wide, 0.03))
        strokes.append(Stroke(line, 0.034, strength, SOFT))
        strokes.append(Stroke(line + sheet.by(0.0, 0.05), 0.05, 0.6 * strength, SOFT, True))
    return strokes


def _under_eyes(sheet: Sheet) -> list[Stroke]:
    """Return the bags under the eyes, the ridges that raised cheeks push up, and crow's feet."""
    identity, points = sheet.face.identity, sheet.points
    squint, tight = sheet.units["AU6"], sheet.units["AU7"]
    soft = 0.55 if identity.infant else 1.0
    pinch = sheet.units["AU43"] * min(tight + 0.6 * squint, 1.2)
    strokes = []
    for outer, inner, low, side in ((36, 39, 41, -1.0), (45, 42, 46, 1.0)):
        middle = points[low] + sheet.by(-side * 0.06, 0.10 - 0.03 * squint)
        bag = np.array([points[inner] + sheet.by(side * 0.02, 0.05), middle, points[outer] + sheet.by(0.0, 0.07)])
        strength = (0.10 + 0.20 * identity.wrinkles + 0.42 * squint + 0.28 * tight) * soft
        strokes.append(Stroke(bag, 0.04, strength))
        strokes.append(Stroke(bag - sheet.by(0.0, 0.045), 0.04, 0.35 * squint + 0.25 * tight, SOFT, True))
        crow = 0.12 * identity.wrinkles + 0.42 * squint * (0.35 + 0.65 * identity.wrinkles)
        crow = 0.22 * pinch if identity.infant else crow + 0.3 * pinch
        for rise in (-0.08, 0.0, 0.09):
            feet = sheet.along(points[outer], (side * 0.05, 0.3 * rise + 0.01), (side * 0.18, 1.3 * rise + 0.015))
            strokes.append(Stroke(feet, 0.024, crow, FINE))
    return strokes


def _chin(sheet: Sheet) -> list[Stroke]:
    """Return the hollow under the lower lip and the dimples of a raised chin (AU17)."""
    points, chin = sheet.points, sheet.units["AU17"]
    dent = sheet.along(0.5 * (points[57] + points[8]), (-0.17, -0.02), (0.0, -0.05), (0.17, -0.02))
    strokes = [Stroke(dent, 0.07, 0.20 + 0.4 * chin, BROAD)]
    ball = 0.35 * points[57] + 0.65 * points[8]
    for x, y in ((-0.10, 0.0), (0.02, 0.03), (0.11, -0.01), (-0.03, -0.05)):
        strokes.append(Stroke(sheet.along(ball, (x - 0.02, y), (x + 0.02, y + 0.01)), 0.03, 0.3 * chin, FINE))
    return strokes

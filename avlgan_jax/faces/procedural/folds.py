"""Folds, furrows and lines: what expression presses into the skin, and what age has left of it there.

Landmarks do not carry any of this. Every fold is a soft stroke of shadow or light; all are drawn in a few passes.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.scene import Sheet

_SHADOW = (0.56, 0.41, 0.37)  # what a fold leaves of the skin's colour
_LIGHT = (1.17, 1.14, 1.12)
FINE, SOFT, BROAD = 0.011, 0.020, 0.040  # blur in face units


class Stroke(NamedTuple):
    """One fold: knots on the canvas, full width in face units, strength in [0, 1], blur, light or shadow."""

    knots: Float[np.ndarray, "n 2"]
    width: float
    strength: float
    blur: float = SOFT
    light: bool = False
    ends: tuple[float, float] = (0.1, 0.1)


def paint_folds(sheet: Sheet) -> None:
    """Lay all folds of the moment on the skin."""
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
    for light, factor in ((False, _SHADOW), (True, _LIGHT)):
        total = None
        for blur in (FINE, SOFT, BROAD):
            alike = [stroke for stroke in strokes if stroke.blur == blur and stroke.light == light]
            if alike:
                mask = _draw(sheet, box, alike, blur)
                total = mask if total is None else total + mask
        if total is not None:
            painting.shade(sheet.canvas, box, np.minimum(total, 1.0), factor)


def _draw(sheet: Sheet, box: painting.Box, strokes: list[Stroke], blur: float) -> Float[np.ndarray, "h w"]:
    """The mask of strokes, each as strong as it is; those with as many knots share the algebra."""
    outlines = []
    for count in {len(stroke.knots) for stroke in strokes}:
        alike = [stroke for stroke in strokes if len(stroke.knots) == count]
        lines = painting.curve(np.array([stroke.knots for stroke in alike]), 12 // (count - 1))
        widths = np.array([stroke.width * painting.taper(lines.shape[1], *stroke.ends) for stroke in alike])
        shapes = painting.ribbon(lines, np.maximum(widths * sheet.unit, 0.6))
        outlines += [(stroke.strength, shape) for stroke, shape in zip(alike, shapes, strict=True)]
    outlines.sort(key=lambda item: item[0])  # where two cross, the stronger one counts
    levels, shapes = zip(*outlines, strict=True)
    return painting.fill(box, shapes, blur * sheet.unit, levels)


def _cheeks(sheet: Sheet) -> list[Stroke]:
    """Nasolabial folds, pits beside the mouth, lines of drooping corners."""
    who, at = sheet.face.identity, sheet.points
    smile, sneer = sheet.units["AU12"], sheet.units["AU10"] + 0.8 * sheet.units["AU9"]
    droop, stretch = sheet.units["AU15"], sheet.units["AU20"]
    strokes = []
    for wing, corner, side in ((31, 48, -1.0), (35, 54, 1.0)):
        dimple = sheet.units["AU14"] if side > 0 else 0.0
        strength = 0.08 + 0.30 * who.wrinkles + 0.55 * smile + 0.50 * sneer + 0.2 * stretch + 0.5 * dimple
        strength *= 0.48 if who.infant else 1.0
        out = 0.11 + 0.03 * smile
        top, low = at[wing] + sheet.by(side * 0.045, -0.05), at[corner] + sheet.by(side * out, 0.02)
        middle = 0.5 * (top + low) + sheet.by(side * (0.035 + 0.03 * smile), -0.015)
        fold = np.array([top, middle, low, at[corner] + sheet.by(side * (out - 0.02), 0.15)])
        strokes.append(Stroke(fold, 0.05, 0.62 * strength, SOFT, False, (0.5, 0.0)))
        strokes.append(Stroke(fold + sheet.by(side * 0.07, -0.02), 0.10, 0.5 * strength, BROAD, True))
        pit = sheet.along(at[corner], (side * 0.035, -0.03), (side * 0.045, 0.05))
        strokes.append(Stroke(pit, 0.05, 0.35 * smile + 0.6 * dimple + 0.1))
        line = sheet.along(at[corner], (side * 0.01, 0.02), (side * 0.05, 0.10), (side * 0.06, 0.20))
        strokes.append(Stroke(line, 0.045, 0.5 * droop + 0.2 * who.wrinkles, SOFT, False, (0.6, 0.0)))
    return strokes


def _brow(sheet: Sheet) -> list[Stroke]:
    """Upright furrows of a frown; in infants the skin between the brows bulges more than it creases."""
    who, at = sheet.face.identity, sheet.points
    frown = sheet.units["AU4"]
    between = 0.5 * (at[21] + at[22])
    strokes = []
    for side in (-1.0, 1.0):
        x = side * 0.065
        furrow = sheet.along(between, (x * 1.25, -0.12), (x, 0.0), (x * 1.2, 0.12))
        strokes.append(Stroke(furrow, 0.035, (0.55 if not who.infant else 0.32) * frown + 0.08 * who.wrinkles))
    bulge = sheet.along(between, (0.0, -0.10), (0.0, 0.06))
    strokes.append(Stroke(bulge, 0.07, (0.35 if not who.infant else 0.15) * frown, BROAD, True))
    return strokes


def _nose_root(sheet: Sheet) -> list[Stroke]:
    """A wrinkled nose: short folds across its root and down its flanks."""
    at, soft = sheet.points, 0.6 if sheet.face.infant else 1.0
    wrinkle = sheet.units["AU9"] * soft
    root = 0.6 * at[27] + 0.4 * at[28]
    strokes = [
        Stroke(sheet.along(root, (-0.09, y + 0.03), (0.0, y - 0.015), (0.09, y + 0.03)), 0.030, 0.32 * wrinkle, SOFT)
        for y in (-0.07, 0.04)
    ]
    for side, wing in ((-1.0, 31), (1.0, 35)):
        flank = sheet.along(at[wing], (-side * 0.02, -0.28), (side * 0.03, -0.18), (side * 0.07, -0.10))
        strokes.append(Stroke(flank, 0.03, 0.38 * wrinkle))
        # The inner end of the eye socket lies in the shadow of nose and brow.
        inner = at[39] if side < 0 else at[42]
        pit = sheet.along(inner, (-side * 0.045, -0.12), (-side * 0.045, 0.02))
        strokes.append(Stroke(pit, 0.09, 0.30 * soft, BROAD))
    return strokes


def _wings(sheet: Sheet) -> list[Stroke]:
    """The edges of the nose's wings and the groove of the upper lip."""
    at, small = sheet.points, 0.8 if sheet.face.infant else 1.0
    strokes = [Stroke(sheet.along(at[33], (0.0, 0.03), (0.0, 0.15 * small)), 0.05, 0.18, SOFT)]
    for wing, side in ((31, -1.0), (35, 1.0)):
        line = sheet.along(at[wing], (side * 0.015, -0.11 * small), (side * 0.035, -0.04 * small), (0.0, 0.0))
        strokes.append(Stroke(line, 0.03, 0.5 * small, FINE, False, (0.0, 0.2)))
    return strokes


def _forehead(sheet: Sheet) -> list[Stroke]:
    """Lines across the forehead; only the middle of them when the inner brow alone goes up."""
    who, at = sheet.face.identity, sheet.points
    raised = 0.5 * (sheet.units["AU1"] + sheet.units["AU2"]) * (0.35 if who.infant else 1.0)
    strength = raised * (0.28 + 0.35 * who.wrinkles) + 0.12 * who.wrinkles
    between = 0.5 * (at[21] + at[22])
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
    """The bag under the eye, the fold a raised cheek pushes up to it, crow's feet, and the pinch of shut eyes."""
    who, at = sheet.face.identity, sheet.points
    squint, tight = sheet.units["AU6"], sheet.units["AU7"]
    soft = 0.55 if who.infant else 1.0
    pinch = sheet.units["AU43"] * min(tight + 0.6 * squint, 1.2)
    strokes = []
    for outer, inner, low, side in ((36, 39, 41, -1.0), (45, 42, 46, 1.0)):
        middle = at[low] + sheet.by(-side * 0.06, 0.10 - 0.03 * squint)
        bag = np.array([at[inner] + sheet.by(side * 0.02, 0.05), middle, at[outer] + sheet.by(0.0, 0.07)])
        strength = (0.10 + 0.20 * who.wrinkles + 0.42 * squint + 0.28 * tight) * soft
        strokes.append(Stroke(bag, 0.04, strength))
        strokes.append(Stroke(bag - sheet.by(0.0, 0.045), 0.04, 0.35 * squint + 0.25 * tight, SOFT, True))
        crow = 0.12 * who.wrinkles + 0.42 * squint * (0.35 + 0.65 * who.wrinkles)
        crow = 0.22 * pinch if who.infant else crow + 0.3 * pinch
        for rise in (-0.08, 0.0, 0.09):
            feet = sheet.along(at[outer], (side * 0.05, 0.3 * rise + 0.01), (side * 0.18, 1.3 * rise + 0.015))
            strokes.append(Stroke(feet, 0.024, crow, FINE))
    return strokes


def _chin(sheet: Sheet) -> list[Stroke]:
    """The dent under the lip; a raised chin bunches and dimples."""
    at, chin = sheet.points, sheet.units["AU17"]
    dent = sheet.along(0.5 * (at[57] + at[8]), (-0.17, -0.02), (0.0, -0.05), (0.17, -0.02))
    strokes = [Stroke(dent, 0.07, 0.20 + 0.4 * chin, BROAD)]
    ball = 0.35 * at[57] + 0.65 * at[8]
    for x, y in ((-0.10, 0.0), (0.02, 0.03), (0.11, -0.01), (-0.03, -0.05)):
        strokes.append(Stroke(sheet.along(ball, (x - 0.02, y), (x + 0.02, y + 0.01)), 0.03, 0.3 * chin, FINE))
    return strokes

"""Painting of the mouth: lips, teeth, gums and tongue."""

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.scene import Sheet

_CAVITY = np.array((0.16, 0.045, 0.045), np.float32)
_TONGUE = np.array((0.68, 0.35, 0.35), np.float32)
_GUM = np.array((0.66, 0.36, 0.35), np.float32)


def edges(points: Float[np.ndarray, "20 2"], gap: float) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """Return the outer and the inner outline of the lips.

    The corners of the outer outline are sharp in a closed mouth and become rounder as it opens.

    Args:
        points: the landmarks of the mouth (48 to 67).
        gap: opening between the lips in face units.

    Returns:
        Closed curves through the landmarks, clockwise from the corner on the picture's left.
    """
    roundness = min(gap / 0.30, 1.0) * 0.85
    sharp = np.concatenate(
        [painting.curve(points[0:7], 6)[:-1], painting.curve(points[[6, 7, 8, 9, 10, 11, 0]], 6)[:-1]]
    )
    outer = sharp + roundness * (painting.curve(points[0:12], 6, closed=True) - sharp)
    return outer, painting.curve(points[12:20], 6, closed=True)


def paint_mouth(sheet: Sheet) -> None:
    """Paint the lips and, if the mouth is open, the cavity."""
    identity, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    gap = _opening(sheet)
    outer, inner = edges(sheet.points[48:68], gap)
    top, low = outer[:37], outer[36:]
    inner_top, inner_low = inner[:25], np.concatenate([inner[24:], inner[:1]])
    box = sheet.box(outer, 0.16)
    soft = 0.012 * unit * (1.0 - 0.5 * identity.makeup)

    below = low[6:-6] + sheet.by(0.0, 0.05)
    shadow = painting.fill(box, [painting.ribbon(below, np.full(len(below), 0.05 * unit))], 0.03 * unit)
    painting.shade(canvas, box, shadow * 0.38, (0.62, 0.50, 0.48))
    cover = painting.fill(box, [outer], soft)
    painting.tint(canvas, box, cover * 0.88, np.array(identity.lips, np.float32))
    upper = np.concatenate([top, inner_top[::-1]])
    painting.shade(canvas, box, painting.fill(box, [upper], 0.014 * unit) * cover * 0.8, (0.84, 0.76, 0.76))
    middle = painting.curve(0.5 * (sheet.points[[67, 66, 65]] + sheet.points[[58, 57, 56]]), 6)
    gleam = painting.ribbon(middle, 0.045 * unit * painting.taper(len(middle), 0.2, 0.2))
    painting.shade(canvas, box, painting.fill(box, [gleam], 0.022 * unit) * cover * 0.8, (1.20, 1.20, 1.20))

    if gap > 0.004:
        _paint_cavity(sheet, box, inner, gap)

    # The line between the lips, or along their inner edges in an open mouth; darkest at the corners.
    width = np.maximum(0.020 * unit * painting.taper(25, 0.9, 0.9), 0.6)
    seams = 0.75 * painting.fill(box, [painting.ribbon(inner_top, width)], 0.006 * unit)
    if gap > 0.03:
        seams = np.maximum(seams, 0.35 * painting.fill(box, [painting.ribbon(inner_low, width)], 0.006 * unit))
    painting.shade(canvas, box, seams, (0.42, 0.26, 0.25))
    spots = [painting.ellipse(sheet.points[k], (0.03 * unit, 0.022 * unit), count=12) for k in (48, 54)]
    painting.shade(canvas, box, painting.fill(box, spots, 0.014 * unit) * 0.5, (0.5, 0.36, 0.34))


def _opening(sheet: Sheet) -> float:
    """Return the opening between the lips in face units."""
    return float(np.linalg.norm(sheet.points[[61, 62, 63]] - sheet.points[[67, 66, 65]], axis=-1).mean()) / sheet.unit


def _arch(sheet: Sheet, drop: float, half: float, bend: float) -> Float[np.ndarray, "13 2"]:
    """Return the free edge of a row of teeth, in canvas pixels.

    It lies `drop` below the resting mouth line and is 2 `half` wide; its ends lie `bend` lower than its middle.
    """
    mouth = sheet.anatomy.mouth
    t = np.linspace(-1.0, 1.0, 13)
    arch = np.stack([mouth[0] + half * t, mouth[1] + drop + bend * t**2, mouth[2] - 0.10 - 0.22 * t**2], axis=-1)
    return sheet.camera.turn(arch)


def _paint_cavity(sheet: Sheet, box: painting.Box, inner: Float[np.ndarray, "n 2"], gap: float) -> None:
    """Paint the inside of the mouth within the outline `inner`: tongue, teeth or gums, and shadow."""
    identity, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    down, roll = sheet.by(0.0, 1.0), sheet.face.shot.roll
    inside = painting.fill(box, [inner]) * np.float32(min(gap / 0.02, 1.0))
    painting.tint(canvas, box, inside, _CAVITY)
    # The lower teeth and the tongue move with the jaw, whose drop is that of the chin.
    jaw = float(sheet.moved[8, 1] - sheet.anatomy.landmarks[8, 1]) + 0.04 * sheet.units["AU17"]
    width = abs(float(sheet.anatomy.landmarks[48, 0])) * 0.94
    if jaw > (0.02 if identity.infant else 0.06) or sheet.units["AU19"] > 0.1:
        rise = 0.5 * sheet.units["AU19"]
        middle = sheet.points[[65, 66, 67]].mean(axis=0) + (0.03 - 0.10 * rise) * down
        tongue = painting.ellipse(middle, (width * 0.66 * unit, (0.075 + 0.07 * rise) * unit), roll)
        body = painting.fill(box, [tongue], 0.016 * unit) * inside
        painting.tint(canvas, box, body * 0.9, _TONGUE)
        groove = painting.ribbon(np.array([middle - 0.07 * down, middle + 0.03 * down]), np.array([0.03, 0.03]) * unit)
        painting.shade(canvas, box, painting.fill(box, [groove], 0.012 * unit) * body * 0.5, (0.7, 0.55, 0.55))

    upper = _arch(sheet, 0.045 if not identity.infant else -0.05, width, -0.055)
    row = np.concatenate([upper, upper[::-1] - 0.5 * down])
    bared = min(
        sheet.units["AU16"] + 0.5 * sheet.units["AU20"], 1.0
    )  # AU16 and AU20 show the lower teeth, a smile hides them
    lower = _arch(sheet, jaw + (0.10 - 0.05 * bared if not identity.infant else 0.085), 0.85 * width, -0.035)
    low_row = np.concatenate([lower, lower[::-1] + 0.4 * down])
    if identity.infant:
        painting.tint(canvas, box, painting.fill(box, [low_row, row], 0.012 * unit) * inside * 0.85, _GUM)
    else:
        white = np.array((0.93, 0.90, 0.84), np.float32) * (1.0 - 0.08 * identity.wrinkles)
        painting.tint(canvas, box, painting.fill(box, [low_row], 0.004 * unit) * inside * 0.95, white * 0.86)
        teeth = painting.fill(box, [row], 0.004 * unit) * inside
        painting.tint(canvas, box, teeth, white)
        gaps = np.stack([upper[1:-1], upper[1:-1] - 0.16 * down], axis=1)
        painting.shade(canvas, box, painting.lines(box, gaps, 1) * teeth * min(0.20, 0.0016 * unit), (0.6, 0.5, 0.45))
    # Lips and cheeks shade the mouth at the sides and the top.
    bright = painting.ellipse(inner.mean(axis=0), (width * 0.62 * unit, 0.6 * unit), roll)
    rim = painting.ribbon(inner[:25], np.full(25, 0.05 * unit))
    dark = 0.8 - 0.8 * painting.fill(box, [bright], 0.09 * unit) + 0.45 * painting.fill(box, [rim], 0.02 * unit)
    painting.shade(canvas, box, inside * np.minimum(dark, 1.0), (0.46, 0.37, 0.36))

"""The mouth: lips, and behind them teeth, gums and tongue."""

import numpy as np
from jaxtyping import Float

from avlgan_jax.procedural import painting
from avlgan_jax.procedural.scene import Sheet

_CAVITY = np.array((0.16, 0.045, 0.045), np.float32)
_TONGUE = np.array((0.74, 0.38, 0.38), np.float32)
_GUM = np.array((0.78, 0.44, 0.43), np.float32)


def edges(points: Float[np.ndarray, "20 2"]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Outer upper, outer lower, inner upper and inner lower edge of the lips, each from the picture's left corner."""
    return (
        painting.curve(points[0:7], 6),
        painting.curve(points[[0, 11, 10, 9, 8, 7, 6]], 6),
        painting.curve(points[12:17], 6),
        painting.curve(points[[12, 19, 18, 17, 16]], 6),
    )


def paint_mouth(sheet: Sheet) -> None:
    """Lips over whatever the open mouth shows."""
    who, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    outer_top, outer_low, inner_top, inner_low = edges(sheet.points[48:68])
    lips = np.concatenate([outer_top, outer_low[::-1]])
    box = sheet.box(lips, 0.16)
    colour = np.array(who.lips, np.float32)
    soft = 0.010 * unit * (1.0 - 0.5 * who.makeup)

    below = outer_low[6:-6] + (0.0, 0.05 * unit)
    shadow = painting.fill(box, [painting.ribbon(below, np.full(len(below), 0.05 * unit))], 0.03 * unit)
    painting.shade(canvas, box, shadow * 0.38, (0.62, 0.50, 0.48))

    cover = painting.fill(box, [lips], soft)
    painting.tint(canvas, box, cover * 0.88, colour)
    upper = np.concatenate([outer_top, inner_top[::-1]])
    painting.shade(canvas, box, painting.fill(box, [upper], 0.014 * unit) * cover * 0.8, (0.84, 0.76, 0.76))
    middle = 0.5 * (inner_low[6:-6] + outer_low[9:-9]) if len(inner_low[6:-6]) == len(outer_low[9:-9]) else None
    if middle is None:
        inner = painting.curve(sheet.points[[67, 66, 65]], 6)
        outer = painting.curve(sheet.points[[58, 57, 56]], 6)
        middle = 0.5 * inner + 0.5 * outer
    gleam = painting.fill(
        box, [painting.ribbon(middle, 0.045 * unit * painting.taper(len(middle), 0.2, 0.2))], 0.022 * unit
    )
    painting.shade(canvas, box, gleam * cover * 0.8, (1.22, 1.22, 1.22))

    gap = _opening(sheet)
    if gap > 0.004:
        _paint_cavity(sheet, box, np.concatenate([inner_top, inner_low[::-1]]), gap)

    # The line where the lips meet or end, darkest at the corners.
    for edge, strength in ((inner_top, 0.75), (inner_low, 0.35 if gap > 0.03 else 0.75)):
        line = painting.ribbon(edge, np.maximum(0.020 * unit * painting.taper(len(edge), 0.9, 0.9), 0.6))
        painting.shade(canvas, box, painting.fill(box, [line], 0.006 * unit) * strength, (0.42, 0.26, 0.25))
    for corner in (sheet.points[48], sheet.points[54]):
        spot = painting.ellipse(corner, (0.03 * unit, 0.022 * unit), count=12)
        painting.shade(canvas, box, painting.fill(box, [spot], 0.014 * unit) * 0.5, (0.5, 0.36, 0.34))


def _opening(sheet: Sheet) -> float:
    """How far the lips are apart, in face units."""
    return float(np.linalg.norm(sheet.points[[61, 62, 63]] - sheet.points[[67, 66, 65]], axis=-1).mean()) / sheet.unit


def _arch(sheet: Sheet, drop: float, half: float, bend: float) -> Float[np.ndarray, "13 2"]:
    """A row of teeth's free edge on the canvas: `drop` below the resting mouth line, `half` as wide, bent at its ends."""
    mouth = sheet.anatomy.mouth
    t = np.linspace(-1.0, 1.0, 13)
    arch = np.stack([mouth[0] + half * t, mouth[1] + drop + bend * t**2, mouth[2] - 0.10 - 0.22 * t**2], axis=-1)
    return sheet.camera.turn(arch)


def _paint_cavity(sheet: Sheet, box: painting.Box, inner: Float[np.ndarray, "n 2"], gap: float) -> None:
    who, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    roll = sheet.camera.rotation[:2, :2]
    down = roll @ (0.0, 1.0) * unit
    inside = painting.fill(box, [inner]) * min(gap / 0.02, 1.0)
    painting.tint(canvas, box, inside, _CAVITY)
    # The jaw carries the lower teeth and the tongue; the chin tells how far it is down.
    jaw = float(sheet.moved[8, 1] - sheet.anatomy.landmarks[8, 1]) + 0.04 * sheet.felt("AU17")
    width = abs(float(sheet.anatomy.landmarks[48, 0])) * 0.86

    if jaw > 0.06 or sheet.units["AU19"] > 0.1:
        rise = 0.5 * sheet.units["AU19"]
        floor = sheet.points[[65, 66, 67]].mean(axis=0)
        middle = floor + down * (0.03 - 0.10 * rise)
        tongue = painting.ellipse(middle, (width * 0.66 * unit, (0.075 + 0.07 * rise) * unit), sheet.face.shot.roll)
        body = painting.fill(box, [tongue], 0.016 * unit) * inside
        painting.tint(canvas, box, body * 0.9, _TONGUE * 0.92)
        groove = np.stack([middle - 0.07 * down, middle + 0.03 * down])
        line = painting.fill(box, [painting.ribbon(groove, np.array([0.03, 0.03]) * unit)], 0.012 * unit)
        painting.shade(canvas, box, line * body * 0.5, (0.7, 0.55, 0.55))

    upper = _arch(sheet, 0.045 if not who.infant else -0.025, width, -0.055)
    row = np.concatenate([upper, upper[::-1] - 0.5 * down])
    lower = _arch(sheet, jaw + (0.075 if not who.infant else 0.085), 0.85 * width, -0.035)
    low_row = np.concatenate([lower, lower[::-1] + 0.4 * down])
    if who.infant:
        painting.tint(canvas, box, painting.fill(box, [low_row, row], 0.012 * unit) * inside * 0.85, _GUM)
    else:
        teeth = np.array((0.93, 0.90, 0.84), np.float32) * (1.0 - 0.08 * who.wrinkles)
        low_mask = painting.fill(box, [low_row], 0.004 * unit) * inside
        painting.tint(canvas, box, low_mask * 0.95, teeth * 0.86)
        mask = painting.fill(box, [row], 0.004 * unit) * inside
        painting.tint(canvas, box, mask, teeth)
        gaps = [np.stack([p, p - 0.16 * down]) for p in upper[1:-1]]
        painting.shade(canvas, box, painting.lines(box, gaps, 1) * mask * min(0.20, 0.0016 * unit), (0.6, 0.5, 0.45))
    # The lips and cheeks keep light from the sides and the top.
    centre = inner.mean(axis=0)
    bright = painting.ellipse(centre, (width * 0.62 * unit, 0.6 * unit), sheet.face.shot.roll)
    side = 1.0 - painting.fill(box, [bright], 0.09 * unit)
    painting.shade(canvas, box, inside * side * 0.8, (0.45, 0.36, 0.35))
    rim = painting.curve(sheet.points[60:65], 6)
    shade = painting.fill(box, [painting.ribbon(rim, np.full(len(rim), 0.05 * unit))], 0.02 * unit)
    painting.shade(canvas, box, inside * shade * 0.55, (0.5, 0.42, 0.40))

"""Eyes, lids, lashes and brows. Both sides are painted together, stroke by stroke."""

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.scene import Sheet

_DARK = np.array((0.07, 0.045, 0.04), np.float32)
_WHITE = np.array((1.0, 1.0, 1.0), np.float32)
_SIDES = np.array([-1.0, 1.0])  # the picture's left eye, then the right one
# Landmarks of both eyes in mirror order, from the outer corner: upper lid, lower lid.
_UPPER = np.array([[36, 37, 38, 39], [45, 44, 43, 42]])
_LOWER = np.array([[36, 41, 40, 39], [45, 46, 47, 42]])
_BOW = np.sin(np.pi * np.linspace(0.0, 1.0, 19))
_OUTWARD = np.linspace(1.0, 0.0, 19)


def lids(points: Float[np.ndarray, "68 2"]) -> tuple[Float[np.ndarray, "2 19 2"], Float[np.ndarray, "2 19 2"]]:
    """Edges of upper and lower lids through the landmarks of both eyes, each from the outer corner to the inner."""
    return painting.curve(points[_UPPER], 6), painting.curve(points[_LOWER], 6)


def paint_eyes(sheet: Sheet) -> None:
    """Both eyes, from the ball to the lashes."""
    who, unit, canvas, points = sheet.face.identity, sheet.unit, sheet.canvas, sheet.points
    upper, lower = lids(points)
    shapes = np.concatenate([upper, lower[:, ::-1]], axis=1)
    box = sheet.box(shapes.reshape(-1, 2), 0.16)
    opening = float(np.linalg.norm(points[[37, 38, 43, 44]] - points[[41, 40, 47, 46]], axis=-1).mean()) / unit
    if opening > 0.004:
        _paint_balls(sheet, box, shapes, upper, min(opening / 0.03, 1.0))

    # Crease of the upper lid: the further the lid is down, the more of it shows.
    lift = (0.035 + 0.045 * who.eye_fold) * (0.7 + 0.3 * min(1.0, opening / 0.15))
    crease = upper - (0.35 + 0.65 * _BOW)[:, None] * sheet.by(0.0, lift)
    lines = painting.ribbon(crease, np.maximum(0.024 * unit * (0.3 + 0.7 * _BOW), 0.5))
    strength = (0.35 + 0.35 * who.eye_fold) * (0.7 if who.infant else 1.0)
    painting.shade(canvas, box, painting.fill(box, lines, 0.010 * unit) * strength, (0.55, 0.40, 0.36))
    if who.makeup:
        lid = painting.fill(box, np.concatenate([upper, crease[:, ::-1]], axis=1), 0.012 * unit)
        painting.shade(canvas, box, lid * 0.5 * who.makeup, (0.66, 0.55, 0.56))

    # Lashes: a dark rim, thicker outward, with a short wing past the outer corner.
    weight = (0.028 + 0.016 * who.makeup + (0.006 if who.female else 0.0)) * (0.75 if who.infant else 1.0)
    widths = np.maximum(weight * unit * (0.35 + 0.65 * _BOW) * (0.55 + 0.45 * _OUTWARD), 0.5)
    rims = list(painting.ribbon(upper - sheet.by(0.0, 0.25 * weight), widths))
    if who.female and not who.infant:
        reach = 0.025 + 0.03 * who.makeup
        wings = np.array(
            [sheet.along(upper[k, 0], (-s * 0.03, -0.012), (s * reach, -0.016)) for k, s in enumerate(_SIDES)]
        )
        rims += list(painting.ribbon(wings, np.array([0.020, 0.006]) * unit))
    painting.tint(canvas, box, painting.fill(box, rims, 0.004 * unit) * (0.9 if not who.infant else 0.75), _DARK)
    rims = painting.ribbon(lower, np.maximum(0.014 * unit * (0.3 + 0.7 * _BOW), 0.4))
    painting.shade(canvas, box, painting.fill(box, rims, 0.004 * unit) * 0.5, (0.42, 0.28, 0.26))


def _paint_balls(
    sheet: Sheet,
    box: painting.Box,
    shapes: Float[np.ndarray, "2 n 2"],
    upper: Float[np.ndarray, "2 19 2"],
    open_: float,
) -> None:
    """What lies between the lids: white, iris, pupil, the upper lid's shadow and the lamp's reflection."""
    who, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    inside = painting.fill(box, shapes) * np.float32(open_)
    red = 0.06 * min(sheet.units["tears"], 1.0)
    white = np.array((0.90, 0.875 - red, 0.86 - red) if not who.infant else (0.92, 0.92 - red, 0.93 - red), np.float32)
    painting.tint(canvas, box, inside, white)
    corners = [painting.ellipse(sheet.points[k] + sheet.by(-s * 0.02, 0.0), (0.035 * unit, 0.025 * unit), count=12)
               for k, s in ((39, -1.0), (42, 1.0))]  # fmt: skip
    pink = np.array((0.80, 0.52, 0.50), np.float32)
    painting.tint(canvas, box, inside * painting.fill(box, corners, 0.01 * unit) * 0.6, pink)

    # The ball's centre stays with the corners, whatever the lids do.
    radius = (0.096 if not who.infant else 0.116) * unit
    aside, down = sheet.face.shot.gaze
    look = sheet.by(aside, down - 0.026 + 0.045 * sheet.units["gaze"])
    centres = [0.5 * (sheet.points[36] + sheet.points[39]) + look, 0.5 * (sheet.points[42] + sheet.points[45]) + look]

    def discs(share: float, shift: np.ndarray | float = 0.0, blur: float = 0.004) -> np.ndarray:
        size = (share * radius, share * radius)
        return painting.fill(box, [painting.ellipse(c + shift, size) for c in centres], blur * unit) * inside

    iris = np.array(who.iris, np.float32)
    painting.tint(canvas, box, discs(1.0, 0.0, 0.006), iris * 0.5)
    ring = discs(0.82, 0.0, 0.012)
    painting.tint(canvas, box, ring, iris)
    painting.shade(canvas, box, ring * discs(0.5, sheet.by(0.0, 0.4 * radius / unit), 0.02), (1.5, 1.45, 1.4))
    painting.tint(canvas, box, discs(0.36 + 0.16 * sheet.units["pupil"]), _DARK * 0.5)
    shadow = painting.ribbon(upper + sheet.by(0.0, 0.015), np.full(upper.shape[1], 0.07 * unit))
    painting.shade(canvas, box, inside * painting.fill(box, shadow, 0.02 * unit) * 0.75, (0.50, 0.46, 0.46))
    spark = np.array((0.38 * sheet.face.shot.light[0], -0.34)) * radius
    painting.tint(canvas, box, np.minimum(discs(0.19, spark, 0.003) * 1.2, 1.0), _WHITE)


def paint_brows(sheet: Sheet) -> None:
    """Brows as hair along their five landmarks."""
    who, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    colour = np.array(who.brow, np.float32)
    thick = (0.082 if not who.infant else 0.05) * who.brow_weight * unit
    opacity = 0.86 if not who.infant else 0.45
    generator = np.random.default_rng((who.texture, 2))
    spines = painting.curve(sheet.points[[[17, 18, 19, 20, 21], [26, 25, 24, 23, 22]]], 5)
    inward = np.linspace(0.0, 1.0, spines.shape[1])
    widths = thick * np.interp(inward, [0.0, 0.3, 0.8, 1.0], [0.22, 0.75, 1.0, 0.62])
    shapes = painting.ribbon(spines, widths)
    box = sheet.box(shapes.reshape(-1, 2), 0.08)
    painting.tint(canvas, box, painting.fill(box, shapes, 0.016 * unit) * opacity * 0.8, colour)
    # Single hairs: upright at the inner end, leaning outward further on.
    count = 22
    at = generator.integers(1, len(inward) - 1, (2, count))
    t = inward[at]
    root = np.take_along_axis(spines, at[..., None], axis=1)
    root[..., 1] += generator.uniform(-0.5, 0.4, (2, count)) * widths[at]
    lean = np.stack([_SIDES[:, None] * (0.03 + 0.05 * (1.0 - t)), -0.035 * (1.6 * t - 0.3)], axis=-1)
    hairs = np.stack([root, root + unit * lean], axis=2).reshape(-1, 2, 2)
    painting.tint(canvas, box, painting.lines(box, hairs, 1, 0.3) * opacity * 0.45, colour * 0.7)

"""Painting of eyes, lids, lashes and brows. Each step paints both sides at once."""

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.scene import Sheet

_DARK = np.array((0.07, 0.045, 0.04), np.float32)
_WHITE = np.array((1.0, 1.0, 1.0), np.float32)
_SIDES = np.array([-1.0, 1.0])  # sign of x: the eye on the picture's left, then the one on its right
# Landmarks of the upper and of the lower lid, each from the outer to the inner corner; rows as in _SIDES.
_UPPER = np.array([[36, 37, 38, 39], [45, 44, 43, 42]])
_LOWER = np.array([[36, 41, 40, 39], [45, 46, 47, 42]])
# Profiles along a lid, from the outer to the inner corner: 1 in the middle; 1 at the outer corner.
_ARCH = np.sin(np.pi * np.linspace(0.0, 1.0, 19))
_OUTWARD = np.linspace(1.0, 0.0, 19)


def lids(points: Float[np.ndarray, "68 2"]) -> tuple[Float[np.ndarray, "2 19 2"], Float[np.ndarray, "2 19 2"]]:
    """Return the edges of the upper and of the lower lids.

    Args:
        points: all landmarks, in canvas pixels.

    Returns:
        Smooth curves through the landmarks, each from the outer to the inner corner. Row 0 is the eye on the picture's
        left.
    """
    return painting.curve(points[_UPPER], 6), painting.curve(points[_LOWER], 6)


def paint_eyes(sheet: Sheet) -> None:
    """Paint both eyes: eyeballs, lid creases, make-up and lashes."""
    identity, unit, canvas, points = sheet.face.identity, sheet.unit, sheet.canvas, sheet.points
    upper, lower = lids(points)
    shapes = np.concatenate([upper, lower[:, ::-1]], axis=1)
    box = sheet.box(shapes.reshape(-1, 2), 0.16)
    opening = float(np.linalg.norm(points[[37, 38, 43, 44]] - points[[41, 40, 47, 46]], axis=-1).mean()) / unit
    if opening > 0.004:
        _paint_balls(sheet, box, shapes, upper, min(opening / 0.03, 1.0))

    # Crease of the upper lid: the wider the eye is open, the higher it lies above the lid's edge.
    lift = (0.035 + 0.045 * identity.eye_fold) * (0.7 + 0.3 * min(1.0, opening / 0.15))
    crease = upper - (0.35 + 0.65 * _ARCH)[:, None] * sheet.by(0.0, lift)
    lines = painting.ribbon(crease, np.maximum(0.024 * unit * (0.3 + 0.7 * _ARCH), 0.5))
    strength = (0.35 + 0.35 * identity.eye_fold) * (0.7 if identity.infant else 1.0)
    painting.shade(canvas, box, painting.fill(box, lines, 0.010 * unit) * strength, (0.55, 0.40, 0.36))
    if identity.makeup:
        lid = painting.fill(box, np.concatenate([upper, crease[:, ::-1]], axis=1), 0.012 * unit)
        painting.shade(canvas, box, lid * 0.5 * identity.makeup, (0.66, 0.55, 0.56))

    # Lashes: a dark rim, thicker towards the outer corner; in women it extends past that corner.
    weight = (0.028 + 0.016 * identity.makeup + (0.006 if identity.female else 0.0)) * (
        0.75 if identity.infant else 1.0
    )
    widths = np.maximum(weight * unit * (0.35 + 0.65 * _ARCH) * (0.55 + 0.45 * _OUTWARD), 0.5)
    rims = list(painting.ribbon(upper - sheet.by(0.0, 0.25 * weight), widths))
    if identity.female and not identity.infant:
        reach = 0.025 + 0.03 * identity.makeup
        wings = np.array(
            [sheet.along(upper[k, 0], (-s * 0.03, -0.012), (s * reach, -0.016)) for k, s in enumerate(_SIDES)]
        )
        rims += list(painting.ribbon(wings, np.array([0.020, 0.006]) * unit))
    painting.tint(canvas, box, painting.fill(box, rims, 0.004 * unit) * (0.9 if not identity.infant else 0.75), _DARK)
    rims = painting.ribbon(lower, np.maximum(0.014 * unit * (0.3 + 0.7 * _ARCH), 0.4))
    painting.shade(canvas, box, painting.fill(box, rims, 0.004 * unit) * 0.5, (0.42, 0.28, 0.26))


def _paint_balls(
    sheet: Sheet,
    box: painting.Box,
    shapes: Float[np.ndarray, "2 n 2"],
    upper: Float[np.ndarray, "2 19 2"],
    visibility: float,
) -> None:
    """Paint what the lids leave open: white, iris, pupil, the upper lid's shadow, the highlight."""
    identity, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    inside = painting.fill(box, shapes) * np.float32(visibility)
    red = 0.06 * min(sheet.units["tears"], 1.0)
    white = np.array(
        (0.90, 0.875 - red, 0.86 - red) if not identity.infant else (0.92, 0.92 - red, 0.93 - red), np.float32
    )
    painting.tint(canvas, box, inside, white)
    corners = [painting.ellipse(sheet.points[k] + sheet.by(-s * 0.02, 0.0), (0.035 * unit, 0.025 * unit), count=12)
               for k, s in ((39, -1.0), (42, 1.0))]  # fmt: skip
    pink = np.array((0.80, 0.52, 0.50), np.float32)
    painting.tint(canvas, box, inside * painting.fill(box, corners, 0.01 * unit) * 0.6, pink)

    # The iris is placed relative to the eye's corners, so that moving lids do not move it.
    radius = (0.096 if not identity.infant else 0.116) * unit
    aside, down = sheet.face.shot.gaze
    gaze_shift = sheet.by(aside, down - 0.026 + 0.045 * sheet.units["gaze"])
    centres = [
        0.5 * (sheet.points[36] + sheet.points[39]) + gaze_shift,
        0.5 * (sheet.points[42] + sheet.points[45]) + gaze_shift,
    ]

    def discs(share: float, shift: np.ndarray | float = 0.0, blur: float = 0.004) -> np.ndarray:
        """Return the mask of discs in both eyes, their radii `share` of the iris's."""
        size = (share * radius, share * radius)
        return painting.fill(box, [painting.ellipse(c + shift, size) for c in centres], blur * unit) * inside

    iris = np.array(identity.iris, np.float32)
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
    """Paint each brow as hair along its five landmarks."""
    identity, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    colour = np.array(identity.brow, np.float32)
    thick = (0.082 if not identity.infant else 0.05) * identity.brow_weight * unit
    opacity = 0.86 if not identity.infant else 0.45
    generator = np.random.default_rng((identity.texture, 2))
    spines = painting.curve(sheet.points[[[17, 18, 19, 20, 21], [26, 25, 24, 23, 22]]], 5)
    inward = np.linspace(0.0, 1.0, spines.shape[1])
    widths = thick * np.interp(inward, [0.0, 0.3, 0.8, 1.0], [0.22, 0.75, 1.0, 0.62])
    shapes = painting.ribbon(spines, widths)
    box = sheet.box(shapes.reshape(-1, 2), 0.08)
    painting.tint(canvas, box, painting.fill(box, shapes, 0.016 * unit) * opacity * 0.8, colour)
    # Single hairs: upright at the inner end, leaning outward towards the outer end.
    count = 22
    index = generator.integers(1, len(inward) - 1, (2, count))
    t = inward[index]
    root = np.take_along_axis(spines, index[..., None], axis=1)
    root[..., 1] += generator.uniform(-0.5, 0.4, (2, count)) * widths[index]
    lean = np.stack([_SIDES[:, None] * (0.03 + 0.05 * (1.0 - t)), -0.035 * (1.6 * t - 0.3)], axis=-1)
    hairs = np.stack([root, root + unit * lean], axis=2).reshape(-1, 2, 2)
    painting.tint(canvas, box, painting.lines(box, hairs, 1, 0.3) * opacity * 0.45, colour * 0.7)

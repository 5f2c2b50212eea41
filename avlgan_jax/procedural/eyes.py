"""Eyes, lids, lashes and brows."""

import numpy as np
from jaxtyping import Float

from avlgan_jax.procedural import painting
from avlgan_jax.procedural.scene import Sheet

_DARK = np.array((0.07, 0.045, 0.04), np.float32)


def lids(points: Float[np.ndarray, "6 2"]) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """Edges of the upper and lower lid through an eye's six landmarks, both from the first corner to the other."""
    return painting.curve(points[[0, 1, 2, 3]], 6), painting.curve(points[[0, 5, 4, 3]], 6)


def paint_eyes(sheet: Sheet) -> None:
    """Both eyes, from the ball to the lashes."""
    for first, outer_first, side in ((36, True, -1.0), (42, False, 1.0)):
        _paint_eye(sheet, sheet.points[first : first + 6], side, outer_first)


def _paint_eye(sheet: Sheet, points: Float[np.ndarray, "6 2"], side: float, outer_first: bool) -> None:
    who, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    roll = sheet.camera.rotation[:2, :2]

    def step(x: float, y: float) -> np.ndarray:
        return roll @ (x, y) * unit

    upper, lower = lids(points)
    shape = np.concatenate([upper, lower[::-1]])
    box = sheet.box(shape, 0.12)
    opening = float(np.linalg.norm(points[[1, 2]].mean(axis=0) - points[[5, 4]].mean(axis=0))) / unit
    inside = painting.fill(box, [shape]) * min(opening / 0.03, 1.0)

    white = np.array((0.90, 0.875, 0.86), np.float32) if not who.infant else np.array((0.92, 0.92, 0.93), np.float32)
    red = 0.5 * min(sheet.units["tears"], 1.0)
    white = white * (1.0, 1.0 - 0.12 * red, 1.0 - 0.12 * red)
    painting.tint(canvas, box, inside, white.astype(np.float32))
    inner = points[3] if outer_first else points[0]
    caruncle = painting.ellipse(inner + step(side * 0.03, 0.0), (0.035 * unit, 0.025 * unit))
    painting.tint(
        canvas,
        box,
        inside * painting.fill(box, [caruncle], 0.01 * unit) * 0.6,
        np.array((0.80, 0.52, 0.50), np.float32),
    )

    # The ball looks straight out of the head; its centre does not move with the lids.
    corners = 0.5 * (points[0] + points[3])
    gaze = sheet.units["gaze"]
    radius = (0.098 if not who.infant else 0.118) * unit
    turned = sheet.camera.rotation
    centre = corners + step(0.02 * turned[0, 2], -0.028 + 0.045 * gaze)
    iris = np.array(who.iris, np.float32)
    disc = painting.fill(box, [painting.ellipse(centre, (radius, radius))], 0.006 * unit) * inside
    painting.tint(canvas, box, disc, iris * 0.55)
    ring = painting.fill(box, [painting.ellipse(centre, (0.82 * radius, 0.82 * radius))], 0.012 * unit) * inside
    painting.tint(canvas, box, ring, iris)
    glow = painting.ellipse(centre + step(0.0, 0.4 * radius / unit), (0.6 * radius, 0.4 * radius))
    painting.shade(canvas, box, ring * painting.fill(box, [glow], 0.02 * unit) * 0.9, (1.5, 1.45, 1.4))
    hole = (0.36 + 0.16 * sheet.units["pupil"]) * radius
    painting.tint(
        canvas, box, painting.fill(box, [painting.ellipse(centre, (hole, hole))], 0.004 * unit) * inside, _DARK * 0.5
    )

    # The upper lid's shadow on the ball, then the lamp's reflection on top of it.
    shadow = painting.ribbon(upper + step(0.0, 0.015), np.full(len(upper), 0.07 * unit))
    painting.shade(canvas, box, inside * painting.fill(box, [shadow], 0.02 * unit) * 0.75, (0.50, 0.46, 0.46))
    light = sheet.face.shot.light
    spark = centre + np.array((0.38 * light[0], -0.36)) * radius
    dot = painting.fill(box, [painting.ellipse(spark, (0.20 * radius, 0.20 * radius), count=12)], 0.003 * unit) * inside
    painting.tint(canvas, box, np.clip(dot * 1.2, 0.0, 1.0), np.array((1.0, 1.0, 1.0), np.float32))

    _paint_lids(sheet, upper, lower, side, outer_first, opening)


def _paint_lids(
    sheet: Sheet,
    upper: Float[np.ndarray, "n 2"],
    lower: Float[np.ndarray, "n 2"],
    side: float,
    outer_first: bool,
    opening: float,
) -> None:
    who, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    roll = sheet.camera.rotation[:2, :2]

    def step(x: float, y: float) -> np.ndarray:
        return roll @ (x, y) * unit

    t = np.linspace(0.0, 1.0, len(upper)) if outer_first else np.linspace(1.0, 0.0, len(upper))
    bow = np.sin(np.pi * np.linspace(0.0, 1.0, len(upper)))
    # Crease of the upper lid: the further the lid is down, the more of it shows.
    lift = (0.035 + 0.045 * who.eye_fold) * (0.7 + 0.3 * min(1.0, opening / 0.15))
    crease = upper - np.outer(0.35 + 0.65 * bow, step(0.0, lift))
    sheet_box = sheet.box(np.concatenate([crease, lower]), 0.12)
    painting.shade(
        canvas, sheet_box,
        painting.fill(sheet_box, [painting.ribbon(crease, np.maximum(0.022 * unit * (0.3 + 0.7 * bow), 0.5))], 0.010 * unit)
        * (0.35 + 0.35 * who.eye_fold) * (0.7 if who.infant else 1.0),
        (0.55, 0.40, 0.36),
    )  # fmt: skip
    if who.makeup:
        lid = np.concatenate([upper, crease[::-1]])
        painting.shade(
            canvas, sheet_box, painting.fill(sheet_box, [lid], 0.012 * unit) * 0.5 * who.makeup, (0.66, 0.55, 0.56)
        )

    # Lashes: a dark rim, thicker outward, with a short wing past the outer corner.
    weight = (0.030 + 0.016 * who.makeup + (0.006 if who.female else 0.0)) * (0.75 if who.infant else 1.0)
    widths = np.maximum(weight * unit * (0.35 + 0.65 * bow) * (0.55 + 0.45 * (1.0 - t)), 0.5)
    rim = painting.fill(sheet_box, [painting.ribbon(upper - step(0.0, 0.25 * weight), widths)], 0.004 * unit)
    painting.tint(canvas, sheet_box, rim * (0.9 if not who.infant else 0.75), _DARK)
    corner = upper[0] if outer_first else upper[-1]
    if not who.infant:
        wing = np.stack([corner - step(side * 0.03, 0.012), corner + step(side * 0.035, -0.012 - 0.01 * who.makeup)])
        sheet.stroke(wing, 0.02, (0.3, 0.25, 0.25), 0.6, 0.004, (1.0, 0.0))
    rim = painting.fill(
        sheet_box, [painting.ribbon(lower, np.maximum(0.014 * unit * (0.3 + 0.7 * bow), 0.4))], 0.004 * unit
    )
    painting.shade(canvas, sheet_box, rim * 0.55, (0.42, 0.28, 0.26))


def paint_brows(sheet: Sheet) -> None:
    """Brows as hair along their five landmarks."""
    who, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    colour = np.array(who.brow, np.float32)
    thick = (0.082 if not who.infant else 0.05) * who.brow_weight * unit
    opacity = 0.86 if not who.infant else 0.45
    generator = np.random.default_rng(who.texture + 2)
    for first, inner_last in ((17, True), (22, False)):
        spine = painting.curve(sheet.points[first : first + 5], 5)
        t = np.linspace(0.0, 1.0, len(spine)) if inner_last else np.linspace(1.0, 0.0, len(spine))
        widths = thick * np.interp(t, [0.0, 0.3, 0.8, 1.0], [0.22, 0.75, 1.0, 0.62])
        shape = painting.ribbon(spine, widths)
        box = sheet.box(shape, 0.08)
        painting.tint(canvas, box, painting.fill(box, [shape], 0.016 * unit) * opacity * 0.8, colour)
        # Single hairs, leaning outward.
        count = 22
        at = generator.integers(1, len(spine) - 1, count)
        across = generator.uniform(-0.5, 0.4, count)
        outward = -1.0 if inner_last else 1.0
        root = spine[at] + np.stack([np.zeros(count), across * widths[at]], axis=-1)
        tip = root + np.stack(
            [outward * unit * (0.03 + 0.05 * (1.0 - t[at])), -unit * 0.035 * (t[at] * 1.6 - 0.3)], axis=-1
        )
        hairs = [np.stack(pair) for pair in zip(root, tip, strict=True)]
        painting.tint(canvas, box, painting.lines(box, hairs, 1, 0.3) * opacity * 0.45, colour * 0.7)

"""Painting of the skin: the face's outline and colour, blood, freckles, beard, nose and tears."""

import functools

import cv2
import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.scene import Sheet

_BLOOD = (1.04, 0.72, 0.70)  # factors of the skin's RGB where it is flushed


@functools.cache
def _grain() -> Float[np.ndarray, "256 256"]:
    """Return the texture of skin: the sum of a coarse and a fine grain of standard deviations 0.7 and 0.5."""
    noise = np.random.default_rng(68).standard_normal((2, 256, 256)).astype(np.float32)
    coarse = cv2.GaussianBlur(noise[0], (0, 0), 9, borderType=cv2.BORDER_REFLECT)
    fine = cv2.GaussianBlur(noise[1], (0, 0), 2, borderType=cv2.BORDER_REFLECT)
    return 0.7 * coarse / coarse.std() + 0.5 * fine / fine.std()


def outline(sheet: Sheet) -> Float[np.ndarray, "n 2"]:
    """Return the closed outline of the face in canvas pixels: the jaw's 17 landmarks and the skull above them."""
    skull = sheet.camera.turn(sheet.anatomy.skull)
    return painting.curve(np.concatenate([sheet.points[0:17], skull[::-1]]), 4, closed=True)


def paint_skin(sheet: Sheet) -> Float[np.ndarray, "h w"]:
    """Paint the skin of the face, on which the features are painted later. Return its mask."""
    identity, unit, canvas = sheet.face.identity, sheet.unit, sheet.canvas
    edge = outline(sheet)
    canvas_box = sheet.whole
    mask = painting.fill(canvas_box, [edge])
    skin = np.array(identity.skin, np.float32)
    painting.tint(canvas, canvas_box, mask, skin)

    grain = _grain()
    centre = sheet.camera.turn(np.array([[0.0, 0.3, 0.4]]))[0]
    generator = np.random.default_rng((identity.texture, 0))
    shift, step = generator.uniform(100.0, 156.0, 2), unit / 64.0
    affine = np.array([[step, 0.0, centre[0] - step * shift[0]], [0.0, step, centre[1] - step * shift[1]]])
    mottle = cv2.warpAffine(grain, affine, (sheet.size, sheet.size), borderMode=cv2.BORDER_REFLECT)
    painting.shade(canvas, canvas_box, mask * mottle * (0.5 if not identity.infant else 0.3), (0.985, 0.955, 0.95))

    if identity.freckles:
        spots = generator.normal((0.0, 0.38), (0.42, 0.17), (70, 2))
        centres = sheet.camera.turn(np.concatenate([spots, 0.55 - 0.5 * spots[:, :1] ** 2], axis=1))
        dots = [painting.ellipse(p, (0.014 * unit, 0.012 * unit), count=8) for p in centres]
        box = sheet.box(centres, 0.05)
        painting.shade(
            canvas, box, painting.fill(box, dots, 0.006 * unit) * 0.55 * identity.freckles, (0.80, 0.66, 0.58)
        )

    _paint_blood(sheet, mask)
    if identity.stubble > 0.15 or identity.beard:
        _paint_beard(sheet, mask)
    return mask


def _paint_blood(sheet: Sheet, mask: Float[np.ndarray, "h w"]) -> None:
    """Paint the blood in cheeks and nose: a little at rest, more with the intensity of `flush`."""
    identity, unit, moved = sheet.face.identity, sheet.unit, sheet.moved
    rest = 0.34 if identity.infant else 0.22 + 0.2 * identity.makeup
    flush = rest + 0.62 * sheet.units["flush"]
    lift = 0.08 * sheet.units["AU6"]
    low = 0.10 if identity.infant else 0.0
    cheeks = np.array([(-0.60, moved[30, 1] - 0.05 - lift + low, 0.42), (0.60, moved[30, 1] - 0.05 - lift + low, 0.42)])
    centres = sheet.camera.turn(cheeks)
    rings = [painting.ellipse(p, (0.21 * unit, 0.15 * unit), sheet.face.shot.roll) for p in centres]
    nose = painting.ellipse(sheet.points[30], (0.12 * unit, 0.09 * unit))
    box = sheet.box(np.concatenate([*rings, nose]), 0.4)
    spread = painting.fill(box, rings, 0.13 * unit) + 0.5 * painting.fill(box, [nose], 0.06 * unit)
    painting.shade(sheet.canvas, box, spread * mask[box.slices] * min(0.75 * flush, 1.0), _BLOOD)


def _paint_beard(sheet: Sheet, mask: Float[np.ndarray, "h w"]) -> None:
    """Paint stubble or a trimmed beard on jaw, chin and upper lip."""
    identity, unit, points = sheet.face.identity, sheet.unit, sheet.points
    lip = 0.35 * points[33] + 0.65 * points[51]
    step = np.array([(0.05, 0.0), (0.0, 0.0), (-0.11, -0.02), (-0.22, 0.02), (0.0, 0.0), (0.22, 0.02), (0.11, -0.02),
                     (0.0, 0.0), (-0.05, 0.0)]) @ sheet.axes.T  # fmt: skip
    anchors = [
        points[1],
        0.72 * points[3] + 0.28 * points[48],
        points[48],
        lip,
        lip,
        lip,
        points[54],
        0.72 * points[13] + 0.28 * points[54],
        points[15],
    ]
    edge = painting.curve(np.array(anchors) + step, 4)
    below = painting.curve(points[1:16] + sheet.by(0.0, 0.03), 2)
    region = np.concatenate([edge, below[::-1]])
    box = sheet.box(region, 0.2)
    cover = painting.fill(box, [region], 0.055 * unit) * mask[box.slices]
    # The texture of single hairs varies the opacity of the beard.
    grain = _bristles()
    centre = points[33]
    affine = np.array([[unit / 90.0, 0.0, centre[0] - unit / 0.9], [0.0, unit / 60.0, centre[1] - unit / 1.2]])
    affine[:, 2] -= (box.x0, box.y0)
    grain = cv2.warpAffine(grain, affine, (box.x1 - box.x0, box.y1 - box.y0), borderMode=cv2.BORDER_REFLECT)
    density = max(identity.beard, 0.26 * identity.stubble)
    painting.tint(
        sheet.canvas,
        box,
        np.clip(cover * density * (1.0 + 0.22 * grain), 0.0, 1.0),
        np.array(identity.brow, np.float32),
    )


@functools.cache
def _bristles() -> Float[np.ndarray, "256 256"]:
    """Return the texture of a beard: vertical strokes, standard deviation 1."""
    noise = np.random.default_rng(12).standard_normal((256, 256)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.7, sigmaY=1.8, borderType=cv2.BORDER_REFLECT)
    return noise / noise.std()


def paint_nose(sheet: Sheet) -> None:
    """Paint the nostrils and the shadow under the tip.

    The module `light` shades the bridge; the module `folds` paints the edges of the wings.
    """
    points, unit = sheet.points, sheet.unit
    # The key light does not reach the skin below the tip; its side determines where the shadow falls.
    sway = -0.10 * sheet.face.shot.light[0]
    weights = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 1, 0, 0], [0, 0.5, 0, 0.5], [0, 0, 0, 1], [0, 0, 0, 1],
                        [0, 0, 1, 0], [1, 0, 0, 0]])  # fmt: skip
    away = np.array([(0, -0.01), (0.02, 0.045), (0, 0.075), (-0.02, 0.045), (0, -0.01), (sway, 0.05), (sway, 0.075),
                     (sway, 0.05)])  # fmt: skip
    base = weights @ points[[31, 30, 33, 35]] + away @ sheet.axes.T
    box = sheet.box(base, 0.12)
    painting.shade(sheet.canvas, box, painting.fill(box, [base], 0.028 * unit) * 0.55, (0.62, 0.47, 0.43))
    size = (0.8 if sheet.face.infant else 1.0) * unit
    wide = 0.055 * size * (1.0 + 0.25 * sheet.units["AU9"] + 0.15 * sheet.units["AU4"])
    roll, sink = sheet.face.shot.roll, sheet.by(0.0, -0.022)
    holes = [
        painting.ellipse(0.52 * points[wing] + 0.48 * points[33] + sink, (wide, 0.023 * size), side * 0.35 + roll, 16)
        for wing, side in ((31, -1.0), (35, 1.0))
    ]
    painting.shade(sheet.canvas, box, painting.fill(box, holes, 0.009 * unit) * 0.85, (0.24, 0.14, 0.12))


def paint_tears(sheet: Sheet) -> None:
    """Paint tear tracks from the lower lids down the cheeks. Call this after shading, because tears are glossy."""
    strength = min(sheet.units["tears"], 1.0)
    if strength < 0.05:
        return
    points, unit = sheet.points, sheet.unit
    length = 0.15 + 0.45 * strength
    tracks = np.array(
        [
            sheet.along(
                points[low] + sheet.by(side * 0.02, 0.03), (0, 0), (side * 0.03, 0.5 * length), (side * 0.02, length)
            )
            for low, side in ((41, -1.0), (46, 1.0))
        ]
    )
    spines = painting.curve(tracks, 5)
    box = sheet.box(spines.reshape(-1, 2), 0.1)
    wet = painting.fill(box, painting.ribbon(spines, np.maximum(0.03 * unit * np.linspace(0.3, 1.0, 11), 0.6)))
    drops = painting.fill(
        box, [painting.ellipse(track[-1], (0.024 * unit, 0.034 * unit), count=12) for track in tracks]
    )
    glint = painting.soften(0.28 * wet + 0.35 * drops, 0.007 * unit) * strength
    painting.tint(sheet.canvas, box, np.minimum(glint, 1.0), np.array((0.97, 0.98, 1.0), np.float32))

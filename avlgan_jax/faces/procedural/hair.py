"""Painting of hair: a shape behind the head, a shape above the hairline, and strands that radiate from the crown."""

import functools

import cv2
import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.scene import Sheet

# For each style: height above the skull, and y of the lower end of the hair behind the head, None for short hair;
# both in face units.
_STYLES = {
    "long": (0.17, 2.6),
    "bob": (0.16, 1.35),
    "tied": (0.07, None),
    "curls": (0.30, 0.75),
    "cropped": (0.08, None),
    "parted": (0.17, None),
    "receding": (0.04, None),
    "shaved": (0.015, None),
    "fuzz": (0.035, None),
    "tuft": (0.05, None),
    "fringe": (0.09, None),
    "bare": (0.01, None),
}
# Opacity of the styles through which the skin shows.
_THIN_OPACITY = {"shaved": 0.55, "fuzz": 0.55, "tuft": 0.6, "bare": 0.16, "receding": 0.9, "fringe": 0.86}


@functools.cache
def _strands() -> Float[np.ndarray, "64 1024"]:
    """Return the texture of straight hair: columns are directions from the crown, rows distances from it.

    It is the sum of a fine and a coarse grain, with means near 0 and standard deviations 0.6 and 0.7.
    """
    noise = np.random.default_rng(27).standard_normal((64, 1024)).astype(np.float32)
    fine = cv2.GaussianBlur(noise, (0, 0), sigmaX=1.2, sigmaY=14, borderType=cv2.BORDER_REFLECT)
    coarse = cv2.GaussianBlur(noise[::-1].copy(), (0, 0), sigmaX=7, sigmaY=18, borderType=cv2.BORDER_REFLECT)
    return 0.6 * fine / fine.std() + 0.7 * coarse / coarse.std()


@functools.cache
def _curls() -> Float[np.ndarray, "512 512"]:
    """Return the texture of curls: small blobs in larger clumps."""
    noise = np.random.default_rng(33).standard_normal((512, 512)).astype(np.float32)
    blobs = cv2.GaussianBlur(noise, (0, 0), 2.2, borderType=cv2.BORDER_REFLECT)
    blobs -= cv2.GaussianBlur(noise, (0, 0), 6.0, borderType=cv2.BORDER_REFLECT)
    locks = cv2.GaussianBlur(noise, (0, 0), 12.0, borderType=cv2.BORDER_REFLECT)
    return 0.55 * np.clip(blobs / blobs.std(), -1.5, 1.5) + 0.5 * locks / locks.std()


def _crown(sheet: Sheet) -> Float[np.ndarray, "2"]:
    """Return the canvas point from which the strands radiate."""
    identity = sheet.face.identity
    high = -1.35 if not identity.infant else -1.15
    return sheet.camera.turn(np.array([[identity.parting * 0.6, high * identity.length, 0.25]]))[0]


def _paint_hair(
    sheet: Sheet, box: painting.Box, mask: Float[np.ndarray, "h w"], highlight: float, fray: float = 0.0
) -> None:
    """Paint hair on `mask`: strands from the crown, with a band of light of strength `highlight`.

    A positive `fray` breaks the soft edge of the mask into strands.
    """
    identity, unit = sheet.face.identity, sheet.unit
    crown = _crown(sheet)
    x = np.arange(box.x0, box.x1, dtype=np.float32) + np.float32(0.5 - crown[0])
    y = np.arange(box.y0, box.y1, dtype=np.float32)[:, None] + np.float32(0.5 - crown[1])
    # Angles are measured from straight up, so that the seam between 0 and 2 pi is not visible in the strands.
    up, left = np.empty((2, *mask.shape), np.float32)
    up[:], left[:] = -y - np.float32(0.12 * unit), -x
    radius, angle = cv2.cartToPolar(up, left)
    radius *= np.float32(1.0 / unit)
    if identity.hair_style == "curls":
        scale = np.float32(64.0 / unit)
        across, along, grain = np.empty_like(up), np.empty_like(up), _curls()
        across[:], along[:] = x * scale + np.float32(256.0 + identity.texture % 61), y * scale + np.float32(128.0)
    else:
        if identity.wave > 0.15:
            angle += np.float32(0.06 * identity.wave) * np.sin(radius * np.float32(4.0 + 4.0 * identity.wave))
        across, along, grain = (
            angle * np.float32(150.0) + np.float32(identity.texture % 97),
            radius * np.float32(18.0),
            _strands(),
        )
    strands = cv2.remap(grain, across, along, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    if fray:
        mask = np.clip((mask - 0.5 + fray * strands) * 2.2 + 0.5, 0.0, 1.0) * (mask > 0.02)
    side = np.clip(0.5 + x * np.float32(0.25 * sheet.face.shot.light[0] / unit), 0.2, 0.8)
    band = 1.0 / (1.0 + ((radius - 0.70) * 3.4) ** 2) ** 2
    level = 0.72 + 0.19 * strands + (0.55 * band * (1.0 + 0.5 * strands) + 0.5 * (side - 0.5)) * highlight
    colour = np.array(identity.hair, np.float32).reshape(3, 1, 1) * np.maximum(level, 0.25)
    colour += (0.055 * highlight) * (band * (1.0 + strands))
    painting.tint(sheet.canvas, box, mask, np.clip(colour, 0.0, 1.0, out=colour))


def _hair_outline(sheet: Sheet, height: float) -> Float[np.ndarray, "n 2"]:
    """Return the skull's outline grown by `height` face units, from temple to temple, in canvas pixels."""
    skull = sheet.anatomy.skull.copy()
    end = _STYLES[sheet.face.identity.hair_style][1]
    centre = np.array([0.0, -0.35, 0.0])
    away = skull[:, :2] - centre[:2]
    away /= np.linalg.norm(away, axis=-1, keepdims=True)
    lifted = skull.copy()
    if end is None:  # short hair lies close to the head above the ears
        height = height * np.array([0.3, 0.7, 0.95, 1, 1, 1, 1, 1, 0.95, 0.7, 0.3])[:, None]
    lifted[:, :2] += away * height * np.array([0.75, 1.0])
    if sheet.face.identity.hair_style == "curls":  # give curls a ragged edge
        lifted = painting.curve(lifted, 6)
        ragged = np.random.default_rng((sheet.face.identity.texture, 3)).uniform(0.98, 1.05, len(lifted))
        lifted[:, :2] = centre[:2] + (lifted[:, :2] - centre[:2]) * ragged[:, None]
    return sheet.camera.turn(lifted)


def _hair_height(sheet: Sheet) -> float:
    """Return the height of the hair above the skull in face units."""
    identity = sheet.face.identity
    return _STYLES[identity.hair_style][0] * (0.75 + 0.6 * identity.hair_volume)


def paint_back(sheet: Sheet) -> None:
    """Paint the hair behind head and ears; the styles of `_THIN_OPACITY` have none."""
    identity, unit = sheet.face.identity, sheet.unit
    if identity.hair_style in _THIN_OPACITY:
        return
    end = _STYLES[identity.hair_style][1]
    shell = _hair_outline(sheet, _hair_height(sheet))
    if end is None:  # short hair ends at the nape
        half = np.array([(0.95, 0.0), (0.84, 0.34), (0.6, 0.6)])
    else:
        length = end * (0.9 + 0.25 * identity.hair_volume)
        spread = 1.14 + 0.12 * identity.hair_volume + (0.12 if identity.hair_style == "curls" else 0.0)
        half = np.array([(1.0, 0.1), (1.02, 0.5 * length), (0.92, length), (0.45, length * 1.02)]) * (spread, 1.0)
    low = np.concatenate([half, half[::-1] * (-1.0, 1.0)])
    low = sheet.camera.turn(np.concatenate([low, np.full((len(low), 1), -0.42)], axis=1))
    shape = painting.curve(np.concatenate([shell, low]), 5, closed=True)
    box = sheet.box(shape, 0.05)
    mask = painting.fill(box, [shape], (0.012 if identity.hair_style != "curls" else 0.03) * unit)
    _paint_hair(sheet, box, mask, 0.35, 0.25 if identity.hair_style == "curls" else 0.0)
    # The hair behind the neck is in shadow.
    deep = painting.ellipse(sheet.camera.turn(np.array([[0.0, 1.2, -0.2]]))[0], (0.8 * unit, 1.0 * unit))
    painting.shade(sheet.canvas, box, mask * painting.fill(box, [deep], 0.15 * unit) * 0.75, (0.5, 0.48, 0.48))


def paint_front(sheet: Sheet) -> None:
    """Paint the hair above the hairline and, in long styles, the locks next to the face."""
    identity, unit = sheet.face.identity, sheet.unit
    style = identity.hair_style
    shell = _hair_outline(sheet, _hair_height(sheet))
    line = sheet.anatomy.hairline.copy()
    if style == "receding":
        line[2:7, 1] -= np.array([0.22, 0.30, 0.20, 0.30, 0.22])
    if style == "parted":
        line[3:6, 1] += np.array([0.10, 0.0, -0.06]) * np.sign(identity.parting or 1.0)
    if style in ("long", "bob"):
        line[:, 0] *= 0.985
        line[4, 1] -= 0.08
        line[[1, 7], 0] *= 0.95
        line[[1, 7, 2, 6], 1] += 0.03
    if style == "fringe":
        line[1:8, 1] += np.array([0.16, 0.20, 0.24, 0.22, 0.24, 0.20, 0.16])
    if style in ("bare", "fuzz", "tuft"):
        line[1:8, 1] -= 0.10
    hairline = sheet.camera.turn(line)
    inner = painting.curve(hairline, 5)
    outer = painting.curve(shell, 5)
    shape = np.concatenate([outer, inner[::-1]])
    box = sheet.box(shape, 0.12)
    if style not in _THIN_OPACITY or style == "receding":
        sides = _sideburns(sheet, shell)
        box = sheet.box(np.concatenate([shape, *sides]), 0.12)
        mask = np.maximum(painting.fill(box, [shape], 0.0), painting.fill(box, sides, 0.0))
    else:
        mask = painting.fill(box, [shape], 0.0)
    edge = {"fuzz": 0.08, "tuft": 0.10, "bare": 0.10, "shaved": 0.04, "long": 0.02, "bob": 0.02}.get(style, 0.035)
    mask = painting.soften(mask, edge * unit)
    # The hair's shadow on the forehead lies below the hair, so it is painted first.
    if style not in ("bare", "fuzz", "tuft", "shaved"):
        shadow = painting.ribbon(inner + sheet.by(0.0, 0.035), np.full(len(inner), 0.07 * unit))
        painting.shade(sheet.canvas, box, painting.fill(box, [shadow], 0.035 * unit) * 0.40, (0.58, 0.48, 0.45))
    _paint_hair(
        sheet,
        box,
        mask * _THIN_OPACITY.get(style, 1.0),
        1.0,
        0.16 if style not in _THIN_OPACITY or style == "fringe" else 0.0,
    )
    if style in ("long", "bob"):
        _locks(sheet, hairline)
    if style == "tuft":
        top = sheet.camera.turn(np.array([[0.0, -1.42, 0.1]]))[0]
        tuft = sheet.along(top, (-0.22, 0.14), (-0.08, -0.10), (0.14, -0.06), (0.22, 0.14), (0.0, 0.22))
        box = sheet.box(tuft, 0.2)
        _paint_hair(sheet, box, painting.fill(box, [painting.curve(tuft, 4, closed=True)], 0.07 * unit) * 0.45, 1.0)


def _sideburns(sheet: Sheet, shell: Float[np.ndarray, "n 2"]) -> list[Float[np.ndarray, "7 2"]]:
    """Return the outlines of the hair from the temples to the tops of the ears."""
    identity = sheet.face.identity
    low = 0.10 if not identity.female else 0.02
    half = np.array([(-0.86, -0.66, 0.12), (-0.905, -0.36, 0.05), (-0.93, low - 0.12, -0.06),
                     (-0.985, low, -0.15), (-1.02, -0.02, -0.30),
                     (-1.03, -0.30, -0.30)]) * (identity.width, identity.length, 1.0)  # fmt: skip
    sides = [sheet.camera.turn(half), sheet.camera.turn(half * (-1.0, 1.0, 1.0))]
    return [np.concatenate([side, edge[None]]) for side, edge in zip(sides, (shell[0], shell[-1]), strict=True)]


def _locks(sheet: Sheet, hairline: np.ndarray) -> None:
    """Paint the hair that covers the temples and ears on both sides of the face."""
    identity, unit = sheet.face.identity, sheet.unit
    end = (_STYLES[identity.hair_style][1] or 1.0) * (0.9 + 0.25 * identity.hair_volume)
    for side, start in ((-1.0, hairline[1]), (1.0, hairline[-2])):
        wide = 1.16 + 0.12 * identity.hair_volume
        path = sheet.camera.turn(
            np.array(
                [
                    (side * 0.99, -0.10, 0.02),
                    (side * 1.01, 0.45, -0.10),
                    (side * (0.97 + 0.05 * identity.wave), 0.95, -0.12),
                    (side * 0.95, end, -0.2),
                    (side * wide * 0.98, end, -0.3),
                    (side * wide * 1.03, 0.6, -0.3),
                    (side * wide, -0.1, -0.3),
                    (side * 1.0, -0.62, -0.2),
                ]
            )
        )
        shape = painting.curve(np.concatenate([start[None], path]), 4, closed=True)
        box = sheet.box(shape, 0.06)
        shadow = painting.fill(box, [shape - (side * 0.05 * unit, -0.01 * unit)], 0.05 * unit)
        painting.shade(sheet.canvas, box, shadow * 0.30, (0.55, 0.45, 0.43))
        _paint_hair(sheet, box, painting.fill(box, [shape], 0.010 * unit), 0.8)

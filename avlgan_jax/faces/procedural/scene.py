"""The sheet that the painting functions share, and the painting of background, shoulders, neck and ears."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.anatomy import Anatomy
from avlgan_jax.faces.procedural.camera import Camera
from avlgan_jax.faces.procedural.identity import Face
from avlgan_jax.faces.procedural.painting import Box


@dataclass(frozen=True)
class Sheet:
    """The canvas, and the data that the painting functions of the facial features need."""

    canvas: Float[np.ndarray, "3 h w"]  # RGB planes, painted in place
    face: Face
    anatomy: Anatomy  # the face at rest
    camera: Camera
    units: dict[str, float]  # intensities of ACTION_UNITS as this person shows them
    moved: Float[np.ndarray, "68 3"]  # moved landmarks in face units
    points: Float[np.ndarray, "68 2"]  # moved landmarks in canvas pixels
    axes: Float[np.ndarray, "2 2"]  # columns: one face unit along the face's x and y, in canvas pixels

    @property
    def size(self) -> int:
        """The side of the canvas in pixels."""
        return self.canvas.shape[-1]

    @property
    def unit(self) -> float:
        """The number of canvas pixels per face unit."""
        return self.camera.scale

    def box(self, points: Float[np.ndarray, "n 2"], margin: float) -> Box:
        """Return the box around `points` (canvas pixels) with a margin of `margin` face units and one pixel."""
        return painting.box_around(points, margin * self.unit + 1.0, self.size)

    @property
    def whole(self) -> Box:
        """The box of the entire canvas."""
        return Box(0, 0, self.size, self.size)

    def by(self, x: float, y: float) -> Float[np.ndarray, "2"]:
        """Return the displacement of (x, y) face units in the plane of the face, in canvas pixels."""
        return self.axes @ (x, y)

    def along(self, anchor: Float[np.ndarray, "2"], *steps: tuple[float, float]) -> Float[np.ndarray, "n 2"]:
        """Return the canvas points at `steps` (x, y) in face units from the canvas point `anchor`."""
        return anchor + np.array(steps) @ self.axes.T


def background(face: Face, size: int) -> Float[np.ndarray, "3 h w"]:
    """Return a new canvas of `size` pixels with a smooth mixture of the shot's two background colours."""
    generator = np.random.default_rng((face.shot.texture, 7))
    first, second = (np.array(colour, np.float32).reshape(3, 1, 1) for colour in face.shot.backdrop)
    blobs = generator.uniform(-1.0, 1.0, (5, 5)).astype(np.float32)
    slope = generator.uniform(-0.6, 0.6, 2)
    axis = np.linspace(-1.0, 1.0, 5)
    plane = 0.5 + 0.5 * np.clip(0.7 * blobs + slope[0] * axis[:, None] + slope[1] * axis, -1.0, 1.0)
    plane = cv2.resize(plane.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return first + np.clip(plane, 0.0, 1.0) * (second - first)


def paint_body(sheet: Sheet) -> None:
    """Paint the clothed shoulders, the neck, and the head's shadow on it. None of them moves with the expression."""
    face, unit, canvas, box = sheet.face, sheet.unit, sheet.canvas, sheet.whole
    identity, shot = face.identity, face.shot
    rest = sheet.camera.turn(sheet.anatomy.landmarks)
    chin = rest[8]
    pivot = sheet.camera.turn(np.array([[0.0, 1.0 if not identity.infant else 0.75, -0.35]]))[0]
    wide = ((0.57 if identity.female else 0.68) if not identity.infant else 0.48) * unit
    bottom, x = sheet.size + 2.0, 0.6 * pivot[0] + 0.4 * chin[0]
    base = chin[1] + (0.28 if not identity.infant else 0.10) * unit
    half = np.array([(1.0, -0.12), (1.08, 0.04), (1.55, 0.26), (1.8, 0.60)]) * (wide, unit) + (x, base)
    throat = np.array([(pivot[0] + 1.05 * wide, pivot[1] - 0.3 * unit), *half])
    outline = np.concatenate([throat, throat[::-1] * (-1.0, 1.0) + (2.0 * x, 0.0)])
    outline[-1, 0] = pivot[0] - 1.05 * wide
    neck = painting.fill(box, [outline])
    painting.tint(canvas, box, neck, np.array(identity.skin, np.float32) * shot.exposure * (0.95, 0.92, 0.91))
    # The neck is shaded as a column: dark at its edges, darker on the side away from the key light and under the jaw.
    lit = x + 0.22 * np.sign(shot.light[0]) * wide
    core = np.array(
        [(lit - 0.45 * wide, 0.0), (lit + 0.45 * wide, 0.0), (lit + 0.8 * wide, bottom), (lit - 0.8 * wide, bottom)]
    )
    painting.shade(canvas, box, neck * (1.0 - painting.fill(box, [core], 0.22 * unit)) * 0.75, (0.66, 0.60, 0.585))
    jaw = painting.curve(rest[2:15], 3) + unit * np.array((-0.10 * shot.light[0], 0.17))
    painting.shade(canvas, box, neck * painting.fill(box, [jaw], 0.08 * unit) * 0.72, (0.57, 0.50, 0.48))
    low = 0.33 if identity.female else 0.20
    reach = (2.1 if not identity.infant else 1.35) * unit
    half = np.array([(0.0, low), (0.5 * wide, low - 0.08), (0.92 * wide, low - 0.26), (1.5 * wide, 0.16), (reach, 0.5)])
    half = half * (1.0, unit) + (x, base)
    top = painting.curve(np.concatenate([half[:0:-1] * (-1.0, 1.0) + (2.0 * x, 0.0), half]), 5)
    cloth = np.concatenate([top, [(x + reach, bottom), (x - reach, bottom)]])
    painting.tint(canvas, box, painting.fill(box, [cloth]), np.array(shot.clothes) * 0.9)
    seam = painting.lines(box, top[None], 2, 1.0)
    painting.shade(canvas, box, seam * 0.5, (0.6, 0.6, 0.6))


def paint_ears(sheet: Sheet) -> Float[np.ndarray, "h w"]:
    """Paint both ears. Return their mask."""
    identity, unit, roll = sheet.face.identity, sheet.unit, sheet.face.shot.roll
    centres = sheet.camera.turn(sheet.anatomy.ears)
    tall = (0.27 if not identity.infant else 0.235) * unit
    sides = list(zip((-1.0, 1.0), centres, strict=True))
    shells = [painting.ellipse(c, (0.115 * unit, tall), roll + s * 0.14) for s, c in sides]
    lobes = [painting.ellipse(c - (s * 0.03 * unit, -0.85 * tall), (0.06 * unit, 0.07 * unit)) for s, c in sides]
    rims = [
        painting.ellipse(c - (s * 0.01 * unit, 0.08 * tall), (0.082 * unit, 0.78 * tall), roll + s * 0.14)
        for s, c in sides
    ]
    bowls = [
        painting.ellipse(c - (s * 0.03 * unit, -0.1 * tall), (0.05 * unit, 0.42 * tall), roll + s * 0.2)
        for s, c in sides
    ]
    total = np.zeros((sheet.size, sheet.size), np.float32)
    for k in range(2):
        box = sheet.box(shells[k], 0.1)
        mask = painting.fill(box, [shells[k], lobes[k]])
        painting.tint(sheet.canvas, box, mask, np.array(identity.skin, np.float32) * (0.99, 0.91, 0.89))
        groove = painting.fill(box, [rims[k]], 0.012 * unit)
        painting.shade(sheet.canvas, box, groove * mask * 0.40, (0.74, 0.60, 0.57))
        painting.shade(
            sheet.canvas, box, painting.fill(box, [bowls[k]], 0.025 * unit) * mask * 0.55, (0.60, 0.45, 0.42)
        )
        total[box.slices] = np.maximum(total[box.slices], mask)
    return total

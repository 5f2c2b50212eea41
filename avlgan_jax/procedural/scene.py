"""What lies around the face: background, shoulders, neck and ears; and the sheet everything is painted on."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from avlgan_jax.procedural import painting
from avlgan_jax.procedural.anatomy import Anatomy
from avlgan_jax.procedural.camera import Camera
from avlgan_jax.procedural.faces import Face
from avlgan_jax.procedural.painting import Box


@dataclass(frozen=True)
class Sheet:
    """The canvas and what the painters of features need to know."""

    canvas: Float[np.ndarray, "h w 3"]
    face: Face
    anatomy: Anatomy
    camera: Camera
    units: dict[str, float]
    moved: Float[np.ndarray, "68 3"]  # landmarks in face units
    points: Float[np.ndarray, "68 2"]  # landmarks in canvas pixels

    @property
    def size(self) -> int:
        """Side of the canvas in pixels."""
        return self.canvas.shape[0]

    @property
    def unit(self) -> float:
        """Canvas pixels per face unit."""
        return self.camera.scale

    def felt(self, name: str) -> float:
        """Intensity of an action unit as this person shows it."""
        return self.units[name] * self.face.identity.strength

    def box(self, points: Float[np.ndarray, "n 2"], margin: float) -> Box:
        """The box around `points` with a margin in face units."""
        return painting.box_around(points, margin * self.unit + 1.0, self.size)

    @property
    def whole(self) -> Box:
        """All of the canvas."""
        return Box(0, 0, self.size, self.size)

    def stroke(
        self,
        spine: Float[np.ndarray, "n 2"],
        width: float,
        factor: tuple[float, float, float],
        strength: float,
        blur: float = 0.02,
        ends: tuple[float, float] = (0.1, 0.1),
    ) -> None:
        """A soft line of shadow (or light) along a canvas curve; widths in face units, `strength` in [0, 1]."""
        if strength < 0.01:
            return
        line = painting.curve(spine, 5)
        widths = width * self.unit * painting.taper(len(line), *ends)
        box = self.box(line, width + 3 * blur)
        mask = painting.fill(box, [painting.ribbon(line, np.maximum(widths, 0.6))], blur * self.unit)
        painting.shade(self.canvas, box, mask * min(strength, 1.0), factor)


def background(face: Face, size: int) -> Float[np.ndarray, "h w 3"]:
    """A blurred room or a studio wall."""
    generator = np.random.default_rng((face.shot.texture, 7))
    first, second = (np.array(colour, np.float32) for colour in face.shot.backdrop)
    blobs = generator.uniform(-1.0, 1.0, (5, 5)).astype(np.float32)
    slope = generator.uniform(-0.6, 0.6, 2)
    axis = np.linspace(-1.0, 1.0, 5)
    plane = 0.5 + 0.5 * np.clip(0.7 * blobs + slope[0] * axis[:, None] + slope[1] * axis, -1.0, 1.0)
    plane = cv2.resize(plane.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return first + np.clip(plane, 0.0, 1.0)[..., None] * (second - first)


def paint_body(sheet: Sheet) -> None:
    """Shoulders in their clothes, the neck, and the shadow of the head on it. Nothing here moves with expression."""
    face, unit = sheet.face, sheet.unit
    who, shot = face.identity, face.shot
    rest = sheet.camera.turn(sheet.anatomy.landmarks)
    chin = rest[8]
    pivot = sheet.camera.turn(np.array([[0.0, 1.0 if not who.infant else 0.75, -0.35]]))[0]
    wide = (0.56 if who.female else 0.68) if not who.infant else 0.46
    bottom = sheet.size + 2.0
    x = 0.6 * pivot[0] + 0.4 * chin[0]
    base = chin[1] + (0.34 if not who.infant else 0.12) * unit
    left, right = x - wide * unit, x + wide * unit
    neck = np.array(
        [
            (pivot[0] - wide * unit, pivot[1] - 0.3 * unit),
            (pivot[0] + wide * unit, pivot[1] - 0.3 * unit),
            (right, base),
            (right + 0.3 * unit, base + 0.25 * unit),
            (right + 0.3 * unit, bottom),
            (left - 0.3 * unit, bottom),
            (left - 0.3 * unit, base + 0.25 * unit),
            (left, base),
        ]
    )
    skin = np.array(who.skin, np.float32) * shot.exposure
    box = sheet.whole
    canvas = sheet.canvas
    painting.tint(canvas, box, painting.fill(box, [neck]), skin * (0.80, 0.74, 0.72))
    side = -np.sign(shot.light[0]) * wide * unit
    dark = np.array([(x + side * 0.25, pivot[1]), (x + side * 1.3, pivot[1]), (x + side * 1.5, bottom), (x, bottom)])
    inside = painting.fill(box, [neck])
    painting.shade(canvas, box, inside * painting.fill(box, [dark], 0.14 * unit) * 0.6, (0.62, 0.52, 0.50))
    jaw = painting.curve(rest[2:15], 3) + (0.10 * unit * -shot.light[0], 0.20 * unit)
    painting.shade(canvas, box, inside * painting.fill(box, [jaw], 0.07 * unit) * 0.75, (0.50, 0.40, 0.38))
    shoulder = 2.1 if not who.infant else 1.35
    high = base + 0.16 * unit
    cloth = np.array(
        [
            (x - shoulder * unit, bottom),
            (x - shoulder * unit, high + 0.55 * unit),
            (left - 0.28 * unit, high + 0.12 * unit),
            (left - 0.02 * unit, high),
            (x, high + 0.30 * unit),
            (right + 0.02 * unit, high),
            (right + 0.28 * unit, high + 0.12 * unit),
            (x + shoulder * unit, high + 0.55 * unit),
            (x + shoulder * unit, bottom),
        ]
    )
    outline = painting.curve(cloth, 4, closed=True)
    painting.tint(canvas, box, painting.fill(box, [outline]), np.array(shot.clothes, np.float32) * 0.9)
    painting.shade(canvas, box, painting.lines(box, [painting.curve(cloth[2:7], 4)], 2, 1.0) * 0.5, (0.6, 0.6, 0.6))


def paint_ears(sheet: Sheet) -> Float[np.ndarray, "h w"]:
    """Both ears, and the mask of where they are."""
    who, unit = sheet.face.identity, sheet.unit
    skin = np.array(who.skin, np.float32)
    centres = sheet.camera.turn(sheet.anatomy.ears)
    total = np.zeros((sheet.size, sheet.size), np.float32)
    for side, centre in zip((-1.0, 1.0), centres, strict=True):
        tall = 0.30 if not who.infant else 0.25
        outline = painting.ellipse(centre, (0.135 * unit, tall * unit), sheet.face.shot.roll + side * 0.16)
        box = sheet.box(outline, 0.05)
        mask = painting.fill(box, [outline])
        painting.tint(sheet.canvas, box, mask, skin * (0.99, 0.90, 0.88))
        inner = painting.ellipse(centre - (side * 0.02 * unit, 0.03 * unit), (0.075 * unit, 0.19 * unit), side * 0.16)
        hollow = painting.fill(box, [inner], 0.025 * unit)
        painting.shade(sheet.canvas, box, hollow * mask * 0.65, (0.70, 0.55, 0.52))
        total[box.slices] = np.maximum(total[box.slices], mask)
    return total

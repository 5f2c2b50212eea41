"""View motion of Section IV-C for synthesised films: each frame is slowly rotated and resized.

    theta = (sin(a i) + sin(b i)) / 2 * m          a, b in [-2, -1] or [1, 2], m in [0, 10] degrees
    s_r = tan(theta) / ((1 + tan(theta)) sin(theta))      largest upright square inside the rotated picture
    s = 1 - |sin(c i) + sin(d i)| / 2 * n          c, d as a and b, n in [0, 0.2]

The view is a square, rotated by theta, whose side is min(s, s_r) times the picture's side. Each time a sum of sines
crosses zero, its constants are drawn again and its i restarts at 0, so neither angle nor scale jumps. i is in seconds:
if it counted frames, the head would shake 5 to 10 times per second, because |a| to |d| are at least 1.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

LARGEST_ANGLE = 10.0  # degrees
LARGEST_SHRINKING = 0.2  # of the picture's side


class View(NamedTuple):
    """Visible part of a picture: a square rotated clockwise by `angle` radians, of `scale` times the picture's side."""

    angle: float
    scale: float


def inscribed(angle: float) -> float:
    """Return s_r, the side of the largest upright square inside a unit square that is rotated by `angle`.

    Computed as 1 / (cos + sin), which equals the paper's tan / ((1 + tan) sin) and is also defined at 0.

    Args:
        angle: radians, between -pi / 2 and pi / 2.
    """
    return 1.0 / (np.cos(angle) + abs(np.sin(angle)))


def views(seed: int, count: int, fps: float) -> list[View]:
    """Return the views of `count` frames at `fps` frames per second. The same arguments give the same views."""
    turns = _oscillation(np.random.default_rng([seed, 0]), 1.0 / fps, LARGEST_ANGLE)
    shrinkings = _oscillation(np.random.default_rng([seed, 1]), 1.0 / fps, LARGEST_SHRINKING)
    angles = np.radians([next(turns) for _ in range(count)])
    scales = [1.0 - abs(next(shrinkings)) for _ in range(count)]
    return [View(float(a), float(min(s, inscribed(a)))) for a, s in zip(angles, scales, strict=True)]


def _oscillation(generator: np.random.Generator, step: float, largest: float) -> Iterator[float]:
    """Yield (sin(a i) + sin(b i)) / 2 * m for i = 0, step, ...; a, b and m are drawn again at each zero crossing."""
    while True:
        a, b = generator.uniform(1.0, 2.0, 2) * generator.choice([-1.0, 1.0], 2)
        m = generator.uniform(0.0, largest)
        i, previous = 0.0, 0.0
        while True:
            swing = (np.sin(a * i) + np.sin(b * i)) / 2.0 * m
            if previous * swing < 0.0:  # zero crossing
                break
            yield swing
            i, previous = i + step, swing


def view_corners(view: View, side: float) -> Float[np.ndarray, "4 2"]:
    """Return the corners of the view as (x, y) in pixels from the top left corner of a picture of `side` pixels."""
    corners = (np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) - 0.5) * view.scale
    cosine, sine = np.cos(view.angle), np.sin(view.angle)
    return (corners @ np.array([[cosine, sine], [-sine, cosine]]) + 0.5) * side


def apply_view(image: UInt8[np.ndarray, "s s 3"], view: View) -> UInt8[np.ndarray, "s s 3"]:
    """Return the view of a picture, resized to the size of the picture."""
    side = len(image)
    corners = view_corners(view, side)
    # OpenCV's coordinates start at the centre of the first pixel.
    places = np.array([[-0.5, -0.5], [side - 0.5, -0.5], [side - 0.5, side - 0.5]], np.float32)
    matrix = cv2.getAffineTransform((corners[:3] - 0.5).astype(np.float32), places)
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)

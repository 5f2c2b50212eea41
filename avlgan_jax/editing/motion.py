"""The motion that Section IV-C gives to a synthesised film: a slowly turning, slowly breathing view of each frame.

    theta = (sin(a i) + sin(b i)) / 2 * m          a, b in [-2, -1] or [1, 2], m in [0, 10] degrees
    s_r = tan(theta) / ((1 + tan(theta)) sin(theta))      the largest upright square inside the turned picture
    s = 1 - |sin(c i) + sin(d i)| / 2 * n          c, d as a and b, n in [0, 0.2]

and the view is the square of min(s, s_r) times the picture's side, turned by theta. The constants are drawn anew when
their sum of sines comes back to zero, and i starts there from 0: so neither angle nor scale ever jumps. i counts in
seconds, because at one radian a frame and more a head would shake 5 to 10 times a second.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

LARGEST_ANGLE = 10.0  # degrees
LARGEST_SHRINKING = 0.2


class View(NamedTuple):
    """What is seen of a picture: a square turned by `angle` (radians, clockwise) of `scale` times its side."""

    angle: float
    scale: float


def inscribed(angle: float) -> float:
    """s_r: side of the largest upright square inside a unit square that is turned by `angle`, |angle| under 90 degrees.

    tan / ((1 + tan) sin) is 1 / (cos + sin), which has a value at 0 too.
    """
    return 1.0 / (np.cos(angle) + abs(np.sin(angle)))


def views(seed: int, count: int, fps: float) -> list[View]:
    """The views of `count` frames, a pure function of the seed."""
    turns = _oscillation(np.random.default_rng([seed, 0]), 1.0 / fps, LARGEST_ANGLE)
    shrinkings = _oscillation(np.random.default_rng([seed, 1]), 1.0 / fps, LARGEST_SHRINKING)
    angles = np.radians([next(turns) for _ in range(count)])
    scales = [1.0 - abs(next(shrinkings)) for _ in range(count)]
    return [View(float(a), float(min(s, inscribed(a)))) for a, s in zip(angles, scales, strict=True)]


def _oscillation(generator: np.random.Generator, step: float, largest: float) -> Iterator[float]:
    """(sin(a i) + sin(b i)) / 2 * m for i = 0, step, ..., with a, b and m drawn anew at every zero but the first."""
    while True:
        a, b = generator.uniform(1.0, 2.0, 2) * generator.choice([-1.0, 1.0], 2)
        m = generator.uniform(0.0, largest)
        i, before = 0.0, 0.0
        while True:
            swing = (np.sin(a * i) + np.sin(b * i)) / 2.0 * m
            if before * swing < 0.0:  # it has just come through zero
                break
            yield swing
            i, before = i + step, swing


def view_corners(view: View, side: float) -> Float[np.ndarray, "4 2"]:
    """Where the corners of the view lie in a picture of `side`, (x, y) from its top left corner."""
    corners = (np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) - 0.5) * view.scale
    cosine, sine = np.cos(view.angle), np.sin(view.angle)
    return (corners @ np.array([[cosine, sine], [-sine, cosine]]) + 0.5) * side


def apply_view(image: UInt8[np.ndarray, "s s 3"], view: View) -> UInt8[np.ndarray, "s s 3"]:
    """The picture as it is seen, at its own size."""
    side = len(image)
    corners = view_corners(view, side)
    # OpenCV counts from the first pixel's centre.
    places = np.array([[-0.5, -0.5], [side - 0.5, -0.5], [side - 0.5, side - 0.5]], np.float32)
    matrix = cv2.getAffineTransform((corners[:3] - 0.5).astype(np.float32), places)
    return cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)

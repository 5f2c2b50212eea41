"""Brushes: smooth curves, anti-aliased masks and blending on float RGB canvases.

A canvas is (3, h, w), one plane for each colour: numpy lays a mask over planes five times as fast as over pixels.

Points are (x, y) canvas pixels measured from the top left corner, the first pixel's centre at (0.5, 0.5).
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

_SHIFT = 4  # cv2 draws at 1/16 pixel
_SMALL = 4096  # boxes up to this many pixels are drawn four times as fine, larger ones twice


class Box(NamedTuple):
    """A rectangle of the canvas: what a brush touches."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the rectangle in a mask."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def planes(self) -> tuple[slice, slice, slice]:
        """Index of the rectangle in a canvas."""
        return slice(None), slice(self.y0, self.y1), slice(self.x0, self.x1)


def box_around(points: Float[np.ndarray, "n 2"], margin: float, size: int) -> Box:
    """The smallest box of whole pixels that holds `points` and `margin` pixels around them, cut to the canvas.

    Outside the canvas it is one pixel at its border, so that every box holds something.
    """
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    x0 = min(max(math.floor(left - margin), 0), size - 1)
    y0 = min(max(math.floor(top - margin), 0), size - 1)
    return Box(
        x0, y0, max(min(math.ceil(right + margin), size), x0 + 1), max(min(math.ceil(bottom + margin), size), y0 + 1)
    )


def fill(
    box: Box, polygons: Sequence[Float[np.ndarray, "n 2"]], blur: float = 0.0, levels: Sequence[float] | None = None
) -> Float[np.ndarray, "h w"]:
    """Coverage in [0, 1] of closed polygons inside `box`, softened by a Gaussian of `blur` pixels.

    With `levels` a polygon covers no more than its own level; a later one replaces an earlier one. cv2's own
    anti-aliasing would make every shape 0.65 pixels larger all around; drawing finer and averaging costs no more and
    leaves 0.1 to 0.2.
    """
    height, width = box.y1 - box.y0, box.x1 - box.x0
    # A wide blur needs no fine mask: it is drawn and blurred at half the size.
    fine = 0.5 if blur > 2.4 and min(height, width) > 8 else 4 if height * width <= _SMALL else 2
    shape = (round(width * fine), round(height * fine))
    mask = np.zeros(shape[::-1], np.uint8)
    one = 1 << _SHIFT
    scale = (shape[0] / width * one, shape[1] / height * one)
    corner = (box.x0 * scale[0] + one / 2, box.y0 * scale[1] + one / 2)
    for index, polygon in enumerate(polygons):
        value = 255 if levels is None else int(255.0 * min(levels[index], 1.0))
        outline = polygon * scale
        outline -= corner
        cv2.fillPoly(mask, [np.rint(outline, out=outline).astype(np.int32)], value, cv2.LINE_8, _SHIFT)
    if fine < 1.0:
        return cv2.resize(soften(_coverage(mask), blur * fine), (width, height), interpolation=cv2.INTER_LINEAR)
    return soften(_coverage(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)), blur)


def _coverage(mask: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    return np.multiply(mask, np.float32(1.0 / 255.0), dtype=np.float32)


def lines(box: Box, curves: Float[np.ndarray, "k n 2"], thickness: int, blur: float = 0.0) -> Float[np.ndarray, "h w"]:
    """Coverage of open curves of equal length drawn `thickness` whole pixels wide."""
    mask = np.zeros((box.y1 - box.y0, box.x1 - box.x0), np.uint8)
    points = np.rint((curves - (box.x0 + 0.5, box.y0 + 0.5)) * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(mask, list(points), False, 255, thickness, cv2.LINE_AA, _SHIFT)
    return soften(_coverage(mask), blur)


def soften(mask: Float[np.ndarray, "h w"], blur: float) -> Float[np.ndarray, "h w"]:
    """`mask` under a Gaussian of `blur` pixels; nothing outside the array."""
    if blur < 0.3:
        return mask
    return cv2.GaussianBlur(mask, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)


def tint(
    canvas: Float[np.ndarray, "3 h w"],
    box: Box,
    mask: Float[np.ndarray, "h w"],
    colour: Sequence[float] | Float[np.ndarray, "3 h w"],
) -> None:
    """Lay `colour` (one, or one for each pixel of the box) over the canvas where `mask` covers it."""
    part = canvas[box.planes]
    over = np.asarray(colour, np.float32).reshape(3, 1, 1) - part if np.ndim(colour) == 1 else colour - part
    over *= mask
    part += over


def shade(
    canvas: Float[np.ndarray, "3 h w"], box: Box, mask: Float[np.ndarray, "h w"], factor: Sequence[float]
) -> None:
    """Multiply the canvas by `factor` where `mask` covers it: shadow below 1, light above."""
    change = mask * (np.array(factor, np.float32).reshape(3, 1, 1) - np.float32(1.0))
    change += np.float32(1.0)
    canvas[box.planes] *= change


@functools.cache
def _spline_matrix(count: int, per_span: int, closed: bool) -> np.ndarray:
    """Weights that take `count` knots to a Catmull-Rom curve with `per_span` points between knots."""
    spans = count if closed else count - 1
    t = np.linspace(0.0, 1.0, per_span, endpoint=False)
    basis = 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=-1
    )
    weights = np.zeros((spans * per_span + (0 if closed else 1), count))
    for span in range(spans):
        rows = slice(span * per_span, (span + 1) * per_span)
        for k in range(4):
            knot = span + k - 1
            if closed:
                weights[rows, knot % count] += basis[:, k]
            elif knot < 0:  # the knot before the first lies opposite the second
                weights[rows, 0] += 2 * basis[:, k]
                weights[rows, 1] -= basis[:, k]
            elif knot >= count:
                weights[rows, count - 1] += 2 * basis[:, k]
                weights[rows, count - 2] -= basis[:, k]
            else:
                weights[rows, knot] += basis[:, k]
    if not closed:
        weights[-1, -1] = 1.0
    return weights


def curve(knots: Float[np.ndarray, "*b n d"], per_span: int = 6, closed: bool = False) -> Float[np.ndarray, "*b m d"]:
    """A smooth curve through every one of `knots`, which stand in it at every `per_span`-th place."""
    return _spline_matrix(knots.shape[-2], per_span, closed) @ knots


def ribbon(spine: Float[np.ndarray, "*b n 2"], widths: Float[np.ndarray, "*b n"]) -> Float[np.ndarray, "*b m 2"]:
    """The closed outline of a brush stroke (or of many alike) of full width `widths` along `spine`."""
    half = np.empty_like(spine)
    along = spine[..., 1:, :] - spine[..., :-1, :]
    half[..., 1:-1, 0] = -(along[..., 1:, 1] + along[..., :-1, 1])
    half[..., 1:-1, 1] = along[..., 1:, 0] + along[..., :-1, 0]
    for end, piece in ((0, 0), (-1, -1)):
        half[..., end, 0], half[..., end, 1] = -along[..., piece, 1], along[..., piece, 0]
    half *= (0.5 * widths / (np.hypot(half[..., 0], half[..., 1]) + 1e-9))[..., None]
    return np.concatenate([spine + half, (spine - half)[..., ::-1, :]], axis=-2)


@functools.cache
def taper(count: int, start: float, end: float) -> Float[np.ndarray, "count"]:
    """Stroke widths that swell to 1 in the middle and fall to `start` and `end` at the ends."""
    t = np.linspace(0.0, 1.0, count)
    bell = np.sin(np.pi * t)
    return bell + (1.0 - bell) * (start * (1.0 - t) + end * t)


@functools.cache
def _circle(count: int) -> Float[np.ndarray, "count 2"]:
    t = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], axis=-1)


def ellipse(
    centre: Float[np.ndarray, "2"], radii: tuple[float, float], angle: float = 0.0, count: int = 24
) -> Float[np.ndarray, "count 2"]:
    """Outline of an ellipse turned by `angle` radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[radii[0] * cos, radii[0] * sin], [-radii[1] * sin, radii[1] * cos]])
    return _circle(count) @ turn + centre

"""Smooth curves, anti-aliased masks and blending on float RGB canvases.

A canvas is (3, h, w), one plane per colour: numpy applies a mask to planes five times as fast as to interleaved
pixels. Points are (x, y) in canvas pixels from the top left corner; the centre of the first pixel is (0.5, 0.5).
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

_SHIFT = 4  # fractional bits of cv2's coordinates: it draws at 1/16 pixel
_SMALL = 4096  # masks of at most this many pixels are drawn at 4 times the resolution, larger ones at 2 times


class Box(NamedTuple):
    """A rectangle of the canvas in pixels, to which a painting function is limited."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The index of the rectangle in a mask (h, w)."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def planes(self) -> tuple[slice, slice, slice]:
        """The index of the rectangle in a canvas (3, h, w)."""
        return slice(None), slice(self.y0, self.y1), slice(self.x0, self.x1)


def box_around(points: Float[np.ndarray, "n 2"], margin: float, size: int) -> Box:
    """Return the smallest box that contains `points` and a margin, clipped to the canvas.

    A box outside the canvas becomes one pixel wide or high at its border, so that no box is empty.

    Args:
        points: canvas pixels.
        margin: margin around the points in pixels.
        size: side of the canvas in pixels.
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
    """Return the coverage in [0, 1] of filled polygons.

    Polygons are drawn at a higher resolution and averaged, which makes them 0.1 to 0.2 pixels larger on each side.
    cv2's own anti-aliasing costs as much and makes them 0.65 pixels larger.

    Args:
        box: the rectangle that the mask covers.
        polygons: closed outlines in canvas pixels.
        blur: standard deviation in pixels of a Gaussian blur of the mask.
        levels: the coverage inside each polygon, 1 if None; a larger value counts as 1. Where polygons overlap, the
            last one counts.
    """
    height, width = box.y1 - box.y0, box.x1 - box.x0
    # A wide blur needs no high resolution: the mask is drawn and blurred at half the size.
    zoom = 0.5 if blur > 2.4 and min(height, width) > 8 else 4 if height * width <= _SMALL else 2
    shape = (round(width * zoom), round(height * zoom))
    mask = np.zeros(shape[::-1], np.uint8)
    subpixels = 1 << _SHIFT
    scale = (shape[0] / width * subpixels, shape[1] / height * subpixels)
    corner = (box.x0 * scale[0] + subpixels / 2, box.y0 * scale[1] + subpixels / 2)
    outlines = np.concatenate(polygons) * scale
    outlines -= corner
    outlines = np.rint(outlines, out=outlines).astype(np.int32)
    end = 0
    for index, polygon in enumerate(polygons):
        value = 255 if levels is None else int(255.0 * min(levels[index], 1.0))
        start, end = end, end + len(polygon)
        cv2.fillPoly(mask, [outlines[start:end]], value, cv2.LINE_8, _SHIFT)
    if zoom < 1.0:
        return cv2.resize(soften(_coverage(mask), blur * zoom), (width, height), interpolation=cv2.INTER_LINEAR)
    return soften(_coverage(cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA)), blur)


def _coverage(mask: UInt8[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Return a mask of 0 to 255 as coverage in [0, 1]."""
    return np.multiply(mask, np.float32(1.0 / 255.0), dtype=np.float32)


def lines(box: Box, curves: Float[np.ndarray, "k n 2"], thickness: int, blur: float = 0.0) -> Float[np.ndarray, "h w"]:
    """Return the coverage in [0, 1] of open curves.

    Args:
        box: the rectangle that the mask covers.
        curves: points in canvas pixels.
        thickness: width of each line in pixels.
        blur: standard deviation in pixels of a Gaussian blur of the mask.
    """
    mask = np.zeros((box.y1 - box.y0, box.x1 - box.x0), np.uint8)
    points = np.rint((curves - (box.x0 + 0.5, box.y0 + 0.5)) * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(mask, list(points), False, 255, thickness, cv2.LINE_AA, _SHIFT)
    return soften(_coverage(mask), blur)


def soften(mask: Float[np.ndarray, "h w"], blur: float) -> Float[np.ndarray, "h w"]:
    """Return `mask` blurred by a Gaussian of standard deviation `blur` pixels.

    Values beyond the mask's border are copies of the border. A `blur` below 0.3 returns the mask unchanged.
    """
    if blur < 0.3:
        return mask
    return cv2.GaussianBlur(mask, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)


def tint(
    canvas: Float[np.ndarray, "3 h w"],
    box: Box,
    mask: Float[np.ndarray, "h w"],
    colour: Sequence[float] | Float[np.ndarray, "3 h w"],
) -> None:
    """Blend `colour` into the canvas, in place.

    Args:
        canvas: RGB planes.
        box: the rectangle of the mask.
        mask: the opacity of the colour, in [0, 1].
        colour: one RGB colour, or one per pixel of the box.
    """
    part = canvas[box.planes]
    colour = np.asarray(colour, np.float32)
    difference = (colour[:, None, None] if colour.ndim == 1 else colour) - part
    difference *= mask
    part += difference


def shade(
    canvas: Float[np.ndarray, "3 h w"], box: Box, mask: Float[np.ndarray, "h w"], factor: Sequence[float]
) -> None:
    """Multiply the canvas by `factor`, in place.

    Args:
        canvas: RGB planes.
        box: the rectangle of the mask.
        mask: the strength of the effect: 0 changes nothing, 1 applies the full factor.
        factor: for red, green and blue; below 1 for shadow, above 1 for light.
    """
    change = mask * (np.array(factor, np.float32).reshape(3, 1, 1) - np.float32(1.0))
    change += np.float32(1.0)
    canvas[box.planes] *= change


@functools.cache
def _spline_matrix(count: int, per_span: int, closed: bool) -> np.ndarray:
    """Return the weights from `count` knots to a Catmull-Rom curve with `per_span` points per span between knots."""
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
            elif knot < 0:  # the knot before the first mirrors the second one about the first
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
    """Return a Catmull-Rom curve through `knots`.

    Args:
        knots: points of any dimension.
        per_span: points of the curve per span; knot k is point `k * per_span` of the curve.
        closed: whether the last knot connects to the first one.
    """
    return _spline_matrix(knots.shape[-2], per_span, closed) @ knots


def ribbon(spine: Float[np.ndarray, "*b n 2"], widths: Float[np.ndarray, "*b n"]) -> Float[np.ndarray, "*b m 2"]:
    """Return the closed outline of a stroke, or of a batch of strokes.

    Args:
        spine: the centre line.
        widths: the full width at each point of the spine.
    """
    along = spine[..., 1:, :] - spine[..., :-1, :]
    along = np.concatenate([along[..., :1, :], along[..., 1:, :] + along[..., :-1, :], along[..., -1:, :]], axis=-2)
    half = along[..., ::-1] * (-1.0, 1.0)
    half *= (0.5 * widths / (np.hypot(half[..., 0], half[..., 1]) + 1e-9))[..., None]
    return np.concatenate([spine + half, (spine - half)[..., ::-1, :]], axis=-2)


@functools.cache
def taper(count: int, start: float, end: float) -> Float[np.ndarray, "count"]:
    """Return `count` relative stroke widths: 1 in the middle, `start` and `end` at the ends."""
    t = np.linspace(0.0, 1.0, count)
    bell = np.sin(np.pi * t)
    return bell + (1.0 - bell) * (start * (1.0 - t) + end * t)


@functools.cache
def _circle(count: int) -> Float[np.ndarray, "count 2"]:
    """Return `count` points of the unit circle."""
    t = np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)
    return np.stack([np.cos(t), np.sin(t)], axis=-1)


def ellipse(
    centre: Float[np.ndarray, "2"], radii: tuple[float, float], angle: float = 0.0, count: int = 24
) -> Float[np.ndarray, "count 2"]:
    """Return the outline of an ellipse.

    Args:
        centre: in canvas pixels.
        radii: the radii along the ellipse's x and y, in pixels.
        angle: clockwise rotation in radians.
        count: points of the outline.
    """
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[radii[0] * cos, radii[0] * sin], [-radii[1] * sin, radii[1] * cos]])
    return _circle(count) @ turn + centre

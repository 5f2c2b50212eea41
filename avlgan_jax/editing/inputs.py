"""What the Python interface takes: each value is checked, and a wrong one is a user error that says what was found."""

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import ArrayLike

from avlgan_jax.errors import UserError, one_line
from avlgan_jax.faces.landmarks import COUNT, in_plane


def images(found: ArrayLike, side: int) -> UInt8[np.ndarray, "*batch h w 3"]:
    """Return images as an array. Raises UserError unless they are uint8 (..., `side`, `side`, 3)."""
    image = np.asarray(found)
    if image.dtype != np.uint8 or image.shape[-3:] != (side, side, 3):
        raise UserError(
            f"an image of shape {image.shape} and type {image.dtype}: these weights take uint8 faces of "
            f"({side}, {side}, 3); crop them from photographs with avlgan_jax.photographs.cropping"
        )
    return image


def landmarks(found: ArrayLike, dimensions: int, side: int) -> Float[np.ndarray, "*batch 68 d"]:
    """Return landmarks as float32.

    Args:
        found: The landmarks.
        dimensions: Number of coordinates of each, 2 or 3.
        side: Side of the images in pixels.

    Raises:
        UserError: Their shape is not (..., 68, `dimensions`), or they are no pixels of an image of `side`.
    """
    points = _numbers(found, "landmarks")
    if points.shape[-2:] != (COUNT, dimensions):
        raise UserError(
            f"landmarks of shape {points.shape}: these weights take {COUNT} points of {dimensions} coordinates, shape "
            f"(..., {COUNT}, {dimensions})"
        )
    if not np.isfinite(points).all():
        raise UserError(f"landmarks: {int((~np.isfinite(points)).sum())} of their {points.size} numbers are not finite")
    if not points.size:
        return points
    low, high = float(in_plane(points).min()), float(in_plane(points).max())
    if max(abs(low), abs(high)) <= 2.0:  # no face is that small
        raise UserError(f"landmarks from {low:.3g} to {high:.3g}: expected pixels of the image, from 0 to {side}")
    if low < -2 * side or high > 3 * side:  # a landmark may lie outside the crop, but not by two sides
        raise UserError(
            f"landmarks from {low:.3g} to {high:.3g}: expected pixels of an image of {side} x {side}; convert those "
            "of a photograph with CropSquare.to_crop"
        )
    return points


def emotions(valence: ArrayLike, arousal: ArrayLike) -> Float[np.ndarray, "*batch 2"]:
    """Return broadcast (valence, arousal) pairs. Raises UserError for unequal shapes or values outside [-1, 1]."""
    pair = [_numbers(values, name) for values, name in ((valence, "valence"), (arousal, "arousal"))]
    common_batch(valence=pair[0].shape, arousal=pair[1].shape)
    found = np.stack(np.broadcast_arrays(*pair), axis=-1)
    if not (np.abs(found) <= 1.0).all():
        raise UserError(f"valence {valence}, arousal {arousal}: expected numbers from -1 to 1")
    return found


def common_batch(**shapes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape to which all `shapes` broadcast. Raises UserError if there is none."""
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise UserError(f"shapes that do not fit together: {found}; expected equal shapes, or one for all") from None


def _numbers(values: ArrayLike, name: str) -> Float[np.ndarray, "..."]:
    """Return `values` as float32. Raises UserError, which calls them `name`, if they are not numbers of one shape."""
    try:
        return np.asarray(values, np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{name} {str(values)[:80]}: expected numbers ({one_line(error)})") from None

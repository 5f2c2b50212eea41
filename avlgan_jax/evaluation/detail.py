"""The fine detail of pictures: how much there is, and how much of it was invented.

Detail is what two passes of a [1 2 1] / 4 blur take away from a picture. An output with less detail than the ground
truth is blurred. An output whose detail lies where neither the truth nor the input has any has specks: single pixels of
a strange colour, or grain. The energy of the difference between output and truth would not tell the two apart, because
blur and a feature that is one pixel off give a large difference too.
"""

import numpy as np
from jaxtyping import Float32, UInt8


def fine_detail(images: UInt8[np.ndarray, "n h w c"]) -> Float32[np.ndarray, "n h w c"]:
    """Return the absolute difference of each pixel from the blurred picture, in grey levels, for each colour.

    Pixels at the border count double in the blur.
    """
    pixels = images.astype(np.float32)
    return np.abs(pixels - _blurred(_blurred(pixels)))


def known_detail(*pictures: UInt8[np.ndarray, "n h w c"]) -> Float32[np.ndarray, "n h w c"]:
    """Return the largest `fine_detail` of any of the pictures within one pixel.

    It is the detail that an output may have without inventing it: a feature that is a pixel off invents nothing.
    """
    largest = np.maximum.reduce([fine_detail(images) for images in pictures])
    for axis in (1, 2):
        largest = np.maximum.reduce(_three_neighbours(largest, axis))
    return largest


def invented_detail(
    found: Float32[np.ndarray, "n h w c"], known: Float32[np.ndarray, "n h w c"]
) -> Float32[np.ndarray, "n h w c"]:
    """Return by how much the `fine_detail` of outputs exceeds `known_detail`, in grey levels."""
    return np.maximum(found - known, 0.0)


def _blurred(pixels: Float32[np.ndarray, "n h w c"]) -> Float32[np.ndarray, "n h w c"]:
    """Blur once along rows and once along columns."""
    for axis in (1, 2):
        before, here, after = _three_neighbours(pixels, axis)
        pixels = (before + 2.0 * here + after) / 4.0
    return pixels


def _three_neighbours(values: Float32[np.ndarray, "n h w c"], axis: int) -> list[Float32[np.ndarray, "n h w c"]]:
    """Return the values moved by one pixel back, by none and by one ahead; the border repeats its last pixel."""
    widths = [(1, 1) if k == axis else (0, 0) for k in range(values.ndim)]
    lines = np.moveaxis(np.pad(values, widths, mode="edge"), axis, 0)
    return [np.moveaxis(lines[start : start + values.shape[axis]], 0, axis) for start in range(3)]

"""What the modules that draw into a photograph share: pixels at any position, and smooth transitions."""

import cv2
import numpy as np
from jaxtyping import Float


def sample(image: Float[np.ndarray, "h w *c"], places: Float[np.ndarray, "m n 2"]) -> Float[np.ndarray, "m n *c"]:
    """Return an image at positions (x, y) in its pixels, by bilinear interpolation.

    Whole positions give the pixels to the bit; positions outside give the nearest pixel of the border.
    """
    x, y = (np.ascontiguousarray(places[..., axis], np.float32) for axis in (0, 1))
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def positions(low: np.ndarray, high: np.ndarray) -> Float[np.ndarray, "h w 2"]:
    """Return the position (x, y) of each pixel from `low` up to, without it, `high`."""
    return np.stack(np.meshgrid(*(np.arange(a, b, dtype=np.float32) for a, b in zip(low, high, strict=True))), axis=-1)


def rise(value: float, low: float, high: float) -> float:
    """Return a smooth rise from 0 at `low` to 1 at `high`."""
    part = min(max((value - low) / (high - low), 0.0), 1.0)
    return part * part * (3.0 - 2.0 * part)

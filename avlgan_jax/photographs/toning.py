"""Black-and-white and toned photographs stay so: what is drawn or painted gets the photograph's own tones.

    tones = toning.tones(face.image)
    if tones is not None:
        shown = toning.toned(shown, tones)

In such a photograph each channel is a straight line of the brightness: grey, or for instance sepia.
"""

import numpy as np
from jaxtyping import Float, UInt8

BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)
# A photograph has tones instead of colours where no more than one pixel of twenty is farther from the lines, in grey
# levels. Skin in colour is at least 20 away, JPEG files of grey photographs up to 3.
_FAR = 6.0


def tones(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "2 3"] | None:
    """Return slope and offset of each channel over the brightness, or None for a photograph in colour."""
    pixels = image.reshape(-1, 3).astype(np.float64)
    bright = pixels @ BRIGHTNESS
    spread = bright - bright.mean()
    slope = spread @ (pixels - pixels.mean(axis=0)) / max(float(spread @ spread), 1e-6)
    offset = pixels.mean(axis=0) - slope * bright.mean()
    far = np.abs(pixels - bright[:, None] * slope - offset).max(axis=1)
    return np.stack([slope, offset]).astype(np.float32) if np.quantile(far, 0.95) <= _FAR else None


def toned(image: Float[np.ndarray, "h w 3"], lines: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "h w 3"]:
    """Return an image in the tones of a photograph, at the same brightness.

    Args:
        image: RGB from 0 to 255.
        lines: As from `tones`.
    """
    return (image @ BRIGHTNESS)[..., None] * lines[0] + lines[1]

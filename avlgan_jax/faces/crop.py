"""Square crops of faces from photographs, and the coordinates of points in a crop.

Training data and photographs to be edited are cropped by the same two lines:

    square = crop.square_around(landmarks, photograph.shape, crop.MARGIN)
    image, points = crop.crop_square(photograph, square, 128), square.to_crop(landmarks, 128)
"""

import dataclasses
import math

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

# Margin on each side, as a fraction of the landmarks' extent. 0.35 includes the forehead: the points end at the brows.
MARGIN = 0.35


@dataclasses.dataclass(frozen=True)
class CropSquare:
    """A square of a photograph: its top left corner and its side, in pixels of the photograph, not rounded."""

    left: float
    top: float
    side: float

    def to_crop(self, points: Float[np.ndarray, "*n d"], resolution: int) -> Float[np.ndarray, "*n d"]:
        """Convert photograph pixels to pixels of the crop of side `resolution`. A depth is only scaled, not shifted."""
        return ((points - self._corner(points)) * (resolution / self.side)).astype(np.float32)

    def to_photograph(self, points: Float[np.ndarray, "*n d"], resolution: int) -> Float[np.ndarray, "*n d"]:
        """Convert pixels of the crop to photograph pixels; the inverse of `to_crop`."""
        return (points * (self.side / resolution) + self._corner(points)).astype(np.float32)

    def _corner(self, points: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "d"]:
        """Return the top left corner with the dimensions of `points`."""
        return np.array([self.left, self.top, 0.0])[: points.shape[-1]]


def square_around(points: Float[np.ndarray, "n 2"], shape: tuple[int, ...], margin: float = MARGIN) -> CropSquare:
    """Return the square around a face, which may reach beyond the photograph.

    The square is centred on the extent of the points and its size depends on them alone, so that a face has the same
    place and size in the crop of a portrait and of a photograph that ends at the chin. A square that was shrunk to the
    photograph made faces of tight photographs half as large again; landmark converters then moved them half as far.

    Args:
        points: Landmarks, or two opposite corners of a box, in pixels of the photograph.
        shape: Shape of the photograph (height, width, ...).
        margin: Margin on each side, as a fraction of the longer side of the points' extent.

    Raises:
        ValueError: If the points have no extent or are outside the photograph.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    limit = np.array(shape[1::-1], np.float64)
    size = float((high - low).max()) * (1.0 + 2.0 * margin)
    if not size > 0.0:
        raise ValueError("the points of the face have no extent")
    if (high <= 0.0).any() or (low >= limit).any():
        raise ValueError("the face is outside the photograph")
    left, top = (low + high) / 2.0 - size / 2.0
    return CropSquare(float(left), float(top), size)


def crop_square(image: UInt8[np.ndarray, "h w 3"], square: CropSquare, resolution: int) -> UInt8[np.ndarray, "r r 3"]:
    """Return the square of the image, resized to `resolution` pixels with antialiasing and subpixel accuracy.

    Beyond the image its border pixels are repeated. Pillow's bicubic filter widens when it shrinks an image. A filter
    that does not widen changes Fréchet distances, as clean-fid shows.
    """
    height, width = image.shape[:2]
    low = np.array([square.left, square.top])
    high = low + square.side
    before, after = (np.ceil(beyond.clip(0.0)).astype(int) for beyond in (-low, high - (width, height)))
    if before.any() or after.any():
        reach = 2 + math.ceil(2.0 * max(square.side / resolution, 1.0))  # of the filter
        before, after = before + reach, after + reach
        image = np.pad(image, ((before[1], after[1]), (before[0], after[0]), (0, 0)), mode="edge")
    box = (*(low + before), *(high + before))
    return np.asarray(Image.fromarray(image).resize((resolution, resolution), Image.Resampling.BICUBIC, box=box))

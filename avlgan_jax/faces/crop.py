"""The crop of a photograph: one square around a face, resized to the networks' picture, and how points follow it.

The same two lines prepare a training set and a person's own photo:

    square = crop.square_around(landmarks, photograph.shape, crop.MARGIN)
    image, points = crop.cut(photograph, square, 128), square.to_crop(landmarks, 128)
"""

import dataclasses

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

# Share of the landmarks' extent left free on each side. The 68 points end at the brows: 0.35 leaves the forehead in.
MARGIN = 0.35


@dataclasses.dataclass(frozen=True)
class CropSquare:
    """A square of a photograph: its left top corner and its side, in pixels of the photograph, not rounded."""

    left: float
    top: float
    side: float

    def to_crop(self, points: Float[np.ndarray, "*n d"], resolution: int) -> Float[np.ndarray, "*n d"]:
        """Pixels of the photograph to pixels of the crop of side `resolution`; a depth is scaled with them."""
        return ((points - self._corner(points)) * (resolution / self.side)).astype(np.float32)

    def to_photograph(self, points: Float[np.ndarray, "*n d"], resolution: int) -> Float[np.ndarray, "*n d"]:
        """The inverse of `to_crop`."""
        return (points * (self.side / resolution) + self._corner(points)).astype(np.float32)

    def _corner(self, points: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "d"]:
        return np.array([self.left, self.top, 0.0])[: points.shape[-1]]


def square_around(points: Float[np.ndarray, "n 2"], shape: tuple[int, ...], margin: float = MARGIN) -> CropSquare:
    """The square around a face, inside a photograph of `shape` (height, width, ...).

    `points` are landmarks, or the two corners of a box, in pixels. The square's centre is that of their extent, and it
    is wider than the longer side by `margin` on either side. Where it would leave the photograph it is moved back in,
    and it is never wider than the photograph: a face cut tightly before keeps what there is of it, and no border is
    made up. Raises ValueError when the points have no extent or do not touch the photograph.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    limit = np.array(shape[1::-1], np.float64)
    wanted = float((high - low).max()) * (1.0 + 2.0 * margin)
    if not wanted > 0.0:
        raise ValueError("the points of a face have no extent")
    if (high <= 0.0).any() or (low >= limit).any():
        raise ValueError("the face lies outside the photograph")
    side = min(wanted, float(limit.min()))
    left, top = np.clip((low + high) / 2.0 - side / 2.0, 0.0, limit - side)
    return CropSquare(float(left), float(top), side)


def crop_square(image: UInt8[np.ndarray, "h w 3"], square: CropSquare, resolution: int) -> UInt8[np.ndarray, "r r 3"]:
    """The square of the image, resized to `resolution` pixels with antialiasing and to a fraction of a pixel.

    Pillow's bicubic filter widens with the scale (a filter that does not moves a Fréchet distance, as clean-fid
    shows). Raises ValueError when the square leaves the image.
    """
    height, width = image.shape[:2]
    box = (square.left, square.top, square.left + square.side, square.top + square.side)
    if min(box) < -1e-6 or box[2] > width + 1e-6 or box[3] > height + 1e-6:
        raise ValueError(f"the square {box} leaves the image of {width} x {height} pixels")
    box = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], width), min(box[3], height))
    return np.asarray(Image.fromarray(image).resize((resolution, resolution), Image.Resampling.BICUBIC, box=box))

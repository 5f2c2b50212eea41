"""Regions of a picture of a face: mouth, eyes, other skin and background, from its landmarks.

A region is the convex hull of some landmarks, enlarged on all sides. The hull is intersected from half-planes in a few
directions (its support function), so that all pictures of a batch are done at once. For two pictures of one face, the
hull holds the landmarks of both.
"""

import numpy as np
from jaxtyping import Bool, Float, UInt8

from avlgan_jax.faces.landmarks import eye_distance, in_plane
from avlgan_jax.faces.warp import DIRECTIONS, FACE_MARGIN, forehead

# A region's number in `label_pixels` is its index. Where hulls overlap, the region that comes first has the pixel.
REGIONS = ("mouth", "eyes", "skin", "background")
BACKGROUND = REGIONS.index("background")

# The landmarks of each hull. The brows belong to the eyes: they move together.
_MOUTH = (tuple(range(48, 60)),)
_EYES = ((*range(17, 22), *range(36, 42)), (*range(22, 27), *range(42, 48)))

# Enlargement of the hulls of mouth and eyes, over the distance of the outer eye corners.
FEATURE_MARGIN = 0.1


def label_pixels(
    source: Float[np.ndarray, "n 68 d"], target: Float[np.ndarray, "n 68 k"], side: int
) -> UInt8[np.ndarray, "n side side"]:
    """Return the index in REGIONS of every pixel of n square pictures.

    The face is the hull of all landmarks and of a forehead as high as the nose is long (from the brows to its base).

    Args:
        source: Landmarks in pixels of a face before it changes; its `eye_distance` is the unit of the margins.
        target: Landmarks of the same face afterwards.
        side: Side of the pictures in pixels.
    """
    both = np.stack([in_plane(source), in_plane(target)], axis=1).astype(np.float64)
    unit = eye_distance(source)
    labels = np.full((len(both), side, side), BACKGROUND, np.uint8)
    labels[_hull(np.concatenate([both, forehead(both)], axis=2), FACE_MARGIN * unit, side)] = REGIONS.index("skin")
    for name, hulls in (("eyes", _EYES), ("mouth", _MOUTH)):
        for points in hulls:
            labels[_hull(both[:, :, points], FEATURE_MARGIN * unit, side)] = REGIONS.index(name)
    return labels


def sum_by_region(
    values: Float[np.ndarray, "n h w"], labels: UInt8[np.ndarray, "n h w"]
) -> Float[np.ndarray, "n regions"]:
    """Return the sum of the pixels' values in each of REGIONS, for each of n pictures."""
    count = len(REGIONS)
    places = labels + count * np.arange(len(labels))[:, None, None]
    sums = np.bincount(places.ravel(), np.asarray(values, np.float64).ravel(), minlength=count * len(labels))
    return sums.reshape(-1, count)


def _hull(
    points: Float[np.ndarray, "n 2 k 2"], margin: Float[np.ndarray, "n"], side: int
) -> Bool[np.ndarray, "n side side"]:
    """Return which pixels have their centre in the hull of a picture's points, or within `margin` of it."""
    centres = np.arange(side) + 0.5
    inside = np.ones((len(points), side, side), bool)
    for x, y in DIRECTIONS:
        reach = (points @ np.array([x, y])).max(axis=(1, 2)) + margin
        inside &= y * centres[:, None] + x * centres <= reach[:, None, None]
    return inside

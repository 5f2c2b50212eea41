"""Landmarks annotated in a data set, used instead of a detector."""

import math

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces import landmarks

NAME = "annotation"


def points(numbers) -> Float[np.ndarray, "68 2"] | None:
    """Return 68 points from the numbers x0, y0, x1, y1, ..., or None unless there are 136 finite numbers."""
    values = np.asarray(numbers, np.float64).ravel()
    if values.size != 2 * landmarks.COUNT or not np.isfinite(values).all():
        return None
    return values.reshape(landmarks.COUNT, 2).astype(np.float32)


def parse(text: str | None) -> Float[np.ndarray, "68 2"] | None:
    """Parse "x0;y0;x1;y1;...", the format of AffectNet. Return None if points are missing, `NULL` or malformed."""
    try:
        return points([float(number) for number in (text or "").split(";")])
    except ValueError:
        return None


def box_of(found: Float[np.ndarray, "68 2"] | None) -> tuple[float, float, float, float] | None:
    """Return the extent (left, top, right, bottom) of annotated points, or None if there are none or it has no area."""
    if found is None or not math.prod(np.ptp(found, axis=0)) > 0.0:
        return None
    return (*map(float, found.min(axis=0)), *map(float, found.max(axis=0)))

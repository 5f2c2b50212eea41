"""Landmarks that come with a data set, in the place of a detector's."""

import math

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces import landmarks

NAME = "annotation"


def points(numbers) -> Float[np.ndarray, "68 2"] | None:
    """68 points from 136 numbers x0, y0, x1, y1, ...; None unless there are as many, all finite."""
    values = np.asarray(numbers, np.float64).ravel()
    if values.size != 2 * landmarks.COUNT or not np.isfinite(values).all():
        return None
    return values.reshape(landmarks.COUNT, 2).astype(np.float32)


def parse(text: str | None) -> Float[np.ndarray, "68 2"] | None:
    """68 points from "x0;y0;x1;y1;...", as AffectNet writes them; None where they are missing, `NULL` or broken."""
    try:
        return points([float(number) for number in (text or "").split(";")])
    except ValueError:
        return None


def box_of(found: Float[np.ndarray, "68 2"] | None) -> tuple[float, float, float, float] | None:
    """The extent (left, top, right, bottom) of annotated points: where the face that is meant must be."""
    if found is None or not math.prod(np.ptp(found, axis=0)) > 0.0:
        return None
    return (*map(float, found.min(axis=0)), *map(float, found.max(axis=0)))

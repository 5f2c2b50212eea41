"""The valence-arousal plane: its eight named expressions and where they lie.

An emotion is a pair (valence, arousal), each in [-1, 1], in that order everywhere in this project.
"""

import numpy as np
from jaxtyping import Float, Int

from avlgan_jax.errors import UserError

# AffectNet's class order (Mollahosseini et al. 2017), used by every data set here.
EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")

# Table II of the paper: mean valence and arousal of each expression in AffectNet, in the order of EXPRESSIONS.
TABLE_II = np.array(
    [
        [0.0043, 0.0040],
        [0.6652, 0.1342],
        [-0.6864, -0.2585],
        [0.2306, 0.6812],
        [-0.1156, 0.7741],
        [-0.7312, 0.4342],
        [-0.3646, 0.6604],
        [-0.5548, 0.5880],
    ],
    np.float32,
)


def nearest_expression(emotions: Float[np.ndarray, "*batch 2"]) -> Int[np.ndarray, "*batch"]:
    """Index into EXPRESSIONS of the Table II centroid that lies nearest to each (valence, arousal)."""
    distances = np.linalg.norm(emotions[..., None, :] - TABLE_II, axis=-1)
    return np.argmin(distances, axis=-1).astype(np.int32)


def matrix_axis(n: int) -> Float[np.ndarray, "n"]:
    """Return the `n` steps of an emotion matrix along valence and arousal, from -0.8 to 0.8.

    The corners of the matrix lie just outside the unit disc. Raises UserError for fewer than 2 steps.
    """
    if n < 2:
        raise UserError(f"a matrix of {n} x {n}: expected at least 2 x 2")
    return np.linspace(-0.8, 0.8, n, dtype=np.float32)


def sample_disc(generator: np.random.Generator, count: int) -> Float[np.ndarray, "count 2"]:
    """`count` emotions spread evenly over the unit disc of the valence-arousal plane."""
    radius = np.sqrt(generator.uniform(size=count))
    angle = generator.uniform(0.0, 2.0 * np.pi, size=count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).astype(np.float32)


def emotion_path(points: Float[np.ndarray, "n 2"], count: int) -> Float[np.ndarray, "count 2"]:
    """`count` emotions at equal distances along the straight lines through `points`, the first and last included."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    # Points in one place take no way; a step of their own keeps the positions growing.
    reached = np.concatenate([[0.0], np.cumsum(np.maximum(lengths, 1e-9))])
    places = np.linspace(0.0, reached[-1], count)
    return np.stack([np.interp(places, reached, points[:, axis]) for axis in range(2)], axis=-1).astype(np.float32)

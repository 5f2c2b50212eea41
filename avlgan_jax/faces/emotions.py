"""The valence-arousal plane and the eight expressions of AffectNet.

An emotion is a pair (valence, arousal), each in [-1, 1], in this order throughout the project.
"""

import numpy as np
from jaxtyping import Float, Int

from avlgan_jax.errors import UserError

# The two coordinates of an emotion, in their order throughout this project.
AXES = ("valence", "arousal")

# AffectNet's class order (Mollahosseini et al. 2017), used for all data sets.
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

# Largest number of rows and columns of a matrix of emotions: its sheet of 3,000 pixels is what a screen can show.
LARGEST_MATRIX = 33


def nearest_expression(emotions: Float[np.ndarray, "*batch 2"]) -> Int[np.ndarray, "*batch"]:
    """Return the index into EXPRESSIONS of the Table II centroid nearest to each emotion."""
    distances = np.linalg.norm(emotions[..., None, :] - TABLE_II, axis=-1)
    return np.argmin(distances, axis=-1).astype(np.int32)


def matrix_axis(n: int) -> Float[np.ndarray, "n"]:
    """Return the `n` values of valence, and of arousal, in an n x n matrix of emotions: evenly from -0.8 to 0.8.

    The corners of the matrix are just outside the unit disc.

    Raises:
        UserError: If `n` is no integer from 2 to `LARGEST_MATRIX`.
    """
    if not isinstance(n, int | np.integer) or not 2 <= n <= LARGEST_MATRIX:
        raise UserError(
            f"the emotion matrix is {n} x {n}: expected at least 2 x 2 and at most {LARGEST_MATRIX} x {LARGEST_MATRIX}"
        )
    return np.linspace(-0.8, 0.8, n, dtype=np.float32)


def matrix_emotions(n: int) -> Float[np.ndarray, "n*n 2"]:
    """Return the emotions of an n x n matrix row by row: arousal falls from row to row, valence grows in each.

    Raises:
        UserError: As `matrix_axis`.
    """
    axis = matrix_axis(n)
    return np.stack(np.broadcast_arrays(axis[None, :], axis[::-1, None]), axis=-1).reshape(-1, 2)


def sample_disc(generator: np.random.Generator, count: int) -> Float[np.ndarray, "count 2"]:
    """Draw `count` emotions uniformly from the unit disc of the valence-arousal plane."""
    radius = np.sqrt(generator.uniform(size=count))
    angle = generator.uniform(0.0, 2.0 * np.pi, size=count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).astype(np.float32)


def emotion_path(points: Float[np.ndarray, "n 2"], count: int) -> Float[np.ndarray, "count 2"]:
    """Return `count` emotions at equal distances along the straight lines through `points`, both ends included."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    # Equal consecutive points have distance 0. The minimum keeps the positions increasing, as np.interp requires.
    positions = np.concatenate([[0.0], np.cumsum(np.maximum(lengths, 1e-9))])
    samples = np.linspace(0.0, positions[-1], count)
    return np.stack([np.interp(samples, positions, points[:, axis]) for axis in range(2)], axis=-1).astype(np.float32)

"""Procedural faces by name: `procedural:SEED` for an adult, `procedural-infant:SEED` for an infant."""

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.errors import UserError
from avlgan_jax.faces import procedural

DRAWN = {"procedural": False, "procedural-infant": True}  # whether each name is an infant's
DRAWN_SIDE = 256  # default side of the picture in pixels
# The first argument of `sample_face`; the SEED of a name is its subject. Data sets have small seeds, so they contain
# none of these faces.
_SEED = 0xD4A3


def seed_of(name: str) -> tuple[int, bool] | None:
    """Return the seed in a procedural face's name, and whether the face is an infant's.

    Args:
        name: `procedural:7` or `procedural-infant:7`; without a colon the seed is 0.

    Returns:
        (seed, infant), or None if `name` does not name a procedural face.

    Raises:
        UserError: the text after the colon is not a number of 1 to 9 digits.
    """
    kind, colon, seed = name.partition(":")
    if kind not in DRAWN:
        return None
    if colon and not (seed.isascii() and seed.isdigit() and len(seed) < 10):
        raise UserError(f"{name}: expected a number of 1 to 9 digits after the colon, as in {kind}:7")
    return int(seed or 0), DRAWN[kind]


def draw_by_name(
    name: str, side: int = DRAWN_SIDE, dimensions: int = 2
) -> tuple[UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "68 dimensions"]] | None:
    """Draw the procedural face of a name, with a neutral expression.

    Args:
        name: `procedural:SEED` or `procedural-infant:SEED`.
        side: side of the picture in pixels, 32 to 256.
        dimensions: 2 for landmarks (x, y), 3 for (x, y, z).

    Returns:
        The RGB picture and the landmarks in pixels, or None if `name` does not name a procedural face.

    Raises:
        UserError: the text after the colon is not a number of 1 to 9 digits.
    """
    parsed = seed_of(name)
    return None if parsed is None else draw_face(*parsed, side, dimensions=dimensions)


def draw_face(
    seed: int, infant: bool, side: int, valence: float = 0.0, arousal: float = 0.0, dimensions: int = 2
) -> tuple[UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "68 dimensions"]]:
    """Draw the procedural face of a seed.

    Args:
        seed: selects the person; each seed gives a different one.
        infant: whether the person is an infant.
        side: side of the picture in pixels, 32 to 256.
        valence: in [-1, 1].
        arousal: in [-1, 1].
        dimensions: 2 for landmarks (x, y), 3 for (x, y, z).

    Returns:
        The RGB picture and the landmarks in pixels.

    Raises:
        UserError: the seed is no integer of 0 or more, or another value is outside its range.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UserError(f"seed {seed!r}: expected an integer of 0 or more")
    face = procedural.sample_face(_SEED, int(seed), 0, infant)
    try:
        image, landmarks, landmarks_3d = procedural.render(face, valence, arousal, side)
    except ValueError as error:
        raise UserError(f"a drawn face of {error}") from None
    return image, landmarks_3d if dimensions == 3 else landmarks

"""Drawn faces by name: `procedural:SEED` for an adult, `procedural-infant:SEED` for an infant."""

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.errors import UserError
from avlgan_jax.faces import procedural

DRAWN = {"procedural": False, "procedural-infant": True}
DRAWN_SIDE = 256
# The seed of drawn faces: none of them is in a data set, whose seeds are small.
_SEED = 0xD4A3


def seed_of(name: str) -> tuple[int, bool] | None:
    """The seed of a drawn face's name (`procedural:7`) and whether it is an infant, or None for another kind of name.

    Raises UserError where the seed is no number.
    """
    kind, colon, seed = name.partition(":")
    if kind not in DRAWN:
        return None
    if colon and not (seed.isascii() and seed.isdigit() and len(seed) < 10):
        raise UserError(f"{name}: expected a number after the colon, as in {kind}:7")
    return int(seed or 0), DRAWN[kind]


def draw_by_name(
    name: str, side: int = DRAWN_SIDE, dimensions: int = 2
) -> tuple[UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "68 dimensions"]] | None:
    """The picture and landmarks of a drawn face by name, or None if it is none. Raises UserError as `seed_of`."""
    meant = seed_of(name)
    return None if meant is None else draw_face(*meant, side, dimensions=dimensions)


def draw_face(
    seed: int, infant: bool, side: int, valence: float = 0.0, arousal: float = 0.0, dimensions: int = 2
) -> tuple[UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "68 dimensions"]]:
    """A drawn face and its landmarks in pixels, of 2 or 3 `dimensions`: somebody else for every seed."""
    face = procedural.sample_face(_SEED, seed, 0, infant)
    image, landmarks, landmarks_3d = procedural.render(face, valence, arousal, side)
    return image, landmarks_3d if dimensions == 3 else landmarks

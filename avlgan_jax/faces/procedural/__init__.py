"""Procedural faces: a person is sampled from a seed, and the expression is a function of valence and arousal.

`python -m avlgan_jax.faces.procedural OUT.png` draws a contact sheet.
"""

from avlgan_jax.faces.procedural.dyads import FRAMES_PER_SECOND, PHASES, Dyad, dyad
from avlgan_jax.faces.procedural.expression import ACTION_UNITS, action_units, sample_emotion
from avlgan_jax.faces.procedural.identity import Face, sample_face
from avlgan_jax.faces.procedural.rendering import Rendering, landmarks, render

__all__ = [
    "ACTION_UNITS",
    "FRAMES_PER_SECOND",
    "PHASES",
    "Dyad",
    "Face",
    "Rendering",
    "action_units",
    "dyad",
    "landmarks",
    "render",
    "sample_emotion",
    "sample_face",
]

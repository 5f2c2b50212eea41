"""Table II from the data at hand: the mean valence and arousal of each expression."""

import numpy as np
from jaxtyping import Float

from avlgan_jax.data.records import Faces
from avlgan_jax.faces import emotions


def to_metrics(faces: Faces) -> dict:
    """`table_ii` of `metrics.json`: how many faces show each expression, and their mean valence and arousal.

    The means of an expression nobody shows are None.
    """
    told = {}
    for index, name in enumerate(emotions.EXPRESSIONS):
        members = np.flatnonzero(np.asarray(faces.expressions) == index)
        means = np.asarray(faces.emotions, np.float64)[members].mean(axis=0) if len(members) else (None, None)
        valence, arousal = (None if mean is None else float(mean) for mean in means)
        told[name] = {"count": len(members), "valence": valence, "arousal": arousal}
    return told


def means(told: dict) -> Float[np.ndarray, "8 2"]:
    """The (valence, arousal) of each expression by `numbers`; the paper's, where nobody shows it."""
    found = [(row["valence"], row["arousal"]) if row["count"] else None for row in told.values()]
    return np.array([own or paper for own, paper in zip(found, emotions.TABLE_II.tolist(), strict=True)], np.float32)

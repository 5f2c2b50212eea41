"""Table II for a data set: the mean valence and arousal of each expression."""

import numpy as np
from jaxtyping import Float

from avlgan_jax.data.records import Faces
from avlgan_jax.faces import emotions


def to_metrics(faces: Faces) -> dict:
    """Return `table_ii` of `metrics.json`: by expression the number of faces, and their mean valence and arousal.

    The means of an expression without faces are None.
    """
    numbers = {}
    for index, name in enumerate(emotions.EXPRESSIONS):
        members = np.flatnonzero(np.asarray(faces.expressions) == index)
        means = np.asarray(faces.emotions, np.float64)[members].mean(axis=0) if len(members) else (None, None)
        valence, arousal = (None if mean is None else float(mean) for mean in means)
        numbers[name] = {"count": len(members), "valence": valence, "arousal": arousal}
    return numbers


def means(numbers: dict) -> Float[np.ndarray, "8 2"]:
    """Return the mean (valence, arousal) of each expression.

    Args:
        numbers: Result of `to_metrics`.

    Returns:
        The means in the order of `emotions.EXPRESSIONS`; an expression without faces has the paper's (Table II).
    """
    found = [(row["valence"], row["arousal"]) if row["count"] else None for row in numbers.values()]
    return np.array([own or paper for own, paper in zip(found, emotions.TABLE_II.tolist(), strict=True)], np.float32)

"""Table II for a data set: the mean valence and arousal of each expression."""

import numpy as np
from jaxtyping import Float

from avlgan_jax.data.records import Faces
from avlgan_jax.faces import emotions


def to_metrics(faces: Faces) -> dict:
    """Return `table_ii` of `metrics.json`: by expression the number of faces, and their mean valence and arousal.

    Labels that are absent do not count; the means of an expression without labels are None.
    """
    numbers = {}
    for index, name in enumerate(emotions.EXPRESSIONS):
        members = np.flatnonzero(np.asarray(faces.expressions) == index)
        own = np.asarray(faces.emotions, np.float64)[members]
        labels = (own[~np.isnan(own[:, axis]), axis] for axis in range(2))
        valence, arousal = (float(known.mean()) if len(known) else None for known in labels)
        numbers[name] = {"count": len(members), "valence": valence, "arousal": arousal}
    return numbers


def means(numbers: dict) -> Float[np.ndarray, "8 2"]:
    """Return the mean (valence, arousal) of each expression.

    Args:
        numbers: Result of `to_metrics`.

    Returns:
        The means in the order of `emotions.EXPRESSIONS`; an expression without labels has the paper's (Table II).
    """
    found = [(row["valence"], row["arousal"]) for row in numbers.values()]
    rows = zip(found, emotions.TABLE_II.tolist(), strict=True)
    return np.array([paper if None in own else own for own, paper in rows], np.float32)

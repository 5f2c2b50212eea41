"""Figure 6: are the eight expressions recognised in the outputs at their mean valence and arousal?

The regressor reads the outputs, and the expression whose mean is nearest to the reading counts as recognised. The paper
finds happy, sad, surprise and fear successful, and disgust, anger and contempt hard to tell apart.
"""

import numpy as np
from jaxtyping import Float

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import bootstrap
from avlgan_jax.evaluation.trials import PICTURES_PER_CHUNK, choose_people
from avlgan_jax.faces.emotions import EXPRESSIONS
from avlgan_jax.models.inference import Trained

# Number of people whose face is converted to each expression, half of them infants where there are enough.
PEOPLE = 100
CLEAR, HARD = ("happy", "sad", "surprise", "fear"), ("disgust", "anger", "contempt")


def measure(models: Trained, faces: Faces, seed: int, means: Float[np.ndarray, "8 2"]) -> Float[np.ndarray, "people 8"]:
    """Convert faces of different people to every expression; return 1 where it is recognised, else 0.

    Args:
        models: Models to run.
        faces: Faces to choose from.
        seed: Seed of the choice.
        means: Valence and arousal of each expression, as targets and to recognise them by.
    """
    chosen = choose_people(faces, seed, PEOPLE)
    rows, asked = np.repeat(chosen, len(means)), np.tile(np.arange(len(means)), len(chosen))
    read = []
    for start in range(0, len(rows), PICTURES_PER_CHUNK):
        part = slice(start, start + PICTURES_PER_CHUNK)
        images, landmarks = faces.images[rows[part]], faces.landmarks[rows[part]]
        read.append(models.predict(models.convert["avlandmarkgan"](images, landmarks, means[asked[part]])))
    distances = np.linalg.norm(np.concatenate(read)[:, None] - means, axis=-1)
    return (np.argmin(distances, axis=1) == asked).astype(np.float64).reshape(len(chosen), len(means))


def to_metrics(recognised: Float[np.ndarray, "people 8"], seed: int) -> dict:
    """Return `expressions` of `metrics.json`.

    Args:
        recognised: Result of `measure`.
        seed: Seed of the bootstrap.

    Returns:
        The number of `people`; `recognised`, the share of people by expression; and as [value, low, high], with 95 %
        intervals over people, the mean share of CLEAR, of HARD, and by how much HARD is lower (`harder_by`).
    """
    people = bootstrap.draw_people(np.arange(len(recognised)), seed)
    clear, hard = (recognised[:, [EXPRESSIONS.index(name) for name in names]].mean(axis=1) for names in (CLEAR, HARD))

    def with_interval(values: Float[np.ndarray, "people"]) -> list[float | None]:
        return [float(values.mean()), *(bootstrap.interval(bootstrap.mean_draws(values, people)) or (None, None))]

    return {
        "people": len(recognised),
        "recognised": dict(zip(EXPRESSIONS, recognised.mean(axis=0).tolist(), strict=True)),
        "clear": with_interval(clear),
        "hard": with_interval(hard),
        "harder_by": with_interval(clear - hard),
    }

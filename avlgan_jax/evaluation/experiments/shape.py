"""What the landmark converter does to eyes, mouth and brows, against the ground truth of drawn faces.

The normalised mean error says how far the landmarks are off. It does not say whether the eyes that should close do
close. So the measures of `landmarks.shape_measures` are compared with those of the true landmarks over all trials.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from avlgan_jax.data.records import AGE_GROUPS, Faces
from avlgan_jax.evaluation import ground_truth, metrics
from avlgan_jax.evaluation.trials import Trials, by_group
from avlgan_jax.faces.landmarks import normalised_mean_error, shape_measures
from avlgan_jax.models.inference import Trained

ROWS = ("avlandmarkgan", "do_nothing")


@dataclass(frozen=True)
class Shapes:
    """Landmarks in pixels of n trials: by row the converted and the unchanged ones, and the true ones."""

    landmarks: dict[str, Float[np.ndarray, "n 68 d"]]
    truth: Float[np.ndarray, "n 68 3"]
    infants: Bool[np.ndarray, "n"]


def measure(models: Trained, faces: Faces, trials: Trials) -> Shapes | None:
    """Convert the landmarks of every trial. Return None for faces without ground truth."""
    keys = ground_truth.face_keys(faces)
    if keys is None:
        return None
    landmarks = np.asarray(faces.landmarks[trials.sources])
    converted = models.convert_landmarks(landmarks, trials.targets)
    return Shapes(
        landmarks=dict(zip(ROWS, (converted, landmarks), strict=True)),
        truth=ground_truth.true_landmarks(keys[trials.sources], trials.targets, faces.resolution),
        infants=np.asarray(faces.infants)[trials.sources],
    )


def to_metrics(found: Shapes | None) -> dict:
    """Return `shape` of `metrics.json`: by age group and row the NME, and each measure's correlation with the truth.

    The dict is empty where nothing was measured. A group of fewer than two trials is left out.
    """
    if found is None:
        return {}
    true_measures = shape_measures(found.truth)
    measures = {row: shape_measures(landmarks) for row, landmarks in found.landmarks.items()}
    numbers = {}
    for group in AGE_GROUPS:
        members = by_group(found.infants)[group]
        if members.sum() < 2:
            continue
        numbers[group] = {
            "trials": int(members.sum()),
            "nme": {
                row: float(normalised_mean_error(landmarks[members], found.truth[members]).mean(dtype=np.float64))
                for row, landmarks in found.landmarks.items()
            },
            **{
                name: {row: metrics.pcc(measures[row][name][members], true[members]) for row in ROWS}
                for name, true in true_measures.items()
            },
        }
    return numbers

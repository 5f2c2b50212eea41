"""Table I: what becomes of realism and of the emotion as each loss weight alone is changed.

Each landmark converter paints through the workdir's own image converter, which is why one weight more costs minutes;
each image converter has been trained anew.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from avlgan_jax import evaluation, metrics
from avlgan_jax.ablation import Runs
from avlgan_jax.evaluation import Lens, Reference, Trials
from avlgan_jax.landmarks import normalised_mean_error
from avlgan_jax.records import Faces
from avlgan_jax.trained import Trained

MEASURES = ("rmse", "frechet_regressor", "fid", "truth_landmark_nme")

# Table I of the paper: (FID, RMSE) by weight and value.
PAPER = {
    "landmark.emotion_weight": {
        0.0: (25.66, 0.188),
        0.1: (24.40, 0.204),
        1.0: (24.24, 0.193),
        5.0: (22.13, 0.200),
        10.0: (26.25, 0.203),
        100.0: (24.02, 0.202),
    },
    "landmark.centre_weight": {
        0.0: (25.80, 0.199),
        0.1: (26.43, 0.205),
        1.0: (24.54, 0.202),
        5.0: (22.13, 0.200),
        10.0: (24.16, 0.192),
        100.0: (24.84, 0.198),
    },
    "image.emotion_weight": {
        0.0: (20.92, 0.56),
        0.1: (20.84, 0.56),
        1.0: (21.89, 0.31),
        5.0: (22.13, 0.200),
        10.0: (26.59, 0.177),
        100.0: (64.92, 0.178),
    },
    "image.landmark_weight": {
        0.0: (25.50, 0.200),
        0.1: (25.97, 0.192),
        1.0: (25.58, 0.208),
        5.0: (25.33, 0.208),
        10.0: (22.13, 0.200),
        100.0: (23.44, 0.198),
    },
}

# And what follows it in Section IV-A: (FID, RMSE) with 3-D landmarks, and of Table I's own model with 2-D ones.
PAPER_3D, PAPER_2D = (26.7, 0.211), (22.13, 0.200)


@dataclass(frozen=True)
class Setting:
    """What every cell is measured by: the same trials, the training faces in the judge's features, FID's if asked for.

    `truth` are the true landmarks of the trials, None where there is no truth.
    """

    faces: Faces
    trials: Trials
    reference: Reference
    inception: Lens | None
    truth: Float[np.ndarray, "n 68 2"] | None


def measure(models: Trained, setting: Setting) -> dict[str, float | None]:
    """The MEASURES of one run: RMSE by the judge, distances to the training faces, and the landmarks' error."""
    faces, trials = setting.faces, setting.trials
    emotions, features, seen, errors = [], [], [], []
    for start in range(0, len(trials.sources), evaluation.CHUNK):
        chunk = slice(start, start + evaluation.CHUNK)
        sources, targets = trials.sources[chunk], trials.targets[chunk]
        output = models.convert["avlandmarkgan"](faces.images[sources], faces.landmarks[sources], targets)
        read, pooled = models.regress(output)
        emotions.append(read)
        features.append(pooled)
        if setting.inception is not None:
            seen.append(setting.inception.extract(output))
        if setting.truth is not None:
            moved = models.convert_landmarks(faces.landmarks[sources], targets)
            errors.append(normalised_mean_error(moved, setting.truth[chunk]))

    def distance(parts: list[np.ndarray], reference: Reference) -> float:
        return metrics.frechet_distance(metrics.moments(np.concatenate(parts)), reference.moments["all"])

    return {
        "rmse": metrics.rmse(np.concatenate(emotions), trials.targets),
        "frechet_regressor": distance(features, setting.reference),
        "fid": distance(seen, setting.inception.reference) if setting.inception is not None else None,
        "truth_landmark_nme": float(np.mean(np.concatenate(errors), dtype=np.float64)) if errors else None,
    }


def numbers(runs: Runs, setting: Setting) -> dict:
    """`table_i` of `metrics.json`: by weight a list of rows, one for each value, in order.

    A row has the mean over its runs of each of MEASURES, its `seeds`' values of each, and the `paper`'s FID and RMSE
    where it has that value; `own` marks the value that the workdir itself was trained with.
    """
    found: dict[Callable, dict] = {}

    def measured(load: Callable[[], Trained]) -> dict:
        if load not in found:
            found[load] = measure(load(), setting)
        return found[load]

    return {
        weight: [
            {"value": value, "own": value == runs.own[weight], **_row([measured(load) for load in loads])}
            | {"paper": _paper(weight, value)}
            for value, loads in sorted(by_value.items())
        ]
        for weight, by_value in runs.cells.items()
    }


def _row(runs: list[dict[str, float | None]]) -> dict:
    columns = {name: [run[name] for run in runs] for name in MEASURES}
    means = {name: float(np.mean(column)) if None not in column else None for name, column in columns.items()}
    return {**means, "seeds": columns}


def _paper(weight: str, value: float) -> dict[str, float] | None:
    return dict(zip(("fid", "rmse"), PAPER[weight][value], strict=True)) if value in PAPER[weight] else None

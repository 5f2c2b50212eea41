"""How one run of an ablation is measured: all of them on the same trials, by the same judge."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import metrics
from avlgan_jax.evaluation.trials import PICTURES_PER_CHUNK, FeatureSpace, ReferenceFeatures, Trials
from avlgan_jax.faces.landmarks import normalised_mean_error
from avlgan_jax.models.inference import Trained

MEASURES = ("rmse", "frechet_regressor", "fid", "truth_landmark_nme", "truth_psnr")


@dataclass(frozen=True)
class GroundTruth:
    """How the faces of the trials really look at their targets."""

    images: UInt8[np.ndarray, "n h w 3"]
    landmarks: Float[np.ndarray, "n 68 2"]


@dataclass(frozen=True)
class MeasurementSetup:
    """What every run is measured by: the same trials, the training faces in the judge's features, FID's if asked for.

    `truth` is None where nobody knows it.
    """

    faces: Faces
    trials: Trials
    reference: ReferenceFeatures
    inception: FeatureSpace | None
    truth: GroundTruth | None


def measure(models: Trained, setting: MeasurementSetup) -> dict[str, float | None]:
    """The MEASURES of one run: RMSE by the judge, distances to the training faces, and those to the truth."""
    faces, trials, truth = setting.faces, setting.trials, setting.truth
    emotions, features, seen, errors, likeness = [], [], [], [], []
    for start in range(0, len(trials.sources), PICTURES_PER_CHUNK):
        chunk = slice(start, start + PICTURES_PER_CHUNK)
        sources, targets = trials.sources[chunk], trials.targets[chunk]
        output = models.convert["avlandmarkgan"](faces.images[sources], faces.landmarks[sources], targets)
        read, pooled = models.regress(output)
        emotions.append(read)
        features.append(pooled)
        if setting.inception is not None:
            seen.append(setting.inception.extract(output))
        if truth is not None:
            moved = models.convert_landmarks(faces.landmarks[sources], targets)
            errors.append(normalised_mean_error(moved, truth.landmarks[chunk]))
            likeness.append(metrics.psnr(output, truth.images[chunk]))
    inception = setting.inception
    return {
        "rmse": metrics.rmse(np.concatenate(emotions), trials.targets),
        "frechet_regressor": _distance(features, setting.reference),
        "fid": _distance(seen, inception.reference) if inception is not None else None,
        "truth_landmark_nme": _mean(errors),
        "truth_psnr": _mean(likeness),
    }


def _distance(features: list[np.ndarray], reference: ReferenceFeatures) -> float:
    return metrics.frechet_distance(metrics.moments(np.concatenate(features)), reference.moments["all"])


def _mean(chunks: list[np.ndarray]) -> float | None:
    return float(np.mean(np.concatenate(chunks), dtype=np.float64)) if chunks else None

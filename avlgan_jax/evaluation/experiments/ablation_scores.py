"""Scores of one ablation run. All runs use the same trials and the same regressor."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import bootstrap, metrics, scores
from avlgan_jax.evaluation.trials import PICTURES_PER_CHUNK, FeatureSpace, ReferenceFeatures, Trials
from avlgan_jax.faces.landmarks import normalised_mean_error
from avlgan_jax.models.inference import Trained

MEASURES = ("rmse", "frechet_regressor", "fid", "truth_landmark_nme", "truth_psnr")


@dataclass(frozen=True)
class GroundTruth:
    """Ground truth of the trials: the faces at their targets. Landmarks are in pixels."""

    images: UInt8[np.ndarray, "n h w 3"]
    landmarks: Float[np.ndarray, "n 68 2"]


@dataclass(frozen=True)
class MeasurementSetup:
    """Inputs of `measure` that all runs of an ablation share."""

    faces: Faces
    """Faces that `trials` refers to."""
    trials: Trials
    reference: ReferenceFeatures
    """Training faces in the regressor's features."""
    inception: FeatureSpace | None
    """Feature space of FID, or None to omit FID."""
    truth: GroundTruth | None
    """None if the faces have no ground truth."""


class Measured(NamedTuple):
    """The scores of one run, and what their intervals are computed from."""

    scores: dict[str, float | None]
    predicted: Float[np.ndarray, "n 2"]
    """The emotions that the regressor predicts for the outputs of the trials."""
    distances: dict[str, Float[np.ndarray, "1+g"]]
    """The Fréchet distances by their names in MEASURES, of all people and then without each group of them; without
    those that were not computed."""


def measure(models: Trained, setting: MeasurementSetup) -> dict[str, float | None]:
    """Compute the scores MEASURES of the models of one run.

    They are the RMSE of the regressor's predictions against the targets, the Fréchet distances to the training faces,
    and the landmark error and PSNR against the ground truth. A score without its input in `setting` is None.
    """
    return measure_run(models, setting, 0).scores


def measure_run(models: Trained, setting: MeasurementSetup, seed: int) -> Measured:
    """Return the scores of `measure`, and what their intervals need.

    Args:
        models: Models of the run.
        setting: What all runs share.
        seed: Seed of the division of the people into groups.
    """
    faces, trials, truth = setting.faces, setting.trials, setting.truth
    predicted, regressor_features, inception_features, landmark_errors, psnr = [], [], [], [], []
    for start in range(0, len(trials.sources), PICTURES_PER_CHUNK):
        chunk = slice(start, start + PICTURES_PER_CHUNK)
        sources, targets = trials.sources[chunk], trials.targets[chunk]
        output = models.convert["avlandmarkgan"](faces.images[sources], faces.landmarks[sources], targets)
        emotions, features = models.regress(output)
        predicted.append(emotions)
        regressor_features.append(features)
        if setting.inception is not None:
            inception_features.append(setting.inception.extract(output))
        if truth is not None:
            moved = models.convert_landmarks(faces.landmarks[sources], targets)
            landmark_errors.append(normalised_mean_error(moved, truth.landmarks[chunk]))
            psnr.append(metrics.psnr(output, truth.images[chunk]))
    inception = setting.inception
    found = {
        "rmse": metrics.rmse(np.concatenate(predicted), trials.targets),
        "frechet_regressor": _distance(regressor_features, setting.reference),
        "fid": _distance(inception_features, inception.reference) if inception is not None else None,
        "truth_landmark_nme": _mean(landmark_errors),
        "truth_psnr": _mean(psnr),
    }
    people = bootstrap.groups_of_people(np.asarray(faces.subjects)[trials.sources], seed)
    spaces = [("frechet_regressor", regressor_features, setting.reference)]
    spaces += [("fid", inception_features, inception.reference)] if inception is not None else []
    jackknifed = {
        name: scores.jackknifed_distances(np.concatenate(features), people, reference, "all")
        for name, features, reference in spaces
    }
    distances = {name: values[0] for name, values in jackknifed.items() if values is not None}
    return Measured(found, np.concatenate(predicted), distances)


def _distance(features: list[np.ndarray], reference: ReferenceFeatures) -> float:
    """Return the Fréchet distance between features, given in chunks, and all training faces."""
    return metrics.frechet_distance(metrics.moments(np.concatenate(features)), reference.moments["all"])


def _mean(chunks: list[np.ndarray]) -> float | None:
    """Return the mean of values given in chunks, or None if there are no chunks."""
    return float(np.mean(np.concatenate(chunks), dtype=np.float64)) if chunks else None

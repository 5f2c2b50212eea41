"""How the emotion that is read follows the emotion that is asked for, along each axis of the plane.

A person scrubs one slider and expects a steady change. So one face of each of a few people is converted to targets
along one axis, with 0 on the other, and the regressor reads every output. The regressor's own curve, on the ground
truth, is the best that can be expected.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from avlgan_jax.data.records import AGE_GROUPS, Faces
from avlgan_jax.evaluation import ground_truth, metrics
from avlgan_jax.evaluation.baselines import WARP, Warp, compiled_warp
from avlgan_jax.evaluation.experiments.circumplex import one_face_each
from avlgan_jax.evaluation.ground_truth import RenderedFace, Renderer
from avlgan_jax.evaluation.trials import by_group, next_pictures
from avlgan_jax.faces.emotions import AXES
from avlgan_jax.models.inference import Trained

# The asked values of one axis.
STEPS = np.linspace(-0.8, 0.8, 11)
# Readings that fall by no more than this below an earlier one still count as rising: so much the regressor wavers.
TOLERANCE = 0.05

# By model, by `baselines.WARP` and, for drawn faces, by "truth": the readings of f faces, for each axis along it.
Readings = dict[str, Float[np.ndarray, "f axes steps"]]


def targets() -> Float[np.ndarray, "axes*steps 2"]:
    """Return the target emotions: STEPS along valence, then STEPS along arousal."""
    along = [np.stack([STEPS * (axis == k) for k in range(len(AXES))], axis=-1) for axis in range(len(AXES))]
    return np.concatenate(along).astype(np.float32)


def measure(models: Trained, faces: Faces, seed: int, render: Renderer | None) -> dict[str, Readings]:
    """Sweep one face of each of a few people (`circumplex.FACES`) of each age group along both axes.

    Args:
        models: Models to run.
        faces: Faces to choose from.
        seed: Seed of the choice.
        render: Renderer of the ground truth, or None if the faces have none.

    Returns:
        The readings by age group; a group without faces is missing.
    """
    line, warp = targets(), compiled_warp()
    chosen = {group: one_face_each(faces, by_group(faces.infants)[group], seed) for group in AGE_GROUPS}
    chosen = {group: rows for group, rows in chosen.items() if len(rows)}
    sources = {group: faces.take(np.repeat(rows, len(line))) for group, rows in chosen.items()}
    emotions = {group: np.tile(line, (len(rows), 1)) for group, rows in chosen.items()}
    # As in `circumplex.measure`, the pool renders the later groups while the models convert the first one.
    truths = (
        {group: render(ground_truth.face_keys(sources[group]), emotions[group]) for group in chosen} if render else {}
    )
    return {group: _read(models, warp, sources[group], emotions[group], truths.get(group)) for group in chosen}


def _read(
    models: Trained,
    warp: Warp,
    faces: Faces,
    emotions: Float[np.ndarray, "fs 2"],
    truths: Iterator[RenderedFace] | None,
) -> Readings:
    """Read the outputs of one group. The rows are all targets of the first face, then those of the next face."""
    outputs = {name: convert(faces.images, faces.landmarks, emotions) for name, convert in models.convert.items()}
    outputs[WARP] = warp(faces.images, faces.landmarks, models.convert_landmarks(faces.landmarks, emotions))
    if truths is not None:
        outputs["truth"], _ = next_pictures(truths, len(emotions))
    return {name: _along_axes(models.predict(images)) for name, images in outputs.items()}


def _along_axes(predicted: Float[np.ndarray, "fs 2"]) -> Float[np.ndarray, "f axes steps"]:
    """Return the readings of each axis on the targets that lie along it."""
    by_axis = predicted.reshape(-1, len(AXES), len(STEPS), len(AXES))
    return np.stack([by_axis[:, axis, :, axis] for axis in range(len(AXES))], axis=1)


def to_metrics(found: dict[str, Readings]) -> dict:
    """Return `sweeps` of `metrics.json`: the asked values, and by age group, axis and row the scores of `linearity`."""
    numbers: dict = {"asked": STEPS.tolist()}
    for group, readings in found.items():
        by_axis = {
            axis: {name: linearity(values[:, k]) for name, values in readings.items()} for k, axis in enumerate(AXES)
        }
        numbers[group] = {"faces": len(next(iter(readings.values()))), **by_axis}
    return numbers


def linearity(read: Float[np.ndarray, "f steps"]) -> dict[str, float]:
    """Score the readings of f faces at STEPS.

    Returns:
        `pcc`, the mean over faces of Pearson's correlation of asked and read, and `lowest_pcc`, the lowest of them;
        `gain`, the mean slope of the line through a face's readings: the change that is read per change that is asked;
        `monotone`, the share of faces whose reading never falls more than TOLERANCE below an earlier one.
    """
    correlations = [metrics.pcc(line, STEPS) for line in read]
    slopes = read.astype(np.float64) @ STEPS / (STEPS @ STEPS)  # STEPS have mean 0
    falls = np.maximum.accumulate(read, axis=1) - read
    return {
        "pcc": float(np.mean(correlations)),
        "lowest_pcc": float(np.min(correlations)),
        "gain": float(slopes.mean()),
        "monotone": float(np.mean(falls.max(axis=1) <= TOLERANCE)),
    }

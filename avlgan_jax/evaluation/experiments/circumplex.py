"""Sweep of a few faces over the valence-arousal plane: similarity to the ground truth, and how far the outputs move.

Photographs have no ground truth; for them only the response and the regressor's predictions are measured.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped, UInt8

from avlgan_jax.data.records import AGE_GROUPS, Faces
from avlgan_jax.evaluation import ground_truth, metrics
from avlgan_jax.evaluation.ground_truth import RenderedFace, Renderer
from avlgan_jax.evaluation.trials import by_group, next_pictures
from avlgan_jax.faces.landmarks import normalised_mean_error
from avlgan_jax.models.inference import Trained

# The targets are the centre of the plane and ANGLES emotions on a ring of each radius.
RADII = (0.3, 0.6, 0.9)
ANGLES = 12
FACES = 8  # maximum number of people of each age group

# Radius of the ring on which the response is measured.
RESPONSE_RADIUS = 0.6


@dataclass(frozen=True)
class PlaneSweep:
    """Results of f faces at each of t targets.

    The keys are the models; `psnr`, `ssim` and `nme` also have "do_nothing" (the unchanged input), and `predicted` and
    `response` also have "truth" (the ground truth). Without a ground truth, `psnr`, `ssim` and `nme` are empty and
    "truth" is missing.
    """

    psnr: dict[str, Float[np.ndarray, "f t"]]
    """Peak signal-to-noise ratio to the ground truth, in decibels."""
    ssim: dict[str, Float[np.ndarray, "f t"]]
    """Structural similarity to the ground truth."""
    nme: dict[str, Float[np.ndarray, "f t"]]
    """Landmark error to the ground truth, as a fraction of the outer eye distance; avGAN has none."""
    predicted: dict[str, Float[np.ndarray, "f t 2"]]
    """Valence and arousal predicted by the regressor."""
    response: dict[str, Float[np.ndarray, "f"]]
    """`response_of` the outputs on the ring of radius RESPONSE_RADIUS."""

    @property
    def models(self) -> list[str]:
        """Names of the models."""
        return [name for name in self.predicted if name != "truth"]


def targets() -> Float[np.ndarray, "t 2"]:
    """Return the centre of the plane, then the ANGLES emotions of each ring, anticlockwise from positive valence."""
    angles = 2.0 * np.pi * np.arange(ANGLES) / ANGLES
    rings = [radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1) for radius in RADII]
    return np.concatenate([np.zeros((1, 2)), *rings]).astype(np.float32)


def measure(models: Trained, faces: Faces, seed: int, render: Renderer | None) -> dict[str, PlaneSweep]:
    """Convert one face of each of up to FACES people of each age group to every emotion of `targets`.

    Args:
        models: Models to run.
        faces: Faces to choose from.
        seed: Seed of the choice.
        render: Renderer of the ground truth, or None if the faces have none (`ground_truth.face_keys` is None).

    Returns:
        The results by age group; a group without faces is missing.
    """
    plane = targets()
    chosen = {group: one_face_each(faces, by_group(faces.infants)[group], seed) for group in AGE_GROUPS}
    chosen = {group: rows for group, rows in chosen.items() if len(rows)}
    sources = {group: faces.take(np.repeat(rows, len(plane))) for group, rows in chosen.items()}
    emotions = {group: np.tile(plane, (len(rows), 1)) for group, rows in chosen.items()}
    # Start rendering all groups now: the pool renders the later groups while the models convert the first one.
    truths = (
        {group: render(ground_truth.face_keys(sources[group]), emotions[group]) for group in chosen} if render else {}
    )
    return {group: _sweep(models, sources[group], emotions[group], truths.get(group)) for group in chosen}


def response_of(outputs: UInt8[np.ndarray, "a h w 3"]) -> float:
    """Return how much the outputs for one face differ: the root mean square deviation of their pixels from the mean.

    It is a fraction of full white, and 0 for a model that ignores its target.
    """
    moved = (outputs.astype(np.float64) - outputs[0]) / 255.0  # exact zeros where nothing moves
    return float(np.sqrt(np.mean(np.var(moved, axis=0))))


def to_metrics(found: dict[str, PlaneSweep]) -> dict:
    """Return `circumplex` of `metrics.json`: the targets, and by age group the mean over faces at each target.

    `rmse` is a root mean square over faces: that of the regressor's predictions, also for the "truth".
    """
    numbers: dict = {"targets": targets().tolist(), "response": responses(found)}
    for group, sweep in found.items():
        numbers[group] = {
            key: {name: values.mean(axis=0).tolist() for name, values in by_model.items()}
            for key, by_model in (
                ("psnr", sweep.psnr),
                ("ssim", sweep.ssim),
                ("nme", sweep.nme),
                ("judged", sweep.predicted),  # the key of stored reports
            )
        }
        errors = {name: _rmse_at_targets(values) for name, values in sweep.predicted.items()}
        numbers[group]["rmse"] = {name: values.tolist() for name, values in errors.items()}
        numbers[group]["response"] = {name: float(values.mean()) for name, values in sweep.response.items()}
        numbers[group]["faces"] = len(sweep.response["avlandmarkgan"])
    return numbers


def _rmse_at_targets(predicted: Float[np.ndarray, "f t 2"]) -> Float[np.ndarray, "t"]:
    """Return the RMSE of the predicted emotions at each target, over faces and both axes."""
    return np.sqrt(np.mean(np.square(predicted.astype(np.float64) - targets()), axis=(0, 2)))


def responses(found: dict[str, PlaneSweep]) -> dict[str, float]:
    """Return the mean response over the faces of all age groups, by model and, for drawn faces, of the "truth"."""
    names = next(iter(found.values())).response
    return {name: float(np.concatenate([sweep.response[name] for sweep in found.values()]).mean()) for name in names}


def _sweep(
    models: Trained, faces: Faces, emotions: Float[np.ndarray, "ft 2"], truths: Iterator[RenderedFace] | None
) -> PlaneSweep:
    """Measure the faces of one group. The rows are all targets of the first face, then those of the next face."""
    outputs = {name: convert(faces.images, faces.landmarks, emotions) for name, convert in models.convert.items()}
    predicted = {name: _by_face(models.predict(output)) for name, output in outputs.items()}
    if truths is None:
        return PlaneSweep({}, {}, {}, predicted, _responses(outputs))
    images, landmarks = next_pictures(truths, len(emotions))
    moved = models.convert_landmarks(faces.landmarks, emotions)
    compared = {**outputs, "do_nothing": faces.images}
    return PlaneSweep(
        psnr={name: _by_face(metrics.psnr(output, images)) for name, output in compared.items()},
        ssim={name: _by_face(metrics.ssim(output, images)) for name, output in compared.items()},
        nme={
            "avlandmarkgan": _by_face(normalised_mean_error(moved, landmarks)),
            "do_nothing": _by_face(normalised_mean_error(faces.landmarks, landmarks)),
        },
        predicted=predicted | {"truth": _by_face(models.predict(images))},
        response=_responses(outputs | {"truth": images}),
    )


def _responses(outputs: dict[str, UInt8[np.ndarray, "ft h w 3"]]) -> dict[str, Float[np.ndarray, "f"]]:
    """Return the response of each face on the ring of radius RESPONSE_RADIUS."""
    start = 1 + RADII.index(RESPONSE_RADIUS) * ANGLES
    rings = {name: _by_face(output)[:, start : start + ANGLES] for name, output in outputs.items()}
    return {name: np.array([response_of(face) for face in ring]) for name, ring in rings.items()}


def _by_face(values: Shaped[np.ndarray, "ft *rest"]) -> Shaped[np.ndarray, "f t *rest"]:
    """Split the rows into faces and targets."""
    return values.reshape(-1, len(targets()), *values.shape[1:])


def one_face_each(faces: Faces, members: Bool[np.ndarray, "n"], seed: int) -> Int[np.ndarray, "k"]:
    """Choose one face of each of up to FACES people among `members`."""
    rows = np.random.default_rng([seed, 0xC1C]).permutation(np.flatnonzero(members))
    _, first = np.unique(np.asarray(faces.subjects)[rows], return_index=True)
    return rows[np.sort(first)][:FACES]

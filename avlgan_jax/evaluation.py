"""Which faces are asked for which emotions, and what the models' answers score.

The models come as plain functions on arrays (`trained.Trained`), the faces as `records.Faces`; nothing here knows
where either lies. Section IV-A is followed where it speaks: the regressor judges the generated pictures, the RMSE is
taken over valence and arousal together, and generated pictures are compared with the training set.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from avlgan_jax import metrics
from avlgan_jax.errors import UserError
from avlgan_jax.landmarks import normalised_mean_error
from avlgan_jax.records import Faces
from avlgan_jax.trained import Trained
from avlgan_jax.truth import Picture, Render

SCHEMA_VERSION = 1
MODELS = ("avlandmarkgan", "avgan")
GROUPS = ("adult", "infant")
CHUNK = 256

Advance = Callable[[int], None]


@dataclass(frozen=True)
class Trials:
    """What is asked: the face at `sources[k]` is to show `targets[k]`."""

    sources: Int[np.ndarray, "n"]
    targets: Float[np.ndarray, "n 2"]


@dataclass(frozen=True)
class Answers:
    """One model's answers, trial by trial, as the judge and (for drawn faces) the truth see them.

    `psnr` in decibels and `nme` as a fraction of the eye distance are None where there is no truth, or no landmarks.
    """

    predicted: Float[np.ndarray, "n 2"]
    features: Float[np.ndarray, "n d"]
    psnr: Float[np.ndarray, "n"] | None
    nme: Float[np.ndarray, "n"] | None


@dataclass(frozen=True)
class Measured:
    """Everything the scores are made of."""

    trials: Trials
    infants: Bool[np.ndarray, "n"]
    answers: dict[str, Answers]
    do_nothing_psnr: Float[np.ndarray, "n"] | None
    do_nothing_nme: Float[np.ndarray, "n"] | None
    judged_real: Float[np.ndarray, "m 2"]
    real_features: Float[np.ndarray, "m d"]
    real_emotions: Float[np.ndarray, "m 2"]
    real_infants: Bool[np.ndarray, "m"]
    reference: dict[str, metrics.Moments] = field(default_factory=dict)


def draw_trials(emotions: Float[np.ndarray, "m 2"], samples: int, seed: int) -> Trials:
    """`samples` trials over the m faces with these labels: each face in turn, with the label of another face.

    The faces go by in one shuffled order, again and again where there are more samples than faces, so no face is asked
    more than once more often than another. Raises UserError where that cannot be done.
    """
    faces = len(emotions)
    if samples < 1:
        raise UserError(f"--samples is {samples}; expected at least 1")
    if faces < 2:
        raise UserError(f"the split holds {faces} face(s); targets are other faces' labels, so at least 2 are needed")
    generator = np.random.default_rng([seed, 0x7E57])
    sources = np.resize(generator.permutation(faces), samples)
    others = (sources + generator.integers(1, faces, size=samples)) % faces
    return Trials(sources, emotions[others])


def reference_moments(models: Trained, training: Faces, advance: Advance) -> dict[str, metrics.Moments]:
    """Moments of the regressor's features of the real training faces: of all, and of each of GROUPS."""
    found: dict[str, metrics.Moments] = {}
    for chunk in _chunks(len(training.images)):
        features = models.features(training.images[chunk])
        for group, members in _members(training.infants[chunk]).items():
            found[group] = found.get(group, metrics.Moments.empty(features.shape[1])).add(features, members)
        advance(len(features))
    return found


def measure(
    models: Trained, faces: Faces, training: Faces, trials: Trials, render: Render | None, advance: Advance
) -> Measured:
    """Run every model over `trials` on `faces` and hold its answers against the judge and the truth.

    `training` gives the real pictures of the Fréchet distance. `render` draws the truth (`truth.renderer`); None, or
    faces without a `face_key`, leave the truth out. `advance` is told the number of pictures done, `work` in all.
    """
    keys = faces.extras.get("face_key")
    truths = render(keys[trials.sources], trials.targets) if render is not None and keys is not None else None
    parts: dict[str, list[Answers]] = {name: [] for name in MODELS}
    still: list[tuple] = []
    for chunk in _chunks(len(trials.sources)):
        sources, targets = trials.sources[chunk], trials.targets[chunk]
        images, landmarks = faces.images[sources], faces.landmarks[sources]
        truth = _take(truths, len(sources)) if truths is not None else None
        moved = models.convert_landmarks(landmarks, targets)
        for name in MODELS:
            output = models.convert[name](images, landmarks, targets)
            parts[name].append(_judge(models, output, moved if name == "avlandmarkgan" else None, truth))
            advance(len(sources))
        if truth is not None:
            still.append((metrics.psnr(images, truth[0]), normalised_mean_error(landmarks, truth[1])))
    judged_real, real_features = _judge_real(models, faces, advance)
    return Measured(
        trials=trials,
        infants=faces.infants[trials.sources],
        answers={name: _joined(answers) for name, answers in parts.items()},
        do_nothing_psnr=_concatenated([pair[0] for pair in still]),
        do_nothing_nme=_concatenated([pair[1] for pair in still]),
        judged_real=judged_real,
        real_features=real_features,
        real_emotions=faces.emotions,
        real_infants=faces.infants,
        reference=reference_moments(models, training, advance),
    )


def work(faces: Faces, training: Faces, samples: int) -> int:
    """How many pictures `measure` reports to `advance` from first to last."""
    return len(MODELS) * samples + len(faces.images) + len(training.images)


def score(measured: Measured) -> dict:
    """The numbers of `metrics.json` (`docs/metrics.md`) less its provenance; what cannot be measured is None."""
    members = _members(measured.infants)
    real = _members(measured.real_infants)
    groups = {}
    for group in GROUPS:
        groups[group] = {name: _model_scores(measured, name, group, members[group]) for name in MODELS}
        groups[group]["do_nothing"] = _do_nothing_scores(measured, members[group])
        groups[group]["regressor"] = _judge_scores(measured, group, real[group])
        groups[group]["samples"] = int(members[group].sum())
    return {
        "schema_version": SCHEMA_VERSION,
        "models": {name: _model_scores(measured, name, "all", members["all"]) for name in MODELS},
        "groups": groups,
        "do_nothing": _do_nothing_scores(measured, members["all"]),
        "regressor": _judge_scores(measured, "all", real["all"]),
    }


def _model_scores(measured: Measured, name: str, group: str, members: Bool[np.ndarray, "n"]) -> dict:
    answers = measured.answers[name]
    return {
        **affect_scores(answers.predicted[members], measured.trials.targets[members]),
        "frechet_regressor": _frechet(answers.features[members], measured.reference[group]),
        "truth_landmark_nme": _mean(answers.nme, members),
        "truth_psnr": _mean(answers.psnr, members),
    }


def _do_nothing_scores(measured: Measured, members: Bool[np.ndarray, "n"]) -> dict:
    trials = measured.trials
    return {
        **affect_scores(measured.judged_real[trials.sources[members]], trials.targets[members]),
        "truth_landmark_nme": _mean(measured.do_nothing_nme, members),
        "truth_psnr": _mean(measured.do_nothing_psnr, members),
    }


def _judge_scores(measured: Measured, group: str, members: Bool[np.ndarray, "m"]) -> dict:
    return {
        **affect_scores(measured.judged_real[members], measured.real_emotions[members]),
        "frechet_regressor": _frechet(measured.real_features[members], measured.reference[group]),
    }


def affect_scores(predicted: Float[np.ndarray, "n 2"], expected: Float[np.ndarray, "n 2"]) -> dict:
    """How well `predicted` emotions agree with `expected` ones; every score is None where there is nothing to score."""
    names = ("rmse", "rmse_valence", "rmse_arousal", "pcc_valence", "pcc_arousal", "ccc_valence", "ccc_arousal")
    if len(predicted) == 0:
        return dict.fromkeys(names)
    scores = {"rmse": metrics.rmse(predicted, expected)}
    for kind, measure_of in (("rmse", metrics.rmse), ("pcc", metrics.pcc), ("ccc", metrics.ccc)):
        for axis, axis_name in enumerate(("valence", "arousal")):
            scores[f"{kind}_{axis_name}"] = measure_of(predicted[:, axis], expected[:, axis])
    return scores


def _judge(
    models: Trained,
    output: UInt8[np.ndarray, "n h w 3"],
    moved: Float[np.ndarray, "n 68 2"] | None,
    truth: tuple[np.ndarray, np.ndarray] | None,
) -> Answers:
    return Answers(
        predicted=models.predict(output),
        features=models.features(output),
        psnr=metrics.psnr(output, truth[0]) if truth is not None else None,
        nme=normalised_mean_error(moved, truth[1]) if truth is not None and moved is not None else None,
    )


def _frechet(features: Float[np.ndarray, "n d"], reference: metrics.Moments) -> float | None:
    if len(features) < 2 or reference.count < 2:
        return None
    return metrics.frechet_distance(metrics.moments(features), reference)


def _joined(answers: list[Answers]) -> Answers:
    return Answers(
        predicted=np.concatenate([part.predicted for part in answers]),
        features=np.concatenate([part.features for part in answers]),
        psnr=_concatenated([part.psnr for part in answers if part.psnr is not None]),
        nme=_concatenated([part.nme for part in answers if part.nme is not None]),
    )


def _concatenated(parts: list[np.ndarray]) -> np.ndarray | None:
    return np.concatenate(parts) if parts else None


def _mean(values: Float[np.ndarray, "n"] | None, members: Bool[np.ndarray, "n"]) -> float | None:
    return float(np.mean(values[members], dtype=np.float64)) if values is not None and members.any() else None


def _members(infants: Bool[np.ndarray, "n"]) -> dict[str, Bool[np.ndarray, "n"]]:
    return {"all": np.ones(len(infants), bool), "adult": ~infants, "infant": infants}


def _chunks(count: int) -> Iterator[slice]:
    for start in range(0, count, CHUNK):
        yield slice(start, min(start + CHUNK, count))


def _take(truths: Iterator[Picture], count: int) -> tuple[np.ndarray, np.ndarray]:
    pictures = [next(truths) for _ in range(count)]
    return np.stack([image for image, _ in pictures]), np.stack([landmarks for _, landmarks in pictures])


def _judge_real(models: Trained, faces: Faces, advance: Advance) -> tuple[np.ndarray, np.ndarray]:
    predicted, features = [], []
    for chunk in _chunks(len(faces)):
        images = faces.images[chunk]
        predicted.append(models.predict(images))
        features.append(models.features(images))
        advance(len(images))
    return np.concatenate(predicted), np.concatenate(features)

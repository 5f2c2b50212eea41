"""The numbers of `metrics.json`, and how sure they are, from what `evaluation` measured.

What cannot be measured (a group nobody belongs to, the truth of a photograph, avGAN's landmarks) is None, never NaN.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from avlgan_jax.evaluation import bootstrap, metrics
from avlgan_jax.evaluation.trials import (
    GROUPS,
    MODELS,
    PAIRED_FEATURES,
    JudgedOutputs,
    ReferenceFeatures,
    TrialResults,
    by_group,
)

SCHEMA_VERSION = 1
AXES = ("valence", "arousal")
AFFECT = ("rmse", *(f"{kind}_{axis}" for kind in ("rmse", "pcc", "ccc", "sagr") for axis in AXES))
DISTRIBUTION = ("frechet_regressor", "kid_regressor", "precision_regressor", "recall_regressor")
INCEPTION = ("fid", "kid", "precision", "recall")
TRUTH = {"truth_landmark_nme": "nme", "truth_psnr": "psnr", "truth_ssim": "ssim"}

# Precision and recall reach to the third neighbour, so they need a fourth vector.
FEWEST_VECTORS = 4

Row = dict[str, float | None]


def score(measured: TrialResults) -> dict:
    """Every score: `models`, `groups`, `do_nothing` and `regressor` of `metrics.json`."""

    def rows(group: str) -> dict[str, Row]:
        trials = by_group(measured.trials.infants)[group]
        real = by_group(measured.real.infants)[group]

        def affect(answers: JudgedOutputs) -> Row:
            return affect_scores(answers.predicted[trials], measured.trials.emotions[trials])

        generated = {
            name: {
                **affect(answers),
                **_distributions(measured, answers, trials, group),
                **_truth_scores(answers, trials),
            }
            for name, answers in measured.models.items()
        }
        judge = {
            **affect_scores(measured.real_answers.predicted[real], measured.real.emotions[real]),
            **_distributions(measured, measured.real_answers, real, group),
        }
        nothing = {**affect(measured.do_nothing), **_truth_scores(measured.do_nothing, trials)}
        return {**generated, "do_nothing": nothing, "regressor": judge}

    counts = {group: int(members.sum()) for group, members in by_group(measured.trials.infants).items()}
    return _arranged(rows("all"), {group: {**rows(group), "samples": counts[group]} for group in GROUPS})


def intervals(measured: TrialResults, seed: int) -> dict:
    """The 95 % intervals [low, high] of the scores, arranged as they are, by drawing people again (`bootstrap`).

    `difference` is that of avLandmarkGAN less avGAN on the same draws: where it leaves out 0, the one is better.
    """

    def rows(group: str) -> dict[str, dict]:
        trials = by_group(measured.trials.infants)[group]
        real = by_group(measured.real.infants)[group]
        people = bootstrap.draw_people(measured.trials.people[trials], seed)
        real_people = bootstrap.draw_people(measured.real.people[real], seed)
        expected = measured.trials.emotions[trials]

        def draws(answers: JudgedOutputs) -> dict[str, np.ndarray | None]:
            affect = bootstrap.affect_draws(answers.predicted[trials], expected, people)
            return {**affect, **_truth_draws(answers, trials, people)}

        drawn = {name: draws(answers) for name, answers in measured.models.items()}
        ours, rival = (drawn[name] for name in MODELS)
        drawn["difference"] = {
            name: ours[name] - rival[name] for name in ours if ours[name] is not None and rival[name] is not None
        }
        drawn["do_nothing"] = draws(measured.do_nothing)
        drawn["regressor"] = bootstrap.affect_draws(
            measured.real_answers.predicted[real], measured.real.emotions[real], real_people
        )
        return {row: {k: bootstrap.interval(v) for k, v in values.items()} for row, values in drawn.items()}

    return {"level": bootstrap.LEVEL, **_arranged(rows("all"), {group: rows(group) for group in GROUPS})}


def affect_scores(predicted: Float[np.ndarray, "n 2"], expected: Float[np.ndarray, "n 2"]) -> Row:
    """How well `predicted` emotions agree with `expected` ones: each of AFFECT."""
    if len(predicted) == 0:
        return dict.fromkeys(AFFECT)
    kinds: dict[str, Callable] = {"rmse": metrics.rmse, "pcc": metrics.pcc, "ccc": metrics.ccc, "sagr": metrics.sagr}
    by_axis = {
        f"{kind}_{name}": of(predicted[:, axis], expected[:, axis])
        for kind, of in kinds.items()
        for axis, name in enumerate(AXES)
    }
    return {"rmse": metrics.rmse(predicted, expected), **by_axis}


def _distributions(measured: TrialResults, answers: JudgedOutputs, members: Bool[np.ndarray, "n"], group: str) -> Row:
    """DISTRIBUTION in the judge's features, INCEPTION in those of FID (None where they were not asked for)."""
    judged = distribution_scores(answers.features[members], measured.reference, group)
    if answers.inception is None:
        return {**judged, **dict.fromkeys(INCEPTION)}
    in_fid = distribution_scores(answers.inception[members], measured.inception_reference, group)
    return {**judged, **dict(zip(INCEPTION, in_fid.values(), strict=True))}


def distribution_scores(features: Float[np.ndarray, "n d"], reference: ReferenceFeatures, group: str) -> Row:
    """How far the features lie from those of the real training faces of `group`: each of DISTRIBUTION."""
    real = reference.features[by_group(reference.infants)[group]]
    if min(len(features), len(real)) < FEWEST_VECTORS:
        return dict.fromkeys(DISTRIBUTION)
    some = features[:PAIRED_FEATURES]
    values = (
        metrics.frechet_distance(metrics.moments(features), reference.moments[group]),
        metrics.kernel_distance(some, real),
        *metrics.precision_recall(some, real),
    )
    return dict(zip(DISTRIBUTION, values, strict=True))


def _truth_scores(answers: JudgedOutputs, members: Bool[np.ndarray, "n"]) -> Row:
    found = {key: _likeness(answers, field) for key, field in TRUTH.items()}
    return {
        key: float(np.mean(values[members], dtype=np.float64)) if values is not None and members.any() else None
        for key, values in found.items()
    }


def _truth_draws(answers: JudgedOutputs, members: np.ndarray, people: bootstrap.People) -> dict[str, np.ndarray | None]:
    found = {key: _likeness(answers, field) for key, field in TRUTH.items()}
    return {
        key: bootstrap.mean_draws(values[members].astype(np.float64), people) if values is not None else None
        for key, values in found.items()
    }


def _likeness(answers: JudgedOutputs, field: str) -> Float[np.ndarray, "n"] | None:
    return getattr(answers.likeness, field) if answers.likeness is not None else None


def _arranged(everyone: dict, groups: dict) -> dict:
    """The rows of everyone and of the groups in the places they have in `metrics.json`."""
    others = {name: row for name, row in everyone.items() if name not in MODELS}
    return {"models": {name: everyone[name] for name in MODELS}, "groups": groups, **others}

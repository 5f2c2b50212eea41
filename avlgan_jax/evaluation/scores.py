"""The scores in `metrics.json` and their confidence intervals, computed from the results of `trials.measure`.

Scores that cannot be computed (of a group without people, of photographs against a ground truth, of avGAN's landmarks)
are None, never NaN.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from avlgan_jax.data.records import AGE_GROUPS
from avlgan_jax.evaluation import bootstrap, metrics
from avlgan_jax.evaluation.trials import (
    PAIRED_FEATURES,
    ReferenceFeatures,
    ScoredOutputs,
    TrialResults,
    by_group,
)
from avlgan_jax.faces.emotions import AXES

SCHEMA_VERSION = 1
AFFECT = ("rmse", *(f"{kind}_{axis}" for kind in ("rmse", "pcc", "ccc", "sagr") for axis in AXES))
DISTRIBUTION = ("frechet_regressor", "kid_regressor", "precision_regressor", "recall_regressor")
INCEPTION = ("fid", "kid", "precision", "recall")
# The scores of both that are distances of distributions, in the regressor's features and in Inception's.
DISTANCES = {"features": ("frechet_regressor", "kid_regressor"), "inception": ("fid", "kid")}
TRUTH = {"truth_landmark_nme": "nme", "truth_psnr": "psnr", "truth_ssim": "ssim"}

# Precision and recall need a vector and its neighbours.
FEWEST_VECTORS = metrics.NEIGHBOUR + 1

Row = dict[str, float | None]


def score(measured: TrialResults) -> dict:
    """Compute all scores of the trials: `models`, `groups`, `do_nothing` and `regressor` of `metrics.json`."""

    def rows(group: str) -> dict[str, Row]:
        trials = by_group(measured.trials.infants)[group]
        real = by_group(measured.real.infants)[group]

        def affect(outputs: ScoredOutputs) -> Row:
            return affect_scores(outputs.predicted[trials], measured.trials.emotions[trials])

        generated = {
            name: {
                **affect(outputs),
                **_distributions(measured, outputs, trials, group),
                **_truth_scores(outputs, trials),
            }
            for name, outputs in measured.models.items()
        }
        regressor = {
            **affect_scores(measured.real_outputs.predicted[real], measured.real.emotions[real]),
            **_distributions(measured, measured.real_outputs, real, group),
        }
        unchanged = {**affect(measured.do_nothing), **_truth_scores(measured.do_nothing, trials)}
        return {**generated, "do_nothing": unchanged, "regressor": regressor}

    counts = {group: int(members.sum()) for group, members in by_group(measured.trials.infants).items()}
    groups = {group: {**rows(group), "samples": counts[group]} for group in AGE_GROUPS}
    return _arranged(measured, rows("all"), groups)


def intervals(measured: TrialResults, seed: int) -> dict:
    """Compute the 95 % confidence intervals of the scores over people (see `bootstrap`).

    Those of DISTANCES are by a jackknife, all others by a bootstrap.

    Args:
        measured: Results of the trials.
        seed: Seed of the bootstrap draws.

    Returns:
        The confidence level and, in the rows of `score`, [low, high] of each score or None. The additional row
        `difference` is the score of avLandmarkGAN minus that of avGAN on the same draws: if its interval excludes 0,
        one of the models is better. There is no such row without avGAN.
    """

    def rows(group: str) -> dict[str, dict]:
        trials = by_group(measured.trials.infants)[group]
        real = by_group(measured.real.infants)[group]
        people = bootstrap.draw_people(measured.trials.people[trials], seed)
        real_people = bootstrap.draw_people(measured.real.people[real], seed)
        expected = measured.trials.emotions[trials]

        def draws(outputs: ScoredOutputs) -> dict[str, np.ndarray | None]:
            affect = bootstrap.affect_draws(outputs.predicted[trials], expected, people)
            return {**affect, **_truth_draws(outputs, trials, people)}

        drawn = {name: draws(outputs) for name, outputs in measured.models.items()}
        if "avgan" in drawn:
            drawn["difference"] = _differences(drawn["avlandmarkgan"], drawn["avgan"])
        drawn["do_nothing"] = draws(measured.do_nothing)
        drawn["regressor"] = bootstrap.affect_draws(
            measured.real_outputs.predicted[real], measured.real.emotions[real], real_people
        )
        found = {row: {k: bootstrap.interval(v) for k, v in values.items()} for row, values in drawn.items()}
        apart = {
            name: _distances(outputs, measured, bootstrap.groups_of_people(measured.trials.people, seed), trials, group)
            for name, outputs in measured.models.items()
        }
        if "avgan" in apart:
            apart["difference"] = _differences(apart["avlandmarkgan"], apart["avgan"])
        real_groups = bootstrap.groups_of_people(measured.real.people, seed)
        apart["regressor"] = _distances(measured.real_outputs, measured, real_groups, real, group)
        return {
            row: values | {k: bootstrap.jackknife_interval(v[0], v[1:]) for k, v in apart.get(row, {}).items()}
            for row, values in found.items()
        }

    groups = {group: rows(group) for group in AGE_GROUPS}
    return {"level": bootstrap.LEVEL, **_arranged(measured, rows("all"), groups)}


def affect_scores(predicted: Float[np.ndarray, "n 2"], expected: Float[np.ndarray, "n 2"]) -> Row:
    """Return the scores AFFECT, which measure how well `predicted` emotions agree with `expected` emotions.

    Labels that are absent (NaN) do not count. The scores of an axis without labels are None, and so is `rmse`, which is
    over both axes.
    """
    kinds: dict[str, Callable] = {"rmse": metrics.rmse, "pcc": metrics.pcc, "ccc": metrics.ccc, "sagr": metrics.sagr}
    known = ~np.isnan(expected)
    by_axis = {
        f"{kind}_{name}": of(predicted[known[:, axis], axis], expected[known[:, axis], axis])
        if known[:, axis].any()
        else None
        for kind, of in kinds.items()
        for axis, name in enumerate(AXES)
    }
    complete = known.any(axis=0).all()
    return {"rmse": metrics.rmse(predicted[known], expected[known]) if complete else None, **by_axis}


def _distributions(measured: TrialResults, outputs: ScoredOutputs, members: Bool[np.ndarray, "n"], group: str) -> Row:
    """Return DISTRIBUTION in the regressor's features and INCEPTION in Inception's (None if they were not computed)."""
    regressor = distribution_scores(outputs.features[members], measured.reference, group)
    if outputs.inception is None:
        return {**regressor, **dict.fromkeys(INCEPTION)}
    inception = distribution_scores(outputs.inception[members], measured.inception_reference, group)
    return {**regressor, **dict(zip(INCEPTION, inception.values(), strict=True))}


def distribution_scores(features: Float[np.ndarray, "n d"], reference: ReferenceFeatures, group: str) -> Row:
    """Return the scores DISTRIBUTION, which compare features with those of the training faces.

    Args:
        features: Feature vectors of the images to score.
        reference: Features of the training faces.
        group: Training faces to compare with: "all" or one of AGE_GROUPS.

    Returns:
        The scores; all None if either side has fewer than FEWEST_VECTORS vectors.
    """
    real = reference.groups[group]
    if min(len(features), len(real.vectors)) < FEWEST_VECTORS:
        return dict.fromkeys(DISTRIBUTION)
    paired = metrics.FeatureSet(features[:PAIRED_FEATURES])
    values = (
        metrics.frechet_distance(metrics.moments(features), reference.moments[group]),
        metrics.kernel_distance(paired, real),
        *metrics.precision_recall(paired, real),
    )
    return dict(zip(DISTRIBUTION, values, strict=True))


def _distances(
    outputs: ScoredOutputs,
    measured: TrialResults,
    people_groups: Int[np.ndarray, "n"],
    members: Bool[np.ndarray, "n"],
    group: str,
) -> dict[str, Float[np.ndarray, "1+g"]]:
    """Return `jackknifed_distances` of some rows of the outputs in every feature space that was computed."""
    found: dict[str, np.ndarray] = {}
    for (space, names), reference in zip(
        DISTANCES.items(), (measured.reference, measured.inception_reference), strict=True
    ):
        features = getattr(outputs, space)
        if features is not None and reference is not None:
            values = jackknifed_distances(features[members], people_groups[members], reference, group)
            found |= dict(zip(names, values, strict=True)) if values is not None else {}
    return found


def jackknifed_distances(
    features: Float[np.ndarray, "n d"], people_groups: Int[np.ndarray, "n"], reference: ReferenceFeatures, group: str
) -> tuple[Float[np.ndarray, "1+g"], Float[np.ndarray, "1+g"]] | None:
    """Return the Fréchet and the kernel distance to the training faces: of all people, then without each group of them.

    Args:
        features: Feature vectors of the images to score.
        people_groups: Group of people of each vector (`bootstrap.groups_of_people`).
        reference: Features of the training faces.
        group: Training faces to compare with: "all" or one of AGE_GROUPS.

    Returns:
        The distances, or None if there are fewer than two groups, or too few vectors without one of them.
    """
    _, parts = np.unique(people_groups, return_inverse=True)
    sizes = np.bincount(parts)
    real = reference.groups[group]
    if len(sizes) < 2 or min(len(features) - sizes.max(), len(real.vectors)) < FEWEST_VECTORS:
        return None
    kept = [metrics.moments(features[parts != part]) for part in range(len(sizes))]
    frechet = metrics.frechet_distances([metrics.moments(features), *kept], reference.moments[group])
    paired = features[:PAIRED_FEATURES]
    without = metrics.kernel_distances_without(paired, parts[:PAIRED_FEATURES], real)
    return np.array(frechet), np.array([metrics.kernel_distance(metrics.FeatureSet(paired), real), *without])


def _truth_scores(outputs: ScoredOutputs, members: Bool[np.ndarray, "n"]) -> Row:
    """Return the mean similarities to the ground truth by the names in TRUTH, None where there is none."""
    found = {key: _similarity(outputs, field) for key, field in TRUTH.items()}
    return {
        key: float(np.mean(values[members], dtype=np.float64)) if values is not None and members.any() else None
        for key, values in found.items()
    }


def _truth_draws(outputs: ScoredOutputs, members: np.ndarray, people: bootstrap.People) -> dict[str, np.ndarray | None]:
    """Return the scores of `_truth_scores` on each bootstrap draw."""
    found = {key: _similarity(outputs, field) for key, field in TRUTH.items()}
    return {
        key: bootstrap.mean_draws(values[members].astype(np.float64), people) if values is not None else None
        for key, values in found.items()
    }


def _similarity(outputs: ScoredOutputs, field: str) -> Float[np.ndarray, "n"] | None:
    """Return one measure of the similarity to the ground truth, or None if there is no ground truth."""
    return getattr(outputs.likeness, field) if outputs.likeness is not None else None


def _differences(first: dict, second: dict) -> dict[str, np.ndarray]:
    """Return the differences of the draws of the scores that both models have."""
    both = (name for name in first if first[name] is not None and second.get(name) is not None)
    return {name: first[name] - second[name] for name in both}


def _arranged(measured: TrialResults, all_people: dict, groups: dict) -> dict:
    """Arrange the rows of all people and of the groups as in `metrics.json`."""
    others = {name: row for name, row in all_people.items() if name not in measured.models}
    return {"models": {name: all_people[name] for name in measured.models}, "groups": groups, **others}

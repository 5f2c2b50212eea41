"""Confidence intervals of the scores, by a bootstrap over people, draws of the targets, and trainings.

Distances of distributions have a jackknife over people instead (`jackknife_interval`).

Errors are correlated among the trials of one face and among the faces of one person. Each draw therefore resamples
people with replacement and takes all trials of each (the cluster bootstrap). Where the targets were drawn several times
or a model was trained several times, each draw resamples those too (`Crossed`). The agreement scores depend on the data
only through a few means, so a thousand draws cost one matrix product.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy import special

from avlgan_jax.faces.emotions import AXES

DRAWS = 1000
LEVEL = 0.95
# Into how many groups the jackknife divides the people.
GROUPS = 20

# Variances up to this count as 0: rounding of float32 values and of sums gives a constant a tiny variance.
CONSTANT = 1e-14


@dataclass(frozen=True)
class People:
    """The person of each of n rows, and the bootstrap draws of p people."""

    person: Int[np.ndarray, "n"]
    """Index of each row's person, from 0 to p - 1."""
    drawn: Int[np.ndarray, "draws p"]
    """How often each person occurs in each draw."""


def draw_people(people: Shaped[np.ndarray, "n"], seed: int) -> People:
    """Draw people with replacement, DRAWS times.

    Args:
        people: Identifier of the person of each row.
        seed: Seed of the draws.

    Returns:
        The draws, each of as many people as `people` has distinct values.
    """
    names, person = np.unique(people, return_inverse=True)
    count = len(names)
    generator = np.random.default_rng([seed, 0xB007])
    shares = np.full(count, 1.0 / max(count, 1))
    drawn = generator.multinomial(count, shares, size=DRAWS) if count else np.zeros((DRAWS, 0), np.int64)
    return People(person, drawn)


def mean_draws(values: Float[np.ndarray, "n *k"], people: People) -> Float[np.ndarray, "draws *k"] | None:
    """Return the mean of `values` over the rows of each draw.

    Returns:
        One mean for each draw. None for fewer than two people, because then all draws are the same.
    """
    count = people.drawn.shape[1]
    if count < 2:
        return None
    sums = np.zeros((count, *values.shape[1:]))
    np.add.at(sums, people.person, values)
    rows = people.drawn @ np.bincount(people.person, minlength=count)
    return np.tensordot(people.drawn, sums, 1) / rows.reshape(-1, *[1] * (values.ndim - 1))


@dataclass(frozen=True)
class Crossed:
    """The person and the trial seed of each of n rows, and draws of people, trial seeds and trainings.

    Trial seeds and trainings are few. Of k of them a draw takes k - 1 with replacement: with k, the variance of the
    draws would be too small by the factor (k - 1) / k (Rao and Wu, JASA 1988). A single one is always taken.
    """

    people: People
    trial_seed: Int[np.ndarray, "n"]
    """Index of each row's draw of the targets, from 0 to t - 1."""
    trial_seeds_drawn: Int[np.ndarray, "draws t"]
    trainings_drawn: Int[np.ndarray, "draws s"]


def draw_crossed(
    people: Shaped[np.ndarray, "n"], trial_seed: Int[np.ndarray, "n"], trainings: int, seed: int
) -> Crossed:
    """Draw people, trial seeds and trainings, DRAWS times.

    Args:
        people: Identifier of the person of each row.
        trial_seed: Index of the draw of the targets of each row, from 0.
        trainings: Number of trainings, each of which has a value for every row.
        seed: Seed of the draws. The draws of people are those of `draw_people`.
    """
    generator = np.random.default_rng([seed, 0xC805])

    def draw_few(count: int) -> Int[np.ndarray, "draws count"]:
        return generator.multinomial(max(count - 1, 1), np.full(count, 1.0 / count), size=DRAWS)

    trial_seeds = int(trial_seed.max()) + 1 if len(trial_seed) else 1
    return Crossed(draw_people(people, seed), trial_seed, draw_few(trial_seeds), draw_few(trainings))


def crossed_mean_draws(values: Float[np.ndarray, "s n *k"], crossed: Crossed) -> Float[np.ndarray, "draws *k"] | None:
    """Return the mean of `values` over the rows and trainings of each draw.

    Returns:
        One mean for each draw. None for fewer than two people. NaN for a draw without rows.
    """
    people = crossed.people
    persons, seeds = people.drawn.shape[1], crossed.trial_seeds_drawn.shape[1]
    if persons < 2:
        return None
    place = (people.person, crossed.trial_seed)
    counts = np.zeros((persons, seeds))
    np.add.at(counts, place, 1.0)
    rows = np.einsum("dp,pt,dt->d", people.drawn, counts, crossed.trial_seeds_drawn, optimize=True)
    total = 0.0
    for training, drawn in zip(values, crossed.trainings_drawn.T, strict=True):
        sums = np.zeros((persons, seeds, *values.shape[2:]))
        np.add.at(sums, place, training)
        by_trial_seed = np.tensordot(people.drawn, sums, 1)
        total = total + np.einsum("d,dt,dt...->d...", drawn, crossed.trial_seeds_drawn, by_trial_seed)
    trainings = crossed.trainings_drawn.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return total / (rows * trainings).reshape(-1, *[1] * (values.ndim - 2))


def affect_draws(
    predicted: Float[np.ndarray, "n 2"], expected: Float[np.ndarray, "n 2"], people: People
) -> dict[str, Float[np.ndarray, "draws"] | None]:
    """Compute every score of `scores.affect_scores` on each draw.

    Args:
        predicted: The predicted emotions.
        expected: The labels or targets, NaN where there is none.
        people: The draws of people.

    Returns:
        By name of the score, one value for each draw, NaN for a draw without labels. The values are None for fewer than
        two people with labels.
    """
    return _affect(mean_draws(_affect_moments(predicted, expected), people), _people_with_labels(expected, people))


def crossed_affect_draws(
    predicted: Float[np.ndarray, "s n 2"], expected: Float[np.ndarray, "n 2"], crossed: Crossed
) -> dict[str, Float[np.ndarray, "draws"] | None]:
    """As `affect_draws`, for the predictions of several trainings for the same rows."""
    moments = np.stack([_affect_moments(training, expected) for training in predicted])
    return _affect(crossed_mean_draws(moments, crossed), _people_with_labels(expected, crossed.people))


def _affect_moments(
    predicted: Float[np.ndarray, "n 2"], expected: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n 8 2"]:
    """Return the values of each row whose means give all scores; the last is 1, and all are 0 without a label."""
    known = ~np.isnan(expected)
    p, e = (np.where(known, values, 0.0).astype(np.float64) for values in (predicted, expected))
    agree = (known & (np.sign(p) == np.sign(e))).astype(np.float64)
    return np.stack([p, e, p * p, e * e, p * e, (p - e) ** 2, agree, known.astype(np.float64)], axis=1)


def _people_with_labels(expected: Float[np.ndarray, "n 2"], people: People) -> list[int]:
    """Return for each axis the number of people who have a label."""
    return [len(np.unique(people.person[~np.isnan(expected[:, axis])])) for axis in range(len(AXES))]


def _affect(
    moments: Float[np.ndarray, "draws 8 2"] | None, with_labels: list[int]
) -> dict[str, Float[np.ndarray, "draws"] | None]:
    """Return the scores of each draw from the means of `_affect_moments` and the number of people with labels."""
    measured = [moments is not None and count >= 2 for count in with_labels]
    if not any(measured):
        names = ["rmse", *(f"{kind}_{axis}" for kind in ("rmse", "pcc", "ccc", "sagr") for axis in AXES)]
        return dict.fromkeys(names)
    shares = moments[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw without labels
        means = moments[:, :-1] / shares[:, None]
    mean_p, mean_e, squares_p, squares_e, products, errors, agreement = np.moveaxis(means, 1, 0)
    variance_p, variance_e = squares_p - mean_p**2, squares_e - mean_e**2
    varies = np.minimum(variance_p, variance_e) > CONSTANT
    covariance = np.where(varies, products - mean_p * mean_e, 0.0)
    spread = np.sqrt(np.where(varies, variance_p * variance_e, 1.0))
    disagreement = np.maximum(variance_p, 0.0) + np.maximum(variance_e, 0.0) + (mean_p - mean_e) ** 2
    scores = {
        "rmse": np.sqrt(errors),
        "pcc": covariance / spread,
        "ccc": np.where(disagreement > CONSTANT, 2.0 * covariance / np.maximum(disagreement, CONSTANT), 1.0),
        "sagr": agreement,
    }
    by_axis = {
        f"{kind}_{axis}": np.where(shares[:, k] > 0.0, values[:, k], np.nan) if measured[k] else None
        for kind, values in scores.items()
        for k, axis in enumerate(AXES)
    }
    # Over both axes together: without labels of one of them it would be another score.
    together = np.sqrt((errors * shares).sum(axis=1) / shares.sum(axis=1)) if all(measured) else None
    return {"rmse": together, **by_axis}


def interval(draws: Float[np.ndarray, "draws"] | None) -> list[float] | None:
    """Return the percentile interval [low, high] of a score's draws at LEVEL, or None if there are no draws.

    Draws in which the score could not be measured, NaN, are left out.
    """
    draws = None if draws is None else draws[~np.isnan(draws)]
    if draws is None or not len(draws):
        return None
    tail = 50.0 * (1.0 - LEVEL)
    return [float(bound) for bound in np.percentile(draws, (tail, 100.0 - tail))]


def groups_of_people(people: Shaped[np.ndarray, "n"], seed: int) -> Int[np.ndarray, "n"]:
    """Divide the people at random into up to GROUPS groups of equally many, and return the group of each row.

    Args:
        people: Identifier of the person of each row.
        seed: Seed of the division.
    """
    names, person = np.unique(people, return_inverse=True)
    order = np.random.default_rng([seed, 0x1ACF]).permutation(len(names))
    return (order % min(GROUPS, max(len(names), 1)))[person]


def jackknife_interval(value: float, without: Float[np.ndarray, "g"]) -> list[float] | None:
    """Return the interval [low, high] of a score at LEVEL from its values without each of g groups of people.

    It is for scores that a bootstrap would bias: a draw with replacement has the same picture several times, so its
    distribution is narrower than that of as many people. The delete-a-group jackknife (Kott, J. Official Statistics
    2001) leaves people out and repeats none. The interval is symmetric, of Student's distribution with g - 1 degrees of
    freedom.

    Args:
        value: The score of all people.
        without: The scores without each group.

    Returns:
        The interval; None for fewer than two groups.
    """
    count = len(without)
    if count < 2:
        return None
    deviation = np.sqrt((count - 1) / count * np.sum(np.square(without - np.mean(without))))
    width = float(special.stdtrit(count - 1, 0.5 * (1.0 + LEVEL)) * deviation)
    return [value - width, value + width]

"""Bootstrap intervals: comparison of the draws with the scores, and of the width with the standard error."""

import numpy as np
import pytest

from avlgan_jax.evaluation import bootstrap, metrics, scores


def test_each_draw_has_the_scores_of_its_rows():
    generator = np.random.default_rng(0)
    predicted, expected = generator.normal(size=(2, 30, 2))
    names = np.array([f"p{k % 7}" for k in range(30)])
    people = bootstrap.draw_people(names, seed=1)
    draws = bootstrap.affect_draws(predicted, expected, people)
    assert set(draws) == set(scores.AFFECT)
    for draw in (0, 1, 999):
        rows = np.repeat(np.arange(30), people.drawn[draw, people.person])
        assert len(rows) > 0
        for name, value in scores.affect_scores(predicted[rows], expected[rows]).items():
            assert draws[name][draw] == pytest.approx(value, abs=1e-9)


def test_the_interval_of_a_mean_follows_its_standard_error():
    values = np.random.default_rng(1).normal(size=400)
    people = bootstrap.draw_people(np.arange(400), seed=0)
    low, high = bootstrap.interval(bootstrap.mean_draws(values, people))
    assert low < values.mean() < high
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.12)


def test_repeated_rows_of_the_same_people_do_not_narrow_the_interval():
    values = np.random.default_rng(2).normal(size=50)
    once = bootstrap.mean_draws(values, bootstrap.draw_people(np.arange(50), seed=0))
    repeated = bootstrap.mean_draws(np.repeat(values, 10), bootstrap.draw_people(np.repeat(np.arange(50), 10), seed=0))
    np.testing.assert_allclose(repeated, once)


def test_a_constant_prediction_has_a_correlation_of_zero_in_every_draw():
    expected = np.random.default_rng(3).uniform(-1, 1, (40, 2))
    people = bootstrap.draw_people(np.arange(40), seed=0)
    draws = bootstrap.affect_draws(np.full((40, 2), 0.1), expected, people)
    assert not draws["pcc_valence"].any()
    assert np.abs(draws["ccc_valence"]).max() < 1e-9


@pytest.mark.parametrize("rows", [0, 5])
def test_fewer_than_two_people_have_no_interval(rows):
    people = bootstrap.draw_people(np.full(rows, "one person"), seed=0)
    draws = bootstrap.affect_draws(np.zeros((rows, 2)), np.ones((rows, 2)), people)
    assert set(draws) == set(scores.AFFECT)
    assert {name: bootstrap.interval(values) for name, values in draws.items()} == dict.fromkeys(scores.AFFECT)


def test_a_crossed_draw_has_the_mean_of_its_rows_and_trainings():
    generator = np.random.default_rng(4)
    names, trial_seed = np.array([f"p{k % 6}" for k in range(24)]), np.arange(24) // 12
    values = generator.normal(size=(3, 24))
    crossed = bootstrap.draw_crossed(names, trial_seed, trainings=3, seed=5)
    draws = bootstrap.crossed_mean_draws(values, crossed)
    assert (crossed.trainings_drawn.sum(axis=1) == 2).all()
    assert (crossed.trial_seeds_drawn.sum(axis=1) == 1).all()
    for draw in (0, 7, 999):
        rows = np.repeat(
            np.arange(24),
            crossed.people.drawn[draw, crossed.people.person] * crossed.trial_seeds_drawn[draw, trial_seed],
        )
        trainings = np.repeat(np.arange(3), crossed.trainings_drawn[draw])
        assert draws[draw] == pytest.approx(values[np.ix_(trainings, rows)].mean(), abs=1e-12)


def test_one_training_and_one_draw_of_the_targets_give_the_draws_over_people():
    generator = np.random.default_rng(6)
    predicted, expected = generator.normal(size=(2, 30, 2))
    names = np.array([f"p{k % 9}" for k in range(30)])
    crossed = bootstrap.draw_crossed(names, np.zeros(30, int), trainings=1, seed=3)
    ours = bootstrap.crossed_affect_draws(predicted[None], expected, crossed)
    theirs = bootstrap.affect_draws(predicted, expected, bootstrap.draw_people(names, seed=3))
    for name, draws in theirs.items():
        np.testing.assert_allclose(ours[name], draws, atol=1e-12)


def test_crossed_intervals_hold_the_true_mean_about_as_often_as_they_say():
    generator = np.random.default_rng(7)
    held, held_by_people_alone = 0, 0
    for trial in range(100):
        people, zeros = np.arange(40), np.zeros(40, int)
        values = generator.normal(size=(5, 1)) * 0.6 + generator.normal(size=40)  # trainings differ much
        for trainings in (values, values.mean(axis=0, keepdims=True)):
            crossed = bootstrap.draw_crossed(people, zeros, len(trainings), seed=trial)
            low, high = bootstrap.interval(bootstrap.crossed_mean_draws(trainings, crossed))
            if len(trainings) > 1:
                held += low <= 0.0 <= high
            else:
                held_by_people_alone += low <= 0.0 <= high
    assert held >= 84
    assert held_by_people_alone <= 75


def test_absent_labels_have_no_part_in_the_draws():
    generator = np.random.default_rng(4)
    predicted, expected = generator.normal(size=(2, 30, 2))
    expected[generator.random(30) < 0.4, 1] = np.nan
    names = np.arange(30) % 10
    people = bootstrap.draw_people(names, seed=1)
    draws = bootstrap.affect_draws(predicted, expected, people)
    for draw in (0, 1, 999):
        rows = np.repeat(np.arange(30), people.drawn[draw, people.person])
        for name, value in scores.affect_scores(predicted[rows], expected[rows]).items():
            assert draws[name][draw] == pytest.approx(value, abs=1e-9)
    complete = bootstrap.affect_draws(predicted, np.nan_to_num(expected), people)
    np.testing.assert_array_equal(draws["rmse_valence"], complete["rmse_valence"])


def test_an_axis_without_labels_has_no_interval():
    expected = np.stack([np.linspace(-1, 1, 20), np.full(20, np.nan)], axis=1)
    expected[0, 1] = 0.5  # of one person: all draws that have it are the same
    draws = bootstrap.affect_draws(np.zeros((20, 2)), expected, bootstrap.draw_people(np.arange(20), seed=0))
    measured = {name for name, values in draws.items() if bootstrap.interval(values) is not None}
    assert measured == {"rmse_valence", "pcc_valence", "ccc_valence", "sagr_valence"}


def test_the_draw_of_the_targets_is_in_the_interval():
    """A score over four trials of each of 40 people, whose targets vary much, against its mean over all of both.

    The trials of two people have independent targets, so a draw of people is a draw of targets too. An interval over
    people holds the mean as often as it says; one over trial seeds as well is wider: it counts the targets twice.
    """
    generator = np.random.default_rng(11)
    names, trial_seed, held = np.tile(np.arange(40), 4), np.repeat(np.arange(4), 40), np.zeros(2)
    for study in range(400):
        values = np.tile(generator.normal(0, 0.5, 40), 4) + generator.normal(0, 2.0, 160)
        people = bootstrap.draw_people(names, seed=study)
        crossed = bootstrap.draw_crossed(names, trial_seed, trainings=1, seed=study)
        for place, draws in enumerate(
            (bootstrap.mean_draws(values, people), bootstrap.crossed_mean_draws(values[None], crossed))
        ):
            low, high = bootstrap.interval(draws)
            held[place] += low <= 0.0 <= high
    alone, also_trial_seeds = held / 400
    assert 0.92 <= alone <= 0.975
    assert also_trial_seeds >= alone


def test_the_groups_of_the_jackknife_keep_a_person_together_and_are_equally_large():
    people = np.repeat([f"p{k}" for k in range(45)], 3)
    groups = bootstrap.groups_of_people(people, seed=0)
    assert (groups.reshape(45, 3) == groups[::3, None]).all()
    assert set(np.bincount(groups[::3])) == {2, 3} and groups.max() == bootstrap.GROUPS - 1
    assert sorted(bootstrap.groups_of_people(np.array(["b", "a", "b"]), seed=0)) in ([0, 0, 1], [0, 1, 1])
    assert len(bootstrap.groups_of_people(np.array([]), seed=0)) == 0


def test_the_jackknife_interval_of_a_mean_is_students():
    values = np.random.default_rng(6).normal(size=20)
    without = np.array([np.delete(values, k).mean() for k in range(20)])
    low, high = bootstrap.jackknife_interval(values.mean(), without)
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(2.093 * values.std(ddof=1) / np.sqrt(20), rel=1e-3)
    assert bootstrap.jackknife_interval(1.0, np.array([1.0])) is None


def test_jackknife_intervals_of_the_frechet_distance_hold_where_those_of_a_bootstrap_do_not():
    """Samples of 160 vectors of 6 dimensions, of 40 people. The truth is the mean distance of such samples."""
    generator = np.random.default_rng(7)
    b = metrics.moments(generator.normal(size=(4000, 6)))

    def sample():
        people = np.repeat(np.arange(40), 4)
        return people, 0.3 + generator.normal(size=(40, 6))[people] * 0.7 + generator.normal(size=(160, 6)) * 0.7

    truth = np.mean([metrics.frechet_distance(metrics.moments(sample()[1]), b) for _ in range(400)])
    held, resampled = [], []
    for _ in range(150):
        people, rows = sample()
        groups = bootstrap.groups_of_people(people, seed=0)
        value, *without = metrics.frechet_distances(
            [metrics.moments(rows), *(metrics.moments(rows[groups != g]) for g in range(bootstrap.GROUPS))], b
        )
        low, high = bootstrap.jackknife_interval(value, np.array(without))
        held.append(low <= truth <= high)
        drawn = generator.integers(0, 40, 40)
        again = np.concatenate([rows[4 * person : 4 * person + 4] for person in drawn])
        resampled.append(metrics.frechet_distance(metrics.moments(again), b) - value)
    assert 0.88 <= np.mean(held) <= 1.0
    assert np.mean(resampled) > 0.1 * truth  # a bootstrap is centred on too large a distance

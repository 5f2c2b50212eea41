"""Bootstrap intervals: comparison of the draws with the scores, and of the width with the standard error."""

import numpy as np
import pytest

from avlgan_jax.evaluation import bootstrap, scores


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

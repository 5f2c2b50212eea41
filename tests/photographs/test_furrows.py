"""Furrows between brows that an edit draws together."""

import numpy as np
import pytest

from avlgan_jax.faces import procedural
from avlgan_jax.photographs import furrows

SIDE = 256


@pytest.fixture(scope="module")
def frowning():
    """Landmarks of a drawn adult at rest and angry."""
    person = procedural.sample_face(5, 3, 0, False)
    return [procedural.render(person, *emotion, SIDE).landmarks[:, :2] for emotion in ((0.0, 0.0), (-0.36, 0.66))]


def drawn(source, target, grey=200.0, infant=False):
    """Return a grey picture with the furrows shaded."""
    photo = np.full((SIDE, SIDE, 3), grey, np.float32)
    furrows.draw(photo, source, target, infant)
    return photo


def test_brows_that_keep_their_distance_leave_the_picture_to_the_bit(frowning):
    calm, angry = frowning
    assert furrows.strength(calm, calm) == furrows.strength(angry, calm) == 0.0
    assert furrows.strength(calm, calm + 7.0) == 0.0
    for source, target in ((calm, calm), (angry, calm)):
        np.testing.assert_array_equal(drawn(source, target), 200.0)


def test_a_frown_darkens_two_lines_between_the_brows_and_nothing_else(frowning):
    calm, angry = frowning
    assert furrows.strength(calm, angry) > 0.4
    assert 0.0 < furrows.strength(calm, 0.5 * (calm + angry)) < furrows.strength(calm, angry)
    shade = drawn(calm, angry)[..., 0] / 200.0
    row = shade[round(angry[[21, 22], 1].mean())]
    dark = np.flatnonzero(row < 0.9)
    middle = angry[[21, 22], 0].mean()
    # Two runs of dark pixels, one on each side of the middle line, which stays lighter.
    assert (np.diff(dark) > 1).sum() == 1 and dark.min() < middle < dark.max()
    assert shade.min() > 0.55 and row[round(middle)] > row[dark].min() + 0.1
    ys, xs = np.nonzero(shade < 1.0)
    unit = np.linalg.norm(angry[36] - angry[45])
    assert np.abs(xs - middle).max() < 0.2 * unit and np.abs(ys - angry[[21, 22], 1].mean()).max() < 0.25 * unit


def test_the_shade_multiplies_and_an_infants_is_weaker(frowning):
    calm, angry = frowning
    np.testing.assert_allclose(drawn(calm, angry, 20.0) * 10.0, drawn(calm, angry, 200.0), rtol=1e-5)
    loss = [200.0 - drawn(calm, angry, infant=infant).min() for infant in (False, True)]
    assert 0.0 < loss[1] < 0.8 * loss[0]


def test_furrows_turn_and_grow_with_the_face(frowning):
    calm, angry = frowning
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])  # x to y: a quarter turn
    upright = drawn(calm, angry)
    lying = drawn(*((points - SIDE / 2) @ turn + SIDE / 2 for points in (calm, angry)))
    np.testing.assert_allclose(np.rot90(upright, -1), lying, atol=1.5)
    assert furrows.strength(2.0 * calm, 2.0 * angry) == pytest.approx(furrows.strength(calm, angry), rel=1e-5)


def test_a_face_at_the_border_or_without_a_size_is_left_alone(frowning):
    calm, angry = frowning
    for source, target in ((calm - 500.0, angry - 500.0), (0.0 * calm, 0.0 * angry)):
        np.testing.assert_array_equal(drawn(source, target), 200.0)

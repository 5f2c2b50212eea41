"""Lowered brows of photographs stop above the lids."""

import numpy as np
import pytest

from avlgan_jax.faces import procedural
from avlgan_jax.photographs import brows

BROWS = slice(17, 27)
LIDS = [37, 38, 43, 44]


@pytest.fixture(scope="module")
def calm():
    """Landmarks of a drawn adult at rest, 256 px."""
    return procedural.render(procedural.sample_face(5, 3, 0, False), 0.0, 0.0, 256).landmarks[:, :2]


def lowered(landmarks, distance):
    """Return the landmarks with both brows lower by a distance in pixels."""
    moved = landmarks.copy()
    moved[BROWS, 1] += distance
    return moved


def turned(landmarks, degrees):
    """Return the landmarks turned about the origin."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return landmarks @ np.array([[cosine, sine], [-sine, cosine]])


def gaps(landmarks):
    """Return the heights of the brows' inner points above the inner corners of the eyes, in eye distances."""
    return (landmarks[[39, 42], 1] - landmarks[[21, 22], 1]) / np.linalg.norm(landmarks[36] - landmarks[45])


def test_brows_with_room_and_all_other_landmarks_stay_to_the_bit(calm):
    raised = lowered(calm, -9.0)
    np.testing.assert_array_equal(brows.above_lids(calm, raised), raised)
    np.testing.assert_array_equal(brows.above_lids(calm, calm), calm)
    far = lowered(calm, 60.0)
    stopped = brows.above_lids(calm, far)
    others = np.setdiff1d(np.arange(68), np.arange(17, 27))
    np.testing.assert_array_equal(stopped[others], far[others])


def test_a_brow_stops_above_the_lid(calm):
    assert (gaps(lowered(calm, 60.0)) < 0.0).all()
    stopped = brows.above_lids(calm, lowered(calm, 60.0))
    assert (gaps(stopped) > brows.ROOM - 0.03).all() and (gaps(stopped) < gaps(calm)).all()


def test_a_brow_that_stops_keeps_its_shape(calm):
    shares = np.array([0.1, 0.3, 0.5, 0.9, 1.0])
    after = calm.copy()
    after[BROWS, 1] += 60.0 * np.concatenate([shares, shares[::-1]])
    moved = np.linalg.norm(brows.above_lids(calm, after) - calm, axis=1)[BROWS].reshape(2, 5)
    assert (moved.max(axis=1) < 45.0).all()
    np.testing.assert_allclose(moved[0] / moved[0, 4], shares, atol=0.05)
    np.testing.assert_allclose(moved[1] / moved[1, 0], shares[::-1], atol=0.05)


def test_a_brow_that_stops_comes_no_nearer_to_the_other_than_its_share(calm):
    after = lowered(calm, 60.0)
    after[17:22, 0] += 12.0
    after[22:27, 0] -= 12.0
    moved = brows.above_lids(calm, after) - calm
    share = moved[BROWS, 1] / 60.0
    assert (share < 0.8).all()
    np.testing.assert_allclose(np.abs(moved[BROWS, 0]) / 12.0, share, atol=1e-6)


def test_a_raised_lid_gives_way_and_no_further_than_to_its_place(calm):
    after = lowered(calm, 60.0)
    after[LIDS, 1] -= 8.0
    stopped = brows.above_lids(calm, after)
    np.testing.assert_allclose(stopped[BROWS], brows.above_lids(calm, lowered(calm, 60.0))[BROWS], atol=0.3)
    np.testing.assert_allclose(stopped[LIDS], calm[LIDS], atol=0.7)
    little = lowered(calm, 2.0)
    little[LIDS, 1] -= 2.0
    np.testing.assert_array_equal(brows.above_lids(calm, little), little)


def test_a_brow_that_rests_near_the_lid_keeps_a_share_of_its_distance(calm):
    unit = np.linalg.norm(calm[36] - calm[45])
    near = calm.copy()
    near[BROWS, 1] = calm[[37, 37, 37, 38, 38, 43, 43, 44, 44, 44], 1] - 0.1 * unit
    moved = (brows.above_lids(near, lowered(near, 60.0)) - near)[BROWS, 1] / unit
    assert (moved >= 0.02).all() and (moved <= 0.1 * (1.0 - brows.SHARE) + 1e-3).all()


def test_a_brow_below_the_lid_is_not_lowered_further(calm):
    below = lowered(calm, 0.4 * np.linalg.norm(calm[36] - calm[45]))
    stopped = brows.above_lids(below, lowered(below, 10.0))
    across = below[45] - below[36]
    down = np.array([-across[1], across[0]]) / np.linalg.norm(across)
    np.testing.assert_allclose((stopped @ down)[BROWS], (below @ down)[BROWS], atol=1e-4)


@pytest.mark.parametrize("degrees", [-40.0, 90.0])
def test_the_rule_turns_with_the_face(calm, degrees):
    before, after = (turned(points, degrees) for points in (calm, lowered(calm, 60.0)))
    expected = turned(brows.above_lids(calm, lowered(calm, 60.0)), degrees)
    np.testing.assert_allclose(brows.above_lids(before, after), expected, atol=1e-3)


def test_depth_stays_and_unmarked_faces_are_left_alone(calm):
    deep = np.concatenate([calm, np.arange(68.0)[:, None]], axis=1)
    np.testing.assert_array_equal(brows.above_lids(deep, lowered(deep, 60.0))[:, 2], deep[:, 2])
    nowhere = np.zeros((68, 2))
    np.testing.assert_array_equal(brows.above_lids(nowhere, lowered(nowhere, 1.0)), lowered(nowhere, 1.0))

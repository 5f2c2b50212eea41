import itertools

import numpy as np
import pytest

from avlgan_jax.editing import motion

FPS, COUNT = 30.0, 3000


@pytest.fixture(scope="module")
def views():
    return motion.views(3, COUNT, FPS)


def test_no_corner_of_the_view_ever_leaves_the_picture(views):
    corners = np.stack([motion.view_corners(view, 100.0) for view in views])
    assert corners.min() >= -1e-4 and corners.max() <= 100.0 + 1e-4
    # Nothing black on a white picture, whatever lies beyond its border.
    white = np.full((64, 64, 3), 255, np.uint8)
    turned = max(views, key=lambda view: abs(view.angle))
    assert motion.apply_view(white, turned).min() == 255


def test_a_larger_view_would_show_a_corner():
    angle = np.radians(7.0)
    whole = motion.View(angle, motion.inscribed(angle))
    assert np.isclose(motion.view_corners(whole, 1.0).max(), 1.0)
    assert motion.view_corners(motion.View(angle, whole.scale * 1.01), 1.0).max() > 1.0


def test_the_paper_s_formula_of_the_largest_scale():
    for angle in np.radians([0.5, 3.0, 10.0]):
        printed = np.tan(angle) / ((1 + np.tan(angle)) * np.sin(angle))
        assert np.isclose(motion.inscribed(angle), printed) and np.isclose(motion.inscribed(-angle), printed)
    assert motion.inscribed(0.0) == 1.0


def test_motion_is_smooth_bounded_and_alive(views):
    angles, scales = np.degrees([view.angle for view in views]), np.array([view.scale for view in views])
    assert np.abs(angles).max() <= motion.LARGEST_ANGLE and (1 - scales).max() <= motion.LARGEST_SHRINKING
    # The steepest that (sin ai + sin bi) m / 2 can be is 2 m a second; drawing anew at zero adds no jump to that.
    assert np.abs(np.diff(angles)).max() <= 2.0 * motion.LARGEST_ANGLE / FPS
    assert np.abs(angles).max() > 3.0 and angles.min() < -1.0 < 1.0 < angles.max()


def test_constants_are_drawn_anew_where_the_angle_crosses_zero(views):
    angles = np.array([view.angle for view in views])
    restarts = np.flatnonzero(angles[1:] == 0.0) + 1
    assert len(restarts) > 20
    # Between two restarts the sign is one: every crossing is a restart.
    for first, last in itertools.pairwise(restarts):
        assert len(np.unique(np.sign(angles[first + 1 : last]))) == 1
    tops = [np.abs(angles[first:last]).max() for first, last in itertools.pairwise(restarts)]
    assert len(np.unique(np.round(tops, 4))) > 10


def test_a_seed_is_a_motion(views):
    assert motion.views(3, 50, FPS) == views[:50] and motion.views(4, 50, FPS) != views[:50]


def test_an_untouched_view_is_the_picture():
    picture = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    np.testing.assert_array_equal(motion.apply_view(picture, motion.View(0.0, 1.0)), picture)


def test_a_positive_angle_turns_clockwise_and_a_small_scale_enlarges():
    picture = np.zeros((101, 101, 3), np.uint8)
    picture[50, 70:73] = 255  # right of the middle
    turned = motion.apply_view(picture, motion.View(np.radians(10.0), 0.8))
    y, x = (np.argwhere(turned[..., 0] > 100) - 50).mean(axis=0)
    assert abs(np.hypot(x, y) - 21 / 0.8) < 1.0
    assert np.isclose(abs(np.degrees(np.arctan2(y, x))), 10.0, atol=2.0)

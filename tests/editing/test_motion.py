import itertools

import numpy as np
import pytest

from avlgan_jax.editing import motion

FPS, COUNT = 30.0, 3000


@pytest.fixture(scope="module")
def views():
    return motion.views(3, COUNT, FPS)


def test_the_corners_of_all_views_are_inside_the_image(views):
    corners = np.stack([motion.view_corners(view, 100.0) for view in views])
    assert corners.min() >= -1e-4 and corners.max() <= 100.0 + 1e-4
    # The view of a white image is white, so it shows nothing from outside the image.
    white = np.full((64, 64, 3), 255, np.uint8)
    most_rotated = max(views, key=lambda view: abs(view.angle))
    assert motion.apply_view(white, most_rotated).min() == 255


def test_the_inscribed_scale_is_the_largest_possible():
    angle = np.radians(7.0)
    largest = motion.View(angle, motion.inscribed(angle))
    assert np.isclose(motion.view_corners(largest, 1.0).max(), 1.0)
    assert motion.view_corners(motion.View(angle, largest.scale * 1.01), 1.0).max() > 1.0


def test_the_inscribed_scale_follows_the_papers_formula():
    for angle in np.radians([0.5, 3.0, 10.0]):
        expected = np.tan(angle) / ((1 + np.tan(angle)) * np.sin(angle))
        assert np.isclose(motion.inscribed(angle), expected) and np.isclose(motion.inscribed(-angle), expected)
    assert motion.inscribed(0.0) == 1.0


def test_motion_is_smooth_and_bounded_and_uses_its_range(views):
    angles, scales = np.degrees([view.angle for view in views]), np.array([view.scale for view in views])
    assert np.abs(angles).max() <= motion.LARGEST_ANGLE and (1 - scales).max() <= motion.LARGEST_SHRINKING
    # (sin ai + sin bi) m / 2 changes by at most 2 m per second, and drawing new constants at zero adds no jump.
    assert np.abs(np.diff(angles)).max() <= 2.0 * motion.LARGEST_ANGLE / FPS
    assert np.abs(angles).max() > 3.0 and angles.min() < -1.0 < 1.0 < angles.max()


def test_new_constants_are_drawn_at_zero_crossings_of_the_angle(views):
    angles = np.array([view.angle for view in views])
    restarts = np.flatnonzero(angles[1:] == 0.0) + 1
    assert len(restarts) > 20
    # The sign is constant between two restarts, so every zero crossing is a restart.
    for first, last in itertools.pairwise(restarts):
        assert len(np.unique(np.sign(angles[first + 1 : last]))) == 1
    maxima = [np.abs(angles[first:last]).max() for first, last in itertools.pairwise(restarts)]
    assert len(np.unique(np.round(maxima, 4))) > 10


def test_the_seed_determines_the_motion(views):
    assert motion.views(3, 50, FPS) == views[:50] and motion.views(4, 50, FPS) != views[:50]


def test_the_view_without_rotation_and_scaling_is_the_image():
    image = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    np.testing.assert_array_equal(motion.apply_view(image, motion.View(0.0, 1.0)), image)


def test_a_positive_angle_rotates_clockwise_and_a_small_scale_enlarges():
    image = np.zeros((101, 101, 3), np.uint8)
    image[50, 70:73] = 255  # right of the centre
    rotated = motion.apply_view(image, motion.View(np.radians(10.0), 0.8))
    y, x = (np.argwhere(rotated[..., 0] > 100) - 50).mean(axis=0)
    assert abs(np.hypot(x, y) - 21 / 0.8) < 1.0
    assert np.isclose(abs(np.degrees(np.arctan2(y, x))), 10.0, atol=2.0)

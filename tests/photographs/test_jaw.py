"""Mouths and jaws of photographs become narrower as the chin descends."""

import numpy as np
import pytest

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import procedural
from avlgan_jax.photographs import jaw


@pytest.fixture(scope="module")
def faces():
    """Landmarks of a drawn adult, 256 px: at rest, surprised, pleased."""
    person = procedural.sample_face(5, 3, 0, False)
    return [procedural.render(person, *emotion, 256).landmarks_3d for emotion in ((0.0, 0.0), (0.2, 0.7), (0.7, 0.0))]


def width(points):
    """Return the width of the mouth in eye distances."""
    return np.linalg.norm(points[..., 48, :2] - points[..., 54, :2], axis=-1) / lm.eye_distance(points)


def test_a_chin_that_hardly_descends_changes_nothing(faces):
    rest, *_ = faces
    np.testing.assert_array_equal(jaw.dropped(rest, rest), rest)
    for shift in (-9.0, 0.02 * lm.eye_distance(rest)):
        moved = rest + np.array((0.0, shift, 0.0))
        np.testing.assert_array_equal(jaw.dropped(rest, moved), moved)


def test_mouth_and_jaw_become_narrower_by_a_share_of_the_descent(faces):
    rest, *_ = faces
    unit = lm.eye_distance(rest)
    after = rest.copy()
    after[6:11, 1] += 0.2 * unit
    after[48:60, 1] += 0.1 * unit
    found = jaw.dropped(rest, after)
    across = (rest[45, :2] - rest[36, :2]) / unit
    # The head is turned a little, so the chin descends by less than 0.2 in its frame.
    drop = 0.2 * across[0] - 0.03
    assert width(after) - width(found) == pytest.approx(0.5 * drop, abs=1e-3)
    inwards = (found - after)[:, :2] @ across / unit
    assert inwards[4] == pytest.approx(0.24 * drop, abs=1e-3) and inwards[12] == pytest.approx(-inwards[4], abs=1e-6)
    others = np.setdiff1d(np.arange(68), [*range(2, 7), *range(10, 15), *range(48, 68)])
    np.testing.assert_array_equal(found[others], after[others])
    np.testing.assert_array_equal(found[:, 2], after[:, 2])  # the depth of a 3-D landmark


def test_surprise_narrows_a_mouth_and_a_smile_still_widens_it(faces):
    rest, surprised, pleased = faces
    assert width(jaw.dropped(rest, surprised)) < min(width(rest), width(surprised)) - 0.03
    assert width(jaw.dropped(rest, pleased)) > width(rest) + 0.05


def test_batches_equal_single_faces_and_turns_do_not_matter(faces):
    rest, surprised, _ = faces
    turn = np.eye(3)
    turn[:2, :2] = [[0.8, 0.6], [-0.6, 0.8]]
    single = jaw.dropped(rest, surprised)
    both = jaw.dropped(np.stack([rest, rest @ turn]), np.stack([surprised, surprised @ turn]))
    np.testing.assert_allclose(both, np.stack([single, single @ turn]), atol=1e-4)

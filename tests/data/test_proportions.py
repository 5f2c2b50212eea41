import jax
import numpy as np

from avlgan_jax.data import proportions
from avlgan_jax.faces.landmarks import GROUPS, shape_measures
from avlgan_jax.faces.procedural import named

UNCHANGED = proportions.Proportions(
    length=np.ones(1),
    width=np.ones(1),
    mouth=np.ones((1, 2)),
    eyes=np.ones((1, 2)),
    brow_length=np.ones(1),
    brows=np.zeros(1),
    tilt=np.zeros(1),
    corners=np.zeros(1),
)


def drawn():
    """Return the landmarks of a drawn face, in [-1, 1]."""
    return np.asarray(named.draw_face(1, False, 64)[1], np.float32)[None] / 32.0 - 1.0


def test_strength_0_and_unchanged_proportions_keep_the_landmarks():
    points = drawn()
    changes = proportions.draw(np.random.default_rng(0), 1, 0.0)
    for one in (changes, UNCHANGED):
        np.testing.assert_allclose(proportions.apply(points, one), points, atol=1e-6)


def test_each_proportion_changes_what_it_names():
    points = drawn()
    before = shape_measures(points)

    def changed(**parts):
        return proportions.apply(points, UNCHANGED._replace(**parts))

    longer = changed(length=np.array([1.2]))
    np.testing.assert_allclose(longer[:, GROUPS["right_eye"]], points[:, GROUPS["right_eye"]], atol=1e-6)
    eyes, chins = points[0, [36, 45]].mean(axis=0), (points[0, 8], longer[0, 8])
    np.testing.assert_allclose(chins[1][1] - eyes[1], 1.2 * (chins[0][1] - eyes[1]), rtol=0.03)
    after = shape_measures(changed(mouth=np.array([[0.8, 1.0]])))
    np.testing.assert_allclose(after["mouth_width"], 0.8 * before["mouth_width"], rtol=1e-3)
    after = shape_measures(changed(eyes=np.array([[1.0, 0.7]])))
    np.testing.assert_allclose(after["eye_openness"], 0.7 * before["eye_openness"], rtol=1e-2)
    after = shape_measures(changed(brows=np.array([0.05])))
    np.testing.assert_allclose(after["brow_height"] - before["brow_height"], 0.05, atol=2e-3)
    longer = changed(brow_length=np.array([1.2]))
    np.testing.assert_allclose(np.ptp(longer[0, 17:22, 0]), 1.2 * np.ptp(points[0, 17:22, 0]), rtol=0.01)
    assert longer[0, 21, 0] > points[0, 21, 0] and longer[0, 22, 0] < points[0, 22, 0]
    after = shape_measures(changed(tilt=np.array([0.05])))
    np.testing.assert_allclose(after["inner_brow_height"] - before["inner_brow_height"], 0.05, atol=0.02)
    after = shape_measures(changed(corners=np.array([0.05])))
    np.testing.assert_allclose(after["lip_corner_height"] - before["lip_corner_height"], 0.05, atol=0.02)


def test_proportions_turn_and_grow_with_the_face():
    """The frame is that of the eyes: a turned, larger and shifted face gets the same new proportions."""
    points, changes = drawn(), proportions.draw(np.random.default_rng(3), 1, 1.0)
    angle = 0.4
    turn = 1.3 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = points @ turn.T + np.array([0.1, -0.2])
    expected = proportions.apply(points, changes) @ turn.T + np.array([0.1, -0.2])
    np.testing.assert_allclose(proportions.apply(moved, changes), expected, atol=1e-5)


def test_an_expression_moves_a_smaller_mouth_by_less():
    neutral, open_mouth = drawn(), drawn()
    open_mouth[:, [57, 66]] += [0.0, 0.1]
    changes = UNCHANGED._replace(mouth=np.full((1, 2), 0.5))
    moved = proportions.apply(open_mouth, changes) - proportions.apply(neutral, changes)
    np.testing.assert_allclose(moved[:, [57, 66], 1], 0.05, atol=1e-3)


def test_the_depth_of_3d_landmarks_stays():
    points = np.concatenate([drawn(), np.full((1, 68, 1), 0.3, np.float32)], axis=-1)
    changed = proportions.apply(points, proportions.draw(np.random.default_rng(0), 1, 1.0))
    assert changed.shape == points.shape and changed.dtype == points.dtype
    np.testing.assert_array_equal(changed[..., 2], points[..., 2])


def test_a_part_of_the_draws_is_the_part_of_the_batch():
    changes = proportions.draw(np.random.default_rng(0), 4, 1.0)
    points = np.repeat(drawn(), 4, axis=0)
    part = jax.tree.map(lambda leaf: leaf[1:3], changes)
    np.testing.assert_array_equal(proportions.apply(points, changes)[1:3], proportions.apply(points[1:3], part))

import jax.numpy as jnp
import numpy as np

from avlgan_jax.faces import landmarks as lm


def test_the_seven_groups_contain_every_point_once():
    points = np.arange(lm.COUNT)
    np.testing.assert_array_equal(np.concatenate([points[group] for group in lm.GROUPS.values()]), points)
    assert {name: len(points[group]) for name, group in lm.GROUPS.items()} == {
        "jaw": 17, "right_brow": 5, "left_brow": 5, "nose": 9, "right_eye": 6, "left_eye": 6, "mouth": 20,
    }  # fmt: skip


def test_mirroring_twice_changes_nothing_and_swaps_left_and_right_groups():
    points = np.random.default_rng(0).uniform(-1, 1, (3, 68, 2)).astype(np.float32)
    np.testing.assert_array_equal(lm.flip(lm.flip(points)), points)
    swapped = {"right_brow": "left_brow", "right_eye": "left_eye", "jaw": "jaw", "nose": "nose", "mouth": "mouth"}
    for one, other in swapped.items():
        assert set(lm.FLIP_ORDER[lm.GROUPS[one]]) == set(np.arange(68)[lm.GROUPS[other]])


def test_a_mirrored_drawn_face_has_mirrored_landmarks():
    from avlgan_jax.faces import procedural

    face = procedural.sample_face(0, 1, 0, infant=False)
    points = lm.normalise(procedural.render(face, 0.5, 0.0, 64).landmarks, 64)
    mirrored = lm.flip(points)
    # The person's right eye (36..41) is on the left of the image in both.
    assert points[36:42, 0].mean() < points[42:48, 0].mean()
    assert mirrored[36:42, 0].mean() < mirrored[42:48, 0].mean()
    assert mirrored[0, 0] < mirrored[16, 0]  # the jaw still runs from the right to the left ear


def test_pixels_to_normalised_coordinates_and_back():
    assert lm.normalise(np.array([[[0.0, 64.0]]]), 128).tolist() == [[[-1.0, 0.0]]]
    points = np.random.default_rng(0).uniform(-20, 140, (4, 68, 2))
    np.testing.assert_allclose(lm.to_pixels(lm.normalise(points, 128), 128), points)


def test_feature_centres_are_the_means_of_groups():
    points = np.random.default_rng(0).uniform(-1, 1, (2, 68, 2)).astype(np.float32)
    centres = np.asarray(lm.feature_centres(points))
    np.testing.assert_allclose(centres[:, 0], points[:, :17].mean(1), atol=1e-6)
    np.testing.assert_allclose(centres[:, 6], points[:, 48:].mean(1), atol=1e-6)


def test_the_landmark_image_is_white_with_a_dark_dot_at_each_point():
    points = np.full((1, 68, 2), 5.0)  # all outside the image
    points[0, 0] = lm.normalise(np.array([10.5, 20.5]), 32)
    image = np.asarray(lm.draw(jnp.asarray(points, jnp.float32), 32))[0, :, :, 0]
    assert image.shape == (32, 32)
    assert np.unravel_index(image.argmin(), image.shape) == (20, 10)
    np.testing.assert_allclose(image[20, 10], -1.0, atol=1e-6)
    assert image[5, 5] == 1.0 and (image < 0).sum() < 10


def test_normalised_mean_error():
    truth = np.zeros((1, 68, 2))
    truth[0, 45, 0] = 10.0  # the outer eye corners are 10 apart
    np.testing.assert_allclose(lm.normalised_mean_error(truth + np.array([3.0, 4.0]), truth), [0.5])


# 3-D landmarks.


def test_depth_has_the_scale_of_x_and_y_and_no_offset():
    assert lm.normalise(np.array([[0.0, 64.0, 32.0]]), 128).tolist() == [[-1.0, 0.0, 0.5]]
    assert lm.normalise(np.array([[128.0, 96.0, 0.0]]), 128).tolist() == [[1.0, 0.5, 0.0]]
    points = np.random.default_rng(0).uniform(-20, 140, (4, 68, 3))
    np.testing.assert_allclose(lm.to_pixels(lm.normalise(points, 128), 128), points)
    np.testing.assert_array_equal(lm.in_plane(lm.normalise(points, 128)), lm.normalise(points[..., :2], 128))


def test_mirroring_keeps_the_depth():
    points = np.zeros((68, 3), np.float32)
    points[36], points[45] = [-0.5, 0.1, 0.3], [0.4, 0.2, 0.7]  # the outer eye corners, right and left
    mirrored = lm.flip(points)
    np.testing.assert_array_equal(mirrored[36], np.float32([-0.4, 0.2, 0.7]))
    np.testing.assert_array_equal(mirrored[45], np.float32([0.5, 0.1, 0.3]))
    np.testing.assert_array_equal(lm.flip(mirrored), points)


def test_feature_centres_have_a_depth():
    points = np.zeros((1, 68, 3), np.float32)
    points[0, lm.GROUPS["nose"], 2] = 0.9
    np.testing.assert_allclose(lm.feature_centres(points)[0, :, 2], [0, 0, 0, 0.9, 0, 0, 0], atol=1e-6)


def test_nearer_points_have_darker_dots_which_cover_those_behind():
    points = np.full((1, 68, 3), 5.0)  # all outside the image
    for k, (x, depth) in enumerate(((6.5, -0.5), (16.5, 0.0), (26.5, 0.5), (16.5, -0.5))):
        points[0, k] = [*lm.normalise(np.array([x, 16.5]), 32), depth]
    image = np.asarray(lm.draw(jnp.asarray(points, jnp.float32), 32))[0, :, :, 0]
    ink = [0.25 + 0.75 / (1.0 + np.exp(-4.0 * depth)) for depth in (-0.5, 0.0, 0.5)]
    np.testing.assert_allclose(image[16, [6, 16, 26]], 1.0 - 2.0 * np.array(ink), atol=1e-5)
    assert image[5, 5] == 1.0


def test_landmark_errors_and_eye_distance_ignore_depth():
    truth = np.zeros((1, 68, 3))
    truth[0, 45] = [10.0, 0.0, 70.0]
    found = truth + np.array([3.0, 4.0, 50.0])
    np.testing.assert_allclose(lm.normalised_mean_error(found, truth), [0.5])
    np.testing.assert_allclose(lm.normalised_mean_error(found, truth[..., :2]), [0.5])
    np.testing.assert_allclose(lm.eye_distance(truth), [10.0])

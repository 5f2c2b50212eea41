import numpy as np

from avlgan_jax.faces import emotions


def test_the_nearest_expression_to_each_centroid_of_table_ii_is_its_own():
    np.testing.assert_array_equal(emotions.nearest_expression(emotions.TABLE_II), np.arange(8))


def test_nearest_expression_of_some_points():
    points = np.array([[0.9, 0.3], [-0.8, -0.4], [0.2, 0.9], [0.0, 0.0]])
    assert [emotions.EXPRESSIONS[i] for i in emotions.nearest_expression(points)] == [
        "happy",
        "sad",
        "surprise",
        "neutral",
    ]


def test_samples_fill_the_disc_uniformly():
    points = emotions.sample_disc(np.random.default_rng(0), 20_000)
    radius = np.linalg.norm(points, axis=1)
    assert points.dtype == np.float32 and radius.max() <= 1
    np.testing.assert_allclose((radius < 0.5).mean(), 0.25, atol=0.01)  # a quarter of the area
    np.testing.assert_allclose(points.mean(0), [0, 0], atol=0.02)

"""Pixels at any position, and smooth transitions."""

import numpy as np

from avlgan_jax.photographs import pixels


def test_whole_positions_give_pixels_to_the_bit_and_others_what_lies_between():
    image = np.random.default_rng(0).uniform(0.0, 255.0, (5, 7, 3)).astype(np.float32)
    at = pixels.positions((2, 1), (6, 4))
    assert at.shape == (3, 4, 2) and tuple(at[0, 0]) == (2.0, 1.0) and tuple(at[-1, -1]) == (5.0, 3.0)
    np.testing.assert_array_equal(pixels.sample(image, at), image[1:4, 2:6])
    between = pixels.sample(image, at + np.array([0.5, 0.0]))
    np.testing.assert_allclose(between, 0.5 * (image[1:4, 2:6] + image[1:4, 3:7]), rtol=1e-5)


def test_outside_is_the_nearest_pixel_of_the_border():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = pixels.sample(image, np.array([[[-5.0, 1.0], [9.0, 2.0], [1.0, 40.0]]]))
    np.testing.assert_array_equal(found, [[image[1, 0], image[2, 3], image[2, 1]]])


def test_a_rise_is_flat_at_both_ends_and_a_half_in_the_middle():
    assert [pixels.rise(value, 2.0, 4.0) for value in (1.0, 2.0, 3.0, 4.0, 5.0)] == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert pixels.rise(2.01, 2.0, 4.0) < 1e-3
    # The ends may be given from above.
    assert pixels.rise(3.5, 4.0, 2.0) == 1.0 - pixels.rise(3.5, 2.0, 4.0)

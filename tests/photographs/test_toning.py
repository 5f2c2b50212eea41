"""Black-and-white and sepia photographs keep their tones, photographs in colour their colours."""

import numpy as np
import pytest
from drawn_photographs import drawn_face

from avlgan_jax.photographs import blending, cropping, toning

SEPIA = (1.1, 0.95, 0.7)


@pytest.fixture(scope="module")
def colour():
    face = drawn_face(1)
    return face.image, face.landmarks.astype(np.float32)


def monochrome(image, tint):
    """Return an image with one brightness at each pixel, times a factor for each channel."""
    bright = image.astype(np.float32) @ toning.BRIGHTNESS
    return np.rint((0.9 * bright[..., None] * np.array(tint)).clip(0, 255)).astype(np.uint8)


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), SEPIA])
def test_what_is_drawn_has_the_tones_of_the_photograph(colour, tint):
    image, landmarks = colour
    photo = monochrome(image, tint)
    face = cropping.uncropped_face(photo, landmarks, 64)
    opened = face.landmarks.copy()
    opened[[55, 56, 57, 58, 59, 65, 66, 67], 1] += 8.0
    painted = face.image.copy()
    painted[40:50, 28:36] = (200, 30, 30)  # a mouth that the networks painted red
    for edited in (blending.blend(photo, face, painted, opened), blending.blend(photo, face, painted)):
        changed = (edited != photo).any(axis=-1)
        assert changed.any()
        expected = monochrome(edited, np.array(tint) / (0.9 * np.dot(tint, toning.BRIGHTNESS)))
        assert np.abs(edited.astype(int) - expected)[changed].max() <= 3
        np.testing.assert_array_equal(edited[~changed], photo[~changed])


def test_a_photograph_in_colour_has_no_tones(colour):
    assert toning.tones(colour[0]) is None


def test_tones_are_lines_of_the_brightness(colour):
    slope, offset = toning.tones(monochrome(colour[0], SEPIA))
    np.testing.assert_allclose(slope, np.array(SEPIA) / np.dot(SEPIA, toning.BRIGHTNESS), atol=0.01)
    np.testing.assert_allclose(offset, 0.0, atol=1.0)
    noisy = monochrome(colour[0], (1.0, 1.0, 1.0)).astype(int) + np.random.default_rng(0).integers(
        -2, 3, colour[0].shape
    )
    assert toning.tones(noisy.clip(0, 255).astype(np.uint8)) is not None


def test_a_picture_of_one_colour_is_no_error():
    for level in (0, 128, 255):
        lines = toning.tones(np.full((8, 8, 3), level, np.uint8))
        np.testing.assert_allclose(toning.toned(np.full((1, 1, 3), float(level), np.float32), lines), level, atol=1e-3)

import numpy as np
import pytest

from avlgan_jax.data import augmentation
from avlgan_jax.data.augmentation import AugmentationParameters
from avlgan_jax.faces import landmarks as lm

SIDE = 64


def parameters(turn=0.0, zoom=1.0, shift=(0.0, 0.0), gain=1.0, offset=(0.0, 0.0, 0.0)):
    """Return the augmentation of one face; `turn` is in radians."""
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return AugmentationParameters(zoom * rotation[None], np.array([shift]), np.array([gain]), np.array([offset]))


def with_dot(x, y):
    """Return a batch of one black image with a blurred white dot at (x, y), in pixels from the top left corner."""
    centres = np.arange(SIDE) + 0.5
    ink = np.exp(-((centres[None] - x) ** 2 + (centres[:, None] - y) ** 2) / (2 * 1.5**2))
    return np.repeat(np.rint(255 * ink)[None, ..., None], 3, axis=-1).astype(np.uint8)


def dot_of(image):
    """Return the position (x, y) of the dot, in pixels."""
    weights = image[..., 0].astype(float) ** 2
    centres = np.arange(SIDE) + 0.5
    return np.array([(weights.sum(0) * centres).sum(), (weights.sum(1) * centres).sum()]) / weights.sum()


def test_a_quarter_turn_zoom_and_shift_of_landmarks():
    points = np.zeros((1, 68, 2), np.float32)
    points[0, 0] = 0.5, 0.0
    moved = augmentation.apply_to_landmarks(points, parameters(turn=np.pi / 2, zoom=1.2, shift=(0.1, 0.0)))
    np.testing.assert_allclose(moved[0, 0], [0.1, 0.6], atol=1e-6)
    np.testing.assert_allclose(moved[0, 1], [0.1, 0.0], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_image_moves_with_its_landmarks(seed):
    drawn = augmentation.draw(np.random.default_rng(seed), 1, 1.5)._replace(gain=np.ones(1), offset=np.zeros((1, 3)))
    where = np.random.default_rng(seed).uniform(20, 44, 2)
    points = np.broadcast_to(lm.normalise(where, SIDE), (1, 68, 2)).astype(np.float32)
    moved = lm.to_pixels(augmentation.apply_to_landmarks(points, drawn), SIDE)[0, 0]
    assert np.linalg.norm(moved - where) > 0.3  # otherwise the next assertion would prove nothing
    np.testing.assert_allclose(dot_of(augmentation.apply_to_images(with_dot(*where), drawn)[0]), moved, atol=0.1)


def test_gain_and_offset_of_pixel_values():
    image = np.full((1, 4, 4, 3), 127, np.uint8)
    image[..., 1] = 227
    lit = augmentation.apply_to_images(image, parameters(gain=0.5, offset=(0.0, 0.0, 1.0)))
    assert lit[0, 2, 2].tolist() == [127, 177, 255]  # 127.25, 177.25, and above white, clipped


def test_strength_0_changes_nothing_and_draws_are_bounded():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (3, 8, 8, 3), np.uint8)
    points = generator.uniform(-1, 1, (3, 68, 3)).astype(np.float32)
    none = augmentation.draw(generator, 3, 0.0)
    np.testing.assert_array_equal(augmentation.apply_to_images(images, none), images)
    np.testing.assert_array_equal(augmentation.apply_to_landmarks(points, none), points)
    many = augmentation.draw(generator, 2000, 1.0)
    sizes = np.sqrt(np.linalg.det(many.linear))
    assert np.log(sizes).max() == pytest.approx(2 * augmentation.ZOOM, abs=1e-9)
    assert np.abs(many.shift).max() == pytest.approx(2 * augmentation.SHIFT, abs=1e-9)
    assert np.arctan2(many.linear[:, 1, 0], many.linear[:, 0, 0]).std() == pytest.approx(augmentation.TURN, rel=0.15)


def test_depth_is_scaled_by_the_zoom():
    points = np.full((1, 68, 3), 0.5, np.float32)
    moved = augmentation.apply_to_landmarks(points, parameters(turn=0.3, zoom=1.1))
    np.testing.assert_allclose(moved[..., 2], 0.55, atol=1e-6)

import numpy as np
import pytest

from avlgan_jax.data import augmentation
from avlgan_jax.data.augmentation import AugmentationParameters
from avlgan_jax.faces import landmarks as lm

SIDE = 64


def changes(turn=0.0, size=1.0, shift=(0.0, 0.0), gain=1.0, offset=(0.0, 0.0, 0.0)):
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return AugmentationParameters(size * rotation[None], np.array([shift]), np.array([gain]), np.array([offset]))


def with_dot(x, y):
    """A black picture with a soft white dot at (x, y) pixels from its corner."""
    centres = np.arange(SIDE) + 0.5
    ink = np.exp(-((centres[None] - x) ** 2 + (centres[:, None] - y) ** 2) / (2 * 1.5**2))
    return np.repeat(np.rint(255 * ink)[None, ..., None], 3, axis=-1).astype(np.uint8)


def dot_of(image):
    weights = image[..., 0].astype(float) ** 2
    centres = np.arange(SIDE) + 0.5
    return np.array([(weights.sum(0) * centres).sum(), (weights.sum(1) * centres).sum()]) / weights.sum()


def test_a_quarter_turn_by_hand():
    points = np.zeros((1, 68, 2), np.float32)
    points[0, 0] = 0.5, 0.0
    moved = augmentation.apply_to_landmarks(points, changes(turn=np.pi / 2, size=1.2, shift=(0.1, 0.0)))
    np.testing.assert_allclose(moved[0, 0], [0.1, 0.6], atol=1e-6)
    np.testing.assert_allclose(moved[0, 1], [0.1, 0.0], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_picture_moves_with_its_landmarks(seed):
    drawn = augmentation.draw(np.random.default_rng(seed), 1, 1.5)._replace(gain=np.ones(1), offset=np.zeros((1, 3)))
    where = np.random.default_rng(seed).uniform(20, 44, 2)
    points = np.broadcast_to(lm.normalise(where, SIDE), (1, 68, 2)).astype(np.float32)
    moved = lm.to_pixels(augmentation.apply_to_landmarks(points, drawn), SIDE)[0, 0]
    assert np.linalg.norm(moved - where) > 0.3  # or nothing would be shown
    np.testing.assert_allclose(dot_of(augmentation.apply_to_images(with_dot(*where), drawn)[0]), moved, atol=0.1)


def test_light_by_hand():
    image = np.full((1, 4, 4, 3), 127, np.uint8)
    image[..., 1] = 227
    lit = augmentation.apply_to_images(image, changes(gain=0.5, offset=(0.0, 0.0, 1.0)))
    assert lit[0, 2, 2].tolist() == [127, 177, 255]  # 127.25, 177.25, and beyond white


def test_strength_nought_changes_nothing_and_draws_are_bounded():
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


def test_depth_grows_with_the_face():
    points = np.full((1, 68, 3), 0.5, np.float32)
    moved = augmentation.apply_to_landmarks(points, changes(turn=0.3, size=1.1))
    np.testing.assert_allclose(moved[..., 2], 0.55, atol=1e-6)

import numpy as np
import pytest

from avlgan_jax.data import records
from avlgan_jax.models import build
from avlgan_jax.presets import debug
from avlgan_jax.training import sample_grid, states


@pytest.mark.parametrize(("name", "shape"), [("image", (12 * 32, 9 * 32, 3)), ("avgan", (6 * 32, 9 * 32, 3))])
def test_the_grid_has_a_row_per_face_and_a_column_per_expression(name, shape, data_dir):
    config = debug()
    faces = records.load(data_dir, config.data, config.resolution, "validation")
    model = build.build(name, config, 100)
    image = sample_grid.grid(model, states.fresh_state(model, config), faces)
    assert image.shape == shape and image.dtype == np.uint8
    np.testing.assert_array_equal(image[:32, :32], faces.images[0])
    if name == "image":  # the next row shows the same face with its landmarks
        below = image[32:64, :32]
        assert 0 < np.any(below != faces.images[0], axis=-1).mean() < 0.6


def test_the_grid_of_the_landmark_converter_shows_landmarks(data_dir):
    config = debug()
    faces = records.load(data_dir, config.data, config.resolution, "validation")
    model = build.build("landmark", config, 100)
    image = sample_grid.grid(model, states.fresh_state(model, config), faces)
    assert image.shape == (6 * 128, 9 * 128, 3)
    assert 0.005 < np.mean(image[:128, :128] < 200) < 0.2

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avlgan_jax.config import RegressorTraining
from avlgan_jax.models import networks, optimizers
from avlgan_jax.runtime import devices


def test_pixels_to_floats_and_back():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
    floats = networks.image_to_float(jnp.asarray(pixels))
    assert float(floats.min()) == -1.0 and float(floats.max()) == 1.0
    np.testing.assert_array_equal(networks.image_to_uint8(floats), pixels)
    np.testing.assert_array_equal(networks.image_to_uint8(jnp.full((1, 1, 1, 3), 7.0)), np.full((1, 1, 1, 3), 255))


def test_the_moving_average_has_a_smaller_decay_in_the_first_updates():
    new, old = {"w": jnp.ones(())}, {"w": jnp.zeros(())}
    early = optimizers.moving_average(old, new, jnp.asarray(0), 0.999)["w"]
    late = optimizers.moving_average(old, new, jnp.asarray(10**6), 0.999)["w"]
    np.testing.assert_allclose([early, late], [0.9, 0.001], rtol=1e-4)
    assert optimizers.moving_average(None, new, jnp.asarray(0), 0.9) is None


def test_mean_over_devices():
    tree = {"a": jnp.arange(4.0)}
    means = jax.pmap(lambda t: devices.mean_over_devices(t, "d"), axis_name="d")(tree)
    np.testing.assert_array_equal(means["a"], np.full(4, 1.5))
    assert devices.mean_over_devices(tree, None) is tree


def test_copied_parameters_have_their_own_memory():
    params = {"w": jnp.ones(3)}
    copied = optimizers.copy_params(params)
    assert copied["w"].unsafe_buffer_pointer() != params["w"].unsafe_buffer_pointer()


@pytest.mark.parametrize(("decay", "expected"), [("step", 0.5**6), ("epoch", 0.5**2), ("cosine", 0.5)])
def test_learning_rates_are_functions_of_the_training_step(decay, expected):
    """The third update, in step 6 of 12, has the rate of step 6: of epoch 2 where an epoch has 3 steps."""
    training = RegressorTraining(steps=12, decay=decay, decay_factor=0.5, learning_rate=1e-2)
    adam = optimizers.adam(training, 3, step_of=lambda update: 3 * update)
    state = adam.init(jnp.zeros(()))
    for _ in range(3):
        change, state = adam.update(jnp.ones(()), state)
    np.testing.assert_allclose(-change, 1e-2 * expected, rtol=1e-5)

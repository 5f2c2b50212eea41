import jax
import jax.numpy as jnp
import numpy as np

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

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avlgan_jax.models import convolutions, layers


def transposed_by_hand(x, kernel):
    """Return the transposed convolution, computed by adding each input pixel's contribution to the output."""
    batch, height, width, _ = x.shape
    out = np.zeros((batch, 2 * height + 2, 2 * width + 2, kernel.shape[3]))
    for y in range(height):
        for u in range(width):
            out[:, 2 * y : 2 * y + 4, 2 * u : 2 * u + 4] += np.einsum("bi,klio->bklo", x[:, y, u], kernel)
    return out[:, 1:-1, 1:-1]


@pytest.fixture
def arrays():
    keys = jax.random.split(jax.random.key(0), 2)
    return jax.random.normal(keys[0], (2, 5, 7, 3)), jax.random.normal(keys[1], (4, 4, 3, 6))


@pytest.mark.parametrize("form", ["plain", "fast"])
def test_transposed_convolution_follows_its_definition(arrays, form):
    x, kernel = arrays
    expected = transposed_by_hand(np.asarray(x, np.float64), np.asarray(kernel, np.float64))
    np.testing.assert_allclose(convolutions.upsample_conv(x, kernel, form), expected, atol=1e-4)


def test_transposed_convolution_equals_pytorchs(arrays):
    torch = pytest.importorskip("torch")
    x, kernel = (np.asarray(a) for a in arrays)
    expected = torch.nn.functional.conv_transpose2d(
        torch.tensor(x.transpose(0, 3, 1, 2)), torch.tensor(kernel.transpose(2, 3, 0, 1)), stride=2, padding=1
    )
    output = convolutions.upsample_conv(jnp.asarray(x), jnp.asarray(kernel), "fast")
    np.testing.assert_allclose(output, expected.numpy().transpose(0, 2, 3, 1), atol=1e-5)


def test_both_forms_have_the_same_gradients(arrays):
    x, kernel = arrays

    def objective(x, kernel, form):
        return jnp.sum(jnp.sin(convolutions.upsample_conv(x, kernel, form)))

    plain, fast = (jax.grad(objective, argnums=(0, 1))(x, kernel, form) for form in ("plain", "fast"))
    chex.assert_trees_all_close(plain, fast, atol=2e-5)


@pytest.mark.parametrize(
    ("size", "stride", "padding", "side", "channels", "form"),
    [
        (4, 2, 1, 8, (3, 5), "fast"),
        (4, 2, 1, 6, (3, 5), "fast"),
        (4, 2, 1, 5, (3, 5), "fast"),  # the last pixel is not used
        (2, 2, 0, 8, (3, 5), "fast"),
        (4, 2, 1, 8, (3, 5), "plain"),
        (7, 1, 3, 9, (3, 5), "plain"),
        (7, 1, 3, 9, (3, 5), "fast"),  # few input channels: kernel rows are stacked as channels
        (7, 1, 3, 9, (5, 3), "fast"),  # few output channels: kernel rows are added afterwards
        (7, 1, 3, 9, (3, 64), "fast"),
        (5, 1, 0, 9, (5, 3), "fast"),
        (4, 2, 1, 2, (3, 5), "fast"),  # one output pixel, padded input
        (3, 1, 0, 3, (3, 5), "fast"),  # one output pixel, input without padding
    ],
)
def test_convolution_and_its_gradients_equal_pytorchs(size, stride, padding, side, channels, form):
    torch = pytest.importorskip("torch")
    width = side if side < 4 else side + 2
    x = np.random.default_rng(0).normal(size=(2, side, width, channels[0])).astype(np.float32)
    kernel = np.random.default_rng(1).normal(size=(size, size, *channels)).astype(np.float32)
    torch_x = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    torch_kernel = torch.tensor(kernel.transpose(3, 2, 0, 1), requires_grad=True)
    expected = torch.nn.functional.conv2d(torch_x, torch_kernel, stride=stride, padding=padding)
    torch.sin(expected).sum().backward()

    def run(x, kernel):
        return convolutions.conv(x, kernel, stride, padding, form)

    output = run(jnp.asarray(x), jnp.asarray(kernel))
    d_x, d_kernel = jax.grad(lambda x, k: jnp.sum(jnp.sin(run(x, k))), argnums=(0, 1))(
        jnp.asarray(x), jnp.asarray(kernel)
    )
    np.testing.assert_allclose(output, expected.detach().numpy().transpose(0, 2, 3, 1), atol=5e-5)
    np.testing.assert_allclose(d_x, torch_x.grad.numpy().transpose(0, 2, 3, 1), atol=5e-4)
    np.testing.assert_allclose(d_kernel, torch_kernel.grad.numpy().transpose(2, 3, 1, 0), atol=5e-4)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("size", "stride"), [(3, 1), (2, 1), (4, 2)])
def test_kernel_gradients_by_matrix_products_equal_the_plain_ones(order, size, stride, monkeypatch):
    keys = jax.random.split(jax.random.key(0), 2)
    x, kernel = jax.random.normal(keys[0], (2, 6, 4, 3)), jax.random.normal(keys[1], (size, size, 3, 3)) / 5
    found = []
    for by_products in (True, False):
        monkeypatch.setattr(convolutions, "_products_pay", lambda kernel, by_products=by_products: by_products)

        def objective(x, kernel):
            return jnp.sum(jnp.sin(convolutions.conv(x, kernel, stride, 1, "plain")))

        def slopes(x, kernel, objective=objective):  # differentiated again, as in a gradient penalty
            return jnp.sum(jnp.square(jax.grad(objective)(x, kernel)))

        assert ("custom_vjp" in str(jax.make_jaxpr(objective)(x, kernel))) == by_products
        found.append(jax.grad(objective if order == 1 else slopes, argnums=(0, 1))(x, kernel))
    chex.assert_trees_all_close(*found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kernel_shape", "side", "stride", "padding", "upsample", "form"),
    [
        ((7, 7, 6, 64), 128, 1, 3, False, "fast"),  # the generator's first layer
        ((7, 7, 64, 4), 128, 1, 3, False, "fast"),  # the generator's last layer
        ((3, 3, 64, 64), 16, 1, 1, False, "plain"),
        ((7, 7, 3, 16), 48, 2, 3, False, "plain"),  # the regressor's first layer
        ((4, 4, 16, 32), 48, 2, 1, False, "plain"),
        ((4, 4, 160, 320), 6, 2, 1, False, "fast"),
        ((4, 4, 160, 320), 5, 2, 1, False, "fast"),
        ((4, 4, 256, 512), 2, 2, 1, False, "fast"),
        ((3, 3, 320, 138), 3, 1, 0, False, "fast"),  # a kernel as large as the last feature map
        ((4, 4, 64, 32), 12, 1, 0, True, "fast"),
    ],
)
def test_preferred_form_of_each_kind_of_layer_on_a_cpu(kernel_shape, side, stride, padding, upsample, form):
    assert convolutions.preferred_form(kernel_shape, side, stride, padding, upsample) == form


def test_depth_to_space_inverts_space_to_depth():
    x = jax.random.normal(jax.random.key(0), (2, 6, 4, 3))
    np.testing.assert_array_equal(convolutions.depth_to_space(convolutions.space_to_depth(x)), x)


def test_depth_to_space_orders_channels_by_row_column_channel():
    blocks = jnp.arange(8.0).reshape(1, 1, 1, 8)  # (row, column, channel) = 2 x 2 x 2
    np.testing.assert_array_equal(convolutions.depth_to_space(blocks)[0, :, :, 0], [[0, 2], [4, 6]])


def test_instance_norm_follows_its_definition_and_does_not_couple_examples():
    x = jax.random.normal(jax.random.key(0), (3, 4, 5, 2)) * 7 + 3
    norm = layers.InstanceNorm()
    variables = {"params": {"scale": jnp.array([2.0, 1.0]), "bias": jnp.array([0.5, -1.0])}}
    x64 = np.asarray(x, np.float64)
    by_hand = (x64 - x64.mean((1, 2), keepdims=True)) / np.sqrt(x64.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(norm.apply(variables, x), by_hand * [2.0, 1.0] + [0.5, -1.0], atol=1e-5)
    np.testing.assert_array_equal(norm.apply(variables, x)[:1], norm.apply(variables, x[:1]))


def test_instance_norm_computes_its_statistics_in_float32():
    x = (jax.random.normal(jax.random.key(0), (1, 64, 64, 1)) + 100).astype(jnp.bfloat16)
    norm = layers.InstanceNorm()
    y = norm.apply(norm.init(jax.random.key(0), x), x)
    assert y.dtype == jnp.bfloat16
    assert abs(float(y.astype(jnp.float32).std()) - 1) < 0.02


def test_convolution_bias_and_shapes():
    x = jnp.ones((1, 8, 8, 3))
    conv = layers.Conv(4, 4, stride=2, padding=1, bias=True)
    variables = conv.init(jax.random.key(0), x)
    assert conv.apply(variables, x).shape == (1, 4, 4, 4)
    up = layers.Conv(4, 4, upsample=True)
    assert up.apply(up.init(jax.random.key(0), x), x).shape == (1, 16, 16, 4)
    bound = 1 / np.sqrt(3 * 16)
    kernel = np.asarray(variables["params"]["kernel"])
    assert np.abs(kernel).max() <= bound and np.abs(kernel).max() > 0.8 * bound

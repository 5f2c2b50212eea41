import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avlgan_jax import layers


def transposed_by_hand(x, kernel):
    """What each input pixel adds to the output, summed pixel by pixel."""
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
def test_transposed_convolution_is_what_its_definition_says(arrays, form):
    x, kernel = arrays
    expected = transposed_by_hand(np.asarray(x, np.float64), np.asarray(kernel, np.float64))
    np.testing.assert_allclose(layers.upsample_conv(x, kernel, form), expected, atol=1e-4)


def test_transposed_convolution_equals_pytorchs(arrays):
    torch = pytest.importorskip("torch")
    x, kernel = (np.asarray(a) for a in arrays)
    theirs = torch.nn.functional.conv_transpose2d(
        torch.tensor(x.transpose(0, 3, 1, 2)), torch.tensor(kernel.transpose(2, 3, 0, 1)), stride=2, padding=1
    )
    ours = layers.upsample_conv(jnp.asarray(x), jnp.asarray(kernel), "fast")
    np.testing.assert_allclose(ours, theirs.numpy().transpose(0, 2, 3, 1), atol=1e-5)


def test_both_forms_have_the_same_gradients(arrays):
    x, kernel = arrays

    def objective(x, kernel, form):
        return jnp.sum(jnp.sin(layers.upsample_conv(x, kernel, form)))

    plain, fast = (jax.grad(objective, argnums=(0, 1))(x, kernel, form) for form in ("plain", "fast"))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), plain, fast)


@pytest.mark.parametrize(
    ("size", "stride", "padding", "height", "form"),
    [
        (4, 2, 1, 8, "fast"),
        (4, 2, 1, 6, "fast"),
        (2, 2, 0, 8, "fast"),
        (4, 2, 1, 8, "plain"),
        (7, 1, 3, 9, "plain"),
    ],
)
def test_convolution_and_its_gradients_equal_pytorchs(size, stride, padding, height, form):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(2, height, 8, 3)).astype(np.float32)
    kernel = np.random.default_rng(1).normal(size=(size, size, 3, 5)).astype(np.float32)
    their_x = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    their_kernel = torch.tensor(kernel.transpose(3, 2, 0, 1), requires_grad=True)
    theirs = torch.nn.functional.conv2d(their_x, their_kernel, stride=stride, padding=padding)
    torch.sin(theirs).sum().backward()

    def run(x, kernel):
        return layers.conv(x, kernel, stride, padding, form)

    ours = run(jnp.asarray(x), jnp.asarray(kernel))
    d_x, d_kernel = jax.grad(lambda x, k: jnp.sum(jnp.sin(run(x, k))), argnums=(0, 1))(
        jnp.asarray(x), jnp.asarray(kernel)
    )
    np.testing.assert_allclose(ours, theirs.detach().numpy().transpose(0, 2, 3, 1), atol=5e-5)
    np.testing.assert_allclose(d_x, their_x.grad.numpy().transpose(0, 2, 3, 1), atol=5e-4)
    np.testing.assert_allclose(d_kernel, their_kernel.grad.numpy().transpose(2, 3, 1, 0), atol=5e-4)


@pytest.mark.parametrize("order", [1, 2])
def test_many_channels_have_the_same_gradients(order, monkeypatch):
    keys = jax.random.split(jax.random.key(0), 2)
    x, kernel = jax.random.normal(keys[0], (2, 5, 4, 3)), jax.random.normal(keys[1], (3, 3, 3, 3)) / 5
    found = []
    for many in (3, 4):  # by products, and without
        monkeypatch.setattr(layers, "_MANY_CHANNELS", many)

        def objective(x, kernel):
            return jnp.sum(jnp.sin(layers.conv(x, kernel, 1, 1, "plain")))

        def slopes(x, kernel, objective=objective):  # what a gradient penalty differentiates again
            return jnp.sum(jnp.square(jax.grad(objective)(x, kernel)))

        assert ("custom_vjp" in str(jax.make_jaxpr(objective)(x, kernel))) == (many == 3)
        found.append(jax.grad(objective if order == 1 else slopes, argnums=(0, 1))(x, kernel))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), *found)


def test_space_to_depth_and_back():
    x = jax.random.normal(jax.random.key(0), (2, 6, 4, 3))
    np.testing.assert_array_equal(layers.depth_to_space(layers.space_to_depth(x)), x)


def test_depth_to_space_puts_channels_where_it_says():
    blocks = jnp.arange(8.0).reshape(1, 1, 1, 8)  # (row, column, channel) = 2 x 2 x 2
    np.testing.assert_array_equal(layers.depth_to_space(blocks)[0, :, :, 0], [[0, 2], [4, 6]])


def test_instance_norm_by_hand_and_without_neighbours():
    x = jax.random.normal(jax.random.key(0), (3, 4, 5, 2)) * 7 + 3
    norm = layers.InstanceNorm()
    variables = {"params": {"scale": jnp.array([2.0, 1.0]), "bias": jnp.array([0.5, -1.0])}}
    wide = np.asarray(x, np.float64)
    by_hand = (wide - wide.mean((1, 2), keepdims=True)) / np.sqrt(wide.var((1, 2), keepdims=True) + 1e-5)
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

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avlgan_jax.models import networks
from avlgan_jax.models.networks import Condition

EMOTIONS = jnp.array([[0.5, -0.2], [-0.7, 0.4]])


def shapes_of(module, *inputs):
    return jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]


def init(network, *inputs):
    return jax.jit(network.init)(jax.random.key(0), *inputs)


def apply(network, variables, *inputs):
    return jax.jit(network.apply)(variables, *inputs)


def random_images(resolution=16, count=2):
    return jax.random.uniform(jax.random.key(1), (count, resolution, resolution, 3), minval=-1, maxval=1)


def random_landmarks(count=2, dimensions=2):
    return jax.random.uniform(jax.random.key(2), (count, 68, dimensions), minval=-0.8, maxval=0.8)


def perturbed(params):
    """Return the parameters with added noise, since some layers are initialised to zero."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(3), len(leaves))
    return jax.tree.unflatten(
        tree, [p + 0.05 * jax.random.normal(k, p.shape) for p, k in zip(leaves, keys, strict=True)]
    )


def test_parameter_counts_of_the_paper():
    x, condition = jnp.zeros((1, 128, 128, 3)), Condition(jnp.zeros((1, 2)), jnp.zeros((1, 68, 2)))
    assert networks.parameter_count(shapes_of(networks.ImageGenerator(), x, condition)) == 8_424_256
    assert networks.parameter_count(shapes_of(networks.ImageDiscriminator(), x)) == 45_851_584
    avgan = shapes_of(networks.ImageGenerator(), x, Condition(jnp.zeros((1, 2))))
    assert networks.parameter_count(avgan) == 8_424_256 - 7 * 7 * 64  # avGAN: one input channel less
    assert networks.parameter_count(shapes_of(networks.ResNet18(), x)) == pytest.approx(11.2e6, rel=0.01)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("use_landmarks", [False, True])
def test_image_generator_depends_on_every_input_and_not_on_other_examples(masked, use_landmarks):
    network = networks.ImageGenerator(width=4, blocks=1, masked=masked)
    x, landmarks = random_images(), random_landmarks() if use_landmarks else None
    params = perturbed(init(network, x, Condition(EMOTIONS, landmarks))["params"])

    def generate(x, emotions, landmarks):
        return apply(network, {"params": params}, x, Condition(emotions, landmarks)).output

    output = generate(x, EMOTIONS, landmarks)
    assert output.shape == x.shape and jnp.all(jnp.abs(output) <= 1)
    # With zero padding, the instance norms do not remove the tiled emotion.
    assert jnp.abs(generate(x, -EMOTIONS, landmarks) - output).max() > 1e-4
    alone = generate(x[:1], EMOTIONS[:1], landmarks[:1] if use_landmarks else None)
    np.testing.assert_allclose(output[:1], alone, atol=1e-5)
    if use_landmarks:
        assert jnp.abs(generate(x, EMOTIONS, landmarks + 0.3) - output).max() > 1e-4


def test_an_untrained_masked_generator_outputs_nearly_its_source():
    network = networks.ImageGenerator(width=4, blocks=1, masked=True)
    x, condition = random_images(), Condition(EMOTIONS)
    generated = apply(network, init(network, x, condition), x, condition)
    assert 0.1 < float(generated.mask.mean()) < 0.5
    assert float(jnp.abs(generated.output - x).mean()) < 0.5 * float(jnp.abs(x).mean())


def test_image_discriminator_heads():
    x = random_images(32)
    network = networks.ImageDiscriminator(width=4, layers=4)
    output = apply(network, init(network, x), x)
    assert output.logits.shape == (2, 2, 2) and output.emotions.shape == (2, 2) and output.landmarks.shape == (2, 68, 2)
    without_landmarks = networks.ImageDiscriminator(width=4, layers=4, coordinates=0)
    assert apply(without_landmarks, init(without_landmarks, x), x).landmarks is None
    with_depth = networks.ImageDiscriminator(width=4, layers=4, coordinates=3)
    assert apply(with_depth, init(with_depth, x), x).landmarks.shape == (2, 68, 3)


def test_3d_landmarks_enlarge_only_the_layers_that_handle_coordinates():
    x, emotions = jnp.zeros((1, 128, 128, 3)), jnp.zeros((1, 2))

    def sizes(dimensions):
        source = jnp.zeros((1, 68, dimensions))
        return [
            networks.parameter_count(shapes_of(network, *inputs))
            for network, *inputs in (
                (networks.ImageGenerator(), x, Condition(emotions, source)),
                (networks.ImageDiscriminator(coordinates=dimensions), x),
                (networks.LandmarkGenerator(), source, Condition(emotions)),
                (networks.LandmarkDiscriminator(), source),
            )
        ]

    added = [three - two for two, three in zip(sizes(2), sizes(3), strict=True)]
    # Landmarks are drawn in one channel in both cases, D_i's last kernel is 2 x 2 over 2048 channels, and G_l's output
    # layer has a bias.
    assert added == [0, 68 * 2 * 2 * 2048, 68 * 256 + 68 * 256 + 68, 68 * 256]


def test_the_image_generator_depends_on_landmark_depth():
    network = networks.ImageGenerator(width=4, blocks=1)
    x, landmarks = random_images(), random_landmarks(dimensions=3)
    params = perturbed(init(network, x, Condition(EMOTIONS, landmarks))["params"])
    nearer = landmarks.at[..., 2].add(0.5)
    one, other = (apply(network, {"params": params}, x, Condition(EMOTIONS, p)).output for p in (landmarks, nearer))
    assert jnp.abs(one - other).max() > 1e-4


@pytest.mark.parametrize("size", [48, 96])
def test_resnet_features_do_not_depend_on_other_examples(size):
    x = random_images(size)
    network = networks.ResNet18(width=8)
    variables = {"params": perturbed(init(network, x)["params"])}
    features = apply(network, variables, x)
    assert features.shape == (2, 64)
    np.testing.assert_allclose(features[:1], apply(network, variables, x[:1]), rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("body", ["dense", "conv1d"])
def test_landmark_networks_depend_on_the_emotion_and_have_the_right_output_shapes(body, dimensions):
    x = random_landmarks(dimensions=dimensions)
    network = networks.LandmarkGenerator(width=16, blocks=2, body=body, residual=True)
    params = init(network, x, Condition(EMOTIONS))["params"]
    unmoved = apply(network, {"params": params}, x, Condition(EMOTIONS))
    np.testing.assert_array_equal(unmoved.output, x)  # a residual generator starts as the identity
    moved = apply(network, {"params": perturbed(params)}, x, Condition(EMOTIONS)).output
    other = apply(network, {"params": perturbed(params)}, x, Condition(-EMOTIONS)).output
    assert moved.shape == x.shape and jnp.abs(moved - other).max() > 1e-4
    direct = networks.LandmarkGenerator(width=16, blocks=2, body=body, residual=False)
    output = apply(direct, init(direct, x, Condition(EMOTIONS)), x, Condition(EMOTIONS)).output
    assert output.shape == x.shape and jnp.abs(output - x).max() > 0.1
    discriminator = networks.LandmarkDiscriminator(width=16, layers=3, body=body)
    d_output = apply(discriminator, init(discriminator, x), x)
    assert d_output.logits.shape == (2, 1) and d_output.emotions.shape == (2, 2) and d_output.landmarks is None


def test_bfloat16_networks_compute_in_bfloat16_and_output_float32():
    x, condition = random_images(), Condition(EMOTIONS, random_landmarks())
    network = networks.ImageGenerator(width=4, blocks=1, dtype=jnp.bfloat16)
    variables = init(network, x, condition)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    low = apply(network, variables, x, condition).output
    full = apply(networks.ImageGenerator(width=4, blocks=1), variables, x, condition).output
    assert low.dtype == jnp.float32
    np.testing.assert_allclose(low, full, atol=0.1)
    assert float(jnp.abs(low - full).max()) > 0


def test_regressor_outputs_emotions_and_features():
    x = random_images(32)
    network = networks.Regressor(width=8)
    emotions, features = apply(network, init(network, x), x)
    assert emotions.shape == (2, 2) and features.shape == (2, 64)

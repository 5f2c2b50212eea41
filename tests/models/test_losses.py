"""Comparison of every loss with values computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.models import losses

REAL, FAKE = jnp.array([[2.0], [-1.0]]), jnp.array([[0.5], [-3.0]])


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def test_equation_1_adversarial_loss():
    by_hand = np.mean(np.log(sigmoid(REAL))) + np.mean(np.log(1 - sigmoid(FAKE)))
    np.testing.assert_allclose(losses.adversarial(REAL, FAKE), by_hand, rtol=1e-6)
    assert losses.discriminator_adversarial("minimax", REAL, FAKE) == -losses.adversarial(REAL, FAKE)


def test_adversarial_loss_is_finite_for_extreme_logits():
    logits = jnp.array([[200.0]])
    assert np.isfinite(losses.adversarial(-logits, logits))


@pytest.mark.parametrize(
    ("kind", "d_expected", "g_expected"),
    [
        ("minimax", None, np.mean(np.log(1 - sigmoid(FAKE)))),
        ("nonsaturating", None, -np.mean(np.log(sigmoid(FAKE)))),
        ("wgan_gp", -1.25 - 0.5, 1.25),
        ("hinge", (0 + 2) / 2 + (1.5 + 0) / 2, 1.25),
    ],
)
def test_forms_of_the_adversarial_loss(kind, d_expected, g_expected):
    if d_expected is not None:
        np.testing.assert_allclose(losses.discriminator_adversarial(kind, REAL, FAKE), d_expected, rtol=1e-6)
    np.testing.assert_allclose(losses.generator_adversarial(kind, FAKE), g_expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["minimax", "nonsaturating", "wgan_gp", "hinge"])
def test_the_generator_loss_decreases_with_the_logit_of_its_output(kind):
    slope = jax.grad(lambda logit: losses.generator_adversarial(kind, logit))(jnp.zeros((1, 1)))
    assert slope[0, 0] < 0


def test_equation_2_and_7_emotion_loss():
    predicted, target = jnp.array([[0.5, 0.0], [0.0, 1.0]]), jnp.array([[0.0, 0.0], [1.0, 1.0]])
    np.testing.assert_allclose(losses.emotion(predicted, target), (0.25 + 1) / 4)


def test_equation_3_and_9_reconstruction_loss():
    np.testing.assert_allclose(losses.reconstruction(jnp.array([[1.0, -1.0]]), jnp.array([[0.0, 1.0]])), 1.5)


def test_equation_4_face_feature_centre_loss():
    source = jax.random.uniform(jax.random.key(0), (2, 68, 2))
    mouth_down = source.at[:, lm.GROUPS["mouth"], 1].add(0.1)
    np.testing.assert_allclose(losses.face_feature_centre(source, mouth_down), 0.1, rtol=1e-5)
    all_moved = source + jnp.array([0.1, -0.2])
    np.testing.assert_allclose(losses.face_feature_centre(source, all_moved), 7 * 0.3, rtol=1e-5)


def test_equation_4_is_zero_for_a_symmetric_smile():
    source = jax.random.uniform(jax.random.key(0), (1, 68, 2))
    wider = source.at[:, 48, 0].add(-0.1).at[:, 54, 0].add(0.1)
    np.testing.assert_allclose(losses.face_feature_centre(source, wider), 0.0, atol=1e-6)


def test_equation_8_landmark_loss():
    points = jnp.zeros((1, 68, 2))
    np.testing.assert_allclose(losses.landmark(points, points.at[0, 0].set(jnp.array([1.0, 2.0]))), 3 / 136, rtol=1e-6)


def test_equations_4_and_8_with_3d_landmarks():
    source = jax.random.uniform(jax.random.key(0), (1, 68, 3))
    nearer = source.at[:, lm.GROUPS["nose"], 2].add(0.25)
    np.testing.assert_allclose(losses.face_feature_centre(source, nearer), 0.25, rtol=1e-5)
    np.testing.assert_allclose(losses.landmark(source, source.at[0, 0, 2].add(2.04)), 0.01, rtol=1e-5)


def test_r1_penalty_of_a_linear_score_is_its_squared_slope():
    slope = jnp.array([3.0, 4.0])
    penalty = losses.r1_penalty(lambda x: (x @ slope)[:, None], jnp.ones((5, 2)))
    np.testing.assert_allclose(penalty, 25.0)


def test_r1_penalty_averages_patches():
    penalty = losses.r1_penalty(lambda x: jnp.stack([4 * x[:, 0], 0 * x[:, 0]], axis=1), jnp.ones((3, 1)))
    np.testing.assert_allclose(penalty, 4.0)


def test_wasserstein_penalty_is_zero_for_slope_one():
    def penalty(slope):
        real, fake = jnp.zeros((4, 2)), jnp.ones((4, 2))
        return losses.wasserstein_penalty(lambda x: slope * x[:, :1], real, fake, jnp.linspace(0, 1, 4))

    np.testing.assert_allclose(penalty(1.0), 0.0, atol=1e-9)
    np.testing.assert_allclose(penalty(3.0), 4.0, rtol=1e-6)


def test_wasserstein_penalty_is_evaluated_at_the_points_given_by_mix():
    seen = []

    def score(x):
        seen.append(x)
        return x**2

    real, fake = jnp.array([[2.0], [2.0]]), jnp.array([[0.0], [0.0]])
    penalty = losses.wasserstein_penalty(score, real, fake, jnp.array([1.0, 0.25]))
    np.testing.assert_allclose(penalty, ((4 - 1) ** 2 + (1 - 1) ** 2) / 2, rtol=1e-5)  # slopes 2x at x = 2 and 0.5


def test_wasserstein_penalty_of_a_constant_score_has_a_finite_gradient():
    gradient = jax.grad(
        lambda w: losses.wasserstein_penalty(lambda x: w * x, jnp.ones((2, 1)), jnp.zeros((2, 1)), jnp.ones(2))
    )(0.0)
    assert np.isfinite(gradient)


def test_mask_size_is_the_mean_of_the_mask():
    np.testing.assert_allclose(losses.mask_size(jnp.array([0.0, 1.0]).reshape(1, 2, 1, 1)), 0.5)


def test_an_absent_label_has_no_part_in_the_emotion_loss_and_its_gradient():
    predicted, target = jnp.array([[0.5, 7.0], [0.0, 1.0]]), jnp.array([[0.0, jnp.nan], [1.0, 1.0]])
    loss, gradient = jax.value_and_grad(losses.emotion)(predicted, target)
    np.testing.assert_allclose(loss, (0.25 + 1) / 4)
    np.testing.assert_allclose(gradient, np.array([[2 * 0.5, 0.0], [2 * -1.0, 0.0]]) / 4)
    assert losses.emotion(predicted, jnp.full((2, 2), jnp.nan)) == 0


def test_examples_that_do_not_count_have_no_part_in_the_reconstruction_loss():
    source, back = jnp.array([[1.0, -1.0], [0.0, 0.0]]), jnp.array([[5.0, 5.0], [0.0, 1.0]])
    counted = jnp.array([False, True])
    loss, gradient = jax.value_and_grad(losses.reconstruction, argnums=1)(source, back, counted)
    np.testing.assert_allclose(loss, 1 / 4)
    assert not gradient[0].any() and gradient[1, 1] == 0.25

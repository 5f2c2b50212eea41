"""The adversarial step: against an update worked out from the equations, and its invariants."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_models import built, random_batch, small

from avlgan_jax.config import LandmarkTraining
from avlgan_jax.data.batches import Batch
from avlgan_jax.models import build, losses
from avlgan_jax.models.converter import LossWeights
from avlgan_jax.models.networks import Condition, image_to_float


def stepped(model, state, batch):
    return jax.jit(model.trainer.step, static_argnames="axis")(state, batch, jax.random.key(5))


def test_equation_10_update_by_hand():
    """D and G of the image converter after one step, from the printed equations and Adam's first step."""
    config = small(adversarial_loss="minimax")
    model, state, batch = built("image", config)
    trainer, training = model.trainer, config.image
    x = image_to_float(batch.images)
    moved = build.landmark_generator(config).apply({"params": state.frozen}, batch.landmarks, Condition(batch.targets))
    own, target = Condition(batch.emotions, batch.landmarks), Condition(batch.targets, moved.output)

    def judge(d, picture):
        return trainer.discriminator.apply({"params": d}, picture)

    def paint(g, picture, condition):
        return trainer.generator.apply({"params": g}, picture, condition).output

    def l_d(d):
        real, fake = judge(d, x), judge(d, paint(state.generator, x, target))
        l_adv = jnp.mean(jnp.log(jax.nn.sigmoid(real.logits))) + jnp.mean(jnp.log(1 - jax.nn.sigmoid(fake.logits)))
        l_e = jnp.mean((real.emotions - own.emotions) ** 2)
        l_l = jnp.mean(jnp.abs(real.landmarks - own.landmarks))
        return -l_adv + 5 * l_e + 10 * l_l

    def adams_first_step(params, gradients):
        """Bias-corrected moments of one gradient are the gradient and its square."""
        return jax.tree.map(lambda p, g: p - 1e-4 * g / (jnp.abs(g) + 1e-8), params, gradients)

    loss_of_d, gradients = jax.jit(jax.value_and_grad(l_d))(state.discriminator)
    discriminator = adams_first_step(state.discriminator, gradients)

    def l_g(g):
        there = paint(g, x, target)
        fake, back = judge(discriminator, there), paint(g, there, own)
        l_adv = jnp.mean(jnp.log(1 - jax.nn.sigmoid(fake.logits)))
        l_e = jnp.mean((fake.emotions - target.emotions) ** 2)
        l_l = jnp.mean(jnp.abs(fake.landmarks - target.landmarks))
        l_rec = jnp.mean(jnp.abs(x - back))
        return l_adv + 5 * l_e + 10 * l_l + 10 * l_rec

    loss_of_g, gradients = jax.jit(jax.value_and_grad(l_g))(state.generator)
    generator = adams_first_step(state.generator, gradients)
    after, metrics = stepped(model, state, batch)
    assert_same_update(state.discriminator, after.discriminator, discriminator)
    assert_same_update(state.generator, after.generator, generator)
    np.testing.assert_allclose(metrics["d/loss"], loss_of_d, rtol=1e-5)
    np.testing.assert_allclose(metrics["g/loss"], loss_of_g, rtol=1e-5)
    assert int(after.step) == 1 and training.emotion_weight == 5


def assert_same_update(before, after, by_hand):
    """Adam's first step is nearly the gradient's sign: where a gradient is a rounding error, its sign means nothing."""
    differing = total = 0
    for b, a, h in zip(*map(jax.tree.leaves, (before, after, by_hand)), strict=True):
        assert np.abs(a - b).max() <= 1.01e-4
        differing += int(np.sum(np.abs(a - h) > 2e-6))
        total += a.size
    assert differing < 0.002 * total, f"{differing} of {total} parameters moved otherwise than by hand"
    assert any(np.abs(a - b).max() > 5e-5 for b, a in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True))


def test_equation_5_objectives_by_hand():
    config = small()
    model, state, batch = built("landmark", config)
    trainer = model.trainer
    x, own, target = trainer.view({}, batch)
    generated = trainer.generate(state.generator, x, target)
    total, parts = trainer.generator_objective(state.generator, generated, state.discriminator, x, own, target)
    verdict = trainer.discriminate(state.discriminator, generated.output)
    back = trainer.generate(state.generator, generated.output, own).output
    expected = (
        losses.generator_adversarial("minimax", verdict.logits)
        + 5 * losses.emotion(verdict.emotions, batch.targets)
        + 10 * losses.reconstruction(x, back)
        + 10 * losses.face_feature_centre(x, generated.output)
    )
    np.testing.assert_allclose(total, expected, rtol=1e-6)
    assert set(parts) >= {"adversarial", "emotion", "reconstruction", "centre"} and "landmark" not in parts


LOSSES = ("nonsaturating", "wgan_gp", "hinge")


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in ("landmark", "image") for kind in LOSSES]
    + [pytest.param("avgan", kind, marks=pytest.mark.slow) for kind in LOSSES],
)
def test_every_model_steps_with_every_loss(name, kind):
    model, state, batch = built(name, small(adversarial_loss=kind, r1_weight=1.0, masked=True, mask_weight=0.1))
    after, metrics = stepped(model, state, batch)
    assert all(np.isfinite(v) for v in metrics.values()), metrics
    assert ("d/gradient_penalty" in metrics) == (kind == "wgan_gp")
    assert "d/r1" in metrics and ("g/landmark" in metrics) == (name == "image")
    changed = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), state.generator, after.generator)
    assert any(jax.tree.leaves(changed))


def test_landmark_converters_weights_stay_frozen():
    model, state, batch = built("image", small())
    after, _ = stepped(model, state, batch)
    jax.tree.map(np.testing.assert_array_equal, after.frozen, state.frozen)


def test_the_generator_waits_for_its_turn():
    model, state, batch = built("landmark", small(d_steps=3, d_warmup=4))
    turns = [model.trainer.step_kind(step) for step in range(9)]
    assert turns == ["reading"] * 4 + ["discriminator", "both"] + ["discriminator"] * 2 + ["both"]
    step = jax.jit(model.trainer.step, static_argnames=("axis", "kind"))
    alone, metrics = step(state, batch, jax.random.key(5), kind="discriminator")
    both, _ = step(state, batch, jax.random.key(5), kind="both")
    jax.tree.map(np.testing.assert_array_equal, alone.generator, state.generator)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), alone.discriminator, both.discriminator)
    assert not any(name.startswith("g/") for name in metrics) and int(alone.step) == 1


def test_reading_is_the_discriminators_part_about_real_faces():
    """Emotion and landmark losses on real faces alone: no fake, no logits, and the generator stays."""
    model, state, batch = built("image", small(d_warmup=4))
    step = jax.jit(model.trainer.step, static_argnames=("axis", "kind"))
    after, metrics = step(state, batch, jax.random.key(5), kind="reading")
    assert set(metrics) == {"d/emotion", "d/landmark", "d/gradient_norm"} and int(after.step) == 1
    real, own, _ = model.trainer.view(state.frozen, batch)

    def by_hand(discriminator):
        verdict = model.trainer.discriminate(discriminator, real)
        emotion = jnp.mean((verdict.emotions - own.emotions) ** 2)
        return 5.0 * emotion + 10.0 * jnp.mean(jnp.abs(verdict.landmarks - own.landmarks))

    gradients = jax.jit(jax.grad(by_hand))(state.discriminator)
    np.testing.assert_allclose(metrics["d/gradient_norm"], optax.global_norm(gradients), rtol=1e-4)
    assert not np.any(gradients["logits"]["kernel"])
    np.testing.assert_array_equal(after.discriminator["logits"]["kernel"], state.discriminator["logits"]["kernel"])
    jax.tree.map(np.testing.assert_array_equal, after.generator, state.generator)
    jax.tree.map(np.testing.assert_array_equal, after.ema, state.ema)


def test_the_average_follows_the_weights():
    model, state, batch = built("landmark", small(ema_decay=0.5))
    after, _ = stepped(model, state, batch)
    rate = 1 / 10  # a young average: (1 + 0) / (10 + 0)
    expected = jax.tree.map(lambda old, new: rate * old + (1 - rate) * new, state.generator, after.generator)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.ema, expected)
    assert after.evaluated is after.ema
    plain = built("landmark", small())[1]
    assert plain.ema is None and plain.evaluated is plain.generator


def test_noise_follows_the_place_in_the_global_batch():
    """The gradient penalty of a batch is the same when its examples are handed over in another order."""
    model, state, batch = built("landmark", small(adversarial_loss="wgan_gp"))
    turned = Batch(*(None if leaf is None else leaf[::-1] for leaf in batch))
    one, other = (stepped(model, state, b)[1]["d/gradient_penalty"] for b in (batch, turned))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_learning_rate_schedules():
    from avlgan_jax.models.optimizers import adam

    def updates(training, count):
        optimizer = adam(training, steps_per_epoch=2, updates=4)
        state, found = optimizer.init(jnp.zeros(())), []
        for _ in range(count):
            update, state = optimizer.update(jnp.ones(()), state)
            found.append(-float(update) / training.learning_rate)
        return found

    section = LandmarkTraining(decay_factor=0.5, beta1=0.0, beta2=0.0)
    np.testing.assert_allclose(updates(section, 5), [1, 1, 0.5, 0.5, 0.25], rtol=1e-5)
    np.testing.assert_allclose(updates(dataclasses.replace(section, decay="step"), 3), [1, 0.5, 0.25], rtol=1e-5)
    cosine = updates(dataclasses.replace(section, decay="cosine"), 4)
    np.testing.assert_allclose(cosine, [0.5 * (1 + np.cos(np.pi * t / 4)) for t in range(4)], rtol=1e-5)
    assert isinstance(adam(section, 1, 1), optax.GradientTransformation)


def test_weights_may_be_traced_and_stand_for_those_of_the_config():
    """The same step with the weights in the config and, under `vmap`, with the weights as an array."""
    values = (0.5, 20.0)
    changed = [dataclasses.replace(small().landmark, emotion_weight=v, centre_weight=2 * v) for v in values]
    expected = [stepped(*built("landmark", dataclasses.replace(small(), landmark=training))) for training in changed]
    model, state, batch = built("landmark", small())

    def step(weights):
        trainer = dataclasses.replace(model.trainer, loss_weights_override=weights)
        return trainer.step(state, batch, jax.random.key(5))

    weights = LossWeights(jnp.array(values), 2 * jnp.array(values), jnp.zeros(2))
    after, metrics = jax.jit(jax.vmap(step))(weights)
    for member, (alone, alone_metrics) in enumerate(expected):
        for together, single in zip(jax.tree.leaves(after.generator), jax.tree.leaves(alone.generator), strict=True):
            np.testing.assert_allclose(together[member], single, atol=2e-6)
        np.testing.assert_allclose(metrics["g/loss"][member], alone_metrics["g/loss"], rtol=1e-5)
    assert metrics["g/loss"][0] < metrics["g/loss"][1]


def test_computing_activations_again_changes_no_gradient_and_keeps_less():
    config, kept, gradients = small(masked=True), [], []
    batch = random_batch(config)
    inputs = image_to_float(batch.images), Condition(batch.targets, batch.landmarks)
    weights = jax.jit(build.image_generator(config.image).init)(jax.random.key(0), *inputs)
    for on in (False, True):
        network = build.image_generator(dataclasses.replace(config.image, rematerialise=on))

        def generate(weights, network=network):
            return network.apply(weights, *inputs).output

        residuals = jax.eval_shape(lambda weights, generate=generate: jax.vjp(generate, weights)[1], weights)
        kept.append(sum(leaf.size for leaf in jax.tree.leaves(residuals)))
        gradients.append(jax.jit(jax.grad(lambda weights, generate=generate: jnp.sum(generate(weights) ** 2)))(weights))
    assert kept[1] < kept[0] / 3
    for ours, theirs in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)

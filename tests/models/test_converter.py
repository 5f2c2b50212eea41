"""The adversarial training step: comparison with updates computed from the equations, and invariants."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_models import built, random_batch, small

from avlgan_jax.config import LandmarkTraining
from avlgan_jax.data.batches import Batch
from avlgan_jax.faces import warp
from avlgan_jax.models import build, losses
from avlgan_jax.models.converter import Converter, LossWeights
from avlgan_jax.models.networks import Condition, image_to_float


def stepped(model, state, batch):
    return jax.jit(model.trainer.step, static_argnames="axis")(state, batch, jax.random.key(5))


def test_one_step_of_the_image_converter_follows_equation_10():
    """Compare D and G of the image converter after one step with the printed equations and Adam's first step."""
    config = small(adversarial_loss="minimax")
    model, state, batch = built("image", config)
    trainer, training = model.trainer, config.image
    x = image_to_float(batch.images)
    converted = build.landmark_generator(config).apply(
        {"params": state.frozen}, batch.landmarks, Condition(batch.targets)
    )
    own, target = Condition(batch.emotions, batch.landmarks), Condition(batch.targets, converted.output)

    def discriminate(d, image):
        return trainer.discriminator.apply({"params": d}, image)

    def generate(g, image, condition):
        return trainer.generator.apply({"params": g}, image, condition).output

    def l_d(d):
        real, fake = discriminate(d, x), discriminate(d, generate(state.generator, x, target))
        l_adv = jnp.mean(jnp.log(jax.nn.sigmoid(real.logits))) + jnp.mean(jnp.log(1 - jax.nn.sigmoid(fake.logits)))
        l_e = jnp.mean((real.emotions - own.emotions) ** 2)
        l_l = jnp.mean(jnp.abs(real.landmarks - own.landmarks))
        return -l_adv + 5 * l_e + 10 * l_l

    def adams_first_step(params, gradients):
        """Update with one gradient g: Adam's bias-corrected moments are then g and g²."""
        return jax.tree.map(lambda p, g: p - 1e-4 * g / (jnp.abs(g) + 1e-8), params, gradients)

    loss_of_d, gradients = jax.jit(jax.value_and_grad(l_d))(state.discriminator)
    discriminator = adams_first_step(state.discriminator, gradients)

    def l_g(g):
        fake_images = generate(g, x, target)
        fake, reconstructed = discriminate(discriminator, fake_images), generate(g, fake_images, own)
        l_adv = jnp.mean(jnp.log(1 - jax.nn.sigmoid(fake.logits)))
        l_e = jnp.mean((fake.emotions - target.emotions) ** 2)
        l_l = jnp.mean(jnp.abs(fake.landmarks - target.landmarks))
        l_rec = jnp.mean(jnp.abs(x - reconstructed))
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
    """Check that the updates agree, but for parameters whose gradient is a rounding error.

    Adam's first step is nearly the sign of the gradient, which is arbitrary for a rounding error.
    """
    differing = total = 0
    for b, a, h in zip(*map(jax.tree.leaves, (before, after, by_hand)), strict=True):
        assert np.abs(a - b).max() <= 1.01e-4
        differing += int(np.sum(np.abs(a - h) > 2e-6))
        total += a.size
    assert differing < 0.002 * total, f"{differing} of {total} parameters differ from the update by hand"
    assert any(np.abs(a - b).max() > 5e-5 for b, a in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True))


def test_the_objective_of_the_landmark_generator_follows_equation_5():
    config = small()
    model, state, batch = built("landmark", config)
    trainer = model.trainer
    x, own, target = trainer.view({}, batch)
    generated = trainer.generate(state.generator, x, target)
    total, parts = trainer.generator_objective(state.generator, generated, state.discriminator, x, own, target)
    d_output = trainer.discriminate(state.discriminator, generated.output)
    reconstructed = trainer.generate(state.generator, generated.output, own).output
    expected = (
        losses.generator_adversarial("minimax", d_output.logits)
        + 5 * losses.emotion(d_output.emotions, batch.targets)
        + 10 * losses.reconstruction(x, reconstructed)
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
    chex.assert_tree_all_finite((after.generator, after.discriminator, metrics))
    assert ("d/gradient_penalty" in metrics) == (kind == "wgan_gp")
    assert "d/r1" in metrics and ("g/landmark" in metrics) == (name == "image")
    changed = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), state.generator, after.generator)
    assert any(jax.tree.leaves(changed))


def test_an_image_step_does_not_change_the_landmark_converter():
    model, state, batch = built("image", small())
    after, _ = stepped(model, state, batch)
    chex.assert_trees_all_equal(after.frozen, state.frozen)


def test_the_generator_is_updated_every_d_steps_after_the_warm_up():
    model, state, batch = built("landmark", small(d_steps=3, d_warmup=4))
    kinds = [model.trainer.step_kind(step) for step in range(9)]
    assert kinds == ["reading"] * 4 + ["discriminator", "both"] + ["discriminator"] * 2 + ["both"]
    step = jax.jit(model.trainer.step, static_argnames=("axis", "kind"))
    d_only, metrics = step(state, batch, jax.random.key(5), kind="discriminator")
    both, _ = step(state, batch, jax.random.key(5), kind="both")
    chex.assert_trees_all_equal(d_only.generator, state.generator)
    chex.assert_trees_all_close(d_only.discriminator, both.discriminator, atol=1e-6)
    assert not any(name.startswith("g/") for name in metrics) and int(d_only.step) == 1


def test_a_reading_step_updates_the_discriminator_from_real_faces_only():
    """A step of kind "reading" uses the emotion and landmark losses on real faces and does not change the generator."""
    model, state, batch = built("image", small(d_warmup=4))
    step = jax.jit(model.trainer.step, static_argnames=("axis", "kind"))
    after, metrics = step(state, batch, jax.random.key(5), kind="reading")
    assert set(metrics) == {"d/emotion", "d/landmark", "d/gradient_norm"} and int(after.step) == 1
    real, own, _ = model.trainer.view(state.frozen, batch)

    def by_hand(discriminator):
        d_output = model.trainer.discriminate(discriminator, real)
        emotion = jnp.mean((d_output.emotions - own.emotions) ** 2)
        return 5.0 * emotion + 10.0 * jnp.mean(jnp.abs(d_output.landmarks - own.landmarks))

    gradients = jax.jit(jax.grad(by_hand))(state.discriminator)
    np.testing.assert_allclose(metrics["d/gradient_norm"], optax.global_norm(gradients), rtol=1e-4)
    assert not np.any(gradients["logits"]["kernel"])
    np.testing.assert_array_equal(after.discriminator["logits"]["kernel"], state.discriminator["logits"]["kernel"])
    chex.assert_trees_all_equal(after.generator, state.generator)
    chex.assert_trees_all_equal(after.ema, state.ema)


def test_the_moving_average_is_updated_with_the_weights():
    model, state, batch = built("landmark", small(ema_decay=0.5))
    after, _ = stepped(model, state, batch)
    rate = 1 / 10  # the decay of the first update: (1 + 0) / (10 + 0)
    expected = jax.tree.map(lambda old, new: rate * old + (1 - rate) * new, state.generator, after.generator)
    chex.assert_trees_all_close(after.ema, expected, atol=1e-6)
    assert after.evaluated is after.ema
    without_average = built("landmark", small())[1]
    assert without_average.ema is None and without_average.evaluated is without_average.generator


def test_noise_depends_on_the_position_in_the_global_batch():
    """The gradient penalty of a batch does not depend on the order in which its examples are passed."""
    model, state, batch = built("landmark", small(adversarial_loss="wgan_gp"))
    reversed_batch = Batch(*(None if leaf is None else leaf[::-1] for leaf in batch))
    one, other = (stepped(model, state, b)[1]["d/gradient_penalty"] for b in (batch, reversed_batch))
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_learning_rate_schedules():
    from avlgan_jax.models.optimizers import adam

    def updates(training, count):
        optimizer = adam(training, steps_per_epoch=2)
        state, rates = optimizer.init(jnp.zeros(())), []
        for _ in range(count):
            update, state = optimizer.update(jnp.ones(()), state)
            rates.append(-float(update) / training.learning_rate)
        return rates

    section = LandmarkTraining(steps=4, decay_factor=0.5, beta1=0.0, beta2=0.0)
    np.testing.assert_allclose(updates(section, 5), [1, 1, 0.5, 0.5, 0.25], rtol=1e-5)
    np.testing.assert_allclose(updates(dataclasses.replace(section, decay="step"), 3), [1, 0.5, 0.25], rtol=1e-5)
    cosine = updates(dataclasses.replace(section, decay="cosine"), 4)
    np.testing.assert_allclose(cosine, [0.5 * (1 + np.cos(np.pi * t / 4)) for t in range(4)], rtol=1e-5)
    assert isinstance(adam(section, 1), optax.GradientTransformation)


def test_traced_loss_weights_replace_those_of_the_config():
    """A step with an array of loss weights under `vmap` equals a step with each of these weights in the config."""
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
        together = jax.tree.map(lambda leaf, member=member: leaf[member], after.generator)
        chex.assert_trees_all_close(together, alone.generator, atol=2e-6)
        np.testing.assert_allclose(metrics["g/loss"][member], alone_metrics["g/loss"], rtol=1e-5)
    assert metrics["g/loss"][0] < metrics["g/loss"][1]


def test_rematerialisation_saves_memory_and_does_not_change_gradients():
    config, residual_sizes, gradients = small(masked=True), [], []
    batch = random_batch(config)
    inputs = image_to_float(batch.images), Condition(batch.targets, batch.landmarks)
    weights = jax.jit(build.image_generator(config.image).init)(jax.random.key(0), *inputs)
    for on in (False, True):
        network = build.image_generator(dataclasses.replace(config.image, rematerialise=on))

        def generate(weights, network=network):
            return network.apply(weights, *inputs).output

        residuals = jax.eval_shape(lambda weights, generate=generate: jax.vjp(generate, weights)[1], weights)
        residual_sizes.append(sum(leaf.size for leaf in jax.tree.leaves(residuals)))
        gradients.append(jax.jit(jax.grad(lambda weights, generate=generate: jnp.sum(generate(weights) ** 2)))(weights))
    assert residual_sizes[1] < residual_sizes[0] / 3
    for one, other in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_without_a_reconstruction_weight_the_way_back_is_not_generated():
    calls = []

    class Counting(Converter):
        def generate(self, generator, source, condition):
            calls.append(condition)
            return super().generate(generator, source, condition)

    for weight, expected in ((10.0, 2), (0.0, 1)):
        model, state, batch = built("landmark", small(reconstruction_weight=weight))
        trainer = Counting(
            **{field.name: getattr(model.trainer, field.name) for field in dataclasses.fields(Converter)}
        )
        calls.clear()
        _, metrics = jax.eval_shape(lambda s, b, t=trainer: t.step(s, b, jax.random.key(0)), state, batch)
        assert len(calls) == expected
        assert ("g/reconstruction" in metrics) == bool(weight)


@pytest.mark.parametrize("name", ["landmark", "image"])
def test_the_paired_loss_is_the_distance_to_the_pair(name):
    tiny = small(targets="paired", paired_weight=3.0)
    model, state, batch = built(name, tiny)
    generator = np.random.default_rng(1)
    batch = batch._replace(
        target_landmarks=jnp.asarray(generator.uniform(-0.8, 0.8, batch.landmarks.shape), jnp.float32),
        target_images=jnp.asarray(generator.integers(0, 256, batch.images.shape, np.uint8)),
    )
    real, own, target = model.trainer.view(state.frozen, batch)
    if name == "image":  # its pair has landmarks of its own, and no landmark converter is needed
        np.testing.assert_array_equal(target.landmarks, batch.target_landmarks)
    generated = model.trainer.generate(state.generator, real, target)
    truth = model.trainer.truth(batch)
    arguments = (state.generator, generated, state.discriminator, real, own, target)
    total, parts = model.trainer.generator_objective(*arguments, truth)
    without, _ = model.trainer.generator_objective(*arguments)
    difference = np.asarray(generated.output) - np.asarray(truth)
    expected = np.abs(difference).mean()
    if name == "image":
        expected += np.abs(np.diff(difference, axis=1)).mean() + np.abs(np.diff(difference, axis=2)).mean()
    np.testing.assert_allclose(parts["paired"], expected, rtol=1e-5)
    np.testing.assert_allclose(total - without, 3.0 * expected, rtol=1e-4)
    _, metrics = stepped(model, state, batch)
    np.testing.assert_allclose(metrics["g/paired"], expected, rtol=1e-4)


def test_a_face_without_a_pair_is_the_truth_of_its_warp():
    """G sees the warped picture and the way back; the paired example of the same batch stays what it is."""
    config = small(targets="shuffled")
    image = dataclasses.replace(config.image, warped=True, masked=False, targets="paired", paired_weight=3.0)
    model, state, batch = built("image", dataclasses.replace(config, image=image))
    pair = batch.images[::-1], jnp.asarray(batch.landmarks[::-1])
    paired = batch._replace(target_images=pair[0], target_landmarks=pair[1])
    mixed = paired._replace(restored=jnp.array([True, False]))
    picture, own, target = model.trainer.view(state.frozen, mixed)
    lesson, plain = (model.trainer.lesson(state.frozen, one) for one in (mixed, paired))
    # The restored example.
    np.testing.assert_array_equal(target.landmarks[0], model.trainer.view(state.frozen, batch)[2].landmarks[0])
    moved = jax.vmap(warp.warp)(picture, batch.landmarks, target.landmarks)
    np.testing.assert_array_equal(lesson.source[0], moved[0])
    assert np.abs(moved[0] - picture[0]).mean() > 0.01
    for found, expected in ((lesson.target, own), (lesson.own, target)):
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(lesson.truth[0], picture[0])
    # The paired one, and what D sees.
    for one, other in zip(jax.tree.leaves(lesson), jax.tree.leaves(plain), strict=True):
        np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(lesson.real, picture)
    np.testing.assert_array_equal(lesson.read.emotions, batch.emotions)
    np.testing.assert_array_equal(lesson.read.landmarks, batch.landmarks)
    _, metrics = stepped(model, state, mixed)
    output = model.trainer.generate(state.generator, lesson.source, lesson.target).output
    difference = np.asarray(output - lesson.truth)
    expected = np.abs(difference).mean() + sum(np.abs(np.diff(difference, axis=axis)).mean() for axis in (1, 2))
    # Not to more digits: the landmarks are noise, so the flow is steep, and the compiled step rounds otherwise.
    np.testing.assert_allclose(metrics["g/paired"], expected, rtol=5e-3)


def test_pixels_of_mouth_and_eyes_count_more_in_the_paired_loss():
    tiny = small(targets="paired", paired_weight=3.0)
    tiny = dataclasses.replace(
        tiny, image=dataclasses.replace(tiny.image, warped=True, masked=False, paired_feature_weight=4.0)
    )
    model, state, batch = built("image", tiny)
    images = np.asarray(batch.images)
    batch = batch._replace(target_landmarks=batch.landmarks, target_images=jnp.asarray(255 - images))
    real, own, target = model.trainer.view(state.frozen, batch)
    generated = model.trainer.generate(state.generator, real, target)
    truth = model.trainer.truth(batch)
    _, parts = model.trainer.generator_objective(
        state.generator, generated, state.discriminator, real, own, target, truth
    )
    features = np.asarray(generated.features)
    assert features.min() == 0.0 and features.max() == 1.0
    difference = (np.asarray(generated.output) - np.asarray(truth)) * (1.0 + 4.0 * features)
    expected = np.abs(difference).mean()
    expected += np.abs(np.diff(difference, axis=1)).mean() + np.abs(np.diff(difference, axis=2)).mean()
    np.testing.assert_allclose(parts["paired"], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["landmark", "image", "avgan"])
def test_an_absent_label_contributes_exactly_nothing(name):
    """Half of the labels of a batch without the other half; and no label at all."""
    model, state, batch = built(name, small())
    trainer = model.trainer
    some, none = (jnp.array(mask) for mask in ([[False, True], [False, False]], [[True, True], [True, True]]))
    real, own, target = trainer.view(state.frozen, batch)

    def reading_gradient(emotions):
        read = trainer.discriminate(state.discriminator, real).emotions
        return jax.grad(lambda predicted: losses.emotion(predicted, emotions))(read)

    complete, partial = (reading_gradient(jnp.where(mask, jnp.nan, own.emotions)) for mask in (~none, some))
    np.testing.assert_array_equal(partial, jnp.where(some, 0.0, complete))

    unlabelled = own._replace(emotions=jnp.full_like(own.emotions, jnp.nan))
    weights = LossWeights(emotion=5.0)
    only_emotions = dataclasses.replace(trainer, loss_weights_override=weights)
    gradients = jax.grad(only_emotions.reading_objective, has_aux=True)(state.discriminator, real, unlabelled)[0]
    assert all(not leaf.any() for leaf in jax.tree.leaves(gradients))
    generated = trainer.generate(state.generator, real, target)
    parts = trainer.generator_objective(state.generator, generated, state.discriminator, real, unlabelled, target)[1]
    assert parts["reconstruction"] == 0

    after, metrics = stepped(model, state, batch._replace(emotions=jnp.where(some, jnp.nan, batch.emotions)))
    chex.assert_tree_all_finite((after.generator, after.discriminator, metrics))


@pytest.mark.parametrize(("warmup", "d_steps"), [(0, 1), (3, 1), (0, 3), (4, 3), (5, 3), (6, 3)])
def test_the_generators_learning_rate_decays_with_the_training_step(warmup, d_steps):
    """The G that a step updates has the rate of that step, whatever steps updated D alone before it."""
    training = LandmarkTraining(steps=20, d_warmup=warmup, d_steps=d_steps, decay="step", decay_factor=0.5)
    converter = build.build("landmark", dataclasses.replace(small(), landmark=training), 100).trainer
    parameters = {"w": jnp.zeros(())}
    optimizer, updates = converter.generator_optimizer, 0
    state = optimizer.init(parameters)
    for step in range(training.steps):
        if converter.step_kind(step) != "both":
            continue
        change, state = optimizer.update({"w": jnp.ones(())}, state)
        # With a constant gradient Adam's step is the learning rate.
        np.testing.assert_allclose(-change["w"], training.learning_rate * 0.5**step, rtol=1e-5)
        updates += 1
    assert updates >= 4

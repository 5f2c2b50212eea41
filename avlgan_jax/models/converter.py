"""Adversarial training shared by the landmark converter, the image converter and avGAN: equations (5) and (10).

A converter has a generator G(source, condition), a discriminator D(source), and a function that takes from a batch the
source, its own condition and the target condition. A step updates D, and then G, which converts the source to the
target and back (the cycle). A step is a pure function `(state, batch, key) -> (state, metrics)`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int, Key

from avlgan_jax.config import AdversarialTraining, LandmarkTraining
from avlgan_jax.data.batches import Batch
from avlgan_jax.faces import warp
from avlgan_jax.models import losses
from avlgan_jax.models.networks import Condition, DiscriminatorOutput
from avlgan_jax.models.optimizers import Params, copy_params, moving_average
from avlgan_jax.runtime.devices import mean_over_devices

Metrics = dict[str, Float[Array, ""]]
Source = Float[Array, "batch *shape"]
StepKind = Literal["reading", "discriminator", "both"]


class State(struct.PyTreeNode):
    """Training state of a converter. `frozen` holds constant parameters of the previously trained model it uses."""

    step: Int[Array, ""]
    key: Key[Array, ""]
    generator: Params
    discriminator: Params
    generator_optimizer: optax.OptState
    discriminator_optimizer: optax.OptState
    ema: Params | None
    frozen: Params

    @property
    def evaluated(self) -> Params:
        """The generator's weights for evaluation: the moving average if there is one, else the last weights."""
        return self.generator if self.ema is None else self.ema


class Lesson(NamedTuple):
    """What a training step takes from a batch: what G converts, and what it is compared with."""

    source: Source
    own: Condition
    """The condition of the source."""
    target: Condition
    truth: Source | None
    """The source at the target condition, where it is known."""
    real: Source
    """What D takes as real: the faces of the batch."""
    read: Condition
    """The condition of `real`, which D learns to read."""


class LossWeights(NamedTuple):
    """The loss weights that Table I varies: numbers, or traced scalars if several runs train in one program."""

    emotion: float | Float[Array, ""]
    centre: float | Float[Array, ""] = 0.0
    landmark: float | Float[Array, ""] = 0.0


def configured_weights(training: AdversarialTraining) -> LossWeights:
    """Return the loss weights of the config. A weight that the section does not have is 0."""
    centre, landmark = (getattr(training, name, 0.0) for name in ("centre_weight", "landmark_weight"))
    return LossWeights(training.emotion_weight, centre, landmark)


@dataclass(frozen=True)
class Converter:
    """The networks, optimizers and training step of one converter."""

    generator: nn.Module
    discriminator: nn.Module
    training: AdversarialTraining
    view: Callable[[Params, Batch], tuple[Source, Condition, Condition]]
    """(frozen parameters, batch) -> (source, own condition, target condition)."""
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    truth: Callable[[Batch], Source | None] = lambda batch: None
    """The paired image or landmarks of a batch, in the form of the source; None without paired targets."""
    loss_weights_override: LossWeights | None = None
    """Loss weights that replace those of the config, or None."""

    @property
    def weights(self) -> LossWeights:
        """The loss weights in use: `loss_weights_override` if set, else those of the config."""
        return configured_weights(self.training) if self.loss_weights_override is None else self.loss_weights_override

    def lesson(self, frozen: Params, batch: Batch) -> Lesson:
        """Return what a step of training takes from a batch.

        A face without a pair but itself (`Batch.restored`) is warped to the target first, as geometry alone can, and G
        brings it back to its own condition: the face itself shows the teeth, lids and folds that the warp hides.
        """
        real, own, target = self.view(frozen, batch)
        truth = self.truth(batch)
        if batch.restored is None:
            return Lesson(real, own, target, truth, real, own)

        def choose(restored: Source, paired: Source) -> Source:
            return jnp.where(batch.restored.reshape(-1, *(1,) * (paired.ndim - 1)), restored, paired)

        moved = jax.vmap(warp.warp)(real, target.source, target.landmarks)
        return Lesson(
            choose(moved, real),
            jax.tree.map(choose, target, own),
            jax.tree.map(choose, own, target),
            choose(real, truth),
            real,
            own,
        )

    def init(self, key: Key[Array, ""], batch: Batch, frozen: Params) -> State:
        """Return a newly initialised state.

        Args:
            key: The key for both networks' weights and for the noise of training.
            batch: A batch of which only the shapes are used.
            frozen: The weights of the previously trained model; empty if the converter uses none.
        """
        for_generator, for_discriminator, for_training = jax.random.split(key, 3)
        source, own, _ = self.view(frozen, batch)
        generator = self.generator.init(for_generator, source, own)["params"]
        discriminator = self.discriminator.init(for_discriminator, source)["params"]
        return State(
            step=jnp.zeros((), jnp.int32),
            key=for_training,
            generator=generator,
            discriminator=discriminator,
            generator_optimizer=self.generator_optimizer.init(generator),
            discriminator_optimizer=self.discriminator_optimizer.init(discriminator),
            ema=copy_params(generator) if self.training.ema_decay else None,
            frozen=frozen,
        )

    def discriminate(self, discriminator: Params, source: Source) -> DiscriminatorOutput:
        """Return D's output for a batch of sources, real or generated.

        With `read_blurred` the logits are those of the source, emotions and landmarks those of the blurred source.
        """
        if not self._reads_blurred:
            return self.discriminator.apply({"params": discriminator}, source)
        sharp, blurred = self._discriminate_each(discriminator, source, _blurred(source))
        return blurred._replace(logits=sharp.logits)

    @property
    def _reads_blurred(self) -> bool:
        """Whether D reads emotions and landmarks from blurred sources. The landmark converter has no such field."""
        return getattr(self.training, "read_blurred", False)

    def _discriminate_each(self, discriminator: Params, *batches: Source) -> list[DiscriminatorOutput]:
        """Return D's outputs for several batches of the same size, computed as one batch."""
        outputs = self.discriminator.apply({"params": discriminator}, jnp.concatenate(batches))
        return [jax.tree.map(lambda leaf, k=k: jnp.split(leaf, len(batches))[k], outputs) for k in range(len(batches))]

    def generate(self, generator: Params, source: Source, condition: Condition):
        """Return G's output for a batch of sources and conditions."""
        return self.generator.apply({"params": generator}, source, condition)

    def reading_objective(
        self, discriminator: Params, real: Source, own: Condition
    ) -> tuple[Float[Array, ""], Metrics]:
        """Return the emotion and landmark losses on real faces, which are a part of L_D in equations (5) and (10)."""
        return self._reading(self.discriminate(discriminator, real), own)

    def _reading(self, d_output: DiscriminatorOutput, own: Condition) -> tuple[Float[Array, ""], Metrics]:
        weights = self.weights
        parts = {"emotion": losses.emotion(d_output.emotions, own.emotions)}
        total = weights.emotion * parts["emotion"]
        if d_output.landmarks is not None:
            parts["landmark"] = losses.landmark(d_output.landmarks, own.landmarks)
            total += weights.landmark * parts["landmark"]
        return total, parts

    def discriminator_objective(
        self, discriminator: Params, real: Source, fake: Source, own: Condition, mix: Float[Array, "batch"]
    ) -> tuple[Float[Array, ""], Metrics]:
        """Return L_D of equations (5) and (10) with the penalties of the config, and its parts as metrics.

        Args:
            discriminator: D's weights.
            real: The sources.
            fake: G's outputs for the same batch.
            own: The conditions of `real`.
            mix: For each example, the share of `real` in [0, 1] at which the Wasserstein penalty is evaluated.
        """
        training = self.training
        # D learns no emotions from what is generated, so that is not blurred.
        blurred = (_blurred(real),) if self._reads_blurred else ()
        on_real, on_fake, *on_blurred = self._discriminate_each(discriminator, real, fake, *blurred)
        if on_blurred:
            on_real = on_blurred[0]._replace(logits=on_real.logits)
        total, parts = self._reading(on_real, own)
        parts["adversarial"] = losses.discriminator_adversarial(
            training.adversarial_loss, on_real.logits, on_fake.logits
        )
        total += parts["adversarial"]

        def score(x: Source):
            return self.discriminator.apply({"params": discriminator}, x).logits  # no blurred pass

        if training.adversarial_loss == "wgan_gp":
            parts["gradient_penalty"] = losses.wasserstein_penalty(score, real, fake, mix)
            total += training.gradient_penalty * parts["gradient_penalty"]
        if training.r1_weight:
            parts["r1"] = losses.r1_penalty(score, real)
            total += training.r1_weight * parts["r1"]
        return total, {"loss": total, "logit_real": on_real.logits.mean(), "logit_fake": on_fake.logits.mean()} | parts

    def generator_objective(
        self,
        generator: Params,
        generated,
        discriminator: Params,
        real: Source,
        own: Condition,
        target: Condition,
        truth: Source | None = None,
    ) -> tuple[Float[Array, ""], Metrics]:
        """Return L_G of equations (5) and (10), and its parts as metrics.

        Args:
            generator: G's weights, used here for the conversion back to `own`.
            generated: G(real, target), computed by the caller.
            discriminator: D's weights.
            real: The sources.
            own: The conditions of `real`.
            target: The conditions of `generated`.
            truth: The paired images or landmarks at the target emotions, if there are any.
        """
        training, weights = self.training, self.weights
        d_output = self.discriminate(discriminator, generated.output)
        parts = {
            "adversarial": losses.generator_adversarial(training.adversarial_loss, d_output.logits),
            "emotion": losses.emotion(d_output.emotions, target.emotions),
        }
        total = parts["adversarial"] + weights.emotion * parts["emotion"]
        if training.reconstruction_weight:
            known = losses.known_labels(own.emotions)
            # A face that lacks a label has no way back. It gets some condition, and its reconstruction does not count.
            way_back = own._replace(emotions=jnp.where(known, own.emotions, 0.0))
            back = self.generate(generator, generated.output, way_back)
            parts["reconstruction"] = losses.reconstruction(real, back.output, known.all(axis=-1))
            total += training.reconstruction_weight * parts["reconstruction"]
        if isinstance(training, LandmarkTraining):
            parts["centre"] = losses.face_feature_centre(real, generated.output)
            total += weights.centre * parts["centre"]
        if d_output.landmarks is not None:
            parts["landmark"] = losses.landmark(d_output.landmarks, target.landmarks)
            total += training.g_landmark_factor * weights.landmark * parts["landmark"]
        if truth is not None:
            factor = None
            if getattr(training, "paired_feature_weight", 0.0):
                factor = 1.0 + training.paired_feature_weight * generated.features
            parts["paired"] = losses.paired(truth, generated.output, factor)
            total += training.paired_weight * parts["paired"]
        if generated.mask is not None:
            parts["mask"] = losses.mask_size(generated.mask)
            total += training.mask_weight * parts["mask"]
        return total, {"loss": total, "moved": jnp.mean(jnp.abs(generated.output - real))} | parts

    def validate(self, state: State, batch: Batch) -> Metrics:
        """Return L_G and its parts on a batch of validation faces, computed with the weights for evaluation.

        `score` (higher is better) is -L_G without the adversarial part, whose values at different steps are not
        comparable.
        """
        real, own, target = self.view(state.frozen, batch)
        generated = self.generate(state.evaluated, real, target)
        total, metrics = self.generator_objective(state.evaluated, generated, state.discriminator, real, own, target)
        return metrics | {"score": metrics["adversarial"] - total}

    def step_kind(self, step: int) -> StepKind:
        """Return what `step` updates.

        During the warm-up (`d_warmup` steps) D learns emotions and landmarks from real faces: "reading". After that
        every `d_steps`-th step updates D and G ("both") and every other step updates D ("discriminator").
        """
        if step < self.training.d_warmup:
            return "reading"
        return "both" if (step + 1) % self.training.d_steps == 0 else "discriminator"

    def step(
        self, state: State, batch: Batch, key: Key[Array, ""], axis: str | None = None, kind: StepKind = "both"
    ) -> tuple[State, Metrics]:
        """Run one training step and return the new state and the metrics.

        Args:
            state: The state before the step.
            batch: The batch of this device.
            key: The key for the noise of this step, the same on all devices.
            axis: The mapped axis over which gradients and metrics are averaged; None on a single device.
            kind: "reading" updates D with its emotion and landmark losses on real faces and generates nothing.
                "discriminator" updates D on real and generated faces. "both" then updates G too.

        Returns:
            The state, and scalar metrics named `d/...` and, if G is updated, `g/...`.
        """
        source, own, target, truth, real, read = self.lesson(state.frozen, batch)
        state = state.replace(step=state.step + 1)
        if kind == "reading":
            d_result = jax.grad(self.reading_objective, has_aux=True)(state.discriminator, real, read)
            return self._update_discriminator(state, *mean_over_devices(d_result, axis))

        # Noise depends on the position in the global batch, so it is the same on whatever device an example is.
        mix = jax.vmap(lambda position: jax.random.uniform(jax.random.fold_in(key, position)))(batch.position)
        # One forward pass for both updates: D's uses the output, and G's back-propagates through the same pass.
        generated, pull_back = jax.vjp(lambda generator: self.generate(generator, source, target), state.generator)
        fake = jax.lax.stop_gradient(generated.output)
        d_result = jax.grad(self.discriminator_objective, has_aux=True)(state.discriminator, real, fake, read, mix)
        state, d_metrics = self._update_discriminator(state, *mean_over_devices(d_result, axis))
        if kind == "discriminator":
            return state, d_metrics

        (direct, through_output), metrics = jax.grad(self.generator_objective, argnums=(0, 1), has_aux=True)(
            state.generator, generated, state.discriminator, source, own, target, truth
        )
        (indirect,) = pull_back(through_output)
        gradients = jax.tree.map(jnp.add, direct, indirect)
        state, g_metrics = self._update_generator(state, *mean_over_devices((gradients, metrics), axis))
        return state, d_metrics | g_metrics

    def _update_discriminator(self, state: State, gradients: Params, metrics: Metrics) -> tuple[State, Metrics]:
        updates, optimizer = self.discriminator_optimizer.update(gradients, state.discriminator_optimizer)
        discriminator = optax.apply_updates(state.discriminator, updates)
        state = state.replace(discriminator=discriminator, discriminator_optimizer=optimizer)
        return state, _prefixed("d", metrics | {"gradient_norm": optax.global_norm(gradients)})

    def _update_generator(self, state: State, gradients: Params, metrics: Metrics) -> tuple[State, Metrics]:
        updates, optimizer = self.generator_optimizer.update(gradients, state.generator_optimizer)
        generator = optax.apply_updates(state.generator, updates)
        updates_before = jnp.maximum(state.step - 1 - self.training.d_warmup, 0) // self.training.d_steps
        ema = moving_average(state.ema, generator, updates_before, self.training.ema_decay)
        state = state.replace(generator=generator, generator_optimizer=optimizer, ema=ema)
        return state, _prefixed("g", metrics | {"gradient_norm": optax.global_norm(gradients)})


def _blurred(images: Source) -> Source:
    """Return images under the filter [1 2 1] / 4 along both axes; at the border the nearest pixel is repeated."""
    for axis in (1, 2):
        padded = jnp.pad(images, [(1, 1) if k == axis else (0, 0) for k in range(4)], mode="edge")
        before, after = (jax.lax.slice_in_dim(padded, k, k + images.shape[axis], axis=axis) for k in (0, 2))
        images = 0.25 * (before + after) + 0.5 * images
    return images


def _prefixed(prefix: str, metrics: Metrics) -> Metrics:
    return {f"{prefix}/{name}": value for name, value in metrics.items()}

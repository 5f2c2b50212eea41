"""The adversarial skeleton that the landmark converter, the image converter and avGAN share: equations (5) and (10).

A converter is a generator G(source, condition), a discriminator D(source), and two ways of seeing a batch: the source
with its own condition, and the condition it shall be converted to. A step updates D, then G with its cycle there and
back. Everything is a pure function `(state, batch, key) -> (state, metrics)`.
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
from avlgan_jax.models import losses
from avlgan_jax.models.networks import Condition, DiscriminatorOutput
from avlgan_jax.models.optimizers import Params, copy_params, moving_average
from avlgan_jax.runtime.devices import mean_over_devices

Metrics = dict[str, Float[Array, ""]]
Source = Float[Array, "batch *shape"]
StepKind = Literal["reading", "discriminator", "both"]


class State(struct.PyTreeNode):
    """All that training changes, and `frozen`: parameters of models trained before that this one looks through."""

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
        """The generator's weights that evaluation uses: the averaged ones where there are any."""
        return self.generator if self.ema is None else self.ema


class LossWeights(NamedTuple):
    """The loss weights that Table I varies: numbers, or traced scalars where many runs train in one program."""

    emotion: float | Float[Array, ""]
    centre: float | Float[Array, ""] = 0.0
    landmark: float | Float[Array, ""] = 0.0


def configured_weights(training: AdversarialTraining) -> LossWeights:
    """The weights of the config; those that its kind of converter does not know are 0."""
    centre, landmark = (getattr(training, name, 0.0) for name in ("centre_weight", "landmark_weight"))
    return LossWeights(training.emotion_weight, centre, landmark)


@dataclass(frozen=True)
class Converter:
    """The parts of one converter."""

    generator: nn.Module
    discriminator: nn.Module
    training: AdversarialTraining
    view: Callable[[Params, Batch], tuple[Source, Condition, Condition]]
    """(frozen parameters, batch) -> source, its own condition, the condition it shall be converted to."""
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    loss_weights_override: LossWeights | None = None
    """Weights in place of the config's."""

    @property
    def weights(self) -> LossWeights:
        """The loss weights that count."""
        return configured_weights(self.training) if self.loss_weights_override is None else self.loss_weights_override

    def init(self, key: Key[Array, ""], batch: Batch, frozen: Params) -> State:
        """A fresh state; `batch` gives shapes only."""
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
        """D's output for a batch of sources, real or generated."""
        return self.discriminator.apply({"params": discriminator}, source)

    def generate(self, generator: Params, source: Source, condition: Condition):
        """G's output for a batch of sources."""
        return self.generator.apply({"params": generator}, source, condition)

    def reading_objective(
        self, discriminator: Params, real: Source, own: Condition
    ) -> tuple[Float[Array, ""], Metrics]:
        """The part of L_D in equations (5) and (10) that is about real faces: their emotions and landmarks."""
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
        """L_D of equations (5) and (10), with the penalties that the config asks for."""
        training = self.training
        both = self.discriminate(discriminator, jnp.concatenate([real, fake]))
        on_real, on_fake = (jax.tree.map(lambda leaf, half=half: jnp.split(leaf, 2)[half], both) for half in (0, 1))
        total, parts = self._reading(on_real, own)
        parts["adversarial"] = losses.discriminator_adversarial(
            training.adversarial_loss, on_real.logits, on_fake.logits
        )
        total += parts["adversarial"]

        def score(x: Source):
            return self.discriminate(discriminator, x).logits

        if training.adversarial_loss == "wgan_gp":
            parts["gradient_penalty"] = losses.wasserstein_penalty(score, real, fake, mix)
            total += training.gradient_penalty * parts["gradient_penalty"]
        if training.r1_weight:
            parts["r1"] = losses.r1_penalty(score, real)
            total += training.r1_weight * parts["r1"]
        return total, {"loss": total, "logit_real": on_real.logits.mean(), "logit_fake": on_fake.logits.mean()} | parts

    def generator_objective(
        self, generator: Params, generated, discriminator: Params, real: Source, own: Condition, target: Condition
    ) -> tuple[Float[Array, ""], Metrics]:
        """L_G of equations (5) and (10); `generated` is G(real, target), the way back is made here."""
        training, weights = self.training, self.weights
        d_output = self.discriminate(discriminator, generated.output)
        back = self.generate(generator, generated.output, own)
        parts = {
            "adversarial": losses.generator_adversarial(training.adversarial_loss, d_output.logits),
            "emotion": losses.emotion(d_output.emotions, target.emotions),
            "reconstruction": losses.reconstruction(real, back.output),
        }
        total = (
            parts["adversarial"]
            + weights.emotion * parts["emotion"]
            + training.reconstruction_weight * parts["reconstruction"]
        )
        if isinstance(training, LandmarkTraining):
            parts["centre"] = losses.face_feature_centre(real, generated.output)
            total += weights.centre * parts["centre"]
        if d_output.landmarks is not None:
            parts["landmark"] = losses.landmark(d_output.landmarks, target.landmarks)
            total += weights.landmark * parts["landmark"]
        if generated.mask is not None:
            parts["mask"] = losses.mask_size(generated.mask)
            total += training.mask_weight * parts["mask"]
        return total, {"loss": total, "moved": jnp.mean(jnp.abs(generated.output - real))} | parts

    def validate(self, state: State, batch: Batch) -> Metrics:
        """L_G's parts on faces not trained on, with the evaluated weights; `score` (higher is better) leaves out the
        adversarial part, which has no meaning from one step to the next."""
        real, own, target = self.view(state.frozen, batch)
        generated = self.generate(state.evaluated, real, target)
        total, metrics = self.generator_objective(state.evaluated, generated, state.discriminator, real, own, target)
        return metrics | {"score": metrics["adversarial"] - total}

    def step_kind(self, step: int) -> StepKind:
        """Whose turn it is at `step`: D reads real faces while it warms up, then is alone between G's steps."""
        if step < self.training.d_warmup:
            return "reading"
        return "both" if (step + 1) % self.training.d_steps == 0 else "discriminator"

    def step(
        self, state: State, batch: Batch, key: Key[Array, ""], axis: str | None = None, kind: StepKind = "both"
    ) -> tuple[State, Metrics]:
        """One step: D on real and generated, then, if it is its kind, G through D and back round the cycle.

        In a `reading` turn D learns emotions and landmarks from real faces, and nothing is generated. `axis` names the
        mapped axis over which gradients and metrics are averaged. The metrics are scalars named `d/...` and, of G's
        turns, `g/...`.
        """
        real, own, target = self.view(state.frozen, batch)
        state = state.replace(step=state.step + 1)
        if kind == "reading":
            read = jax.grad(self.reading_objective, has_aux=True)(state.discriminator, real, own)
            return self._update_discriminator(state, *mean_over_devices(read, axis))

        # Noise by place in the global batch: the same whichever device an example is on.
        mix = jax.vmap(lambda place: jax.random.uniform(jax.random.fold_in(key, place)))(batch.position)
        # One forward pass serves both: D sees its value, G later pulls its gradient back through it.
        generated, pull_back = jax.vjp(lambda generator: self.generate(generator, real, target), state.generator)
        fake = jax.lax.stop_gradient(generated.output)
        judged = jax.grad(self.discriminator_objective, has_aux=True)(state.discriminator, real, fake, own, mix)
        state, d_metrics = self._update_discriminator(state, *mean_over_devices(judged, axis))
        if kind == "discriminator":
            return state, d_metrics

        (direct, through_output), metrics = jax.grad(self.generator_objective, argnums=(0, 1), has_aux=True)(
            state.generator, generated, state.discriminator, real, own, target
        )
        (indirect,) = pull_back(through_output)
        gradients = jax.tree.map(jnp.add, direct, indirect)
        state, g_metrics = self._update_generator(state, *mean_over_devices((gradients, metrics), axis))
        return state, d_metrics | g_metrics

    def _update_discriminator(self, state: State, gradients: Params, metrics: Metrics) -> tuple[State, Metrics]:
        updates, optimizer = self.discriminator_optimizer.update(gradients, state.discriminator_optimizer)
        discriminator = optax.apply_updates(state.discriminator, updates)
        state = state.replace(discriminator=discriminator, discriminator_optimizer=optimizer)
        return state, _named("d", metrics | {"gradient_norm": optax.global_norm(gradients)})

    def _update_generator(self, state: State, gradients: Params, metrics: Metrics) -> tuple[State, Metrics]:
        updates, optimizer = self.generator_optimizer.update(gradients, state.generator_optimizer)
        generator = optax.apply_updates(state.generator, updates)
        turns = jnp.maximum(state.step - 1 - self.training.d_warmup, 0) // self.training.d_steps
        ema = moving_average(state.ema, generator, turns, self.training.ema_decay)
        state = state.replace(generator=generator, generator_optimizer=optimizer, ema=ema)
        return state, _named("g", metrics | {"gradient_norm": optax.global_norm(gradients)})


def _named(whose: str, metrics: Metrics) -> Metrics:
    return {f"{whose}/{name}": value for name, value in metrics.items()}

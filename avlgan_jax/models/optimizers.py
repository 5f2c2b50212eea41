"""Adam with learning-rate schedules, and moving averages of weights."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from avlgan_jax.config import AdversarialTraining, Training

Params = Any


def adam(
    training: Training,
    steps_per_epoch: int,
    rate_factor: float = 1.0,
    step_of: Callable[[Int[Array, ""]], Int[Array, ""]] = lambda update: update,
) -> optax.GradientTransformation:
    """Return Adam with the learning-rate schedule of a section of the config.

    The rate is a function of the training step, as the config says, also for an optimizer that does not update in every
    step: two optimizers of one training decay together.

    Args:
        training: The section, which sets the steps, the learning rate, its decay and the betas.
        steps_per_epoch: Number of training steps in an epoch.
        rate_factor: Factor of the learning rate.
        step_of: The training step, from 0, in which the optimizer makes its update of a number, from 0.
    """
    rate = training.learning_rate * rate_factor
    if training.decay == "cosine":
        schedule = optax.cosine_decay_schedule(rate, max(1, training.steps))
    else:
        every = steps_per_epoch if training.decay == "epoch" else 1
        schedule = optax.exponential_decay(
            rate, transition_steps=every, decay_rate=training.decay_factor, staircase=True
        )
    # optax counts updates.
    return optax.adam(lambda update: schedule(step_of(update)), b1=training.beta1, b2=training.beta2)


def generator_step(training: AdversarialTraining, update: Int[Array, ""]) -> Int[Array, ""]:
    """Return the training step, from 0, of the generator's update of a number, from 0.

    It inverts `Converter.step_kind`: the generator is updated in every `d_steps`-th step, but not in the warm-up.
    """
    every = training.d_steps
    first = (training.d_warmup // every + 1) * every - 1
    return first + every * update


def moving_average(ema: Params | None, params: Params, step: Int[Array, ""], decay: float) -> Params | None:
    """Return the updated exponential moving average of the weights, or None if `ema` is None.

    Args:
        ema: The average before the update.
        params: The new weights.
        step: Number of updates before this one. The decay is at most (1 + step) / (10 + step), so that the initial
            random weights are forgotten quickly.
        decay: The decay per update, in [0, 1).
    """
    if ema is None:
        return None
    early_decay = (1.0 + step) / (10.0 + step)
    rate = jnp.minimum(decay, early_decay)
    return jax.tree.map(lambda mean, new: rate * mean + (1.0 - rate) * new, ema, params)


def copy_params(params: Params) -> Params:
    """Return a copy of `params` in separate memory, so that both can be donated."""
    return jax.tree.map(jnp.array, params)

"""Adam with learning-rate schedules, and moving averages of weights."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from avlgan_jax.config import Training

Params = Any


def adam(
    training: Training, steps_per_epoch: int, updates: int, rate_factor: float = 1.0
) -> optax.GradientTransformation:
    """Return Adam with the learning-rate schedule of a section of the config.

    Args:
        training: The section, which sets the learning rate, its decay and the betas.
        steps_per_epoch: Number of training steps in an epoch. The decay "epoch" takes it as a number of updates.
        updates: Total number of updates of this optimizer; the decay "cosine" reaches zero after the last one.
        rate_factor: Factor of the learning rate.
    """
    rate = training.learning_rate * rate_factor
    if training.decay == "cosine":
        schedule = optax.cosine_decay_schedule(rate, updates)
    else:
        every = steps_per_epoch if training.decay == "epoch" else 1
        schedule = optax.exponential_decay(
            rate, transition_steps=every, decay_rate=training.decay_factor, staircase=True
        )
    return optax.adam(schedule, b1=training.beta1, b2=training.beta2)


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

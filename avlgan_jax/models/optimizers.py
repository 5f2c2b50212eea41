"""Adam with its learning-rate schedules, and averaged weights."""

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
    """Adam with the learning rate schedule of the config times `rate_factor`.

    `steps_per_epoch` is the data's; `updates` is how many this optimizer will make, over which a cosine comes to zero.
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
    """Exponential moving average of the weights; a young average forgets its random start sooner. None stays None."""
    if ema is None:
        return None
    young = (1.0 + step) / (10.0 + step)
    rate = jnp.minimum(decay, young)
    return jax.tree.map(lambda mean, new: rate * mean + (1.0 - rate) * new, ema, params)


def copy_params(params: Params) -> Params:
    """The same weights in memory of their own, so that both can be donated."""
    return jax.tree.map(jnp.array, params)

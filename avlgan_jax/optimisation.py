"""What the steps of all models share: Adam and its schedule, means over devices, averaged weights, pixels to floats."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, UInt8

from avlgan_jax.config import Training

Params = Any
# The pmap axis over which gradients and metrics are averaged.
DEVICE_AXIS = "devices"


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


def mean_over_devices(tree: Any, axis: str | None) -> Any:
    """The mean of every leaf over the devices of the mapped axis; the tree itself where there is no axis."""
    return tree if axis is None else jax.lax.pmean(tree, axis)


def averaged(ema: Params | None, params: Params, step: Int[Array, ""], decay: float) -> Params | None:
    """Exponential moving average of the weights; a young average forgets its random start sooner. None stays None."""
    if ema is None:
        return None
    young = (1.0 + step) / (10.0 + step)
    rate = jnp.minimum(decay, young)
    return jax.tree.map(lambda mean, new: rate * mean + (1.0 - rate) * new, ema, params)


def copy(params: Params) -> Params:
    """The same weights in memory of their own, so that both can be donated."""
    return jax.tree.map(jnp.array, params)


def to_floats(images: UInt8[Array, "*batch h w 3"]) -> Float[Array, "*batch h w 3"]:
    """Pixels 0..255 to [-1, 1]."""
    return images.astype(jnp.float32) / 127.5 - 1.0


def to_pixels(images: Float[Array, "*batch h w 3"]) -> UInt8[Array, "*batch h w 3"]:
    """The inverse of `to_floats`, rounded and clipped."""
    return jnp.clip(jnp.round((images + 1.0) * 127.5), 0, 255).astype(jnp.uint8)

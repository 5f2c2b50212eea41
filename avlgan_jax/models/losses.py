"""Losses of equations (1) to (10) of the paper, as functions of arrays.

Losses that are not in the paper (non-saturating, Wasserstein and hinge losses, gradient penalties, mask size) name
their sources. All return scalars that are means over the batch; all but `adversarial` are to be minimised.

A label may be absent, which is NaN (`known_labels`). It then adds 0 to the sum of a mean and its gradient is exactly 0,
while the mean is still over all labels of the batch: a label counts the same whatever labels the rest of the batch has,
and on however many devices the batch is.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from avlgan_jax.config import AdversarialLoss
from avlgan_jax.faces import landmarks as lm

Logits = Float[Array, "batch *patches"]
Scalar = Float[Array, ""]
Points = Float[Array, "batch 68 d"]


def adversarial(real: Logits, fake: Logits) -> Scalar:
    """Return L_adv of equations (1) and (6): E[log D(x)] + E[log(1 - D(G(x)))], where D is the sigmoid of the logits.

    D maximises it.
    """
    return jnp.mean(jax.nn.log_sigmoid(real)) + jnp.mean(jax.nn.log_sigmoid(-fake))


def discriminator_adversarial(kind: AdversarialLoss, real: Logits, fake: Logits) -> Scalar:
    """Return D's adversarial loss: -L_adv of equations (5) and (10), or its Wasserstein or hinge counterpart."""
    match kind:
        case "minimax" | "nonsaturating":
            return -adversarial(real, fake)
        case "wgan_gp":  # Gulrajani et al. 2017
            return jnp.mean(fake) - jnp.mean(real)
        case "hinge":  # Miyato et al. 2018
            return jnp.mean(jax.nn.relu(1.0 - real)) + jnp.mean(jax.nn.relu(1.0 + fake))


def generator_adversarial(kind: AdversarialLoss, fake: Logits) -> Scalar:
    """Return G's adversarial loss: the part of +L_adv in equations (5) and (10) that depends on G, or its counterpart.

    "nonsaturating", "wgan_gp" and "hinge" have counterparts.
    """
    match kind:
        case "minimax":
            return jnp.mean(jax.nn.log_sigmoid(-fake))
        case "nonsaturating":  # Goodfellow et al. 2014, section 3
            return -jnp.mean(jax.nn.log_sigmoid(fake))
        case "wgan_gp" | "hinge":
            return -jnp.mean(fake)


def emotion(predicted: Float[Array, "batch 2"], target: Float[Array, "batch 2"]) -> Scalar:
    """Return L_e of equations (2) and (7), for real or fake: the mean squared error of valence and arousal.

    Section IV-A flattens both into one vector "to calculate the regression loss". The mean, instead of a sum, follows
    the code of comparable models. Absent targets add nothing.
    """
    # The target is replaced before the difference: the gradient of a difference to NaN is NaN even where it is masked.
    known = known_labels(target)
    return jnp.mean(jnp.where(known, jnp.square(predicted - jnp.where(known, target, 0.0)), 0.0))


def known_labels(emotions: Float[Array, "batch 2"]) -> Bool[Array, "batch 2"]:
    """Return which labels exist; an absent one is NaN."""
    return ~jnp.isnan(emotions)


def reconstruction(
    source: Float[Array, "batch *shape"],
    reconstructed: Float[Array, "batch *shape"],
    counted: Bool[Array, "batch"] | None = None,
) -> Scalar:
    """Return L_rec of equations (3) and (9): the mean absolute difference between a source and its reconstruction.

    The reconstruction is the source converted to the target condition and back to its own.

    Args:
        source: The sources.
        reconstructed: Their reconstructions.
        counted: Which examples count; the others, whose own condition is not known, add nothing. By default all do.
    """
    difference = jnp.abs(source - reconstructed)
    if counted is not None:
        difference = jnp.where(counted.reshape(-1, *(1,) * (source.ndim - 1)), difference, 0.0)
    return jnp.mean(difference)


def paired(
    truth: Float[Array, "batch *shape"],
    generated: Float[Array, "batch *shape"],
    factor: Float[Array, "batch height width 1"] | None = None,
) -> Scalar:
    """Return the mean absolute difference to the paired images or landmarks, not in the paper.

    For images, the differences between neighbouring pixels count as much as the pixels: edges are then not softened.

    Args:
        truth: The paired images or landmarks.
        generated: The generator's output.
        factor: How much each pixel counts; by default 1. No gradient flows into it.
    """
    difference = generated - truth
    if factor is not None:
        difference = difference * jax.lax.stop_gradient(factor)
    loss = jnp.mean(jnp.abs(difference))
    if difference.ndim == 4:
        loss += sum(jnp.mean(jnp.abs(jnp.diff(difference, axis=axis))) for axis in (1, 2))
    return loss


def face_feature_centre(source: Points, generated: Points) -> Scalar:
    """Return L_ffc of equation (4): the L1 distance of the centres of the seven landmark groups.

    It is summed over groups and coordinates.
    """
    distances = jnp.abs(lm.feature_centres(source) - lm.feature_centres(generated))
    return jnp.mean(jnp.sum(distances, axis=(-2, -1)))


def landmark(predicted: Points, target: Points) -> Scalar:
    """Return L_l of equation (8), for real or fake: the mean absolute error of the landmark coordinates in [-1, 1].

    There are 136 coordinates (204 for 3-D landmarks).
    """
    return jnp.mean(jnp.abs(predicted - target))


def mask_size(mask: Float[Array, "batch height width 1"]) -> Scalar:
    """Return the mean of the mask, a penalty on the repainted area (GANimation, Pumarola et al. 2018, eq. 4)."""
    return jnp.mean(mask)


def r1_penalty(score: Callable[[jax.Array], Logits], real: Float[Array, "batch *shape"]) -> Scalar:
    """Return E ||grad_x score(x)||^2 on real data (Mescheder et al. 2018).

    Args:
        score: D's logits for a batch; the logits of an example's patches are averaged to one score.
        real: The real data.
    """
    return jnp.mean(_squared_gradient_norms(score, real))


def wasserstein_penalty(
    score: Callable[[jax.Array], Logits],
    real: Float[Array, "batch *shape"],
    fake: Float[Array, "batch *shape"],
    mix: Float[Array, "batch"],
) -> Scalar:
    """Return E (||grad_x score(x)|| - 1)^2 at points between real and fake (Gulrajani et al. 2017).

    Args:
        score: D's logits for a batch; the logits of an example's patches are averaged to one score.
        real: The real data.
        fake: The generated data.
        mix: For each example, the share of `real` at its point, in [0, 1].
    """
    mix = mix.reshape(-1, *(1,) * (real.ndim - 1))
    squared_norms = _squared_gradient_norms(score, mix * real + (1.0 - mix) * fake)
    # The derivative of the square root is infinite at 0: without 1e-12 a constant discriminator gives NaN.
    return jnp.mean(jnp.square(jnp.sqrt(squared_norms + 1e-12) - 1.0))


def _squared_gradient_norms(
    score: Callable[[jax.Array], Logits], x: Float[Array, "batch *shape"]
) -> Float[Array, "batch"]:
    def total(x):
        logits = score(x)
        return jnp.sum(logits.reshape(logits.shape[0], -1).mean(axis=-1))

    return jnp.sum(jnp.square(jax.grad(total)(x)), axis=tuple(range(1, x.ndim)))

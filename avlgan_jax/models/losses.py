"""Equations (1) to (10) of the paper, each a named function of arrays; no network is called here.

The forms not printed in the paper (non-saturating, Wasserstein, hinge; gradient penalties; the mask's size) stand
beside them with their own sources. All give scalars to be minimised; all are means over the batch.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from avlgan_jax.config import AdversarialLoss
from avlgan_jax.faces import landmarks as lm

Logits = Float[Array, "batch *patches"]
Scalar = Float[Array, ""]
Points = Float[Array, "batch 68 d"]


def adversarial(real: Logits, fake: Logits) -> Scalar:
    """L_adv, equations (1) and (6): E[log D(x)] + E[log(1 - D(G(x)))], D the sigmoid of the logits."""
    return jnp.mean(jax.nn.log_sigmoid(real)) + jnp.mean(jax.nn.log_sigmoid(-fake))


def discriminator_adversarial(kind: AdversarialLoss, real: Logits, fake: Logits) -> Scalar:
    """What D minimises: -L_adv of equations (5) and (10), or its Wasserstein or hinge counterpart."""
    match kind:
        case "minimax" | "nonsaturating":
            return -adversarial(real, fake)
        case "wgan_gp":  # Gulrajani et al. 2017
            return jnp.mean(fake) - jnp.mean(real)
        case "hinge":  # Miyato et al. 2018
            return jnp.mean(jax.nn.relu(1.0 - real)) + jnp.mean(jax.nn.relu(1.0 + fake))


def generator_adversarial(kind: AdversarialLoss, fake: Logits) -> Scalar:
    """What G minimises: the part of +L_adv in equations (5) and (10) that depends on G, or its counterpart."""
    match kind:
        case "minimax":
            return jnp.mean(jax.nn.log_sigmoid(-fake))
        case "nonsaturating":  # Goodfellow et al. 2014, section 3
            return -jnp.mean(jax.nn.log_sigmoid(fake))
        case "wgan_gp" | "hinge":
            return -jnp.mean(fake)


def emotion(predicted: Float[Array, "batch 2"], wanted: Float[Array, "batch 2"]) -> Scalar:
    """L_e, equations (2) and (7), real and fake: the squared error over all valences and arousals of the batch.

    Section IV-A flattens both into one vector "to calculate the regression loss": a mean, as peers' code has it.
    """
    return jnp.mean(jnp.square(predicted - wanted))


def reconstruction(source: Float[Array, "batch *shape"], reconstructed: Float[Array, "batch *shape"]) -> Scalar:
    """L_rec, equations (3) and (9): the mean absolute difference of the source and its way there and back."""
    return jnp.mean(jnp.abs(source - reconstructed))


def face_feature_centre(source: Points, generated: Points) -> Scalar:
    """L_ffc, equation (4): the L1 distances of the seven groups' centres, summed over groups and coordinates."""
    distances = jnp.abs(lm.feature_centres(source) - lm.feature_centres(generated))
    return jnp.mean(jnp.sum(distances, axis=(-2, -1)))


def landmark(predicted: Points, wanted: Points) -> Scalar:
    """L_l, equation (8), real and fake: the mean absolute error of the 136 (3-D: 204) coordinates in [-1, 1]."""
    return jnp.mean(jnp.abs(predicted - wanted))


def mask_size(mask: Float[Array, "batch height width 1"]) -> Scalar:
    """Mean of the mask: what is repainted without need costs something (GANimation, Pumarola et al. 2018, eq. 4)."""
    return jnp.mean(mask)


def r1_penalty(score: Callable[[jax.Array], Logits], real: Float[Array, "batch *shape"]) -> Scalar:
    """E ||grad_x score(x)||^2 on real data (Mescheder et al. 2018); patches are averaged into one score."""
    return jnp.mean(_squared_slopes(score, real))


def wasserstein_penalty(
    score: Callable[[jax.Array], Logits],
    real: Float[Array, "batch *shape"],
    fake: Float[Array, "batch *shape"],
    mix: Float[Array, "batch"],
) -> Scalar:
    """E (||grad_x score(x)|| - 1)^2 between real and fake (Gulrajani et al. 2017); `mix` in [0, 1] says where."""
    mix = mix.reshape(-1, *(1,) * (real.ndim - 1))
    slopes = _squared_slopes(score, mix * real + (1.0 - mix) * fake)
    # The square root has no finite slope at 0: without the small number a flat discriminator gives NaN.
    return jnp.mean(jnp.square(jnp.sqrt(slopes + 1e-12) - 1.0))


def _squared_slopes(score: Callable[[jax.Array], Logits], x: Float[Array, "batch *shape"]) -> Float[Array, "batch"]:
    def total(x):
        logits = score(x)
        return jnp.sum(logits.reshape(logits.shape[0], -1).mean(axis=-1))

    return jnp.sum(jnp.square(jax.grad(total)(x)), axis=tuple(range(1, x.ndim)))

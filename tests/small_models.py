"""Models with few parameters, and a random batch for them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from avlgan_jax.config import Config, ImageTraining, LandmarkTraining
from avlgan_jax.data.batches import Batch
from avlgan_jax.models import build
from avlgan_jax.models.networks import Condition


def small(**changes):
    """Return a config of tiny models at 16 px. `changes` are fields of the sections of all three GANs.

    The landmark converter has no `masked` and `mask_weight`; its section ignores them.
    """
    tiny = {"width": 4, "blocks": 1, "batch_size": 2, **changes}
    image = ImageTraining(**tiny, d_width=4, d_layers=2)
    landmark = {k: v for k, v in tiny.items() if k not in ("masked", "mask_weight")}
    return Config(
        resolution=16,
        landmark=LandmarkTraining(**landmark, d_layers=1),
        image=image,
        avgan=dataclasses.replace(image, use_landmarks=False, discriminator="resnet18", d_width=8),
    )


def random_batch(config, size=2):
    """Return a random batch of `size` faces."""
    generator = np.random.default_rng(0)
    side = config.resolution
    batch = Batch(
        landmarks=generator.uniform(-0.8, 0.8, (size, 68, 2)).astype(np.float32),
        emotions=generator.uniform(-1, 1, (size, 2)).astype(np.float32),
        targets=generator.uniform(-1, 1, (size, 2)).astype(np.float32),
        position=np.arange(size, dtype=np.int32),
        images=generator.integers(0, 256, (size, side, side, 3), np.uint8),
    )
    return jax.tree.map(jnp.asarray, batch)


def built(name, config):
    """Return a model, its initial state, and a random batch of two faces."""
    model = build.build(name, config, 100)
    batch = random_batch(config)
    frozen = {}
    if model.frozen_model:
        generator = build.landmark_generator(config)
        frozen = generator.init(jax.random.key(9), batch.landmarks, Condition(batch.emotions))["params"]
    return model, jax.jit(model.trainer.init)(jax.random.key(0), batch, frozen), batch

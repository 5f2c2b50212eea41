import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from avlgan_jax.config import RegressorTraining
from avlgan_jax.data.batches import Batch
from avlgan_jax.models import build
from avlgan_jax.presets import debug


def test_the_regressor_learns_to_read_emotions_from_brightness():
    """In the training images, valence is the brightness of the upper half, and arousal that of the lower half."""
    generator = np.random.default_rng(0)
    section = RegressorTraining(steps=60, width=8, batch_size=16, learning_rate=2e-3, beta1=0.9)
    config = dataclasses.replace(debug(), regressor=section)
    model = build.build("regressor", config, 100)

    def batch():
        emotions = generator.uniform(-1, 1, (16, 2)).astype(np.float32)
        halves = np.repeat(emotions[:, :, None, None, None], 16, axis=2).reshape(16, 32, 1, 1)
        images = np.broadcast_to(128 + 100 * halves, (16, 32, 32, 3)).astype(np.uint8)
        blank = np.zeros((16, 68, 2), np.float32)
        arrays = Batch(blank, emotions, emotions, np.arange(16, dtype=np.int32), images)
        return jax.tree.map(jnp.asarray, arrays)

    state = jax.jit(model.trainer.init)(jax.random.key(0), batch(), {})
    step, validate = jax.jit(model.trainer.step), jax.jit(model.trainer.validate)
    rmse_before = validate(state, batch())["rmse"]
    for _ in range(60):
        state, metrics = step(state, batch(), jax.random.key(0))
    after = validate(state, batch())
    assert after["rmse"] < 0.5 * rmse_before and after["score"] == -after["rmse"]
    assert int(state.step) == 60 and jnp.isfinite(metrics["gradient_norm"])

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from avlgan_jax.config import RegressorTraining
from avlgan_jax.data.batches import Batch
from avlgan_jax.models import build
from avlgan_jax.models.networks import image_to_float
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


def test_an_absent_label_contributes_exactly_nothing():
    config = dataclasses.replace(debug(), regressor=RegressorTraining(width=8, batch_size=2))
    model = build.build("regressor", config, 100)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    blank = np.zeros((2, 68, 2), np.float32)

    def batch(emotions):
        arrays = Batch(blank, np.array(emotions, np.float32), blank[:, 0], np.arange(2, dtype=np.int32), images)
        return jax.tree.map(jnp.asarray, arrays)

    state = model.trainer.init(jax.random.key(0), batch(blank[:, 0]), {})
    step = jax.jit(model.trainer.step)
    nan = float("nan")
    after, metrics = step(state, batch([[nan, nan], [nan, nan]]), jax.random.key(0))
    assert metrics["gradient_norm"] == 0 and metrics["loss"] == 0 and metrics["rmse"] == 0
    jax.tree.map(np.testing.assert_array_equal, after.regressor, state.regressor)
    # Of two faces, one label of four: the error is that label's.
    predicted, _ = model.trainer.network.apply({"params": state.regressor}, image_to_float(jnp.asarray(images)))
    _, metrics = step(state, batch([[nan, nan], [0.5, nan]]), jax.random.key(0))
    np.testing.assert_allclose(metrics["rmse"], abs(predicted[1, 0] - 0.5), rtol=1e-4)
    validated = model.trainer.validate(state, batch([[nan, nan], [0.5, nan]]))
    np.testing.assert_allclose(validated["rmse"], metrics["rmse"], rtol=1e-4)

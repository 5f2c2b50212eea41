"""The PyTorch reference of the benchmarks computes the same step as ours from the same weights and batches."""

import dataclasses

import jax
import numpy as np
import pytest

from avlgan_jax.config import Config
from avlgan_jax.data.batches import Batch
from avlgan_jax.models import build
from avlgan_jax.presets import paper
from avlgan_jax.training import states

torch = pytest.importorskip("torch")

SIDE, STEPS = 16, 3


@pytest.fixture(scope="module")
def config() -> Config:
    recipe = paper()
    return dataclasses.replace(
        recipe,
        resolution=SIDE,
        landmark=dataclasses.replace(recipe.landmark, batch_size=3, width=8, blocks=2, d_layers=2),
        image=dataclasses.replace(recipe.image, batch_size=3, width=4, blocks=1, d_width=4, d_layers=3),
    )


def _batch(seed: int) -> Batch:
    """Return a random batch of three faces."""
    rng = np.random.default_rng(seed)
    return Batch(
        landmarks=rng.uniform(-0.8, 0.8, (3, 68, 2)).astype(np.float32),
        emotions=rng.uniform(-1, 1, (3, 2)).astype(np.float32),
        targets=rng.uniform(-1, 1, (3, 2)).astype(np.float32),
        position=np.arange(3, dtype=np.int32),
        images=rng.integers(0, 256, (3, SIDE, SIDE, 3), np.uint8),
    )


def _with_noise(params):
    """Return parameters plus noise. With the initial ones and zeros, a norm copied to the wrong layer would pass."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32), params)


@pytest.fixture(scope="module", params=["image", "landmark"])
def ours(config, request):
    """Return a model's name, its first state, its state after STEPS steps, and the metrics of each step."""
    model = build.build(request.param, config, 10_000)
    start = states.fresh_state(model, config)
    start = start.replace(
        generator=_with_noise(start.generator),
        discriminator=_with_noise(start.discriminator),
        frozen=_with_noise(start.frozen),
    )
    step, state, metrics = jax.jit(model.trainer.step), start, []
    for seed in range(STEPS):
        state, found = step(state, _batch(seed), state.key)
        metrics.append({name: float(value) for name, value in found.items()})
    return request.param, start, state, metrics


@pytest.mark.parametrize("form", ["eager", "best"])
def test_both_sides_compute_the_same_step(config, ours, form):
    from benchmarks import pytorch_reference as reference

    name, start, end, metrics = ours
    make = {"image": reference.image_reference, "landmark": reference.landmark_reference}[name]
    theirs = make(config, start, form)
    for seed in range(STEPS):
        losses = theirs.step(_batch(seed))
        assert {"d/loss", "d/emotion", "g/loss", "g/reconstruction"} <= losses.keys() <= metrics[seed].keys()
        for loss, value in losses.items():
            assert value.item() == pytest.approx(metrics[seed][loss], rel=1e-4, abs=1e-4), (seed, loss)
    moved = make(config, end, form).generator.state_dict()
    # Some weights multiply a spatially constant channel, and the next norm subtracts the mean. Their gradient is zero
    # up to rounding, from which Adam makes a full step. These few weights may differ.
    differing = [np.abs(value - moved[key]).ravel() > 2e-5 for key, value in theirs.generator.state_dict().items()]
    assert np.concatenate(differing).mean() < 0.005


def test_both_sides_draw_the_same_landmark_image():
    from avlgan_jax.faces import landmarks as lm
    from benchmarks.pytorch_reference import draw

    points = _batch(5).landmarks
    expected = np.asarray(lm.draw(points, SIDE))
    np.testing.assert_allclose(draw(torch.from_numpy(points), SIDE)[:, 0], expected[..., 0], atol=1e-5)


def test_an_unsupported_config_is_refused(config):
    from benchmarks.pytorch_reference import image_reference

    masked = dataclasses.replace(config, image=dataclasses.replace(config.image, masked=True))
    with pytest.raises(ValueError, match="preset `paper` only"):
        image_reference(masked, None, "eager")

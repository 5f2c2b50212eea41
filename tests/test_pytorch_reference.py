"""The PyTorch reference of the benchmarks computes the same step as ours from the same weights and batches."""

import copy
import dataclasses
import functools
from typing import NamedTuple

import jax
import numpy as np
import pytest

from avlgan_jax.config import Config
from avlgan_jax.data.batches import Batch
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import procedural, warp
from avlgan_jax.models import build, painter
from avlgan_jax.models.converter import State
from avlgan_jax.presets import modern, paper
from avlgan_jax.training import states

torch = pytest.importorskip("torch")

SIDE, STEPS, SIZE = 16, 3, 3
# Preset and model of each step.
CASES = {"paper, image": (paper, "image"), "paper, landmark": (paper, "landmark"), "modern, image": (modern, "image")}


def _small(recipe: Config) -> Config:
    """Return a preset with small networks, which updates both of them from the first step on."""
    return dataclasses.replace(
        recipe,
        resolution=SIDE,
        landmark=dataclasses.replace(recipe.landmark, batch_size=SIZE, width=8, blocks=2, d_layers=2),
        image=dataclasses.replace(recipe.image, batch_size=SIZE, width=4, blocks=1, d_width=4, d_layers=3, d_warmup=0),
    )


def _batch(seed: int) -> Batch:
    """Return a batch of three random images, with the landmarks of drawn faces."""
    rng = np.random.default_rng(seed)
    faces = [procedural.sample_face(seed, subject, 0, infant=subject == 2) for subject in range(SIZE)]
    points = [procedural.landmarks(face, *rng.uniform(-0.7, 0.7, 2), SIDE)[:, :2] for face in faces]
    return Batch(
        landmarks=lm.normalise(np.stack(points), SIDE).astype(np.float32),
        emotions=rng.uniform(-1, 1, (SIZE, 2)).astype(np.float32),
        targets=rng.uniform(-1, 1, (SIZE, 2)).astype(np.float32),
        position=np.arange(SIZE, dtype=np.int32),
        images=rng.integers(0, 256, (SIZE, SIDE, SIDE, 3), np.uint8),
    )


def _with_noise(params, scale: float = 0.1):
    """Return parameters plus noise. With the initial ones and zeros, a norm copied to the wrong layer would pass."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: leaf + scale * rng.normal(size=leaf.shape).astype(np.float32), params)


class Ours(NamedTuple):
    """A model's config and name, its state before and after STEPS steps, and the metrics of each step."""

    config: Config
    name: str
    start: State
    end: State
    metrics: list[dict[str, float]]


@functools.cache
def _train(case: str) -> Ours:
    """Train a model for STEPS steps. `case` is a key of CASES."""
    preset, name = CASES[case]
    config = _small(preset())
    model = build.build(name, config, 10_000)
    start = states.fresh_state(model, config)
    start = start.replace(
        generator=_with_noise(start.generator),
        discriminator=_with_noise(start.discriminator),
        # Noise of 0.1 in a residual landmark converter would move the landmarks across the image.
        frozen=_with_noise(start.frozen, 0.01 if config.landmark.residual else 0.1),
    )
    if start.ema is not None:
        start = start.replace(ema=start.generator)
    step, state, metrics = jax.jit(model.trainer.step), start, []
    with pytest.MonkeyPatch.context() as patch:
        # PyTorch solves for the flow's coefficients exactly. So do ours, to the last digit, with more steps than usual.
        patch.setattr(warp, "ITERATIONS", 60)
        for seed in range(STEPS):
            state, found = step(state, _batch(seed), state.key)
            metrics.append({name: float(value) for name, value in found.items()})
    return Ours(config, name, start, state, metrics)


def _reference(ours: Ours, form: str, config: Config | None = None):
    """Return the reference of a model, before its first step; with another config, of a model that ours is not."""
    from benchmarks.pytorch import converters

    make = {"image": converters.image_reference, "landmark": converters.landmark_reference}[ours.name]
    return make(config or ours.config, ours.start, form)


class Errors(NamedTuple):
    """How far a reference is from ours after STEPS steps."""

    losses: float
    """The largest error of a loss in any step."""
    gradients: float
    """The largest error of the mean gradients that the optimizers hold, over the largest gradient of the same weights.

    Where weights have almost no gradient, it is over a thousandth of the network's largest.
    """
    weights: float
    """Share of weights, with those of the moving average, that differ by more than a tenth of Adam's step.

    Some weights multiply a spatially constant channel, and the next norm subtracts the mean. Their gradient is zero up
    to rounding, from which Adam makes a full step. These few weights may differ.
    """


def _errors(ours: Ours, theirs) -> Errors:
    """Take STEPS steps of a reference and compare it with ours."""
    losses = []
    for seed, metrics in enumerate(ours.metrics):
        found = theirs.step(_batch(seed))
        assert {"d/loss", "d/emotion", "g/loss", "g/reconstruction"} <= found.keys() <= metrics.keys()
        losses += [abs(value.item() - metrics[name]) for name, value in found.items()]
    end, gradients, differing = ours.end, [], []
    limit = 0.1 * getattr(ours.config, ours.name).learning_rate
    for network, optimizer, wanted, state in (
        (theirs.generator, theirs.optimizers[0], end.generator, end.generator_optimizer),
        (theirs.discriminator, theirs.optimizers[1], end.discriminator, end.discriminator_optimizer),
    ):
        means = _in_their_order(network, state[0].mu)
        largest = max(mean.abs().max() for mean in means)
        for weights, mean in zip(network.parameters(), means, strict=True):
            error = (optimizer.state[weights]["exp_avg"] - mean).abs().max()
            gradients.append((error / max(mean.abs().max(), 1e-3 * largest)).item())
        differing += _differences(network.parameters(), _in_their_order(network, wanted))
    if end.ema is not None:
        differing += _differences(theirs.averages, _in_their_order(theirs.generator, end.ema))
    assert bool(theirs.averages) == (end.ema is not None)
    return Errors(max(losses), max(gradients), (np.concatenate(differing) > limit).mean())


def _in_their_order(network, params: dict) -> list:
    """Return Flax parameters, or what has their shapes, in the order and shapes of the PyTorch network's."""
    from benchmarks.pytorch.networks import carry_over

    carried = copy.deepcopy(network)
    carry_over(carried, params)
    return [weights.detach() for weights in carried.parameters()]


def _differences(found, wanted) -> list[np.ndarray]:
    """Return the absolute differences of two lists of tensors, as flat arrays."""
    return [(a.detach() - b).abs().numpy().ravel() for a, b in zip(found, wanted, strict=True)]


def _equal(found: Errors) -> bool:
    return found.losses < 1e-4 and found.gradients < 5e-3 and found.weights < 0.005


@pytest.mark.parametrize("form", ["eager", "best"])
@pytest.mark.parametrize("case", CASES)
def test_both_sides_compute_the_same_step(case, form):
    found = _errors(_train(case), _reference(_train(case), form))
    assert _equal(found), found


@pytest.mark.slow
def test_the_compiled_form_computes_the_same_step(tmp_path, monkeypatch):
    """Compiling takes minutes. A run that was interrupted may have left a broken program in the shared folder."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    ours = _train("modern, image")
    found = _errors(ours, _reference(ours, "compiled"))
    assert _equal(found), found


@pytest.mark.parametrize(
    "change",
    [
        {"mask_weight": 0.31},
        {"read_blurred": False},
        {"reconstruction_weight": 10.1},
        {"d_rate_factor": 1.0},
        {"ema_decay": 0.05},
        {"g_landmark_factor": 0.01},
        {"adversarial_loss": "minimax"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_step_of_modern_is_told_apart(change):
    ours = _train("modern, image")
    other = dataclasses.replace(ours.config, image=dataclasses.replace(ours.config.image, **change))
    found = _errors(ours, _reference(ours, "best", other))
    assert not _equal(found), found


def test_both_sides_draw_the_same_landmark_image():
    from benchmarks.pytorch.networks import draw

    points = _batch(5).landmarks
    expected = np.asarray(lm.draw(points, SIDE))
    np.testing.assert_allclose(draw(torch.from_numpy(points), SIDE)[:, 0], expected[..., 0], atol=1e-5)


def test_both_sides_have_the_same_geometry():
    """Ours with the steps of conjugate gradients that it takes in use, on images smooth enough to show a shift."""
    from benchmarks.pytorch.warp import Warp, sample

    source, target = _batch(5).landmarks, _batch(6).landmarks
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE
    images = np.stack([x, y, np.sin(3.0 * (x + y))], axis=-1)[None].repeat(SIZE, axis=0)
    expected = painter.geometry(images, source, target)
    found = Warp(SIDE)(torch.from_numpy(source), torch.from_numpy(target))
    warped = sample(torch.from_numpy(images).permute(0, 3, 1, 2), found.grid)
    for name, value, error in (
        ("warped", warped, 1e-4),
        ("displacement", found.displacement, 1e-4),
        ("area", found.area, 1e-3),
        ("revealed", found.revealed, 1e-3),
        ("face", found.face, 1e-5),
    ):
        wanted = np.moveaxis(np.asarray(getattr(expected, name)), -1, 1)
        assert np.ptp(wanted) > 0.1, f"{name} is the same everywhere"
        np.testing.assert_allclose(value, wanted, atol=error, err_msg=name)


def test_an_unsupported_config_is_refused():
    from benchmarks.pytorch.converters import image_reference

    config = _small(paper())
    masked = dataclasses.replace(config, image=dataclasses.replace(config.image, masked=True))
    with pytest.raises(ValueError, match="presets `paper` and `modern` only"):
        image_reference(masked, None, "eager")

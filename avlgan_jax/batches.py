"""What each training step sees: order, flips and target emotions, a pure function of (seed, step).

Nothing is drawn in sequence, so step t can be made without the steps before it: a run that resumes, or that uses more
devices, sees the same batches.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32, UInt8

from avlgan_jax import affect
from avlgan_jax import landmarks as lm
from avlgan_jax.config import Targets, Training
from avlgan_jax.records import Faces

# Independent streams of randomness: epoch order; flips and targets.
_ORDER, _STEP = 0, 1


class Batch(NamedTuple):
    """One batch, or (with leading axes) several. Images stay uint8 until they are on the device."""

    landmarks: Float32[np.ndarray, "*lead batch 68 d"]  # in [-1, 1]
    emotions: Float32[np.ndarray, "*lead batch 2"]
    targets: Float32[np.ndarray, "*lead batch 2"]
    position: Int32[np.ndarray, "*lead batch"]  # place in the global batch; noise is drawn by it
    images: UInt8[np.ndarray, "*lead batch h w 3"] | None = None


class Plan(NamedTuple):
    """Which faces a step takes, which of them are mirrored, and which emotions they are sent to."""

    indices: Int[np.ndarray, "batch"]
    flips: Bool[np.ndarray, "batch"]
    targets: Float[np.ndarray, "batch 2"]


@functools.lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, count: int) -> Int[np.ndarray, "count"]:
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(count)


def plan(seed: int, step: int, batch_size: int, emotions: Float[np.ndarray, "n 2"], targets: Targets) -> Plan:
    """The plan of one step: every face once an epoch, mirrored half the time; `emotions` are the data's labels."""
    count = len(emotions)
    places = range(step * batch_size, (step + 1) * batch_size)
    indices = np.array([_epoch_order(seed, place // count, count)[place % count] for place in places])
    generator = np.random.default_rng([seed, _STEP, step])
    flips = generator.random(batch_size) < 0.5
    if targets == "shuffled":
        wanted = emotions[indices][generator.permutation(batch_size)]
    else:
        wanted = affect.uniform_disc(generator, batch_size)
    return Plan(indices, flips, wanted)


def plan_of(training: Training, seed: int, step: int, emotions: Float[np.ndarray, "n 2"]) -> Plan:
    """The plan of one step of a model's training."""
    return plan(seed, step, training.batch_size, emotions, getattr(training, "targets", "shuffled"))


def collect(faces: Faces, chosen: Plan, with_images: bool, places: slice = slice(None)) -> Batch:
    """The faces of a plan as one batch, or those at some `places` of it."""
    position = np.arange(len(chosen.indices), dtype=np.int32)[places]
    chosen = Plan(*(part[places] for part in chosen))
    landmarks = lm.normalise(faces.landmarks[chosen.indices], faces.resolution)
    landmarks = np.where(chosen.flips[:, None, None], lm.flip(landmarks), landmarks)
    images = None
    if with_images:
        images = faces.images[chosen.indices]
        images[chosen.flips] = images[chosen.flips, :, ::-1]
    return Batch(
        landmarks=landmarks.astype(np.float32),
        emotions=faces.emotions[chosen.indices],
        targets=chosen.targets.astype(np.float32),
        position=position,
        images=images,
    )


def stack(batches: list[Batch]) -> Batch:
    """Batches of consecutive steps as one, with a leading step axis."""
    return Batch(*(None if leaf[0] is None else np.stack(leaf) for leaf in zip(*batches, strict=True)))

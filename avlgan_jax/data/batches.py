"""What each training step sees: order, flips, changes and target emotions, a pure function of (seed, step).

Nothing is drawn in sequence, so step t can be made without the steps before it: a run that resumes, or that uses more
devices, sees the same batches.
"""

import functools
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int, Int32, UInt8

from avlgan_jax.config import Config, Targets, Training
from avlgan_jax.data import augmentation
from avlgan_jax.data.augmentation import AugmentationParameters
from avlgan_jax.data.records import Faces
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.emotions import sample_disc

# Independent streams of randomness: epoch order; flips, targets and changes.
_ORDER, _STEP = 0, 1


class Batch(NamedTuple):
    """One batch, or (with leading axes) several. Images stay uint8 until they are on the device."""

    landmarks: Float32[np.ndarray, "*lead batch 68 d"]  # in [-1, 1]
    emotions: Float32[np.ndarray, "*lead batch 2"]
    targets: Float32[np.ndarray, "*lead batch 2"]
    position: Int32[np.ndarray, "*lead batch"]  # place in the global batch; noise is drawn by it
    images: UInt8[np.ndarray, "*lead batch h w 3"] | None = None


class BatchIndices(NamedTuple):
    """One batch, or (with leading axes) several, of faces that lie on the device: their places in the `Store`."""

    indices: Int32[np.ndarray, "*lead batch"]
    flips: Bool[np.ndarray, "*lead batch"]
    targets: Float32[np.ndarray, "*lead batch 2"]
    position: Int32[np.ndarray, "*lead batch"]


Stream = TypeVar("Stream", Batch, BatchIndices)


class DeviceFaces(NamedTuple):
    """All faces of a split as they lie on a device: what `gather` makes batches of."""

    landmarks: Float32[Array | np.ndarray, "n 68 d"]  # in [-1, 1]
    emotions: Float32[Array | np.ndarray, "n 2"]
    images: UInt8[Array | np.ndarray, "n h w 3"] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of memory that a device needs for it."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self))


class BatchPlan(NamedTuple):
    """Which faces a step takes, which of them are mirrored, which emotions they are sent to, and what else is done to
    them (None: nothing)."""

    indices: Int[np.ndarray, "batch"]
    flips: Bool[np.ndarray, "batch"]
    targets: Float[np.ndarray, "batch 2"]
    changes: AugmentationParameters | None = None

    def at(self, places: slice) -> "Plan":
        """The plan of some places of the batch."""
        return jax.tree.map(lambda part: part[places], self)


@functools.lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, count: int) -> Int[np.ndarray, "count"]:
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(count)


def plan_batch(
    seed: int,
    step: int,
    batch_size: int,
    emotions: Float[np.ndarray, "n 2"],
    targets: Targets,
    augment: float = 0.0,
) -> BatchPlan:
    """The plan of one step: every face once an epoch, mirrored half the time, changed by strength `augment`;
    `emotions` are the data's labels."""
    count = len(emotions)
    places = range(step * batch_size, (step + 1) * batch_size)
    indices = np.array([_epoch_order(seed, place // count, count)[place % count] for place in places])
    generator = np.random.default_rng([seed, _STEP, step])
    flips = generator.random(batch_size) < 0.5
    if targets == "shuffled":
        wanted = emotions[indices][generator.permutation(batch_size)]
    else:
        wanted = sample_disc(generator, batch_size)
    changes = augmentation.draw(generator, batch_size, augment) if augment else None
    return BatchPlan(indices, flips, wanted, changes)


def plan_for(config: Config, training: Training, step: int, emotions: Float[np.ndarray, "n 2"]) -> BatchPlan:
    """The plan of one step of a model's training, `training` being its section of the config."""
    targets = getattr(training, "targets", "shuffled")
    return plan_batch(config.seed, step, training.batch_size, emotions, targets, config.augment)


def assemble_batch(faces: Faces, chosen: BatchPlan, with_images: bool, places: slice = slice(None)) -> Batch:
    """The faces of a plan as one batch, or those at some `places` of it."""
    position = np.arange(len(chosen.indices), dtype=np.int32)[places]
    chosen = chosen.at(places)
    landmarks = lm.normalise(faces.landmarks[chosen.indices], faces.resolution)
    landmarks = np.where(chosen.flips[:, None, None], lm.flip(landmarks), landmarks)
    images = None
    if with_images:
        images = faces.images[chosen.indices]
        images[chosen.flips] = images[chosen.flips, :, ::-1]
    if chosen.changes is not None:
        landmarks = augmentation.apply_to_landmarks(landmarks, chosen.changes)
        images = augmentation.apply_to_images(images, chosen.changes) if with_images else None
    return Batch(
        landmarks=landmarks.astype(np.float32),
        emotions=faces.emotions[chosen.indices],
        targets=chosen.targets.astype(np.float32),
        position=position,
        images=images,
    )


def device_faces(faces: Faces, with_images: bool) -> DeviceFaces:
    """The faces as `collect` gives them, all at once and none mirrored."""
    landmarks = lm.normalise(faces.landmarks, faces.resolution).astype(np.float32)
    return DeviceFaces(landmarks, np.asarray(faces.emotions, np.float32), faces.images if with_images else None)


def batch_indices(chosen: BatchPlan, places: slice = slice(None)) -> BatchIndices:
    """What the host tells a device that has a `Store` of the faces of a plan, or of those at some `places` of it."""
    position = np.arange(len(chosen.indices), dtype=np.int32)[places]
    chosen = chosen.at(places)
    return BatchIndices(chosen.indices.astype(np.int32), chosen.flips, chosen.targets.astype(np.float32), position)


def gather_batch(faces: DeviceFaces, picks: BatchIndices) -> Batch:
    """On the device: the batch that `collect` makes of the same faces on the host, the same to the bit."""
    landmarks, images = faces.landmarks[picks.indices], None
    landmarks = jnp.where(picks.flips[:, None, None], lm.flip(landmarks), landmarks)
    if faces.images is not None:
        images = faces.images[picks.indices]
        images = jnp.where(picks.flips[:, None, None, None], images[:, :, ::-1], images)
    return Batch(landmarks, faces.emotions[picks.indices], picks.targets, picks.position, images)


def stack(batches: list[Stream]) -> Stream:
    """Batches of consecutive steps as one, with a leading step axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)

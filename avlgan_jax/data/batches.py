"""Training batches: face order, flips, augmentation, proportions and targets, as a pure function of (seed, step).

No random state is carried from step to step, so the batch of step t needs no earlier batch. A run that resumes or
that uses another number of devices gets the same batches.
"""

import functools
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int, Int32, UInt8

from avlgan_jax.config import Config, Targets, Training
from avlgan_jax.data import augmentation, proportions
from avlgan_jax.data.augmentation import AugmentationParameters
from avlgan_jax.data.proportions import Proportions
from avlgan_jax.data.records import Faces
from avlgan_jax.errors import UserError
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.emotions import sample_disc

# Said where a target must be a label and there is none.
NO_TARGETS = "these faces have no label with both valence and arousal to be a target: expected targets uniform"

# Keys of independent random streams: the order of an epoch; the flips, targets and augmentation of a step.
_ORDER, _STEP = 0, 1


class Batch(NamedTuple):
    """One batch, or several along leading axes. Images stay uint8 until they are on the device."""

    landmarks: Float32[np.ndarray, "*lead batch 68 d"]  # in [-1, 1]
    emotions: Float32[np.ndarray, "*lead batch 2"]  # NaN where a label is absent
    targets: Float32[np.ndarray, "*lead batch 2"]
    position: Int32[np.ndarray, "*lead batch"]  # index in the global batch, which seeds the noise of the example
    images: UInt8[np.ndarray, "*lead batch h w 3"] | None = None
    target_landmarks: Float32[np.ndarray, "*lead batch 68 d"] | None = None  # of the pair, at the target emotion
    target_images: UInt8[np.ndarray, "*lead batch h w 3"] | None = None
    restored: Bool[np.ndarray, "*lead batch"] | None = None  # which faces have no pair but themselves (`BatchPlan`)


class BatchIndices(NamedTuple):
    """One batch, or several along leading axes, as indices into the `DeviceFaces` on a device."""

    indices: Int32[np.ndarray, "*lead batch"]
    flips: Bool[np.ndarray, "*lead batch"]
    targets: Float32[np.ndarray, "*lead batch 2"]
    position: Int32[np.ndarray, "*lead batch"]
    partners: Int32[np.ndarray, "*lead batch"] | None = None
    restored: Bool[np.ndarray, "*lead batch"] | None = None


Stream = TypeVar("Stream", Batch, BatchIndices)


class DeviceFaces(NamedTuple):
    """All faces of a split in device memory, from which `gather_batch` takes batches."""

    landmarks: Float32[Array | np.ndarray, "n 68 d"]  # in [-1, 1]
    emotions: Float32[Array | np.ndarray, "n 2"]
    images: UInt8[Array | np.ndarray, "n h w 3"] | None = None

    @property
    def nbytes(self) -> int:
        """Size of the arrays in bytes."""
        return sum(leaf.nbytes for leaf in jax.tree.leaves(self))


class BatchPlan(NamedTuple):
    """The random choices of one step: faces, flips and target emotions; each of the others may be None.

    With partners, the target of each example is another image of the same person in the same pose. A `restored` example
    has none: it is warped to its target, and the painter learns to bring it back (`converter.Converter.lesson`).
    """

    indices: Int[np.ndarray, "batch"]
    flips: Bool[np.ndarray, "batch"]
    targets: Float[np.ndarray, "batch 2"]
    changes: AugmentationParameters | None = None
    partners: Int[np.ndarray, "batch"] | None = None
    proportions: Proportions | None = None
    restored: Bool[np.ndarray, "batch"] | None = None

    def at(self, places: slice) -> "BatchPlan":
        """Return the plan of a part of the batch."""
        return jax.tree.map(lambda part: part[places], self)


@functools.lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, count: int) -> Int[np.ndarray, "count"]:
    """Return the order of `count` faces in an epoch."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(count)


def plan_batch(
    seed: int,
    step: int,
    batch_size: int,
    emotions: Float[np.ndarray, "n 2"],
    targets: Targets,
    augment: float = 0.0,
    partners: Int[np.ndarray, "n k"] | None = None,
    vary_proportions: float = 0.0,
    alone: Bool[np.ndarray, "n"] | None = None,
    parts: tuple[int, ...] = (),
) -> BatchPlan:
    """Return the plan of one step. Each face occurs once per epoch and is mirrored with probability 1/2.

    Args:
        seed: The seed of the run.
        step: The step, from 0.
        batch_size: Examples in the global batch.
        emotions: The labels of all faces.
        targets: "shuffled" permutes the labels of the batch, "uniform" draws from the unit disc, "paired" takes the
            label of one of the partners, or draws from the disc for a face that is alone. In place of a label of which
            a part is absent (NaN), "shuffled" takes that of another face of the split.
        augment: Strength of the augmentation; 0 for none.
        partners: The indices of each face's partners (`Faces.partners`), for "paired".
        vary_proportions: Strength of the random proportions of landmarks; 0 for none.
        alone: Which faces are their own partners (`Faces.alone`).
        parts: Sizes of the data sets that follow one another; examples are of each in turn.

    Raises:
        UserError: Targets are labels, and no face has both labels, or a partner lacks one.
    """
    count = len(emotions)
    positions = range(step * batch_size, (step + 1) * batch_size)
    indices = np.array([_face_at(seed, position, parts or (count,)) for position in positions])
    generator = np.random.default_rng([seed, _STEP, step])
    flips = generator.random(batch_size) < 0.5
    chosen = restored = None
    if targets == "shuffled":
        target_emotions = _complete_targets(emotions[indices][generator.permutation(batch_size)], emotions, generator)
    elif targets == "paired":
        chosen = partners[indices, generator.integers(partners.shape[1], size=batch_size)]
        target_emotions = emotions[chosen]
        if np.isnan(target_emotions).any():
            raise UserError(f"targets is paired, but {NO_TARGETS}")
        if alone is not None:
            restored = alone[indices]
            target_emotions = np.where(restored[:, None], sample_disc(generator, batch_size), target_emotions)
    else:
        target_emotions = sample_disc(generator, batch_size)
    changes = augmentation.draw(generator, batch_size, augment) if augment else None
    # Drawn last: without it, the other choices of a step are what they would be with it.
    shapes = proportions.draw(generator, batch_size, vary_proportions) if vary_proportions else None
    return BatchPlan(indices, flips, target_emotions, changes, chosen, shapes, restored)


def _face_at(seed: int, position: int, parts: tuple[int, ...]) -> int:
    """Return the face at a position of the stream of examples, which takes one of each part in turn."""
    turn, part = divmod(position, len(parts))
    epoch, place = divmod(turn, parts[part])
    # Each part has an order of its own; that of the first is the order of a single data set.
    order = _epoch_order(seed if part == 0 else seed + 1_000_003 * part, epoch, parts[part])
    return sum(parts[:part]) + int(order[place])


def _complete_targets(
    targets: Float[np.ndarray, "batch 2"], emotions: Float[np.ndarray, "n 2"], generator: np.random.Generator
) -> Float[np.ndarray, "batch 2"]:
    """Return the targets with each that lacks valence or arousal replaced by a complete label of any face."""
    absent = np.isnan(targets).any(axis=1)
    if not absent.any():
        return targets
    complete = np.flatnonzero(~np.isnan(emotions).any(axis=1))
    if not len(complete):
        raise UserError(f"targets is shuffled, but {NO_TARGETS}")
    targets = targets.copy()
    targets[absent] = emotions[generator.choice(complete, size=int(absent.sum()))]
    return targets


def plan_for(config: Config, training: Training, step: int, faces: Faces) -> BatchPlan:
    """Return the plan of one step of a model's training. `training` is the model's section of `config`."""
    targets = getattr(training, "targets", "shuffled")
    partners = alone = None
    if targets == "paired":
        partners, alone = faces.partners, faces.alone
        if alone is not None and not getattr(training, "warped", False):
            raise UserError(
                f"targets is paired, but {alone.sum():,} faces are not drawn and have no pair: expected shuffled or "
                "uniform targets, or an image converter that warps"
            )
    return plan_batch(
        config.seed,
        step,
        training.batch_size,
        faces.emotions,
        targets,
        config.augment,
        partners,
        getattr(training, "vary_proportions", 0.0),
        alone,
        faces.parts,
    )


def assemble_batch(faces: Faces, plan: BatchPlan, with_images: bool, places: slice = slice(None)) -> Batch:
    """Return the batch of a plan, assembled on the host.

    Args:
        faces: The faces of the split.
        plan: The plan of the global batch.
        with_images: Whether the batch contains images.
        places: The part of the global batch to return.
    """
    position = np.arange(len(plan.indices), dtype=np.int32)[places]
    plan = plan.at(places)
    landmarks = lm.normalise(faces.landmarks[plan.indices], faces.resolution)
    landmarks = np.where(plan.flips[:, None, None], lm.flip(landmarks), landmarks)
    if plan.proportions is not None:
        landmarks = proportions.apply(landmarks, plan.proportions)
    images = None
    if with_images:
        images = faces.images[plan.indices]
        images[plan.flips] = images[plan.flips, :, ::-1]
    if plan.changes is not None:
        landmarks = augmentation.apply_to_landmarks(landmarks, plan.changes)
        images = augmentation.apply_to_images(images, plan.changes) if with_images else None
    batch = Batch(
        landmarks=landmarks.astype(np.float32),
        emotions=faces.emotions[plan.indices],
        targets=plan.targets.astype(np.float32),
        position=position,
        images=images,
        restored=plan.restored,
    )
    if plan.partners is None:
        return batch
    # The same flips, augmentation and proportions as for the source.
    pair = assemble_batch(faces, plan._replace(indices=plan.partners, partners=None, restored=None), with_images)
    return batch._replace(target_landmarks=pair.landmarks, target_images=pair.images)


def device_faces(faces: Faces, with_images: bool) -> DeviceFaces:
    """Return all faces as `assemble_batch` returns them, without flips and augmentation."""
    landmarks = lm.normalise(faces.landmarks, faces.resolution).astype(np.float32)
    return DeviceFaces(landmarks, np.asarray(faces.emotions, np.float32), faces.images if with_images else None)


def batch_indices(plan: BatchPlan, places: slice = slice(None)) -> BatchIndices:
    """Return the batch of a plan, or its part at `places`, for a device that holds the `DeviceFaces`."""
    position = np.arange(len(plan.indices), dtype=np.int32)[places]
    plan = plan.at(places)
    partners = None if plan.partners is None else plan.partners.astype(np.int32)
    targets = plan.targets.astype(np.float32)
    return BatchIndices(plan.indices.astype(np.int32), plan.flips, targets, position, partners, plan.restored)


def gather_batch(faces: DeviceFaces, batch: BatchIndices) -> Batch:
    """Return a batch of faces in device memory. It is bit-identical to that of `assemble_batch` for the same plan."""

    def at(indices):
        landmarks, images = faces.landmarks[indices], None
        landmarks = jnp.where(batch.flips[:, None, None], lm.flip(landmarks), landmarks)
        if faces.images is not None:
            images = faces.images[indices]
            images = jnp.where(batch.flips[:, None, None, None], images[:, :, ::-1], images)
        return landmarks, images

    landmarks, images = at(batch.indices)
    pair = (None, None) if batch.partners is None else at(batch.partners)
    emotions = faces.emotions[batch.indices]
    return Batch(landmarks, emotions, batch.targets, batch.position, images, *pair, batch.restored)


def stack(batches: list[Stream]) -> Stream:
    """Stack the batches of consecutive steps along a leading step axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *batches)

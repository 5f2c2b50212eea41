"""Construction of the four models from the config: networks, optimizers, and the conditions taken from a batch."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from avlgan_jax.config import Config, ImageTraining, ModelName, Training
from avlgan_jax.data.batches import Batch
from avlgan_jax.faces import warp
from avlgan_jax.models.converter import Converter
from avlgan_jax.models.networks import (
    Condition,
    Emotions,
    ImageDiscriminator,
    ImageGenerator,
    LandmarkDiscriminator,
    LandmarkGenerator,
    Points,
    Regressor,
    ResNetDiscriminator,
    image_to_float,
)
from avlgan_jax.models.optimizers import Params, adam, generator_step
from avlgan_jax.models.painter import Painter
from avlgan_jax.models.regressor import RegressorTrainer


@dataclass(frozen=True)
class Model:
    """One of the four models with everything that its training needs."""

    name: ModelName
    training: Training
    trainer: Converter | RegressorTrainer
    with_images: bool
    """Whether its batches contain images."""
    frozen_model: ModelName | None = None
    """Name of the previously trained model whose frozen weights this one uses, or None."""


def build(name: ModelName, config: Config, face_count: int) -> Model:
    """Build the model `name` from its section of the config.

    Args:
        name: The model.
        config: The config; the section for `name` sets the networks, the losses and the optimizers.
        face_count: Number of training faces, which sets the number of steps in an epoch for the learning rate.
    """
    training: Training = getattr(config, name)
    steps_per_epoch = max(1, face_count // training.batch_size)
    if name == "regressor":
        optimizer = adam(training, steps_per_epoch)
        return Model(name, training, RegressorTrainer(regressor_network(config), training, optimizer), with_images=True)
    optimizers = (
        adam(training, steps_per_epoch, step_of=functools.partial(generator_step, training)),
        adam(training, steps_per_epoch, training.d_rate_factor),
    )
    if name == "landmark":
        parts = landmark_generator(config), _landmark_discriminator(config)
        trainer = Converter(*parts, training, _view_landmarks, *optimizers, truth=lambda batch: batch.target_landmarks)
        return Model(name, training, trainer, with_images=False)
    parts = image_generator(training), _image_discriminator(training, config.landmark_dimensions)
    if not training.use_landmarks:
        return Model(
            name, training, Converter(*parts, training, _view_image, *optimizers, truth=_paired_image), with_images=True
        )
    convert_landmarks = landmark_conversion(config)

    def view(frozen: Params, batch: Batch):
        converted = batch.target_landmarks
        if converted is None or batch.restored is not None:
            converted = convert_landmarks(frozen, batch.landmarks, batch.targets)
        if batch.restored is not None:
            converted = jnp.where(batch.restored[:, None, None], converted, batch.target_landmarks)
        # On the way back of the cycle source and target change places.
        own = Condition(batch.emotions, batch.landmarks, converted)
        return image_to_float(batch.images), own, Condition(batch.targets, converted, batch.landmarks)

    trainer = Converter(*parts, training, view, *optimizers, truth=_paired_image)
    return Model(name, training, trainer, with_images=True, frozen_model="landmark")


def _view_landmarks(frozen: Params, batch: Batch):
    return batch.landmarks, Condition(batch.emotions), Condition(batch.targets)


def _paired_image(batch: Batch):
    return None if batch.target_images is None else image_to_float(batch.target_images)


def _view_image(frozen: Params, batch: Batch):
    return image_to_float(batch.images), Condition(batch.emotions), Condition(batch.targets)


def regressor_network(config: Config) -> Regressor:
    """Return the regressor network of the config."""
    return Regressor(config.regressor.width, dtype=jnp.dtype(config.regressor.precision))


def landmark_generator(config: Config) -> LandmarkGenerator:
    """Return the landmark converter's generator G_l of the config."""
    section = config.landmark
    return LandmarkGenerator(section.width, section.blocks, section.body, section.residual)


def landmark_conversion(config: Config) -> Callable[[Params, Points, Emotions], Points]:
    """Return the function (weights of G_l, landmarks, emotions) -> converted landmarks, all landmarks in [-1, 1].

    For an image converter that warps, the head stays where it is: turn, scale and shift are taken out.
    """
    network = landmark_generator(config)

    def convert(weights: Params, landmarks: Points, emotions: Emotions) -> Points:
        moved = network.apply({"params": weights}, landmarks, Condition(emotions)).output
        return jax.vmap(warp.without_similarity)(landmarks, moved) if config.image.warped else moved

    return convert


def _landmark_discriminator(config: Config) -> LandmarkDiscriminator:
    section = config.landmark
    return LandmarkDiscriminator(section.width, section.d_layers, section.body)


def image_generator(section: ImageTraining) -> ImageGenerator | Painter:
    """Return the generator G_i for a section of the config: `image` (the image converter) or `avgan`."""
    kind = Painter if section.warped else ImageGenerator
    options = {"width": section.width, "blocks": section.blocks, "dtype": jnp.dtype(section.precision)}
    if not section.warped:
        options["masked"] = section.masked
    return (nn.remat(kind) if section.rematerialise else kind)(**options)


def _image_discriminator(section: ImageTraining, dimensions: int) -> ImageDiscriminator | ResNetDiscriminator:
    dtype = jnp.dtype(section.precision)
    if section.discriminator == "resnet18":
        return ResNetDiscriminator(section.d_width, dtype=dtype)
    coordinates = dimensions if section.use_landmarks else 0
    return ImageDiscriminator(section.d_width, section.d_layers, coordinates, dtype=dtype)


def empty_batch(config: Config, size: int, with_images: bool) -> Batch:
    """Return a batch of `size` examples of zeros with the shapes of the config, for initialisation."""
    pixels = (size, config.resolution, config.resolution, 3)
    return Batch(
        landmarks=np.zeros((size, 68, config.landmark_dimensions), np.float32),
        emotions=np.zeros((size, 2), np.float32),
        targets=np.zeros((size, 2), np.float32),
        position=np.arange(size, dtype=np.int32),
        images=np.zeros(pixels, np.uint8) if with_images else None,
    )

"""The four models by name, each put together from the config: its networks, its optimizer and how it sees a batch."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from avlgan_jax.config import Config, ImageTraining, ModelName, Training
from avlgan_jax.data.batches import Batch
from avlgan_jax.models.converter import Converter
from avlgan_jax.models.networks import (
    Condition,
    ImageDiscriminator,
    ImageGenerator,
    LandmarkDiscriminator,
    LandmarkGenerator,
    Regressor,
    ResNetDiscriminator,
    image_to_float,
)
from avlgan_jax.models.optimizers import Params, adam
from avlgan_jax.models.regressor import RegressorTrainer


@dataclass(frozen=True)
class Model:
    """One of the four models, ready to train."""

    name: ModelName
    training: Training
    trainer: Converter | RegressorTrainer
    with_images: bool
    """Whether its batches hold images."""
    frozen_model: ModelName | None = None
    """The model trained before whose weights it holds frozen."""


def build(name: ModelName, config: Config, face_count: int) -> Model:
    """The model `name` of the config, to be trained on `face_count` faces (which set the length of an epoch)."""
    training: Training = getattr(config, name)
    steps_per_epoch = max(1, face_count // training.batch_size)
    if name == "regressor":
        optimizer = adam(training, steps_per_epoch, training.steps)
        return Model(name, training, RegressorTrainer(regressor_network(config), training, optimizer), with_images=True)
    g_updates = max(1, (training.steps - training.d_warmup) // training.d_steps)
    optimizers = (
        adam(training, steps_per_epoch, g_updates),
        adam(training, steps_per_epoch, training.steps, training.d_rate_factor),
    )
    if name == "landmark":
        parts = landmark_generator(config), _landmark_discriminator(config)
        return Model(name, training, Converter(*parts, training, _view_landmarks, *optimizers), with_images=False)
    parts = image_generator(training), _image_discriminator(training, config.landmark_dimensions)
    if not training.use_landmarks:
        return Model(name, training, Converter(*parts, training, _view_image, *optimizers), with_images=True)
    through = landmark_generator(config)

    def view(frozen: Params, batch: Batch):
        converted = through.apply({"params": frozen}, batch.landmarks, Condition(batch.targets)).output
        own, target = Condition(batch.emotions, batch.landmarks), Condition(batch.targets, converted)
        return image_to_float(batch.images), own, target

    trainer = Converter(*parts, training, view, *optimizers)
    return Model(name, training, trainer, with_images=True, frozen_model="landmark")


def _view_landmarks(frozen: Params, batch: Batch):
    return batch.landmarks, Condition(batch.emotions), Condition(batch.targets)


def _view_image(frozen: Params, batch: Batch):
    return image_to_float(batch.images), Condition(batch.emotions), Condition(batch.targets)


def regressor_network(config: Config) -> Regressor:
    """The regressor of the config."""
    return Regressor(config.regressor.width, dtype=jnp.dtype(config.regressor.precision))


def landmark_generator(config: Config) -> LandmarkGenerator:
    """G_l of the config."""
    section = config.landmark
    return LandmarkGenerator(section.width, section.blocks, section.body, section.residual)


def _landmark_discriminator(config: Config) -> LandmarkDiscriminator:
    section = config.landmark
    return LandmarkDiscriminator(section.width, section.d_layers, section.body)


def image_generator(section: ImageTraining) -> ImageGenerator:
    """G_i of a section of the config: the image converter's or avGAN's."""
    kind = nn.remat(ImageGenerator) if section.rematerialise else ImageGenerator
    return kind(section.width, section.blocks, section.masked, dtype=jnp.dtype(section.precision))


def _image_discriminator(section: ImageTraining, dimensions: int) -> ImageDiscriminator | ResNetDiscriminator:
    dtype = jnp.dtype(section.precision)
    if section.discriminator == "resnet18":
        return ResNetDiscriminator(section.d_width, dtype=dtype)
    coordinates = dimensions if section.use_landmarks else 0
    return ImageDiscriminator(section.d_width, section.d_layers, coordinates, dtype=dtype)


def empty_batch(config: Config, size: int, with_images: bool) -> Batch:
    """A batch of zeros with the shapes of the config, for initialisation."""
    pixels = (size, config.resolution, config.resolution, 3)
    return Batch(
        landmarks=np.zeros((size, 68, config.landmark_dimensions), np.float32),
        emotions=np.zeros((size, 2), np.float32),
        targets=np.zeros((size, 2), np.float32),
        position=np.arange(size, dtype=np.int32),
        images=np.zeros(pixels, np.uint8) if with_images else None,
    )

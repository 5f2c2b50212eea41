"""The converters of a config in PyTorch, with the weights of a JAX state."""

import numpy as np
import torch
from torch import Tensor

from avlgan_jax.config import Config
from avlgan_jax.data.batches import Batch
from benchmarks.pytorch.networks import (
    Condition,
    ImageDiscriminator,
    ImageGenerator,
    LandmarkDiscriminator,
    LandmarkGenerator,
    carry_over,
)
from benchmarks.pytorch.painter import Painter
from benchmarks.pytorch.reference import Form, Precision, Reference, compiles
from benchmarks.pytorch.warp import Geometry, without_similarity


def image_reference(
    config: Config, state, form: Form, device: str = "cpu", precision: Precision | None = None
) -> Reference:
    """Return the image converter of a config, with weights copied from a JAX state, including the landmark converter's.

    Args:
        config: The config.
        state: State of the JAX image converter (`converter.State`).
        form: "eager", "best" or "compiled", as described in `reference`.
        device: "cpu" or "cuda".
        precision: As for `Reference`.

    Raises:
        ValueError: If this package does not implement the config.
    """
    section = config.image
    _require(section.adversarial_loss in ("minimax", "nonsaturating") and section.use_landmarks)
    _require(section.discriminator == "patch" and not section.masked and section.targets != "paired")
    _require(config.landmark.body == "dense" and config.landmark_dimensions == 2)
    _require(section.d_steps == 1 and not section.r1_weight and section.reconstruction_weight > 0)
    if section.warped:
        generator = Painter(section.width, section.blocks, config.resolution, channels_last=form != "eager")
    else:
        generator = ImageGenerator(section.width, section.blocks)
    discriminator = ImageDiscriminator(section.d_width, section.d_layers, config.resolution)
    through = LandmarkGenerator(config.landmark.width, config.landmark.blocks, config.landmark.residual)
    for module, params in (
        (generator, state.generator),
        (discriminator, state.discriminator),
        (through, state.frozen),
    ):
        carry_over(module, params)
    through.to(device)
    conditions = _warping_conditions(generator, form, device) if section.warped else _conditions

    def view(batch: Batch) -> tuple[Tensor, Condition, Condition]:
        landmarks, emotions, targets = _tensors(batch, device)
        pixels = torch.from_numpy(np.asarray(batch.images)).to(device, non_blocking=True)
        real = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        with torch.no_grad():
            converted = through(landmarks, Condition(targets)).output
        return real, *conditions(landmarks, emotions, converted, targets)

    return Reference(generator, discriminator, section, view, form, device, precision)


def landmark_reference(config: Config, state, form: Form, device: str = "cpu") -> Reference:
    """Return the landmark converter of a config, with weights copied from a JAX state.

    Args:
        config: The config.
        state: State of the JAX landmark converter (`converter.State`).
        form: "eager", "best" or "compiled", as described in `reference`.
        device: "cpu" or "cuda".

    Raises:
        ValueError: If this package does not implement the config.
    """
    section = config.landmark
    _require(section.adversarial_loss in ("minimax", "nonsaturating") and section.body == "dense")
    _require(section.targets != "paired" and config.landmark_dimensions == 2)
    _require(section.d_steps == 1 and not section.r1_weight and section.reconstruction_weight > 0)
    generator = LandmarkGenerator(section.width, section.blocks, section.residual)
    discriminator = LandmarkDiscriminator(section.width, section.d_layers)
    carry_over(generator, state.generator)
    carry_over(discriminator, state.discriminator)

    def view(batch: Batch) -> tuple[Tensor, Condition, Condition]:
        landmarks, emotions, targets = _tensors(batch, device)
        return landmarks, Condition(emotions), Condition(targets)

    return Reference(generator, discriminator, section, view, form, device)


def _conditions(landmarks: Tensor, emotions: Tensor, converted: Tensor, targets: Tensor) -> tuple[Condition, Condition]:
    """Return the own and the target condition of a generator that does not warp."""
    return Condition(emotions, landmarks), Condition(targets, converted)


def _warping_conditions(painter: Painter, form: Form, device: str):
    """Return the function (landmarks, emotions, converted landmarks, targets) -> (own, target condition) of a painter.

    All forms but `eager` compute the geometry of both ways in one call.
    """
    geometry = torch.compile(painter.warp, dynamic=False) if compiles(form, device) else painter.warp

    def conditions(landmarks: Tensor, emotions: Tensor, converted: Tensor, targets: Tensor):
        converted = without_similarity(landmarks, converted)
        there, back = None, None
        if form != "eager":
            both = geometry(torch.cat([landmarks, converted]), torch.cat([converted, landmarks]))
            there, back = (Geometry(*(leaf.chunk(2)[half] for leaf in both)) for half in (0, 1))
        return Condition(emotions, landmarks, converted, back), Condition(targets, converted, landmarks, there)

    return conditions


def _tensors(batch: Batch, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return landmarks, emotions and targets on the device."""
    return tuple(
        torch.from_numpy(np.asarray(leaf)).to(device, non_blocking=True)
        for leaf in (batch.landmarks, batch.emotions, batch.targets)
    )


def _require(holds: bool) -> None:
    """Raise ValueError if the config is not supported."""
    if not holds:
        raise ValueError(
            "PyTorch has the steps of presets `paper` and `modern` only: minimax or nonsaturating, unpaired, dense 2-D "
            "landmarks, no gradient penalty"
        )

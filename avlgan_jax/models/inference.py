"""Trained models as plain functions on numpy arrays: images as uint8, landmarks in pixels, any number of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.config import Config
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.models import build
from avlgan_jax.models.networks import Condition, image_to_float, image_to_uint8, parameter_count
from avlgan_jax.models.optimizers import Params
from avlgan_jax.runtime import chunks

Images = UInt8[np.ndarray, "n h w 3"]
Points = Float[np.ndarray, "n 68 d"]
Emotions = Float[np.ndarray, "n 2"]
# Examples that a device is given at once.
ROWS_PER_DEVICE = 64
# The networks that generating and judging need, by name: the evaluated weights of each model, and the image
# converter's discriminator, which reads emotions and landmarks from a picture (Section IV-C, equation 7).
NetworkParameters = dict[Literal["regressor", "landmark", "image", "avgan", "discriminator"], Params]


@dataclass(frozen=True)
class Trained:
    """The four models of a training run.

    Args of the functions: images uint8 (n, R, R, 3), landmarks (n, 68, d) in pixels with d as in the config,
    emotions (n, 2) in [-1, 1].
    """

    config: Config
    steps: dict[str, int]
    """Steps that each model was trained for."""
    regress: Callable[[Images], tuple[Emotions, Float[np.ndarray, "n features"]]]
    """The regressor's valence and arousal, and in one pass the pooled features it read them from."""
    predict: Callable[[Images], Emotions]
    """The regressor's valence and arousal alone."""
    convert_landmarks: Callable[[Points, Emotions], Points]
    """The landmark converter."""
    paint: Callable[[Images, Points, Emotions], Images]
    """The image converter alone: repaints faces to landmarks that have been converted already."""
    convert: dict[str, Callable[[Images, Points, Emotions], Images]]
    """`avlandmarkgan` (landmark converter, then image converter) and `avgan` (which looks at no landmarks)."""
    read_emotions: Callable[[Images], Emotions]
    """Valence and arousal as the image converter's discriminator reads them (Section IV-C)."""
    read_landmarks: Callable[[Images], Points]
    """Landmarks as the image converter's discriminator reads them; in the middle of the picture where it reads none."""


def assemble(
    config: Config,
    weights: NetworkParameters,
    steps: dict[str, int],
    sizes: tuple[int, ...] = (ROWS_PER_DEVICE,),
    devices: Sequence[jax.Device] = (),
) -> Trained:
    """The functions of networks with these weights; `sizes` and `devices` as for `parallel.in_chunks`."""
    networks = Networks(config)

    def ready(function: Callable, *parts: str) -> Callable:
        return chunks.in_chunks(function, {part: weights[part] for part in parts}, sizes, devices)

    regress = ready(networks.predict, "regressor")
    emotions_and_landmarks = ready(networks.discriminate, "discriminator")
    return Trained(
        config=config,
        steps=steps,
        regress=regress,
        predict=lambda images: regress(images)[0],
        convert_landmarks=ready(networks.convert_landmarks, "landmark"),
        paint=ready(networks.paint, "image"),
        convert={
            "avlandmarkgan": ready(lambda *inputs: networks.avlandmarkgan(*inputs)[0], "landmark", "image"),
            "avgan": ready(networks.avgan, "avgan"),
        },
        read_emotions=lambda images: emotions_and_landmarks(images)[0],
        read_landmarks=lambda images: emotions_and_landmarks(images)[1],
    )


class Networks:
    """The networks of a config as pure functions (weights, device arrays) -> device arrays, in pixels throughout."""

    def __init__(self, config: Config):
        self.config = config
        self._regressor = build.regressor_network(config)
        self._move = build.landmark_generator(config)
        self._paint = build.image_generator(config.image)
        self._avgan = build.image_generator(config.avgan)
        self._image_trainer = build.build("image", config, 1).trainer

    def predict(self, weights: NetworkParameters, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The regressor's emotions and pooled features."""
        return self._regressor.apply({"params": weights["regressor"]}, image_to_float(images))

    def discriminate(self, weights: NetworkParameters, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Emotions and landmarks as D_i reads them."""
        output = self._image_trainer.discriminate(weights["discriminator"], image_to_float(images))
        points = output.landmarks
        if points is None:
            points = jnp.zeros((len(images), lm.COUNT, self.config.landmark_dimensions))
        return output.emotions, lm.to_pixels(points, self.config.resolution)

    def convert_landmarks(self, weights: NetworkParameters, points: jax.Array, emotions: jax.Array) -> jax.Array:
        """G_l."""
        source = lm.normalise(points, self.config.resolution)
        moved = self._move.apply({"params": weights["landmark"]}, source, Condition(emotions)).output
        return lm.to_pixels(moved, self.config.resolution)

    def paint(self, weights: NetworkParameters, images: jax.Array, points: jax.Array, emotions: jax.Array) -> jax.Array:
        """G_i."""
        # An ablation may do without landmarks.
        seen = lm.normalise(points, self.config.resolution) if self.config.image.use_landmarks else None
        output = self._paint.apply(
            {"params": weights["image"]}, image_to_float(images), Condition(emotions, seen)
        ).output
        return image_to_uint8(output)

    def avlandmarkgan(
        self, weights: NetworkParameters, images: jax.Array, points: jax.Array, emotions: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """G_l, then G_i: the faces and their landmarks at `emotions`."""
        moved = self.convert_landmarks(weights, points, emotions)
        return self.paint(weights, images, moved, emotions), moved

    def avgan(self, weights: NetworkParameters, images: jax.Array, points: jax.Array, emotions: jax.Array) -> jax.Array:
        """avGAN, which looks at no landmarks."""
        return image_to_uint8(
            self._avgan.apply({"params": weights["avgan"]}, image_to_float(images), Condition(emotions)).output
        )


def parameter_counts(weights: NetworkParameters) -> dict[str, int]:
    """How many numbers each network has."""
    return {name: parameter_count(tree) for name, tree in weights.items()}

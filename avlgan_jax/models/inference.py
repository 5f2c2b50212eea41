"""Trained models as functions on numpy arrays with any number of examples: uint8 images, landmarks in pixels."""

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
# Number of examples that a device processes at once.
ROWS_PER_DEVICE = 64
# The networks for generation and prediction, by name: the weights for evaluation of each model, and the image
# converter's discriminator, which predicts an image's emotion and landmarks (Section IV-C, equation 7).
NetworkParameters = dict[Literal["regressor", "landmark", "image", "avgan", "discriminator"], Params]


@dataclass(frozen=True)
class Trained:
    """The models of a training run, as functions.

    Their arguments are uint8 images (n, R, R, 3), landmarks (n, 68, d) in pixels, where R and d are the config's
    `resolution` and `landmark_dimensions`, and emotions (n, 2) as (valence, arousal) in [-1, 1].
    """

    config: Config
    steps: dict[str, int]
    """Number of training steps of each model."""
    regress: Callable[[Images], tuple[Emotions, Float[np.ndarray, "n features"]]]
    """The regressor's valence and arousal (`Networks.predict`), and its pooled features of the images."""
    predict: Callable[[Images], Emotions]
    """The regressor's valence and arousal."""
    features: Callable[[Images], Float[np.ndarray, "n features"]]
    """The regressor's pooled features: half the work of `regress`."""
    convert_landmarks: Callable[[Points, Emotions], Points]
    """The landmark converter: moves landmarks to the target emotions."""
    paint: Callable[[Images, Points, Points, Emotions], Images]
    """The image converter alone, from images, their landmarks, converted landmarks and the target emotions."""
    convert: dict[str, Callable[[Images, Points, Emotions], Images]]
    """`avlandmarkgan` (landmark converter, then image converter) and, if trained, `avgan` (ignores the landmarks)."""
    read_emotions: Callable[[Images], Emotions]
    """Valence and arousal as predicted by the image converter's discriminator (Section IV-C)."""
    read_landmarks: Callable[[Images], Points]
    """Landmarks as predicted by the image converter's discriminator; the image's centre if it predicts none."""


def assemble(
    config: Config,
    weights: NetworkParameters,
    steps: dict[str, int],
    sizes: tuple[int, ...] = (ROWS_PER_DEVICE,),
    devices: Sequence[jax.Device] = (),
) -> Trained:
    """Return the functions of the config's networks with the given weights.

    Args:
        config: The config of the training run.
        weights: The weights of all networks.
        steps: Number of training steps of each model.
        sizes: Numbers of examples per device to compile for, as for `chunks.in_chunks`.
        devices: The devices to use, as for `chunks.in_chunks`.
    """
    networks = Networks(config)

    def compiled(function: Callable, *parts: str) -> Callable:
        return chunks.in_chunks(function, {part: weights[part] for part in parts}, sizes, devices)

    regress = compiled(networks.predict, "regressor")
    emotions_and_landmarks = compiled(networks.discriminate, "discriminator")
    convert = {"avlandmarkgan": compiled(lambda *inputs: networks.avlandmarkgan(*inputs)[0], "landmark", "image")}
    if "avgan" in config.trained_models:
        convert["avgan"] = compiled(networks.avgan, "avgan")
    return Trained(
        config=config,
        steps=steps,
        regress=regress,
        predict=lambda images: regress(images)[0],
        features=compiled(networks.features, "regressor"),
        convert_landmarks=compiled(networks.convert_landmarks, "landmark"),
        paint=compiled(networks.paint, "image"),
        convert=convert,
        read_emotions=lambda images: emotions_and_landmarks(images)[0],
        read_landmarks=lambda images: emotions_and_landmarks(images)[1],
    )


class Networks:
    """The networks of a config as pure functions (weights, device arrays) -> device arrays.

    Images are uint8, landmarks are in pixels, and emotions are (valence, arousal).
    """

    def __init__(self, config: Config):
        self.config = config
        self._regressor = build.regressor_network(config)
        self._convert_landmarks = build.landmark_conversion(config)
        self._image_generator = build.image_generator(config.image)
        self._avgan = build.image_generator(config.avgan)
        self._image_trainer = build.build("image", config, 1).trainer

    def predict(self, weights: NetworkParameters, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the regressor's emotions, and its pooled features of the images.

        A face and its mirror image have the same emotion, so both are read: the mean of the two readings is nearer to
        it than each of them.
        """
        one, features = self._read(weights, images)
        other, _ = self._read(weights, images[:, :, ::-1])
        return 0.5 * (one + other), features

    def features(self, weights: NetworkParameters, images: jax.Array) -> jax.Array:
        """Return the regressor's pooled features."""
        return self._read(weights, images)[1]

    def _read(self, weights: NetworkParameters, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        return self._regressor.apply({"params": weights["regressor"]}, image_to_float(images))

    def discriminate(self, weights: NetworkParameters, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the emotions and landmarks that D_i predicts; the image's centre if it predicts no landmarks."""
        output = self._image_trainer.discriminate(weights["discriminator"], image_to_float(images))
        points = output.landmarks
        if points is None:
            points = jnp.zeros((len(images), lm.COUNT, self.config.landmark_dimensions))
        return output.emotions, lm.to_pixels(points, self.config.resolution)

    def convert_landmarks(self, weights: NetworkParameters, points: jax.Array, emotions: jax.Array) -> jax.Array:
        """Return the landmarks that G_l converts to `emotions`."""
        source = lm.normalise(points, self.config.resolution)
        moved = self._convert_landmarks(weights["landmark"], source, emotions)
        return lm.to_pixels(moved, self.config.resolution)

    def paint(
        self, weights: NetworkParameters, images: jax.Array, points: jax.Array, moved: jax.Array, emotions: jax.Array
    ) -> jax.Array:
        """Return the images, whose landmarks are `points`, that G_i converts to landmarks `moved` and to `emotions`."""
        condition = Condition(emotions)
        if self.config.image.use_landmarks:  # an ablation trains the image converter without
            condition = Condition(emotions, *(lm.normalise(p, self.config.resolution) for p in (moved, points)))
        output = self._image_generator.apply({"params": weights["image"]}, image_to_float(images), condition).output
        return image_to_uint8(output)

    def avlandmarkgan(
        self, weights: NetworkParameters, images: jax.Array, points: jax.Array, emotions: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Return images and landmarks converted to `emotions` by G_l and then G_i."""
        moved = self.convert_landmarks(weights, points, emotions)
        return self.paint(weights, images, points, moved, emotions), moved

    def avgan(self, weights: NetworkParameters, images: jax.Array, points: jax.Array, emotions: jax.Array) -> jax.Array:
        """Return the images that avGAN converts to `emotions`; `points` are ignored."""
        return image_to_uint8(
            self._avgan.apply({"params": weights["avgan"]}, image_to_float(images), Condition(emotions)).output
        )


def parameter_counts(weights: NetworkParameters) -> dict[str, int]:
    """Return the number of parameters of each network."""
    return {name: parameter_count(tree) for name, tree in weights.items()}

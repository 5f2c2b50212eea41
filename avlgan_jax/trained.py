"""Trained models as plain functions on numpy arrays: images as uint8, landmarks in pixels, any number of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax import landmarks as lm
from avlgan_jax import models, parallel, workdir
from avlgan_jax.checkpoints import Checkpoints
from avlgan_jax.config import MODEL_NAMES, Config, ModelName
from avlgan_jax.errors import UserError
from avlgan_jax.models import Model
from avlgan_jax.networks import Condition, parameter_count
from avlgan_jax.optimisation import Params, to_floats, to_pixels

Images = UInt8[np.ndarray, "n h w 3"]
Points = Float[np.ndarray, "n 68 d"]
Emotions = Float[np.ndarray, "n 2"]

# Examples that a device is given at once.
CHUNK = 64

# The networks that generating and judging need, by name: the evaluated weights of each model, and the image
# converter's discriminator, which reads emotions and landmarks from a picture (Section IV-C, equation 7).
Weights = dict[Literal["regressor", "landmark", "image", "avgan", "discriminator"], Params]


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
    judge: Callable[[Images], Emotions]
    """Valence and arousal as the image converter's discriminator reads them (Section IV-C)."""
    read_landmarks: Callable[[Images], Points]
    """Landmarks as the image converter's discriminator reads them; in the middle of the picture where it reads none."""


def load(directory: Path, **placing) -> Trained:
    """The newest sound checkpoints of the training run in `directory`; `placing` as for `assemble`.

    Raises UserError where a model is missing.
    """
    return assemble(*read(directory), **placing)


def read(directory: Path) -> tuple[Config, Weights, dict[str, int]]:
    """The config, the weights and the steps of the training run in `directory`. Raises UserError as `load` does."""
    config = workdir.read_config(directory)
    states = {name: restore(directory, config, name) for name in MODEL_NAMES}
    return config, _weights(states), {name: int(state.step) for name, state in states.items()}


def assemble(
    config: Config,
    weights: Weights,
    steps: dict[str, int],
    sizes: tuple[int, ...] = (CHUNK,),
    devices: Sequence[jax.Device] = (),
) -> Trained:
    """The functions of networks with these weights; `sizes` and `devices` as for `parallel.in_chunks`."""
    networks = Networks(config)

    def ready(function: Callable, *parts: str) -> Callable:
        return parallel.in_chunks(function, {part: weights[part] for part in parts}, sizes, devices)

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
        judge=lambda images: emotions_and_landmarks(images)[0],
        read_landmarks=lambda images: emotions_and_landmarks(images)[1],
    )


class Networks:
    """The networks of a config as pure functions (weights, device arrays) -> device arrays, in pixels throughout."""

    def __init__(self, config: Config):
        self.config = config
        self._regressor = models.judge_network(config)
        self._move = models.landmark_generator(config)
        self._paint = models.image_generator(config.image)
        self._avgan = models.image_generator(config.avgan)
        self._image_trainer = models.build("image", config, 1).trainer

    def predict(self, weights: Weights, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The regressor's emotions and pooled features."""
        return self._regressor.apply({"params": weights["regressor"]}, to_floats(images))

    def discriminate(self, weights: Weights, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Emotions and landmarks as D_i reads them."""
        verdict = self._image_trainer.judge(weights["discriminator"], to_floats(images))
        points = verdict.landmarks
        if points is None:
            points = jnp.zeros((len(images), lm.COUNT, self.config.landmark_dimensions))
        return verdict.emotions, lm.to_pixels(points, self.config.resolution)

    def convert_landmarks(self, weights: Weights, points: jax.Array, emotions: jax.Array) -> jax.Array:
        """G_l."""
        source = lm.normalise(points, self.config.resolution)
        moved = self._move.apply({"params": weights["landmark"]}, source, Condition(emotions)).output
        return lm.to_pixels(moved, self.config.resolution)

    def paint(self, weights: Weights, images: jax.Array, points: jax.Array, emotions: jax.Array) -> jax.Array:
        """G_i."""
        # An ablation may do without landmarks.
        seen = lm.normalise(points, self.config.resolution) if self.config.image.use_landmarks else None
        output = self._paint.apply({"params": weights["image"]}, to_floats(images), Condition(emotions, seen)).output
        return to_pixels(output)

    def avlandmarkgan(
        self, weights: Weights, images: jax.Array, points: jax.Array, emotions: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """G_l, then G_i: the faces and their landmarks at `emotions`."""
        moved = self.convert_landmarks(weights, points, emotions)
        return self.paint(weights, images, moved, emotions), moved

    def avgan(self, weights: Weights, images: jax.Array, points: jax.Array, emotions: jax.Array) -> jax.Array:
        """avGAN, which looks at no landmarks."""
        return to_pixels(self._avgan.apply({"params": weights["avgan"]}, to_floats(images), Condition(emotions)).output)


def weight_shapes(config: Config) -> Weights:
    """The weights that a config's networks need, as shapes."""
    states = {name: state_shapes(models.build(name, config, 1), config) for name in MODEL_NAMES}
    return _weights(states)


def parameter_counts(weights: Weights) -> dict[str, int]:
    """How many numbers each network has."""
    return {name: parameter_count(tree) for name, tree in weights.items()}


def weights_of(state, name: ModelName) -> Weights:
    """The weights that the state of model `name` gives to the networks."""
    judge = {"discriminator": state.discriminator} if name == "image" else {}
    return {name: state.evaluated, **judge}


def _weights(states: dict) -> Weights:
    return {part: tree for name, state in states.items() for part, tree in weights_of(state, name).items()}


def restore(directory: Path, config: Config, name: ModelName, step: int | None = None):
    """The state of model `name` at `step` (by default the newest sound one). Raises UserError if there is none."""
    folder = workdir.checkpoints(directory, name)
    if not folder.is_dir():
        raise UserError(f"the {name} model of {directory} is not trained yet; train it: python train.py {name} ...")
    keeper = Checkpoints(folder, config.keep_checkpoints, read_only=True)
    try:
        found = keeper.latest() if step is None else step
        if found is None:
            raise UserError(f"no checkpoint in {folder}; train the model: python train.py {name} ...")
        model = models.build(name, config, 1)
        return keeper.restore(found, state_shapes(model, config))
    finally:
        keeper.close()


def fresh_state(model: Model, config: Config, frozen: Params | None = None):
    """The state that training starts from; without `frozen`, with untrained weights in its place."""
    if frozen is None:
        frozen = {}
        if model.looks_through is not None:
            frozen = fresh_state(models.build(model.looks_through, config, 1), config).generator
    # One stream of randomness for each model, whichever are trained.
    key = jax.random.fold_in(jax.random.key(config.seed), MODEL_NAMES.index(model.name))
    batch = models.empty_batch(config, 1, model.with_images)
    return parallel.compiled_in_haste(model.trainer.init)(key, batch, frozen)


def state_shapes(model: Model, config: Config):
    """The shapes of a state, which are enough to restore one; nothing is drawn or compiled."""
    frozen = {}
    if model.looks_through is not None:
        frozen = state_shapes(models.build(model.looks_through, config, 1), config).generator
    batch = models.empty_batch(config, 1, model.with_images)
    return jax.eval_shape(model.trainer.init, jax.random.key(config.seed), batch, frozen)

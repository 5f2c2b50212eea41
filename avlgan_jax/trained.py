"""Trained models as plain functions on numpy arrays: images as uint8, landmarks in pixels, any number of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax import landmarks as lm
from avlgan_jax import models, workdir
from avlgan_jax.checkpoints import Checkpoints
from avlgan_jax.config import MODEL_NAMES, Config, ModelName
from avlgan_jax.errors import UserError
from avlgan_jax.models import Model
from avlgan_jax.networks import Condition
from avlgan_jax.optimisation import Params, to_floats, to_pixels

Images = UInt8[np.ndarray, "n h w 3"]
Points = Float[np.ndarray, "n 68 2"]
Emotions = Float[np.ndarray, "n 2"]

# Examples in one call of a network; the last call is filled up, so that every call has one shape and compiles once.
CHUNK = 64


@dataclass(frozen=True)
class Trained:
    """The four models of a training run.

    Args of the functions: images uint8 (n, R, R, 3), landmarks (n, 68, 2) in pixels, emotions (n, 2) in [-1, 1].
    """

    config: Config
    steps: dict[str, int]
    """Steps that each model was trained for."""
    predict: Callable[[Images], Emotions]
    """The regressor's valence and arousal."""
    features: Callable[[Images], Float[np.ndarray, "n features"]]
    """The regressor's pooled features, in which the Fréchet distance is measured."""
    convert_landmarks: Callable[[Points, Emotions], Points]
    """The landmark converter."""
    convert: dict[str, Callable[[Images, Points, Emotions], Images]]
    """`avlandmarkgan` (landmark converter, then image converter) and `avgan` (which looks at no landmarks)."""
    judge: Callable[[Images], Emotions]
    """Valence and arousal as the image converter's discriminator reads them (Section IV-C)."""


def load(directory: Path) -> Trained:
    """The newest sound checkpoints of the training run in `directory`. Raises UserError where a model is missing."""
    config = workdir.read_config(directory)
    states = {name: restore(directory, config, name) for name in MODEL_NAMES}
    resolution = config.resolution
    judge_network, move_network = models.judge_network(config), models.landmark_generator(config)
    paint_networks = {
        "avlandmarkgan": models.image_generator(config.image),
        "avgan": models.image_generator(config.avgan),
    }
    weights = {
        "regressor": states["regressor"].evaluated,
        "landmark": states["landmark"].evaluated,
        "avlandmarkgan": states["image"].evaluated,
        "avgan": states["avgan"].evaluated,
    }
    reading_discriminator = models.build("image", config, 1).trainer

    def read(params: Params, images: jax.Array):
        return judge_network.apply({"params": params}, to_floats(images))

    def move(params: Params, points: jax.Array, emotions: jax.Array):
        moved = move_network.apply({"params": params}, lm.normalise(points, resolution), Condition(emotions)).output
        return lm.to_pixels(moved, resolution)

    def paint(params: Params, images: jax.Array, condition: Condition, name: str):
        output = paint_networks[name].apply({"params": params[name]}, to_floats(images), condition).output
        return to_pixels(output)

    def avlandmarkgan(params: Params, images: jax.Array, points: jax.Array, emotions: jax.Array):
        moved = None
        if config.image.use_landmarks:  # an ablation may do without
            moved = lm.normalise(move(params["landmark"], points, emotions), resolution)
        return paint(params, images, Condition(emotions, moved), "avlandmarkgan")

    def avgan(params: Params, images: jax.Array, points: jax.Array, emotions: jax.Array):
        return paint(params, images, Condition(emotions), "avgan")

    def discriminate(params: Params, images: jax.Array):
        return reading_discriminator.judge(params, to_floats(images)).emotions

    emotions_and_features = _in_chunks(read, weights["regressor"])
    return Trained(
        config=config,
        steps={name: int(state.step) for name, state in states.items()},
        predict=lambda images: emotions_and_features(images)[0],
        features=lambda images: emotions_and_features(images)[1],
        convert_landmarks=_in_chunks(move, weights["landmark"]),
        convert={
            "avlandmarkgan": _in_chunks(avlandmarkgan, weights),
            "avgan": _in_chunks(avgan, weights),
        },
        judge=_in_chunks(discriminate, states["image"].discriminator),
    )


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
        # Shapes are enough to restore into; making a fresh state would compile its initialisation.
        model = models.build(name, config, 1)
        return keeper.restore(found, jax.eval_shape(lambda: fresh_state(model, config)))
    finally:
        keeper.close()


def fresh_state(model: Model, config: Config, frozen: Params | None = None):
    """The state that training starts from; without `frozen`, with untrained weights in its place."""
    batch = models.empty_batch(config, 1, model.with_images)
    if frozen is None:
        frozen = {}
        if model.looks_through is not None:
            through = models.build(model.looks_through, config, 1)
            frozen = fresh_state(through, config).generator
    # One stream of randomness for each model, whichever are trained.
    key = jax.random.fold_in(jax.random.key(config.seed), MODEL_NAMES.index(model.name))
    return jax.jit(model.trainer.init)(key, batch, frozen)


def _in_chunks(function: Callable, params: Params) -> Callable:
    compiled = jax.jit(function)

    def call(*arrays: np.ndarray):
        count = len(arrays[0])
        pieces = []
        for start in range(0, max(count, 1), CHUNK):
            part = [np.asarray(array[start : start + CHUNK]) for array in arrays]
            part = [np.asarray(p, np.float32) if p.dtype == np.float64 else p for p in part]
            missing = CHUNK - len(part[0])
            filled = [np.concatenate([p, np.zeros((missing, *p.shape[1:]), p.dtype)]) for p in part]
            output = jax.tree.map(np.asarray, compiled(params, *filled))
            pieces.append(jax.tree.map(lambda leaf: leaf[: CHUNK - missing], output))  # noqa: B023
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *pieces)

    return call

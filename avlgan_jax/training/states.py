"""States of the four models: fresh, restored from checkpoints, and the weights in them that are evaluated."""

from pathlib import Path

import jax

from avlgan_jax.config import MODEL_NAMES, Config, ModelName
from avlgan_jax.errors import UserError, command_line
from avlgan_jax.models import build
from avlgan_jax.models.build import Model
from avlgan_jax.models.inference import NetworkParameters, Trained, assemble
from avlgan_jax.models.optimizers import Params
from avlgan_jax.runtime import dispatch
from avlgan_jax.training import workdir
from avlgan_jax.training.checkpoints import Checkpoints


def load(directory: Path, **placing) -> Trained:
    """The newest sound checkpoints of the training run in `directory`; `placing` as for `assemble`.

    Raises UserError where a model is missing.
    """
    return assemble(*read(directory), **placing)


def read(directory: Path) -> tuple[Config, NetworkParameters, dict[str, int]]:
    """The config, the weights and the steps of the training run in `directory`. Raises UserError as `load` does."""
    config = workdir.read_config(directory)
    states = {name: restore(directory, config, name) for name in MODEL_NAMES}
    return config, _weights(states), {name: int(state.step) for name, state in states.items()}


def weight_shapes(config: Config) -> NetworkParameters:
    """The weights that a config's networks need, as shapes."""
    states = {name: state_shapes(build.build(name, config, 1), config) for name in MODEL_NAMES}
    return _weights(states)


def weights_of(state, name: ModelName) -> NetworkParameters:
    """The weights that the state of model `name` gives to the networks."""
    judge = {"discriminator": state.discriminator} if name == "image" else {}
    return {name: state.evaluated, **judge}


def _weights(states: dict) -> NetworkParameters:
    return {part: tree for name, state in states.items() for part, tree in weights_of(state, name).items()}


def restore(directory: Path, config: Config, name: ModelName, step: int | None = None):
    """The state of model `name` at `step` (by default the newest sound one). Raises UserError if there is none."""
    folder = workdir.checkpoints(directory, name)
    if not folder.is_dir():
        raise UserError(
            f"the {name} model of {directory} is not trained yet; train it: {command_line('train')} {name} ..."
        )
    keeper = Checkpoints(folder, config.keep_checkpoints, read_only=True)
    try:
        found = keeper.latest() if step is None else step
        if found is None:
            raise UserError(f"no checkpoint in {folder}; train the model: {command_line('train')} {name} ...")
        model = build.build(name, config, 1)
        return keeper.restore(found, state_shapes(model, config))
    finally:
        keeper.close()


def fresh_state(model: Model, config: Config, frozen: Params | None = None):
    """The state that training starts from; without `frozen`, with untrained weights in its place."""
    if frozen is None:
        frozen = {}
        if model.frozen_model is not None:
            frozen = fresh_state(build.build(model.frozen_model, config, 1), config).generator
    # One stream of randomness for each model, whichever are trained.
    key = jax.random.fold_in(jax.random.key(config.seed), MODEL_NAMES.index(model.name))
    batch = build.empty_batch(config, 1, model.with_images)
    return dispatch.jit_unoptimised(model.trainer.init)(key, batch, frozen)


def state_shapes(model: Model, config: Config):
    """The shapes of a state, which are enough to restore one; nothing is drawn or compiled."""
    frozen = {}
    if model.frozen_model is not None:
        frozen = state_shapes(build.build(model.frozen_model, config, 1), config).generator
    batch = build.empty_batch(config, 1, model.with_images)
    return jax.eval_shape(model.trainer.init, jax.random.key(config.seed), batch, frozen)

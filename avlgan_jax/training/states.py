"""States of the four models: fresh or restored from checkpoints, and their evaluated weights."""

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


def load(directory: Path, **options) -> Trained:
    """Return the models of a training run, from their newest intact checkpoints.

    Args:
        directory: Workdir of the run.
        **options: `sizes` and `devices` of `inference.assemble`.

    Raises:
        UserError: There is no run in `directory`, a model of its config is not trained, or its checkpoints are damaged.
    """
    return assemble(*read(directory), **options)


def read(directory: Path) -> tuple[Config, NetworkParameters, dict[str, int]]:
    """Return the config, the weights (`weights_of` every model), and the steps of each model of the run in `directory`.

    Raises:
        UserError: As `load`.
    """
    config = workdir.read_config(directory)
    states = {name: restore(directory, config, name) for name in config.trained_models}
    return config, _weights(states), {name: int(state.step) for name, state in states.items()}


def weight_shapes(config: Config) -> NetworkParameters:
    """Return the shapes of the weights that the config's networks need; nothing is computed."""
    states = {name: state_shapes(build.build(name, config, 1), config) for name in config.trained_models}
    return _weights(states)


def weights_of(state, name: ModelName) -> NetworkParameters:
    """Return the evaluated weights of model `name`, for the image converter also those of its discriminator."""
    discriminator = {"discriminator": state.discriminator} if name == "image" else {}
    return {name: state.evaluated, **discriminator}


def _weights(states: dict) -> NetworkParameters:
    """Return the weights of all models from their states."""
    return {part: tree for name, state in states.items() for part, tree in weights_of(state, name).items()}


def restore(directory: Path, config: Config, name: ModelName, step: int | None = None):
    """Restore the state of a model from a checkpoint.

    Args:
        directory: Workdir of the run. A model without checkpoints there is that of the config's `initial` run.
        config: Config of the run.
        name: Model to restore.
        step: Step of the checkpoint; None takes the newest intact one.

    Raises:
        UserError: The model is not trained, all of its checkpoints are damaged, or the checkpoint does not fit the
            config.
    """
    folder = workdir.checkpoints(directory, name)
    trained = folder.is_dir() and any(entry.name.isdigit() for entry in folder.iterdir())
    if config.initial and not trained:
        directory = Path(config.initial)
        folder = workdir.checkpoints(directory, name)
    if not folder.is_dir():
        raise UserError(
            f"the {name} model of {directory} is not trained yet; train it: {command_line('train')} {name} ..."
        )
    checkpoints = Checkpoints(folder, config.keep_checkpoints, read_only=True)
    try:
        found = checkpoints.latest() if step is None else step
        if found is None:
            raise UserError(f"no checkpoint in {folder}; train the model: {command_line('train')} {name} ...")
        model = build.build(name, config, 1)
        return checkpoints.restore(found, state_shapes(model, config))
    finally:
        checkpoints.close()


def fresh_state(model: Model, config: Config, frozen: Params | None = None):
    """Return the state that training starts from, with the networks of the `initial` run if the config names one.

    Args:
        model: Model to initialise.
        config: Config of the run; the weights are drawn from its seed.
        frozen: Weights of the frozen model, empty if the model has none. None takes untrained weights, for a state of
            the right shapes.
    """
    if frozen is None:
        frozen = {}
        if model.frozen_model is not None:
            frozen = fresh_state(build.build(model.frozen_model, config, 1), config).generator
    # One random stream per model, independent of which other models are trained.
    key = jax.random.fold_in(jax.random.key(config.seed), MODEL_NAMES.index(model.name))
    batch = build.empty_batch(config, 1, model.with_images)
    state = dispatch.jit_unoptimised(model.trainer.init)(key, batch, frozen)
    if not config.initial:
        return state
    # The optimizers start anew, and so does the step.
    networks = ("regressor", "ema") if model.name == "regressor" else ("generator", "discriminator", "ema")
    earlier = restore(Path(config.initial), config, model.name)
    return state.replace(**{network: getattr(earlier, network) for network in networks})


def state_shapes(model: Model, config: Config):
    """Return the shapes and types of a model's state, as needed to restore it; nothing is drawn or compiled."""
    frozen = {}
    if model.frozen_model is not None:
        frozen = state_shapes(build.build(model.frozen_model, config, 1), config).generator
    batch = build.empty_batch(config, 1, model.with_images)
    return jax.eval_shape(model.trainer.init, jax.random.key(config.seed), batch, frozen)

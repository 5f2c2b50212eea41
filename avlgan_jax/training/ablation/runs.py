"""Helpers shared by the ablations: changed configs, copied landmark converters and finished runs."""

import dataclasses
import shutil
from pathlib import Path

from avlgan_jax import atomic_files
from avlgan_jax.config import Config, ModelName
from avlgan_jax.errors import UserError
from avlgan_jax.models.converter import State
from avlgan_jax.training import states, workdir

FOLDER = "ablation"


def with_value(config: Config, name: str, value: object) -> Config:
    """Return the config with one field changed; `name` is "section.field", such as "image.emotion_weight"."""
    section, field = name.split(".")
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **{field: value})})


def take_landmark_converter(directory: Path, folder: Path) -> None:
    """Copy the landmark converter's checkpoints from workdir `directory` to workdir `folder`, unless it has them."""
    target = workdir.checkpoints(folder, "landmark")
    if not target.is_dir():
        with atomic_files.atomic_folder(target) as copy:
            shutil.copytree(workdir.checkpoints(directory, "landmark"), copy, dirs_exist_ok=True)


def finished(folder: Path, config: Config, name: ModelName) -> State | None:
    """Return the state of a model in the workdir `folder`.

    Returns None if the model cannot be restored or has fewer steps than `config` has for it.
    """
    try:
        state = states.restore(folder, config, name)
    except UserError:
        return None
    return state if int(state.step) >= getattr(config, name).steps else None

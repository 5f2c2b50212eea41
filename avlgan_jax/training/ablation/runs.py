"""What all ablations share: where their runs lie, and what of a run is taken over."""

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
    """The config with one field, as "section.field", changed."""
    section, field = name.split(".")
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **{field: value})})


def take_landmark_converter(directory: Path, folder: Path) -> None:
    """Give the workdir `folder` the landmark converter of `directory`, unless it has one."""
    theirs = workdir.checkpoints(folder, "landmark")
    if not theirs.is_dir():
        with atomic_files.atomic_folder(theirs) as copy:
            shutil.copytree(workdir.checkpoints(directory, "landmark"), copy, dirs_exist_ok=True)


def finished(folder: Path, config: Config, name: ModelName) -> State | None:
    """The state of model `name` in a workdir, None before the last step of `config`."""
    try:
        state = states.restore(folder, config, name)
    except UserError:
        return None
    return state if int(state.step) >= getattr(config, name).steps else None

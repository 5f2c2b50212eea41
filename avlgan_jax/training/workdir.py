"""A training run's folder: whose it is, and where everything in it lies."""

import json
from pathlib import Path

from avlgan_jax import config as configuration
from avlgan_jax.atomic_files import write_text
from avlgan_jax.config import Config, ModelName
from avlgan_jax.errors import UserError, command_line

CONFIG, DATA = "config.json", "data.json"


def claim(workdir: Path, config: Config, data_digest: str) -> None:
    """Make `workdir` the folder of this experiment, or see that it is already.

    Raises UserError if it belongs to an experiment with another config or other data.
    """
    if (workdir / CONFIG).exists():
        found = configuration.differences(config, read_config(workdir))
        if found:
            raise UserError(f"{workdir} belongs to another config ({'; '.join(found)}); choose another --workdir")
        theirs = json.loads((workdir / DATA).read_text())["digest"] if (workdir / DATA).exists() else data_digest
        if theirs != data_digest:
            raise UserError(
                f"{workdir} was trained on other records of {config.data} (digest {theirs}, now {data_digest}); "
                "prepare them as they were, or choose another --workdir"
            )
    workdir.mkdir(parents=True, exist_ok=True)
    write_text(workdir / CONFIG, configuration.to_json(config))
    write_text(workdir / DATA, json.dumps({"name": config.data, "digest": data_digest}) + "\n")


def read_config(workdir: Path) -> Config:
    """The config of a training run. Raises UserError if there is none in `workdir`."""
    path = workdir / CONFIG
    if not path.is_file():
        raise UserError(
            f"no training run in {workdir}: {CONFIG} is missing; train first: {command_line('train')} all ..."
        )
    return configuration.from_json(path.read_text(), path)


def compiled(workdir: Path) -> Path:
    """Folder of compiled programs, so that no run of `workdir` compiles what one before it did."""
    return workdir / ".compiled"


def checkpoints(workdir: Path, name: ModelName) -> Path:
    """Folder of a model's checkpoints."""
    return workdir / name / "checkpoints"

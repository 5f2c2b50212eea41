"""The workdir of a training run: which experiment it belongs to, and the paths inside it."""

import json
from pathlib import Path

from avlgan_jax import config as configuration
from avlgan_jax.atomic_files import write_text
from avlgan_jax.config import Config, ModelName
from avlgan_jax.errors import UserError, command_line

CONFIG, DATA = "config.json", "data.json"
REPORT, METRICS = "report", "metrics.json"


def claim(workdir: Path, config: Config, data_digest: str) -> None:
    """Create `workdir` for an experiment, or check that it already belongs to the same experiment.

    Writes config.json and data.json. Operational fields and numbers of steps may differ (`config.differences`).

    Args:
        workdir: Folder of the run.
        config: Config of the experiment.
        data_digest: Digest of the prepared records (`manifest.records_digest`).

    Raises:
        UserError: It is a file, or the folder belongs to another config or was trained on other records.
    """
    _require_folder(workdir)
    if (workdir / CONFIG).exists():
        found = configuration.differences(config, read_config(workdir))
        if found:
            raise UserError(f"{workdir} belongs to another config ({'; '.join(found)}); choose another --workdir")
        theirs = json.loads((workdir / DATA).read_text())["digest"] if (workdir / DATA).exists() else data_digest
        if theirs != data_digest:
            raise UserError(
                f"{workdir} was trained on other records of {config.data} (digest {theirs}, now {data_digest}); "
                "prepare the original records again, or choose another --workdir"
            )
    workdir.mkdir(parents=True, exist_ok=True)
    write_text(workdir / CONFIG, configuration.to_json(config))
    write_text(workdir / DATA, json.dumps({"name": config.data, "digest": data_digest}) + "\n")


def read_config(workdir: Path) -> Config:
    """Read the config of a training run.

    Raises:
        UserError: `workdir` has no config.json, or the file is damaged.
    """
    _require_folder(workdir)
    path = workdir / CONFIG
    if not path.is_file():
        raise UserError(
            f"no training run in {workdir}: {CONFIG} is missing; train first: {command_line('train')} all ..."
        )
    return configuration.from_json(path.read_text(), path)


def _require_folder(workdir: Path) -> None:
    """Raise UserError if `workdir` is something else than a folder."""
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"the workdir {workdir} is a file; expected a folder: choose another --workdir")


def compiled(workdir: Path) -> Path:
    """Return the folder of compiled programs, which later runs of the same workdir reuse."""
    return workdir / ".compiled"


def report(workdir: Path, experiment: str | None = None) -> Path:
    """Return the folder of the report, or of the report of a single experiment."""
    return workdir / "experiments" / experiment if experiment else workdir / REPORT


def checkpoints(workdir: Path, name: ModelName) -> Path:
    """Return the folder of a model's checkpoints."""
    return workdir / name / "checkpoints"

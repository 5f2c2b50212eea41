"""Weight bundles: trained weights for distribution, in one folder with their config and a model card.

    config.json           format, the full training config, steps, digest of the records, scores
    weights.safetensors   "landmark/Dense_0/kernel": float16, ...
    README.md             the model card
    edit.jaxexport        the two converters as one StableHLO program that runs without this package

`read` also takes the workdir of a training run.
"""

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from avlgan_jax import atomic_files
from avlgan_jax import config as configuration
from avlgan_jax.config import Config
from avlgan_jax.data import mixed
from avlgan_jax.errors import UserError, one_line
from avlgan_jax.models.inference import NetworkParameters
from avlgan_jax.training import states, workdir

# Version 1 lacks the options of the warp: earlier versions of this package read only 1, and name a bundle of version 2.
FORMAT, READABLE = "avlgan_jax bundle 2", ("avlgan_jax bundle 1", "avlgan_jax bundle 2")
CONFIG, WEIGHTS, CARD, PROGRAM = "config.json", "weights.safetensors", "README.md", "edit.jaxexport"

# Columns of the evaluation report's result table that a bundle stores.
SCORES = ("rmse", "pcc_valence", "pcc_arousal", "truth_landmark_nme", "truth_psnr")

# What the data sets are called in sentences; others by their name.
_IN_WORDS = {
    "procedural_faces": "drawn faces",
    "diffusion_fer": "DiffusionFER",
    "affectnet": "AffectNet",
    "face_folder": "a folder of photographs",
    "dyads": "filmed dyads",
}

# Folder of the bundles that come with the package, and the name of the default one.
PACKAGED = Path(__file__).parents[1] / "weights"
DEFAULT = "faces64"


@dataclass(frozen=True)
class Bundle:
    """Trained weights with the config and data they were trained on, and their scores.

    `weights` are float32. `steps` is the number of training steps of each model.
    """

    config: Config
    weights: NetworkParameters
    steps: dict[str, int]
    data_digest: str = ""
    """Digest of the training records; empty if unknown."""
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    """SCORES by row of the report's result table; empty if these checkpoints were not evaluated."""

    @property
    def trained_on(self) -> str:
        """What the training data are, and their picture size, for messages."""
        side, names = self.config.resolution, mixed.names(self.config.data)
        return f"{' and '.join(_IN_WORDS.get(name, name) for name in names)}, {side} x {side} px"


def find(path_or_name: str | os.PathLike) -> Path:
    """Return the folder of a packaged bundle if given its name, else the given path.

    Raises:
        UserError: there is no packaged bundle of that name and no such folder.
    """
    packaged = PACKAGED / os.fspath(path_or_name)
    if packaged.parent == PACKAGED and packaged.is_dir():
        return packaged
    if Path(path_or_name).is_dir():
        return Path(path_or_name)
    names = ", ".join(sorted(folder.name for folder in PACKAGED.iterdir() if folder.is_dir()))
    raise UserError(
        f"no weights at {path_or_name}: expected the folder of a bundle (create one with python -m "
        f"avlgan_jax.editing.export), the folder of a training run, or the name of a packaged bundle ({names})"
    )


def read(path_or_name: str | os.PathLike) -> Bundle:
    """Read a bundle, or load the newest checkpoints of a training run.

    Args:
        path_or_name: the folder of a bundle, the workdir of a training run, or the name of a packaged bundle.

    Raises:
        UserError: there is no bundle or training run, a model of the run has no checkpoint, or the bundle is damaged,
            has another format version, or does not fit its config.
    """
    folder = find(path_or_name)
    path = folder / CONFIG
    try:
        metadata = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(
            f"no weights in {folder}: {CONFIG} is missing; give the folder of a bundle or of a training run"
        ) from None
    except ValueError as error:
        raise UserError(f"{path} is damaged ({one_line(error)}); export the bundle again") from error
    if not isinstance(metadata, dict) or "format" not in metadata:
        return of_workdir(folder)
    if metadata["format"] not in READABLE:
        raise UserError(
            f"{path} has format {metadata['format']!r}, but this version reads {' and '.join(map(repr, READABLE))}; "
            "install the version that exported the bundle, or export it again"
        )
    try:
        flat = load_file(folder / WEIGHTS)
        config = configuration.from_json(json.dumps(metadata["config"]), path)
        data_digest, scores, steps = metadata["data_digest"], metadata["scores"], metadata["steps"]
    except (SafetensorError, OSError, KeyError) as error:
        raise UserError(f"the bundle in {folder} is damaged ({one_line(error)}); export it again") from error
    weights = traverse_util.unflatten_dict({name: jnp.asarray(leaf, jnp.float32) for name, leaf in flat.items()}, "/")
    _check(weights, config, folder)
    return Bundle(config, weights, steps, data_digest, scores)


def _check(weights: NetworkParameters, config: Config, folder: Path) -> None:
    """Raise UserError if the names and shapes of the weights differ from those of the config's networks."""
    expected = {name: _shapes(tree) for name, tree in states.weight_shapes(config).items()}
    found = {name: _shapes(tree) for name, tree in weights.items()}
    if found != expected:
        misfits = sorted(name for name in expected.keys() | found.keys() if found.get(name) != expected.get(name))
        raise UserError(f"{folder / WEIGHTS} does not fit its config ({', '.join(misfits)}); export the bundle again")


def _shapes(tree) -> dict[str, tuple[int, ...]]:
    """Return the shape of each leaf by its path."""
    return {name: tuple(leaf.shape) for name, leaf in traverse_util.flatten_dict(tree, sep="/").items()}


def of_workdir(directory: Path) -> Bundle:
    """Load the newest intact checkpoint of each model of a training run, with the scores of its report if there is one.

    Raises:
        UserError: `directory` holds no training run, or a model has no intact checkpoint.
    """
    config, weights, steps = states.read(directory)
    data, report = directory / workdir.DATA, workdir.report(directory) / workdir.METRICS
    digest = json.loads(data.read_text())["digest"] if data.is_file() else ""
    return Bundle(config, weights, steps, digest, _scores(report, steps) if report.is_file() else {})


def _scores(report: Path, steps: dict[str, int]) -> dict[str, dict[str, float]]:
    """Return SCORES of each row of a report's result table, or nothing if the report is on other checkpoints."""
    metrics = json.loads(report.read_text())
    if metrics["provenance"]["steps"] != steps:
        return {}
    rows = metrics["models"] | {"do_nothing": metrics["do_nothing"], "regressor": metrics["regressor"]}
    return {row: {key: scores[key] for key in SCORES if key in scores} for row, scores in rows.items()}


def _without_places(config: Config) -> Config:
    """Return the config with names in place of the paths of the machine that trained it."""
    return replace(config, data_dir=Path(config.data_dir).name, initial=Path(config.initial).name)


def write(folder: Path, bundle: Bundle, card: str, program: bytes) -> None:
    """Write a bundle atomically, with its weights rounded to float16. An existing bundle in `folder` is replaced.

    Args:
        folder: where to write.
        bundle: the weights and their metadata.
        card: the model card, Markdown.
        program: the serialised program of `avlgan_jax.editing.export.export_program`.

    Raises:
        UserError: `folder` exists and is neither empty nor a bundle.
    """
    if folder.exists() and not (folder / WEIGHTS).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not a bundle; choose another --out")
    with atomic_files.atomic_folder(folder) as partial:
        flat = traverse_util.flatten_dict(bundle.weights, sep="/")
        save_file({name: np.asarray(leaf, np.float16) for name, leaf in flat.items()}, partial / WEIGHTS)
        (partial / WEIGHTS).chmod(0o644)  # safetensors creates files that only their owner can read
        metadata = {
            "format": FORMAT,
            "config": asdict(_without_places(bundle.config)),
            "steps": bundle.steps,
            "data_digest": bundle.data_digest,
            "scores": bundle.scores,
        }
        (partial / CONFIG).write_text(json.dumps(metadata, indent=2) + "\n")
        (partial / CARD).write_text(card)
        (partial / PROGRAM).write_bytes(program)

"""Trained weights to hand on: one folder with float16 safetensors, a JSON config and a model card.

    config.json           format, the whole training config, steps, data, scores
    weights.safetensors   "landmark/Dense_0/kernel": float16, ...
    README.md             the model card
    edit.jaxexport        the two converters as one StableHLO program, for use without this code

A training run's workdir holds the same and more; `read` takes either.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from avlgan_jax import atomic_files
from avlgan_jax import config as configuration
from avlgan_jax.config import Config
from avlgan_jax.errors import UserError, one_line
from avlgan_jax.models.inference import NetworkParameters
from avlgan_jax.training import states, workdir

FORMAT = "avlgan_jax bundle 1"
CONFIG, WEIGHTS, CARD, PROGRAM = "config.json", "weights.safetensors", "README.md", "edit.jaxexport"

# What of a report's result table goes into a bundle.
SCORES = ("rmse", "pcc_valence", "pcc_arousal", "truth_landmark_nme", "truth_psnr")

# Bundles that come with the package, by name.
PACKAGED = Path(__file__).parents[1] / "weights"
DEFAULT = "procedural48"


@dataclass(frozen=True)
class Bundle:
    """Weights and what is known of them: the config and data they come from, and how they scored."""

    config: Config
    weights: NetworkParameters
    steps: dict[str, int]
    data_digest: str = ""
    """Identity of the records trained on."""
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    """SCORES by row of the report's result table, empty where there is no report on these checkpoints."""

    @property
    def trained_on(self) -> str:
        """The data, in words for a person."""
        side = self.config.resolution
        return f"{self.config.data}, {side} x {side} px"


def find(path_or_name: str | os.PathLike) -> Path:
    """The folder of a packaged bundle's name, or the path itself. Raises UserError when there is neither."""
    packaged = PACKAGED / os.fspath(path_or_name)
    if packaged.parent == PACKAGED and packaged.is_dir():
        return packaged
    if Path(path_or_name).is_dir():
        return Path(path_or_name)
    names = ", ".join(sorted(folder.name for folder in PACKAGED.iterdir() if folder.is_dir()))
    raise UserError(
        f"no weights at {path_or_name}: expected the folder of a bundle (python -m avlgan_jax.editing.export makes "
        f"one) or of a training run, or a name of those that come with the package ({names})"
    )


def read(path_or_name: str | os.PathLike) -> Bundle:
    """The bundle in a folder, by the name of a packaged one, or of a workdir's newest checkpoints.

    Raises UserError where nothing of the kind is there, or where it is damaged.
    """
    folder = find(path_or_name)
    path = folder / CONFIG
    try:
        told = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"no weights in {folder}: {CONFIG} is missing; point to a bundle or a workdir") from None
    except ValueError as error:
        raise UserError(f"{path} is damaged ({one_line(error)}); export the bundle again") from error
    if not isinstance(told, dict) or "format" not in told:
        return of_workdir(folder)
    if told["format"] != FORMAT:
        raise UserError(
            f"{path} says format {told['format']!r}, this version reads {FORMAT!r}; export the bundle again"
        )
    try:
        flat = load_file(folder / WEIGHTS)
        config = configuration.from_json(json.dumps(told["config"]), path)
        data_digest, scores, steps = told["data_digest"], told["scores"], told["steps"]
    except (SafetensorError, OSError, KeyError) as error:
        raise UserError(f"the bundle in {folder} is damaged ({one_line(error)}); export it again") from error
    weights = traverse_util.unflatten_dict({name: jnp.asarray(leaf, jnp.float32) for name, leaf in flat.items()}, "/")
    _check(weights, config, folder)
    return Bundle(config, weights, steps, data_digest, scores)


def _check(weights: NetworkParameters, config: Config, folder: Path) -> None:
    """Raise UserError where a network of the config lacks weights, or has others."""
    expected = {name: _shapes(tree) for name, tree in states.weight_shapes(config).items()}
    found = {name: _shapes(tree) for name, tree in weights.items()}
    if found != expected:
        wrong = sorted(name for name in expected if found.get(name) != expected[name])
        raise UserError(f"{folder / WEIGHTS} does not fit its config ({', '.join(wrong)}); export the bundle again")


def _shapes(tree) -> dict[str, tuple[int, ...]]:
    return {name: tuple(leaf.shape) for name, leaf in traverse_util.flatten_dict(tree, sep="/").items()}


def of_workdir(directory: Path) -> Bundle:
    """A training run's newest sound checkpoints. Raises UserError where a model is missing."""
    config, weights, steps = states.read(directory)
    data, report = directory / workdir.DATA, directory / "report" / "metrics.json"
    digest = json.loads(data.read_text())["digest"] if data.is_file() else ""
    return Bundle(config, weights, steps, digest, _scores(report, steps) if report.is_file() else {})


def _scores(report: Path, steps: dict[str, int]) -> dict[str, dict[str, float]]:
    """The rows of a report's result table, if it tells of these very checkpoints."""
    told = json.loads(report.read_text())
    if told["provenance"]["steps"] != steps:
        return {}
    rows = told["models"] | {"do_nothing": told["do_nothing"], "regressor": told["regressor"]}
    return {row: {key: scores[key] for key in SCORES if key in scores} for row, scores in rows.items()}


def write(folder: Path, bundle: Bundle, card: str, program: bytes) -> None:
    """Write the bundle, in place of one that is there: whole, or not at all.

    Raises UserError where `folder` holds anything else.
    """
    if folder.exists() and not (folder / WEIGHTS).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and is no bundle of weights; choose another --out")
    with atomic_files.atomic_folder(folder) as fresh:
        flat = traverse_util.flatten_dict(bundle.weights, sep="/")
        save_file({name: np.asarray(leaf, np.float16) for name, leaf in flat.items()}, fresh / WEIGHTS)
        (fresh / WEIGHTS).chmod(0o644)  # safetensors makes it the owner's alone
        told = {
            "format": FORMAT,
            "config": asdict(bundle.config),
            "steps": bundle.steps,
            "data_digest": bundle.data_digest,
            "scores": bundle.scores,
        }
        (fresh / CONFIG).write_text(json.dumps(told, indent=2) + "\n")
        (fresh / CARD).write_text(card)
        (fresh / PROGRAM).write_bytes(program)

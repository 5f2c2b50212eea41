"""Trainings that compare recipes and models on equal terms: each of MODELS with several seeds, at the workdir's size.

All runs have the workdir's resolution, widths, batch sizes, learning rates and numbers of steps. The recipe is that of
the workdir, the paper's (`paper_recipe`), or the paper's with one change, without which it makes no faces. The
workdir's regressor judges all of them.

WORKDIR/ablation/comparison/config.json    the workdir's config with the steps of these runs; another one is refused
WORKDIR/ablation/comparison/SEED/MODEL/    an ordinary workdir, with the landmark converter where the model needs one
"""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from avlgan_jax import atomic_files, presets
from avlgan_jax.config import Config, ImageTraining, LandmarkTraining, ModelName, differences, from_json, to_json
from avlgan_jax.errors import UserError
from avlgan_jax.models import inference
from avlgan_jax.models.inference import Trained
from avlgan_jax.training import loop, states
from avlgan_jax.training.ablation.runs import FOLDER, finished

# The fields that stay the workdir's when the recipe is the paper's: size, duration, and pace of a training.
_SIZES = ("steps", "batch_size", "learning_rate", "width", "blocks", "d_layers")


@dataclass(frozen=True)
class ComparedModel:
    """One of the models of the comparison."""

    words: str
    """Description, for tables and messages."""
    title: str
    """Short name, for column headings."""
    kind: ModelName
    """`image` with a landmark converter, or `avgan`, which has none."""
    configure: Callable[[Config], Config]
    """Return the config of the run, given the workdir's config."""


def paper_recipe(config: Config) -> Config:
    """Return the paper's settings of the landmark converter, the image converter and avGAN at the config's size.

    avGAN has the width, the steps and the learning rate of the image converter.
    """
    paper = presets.paper()

    def sized(recipe: LandmarkTraining | ImageTraining, size: LandmarkTraining | ImageTraining):
        return dataclasses.replace(recipe, **{name: getattr(size, name) for name in _SIZES})

    return dataclasses.replace(
        config,
        landmark=sized(paper.landmark, config.landmark),
        image=dataclasses.replace(sized(paper.image, config.image), d_width=config.image.d_width),
        avgan=dataclasses.replace(sized(paper.avgan, config.image), d_width=config.avgan.d_width),
    )


def _masked_paper_recipe(config: Config) -> Config:
    """Return `paper_recipe` with generators that blend what they paint with the source, by a mask without a price.

    The losses and the rest are the paper's. It is the smallest change of the paper's recipe that was found to train at
    36 px (docs/experiments.md).
    """
    paper = paper_recipe(config)
    image, avgan = (dataclasses.replace(section, masked=True) for section in (paper.image, paper.avgan))
    return dataclasses.replace(paper, image=image, avgan=avgan)


def _with_avgan(config: Config) -> Config:
    """Return the config with the steps of the image converter for avGAN."""
    image = config.image
    return dataclasses.replace(
        config, avgan=dataclasses.replace(config.avgan, steps=image.steps, d_warmup=image.d_warmup)
    )


def _without_landmarks(config: Config) -> Config:
    """Return the config with the image converter's recipe for avGAN, less all that needs landmarks."""
    avgan = dataclasses.replace(config.image, use_landmarks=False, warped=False, paired_feature_weight=0.0, masked=True)
    return dataclasses.replace(config, avgan=avgan)


# By key of metrics.json.
MODELS = {
    "recipe": ComparedModel("avLandmarkGAN, this recipe", "recipe", "image", lambda config: config),
    "recipe_avgan": ComparedModel("avGAN, this recipe", "avGAN", "avgan", _with_avgan),
    "recipe_without_landmarks": ComparedModel(
        "this recipe without landmarks", "no landmarks", "avgan", _without_landmarks
    ),
    "paper": ComparedModel("avLandmarkGAN, the paper's recipe", "paper", "image", paper_recipe),
    "paper_avgan": ComparedModel("avGAN, the paper's recipe", "paper avGAN", "avgan", paper_recipe),
    "paper_masked": ComparedModel(
        "avLandmarkGAN, the paper's recipe with a mask", "paper, mask", "image", _masked_paper_recipe
    ),
    "paper_masked_avgan": ComparedModel(
        "avGAN, the paper's recipe with a mask", "avGAN, mask", "avgan", _masked_paper_recipe
    ),
}


def claim(directory: Path, config: Config) -> None:
    """Write the config that all runs start from, or check that it equals that of an earlier start.

    Raises:
        UserError: The workdir's comparison has another config.
    """
    path = _runs(directory) / "config.json"
    if path.is_file():
        earlier = from_json(path.read_text(), path)
        changed = differences(config, earlier)
        if changed or [config.image.steps, config.landmark.steps] != [earlier.image.steps, earlier.landmark.steps]:
            raise UserError(f"{path} has other settings; give the same options as before, or move {path.parent} away")
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_files.write_text(path, to_json(config))


def train(config: Config, directory: Path, name: str, seed: int) -> None:
    """Train one model of the comparison with one seed to its last step.

    Args:
        config: The config of `claim`.
        directory: The workdir.
        name: Key of MODELS.
        seed: Seed of weights, batches and targets.

    Raises:
        UserError: As `loop.train`.
        signals.Interrupted: As `loop.train`.
    """
    model, run = MODELS[name], _run_config(config, name, seed)
    print(f"seed {seed}: {model.words}")
    for part in _trained_parts(model):
        loop.train(run, part, _folder(directory, name, seed))


def load(directory: Path) -> dict[str, dict[int, Callable[[], Trained]]]:
    """Return functions that assemble the models of every finished run, by name and seed.

    Each gives the workdir's models with those of the run in their place: `convert["avlandmarkgan"]` or
    `convert["avgan"]` is the model, and `regress` is always the workdir's.

    Args:
        directory: The workdir.

    Raises:
        UserError: As `states.read`, if there are runs.
    """
    planned = _runs(directory) / "config.json"
    if not planned.is_file():
        return {}
    _, weights, steps = states.read(directory)
    config = from_json(planned.read_text(), planned)
    found: dict[str, dict[int, Callable[[], Trained]]] = {}
    for name, model in MODELS.items():
        for seed in sorted(int(folder.name) for folder in planned.parent.iterdir() if folder.name.isdigit()):
            run, folder = _run_config(config, name, seed), _folder(directory, name, seed)
            parts = {part: finished(folder, run, part) for part in _trained_parts(model)}
            if None in parts.values():
                continue
            sections = {part: getattr(run, part) for part in parts}
            trained = {k: tree for part, state in parts.items() for k, tree in states.weights_of(state, part).items()}
            changed = dataclasses.replace(config, **sections)
            found.setdefault(name, {})[seed] = functools.partial(inference.assemble, changed, weights | trained, steps)
    return found


def _trained_parts(model: ComparedModel) -> tuple[ModelName, ...]:
    """Return the models that a run trains, in order."""
    return ("landmark", "image") if model.kind == "image" else ("avgan",)


def _run_config(config: Config, name: str, seed: int) -> Config:
    """Return the config of a run."""
    return dataclasses.replace(MODELS[name].configure(config), seed=seed)


def _folder(directory: Path, name: str, seed: int) -> Path:
    """Return the workdir of a run."""
    return _runs(directory) / str(seed) / name


def _runs(directory: Path) -> Path:
    """Return the folder of the comparison."""
    return directory / FOLDER / "comparison"

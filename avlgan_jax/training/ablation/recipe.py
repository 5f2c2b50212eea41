"""The trainings that show what each part of the recipe is worth: the workdir's own again, each without one part.

Without a part means with the paper's values of its fields (preset `paper`), all else as the workdir has it.

WORKDIR/ablation/recipe/PART/    an ordinary workdir, in which the one model that the part belongs to is trained
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from avlgan_jax import presets
from avlgan_jax.config import Config, ModelName
from avlgan_jax.models import inference
from avlgan_jax.models.inference import Trained
from avlgan_jax.training import loop, states
from avlgan_jax.training.ablation.runs import FOLDER, finished, take_landmark_converter, with_value


@dataclass(frozen=True)
class RecipePart:
    """A part of the recipe: its fields, all of one model, and what it is in words and at the head of a column."""

    fields: tuple[str, ...]
    words: str
    title: str

    @property
    def model(self) -> ModelName:
        """The model that is trained without it."""
        return self.fields[0].split(".")[0]


# What preset `modern` changes of the paper's losses and steps, by the names in metrics.json.
RECIPE_PARTS = {
    "reading_first": RecipePart(("image.d_warmup",), "the discriminator reads real faces before it judges", "reading"),
    "mask": RecipePart(("image.masked", "image.mask_weight"), "a mask blends the picture with the input", "mask"),
    "uniform_targets": RecipePart(("image.targets",), "targets spread over the disc", "targets"),
    "nonsaturating": RecipePart(("image.adversarial_loss",), "the non-saturating adversarial loss", "loss"),
    "faster_discriminator": RecipePart(("image.d_rate_factor",), "a discriminator that learns faster", "faster D"),
    "averaged_weights": RecipePart(("image.ema_decay",), "averaged weights", "average"),
    "displacement": RecipePart(("landmark.residual",), "the landmark converter gives a displacement", "displaced"),
    "light_centres": RecipePart(("landmark.centre_weight",), "a light loss of face feature centres", "centres"),
}

# The name of the workdir's own models, which have every part.
FULL_RECIPE = "whole"


def enabled_parts(config: Config) -> dict[str, RecipePart]:
    """Those of PARTS that a config has."""
    return {name: part for name, part in RECIPE_PARTS.items() if config_without(config, part) != config}


def config_without(config: Config, part: RecipePart) -> Config:
    """The config with the paper's values of the part's fields."""
    paper = presets.paper()
    for field in part.fields:
        section, name = field.split(".")
        config = with_value(config, field, getattr(getattr(paper, section), name))
    return config


def train(config: Config, directory: Path, name: str) -> None:
    """Train the model of part `name` without it, to its last step. Raises as `loop.train` does."""
    part, folder = RECIPE_PARTS[name], _folder(directory, name)
    if part.model == "image":
        take_landmark_converter(directory, folder)
    print(f"without: {part.words}")
    loop.train(config_without(config, part), part.model, folder)


def load(directory: Path) -> dict[str, Callable[[], Trained]] | None:
    """What assembles the models of every run that has been trained to its end, the workdir's own (WHOLE) first.

    None where there is none but that.
    """
    if not (directory / FOLDER / "recipe").is_dir():
        return None
    config, weights, steps = states.read(directory)
    runs = {FULL_RECIPE: functools.partial(inference.assemble, config, weights, steps)}
    for name, part in enabled_parts(config).items():
        changed = config_without(config, part)
        state = finished(_folder(directory, name), changed, part.model)
        if state is not None:
            own = states.weights_of(state, part.model)
            runs[name] = functools.partial(inference.assemble, changed, weights | own, steps)
    return runs if len(runs) > 1 else None


def _folder(directory: Path, name: str) -> Path:
    return directory / FOLDER / "recipe" / name

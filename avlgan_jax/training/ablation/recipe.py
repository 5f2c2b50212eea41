"""Ablation of the recipe: the workdir's training repeated without one part of the recipe at a time.

"Without a part" means with the values of preset `paper` for the fields of the part; all other fields are those of the
workdir.

WORKDIR/ablation/recipe/PART/    an ordinary workdir, in which only the model that the part belongs to is trained
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
    """A part of the recipe."""

    fields: tuple[str, ...]
    """Fields of the config as "section.field", all of the same section."""
    words: str
    """Description, for tables and messages."""
    title: str
    """Short name, for column headings."""

    @property
    def model(self) -> ModelName:
        """Model that the part belongs to."""
        return self.fields[0].split(".")[0]


# The changes of preset `modern` to the paper's losses and training, by their keys in metrics.json.
RECIPE_PARTS = {
    "reading_first": RecipePart(("image.d_warmup",), "a warm-up of the discriminator on real faces", "reading"),
    "warp": RecipePart(("image.warped", "image.mask_weight"), "a warp by the landmarks before painting", "warp"),
    # Instead of the warp; `modern` does without.
    "mask": RecipePart(("image.masked",), "a mask that blends the output with the input", "mask"),
    "landmarks_unasked": RecipePart(
        ("image.g_landmark_factor",), "a generator that the landmark loss does not train", "landmarks"
    ),
    "blurred_reading": RecipePart(
        ("image.read_blurred",), "a discriminator that predicts emotions from blurred images", "blur"
    ),
    "low_emotion_weight": RecipePart(("image.emotion_weight",), "a low weight of the emotion loss", "emotion"),
    "uniform_targets": RecipePart(("image.targets",), "target emotions spread over the disc", "targets"),
    "nonsaturating": RecipePart(("image.adversarial_loss",), "the non-saturating adversarial loss", "loss"),
    "faster_discriminator": RecipePart(
        ("image.d_rate_factor",), "a higher learning rate of the discriminator", "faster D"
    ),
    "averaged_weights": RecipePart(("image.ema_decay",), "averaged weights", "average"),
    "displacement": RecipePart(("landmark.residual",), "a landmark converter that outputs a displacement", "displaced"),
    "free_centres": RecipePart(("landmark.centre_weight",), "face feature centres free to move", "centres"),
}

# Key of the workdir's own models, trained with every part.
FULL_RECIPE = "whole"


def enabled_parts(config: Config) -> dict[str, RecipePart]:
    """Return the parts of RECIPE_PARTS whose fields differ from the paper's values in `config`."""
    return {name: part for name, part in RECIPE_PARTS.items() if config_without(config, part) != config}


def config_without(config: Config, part: RecipePart) -> Config:
    """Return the config with the paper's values for the fields of a part."""
    paper = presets.paper()
    for field in part.fields:
        section, name = field.split(".")
        config = with_value(config, field, getattr(getattr(paper, section), name))
    return config


def train(config: Config, directory: Path, name: str) -> None:
    """Train the model of part `name` without this part, to its last step.

    Args:
        config: Config of the workdir.
        directory: The workdir. The run is in its subfolder ablation/recipe/NAME.
        name: Key of RECIPE_PARTS.

    Raises:
        UserError: As `loop.train`.
        signals.Interrupted: As `loop.train`.
    """
    part, folder = RECIPE_PARTS[name], _folder(directory, name)
    if part.model == "image":
        take_landmark_converter(directory, folder)
    print(f"without: {part.words}")
    loop.train(config_without(config, part), part.model, folder)


def load(directory: Path) -> dict[str, Callable[[], Trained]] | None:
    """Return functions that assemble the models of every finished run.

    Args:
        directory: The workdir.

    Returns:
        By part, first the workdir's own models (FULL_RECIPE); None if no run without a part is finished.

    Raises:
        UserError: As `states.read`, if there are ablation runs.
    """
    if not (directory / FOLDER / "recipe").is_dir():
        return None
    config, weights, steps = states.read(directory)
    runs = {FULL_RECIPE: functools.partial(inference.assemble, config, weights, steps)}
    for name, part in enabled_parts(config).items():
        changed = config_without(config, part)
        state = finished(_folder(directory, name), changed, part.model)
        if state is not None:
            retrained = states.weights_of(state, part.model)
            runs[name] = functools.partial(inference.assemble, changed, weights | retrained, steps)
    return runs if len(runs) > 1 else None


def _folder(directory: Path, name: str) -> Path:
    """Return the workdir of the run without part `name`."""
    return directory / FOLDER / "recipe" / name

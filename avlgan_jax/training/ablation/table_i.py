"""Training runs of Table I: each of four loss weights at each of its values, all other fields as in a trained workdir.

WORKDIR/ablation/plan.json                 the plan of the runs; a different plan is refused
WORKDIR/ablation/landmark/checkpoints      all landmark converters, trained together (`landmark_grid`)
WORKDIR/ablation/image/NAME=VALUE/         an ordinary workdir for each image converter (`train_image`)
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from avlgan_jax import atomic_files
from avlgan_jax.config import Config
from avlgan_jax.errors import UserError
from avlgan_jax.models import inference
from avlgan_jax.models.converter import LossWeights
from avlgan_jax.models.inference import Trained
from avlgan_jax.models.optimizers import Params
from avlgan_jax.training import loop, states
from avlgan_jax.training.ablation import landmark_grid
from avlgan_jax.training.ablation.landmark_grid import LandmarkGrid
from avlgan_jax.training.ablation.runs import FOLDER, finished, take_landmark_converter, with_value

# Table I: the values of each weight, and the four weights in the order of the paper's columns, by their config fields.
VALUES = (0.0, 0.1, 1.0, 5.0, 10.0, 100.0)
COLUMNS = ("landmark.emotion_weight", "landmark.centre_weight", "image.emotion_weight", "image.landmark_weight")


@dataclass(frozen=True)
class AblationPlan:
    """The numbers of runs and steps of Table I.

    Raises:
        UserError: A number is below 1.
    """

    seeds: int = 3
    """Runs (seeds) of each landmark converter. Image converters, which cost far more, have one run."""
    landmark_steps: int | None = None
    """Steps of a landmark converter; None takes those of the config."""
    image_steps: int | None = None
    """Steps of an image converter; None takes those of the config."""

    def __post_init__(self) -> None:
        for name in ("seeds", "landmark_steps", "image_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{name.replace('_', '-')} is {value}; expected 1 or more")


@dataclass(frozen=True)
class AblationModels:
    """The trained models of Table I."""

    cells: dict[str, dict[float, list[Callable[[], Trained]]]]
    """Functions that assemble the models, one per seed of the landmark converter, by weight and value. The runs with
    the config's own values are the same under every weight."""
    own: dict[str, float]
    """The value of each weight in the workdir's config."""


def values(config: Config, column: str) -> list[float]:
    """Return the values of a weight in Table I, including the config's own value, in ascending order."""
    return sorted({*VALUES, _configured_value(config, column)})


def claim(directory: Path, plan: AblationPlan) -> None:
    """Write the plan, or check that it equals the plan of an earlier start.

    Raises:
        UserError: The workdir's ablation has a different plan.
    """
    path = directory / FOLDER / "plan.json"
    if path.is_file() and read_plan(directory) != plan:
        raise UserError(
            f"{path.parent} has another plan ({read_plan(directory)}); give the same options, or move the folder away"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_files.write_text(path, json.dumps(dataclasses.asdict(plan)) + "\n")


def read_plan(directory: Path) -> AblationPlan | None:
    """Return the plan of a workdir's ablation, or None if there is none."""
    path = directory / FOLDER / "plan.json"
    return AblationPlan(**json.loads(path.read_text())) if path.is_file() else None


def planned_config(config: Config, plan: AblationPlan) -> Config:
    """Return the config with the plan's steps; `d_warmup` is scaled by the same factor."""
    sections = {}
    for name, steps in (("landmark", plan.landmark_steps), ("image", plan.image_steps)):
        section = getattr(config, name)
        steps = steps or section.steps
        warmup = round(section.d_warmup * steps / section.steps)
        sections[name] = dataclasses.replace(section, steps=steps, d_warmup=warmup)
    return dataclasses.replace(config, **sections)


# --- landmark converters, trained together ---------------------------------------------------------------------------


def landmark_loss_weights(config: Config) -> list[LossWeights]:
    """Return the loss weights of every landmark converter of Table I, without duplicates, the config's own first."""
    own = LossWeights(config.landmark.emotion_weight, config.landmark.centre_weight)
    emotions = [own._replace(emotion=value) for value in values(config, COLUMNS[0])]
    centres = [own._replace(centre=value) for value in values(config, COLUMNS[1])]
    return list(dict.fromkeys([own, *emotions, *centres]))


def train_landmarks(config: Config, plan: AblationPlan, directory: Path) -> LandmarkGrid:
    """Train all landmark converters of Table I, `plan.seeds` of each.

    Raises:
        UserError: As `landmark_grid.train`.
        signals.Interrupted: As `landmark_grid.train`.
    """
    folder = _landmark_checkpoints(directory)
    return landmark_grid.train(
        planned_config(config, plan), landmark_loss_weights(config), _seeds(config, plan), folder
    )


# --- image converters, trained one after another ---------------------------------------------------------------------


def image_cells(config: Config) -> list[tuple[str, float]]:
    """Return the (column, value) of every image converter of Table I, without duplicates, the config's own first."""
    others = [(column, value) for column in COLUMNS[2:] for value in values(config, column)]
    own = (COLUMNS[2], _configured_value(config, COLUMNS[2]))
    return [own, *(cell for cell in others if cell[1] != _configured_value(config, cell[0]))]


def train_image(config: Config, plan: AblationPlan, directory: Path, column: str, value: float) -> None:
    """Train the image converter of one cell to its last step, with the landmark converter of `directory`.

    Does nothing if the workdir's own image converter serves for the cell.

    Args:
        config: Config of the workdir.
        plan: Plan of the ablation.
        directory: The workdir.
        column: Weight that is changed, one of the last two of COLUMNS.
        value: Value of this weight.

    Raises:
        UserError: As `loop.train`.
        signals.Interrupted: As `loop.train`.
    """
    folder = image_folder(config, plan, directory, column, value)
    if folder == directory:
        return
    take_landmark_converter(directory, folder)
    print(f"{column} {value:g}")
    loop.train(with_value(planned_config(config, plan), column, value), "image", folder)


def image_folder(config: Config, plan: AblationPlan, directory: Path, column: str, value: float) -> Path:
    """Return the workdir of a cell.

    It is `directory` itself for the config's own value if the plan has the config's steps. Otherwise the cells of the
    two columns with the config's own values share one folder.
    """
    same_steps = planned_config(config, plan).image == config.image
    if same_steps and value == _configured_value(config, column):
        return directory
    if value == _configured_value(config, column):
        column = COLUMNS[2]  # one run serves both columns
        value = _configured_value(config, column)
    return directory / FOLDER / "image" / f"{column.split('.')[1]}={value:g}"


# --- trained models --------------------------------------------------------------------------------------------------


def load(directory: Path) -> AblationModels | None:
    """Return the models of all finished runs of Table I, or None if there are none.

    All columns have one baseline, the models with the config's own weights: the image converter of this cell, and the
    landmark converters of this cell, one per seed. A cell has other landmark converters, or another image converter, in
    their place. As long as a half of the table is not trained, the workdir's own converter is in the baseline.

    Raises:
        UserError: As `states.read`, if there is a plan.
    """
    plan = read_plan(directory)
    if plan is None:
        return None
    config, weights, steps = states.read(directory)
    cells: dict[str, dict[float, list]] = {column: {} for column in COLUMNS}

    def assembled(landmarks: list[Params], image: dict[str, Params]) -> list[Callable[[], Trained]]:
        """Return functions that assemble the workdir's models with other converters, one per landmark converter."""
        parts = [{"landmark": found} for found in landmarks] or [{}]
        return [functools.partial(inference.assemble, config, weights | image | part, steps) for part in parts]

    landmarks = _load_landmarks(config, plan, directory)
    images = {cell: found for cell in image_cells(config) if (found := _load_image(config, plan, directory, *cell))}
    own_landmarks, own_image = landmarks[0] if landmarks else [], images.get(image_cells(config)[0], {})
    baseline = assembled(own_landmarks, own_image)  # one list, so that it is measured once
    if landmarks:
        for column, value, place in _landmark_cells(config):
            cells[column][value] = assembled(landmarks[place], own_image) if place else baseline
    for (column, value), image in images.items():
        cells[column][value] = assembled(own_landmarks, image)
    if own_image:
        cells |= {column: cells[column] | {_configured_value(config, column): baseline} for column in COLUMNS[2:]}
    return (
        AblationModels(cells, {column: _configured_value(config, column) for column in COLUMNS})
        if any(cells.values())
        else None
    )


def _load_image(config: Config, plan: AblationPlan, directory: Path, column: str, value: float) -> dict[str, Params]:
    """Return the weights of the image converter of one cell, empty before its last step."""
    folder = image_folder(config, plan, directory, column, value)
    state = finished(folder, with_value(planned_config(config, plan), column, value), "image")
    return states.weights_of(state, "image") if state is not None else {}


def _load_landmarks(config: Config, plan: AblationPlan, directory: Path) -> list[list[Params]]:
    """Return the evaluated weights for each of `landmark_loss_weights`, one per seed; empty before the last step."""
    folder = _landmark_checkpoints(directory)
    if not folder.is_dir():
        return []
    weights, seeds = landmark_loss_weights(config), _seeds(config, plan)
    found = landmark_grid.load(planned_config(config, plan), len(weights), seeds, folder)
    if found is None:
        return []
    return [[landmark_grid.one_run(found, seed, place) for seed in range(len(seeds))] for place in range(len(weights))]


def _landmark_cells(config: Config) -> Iterator[tuple[str, float, int]]:
    """Yield (column, value, index into `landmark_loss_weights`)."""
    weights = landmark_loss_weights(config)
    for column, field in zip(COLUMNS[:2], ("emotion", "centre"), strict=True):
        for value in values(config, column):
            yield column, value, weights.index(weights[0]._replace(**{field: value}))


def _seeds(config: Config, plan: AblationPlan) -> list[int]:
    """Return the seeds of the landmark converters, the config's own first."""
    return [config.seed + k for k in range(plan.seeds)]


def _configured_value(config: Config, column: str) -> float:
    """Return the config's own value of a weight."""
    section, field = column.split(".")
    return float(getattr(getattr(config, section), field))


def _landmark_checkpoints(directory: Path) -> Path:
    """Return the folder of the landmark converters' checkpoints."""
    return directory / FOLDER / "landmark" / "checkpoints"

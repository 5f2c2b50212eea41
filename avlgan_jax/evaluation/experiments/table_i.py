"""Table I: effect of each loss weight on realism and on the emotion, changing one weight at a time.

The landmark converters are evaluated with the image converter of the workdir's own weights, so another value of their
weights costs only minutes of training. Each image converter is trained from scratch, for the steps of the plan, which
may be fewer than the workdir's, and is evaluated with the landmark converters of the workdir's own weights. So all four
weights share the row of the workdir's own values. Image converters have one training each: the intervals of their rows
hold for other people and landmark converters, not for other trainings of the image converter.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from avlgan_jax.evaluation import bootstrap
from avlgan_jax.evaluation.experiments.ablation_scores import MEASURES, Measured, MeasurementSetup, measure_run
from avlgan_jax.models.inference import Trained
from avlgan_jax.training.ablation.table_i import AblationModels

# Table I of the paper: (FID, RMSE) by weight and value.
PAPER = {
    "landmark.emotion_weight": {
        0.0: (25.66, 0.188),
        0.1: (24.40, 0.204),
        1.0: (24.24, 0.193),
        5.0: (22.13, 0.200),
        10.0: (26.25, 0.203),
        100.0: (24.02, 0.202),
    },
    "landmark.centre_weight": {
        0.0: (25.80, 0.199),
        0.1: (26.43, 0.205),
        1.0: (24.54, 0.202),
        5.0: (22.13, 0.200),
        10.0: (24.16, 0.192),
        100.0: (24.84, 0.198),
    },
    "image.emotion_weight": {
        0.0: (20.92, 0.56),
        0.1: (20.84, 0.56),
        1.0: (21.89, 0.31),
        5.0: (22.13, 0.200),
        10.0: (26.59, 0.177),
        100.0: (64.92, 0.178),
    },
    "image.landmark_weight": {
        0.0: (25.50, 0.200),
        0.1: (25.97, 0.192),
        1.0: (25.58, 0.208),
        5.0: (25.33, 0.208),
        10.0: (22.13, 0.200),
        100.0: (23.44, 0.198),
    },
}

# The paper's own value of each weight, with which the others are compared.
PAPER_OWN = {column: 10.0 if column == "image.landmark_weight" else 5.0 for column in PAPER}

# From the text after Table I (Section IV-A): (FID, RMSE) with 3-D landmarks, and with the 2-D landmarks of Table I.
PAPER_3D, PAPER_2D = (26.7, 0.211), (22.13, 0.200)


def to_metrics(runs: AblationModels, setting: MeasurementSetup, seed: int = 0) -> dict:
    """Measure all runs of Table I and return `table_i` of `metrics.json`.

    Args:
        runs: The trained runs.
        setting: Trials and references that all runs share.
        seed: Seed of the bootstrap.

    Returns:
        By loss weight a list of rows, one for each value in ascending order. A row has the value, the mean of each of
        MEASURES over its runs, the scores of each run (`seeds`), and the paper's FID and RMSE for this value (`paper`,
        None if it has no such value). `own` is true for the value that the workdir was trained with. `rmse_ratio` is
        the RMSE over that at the paper's own value, [ratio, low, high] with a 95 % interval over people and, of several
        runs, over trainings; None without such a row. `distance_ratio` is the same for the Fréchet distance (FID where
        it is measured), over people only.
    """
    found: dict[Callable, Measured] = {}

    def measured(load: Callable[[], Trained]) -> Measured:
        """Measure a run once, also if it belongs to two weights."""
        if load not in found:
            found[load] = measure_run(load(), setting, seed)
        return found[load]

    table = {}
    for weight, by_value in runs.cells.items():
        cells = {value: [measured(load) for load in loads] for value, loads in sorted(by_value.items())}
        draws = {value: _rmse_draws([run.predicted for run in cell], setting, seed) for value, cell in cells.items()}
        rows = {value: _row([run.scores for run in cell]) for value, cell in cells.items()}
        reference = PAPER_OWN[weight]
        table[weight] = [
            {"value": value, "own": value == runs.own[weight], **row}
            | {"rmse_ratio": _ratio(value, reference, rows, draws), "paper": _paper(weight, value)}
            | {"distance_ratio": _distance_ratio(value, reference, cells)}
            for value, row in rows.items()
        ]
    return table


def _rmse_draws(
    predicted: list[Float[np.ndarray, "n 2"]], setting: MeasurementSetup, seed: int
) -> Float[np.ndarray, "draws"] | None:
    """Return the RMSE of the runs of one value on each draw of people and trainings."""
    trials = setting.trials
    people, one_draw = np.asarray(setting.faces.subjects)[trials.sources], np.zeros(len(trials.sources), int)
    crossed = bootstrap.draw_crossed(people, one_draw, len(predicted), seed)
    return bootstrap.crossed_affect_draws(np.stack(predicted), trials.targets, crossed)["rmse"]


def _ratio(value: float, reference: float, rows: dict[float, dict], draws: dict) -> list[float | None] | None:
    """Return [ratio, low, high] of the RMSE at a value to that at `reference`, or None without the latter."""
    if reference not in rows or value == reference or not rows[reference]["rmse"]:
        return None
    both = None if draws[value] is None else draws[value] / draws[reference]
    return [rows[value]["rmse"] / rows[reference]["rmse"], *(bootstrap.interval(both) or (None, None))]


def _distance_ratio(value: float, reference: float, cells: dict[float, list[Measured]]) -> list[float | None] | None:
    """Return [ratio, low, high] of the mean distance over the runs of a value to that of `reference`, or None."""
    if reference not in cells or value == reference:
        return None
    names = cells[value][0].distances.keys() & cells[reference][0].distances.keys()
    if not names:
        return None
    name = "fid" if "fid" in names else "frechet_regressor"
    ours, theirs = (np.mean([run.distances[name] for run in cells[which]], axis=0) for which in (value, reference))
    if not theirs.all():
        return None
    ratios = ours / theirs
    return [float(ratios[0]), *(bootstrap.jackknife_interval(ratios[0], ratios[1:]) or (None, None))]


def _row(runs: list[dict[str, float | None]]) -> dict:
    """Return the scores of one value's runs: means, and the score of each run; a mean over None is None."""
    columns = {name: [run[name] for run in runs] for name in MEASURES}
    means = {name: float(np.mean(column)) if None not in column else None for name, column in columns.items()}
    return {**means, "seeds": columns}


def _paper(weight: str, value: float) -> dict[str, float] | None:
    """Return the paper's scores for this value, or None if the paper has no such value."""
    return dict(zip(("fid", "rmse"), PAPER[weight][value], strict=True)) if value in PAPER[weight] else None

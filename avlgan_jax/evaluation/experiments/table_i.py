"""Table I: effect of each loss weight on realism and on the emotion, changing one weight at a time.

The landmark converters are evaluated with the workdir's own image converter, so another value of their weights costs
only minutes of training. Each image converter is trained from scratch.
"""

from collections.abc import Callable

import numpy as np

from avlgan_jax.evaluation.experiments.ablation_scores import MEASURES, MeasurementSetup, measure
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

# From the text after Table I (Section IV-A): (FID, RMSE) with 3-D landmarks, and with the 2-D landmarks of Table I.
PAPER_3D, PAPER_2D = (26.7, 0.211), (22.13, 0.200)


def to_metrics(runs: AblationModels, setting: MeasurementSetup) -> dict:
    """Measure all runs of Table I and return `table_i` of `metrics.json`.

    Args:
        runs: The trained runs.
        setting: Trials and references that all runs share.

    Returns:
        By loss weight a list of rows, one for each value in ascending order. A row has the value, the mean of each of
        MEASURES over its runs, the scores of each run (`seeds`), and the paper's FID and RMSE for this value (`paper`,
        None if it has no such value). `own` is true for the value that the workdir was trained with.
    """
    found: dict[Callable, dict] = {}

    def measured(load: Callable[[], Trained]) -> dict:
        """Measure a run once, also if it belongs to two weights."""
        if load not in found:
            found[load] = measure(load(), setting)
        return found[load]

    return {
        weight: [
            {"value": value, "own": value == runs.own[weight], **_row([measured(load) for load in loads])}
            | {"paper": _paper(weight, value)}
            for value, loads in sorted(by_value.items())
        ]
        for weight, by_value in runs.cells.items()
    }


def _row(runs: list[dict[str, float | None]]) -> dict:
    """Return the scores of one value's runs: means, and the score of each run; a mean over None is None."""
    columns = {name: [run[name] for run in runs] for name in MEASURES}
    means = {name: float(np.mean(column)) if None not in column else None for name, column in columns.items()}
    return {**means, "seeds": columns}


def _paper(weight: str, value: float) -> dict[str, float] | None:
    """Return the paper's scores for this value, or None if the paper has no such value."""
    return dict(zip(("fid", "rmse"), PAPER[weight][value], strict=True)) if value in PAPER[weight] else None

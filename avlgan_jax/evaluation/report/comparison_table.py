"""The table of the comparison of models (`experiments.comparison`), for the report and the results page."""

from typing import NamedTuple

from avlgan_jax.data.records import AGE_GROUPS
from avlgan_jax.evaluation.experiments.comparison import DO_NOTHING
from avlgan_jax.evaluation.report.names import ROW_NAMES
from avlgan_jax.evaluation.report.tables import EMPTY, number
from avlgan_jax.faces.drawing import signed
from avlgan_jax.training.ablation.comparison import MODELS

# Measures by key: heading, decimals, and whether more is better.
MEASURES = {
    "rmse": ("RMSE", 3, False),
    "pcc_valence": ("PCC valence", 2, True),
    "pcc_arousal": ("PCC arousal", 2, True),
    "truth_psnr": ("PSNR, dB", 2, True),
    "truth_landmark_nme": ("landmark NME", 4, False),
}


# The scores of Section IV-B by key: their headings.
BABY = {"pcc_valence": "correlation of valence", "pcc_valence_within": "within people"}


class TableRow(NamedTuple):
    """A row: its name, and a cell for each of MEASURES as "value [low, high]" or a dash."""

    name: str
    cells: list[str]


class ComparisonTable(NamedTuple):
    """The rows of a group: the models, and the differences of two models."""

    group: str
    models: list[TableRow]
    differences: list[TableRow]


def headings() -> list[str]:
    """Return the headings of the measures; an arrow points to the better side."""
    return [f"{heading} {'↑' if more else '↓'}" for heading, _, more in MEASURES.values()]


def tables(found: dict) -> list[ComparisonTable]:
    """Return the tables of everyone and of each age group that has faces.

    Args:
        found: `comparison` of `metrics.json`; nothing is returned where it is empty.
    """
    if not found:
        return []
    result = []
    for group in ("all", *AGE_GROUPS):
        if found["rows"][DO_NOTHING][group]["rmse"] is None:
            continue
        models = [
            TableRow(_name(name, found["seeds"]), [_cell(row[group][key], key) for key in MEASURES])
            for name, row in found["rows"].items()
        ]
        differences = [
            TableRow(
                _minus(row),
                [_cell(row[group][key], key, difference=True) for key in MEASURES],
            )
            for row in found["differences"]
        ]
        result.append(ComparisonTable("everyone" if group == "all" else f"{group}s", models, differences))
    return result


def baby_tables(scores: dict) -> list[ComparisonTable]:
    """Return the tables of Section IV-B, one for infants and one for parents, or none where it was not measured.

    Args:
        scores: Content of `metrics.json`.
    """
    found = scores.get("comparison_baby") or {}
    seeds = scores["comparison"]["seeds"] if found else {}
    return [
        ComparisonTable(
            f"{group}s, {part['people']} {'person' if part['people'] == 1 else 'people'}",
            [TableRow(_name(name, seeds), _baby_cells(row)) for name, row in part["rows"].items()],
            [TableRow(_minus(row), _baby_cells(row, difference=True)) for row in part["differences"]],
        )
        for group, part in found.items()
    ]


def _baby_cells(row: dict, difference: bool = False) -> list[str]:
    return [_cell(row[key], "pcc_valence", difference) for key in BABY]


def _minus(row: dict) -> str:
    """Return the name of a difference."""
    return f"{MODELS[row['first']].words}, minus {MODELS[row['second']].words}"


def _name(name: str, seeds: dict[str, list[int]]) -> str:
    """Return the name of a model with its number of trainings."""
    if name == DO_NOTHING:
        return ROW_NAMES[name]
    count = len(seeds[name])
    return f"{MODELS[name].words} ({count} training{'s' if count > 1 else ''})"


def _cell(value: list[float] | None, key: str, difference: bool = False) -> str:
    """Return "value [low, high]"; differences have a sign."""
    if value is None:
        return EMPTY
    decimals = MEASURES[key][1]
    middle, low, high = (
        signed(v, decimals, zero=None) if difference and v is not None else number(v, decimals) for v in value
    )
    return f"{middle} [{low}, {high}]"

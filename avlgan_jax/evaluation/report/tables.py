"""The tables of a report: which numbers, in which order, and how they are written."""

from dataclasses import dataclass

import numpy as np

from avlgan_jax.evaluation.report.names import ROW_NAMES
from avlgan_jax.evaluation.trials import GROUPS, MODELS

# The columns of the result table: key in metrics.json, heading, decimals, and whether more is better. A column without
# a single number is left out.
COLUMNS = (
    ("rmse", "RMSE", 3, False),
    ("rmse_valence", "V", 3, False),
    ("rmse_arousal", "A", 3, False),
    ("pcc_valence", "PCC V", 2, True),
    ("pcc_arousal", "PCC A", 2, True),
    ("ccc_valence", "CCC V", 2, True),
    ("ccc_arousal", "CCC A", 2, True),
    ("frechet_regressor", "Fréchet", 2, False),
    ("fid", "FID", 2, False),
    ("truth_landmark_nme", "NME", 4, False),
    ("truth_psnr", "PSNR", 2, True),
    ("truth_ssim", "SSIM", 3, True),
)
EMPTY = "–"
# What the difference of the two models is told of.
COMPARED = (
    ("rmse", "RMSE", False),
    ("pcc_valence", "correlation of valence", True),
    ("pcc_arousal", "correlation of arousal", True),
    ("truth_psnr", "PSNR to the truth, dB", True),
)


@dataclass(frozen=True)
class Cell:
    """One number of the result table; `best` marks the better of the two models, `interval` is "low to high" or ""."""

    text: str
    best: bool = False
    interval: str = ""


@dataclass(frozen=True)
class Comparison:
    """What landmarks change: avLandmarkGAN less avGAN in one score, for each group; `verdict` says which is better."""

    name: str
    cells: list[tuple[str, str, str]]  # difference, interval, verdict


def table_columns(scores: dict) -> list[tuple[str, str, int, bool]]:
    """Those of COLUMNS in which avGAN or avLandmarkGAN has a number."""
    return [column for column in COLUMNS if any(scores["models"][name][column[0]] is not None for name in MODELS)]


def table(scores: dict) -> list[tuple[str, list[tuple[str, list[Cell]]]]]:
    """The result table: for everyone, adults and infants, the rows by name with a Cell for each of `columns`."""
    return [
        (title, [(ROW_NAMES[row], _cells(table_columns(scores), rows, bounds, row)) for row in ROW_NAMES])
        for title, rows, bounds in _blocks(scores)
    ]


def _blocks(scores: dict) -> list[tuple[str, dict, dict]]:
    """For everyone and each group somebody is in: its title, its rows of scores and its rows of intervals."""
    bounds = scores["intervals"]
    everyone = {**scores["models"], "do_nothing": scores["do_nothing"], "regressor": scores["regressor"]}
    blocks = [("everyone", everyone, {**bounds["models"], **bounds})]
    return blocks + [
        (f"{group}s", scores["groups"][group], bounds["groups"][group])
        for group in GROUPS
        if scores["groups"][group]["samples"]
    ]


def comparisons(scores: dict) -> tuple[list[str], list[Comparison]]:
    """The groups, and how the two models differ in each of COMPARED that could be measured."""
    blocks = _blocks(scores)
    rows = []
    for key, name, more in COMPARED:
        if scores["models"]["avgan"][key] is None:
            continue
        cells = []
        for _, values, bounds in blocks:
            difference = values["avlandmarkgan"][key] - values["avgan"][key]
            interval = bounds["difference"][key]
            cells.append((_signed(difference, 3), value_range(interval, 3), _verdict(interval, more)))
        rows.append(Comparison(name, cells))
    return [title for title, _, _ in blocks], rows


def _verdict(interval: list[float] | None, more: bool) -> str:
    if interval is None or interval[0] <= 0.0 <= interval[1]:
        return "undecided"
    return "better" if (interval[0] > 0.0) == more else "worse"


def _signed(value: float, decimals: int) -> str:
    return f"{value:+.{decimals}f}".replace("-", "−")


def value_range(interval: list[float] | None, decimals: int = 2) -> str:
    """An interval as "low to high"; nothing where there is none."""
    return " to ".join(number(bound, decimals) for bound in interval) if interval else ""


def _cells(columns: list[tuple], rows: dict, bounds: dict, row: str) -> list[Cell]:
    cells = []
    for key, _, decimals, more in columns:
        value = rows[row].get(key)
        rivals = [rows[name][key] for name in MODELS if rows[name][key] is not None]
        best = row in MODELS and len(rivals) == 2 and value == (max if more else min)(rivals)
        cells.append(Cell(number(value, decimals), best, value_range(bounds[row].get(key), decimals)))
    return cells


def text_table(scores: dict) -> str:
    """The result table in plain text, for a terminal; nothing where the models were not put to trial."""
    if "models" not in scores:
        return ""
    lines = []
    for title, rows in table(scores):
        lines.append(f"{title:<16}" + "".join(f"{heading:>9}" for _, heading, _, _ in table_columns(scores)))
        lines += [f"  {name:<14}" + "".join(f"{cell.text:>9}" for cell in cells) for name, cells in rows]
        lines.append("")
    return "\n".join(lines).rstrip()


def number(value: float | None, decimals: int = 2) -> str:
    """A number as the report writes it: a typographic minus, and a dash where there is none."""
    if value is None:
        return EMPTY
    # Adding 0.0 turns a negative zero into a plain one.
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def spread(seeds: list[float | None], decimals: int) -> str:
    """The standard deviation of the seeds as " ± ...", nothing of one."""
    if len(seeds) < 2 or None in seeds:
        return ""
    return f" ± {np.std(seeds, ddof=1):.{decimals}f}"


def nearer_to_truth(scores: dict) -> float | None:
    """By what share the converted landmarks are nearer to the truth than the landmarks left as they were."""
    nothing = scores["do_nothing"]["truth_landmark_nme"]
    return 1.0 - scores["models"]["avlandmarkgan"]["truth_landmark_nme"] / nothing if nothing else None

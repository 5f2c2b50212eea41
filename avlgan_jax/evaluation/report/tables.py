"""Tables of the report: the choice and order of the scores, and the format of the numbers."""

from dataclasses import dataclass

import numpy as np

from avlgan_jax.data.records import AGE_GROUPS
from avlgan_jax.evaluation.experiments.circumplex import ANGLES, RADII
from avlgan_jax.evaluation.report.names import ROW_NAMES, in_order
from avlgan_jax.faces.drawing import signed

# The columns of the result table: key in metrics.json, heading, decimals, and whether more is better. A column in which
# no model has a number is left out.
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
# The directions of the plane in words, by the angle in degrees.
DIRECTIONS = {0: "pleasant", 90: "excited", 180: "unpleasant", 270: "calm"}
# The scores whose difference between the two models is shown: key in metrics.json, name, and whether more is better.
COMPARED = (
    ("rmse", "RMSE", False),
    ("pcc_valence", "correlation of valence", True),
    ("pcc_arousal", "correlation of arousal", True),
    ("truth_psnr", "PSNR to the ground truth, dB", True),
)


@dataclass(frozen=True)
class Cell:
    """One number of the result table.

    Attributes:
        text: The formatted number, or EMPTY.
        best: Whether it is the better score of the two models.
        interval: Its 95 % interval as "low to high"; empty where there is none.
    """

    text: str
    best: bool = False
    interval: str = ""


@dataclass(frozen=True)
class PlaneTable:
    """Scores of avLandmarkGAN on the rings of the circumplex experiment.

    Attributes:
        groups: The age groups of the columns. Each has one column per radius.
        radii: Radii of the rings.
        drawn: Whether there is a ground truth.
        rows: For each direction of the target its name, and for each column the RMSE of the predicted emotion and the
            gain in PSNR over doing nothing (None without ground truth).
    """

    groups: list[str]
    radii: tuple[float, ...]
    drawn: bool
    rows: list[tuple[str, list[tuple[float, float | None]]]]


@dataclass(frozen=True)
class Comparison:
    """The difference avLandmarkGAN minus avGAN in one score.

    Attributes:
        name: Name of the score.
        cells: For each group the difference, its 95 % interval, and "better", "worse" or "undecided": whether
            avLandmarkGAN is better, with an interval that excludes 0.
    """

    name: str
    cells: list[tuple[str, str, str]]


def table_columns(scores: dict) -> list[tuple[str, str, int, bool]]:
    """Return the COLUMNS in which a model has a number."""
    return [column for column in COLUMNS if any(row[column[0]] is not None for row in scores["models"].values())]


def table(scores: dict) -> list[tuple[str, list[tuple[str, list[Cell]]]]]:
    """Return the result table.

    Args:
        scores: Content of `metrics.json`, with the scores of the trials.

    Returns:
        For everyone and each group with trials: its title, and its rows as (name, a Cell for each of `table_columns`).
    """
    columns = table_columns(scores)
    return [
        (title, [(ROW_NAMES[row], _cells(columns, rows, bounds, row)) for row in ROW_NAMES if row in rows])
        for title, rows, bounds in _blocks(scores)
    ]


def _blocks(scores: dict) -> list[tuple[str, dict, dict]]:
    """Return title, rows of scores and rows of intervals for everyone and for each group that has trials."""
    bounds = scores["intervals"]
    everyone = {**scores["models"], "do_nothing": scores["do_nothing"], "regressor": scores["regressor"]}
    blocks = [("everyone", everyone, {**bounds["models"], **bounds})]
    return blocks + [
        (f"{group}s", scores["groups"][group], bounds["groups"][group])
        for group in AGE_GROUPS
        if scores["groups"][group]["samples"]
    ]


def comparisons(scores: dict) -> tuple[list[str], list[Comparison]]:
    """Return the titles of the groups, and a Comparison for each of COMPARED that avGAN has a score for.

    Without avGAN there is none.
    """
    blocks = _blocks(scores)
    rows = []
    for key, name, more in COMPARED:
        if scores["models"].get("avgan", {}).get(key) is None:
            continue
        cells = []
        for _, values, bounds in blocks:
            difference = values["avlandmarkgan"][key] - values["avgan"][key]
            interval = bounds["difference"][key]
            cells.append((signed(difference, 3, zero=None), value_range(interval, 3), _outcome(interval, more)))
        rows.append(Comparison(name, cells))
    return [title for title, _, _ in blocks], rows


def plane_table(sweep: dict) -> PlaneTable:
    """Return the table of the scores at the targets of the plane.

    Args:
        sweep: `circumplex` of `metrics.json`.
    """
    groups = [group for group in AGE_GROUPS if group in sweep]
    drawn = all(sweep[group]["psnr"] for group in groups)

    def cell(group: str, target: int) -> tuple[float, float | None]:
        psnr = sweep[group]["psnr"]
        gain = psnr["avlandmarkgan"][target] - psnr["do_nothing"][target] if drawn else None
        return sweep[group]["rmse"]["avlandmarkgan"][target], gain

    rows = []
    for angle in range(ANGLES):
        degrees = 360 * angle // ANGLES
        name = f"{degrees}° {DIRECTIONS.get(degrees, '')}".rstrip()
        # The first target is the centre.
        rows.append((name, [cell(group, 1 + ring * ANGLES + angle) for group in groups for ring in range(len(RADII))]))
    return PlaneTable(groups, RADII, drawn, rows)


def _outcome(interval: list[float] | None, more: bool) -> str:
    if interval is None or interval[0] <= 0.0 <= interval[1]:
        return "undecided"
    return "better" if (interval[0] > 0.0) == more else "worse"


def value_range(interval: list[float] | None, decimals: int = 2) -> str:
    """Return an interval as "low to high", or "" for None."""
    return " to ".join(number(bound, decimals) for bound in interval) if interval else ""


def _cells(columns: list[tuple], rows: dict, bounds: dict, row: str) -> list[Cell]:
    cells, models = [], in_order(rows)
    for key, _, decimals, more in columns:
        value = rows[row].get(key)
        rivals = [rows[name][key] for name in models if rows[name][key] is not None]
        best = row in models and len(rivals) == 2 and value == (max if more else min)(rivals)
        cells.append(Cell(number(value, decimals), best, value_range(bounds[row].get(key), decimals)))
    return cells


def text_table(scores: dict) -> str:
    """Return the result table as plain text for a terminal, or "" where `scores` has no scores of the trials."""
    if "models" not in scores:
        return ""
    lines = []
    for title, rows in table(scores):
        lines.append(f"{title:<16}" + "".join(f"{heading:>9}" for _, heading, _, _ in table_columns(scores)))
        lines += [f"  {name:<14}" + "".join(f"{cell.text:>9}" for cell in cells) for name, cells in rows]
        lines.append("")
    return "\n".join([*lines, left_out(scores)]).rstrip()


def left_out(scores: dict) -> str:
    """Return a sentence that says that avGAN was not trained, or "" where it was."""
    trained = "avgan" in scores["provenance"]["steps"]
    return "" if trained else "avGAN, the baseline without landmarks, was not trained for this run."


def number(value: float | None, decimals: int = 2) -> str:
    """Return a number in the report's format: with a typographic minus, and EMPTY for None."""
    if value is None:
        return EMPTY
    # Adding 0.0 turns a negative zero into a positive one.
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def percent(share: float | None, decimals: int = 0) -> str:
    """Return a share as "12 %", or EMPTY for None."""
    return EMPTY if share is None else f"{number(100.0 * share, decimals)} %"


def spread(seeds: list[float | None], decimals: int) -> str:
    """Return the standard deviation over the seeds as " ± ...", or "" for fewer than two seeds or a missing value."""
    if len(seeds) < 2 or None in seeds:
        return ""
    return f" ± {np.std(seeds, ddof=1):.{decimals}f}"


def nearer_to_truth(scores: dict) -> float | None:
    """Return the share by which the landmark converter lowers the NME of the unchanged landmarks.

    Returns:
        A fraction, negative where the NME rises; None where there is no ground truth.
    """
    nothing = scores["do_nothing"]["truth_landmark_nme"]
    return 1.0 - scores["models"]["avlandmarkgan"]["truth_landmark_nme"] / nothing if nothing else None

"""The paper's claims, each with the paper's figure, a report's figure with its interval, and a verdict by one rule.

A claim names the values that it allows, as a range of one quantity. Where the report's whole 95 % interval lies in that
range, the report agrees; where the whole interval lies outside, it contradicts the claim; else it is undecided
(`verdict`). An interval is over people and, where there are several, over trainings.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from avlgan_jax.evaluation.experiments.baby import PAPER as BABY
from avlgan_jax.evaluation.experiments.table_i import PAPER as TABLE_I
from avlgan_jax.evaluation.experiments.table_i import PAPER_2D, PAPER_3D, PAPER_OWN
from avlgan_jax.evaluation.report.names import WEIGHT_WORDS
from avlgan_jax.evaluation.report.tables import number
from avlgan_jax.faces import emotions
from avlgan_jax.faces.drawing import signed
from avlgan_jax.training.ablation.comparison import MODELS

NOT_MEASURED = "not measured"
# A correlation from which on outputs are said to follow their target, or an expression to arrive: half of the spread of
# one is then shared by the other, or a quarter of the variance.
FOLLOWS = 0.5
# Where the paper claims that something hardly matters: differences of correlations (its own is 0.01) and ratios of the
# RMSE to that at its own weight (its own are from 0.94 to 1.04).
SAME_CORRELATION, SAME_RMSE = 0.05, 0.10
# Largest distance of a mean valence or arousal to that of Table II.
SAME_MEAN = 0.1

# A value and the bounds of its interval, which are None where there is none.
Estimate = tuple[float, float | None, float | None]


@dataclass(frozen=True)
class Finding:
    """A row of the table of findings, as text."""

    place: str
    """Where the paper has it."""
    claim: str
    paper: str
    here: str
    verdict: str


def verdict(estimate: Estimate | None, low: float = -math.inf, high: float = math.inf) -> str:
    """Return "agrees", "contradicts" or "undecided" for a claim that a quantity lies between `low` and `high`.

    Args:
        estimate: The report's value and interval, or None if it was not measured.
        low: Lowest value that the claim allows.
        high: Highest value that the claim allows.

    Returns:
        "agrees" if the whole interval lies between the two, "contradicts" if it lies outside, else, also without an
        interval, "undecided"; NOT_MEASURED without an estimate.
    """
    if estimate is None:
        return NOT_MEASURED
    _, lowest, highest = estimate
    if lowest is None or highest is None:
        return "undecided"
    if low <= lowest and highest <= high:
        return "agrees"
    return "contradicts" if highest < low or lowest > high else "undecided"


def findings(report: dict, in_2d: dict | None = None) -> list[Finding]:
    """Return every claim of the paper compared with one report.

    Args:
        report: Content of `metrics.json`. What it lacks is "not measured".
        in_2d: For a report with 3-D landmarks, its counterpart with 2-D landmarks if there is one.
    """
    three_d = report["protocol"].get("landmark_dimensions", 2) == 3
    rows = [*_whole(report), *_plane(report), *_table_i(report)]
    rows += [_three_d(report, in_2d)] if three_d else []
    return [*rows, *_table_ii(report), *_landmarks(report), *_baby(report), *_transfer(report)]


def _whole(report: dict) -> Iterator[Finding]:
    """Yield the paper's two scores of the whole model."""
    rmse = _score(report, ("models", "avlandmarkgan"), "rmse")
    text = "the emotion that the regressor reads differs from the target by an RMSE of at most 0.2"
    yield Finding("Table I", text, f"{PAPER_2D[1]:.3f}", _text(rmse, 3), verdict(rmse, high=PAPER_2D[1]))
    fid = _score(report, ("models", "avlandmarkgan"), "fid")
    text = "the FID of the outputs to the training pictures is at most 22.13"
    yield Finding("Table I", text, f"{PAPER_2D[0]:.2f}", _text(fid), verdict(fid, high=PAPER_2D[0]))


def _plane(report: dict) -> Iterator[Finding]:
    """Yield the claims of Figures 5 and 6: outputs follow the target over the plane, and show the eight expressions."""
    for axis in emotions.AXES:
        found = _score(report, ("models", "avlandmarkgan"), f"pcc_{axis}")
        text = f"outputs follow the {axis} of targets all over the plane (correlation of at least {FOLLOWS})"
        yield Finding("Figure 5", text, "shown", _text(found), verdict(found, low=FOLLOWS))
    clear, harder = (_triple(_value(report, "expressions", key)) for key in ("clear", "harder_by"))
    text = f"happy, sad, surprise and fear are recognised in the outputs (share of at least {FOLLOWS})"
    yield Finding("Figure 6", text, "shown", _text(clear), verdict(clear, low=FOLLOWS))
    text = "disgust, anger and contempt are recognised less often than these four (difference of the shares above 0)"
    yield Finding("Figure 6", text, "shown", _text(harder, plus=True), verdict(harder, low=0.0))


def _table_i(report: dict) -> Iterator[Finding]:
    """Yield the claims about the loss weights: sensitive to one, hardly to the others."""
    table = {weight: {row["value"]: row for row in rows} for weight, rows in (report.get("table_i") or {}).items()}
    weight = "image.emotion_weight"
    theirs = TABLE_I[weight]
    rise = _rmse_ratio(table.get(weight, {}), weight, 0.0)
    text = "without the emotion loss of the image converter the RMSE rises (ratio to that at weight 5 above 1)"
    yield Finding("Table I", text, f"{theirs[0.0][1] / theirs[5.0][1]:.2f}", _text(rise), verdict(rise, low=1.0))
    distance = "fid" if report["protocol"].get("fid_mode") else "frechet_regressor"
    far = _distance_ratio(table.get(weight, {}), distance)
    text = "with a weight of 100 of that loss the distance to the training pictures rises (ratio above 1)"
    yield Finding("Table I", text, f"{theirs[100.0][0] / theirs[5.0][0]:.2f}", _text(far), verdict(far, low=1.0))
    for weight, words in WEIGHT_WORDS.items():
        if weight != "image.emotion_weight":
            yield _insensitive(weight, words, table.get(weight, {}))


def _insensitive(weight: str, words: str, rows: dict[float, dict]) -> Finding:
    """Return the claim that the RMSE hardly depends on a weight: every value's ratio is within SAME_RMSE of 1.

    The ratio farthest from 1 is shown. One value whose interval lies outside contradicts the claim.
    """
    own = TABLE_I[weight][PAPER_OWN[weight]][1]
    theirs = [rmse / own for _, rmse in TABLE_I[weight].values()]
    ratios = [found for value in rows if (found := _rmse_ratio(rows, weight, value)) is not None]
    text = f'the RMSE hardly depends on the loss weight "{words}" (ratios within {SAME_RMSE:.0%} of 1)'
    paper = f"{min(theirs):.2f} to {max(theirs):.2f}"
    if not ratios:
        return Finding("Table I", text, paper, number(None), NOT_MEASURED)
    low, high = 1.0 - SAME_RMSE, 1.0 + SAME_RMSE
    each = [verdict(ratio, low, high) for ratio in ratios]
    outcome = next((word for word in ("contradicts", "undecided") if word in each), "agrees")
    farthest = max(ratios, key=lambda ratio: abs(ratio[0] - 1.0))
    return Finding("Table I", text, paper, f"{_text(farthest)} farthest", outcome)


def _rmse_ratio(rows: dict[float, dict], weight: str, value: float) -> Estimate | None:
    """Return the ratio of the RMSE at a value of a weight to that at the paper's own; old reports have no interval."""
    own = PAPER_OWN[weight]
    if value == own or value not in rows or own not in rows:
        return None
    return _triple(rows[value].get("rmse_ratio")) or (rows[value]["rmse"] / rows[own]["rmse"], None, None)


def _distance_ratio(rows: dict[float, dict], distance: str) -> Estimate | None:
    """Return the ratio of the distance at weight 100 to that at 5; old reports have no interval."""
    if 100.0 not in rows or 5.0 not in rows or None in (rows[100.0][distance], rows[5.0][distance]):
        return None
    return _triple(rows[100.0].get("distance_ratio")) or (rows[100.0][distance] / rows[5.0][distance], None, None)


def _three_d(report: dict, in_2d: dict | None) -> Finding:
    """Return the claim that 3-D landmarks do not lower the RMSE, from two runs whose errors are independent."""
    text = "the RMSE is not lower with 3-D than with 2-D landmarks (difference of at least 0)"
    ours = _score(report, ("models", "avlandmarkgan"), "rmse")
    rival = None if in_2d is None else _score(in_2d, ("models", "avlandmarkgan"), "rmse")
    difference = None
    if ours is not None and rival is not None:
        value = ours[0] - rival[0]
        difference = (value, None, None)
        if None not in (*ours, *rival):
            below, above = (
                math.hypot(ours[0] - ours[1], rival[2] - rival[0]),
                math.hypot(ours[2] - ours[0], rival[0] - rival[1]),
            )
            difference = (value, value - below, value + above)
    paper = signed(PAPER_3D[1] - PAPER_2D[1], 3, zero=None)
    return Finding("Section IV-A", text, paper, _text(difference, 3, plus=True), verdict(difference, low=0.0))


def _table_ii(report: dict) -> Iterator[Finding]:
    """Yield the comparison of the expressions' means; drawn faces have the labels that they were drawn with."""
    text = f"mean valence and arousal of each expression (largest distance to AffectNet's, at most {SAME_MEAN})"
    rows = report.get("table_ii") or {}
    distances = [
        abs(rows[name][axis] - paper)
        for name, pair in zip(emotions.EXPRESSIONS, emotions.TABLE_II.tolist(), strict=True)
        for axis, paper in zip(emotions.AXES, pair, strict=True)
        if rows.get(name, {}).get(axis) is not None
    ]
    if not distances:
        yield Finding("Table II", text, "0", number(None), NOT_MEASURED)
        return
    largest = max(distances)
    drawn = report["protocol"]["data"] == "procedural_faces"
    outcome = "by construction" if drawn else verdict((largest, largest, largest), high=SAME_MEAN)
    yield Finding("Table II", text, "0", number(largest), outcome)


def _landmarks(report: dict) -> Iterator[Finding]:
    """Yield the claim that landmarks help infants, on still faces: over trainings if they were compared, else one."""
    unfair = _head_start(report)
    for key, words, helps in (
        ("rmse", "lower the RMSE", {"high": 0.0}),
        ("pcc_valence", "raise the correlation of valence", {"low": 0.0}),
        ("pcc_arousal", "raise the correlation of arousal", {"low": 0.0}),
    ):
        found = _score_difference(report, key)
        text = f"landmarks {words} on infants (still faces, difference to the model without)"
        outcome = verdict(found, **helps)
        if found is not None and unfair:
            outcome = unfair
        yield Finding("Abstract", text, "–", _text(found, 3, plus=True), outcome)
    for names, pair in _pairs(report.get("comparison") or {}):
        found = _triple(pair["infant"]["pcc_valence"])
        text = f"the same for valence, over trainings: {names}"
        yield Finding("Abstract", text, "–", _text(found, 3, plus=True), verdict(found, low=0.0))


def _pairs(compared: dict) -> Iterator[tuple[str, dict]]:
    """Yield the words for and the content of the differences between models with and without landmarks."""
    for pair in compared.get("differences", []):
        first, second = MODELS[pair["first"]], MODELS[pair["second"]]
        if (first.kind, second.kind) == ("image", "avgan"):
            yield f"{first.words}, minus {second.words}", pair


def _score_difference(report: dict, key: str) -> Estimate | None:
    """Return avLandmarkGAN minus avGAN on infants, or None where either has no score."""
    ours, theirs = (_value(report, "groups", "infant", model, key) for model in ("avlandmarkgan", "avgan"))
    if ours is None or theirs is None:
        return None
    bounds = _value(report, "intervals", "groups", "infant", "difference", key) or (None, None)
    return ours - theirs, *bounds


def _baby(report: dict) -> Iterator[Finding]:
    """Yield the claims of Section IV-B and Figure 7: landmarks help infants, and hardly matter on parents."""
    unfair = _head_start(report)
    for group in ("infant", "parent"):
        paper = BABY[group]
        found = _baby_estimate(report, group, "avlandmarkgan")
        text = f"outputs follow the target valence of {group}s (correlation of at least {FOLLOWS})"
        shown = f"{paper['avlandmarkgan']:.2f}"
        yield Finding("Figure 7", text, shown, _text(found), verdict(found, low=FOLLOWS))
    for group in ("infant", "parent"):
        paper = BABY[group]
        found = _baby_estimate(report, group, "difference")
        if group == "infant":
            text, allowed = "landmarks raise the correlation of valence on infants (difference above 0)", {"low": 0.0}
        else:
            text = f"landmarks hardly change that on parents (difference within {SAME_CORRELATION})"
            allowed = {"low": -SAME_CORRELATION, "high": SAME_CORRELATION}
        outcome = verdict(found, **allowed)
        if found is not None and unfair:
            outcome = unfair
        shown = signed(paper["avlandmarkgan"] - paper["avgan"], zero=None)
        yield Finding("Section IV-B", text, shown, _text(found, plus=True), outcome)
        for names, pair in _pairs((report.get("comparison_baby") or {}).get(group, {})):
            found = _triple(pair["pcc_valence"])
            text = f"the same over trainings: {names}"
            yield Finding("Section IV-B", text, shown, _text(found, plus=True), verdict(found, **allowed))


def _baby_estimate(report: dict, group: str, row: str) -> Estimate | None:
    """Return a correlation of Section IV-B, or None where there is none over people.

    Reports that do not say what their intervals are over are of a time when it was seconds of video.
    """
    found = _value(report, "baby", group) or {}
    if found.get("interval_over") != "people" or not found.get(row):
        return None
    return found[row]["pcc_valence"], *(found[row]["interval"] or (None, None))


def _transfer(report: dict) -> Iterator[Finding]:
    """Yield the claims of Section IV-C and Figure 8: valence and arousal transfer readily to infants."""
    for axis in reversed(emotions.AXES):
        found = _value(report, "transfer", "dyads", "infant", f"arrived_{axis}")
        estimate = None if found is None else (found["mean"], *(found["interval"] or (None, None)))
        text = f"the {axis} of infants transfers readily (mean correlation over dyads of at least {FOLLOWS})"
        yield Finding("Section IV-C", text, "shown", _text(estimate), verdict(estimate, low=FOLLOWS))


def _head_start(report: dict) -> str:
    """Return why avGAN and the image converter are not comparable, if one had over a fifth more steps; else ""."""
    steps = report["provenance"]["steps"]
    image, avgan = steps["image"], steps.get("avgan")
    if avgan is None or 5 * max(image, avgan) <= 6 * min(image, avgan):
        return ""
    return f"not comparable: avGAN was trained for {avgan:,} steps, the image converter for {image:,}"


def _score(report: dict, row: tuple[str, ...], key: str) -> Estimate | None:
    """Return a score of the trials with its interval."""
    value = _value(report, *row, key)
    return None if value is None else (value, *(_value(report, "intervals", *row, key) or (None, None)))


def _value(report: dict, *path: str):
    """Return what is at a path of keys, or None where a part of the path is missing."""
    for key in path:
        report = (report or {}).get(key)
    return report


def _triple(found: list | None) -> Estimate | None:
    return None if found is None else tuple(found)


def _text(estimate: Estimate | None, decimals: int = 2, plus: bool = False) -> str:
    """Return "value [low to high]", or a dash."""
    if estimate is None:
        return number(None)
    value, low, high = estimate
    shown = signed(value, decimals, zero=None) if plus else number(value, decimals)
    return shown if low is None else f"{shown} [{number(low, decimals)} to {number(high, decimals)}]"

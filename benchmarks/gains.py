"""Summaries of measured edits of photographs: gains of blendshapes, linearity, and what else changed.

Every mean has an interval of 95 %, by a bootstrap over the faces. Weights of one training are measured, so the
intervals do not hold what another training would change.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from avlgan_jax.evaluation import bootstrap

# Distance from the middle of the plane of the target of an expression, in the direction of Table II, and half.
INTENSITIES = (0.7, 0.35)
# The blendshapes that show an expression, and the gain to reach at the first intensity.
MARKS = {
    ("happy", "mouthSmile"): 0.5,
    ("surprise", "jawOpen"): 0.3,
    ("surprise", "browInnerUp"): 0.3,
    ("sad", "mouthFrown"): 0.1,
    ("anger", "browDown"): 0.2,
}
# Of smaller gains, the gain at half the intensity is no meaningful share.
SMALLEST_GAIN = 0.05
# Where on an axis of the plane a sweep asks for an emotion.
STEPS = np.linspace(-0.7, 0.7, 11)
# A sweep is monotone if no step goes back by more than this.
SLACK = 0.02
# What is read along each axis: blendshapes that rise, and those that fall.
READ = {
    "valence": (("mouthSmile",), ("mouthFrown",)),
    "arousal": (("eyeWide", "browInnerUp", "jawOpen"), ("eyeBlink",)),
}
TONES = ("dark", "middle", "light")
# What else an edit changes, and the digits to which it is printed.
CHANGES = {"identity": 2, "turn": 1, "changed_outside": 4, "rmse_outside": 4}


def summarise(faces: list[dict]) -> dict:
    """Return the means over faces: gains of the neutral ones, linearity and what else changed of all.

    A mean is `{"mean": value, "interval": [low, high]}`; both are None where no face has the value, and the interval
    is None of a single face.

    Args:
        faces: What `photographs.measure` returns of each face, and its expression.
    """
    neutral = [face for face in faces if face["expression"] == "neutral"]
    edits = [[edit[str(INTENSITIES[0])] for edit in face["expressions"].values()] for face in faces]
    identity = [edit["identity"] for each in edits for edit in each if edit["found"] and edit["identity"] is not None]
    return {
        "faces": len(faces),
        "neutral": len(neutral),
        "lost": sum(not edit["found"] for each in edits for edit in each),
        "gains": {f"{name} {shape}": _gain(neutral, name, shape) for name, shape in MARKS},
        "sweeps": {axis: _linearity([face["sweeps"][axis] for face in faces]) for axis in READ},
        **{key: _mean(_change(edits, key)) for key in CHANGES},
        "identity_95": float(np.quantile(identity, 0.95)) if identity else None,
    }


def _change(edits: list[list[dict]], key: str) -> list[float]:
    """Return the mean of a change over the edits of each face that has it."""
    values = [[edit[key] for edit in each if edit["found"] and edit[key] is not None] for each in edits]
    return [float(np.mean(each)) for each in values if each]


def _gain(faces: list[dict], name: str, shape: str) -> dict:
    """Return what faces gain of a blendshape in edits to an expression, and the share of it at half the intensity."""
    found = [face for face in faces if all(face["expressions"][name][str(size)]["found"] for size in INTENSITIES)]
    edits = [[face["expressions"][name][str(size)] for face in found] for size in INTENSITIES]
    full, half = (np.array([e["after"][shape] - e["before"][shape] for e in each]) for each in edits)
    mark = MARKS[name, shape]
    moves = len(full) and full.mean() > SMALLEST_GAIN
    return {
        "mark": mark,
        "before": _mean([edit["before"][shape] for edit in edits[0]]),
        "gain": _mean(full),
        "reached_by": _mean(full >= mark),
        "half_of_gain": _mean(np.stack([half, full], axis=1), lambda m: m[..., 0] / m[..., 1]) if moves else _mean([]),
    }


def _linearity(sweeps: list[list[float | None]]) -> dict:
    """Return the mean Pearson correlation of asked and read values, and the share of monotone sweeps."""
    complete = np.array([sweep for sweep in sweeps if None not in sweep]).reshape(-1, len(STEPS))
    # A sweep that does not move has no correlation: it counts as 0.
    correlations = [np.corrcoef(STEPS, sweep)[0, 1] if np.ptp(sweep) > 1e-6 else 0.0 for sweep in complete]
    return {
        "pearson": _mean(correlations),
        "monotone": _mean((np.diff(complete, axis=1) >= -SLACK).all(axis=1)),
        "range": _mean(np.ptp(complete, axis=1)),
    }


def _mean(values: Sequence[float] | Float[np.ndarray, "n *k"], score: Callable = lambda mean: mean) -> dict:
    """Return the mean of values, or a function of means of several, with its interval over faces."""
    values = np.asarray(values, float)
    if not len(values):
        return {"mean": None, "interval": None}
    draws = bootstrap.mean_draws(values, bootstrap.draw_people(np.arange(len(values)), seed=0))
    interval = None if draws is None else bootstrap.interval(score(draws))
    return {"mean": float(score(values.mean(axis=0))), "interval": interval}


def by_tone(faces: list[dict]) -> dict[str, dict]:
    """Return the summaries of three groups of equal size by the lightness of the skin; of fewer faces, fewer groups."""
    order = np.argsort([face["luminance"] for face in faces])
    groups = dict(zip(TONES, np.array_split(order, len(TONES)), strict=True))
    return {
        f"{name}, L* {faces[rows[0]]['luminance']:.0f} to {faces[rows[-1]]['luminance']:.0f}": summarise(
            [faces[row] for row in rows]
        )
        for name, rows in groups.items()
        if len(rows)
    }


def table(groups: dict[str, dict], others: dict[str, float]) -> str:
    """Return the summaries as text, one column per group; `others` is what `photographs.shown_by_others` found."""
    every = list(groups.values())
    rows = [["", *groups], *([key, *(str(group[key]) for group in every)] for key in ("faces", "neutral", "lost"))]
    for name in every[0]["gains"]:
        each = [group["gains"][name] for group in every]
        by_others = f"{others[name]:.2f}" if name in others else "-"
        heading = f"{name}: gain (mark {each[0]['mark']}; others {by_others})"
        rows.append([heading, *(f"{_text(g['gain'])} from {_text(g['before'], interval=False)}" for g in each)])
        rows.append(["  faces that reach it", *(_text(g["reached_by"]) for g in each)])
        rows.append(["  half the intensity, of the gain", *(_text(g["half_of_gain"]) for g in each)])
    for axis in READ:
        for key in ("pearson", "monotone"):
            rows.append([f"{axis}: {key}", *(_text(group["sweeps"][axis][key]) for group in every)])
    for key, digits in CHANGES.items():
        rows.append([key, *(_text(group[key], digits) for group in every)])
    rows.append(["identity_95", *("-" if g["identity_95"] is None else f"{g['identity_95']:.2f}" for g in every)])
    widths = [max(len(row[k]) for row in rows) + 2 for k in range(len(rows[0]))]
    return "\n".join("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _text(score: dict, digits: int = 2, interval: bool = True) -> str:
    """Return a mean and its interval as text; "-" where there is none."""
    if score["mean"] is None:
        return "-"
    bounds = score["interval"] if interval else None
    within = "" if bounds is None else " [" + ", ".join(f"{bound:.{digits}f}" for bound in bounds) + "]"
    return f"{score['mean']:.{digits}f}{within}"

"""Edits of photographs measured: does the asked expression show, and does nothing else change?

    python -m benchmarks.photographs DIFFUSION_FER
    python -m benchmarks.photographs DIFFUSION_FER --weights runs/mine --faces 20 --sheet sheet.png

DIFFUSION_FER is the manual directory of the data set of that name; the faces are of its test split, which
`prepare.py diffusion_fer` keeps out of training. The environment variable AVLGAN_MEDIAPIPE has the path of
`face_landmarker.task`. Gains are of blendshapes, from 0 to 1, of neutral faces; "doing nothing" gains 0. Beside them
stands what the data's own photographs of that expression have more than its neutral ones: other people, who show it.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Float
from PIL import Image
from tqdm import tqdm

from avlgan_jax import atomic_files
from avlgan_jax.datasets.diffusion_fer.diffusion_fer_dataset_builder import photographs_in
from avlgan_jax.editing.editor import Editor, load
from avlgan_jax.errors import UserError, command
from avlgan_jax.faces import detectors, drawing, pictures
from avlgan_jax.faces.emotions import EXPRESSIONS, TABLE_II
from avlgan_jax.photographs import cropping
from benchmarks.expressions import Instruments, Seen, luminance, outline, turn

# Distance from the middle of the plane at which an expression is asked for, in the direction of Table II, and half.
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
STEPS = np.linspace(-0.7, 0.7, 11)
# A sweep is monotone if no step goes back by more than this.
SLACK = 0.02
# What is read along each axis: blendshapes that rise, and those that fall.
READ = {
    "valence": (("mouthSmile",), ("mouthFrown",)),
    "arousal": (("eyeWide", "browInnerUp", "jawOpen"), ("eyeBlink",)),
}
TONES = ("dark", "middle", "light")


@dataclass(frozen=True)
class Arguments:
    """Measure edits of photographs held out of training."""

    folder: tyro.conf.Positional[Path]
    """Manual directory of DiffusionFER."""
    weights: str = "faces64"
    """Weights: name of a packaged bundle, folder of a bundle, or folder of a training run."""
    landmarks: str = "dlib"
    """Landmark detector of the edits."""
    faces: int = 40
    """Number of faces, the neutral ones first."""
    out: Path = Path("photographs.json")
    """File of the results."""
    sheet: Path | None = None
    """Also draw 16 of the faces at the eight expressions, at full size, as a PNG file."""


class Subject:
    """A photograph with one face, and its edits."""

    def __init__(self, path: Path, editor: Editor, detector: detectors.Detector):
        self.photo = pictures.read(path).pixels
        found = cropping.faces(self.photo, detector, editor.resolution, str(path), editor.landmark_dimensions)
        self.face, self._editor = max(found, key=lambda face: face.square.side), editor

    def edits(self, emotions: Float[np.ndarray, "n 2"]) -> list[cropping.Photo]:
        """Return the photograph at each emotion."""
        edited = self._editor.edit_with_landmarks(self.face.image, *emotions.T, self.face.landmarks, photographed=True)
        return [self._editor.blend(self.photo, self.face, edited.at(k)) for k in range(len(emotions))]


def targets() -> dict[tuple[str, float], Float[np.ndarray, "2"]]:
    """Return the emotions to ask for, by expression and intensity."""
    directions = {name: point / np.linalg.norm(point) for name, point in zip(EXPRESSIONS, TABLE_II, strict=True)}
    return {
        (name, size): (size * directions[name]).astype(np.float32)
        for name in EXPRESSIONS
        if name != "neutral"
        for size in INTENSITIES
    }


def measure(subject: Subject, instruments: Instruments) -> dict | None:
    """Return the measurements of one face, or None if MediaPipe does not find it in the photograph."""
    middle = subject.face.square.to_photograph(subject.face.landmarks[:, :2], len(subject.face.image)).mean(axis=0)
    before = instruments.see(subject.photo, middle, identity=True)
    if before is None:
        return None
    asked = targets()
    result: dict = {"luminance": luminance(subject.photo, before), "expressions": {}, "sweeps": {}}
    for (name, size), photo in zip(asked, subject.edits(np.stack(list(asked.values()))), strict=True):
        after = instruments.see(photo, middle, identity=size == INTENSITIES[0])
        result["expressions"].setdefault(name, {})[str(size)] = _change(subject.photo, photo, before, after)
    for axis, (up, down) in READ.items():
        emotions = np.zeros((len(STEPS), 2), np.float32)
        emotions[:, list(READ).index(axis)] = STEPS
        seen = [instruments.see(photo, middle) for photo in subject.edits(emotions)]
        result["sweeps"][axis] = [
            None if one is None else sum(map(one.score, up)) - sum(map(one.score, down)) for one in seen
        ]
    return result


def _change(photo: np.ndarray, edited: np.ndarray, before: Seen, after: Seen | None) -> dict:
    """Return what an edit changed: blendshapes before and after, identity, pose, and pixels beyond the face."""
    if after is None:
        return {"found": False}
    names = {name for _, name in MARKS} | {"noseSneer", "eyeWide", "browOuterUp"}
    changed = (photo != edited).any(axis=-1)
    outside = ~outline(photo.shape, before, after)
    difference = (photo[outside].astype(float) - edited[outside]) / 255.0
    distance = None
    if before.descriptor is not None and after.descriptor is not None:
        distance = float(np.linalg.norm(before.descriptor - after.descriptor))
    return {
        "found": True,
        "before": {name: before.score(name) for name in sorted(names)},
        "after": {name: after.score(name) for name in sorted(names)},
        "identity": distance,
        "turn": turn(before, after),
        "changed_outside": float(changed[outside].mean()) if outside.any() else 0.0,
        "rmse_outside": float(np.sqrt(np.mean(difference**2))) if outside.any() else 0.0,
    }


def summarise(faces: list[dict]) -> dict:
    """Return the means over faces: gains of the neutral ones, linearity, and what else changed, of all."""
    neutral = [face for face in faces if face["expression"] == "neutral"]
    gains = {}
    for (name, shape), mark in MARKS.items():
        full, half = (_gains(neutral, name, str(size), shape) for size in INTENSITIES)
        gains[f"{name} {shape}"] = {
            "mark": mark,
            "before": _mean([face["expressions"][name]["0.7"]["before"][shape] for face in _found(neutral, name)]),
            "gain": _mean(full),
            "reached_by": _mean(full >= mark),
            "half_of_gain": _mean(half) / _mean(full) if _mean(full) > SMALLEST_GAIN else None,
        }
    edits = [edit for face in faces for edit in (face["expressions"][name]["0.7"] for name in face["expressions"])]
    found = [edit for edit in edits if edit["found"]]
    identity = [edit["identity"] for edit in found if edit["identity"] is not None]
    return {
        "faces": len(faces),
        "neutral": len(neutral),
        "lost": len(edits) - len(found),
        "gains": gains,
        "sweeps": {axis: _linearity([face["sweeps"][axis] for face in faces]) for axis in READ},
        "identity": float(np.mean(identity)) if identity else None,
        "identity_95": float(np.quantile(identity, 0.95)) if identity else None,
        "turn_degrees": float(np.mean([edit["turn"] for edit in found])),
        "changed_outside": float(np.mean([edit["changed_outside"] for edit in found])),
        "rmse_outside": float(np.mean([edit["rmse_outside"] for edit in found])),
    }


def _mean(values: Sequence[float] | np.ndarray) -> float:
    """Return the mean of values, or NaN of none: a group may have no neutral face."""
    return float(np.mean(values)) if len(values) else float("nan")


def _found(faces: list[dict], name: str) -> list[dict]:
    """Return the faces that MediaPipe finds at both intensities of an expression."""
    return [face for face in faces if all(face["expressions"][name][str(size)]["found"] for size in INTENSITIES)]


def _gains(faces: list[dict], name: str, size: str, shape: str) -> Float[np.ndarray, "n"]:
    """Return the gain of a blendshape in each face."""
    edits = [face["expressions"][name][size] for face in _found(faces, name)]
    return np.array([edit["after"][shape] - edit["before"][shape] for edit in edits])


def _linearity(sweeps: list[list[float | None]]) -> dict:
    """Return the mean Pearson correlation of asked and read values, and the share of monotone sweeps."""
    complete = np.array([sweep for sweep in sweeps if None not in sweep])
    moving = complete[np.ptp(complete, axis=1) > 1e-6]  # a sweep that does not move has no correlation
    correlations = [np.corrcoef(STEPS, sweep)[0, 1] for sweep in moving]
    return {
        "pearson": float(np.mean(correlations)) if correlations else 0.0,
        "monotone": float((np.diff(complete, axis=1) >= -SLACK).all(axis=1).mean()),
        "range": float(np.ptp(complete, axis=1).mean()),
    }


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
    """Return the results as text, one column per group; `others` is what `shown_by_others` found."""
    rows = [
        ["", *groups],
        *([key, *(str(group[key]) for group in groups.values())] for key in ("faces", "neutral", "lost")),
    ]
    for name, first in next(iter(groups.values()))["gains"].items():
        each = [group["gains"][name] for group in groups.values()]
        by_others = f"{others[name]:.2f}" if name in others else "-"
        heading = f"{name}: gain (mark {first['mark']}; others {by_others})"
        rows.append([heading, *(f"{g['gain']:.2f} from {g['before']:.2f}" for g in each)])
        rows.append(["  faces that reach it", *(f"{g['reached_by']:.0%}" for g in each)])
        halves = ("-" if g["half_of_gain"] is None else f"{g['half_of_gain']:.2f}" for g in each)
        rows.append(["  half the intensity, of the gain", *halves])
    for axis in READ:
        each = [group["sweeps"][axis] for group in groups.values()]
        rows.append([f"{axis}: Pearson, monotone", *(f"{s['pearson']:.2f}, {s['monotone']:.0%}" for s in each)])
    for key, digits in (
        ("identity", 2),
        ("identity_95", 2),
        ("turn_degrees", 1),
        ("changed_outside", 4),
        ("rmse_outside", 4),
    ):
        values = [group[key] for group in groups.values()]
        rows.append([key, *("-" if value is None else f"{value:.{digits}f}" for value in values)])
    widths = [max(len(row[k]) for row in rows) + 2 for k in range(len(rows[0]))]
    return "\n".join("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def shown_by_others(folder: Path, instruments: Instruments) -> dict[str, float]:
    """Return what photographs of an expression have more of its blendshapes than neutral ones, by key of `gains`."""
    wanted = {"neutral", *(name for name, _ in MARKS)}
    seen: dict[str, list[Seen]] = {name: [] for name in wanted}
    for entry in tqdm(list(photographs_in(folder)), desc="expressions of others", unit=" photographs"):
        name = EXPRESSIONS[entry.expression]
        face = instruments.see(pictures.read(folder / entry.path).pixels) if name in wanted else None
        if face is not None:
            seen[name].append(face)

    def mean(name: str, shape: str) -> float:
        return float(np.mean([face.score(shape) for face in seen[name]]))

    found = {name for name in seen if seen[name] and seen["neutral"]}
    return {f"{name} {shape}": mean(name, shape) - mean("neutral", shape) for name, shape in MARKS if name in found}


def chosen(folder: Path, count: int) -> list:
    """Return photographs of the test split, the neutral ones first, each person once."""
    held = {entry.subject: entry for entry in photographs_in(folder) if entry.split == "test"}
    return sorted(held.values(), key=lambda entry: (entry.expression != 0, entry.id))[:count]


def sheet(subjects: list[Subject]) -> bytes:
    """Return a PNG: a row per face, the photograph and the eight expressions of Table II, at full size."""
    rows = [np.hstack([subject.photo, *subject.edits(TABLE_II)]) for subject in subjects]
    widest = max(row.shape[1] for row in rows)
    return drawing.png(
        Image.fromarray(np.vstack([np.pad(row, ((0, 4), (0, widest - row.shape[1]), (0, 0))) for row in rows]))
    )


@command
def main() -> None:
    """Run the command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    instruments, editor = Instruments(), load(arguments.weights)
    detector = detectors.create(arguments.landmarks)
    faces, subjects = [], []
    for entry in tqdm(chosen(arguments.folder, arguments.faces), unit=" faces"):
        try:
            subject = Subject(arguments.folder / entry.path, editor, detector)
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        subjects.append(subject)
        result = measure(subject, instruments)
        if result is not None:
            faces.append({"id": entry.id, "expression": EXPRESSIONS[entry.expression], **result})
    if not faces:
        raise UserError(f"no face of the test split of {arguments.folder} was found; check the folder")
    groups = {"all": summarise(faces), **by_tone(faces)}
    others = shown_by_others(arguments.folder, instruments)
    print(f"weights {arguments.weights}, landmarks {arguments.landmarks}\n{table(groups, others)}")
    if not instruments.identity:
        print("identity was not measured: dlib's descriptor is not installed (pip install 'avlgan_jax[dlib]')")
    options = {"weights": arguments.weights, "landmarks": arguments.landmarks}
    atomic_files.write_text(
        arguments.out, json.dumps({**options, "groups": groups, "shown_by_others": others, "faces": faces}, indent=1)
    )
    if arguments.sheet is not None:
        atomic_files.write_bytes(arguments.sheet, sheet(subjects[:: max(1, len(subjects) // 16)][:16]))


if __name__ == "__main__":
    main()

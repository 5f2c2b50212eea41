"""Edits of photographs measured: does the asked expression show, and does nothing else change?

    python -m benchmarks.photographs DIFFUSION_FER
    python -m benchmarks.photographs DIFFUSION_FER --weights runs/mine --faces 20 --sheet sheet.png

DIFFUSION_FER is the manual directory of the data set of that name; the faces are of its test split, which
`prepare.py diffusion_fer` keeps out of training. The environment variable AVLGAN_MEDIAPIPE has the path of
`face_landmarker.task`. Gains are of blendshapes, from 0 to 1, of neutral faces; "doing nothing" gains 0. Beside them
stands what the data's own photographs of that expression have more than its neutral ones: other people, who show it.
The last column is scikit-image's astronaut alone, who smiles in her photograph.
"""

import json
import sys
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
from benchmarks.gains import INTENSITIES, MARKS, READ, STEPS, by_tone, summarise, table


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

    def __init__(self, photo: cropping.Photo, name: str, editor: Editor, detector: detectors.Detector):
        self.photo = photo
        found = cropping.faces(photo, detector, editor.resolution, name, editor.landmark_dimensions)
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
    from skimage import data

    arguments = tyro.cli(Arguments, description=__doc__)
    instruments, editor = Instruments(), load(arguments.weights)
    detector = detectors.create(arguments.landmarks)
    astronaut = Subject(data.astronaut(), "the astronaut", editor, detector)
    faces, subjects = [], []
    for entry in tqdm(chosen(arguments.folder, arguments.faces), unit=" faces"):
        path = arguments.folder / entry.path
        try:
            subject = Subject(pictures.read(path).pixels, str(path), editor, detector)
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
    alone = measure(astronaut, instruments)
    if alone is not None:
        groups["astronaut"] = summarise([{"expression": "neutral", **alone}])
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

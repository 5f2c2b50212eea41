"""AffectNet, in both forms in which it has been given out."""

import csv
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from avlgan_jax.datasets import labels, photographs
from avlgan_jax.datasets.locating import NO_LABEL, Photograph, Rejection
from avlgan_jax.errors import UserError
from avlgan_jax.faces.detectors import NO_FACE, annotation

COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
# The lists of 2017: the list, the folder of its images, the split, and whether people labelled them.
LISTS = (
    ("Manually_Annotated_file_lists/training.csv", "Manually_Annotated_Images", "train", "manual"),
    ("Manually_Annotated_file_lists/validation.csv", "Manually_Annotated_Images", "validation", "manual"),
    (
        "Automatically_Annotated_file_lists/automatically_annotated.csv",
        "Automatically_Annotated_Images",
        "train",
        "automatic",
    ),
)
# The newer release: the folder and its split.
SETS = (("train_set", "train"), ("val_set", "validation"))

UNLABELLED = -2.0  # stands for valence and arousal where there are none
# Classes beyond the eight expressions, and what each means here.
BEYOND = {8: NO_LABEL, 9: NO_LABEL, 10: NO_FACE}  # none, uncertain, no face


@dataclasses.dataclass(frozen=True)
class Options(photographs.Options):
    """Which of AffectNet's images are taken, and how."""

    lists: Literal["manual", "automatic", "both"] = "manual"
    """Which lists of the 2017 form: those labelled by people (the paper's), by a network, or both."""


class Builder(photographs.PhotographBuilder):
    """AffectNet, from the lists of 2017 or the newer release, whichever the folder holds."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    AffectNet is given out by its authors on request (http://mohammadmahoor.com/pages/databases/affectnet). Give the
    folder that holds Manually_Annotated_file_lists, or train_set and val_set, as the manual directory.
    """
    Options = Options
    PAPER_COUNTS = MappingProxyType({"train": 234_815, "validation": 3_159})

    def list_photographs(self, folder: Path) -> Iterator[Photograph | Rejection]:
        """Every row of the lists, or every annotation of the newer release."""
        root = epath.Path(folder)
        wanted = [(root / path, *rest) for path, *rest, kind in LISTS if self.options.lists in (kind, "both")]
        if lists := [entry for entry in wanted if entry[0].exists()]:
            for path, images, split in lists:
                yield from _listed(path, images, split)
        elif sets := [(root / name, split) for name, split in SETS if (root / name / "annotations").exists()]:
            for annotated, split in sets:
                yield from _annotated(annotated, split)
        else:
            raise UserError(
                f"{folder} holds neither {wanted[0][0].relative_to(root)} nor {SETS[0][0]}/annotations: "
                "give AffectNet's own folder as --manual-dir"
            )


def _listed(path: epath.Path, images: str, split: str) -> Iterator[Photograph | Rejection]:
    with path.open("r", encoding="utf-8") as stream:
        for number, row in enumerate(csv.reader(stream), start=1):
            if not row or (
                number == 1 and row[0].lstrip("\ufeff") == COLUMNS[0]
            ):  # validation.csv is met with and without its header
                continue
            if len(row) != len(COLUMNS):
                raise UserError(f"{path}, line {number}: {len(row)} columns instead of {len(COLUMNS)}")
            named = dict(zip(COLUMNS, row, strict=True))
            image = f"{images}/{named['subDirectory_filePath']}"
            yield _entry(
                image,
                image,
                split,
                labels.expression(named["expression"]),
                labels.emotion(named["valence"], named["arousal"]),
                _box(named),
                annotation.parse(named["facial_landmarks"]),
            )


def _annotated(folder: epath.Path, split: str) -> Iterator[Photograph | Rejection]:
    names = sorted(path.name.removesuffix("_exp.npy") for path in (folder / "annotations").glob("*_exp.npy"))
    for name in names:
        expression, valence, arousal = (
            _text(folder / "annotations" / f"{name}_{what}.npy") for what in ("exp", "val", "aro")
        )
        points = annotation.points(_array(folder / "annotations" / f"{name}_lnd.npy"))
        yield _entry(
            f"{folder.name}/{name}",
            f"{folder.name}/images/{name}.jpg",
            split,
            labels.expression(expression),
            labels.emotion(valence, arousal),
            annotation.box_of(points),  # the image is a crop round the face that is meant; others may reach into it
            points,
        )


def _entry(name, path, split, expression, emotion, box, points) -> Photograph | Rejection:
    if expression in BEYOND:
        return Rejection(name, path, BEYOND[expression])
    if emotion is not None and UNLABELLED in emotion:
        emotion = None
    return Photograph(
        id=name,
        path=path,
        split=split,
        subject=name,
        emotion=emotion,
        expression=expression,
        box=box,
        landmarks=points,
    )


def _box(row: dict[str, str]) -> tuple[float, float, float, float] | None:
    """(left, top, right, bottom) of the face, None where it is missing or empty."""
    numbers = [labels.number(row[column]) for column in ("face_x", "face_y", "face_width", "face_height")]
    if None in numbers or not np.isfinite(numbers).all():
        return None
    left, top, width, height = numbers
    return (left, top, left + width, top + height) if width > 0 and height > 0 else None


def _array(path: epath.Path) -> np.ndarray:
    """An annotation's array, empty where the file is missing or is none."""
    try:
        return labels.array(path)
    except (FileNotFoundError, ValueError):
        return np.array([])


def _text(path: epath.Path) -> str | None:
    """A single value, which the release stores as an array of text without dimensions."""
    array = _array(path)
    return str(array.item()) if array.size == 1 else None

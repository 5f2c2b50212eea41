"""AffectNet, in the form of 2017 and in the newer release."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from avlgan_jax.datasets import labels, paths, photographs, tables
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
# The 2017 form: path of each list, folder of its images, split, and whether people or a network labelled them.
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
# The newer release: each folder and its split.
SETS = (("train_set", "train"), ("val_set", "validation"))

UNLABELLED = -2.0  # value of valence and arousal in AffectNet if there is no label
# Class indices after the eight expressions ("none", "uncertain", "no face"), and the reason to reject each.
BEYOND = {8: NO_LABEL, 9: NO_LABEL, 10: NO_FACE}


@dataclasses.dataclass(frozen=True)
class Options(photographs.Options):
    """Options of AffectNet: the lists to use, landmarks and crop."""

    lists: Literal["manual", "automatic", "both"] = "manual"
    """Lists of the 2017 form: labelled by people (manual, as in the paper), by a network (automatic), or both."""


class Builder(photographs.PhotographBuilder):
    """AffectNet, from the lists of 2017 or from the newer release."""

    VERSION = tfds.core.Version("2.0.0")  # the crop may reach beyond the photograph; it was shifted into it
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    The authors of AffectNet distribute it on request (http://mohammadmahoor.com/pages/databases/affectnet). Use the
    folder that holds Manually_Annotated_file_lists, or train_set and val_set, as the manual directory.
    """
    Options = Options
    PAPER_COUNTS = MappingProxyType({"train": 234_815, "validation": 3_159})

    def list_photographs(self, folder: Path) -> Iterator[Photograph | Rejection]:
        """Yield every row of the lists, or every annotation of the newer release.

        Args:
            folder: The manual directory.

        Raises:
            UserError: If the folder holds neither form, or a list is no table that `tables.read` reads.
        """
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
                "give the folder of AffectNet that holds one of them as --manual-dir"
            )


def _listed(path: epath.Path, images: str, split: str) -> Iterator[Photograph | Rejection]:
    """Yield the rows of one list of the 2017 form. Copies of validation.csv exist with and without the header."""
    names = {column: (column,) for column in COLUMNS}
    for row in tables.read(path, names, COLUMNS, without_header=COLUMNS).rows:
        image = f"{images}/{paths.relative(row['subDirectory_filePath'], path.parent.parent / images)}"
        yield _entry(
            image,
            image,
            split,
            labels.expression(row["expression"]),
            row.emotion(),
            _box(row),
            annotation.parse(row["facial_landmarks"]),
        )


def _annotated(folder: epath.Path, split: str) -> Iterator[Photograph | Rejection]:
    """Yield the images of one folder of the newer release."""
    names = sorted(path.name.removesuffix("_exp.npy") for path in (folder / "annotations").glob("*_exp.npy"))
    for name in names:
        expression, valence, arousal = (
            _text(folder / "annotations" / f"{name}_{label}.npy") for label in ("exp", "val", "aro")
        )
        points = annotation.points(_array(folder / "annotations" / f"{name}_lnd.npy"))
        yield _entry(
            f"{folder.name}/{name}",
            f"{folder.name}/images/{name}.jpg",
            split,
            labels.expression(expression),
            labels.emotion(valence, arousal),
            # The image is a crop around the annotated face, but may contain parts of other faces.
            annotation.box_of(points),
            points,
        )


def _entry(name, path, split, expression, emotion, box, points) -> Photograph | Rejection:
    """Return the image as a photograph, or a rejection if its class is not one of the eight expressions."""
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


def _box(row: tables.Row) -> tuple[float, float, float, float] | None:
    """Return the face's box as (left, top, right, bottom), or None if it is missing or empty."""
    numbers = [row.number(column) for column in ("face_x", "face_y", "face_width", "face_height")]
    if None in numbers or not np.isfinite(numbers).all():
        return None
    left, top, width, height = numbers
    return (left, top, left + width, top + height) if width > 0 and height > 0 else None


def _array(path: epath.Path) -> np.ndarray:
    """Return the array in an annotation file, or an empty array if the file is missing or cannot be read."""
    try:
        return labels.array(path)
    except (FileNotFoundError, ValueError):
        return np.array([])


def _text(path: epath.Path) -> str | None:
    """Return a single value, which the release stores as a zero-dimensional array of text, or None."""
    array = _array(path)
    return str(array.item()) if array.size == 1 else None

"""DiffusionFER: photorealistic synthetic faces with valence and arousal."""

import dataclasses
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from avlgan_jax.datasets import labels, photographs, tables
from avlgan_jax.datasets.locating import Photograph
from avlgan_jax.errors import UserError

SHEET = "dataset_sheet.csv"
COLUMNS = ("subDirectory_filePath", "valence", "arousal", "expression")
# Start of the paths in the published sheet. Paths in the sheet of a subset are relative to the sheet's folder.
PREFIX = "DiffusionFER/DiffusionEmotion_S/"
# The faces that look alike (`python -m benchmarks.lookalikes` writes the table), and its columns.
LOOKALIKES = Path(__file__).with_name("lookalikes.csv")
LOOKALIKE_COLUMNS = ("id", "group")


@dataclasses.dataclass(frozen=True)
class Options(photographs.Options):
    """Options of DiffusionFER: landmarks, crop, and the limit on damaged images."""

    landmarks: str = "dlib"
    """Source of the landmarks: fan (2-D), fan3d (2-D and 3-D), dlib or mediapipe."""


class Builder(photographs.PhotographBuilder):
    """DiffusionFER: 1,007 or more photorealistic synthetic faces (CC0). It names no people, only look-alikes."""

    Options = Options

    VERSION = tfds.core.Version("2.0.0")  # look-alikes are in one split; they were split by file name
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    Download DiffusionFER (https://huggingface.co/datasets/FER-Universe/DiffusionFER, CC0) and use the folder that holds
    {SHEET} as the manual directory.
    """

    def list_photographs(self, folder: Path) -> Iterator[Photograph]:
        """Yield the images in the sheet: see `photographs_in`."""
        alike = lookalikes()
        self.notes["people"] = (
            f"unknown: the file names identify nobody. {len(alike)} faces that look alike are in "
            f"{len(set(alike.values()))} groups, each in one split; other people may be in several"
        )
        return photographs_in(folder, alike)


def lookalikes() -> dict[str, str]:
    """Return the group of each face that looks like another one, by its id."""
    rows = tables.read(epath.Path(LOOKALIKES), {column: (column,) for column in LOOKALIKE_COLUMNS}, LOOKALIKE_COLUMNS)
    return {row["id"]: row["group"] for row in rows.rows}


def own_name(identifier: str) -> str:
    """Return the name that a file's name gives: its stem up to the last `_`."""
    return posixpath.basename(identifier).rsplit("_", 1)[0]


def photographs_in(folder: Path, alike: Mapping[str, str] | None = None) -> Iterator[Photograph]:
    """Yield the images in the sheet. The group of its look-alikes, else the file's own name, selects the split.

    Args:
        folder: The manual directory.
        alike: Groups of look-alikes by id; by default `lookalikes`.

    Raises:
        UserError: If the sheet is missing, lacks a column, or is not CSV.
    """
    alike = lookalikes() if alike is None else alike
    sheet = epath.Path(folder) / SHEET
    if not sheet.exists():
        raise UserError(f"{sheet} is missing; give the folder that holds it as --manual-dir")
    for row in tables.read(sheet, {column: (column,) for column in COLUMNS}, COLUMNS).rows:
        yield _photograph(row, epath.Path(folder), alike)


def _photograph(row: tables.Row, folder: epath.Path, alike: Mapping[str, str]) -> Photograph:
    """Return the image of one row."""
    path = row["subDirectory_filePath"]
    stem = posixpath.splitext(path.removeprefix(PREFIX))[0]
    subject = alike.get(stem, own_name(stem))
    return Photograph(
        id=stem,
        path=_local(path, folder),
        split=photographs.split_of(subject),
        subject=subject,
        emotion=row.emotion(),
        expression=labels.expression(row["expression"]),
    )


def _local(path: str, folder: epath.Path) -> str:
    """Return the path that exists: with or without the published prefix, as published (.png) or as .jpg."""
    short = path.removeprefix(PREFIX)
    forms = (path, short, posixpath.splitext(short)[0] + ".jpg")
    return next((form for form in forms if (folder / form).exists()), short)

"""DiffusionFER: photorealistic synthetic faces with valence and arousal."""

import dataclasses
import posixpath
from collections.abc import Iterator
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


@dataclasses.dataclass(frozen=True)
class Options(photographs.Options):
    """Options of DiffusionFER: landmarks, crop, and the limit on damaged images."""

    landmarks: str = "dlib"
    """Source of the landmarks: fan (2-D), fan3d (2-D and 3-D), dlib or mediapipe."""


class Builder(photographs.PhotographBuilder):
    """DiffusionFER: 1,007 or more photorealistic synthetic faces (CC0), split by file name: it names no people."""

    Options = Options

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    Download DiffusionFER (https://huggingface.co/datasets/FER-Universe/DiffusionFER, CC0) and use the folder that holds
    {SHEET} as the manual directory.
    """

    def list_photographs(self, folder: Path) -> Iterator[Photograph]:
        """Yield the images in the sheet: see `photographs_in`."""
        self.notes["people"] = "unknown: the file names identify nobody, so look-alikes may be in several splits"
        return photographs_in(folder)


def photographs_in(folder: Path) -> Iterator[Photograph]:
    """Yield the images in the sheet. A file name's stem up to its last `_` selects the split.

    Args:
        folder: The manual directory.

    Raises:
        UserError: If the sheet is missing, lacks a column, or is not CSV.
    """
    sheet = epath.Path(folder) / SHEET
    if not sheet.exists():
        raise UserError(f"{sheet} is missing; give the folder that holds it as --manual-dir")
    for row in tables.read(sheet, {column: (column,) for column in COLUMNS}, COLUMNS).rows:
        yield _photograph(row, epath.Path(folder))


def _photograph(row: tables.Row, folder: epath.Path) -> Photograph:
    """Return the image of one row."""
    path = row["subDirectory_filePath"]
    stem = posixpath.splitext(path.removeprefix(PREFIX))[0]
    subject = posixpath.basename(stem).rsplit("_", 1)[0]
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

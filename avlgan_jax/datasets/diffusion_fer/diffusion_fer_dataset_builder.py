"""DiffusionFER: photorealistic synthetic faces with valence and arousal."""

import dataclasses
import posixpath
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from avlgan_jax.datasets import labels, photographs
from avlgan_jax.datasets.locating import Photograph
from avlgan_jax.errors import UserError

SHEET = "dataset_sheet.csv"
COLUMNS = ("subDirectory_filePath", "valence", "arousal", "expression")
# The published sheet's paths start here; those of a part of the set start at the folder that holds the sheet.
PREFIX = "DiffusionFER/DiffusionEmotion_S/"


@dataclasses.dataclass(frozen=True)
class Options(photographs.Options):
    """How DiffusionFER's faces are taken."""

    landmarks: str = "dlib"
    """Where the landmarks come from: fan (2-D), fan3d (2-D and 3-D) or dlib."""


class Builder(photographs.PhotographBuilder):
    """1,007 or more photorealistic synthetic faces (CC0): those whose face is found, split by person."""

    Options = Options

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""
    Get DiffusionFER (https://huggingface.co/datasets/FER-Universe/DiffusionFER, CC0) and give the folder that holds
    {SHEET} as the manual directory.
    """

    def list_photographs(self, folder: Path) -> Iterator[Photograph]:
        """The rows of the sheet. The stem of a file's name before its last `_` is the person."""
        sheet = epath.Path(folder) / SHEET
        if not sheet.exists():
            raise UserError(f"{sheet} is missing; give the folder that holds it as --manual-dir")
        for row in labels.table(sheet, COLUMNS, delimiter=","):
            yield _photograph(row, epath.Path(folder))


def _photograph(row: dict[str, str], folder: epath.Path) -> Photograph:
    path = row["subDirectory_filePath"]
    stem = posixpath.splitext(path.removeprefix(PREFIX))[0]
    subject = posixpath.basename(stem).rsplit("_", 1)[0]
    return Photograph(
        id=stem,
        path=_local(path, folder),
        split=photographs.split_of(subject),
        subject=subject,
        emotion=labels.emotion(row["valence"], row["arousal"]),
        expression=labels.expression(row["expression"]),
    )


def _local(path: str, folder: epath.Path) -> str:
    """The path as it lies here: with or without the published prefix, as the published .png or re-encoded as .jpg."""
    short = path.removeprefix(PREFIX)
    forms = (path, short, posixpath.splitext(short)[0] + ".jpg")
    return next((form for form in forms if (folder / form).exists()), short)

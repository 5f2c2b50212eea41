"""Anyone's folder of images with a CSV of labels."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from avlgan_jax.data.records import AGE_GROUPS
from avlgan_jax.datasets import labels, photographs
from avlgan_jax.datasets.locating import Photograph
from avlgan_jax.errors import UserError
from avlgan_jax.faces import emotions
from avlgan_jax.faces.detectors import annotation


@dataclasses.dataclass(frozen=True)
class Options(photographs.Options):
    """Which file and columns hold the labels, and how faces are taken."""

    labels: str = "labels.csv"
    """The CSV file, relative to the manual directory."""
    path_column: str = "path"
    """Column of the image's path, relative to the manual directory."""
    valence_column: str = "valence"
    """Column of the valence, in [-1, 1]."""
    arousal_column: str = "arousal"
    """Column of the arousal, in [-1, 1]."""
    expression_column: str = "expression"
    """Column of the expression, a name or AffectNet's number; without it the nearest to the emotion is taken."""
    group_column: str = "group"
    """Column of the age group, adult or infant; without it everybody is an adult."""
    subject_column: str = "subject"
    """Column of the person; without it each image is a person of its own."""
    split_column: str = "split"
    """Column of the split; without it a hash of the person decides."""
    landmarks_column: str = "landmarks"
    """Column of 68 points x0;y0;x1;y1;... in pixels, for --landmarks annotation."""


class Builder(photographs.PhotographBuilder):
    """Your own photographs: a folder of images and a CSV of labels, its columns named by options."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Give a folder of images with a CSV of their labels as the manual directory."
    Options = Options

    def list_photographs(self, folder: Path) -> Iterator[Photograph]:
        """The rows of the CSV."""
        path = epath.Path(folder) / self.options.labels
        if not path.exists():
            raise UserError(f"{path} is missing; name the CSV of labels with --labels")
        for number, row in enumerate(labels.table(path, _required(self.options)), start=2):
            try:
                yield _photograph(row, self.options)
            except ValueError as error:
                raise UserError(f"{path}, line {number}: {error}") from None


def _required(options: Options) -> set[str]:
    """The path and the emotion must be there, and every column that was named on purpose."""
    required = {options.path_column, options.valence_column, options.arousal_column}
    for field in dataclasses.fields(Options):
        named = getattr(options, field.name)
        if field.name.endswith("_column") and named != field.default:
            required.add(named)
    if options.landmarks == annotation.NAME:
        required.add(options.landmarks_column)
    return required


def _photograph(row: dict[str, str], options: Options) -> Photograph:
    path = row[options.path_column].strip()
    subject = (row.get(options.subject_column) or "").strip() or path
    return Photograph(
        id=path,
        path=path,
        split=_one_of(photographs.SPLITS, row.get(options.split_column)) or photographs.split_of(subject),
        subject=subject,
        emotion=labels.emotion(row[options.valence_column], row[options.arousal_column]),
        expression=_expression(row.get(options.expression_column)),
        infant=_one_of(AGE_GROUPS, row.get(options.group_column)) == "infant",
        landmarks=annotation.parse(row.get(options.landmarks_column)),
    )


def _expression(text: str | None) -> int | None:
    name = (text or "").strip().lower()
    return emotions.EXPRESSIONS.index(name) if name in emotions.EXPRESSIONS else labels.expression(text)


def _one_of(names: tuple[str, ...], text: str | None) -> str | None:
    name = (text or "").strip().lower()
    if name and name not in names:
        raise ValueError(f"{name!r} is none of {', '.join(names)}")
    return name or None

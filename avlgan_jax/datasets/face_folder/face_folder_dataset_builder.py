"""A user's folder of images with a CSV of labels."""

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
    """Options of a folder of images: file and columns of the labels, landmarks and crop."""

    labels: str = "labels.csv"
    """The CSV file, relative to the manual directory."""
    path_column: str = "path"
    """Column of the image's path, relative to the manual directory."""
    valence_column: str = "valence"
    """Column of the valence, in [-1, 1]."""
    arousal_column: str = "arousal"
    """Column of the arousal, in [-1, 1]."""
    expression_column: str = "expression"
    """Column of the expression, as a name or AffectNet's index. Without it, the expression nearest to the emotion is
    used."""
    group_column: str = "group"
    """Column of the age group, adult or infant. Without it, everyone is an adult."""
    subject_column: str = "subject"
    """Column of the person's name. Without it, each image counts as a different person."""
    split_column: str = "split"
    """Column of the split (train, validation or test). Without it, a hash of the person's name selects the split."""
    landmarks_column: str = "landmarks"
    """Column of 68 points x0;y0;x1;y1;... in pixels, for --landmarks annotation."""


class Builder(photographs.PhotographBuilder):
    """Your own photographs: a folder of images and a CSV of labels, with columns named by options."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Use a folder of images with a CSV of their labels as the manual directory."
    Options = Options

    def list_photographs(self, folder: Path) -> Iterator[Photograph]:
        """Yield the images in the CSV.

        Args:
            folder: The manual directory.

        Raises:
            UserError: If the CSV is missing, lacks a column, is malformed, or has an unknown split or age group.
        """
        path = epath.Path(folder) / self.options.labels
        if not path.exists():
            raise UserError(f"{path} is missing; name the CSV of labels with --labels")
        for number, row in enumerate(labels.table(path, _required(self.options)), start=2):
            try:
                yield _photograph(row, self.options)
            except ValueError as error:
                raise UserError(f"{path}, line {number}: {error}") from None


def _required(options: Options) -> set[str]:
    """Return the columns that must exist: path, valence, arousal, and each one named by an option."""
    required = {options.path_column, options.valence_column, options.arousal_column}
    for field in dataclasses.fields(Options):
        named = getattr(options, field.name)
        if field.name.endswith("_column") and named != field.default:
            required.add(named)
    if options.landmarks == annotation.NAME:
        required.add(options.landmarks_column)
    return required


def _photograph(row: dict[str, str], options: Options) -> Photograph:
    """Return the image of one row."""
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
    """Return the index of an expression given by name or index."""
    name = (text or "").strip().lower()
    return emotions.EXPRESSIONS.index(name) if name in emotions.EXPRESSIONS else labels.expression(text)


def _one_of(names: tuple[str, ...], text: str | None) -> str | None:
    """Return the name in `text`, or None if it is empty. Raise ValueError if it is not one of `names`."""
    name = (text or "").strip().lower()
    if name and name not in names:
        raise ValueError(f"{name!r} is not one of {', '.join(names)}")
    return name or None

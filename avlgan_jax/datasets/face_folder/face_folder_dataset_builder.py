"""A user's folder of images with a CSV of labels."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds
from etils import epath

from avlgan_jax.data.records import AGE_GROUPS
from avlgan_jax.datasets import labels, paths, photographs, tables
from avlgan_jax.datasets.locating import Photograph
from avlgan_jax.errors import UserError
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
    """Column of the expression, as a word (happy, happiness, ...) or AffectNet's index. Without it, the expression
    nearest to the emotion is used."""
    age_group_column: str = "age_group"
    """Column of the age group, adult or infant. Without it, everyone is an adult."""
    subject_column: str = "subject"
    """Column of the person's name. Without it, each image counts as a different person, so that people may be shared
    between the splits."""
    split_column: str = "split"
    """Column of the split (train, validation or test). Without it, a hash of the person's name selects the split."""
    landmarks_column: str = "landmarks"
    """Column of 68 points x0;y0;x1;y1;... in pixels, for --landmarks annotation."""


# Names of the columns that are accepted besides the default of the option.
SYNONYMS = {"subject": ("person", "subject_id", "person_id"), "age_group": ("group",)}


class Builder(photographs.PhotographBuilder):
    """Your own photographs: a folder of images and a CSV of labels, with columns named by options."""

    VERSION = tfds.core.Version("2.0.0")  # the crop may reach beyond the photograph; it was shifted into it
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Use a folder of images with a CSV of their labels as the manual directory."
    Options = Options

    def list_photographs(self, folder: Path) -> Iterator[Photograph]:
        """Yield the images in the CSV, and print what it does not say: unread columns, and people in several splits.

        Args:
            folder: The manual directory.

        Raises:
            UserError: If the CSV is missing, lacks a column, is malformed, or has an unknown split, age group or
                expression.
        """
        path = epath.Path(folder) / self.options.labels
        if not path.exists():
            raise UserError(f"{path} is missing; name the CSV of labels with --labels")
        names = _names(self.options)
        table = tables.read(path, names, _required(self.options))
        table.warn_of_unread(names)
        listed = [_photograph(row, Path(folder)) for row in table.rows]
        self.notes["people"] = _people(path, table.columns, listed)
        return iter(listed)


def _names(options: Options) -> dict[str, tuple[str, ...]]:
    """Return the accepted names of each column: the one of its option, or by default also `SYNONYMS`."""
    names = {}
    for field in dataclasses.fields(Options):
        if field.name.endswith("_column"):
            column, named = field.name.removesuffix("_column"), getattr(options, field.name)
            names[column] = (named, *(SYNONYMS.get(column, ()) if named == field.default else ()))
    return names


def _required(options: Options) -> set[str]:
    """Return the columns that must exist: path, valence, arousal, and each one named by an option."""
    required = {"path", "valence", "arousal"}
    for field in dataclasses.fields(Options):
        if field.name.endswith("_column") and getattr(options, field.name) != field.default:
            required.add(field.name.removesuffix("_column"))
    if options.landmarks == annotation.NAME:
        required.add("landmarks")
    return required


def _photograph(row: tables.Row, folder: Path) -> Photograph:
    """Return the image of one row."""
    path = paths.relative(row["path"], folder)
    if not path:
        raise row.fault("path", "it is empty, expected the path of a picture")
    subject = row["subject"] or path
    expression = labels.expression(row["expression"])
    if expression == -1:
        raise row.fault("expression", f"{row['expression']!r} is neither an index nor one of {', '.join(labels.WORDS)}")
    return Photograph(
        id=path,
        path=path,
        split=row.one_of("split", photographs.SPLITS) or photographs.split_of(subject),
        subject=subject,
        emotion=row.emotion(),
        expression=expression,
        infant=row.one_of("age_group", AGE_GROUPS) == "infant",
        landmarks=annotation.parse(row["landmarks"]),
    )


def _people(path: epath.Path, columns: tuple[str, ...], listed: list[Photograph]) -> str:
    """Return for the manifest what is known of the people, and print it where a person may be in several splits."""
    if "subject" not in columns:
        people = "unknown: the table has no column subject, so a person may be in several splits"
        print(
            f"warning: {path} has no column subject: each picture counts as another person, so people may be shared "
            "between the splits, and scores on their faces are too good; add the column",
            file=sys.stderr,
        )
        return people
    unnamed = sum(photograph.subject == photograph.path for photograph in listed)
    splits: dict[str, set[str]] = {}
    for photograph in listed:
        splits.setdefault(photograph.subject, set()).add(photograph.split)
    shared = sorted(subject for subject, found in splits.items() if len(found) > 1)
    if unnamed:
        print(f"warning: {path}: {unnamed} pictures name no subject; each counts as another person", file=sys.stderr)
    if shared:
        print(
            f"warning: {path}: the column split puts {len(shared)} people into several splits, such as {shared[0]} "
            f"({', '.join(sorted(splits[shared[0]]))}); scores on their faces are too good",
            file=sys.stderr,
        )
        return f"named: {len(shared)} people are in several splits, as the table says"
    return f"named: {unnamed} pictures count as another person each" if unnamed else "named: each is in one split"

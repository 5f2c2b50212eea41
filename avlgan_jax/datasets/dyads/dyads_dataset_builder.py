"""Dyads of a parent and an infant: two videos, rated frame by frame."""

import dataclasses
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from avlgan_jax.datasets import labels, paths, photographs, tables
from avlgan_jax.datasets.locating import NO_LABEL, Photograph, Rejection
from avlgan_jax.errors import UserError
from avlgan_jax.faces import footage
from avlgan_jax.faces.detectors import annotation
from avlgan_jax.faces.emotions import AXES
from avlgan_jax.faces.footage import Footage
from avlgan_jax.faces.procedural.dyads import PERSONS

RATINGS = "ratings.csv"
FULL_SCALE = 100.0  # ratings are in [-100, 100]
DISAGREE = "annotators disagree"


@dataclasses.dataclass(frozen=True)
class Options(photographs.Options):
    """Options of the dyads: the frames to use, splits, landmarks and crop."""

    max_deviation: float = 0.2
    """Largest standard deviation of the annotators' valence, in units of [-1, 1]. The paper uses 0.2."""
    every: int = 1
    """Use one of every N rated frames, because neighbouring frames are almost identical. 1 uses all."""
    validation_dyads: str = ""
    """Names of the validation dyads, separated by commas. If this or --test-dyads is given, all other dyads are
    training data; if neither is, a hash of each name selects its split."""
    test_dyads: str = ""
    """Names of the test dyads, separated by commas."""

    def __post_init__(self):
        super().__post_init__()
        if self.max_deviation < 0.0:
            raise UserError(f"--max-deviation {self.max_deviation}: expected 0 or more")
        if self.every < 1:
            raise UserError(f"--every {self.every}: expected 1 or more")


@dataclasses.dataclass(frozen=True)
class Rating:
    """Ratings of one person in one frame, over all annotators.

    Attributes:
        valence: Mean, in [-1, 1].
        deviation: Standard deviation of the valence.
        annotators: Number of annotators who rated the valence.
        arousal: Mean, in [-1, 1], or None if the arousal was not rated.
    """

    valence: float
    deviation: float
    annotators: int
    arousal: float | None


class Builder(photographs.PhotographBuilder):
    """Your own videos of parents and infants: two aligned videos for each dyad, and ratings of their frames."""

    # 2: an arousal that was not rated is NaN, not 0. 3: the crop may reach beyond the frame.
    VERSION = tfds.core.Version("3.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Use a folder that holds one folder for each dyad, each with a {RATINGS}, as the manual directory."
    )
    Options = Options

    def features_beyond(self) -> dict[str, tfds.features.FeatureConnector]:
        """Return the features of a frame that photographs do not have."""
        return {
            "dyad": tfds.features.Text(),
            "frame": tfds.features.Scalar(np.int64),
            "phase": tfds.features.Text(),
            "valence_deviation": tfds.features.Scalar(np.float32),
            "annotators": tfds.features.Scalar(np.int64),
        }

    def list_photographs(self, folder: Path) -> Iterator[Photograph | Rejection]:
        """Yield every frame in the ratings of every dyad, or one of every `Options.every`.

        Args:
            folder: The manual directory.

        Raises:
            UserError: If there is no dyad, if a dyad has neither a video nor frames of a person, if its ratings are
                malformed, if its file of landmarks is missing or wrong, or if an option names an unknown dyad.
        """
        dyads = sorted(path.parent for path in epath.Path(folder).glob(f"*/{RATINGS}"))
        if not dyads:
            raise UserError(f"{folder} has no folder with a {RATINGS}; expected one folder for each dyad")
        splits = _splits([dyad.name for dyad in dyads], self.options)
        for dyad in dyads:
            yield from _frames(Path(dyad), splits[dyad.name], self.options)


def _splits(names: list[str], options: Options) -> dict[str, str]:
    """Return the split of each dyad by its name."""
    chosen = {}
    for split, listed in (("validation", options.validation_dyads), ("test", options.test_dyads)):
        for name in filter(None, map(str.strip, listed.split(","))):
            if name not in names:
                raise UserError(f"--{split}-dyads {name}: no such dyad; choose from {', '.join(names)}")
            chosen[name] = split
    decide = (lambda name: "train") if chosen else photographs.split_of
    return {name: chosen.get(name) or decide(name) for name in names}


def _frames(dyad: Path, split: str, options: Options) -> Iterator[Photograph | Rejection]:
    """Yield the rated frames of both people of a dyad."""
    people = footage.pair(dyad, PERSONS, read=lambda path: _film(path, dyad.parent))
    # A frame's number counts the parent's frames. The infant's film may have another rate: it is aligned in seconds.
    clock = next((people[person] for person in PERSONS if len(people[person].times)), people["parent"])
    names = {"frame": ("frame",), "phase": ("phase",)}
    table = tables.read(dyad / RATINGS, names, ["frame"])
    table.warn_of_unread(names, tuple(f"{person}_{axis}" for person in PERSONS for axis in AXES))
    rows = [(row, _number(row)) for row in table.rows]
    _warn_of_counts(dyad, people, clock, max((number for _, number in rows), default=-1))
    for person, shown in people.items():
        points = _landmarks(dyad / f"{person}_landmarks.npy") if options.landmarks == annotation.NAME else []
        track = _Track(dyad, person, split, shown, clock, points)
        for row, number in rows[:: options.every]:
            yield _frame(row, number, track, options.max_deviation)


@dataclasses.dataclass(frozen=True)
class _Track:
    """One person of a dyad: the split, the footage, the footage whose frames the ratings count, and the landmarks."""

    dyad: Path
    person: str
    split: str
    shown: Footage
    clock: Footage
    landmarks: Sequence | np.ndarray

    def own_number(self, number: int) -> int:
        """Return the number of the person's frame that is shown at a rated frame."""
        return number if self.shown is self.clock else self.shown.number_at(self.clock.time_of(number))

    def path(self, own: int) -> str:
        """Return the path of a frame's film or picture, relative to the manual directory."""
        files = self.shown.files
        file = self.shown.path if self.is_film else files[own] if own < len(files) else self.shown.path / f"frame {own}"
        return file.relative_to(self.dyad.parent).as_posix()

    @property
    def is_film(self) -> bool:
        """Whether the frames are those of a film."""
        return not self.shown.files


def _frame(row: tables.Row, number: int, track: _Track, max_deviation: float) -> Photograph | Rejection:
    """Return one rated frame of a person."""
    own = track.own_number(number)
    name, path = f"{track.dyad.name}/{track.person}/{number:06}", track.path(own)
    rating = _rating(row, track.person)
    if rating is None:
        return Rejection(name, path, NO_LABEL)
    if rating.deviation > max_deviation:
        return Rejection(name, path, DISAGREE)
    return Photograph(
        id=name,
        path=path,
        split=track.split,
        subject=f"{track.dyad.name}/{track.person}",
        emotion=(rating.valence, rating.arousal),
        infant=track.person == "infant",
        landmarks=annotation.points(track.landmarks[own]) if own < len(track.landmarks) else None,
        frame=own if track.is_film else None,
        sequence=True,
        beyond={
            "dyad": track.dyad.name,
            "frame": number,
            "phase": row["phase"],
            "valence_deviation": np.float32(rating.deviation),
            "annotators": rating.annotators,
        },
    )


def _film(path: Path, folder: Path) -> Footage:
    """Return a film; without times if it cannot be read or lies outside the folder: then its frames are rejected."""
    try:
        paths.inside(folder, path.relative_to(folder).as_posix())
        return footage.read_film(path)
    except (ValueError, UserError):
        return Footage(path, (), np.zeros(0))


def _number(row: tables.Row) -> int:
    """Return the number of a rated frame."""
    number = labels.integer(row["frame"])
    if number is None or number < 0:
        raise row.fault("frame", f"{row['frame']!r} is not an integer of 0 or more")
    return number


def _warn_of_counts(dyad: Path, people: dict[str, Footage], clock: Footage, last: int) -> None:
    """Print where a person's footage has another number of frames than the ratings.

    `last` is the number of the last rated frame, -1 for none.
    """
    if last < 0:
        return
    for person, shown in people.items():
        rated = last + 1 if shown is clock else shown.number_at(clock.time_of(last)) + 1
        if len(shown.times) and rated != len(shown.times):
            print(
                f"warning: {dyad.name}/{person} has {len(shown.times)} frames, but {RATINGS} rates up to its frame "
                f"{rated - 1} (counted from 0); do the ratings belong to this film?",
                file=sys.stderr,
            )


def _landmarks(path: Path) -> np.ndarray:
    """Return the annotated landmarks of all frames."""
    try:
        return labels.array(epath.Path(path))
    except (FileNotFoundError, ValueError) as error:
        raise UserError(
            f"{path} is missing or is not a .npy array ({type(error).__name__}); add it, or choose other --landmarks"
        ) from None


def _rating(row: tables.Row, person: str) -> Rating | None:
    """Return the ratings of one person in one frame, or None if the valence was not rated."""
    valences, arousals = (_scaled(row, f"{person}_{axis}") for axis in AXES)
    if not valences:
        return None
    return Rating(
        valence=float(np.mean(valences)),
        deviation=float(np.std(valences)),  # NaN if a rating is not a number; the label is then out of range
        annotators=len(valences),
        arousal=float(np.mean(arousals)) if arousals else None,
    )


def _scaled(row: tables.Row, prefix: str) -> list[float]:
    """Return all annotators' ratings in [-1, 1]; one out of range becomes NaN, which a mean does not hide."""
    found = (row.number(column) for column in row.cells if column.startswith(prefix))
    numbers = [number / FULL_SCALE for number in found if number is not None]
    return [number if abs(number) <= 1.0 else math.nan for number in numbers]

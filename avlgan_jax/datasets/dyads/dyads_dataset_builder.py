"""Dyads of a parent and an infant: two videos, rated frame by frame."""

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from avlgan_jax.datasets import labels, photographs
from avlgan_jax.datasets.locating import NO_LABEL, Photograph, Rejection
from avlgan_jax.errors import UserError
from avlgan_jax.faces.detectors import annotation
from avlgan_jax.faces.emotions import AXES
from avlgan_jax.faces.procedural.dyads import PERSONS

RATINGS = "ratings.csv"
FULL_SCALE = 100.0  # ratings are in [-100, 100]
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm")
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

    VERSION = tfds.core.Version("2.0.0")  # an arousal that was not rated is NaN; it was 0
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
            for person in PERSONS:
                yield from _frames(dyad, person, splits[dyad.name], self.options)


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


def _frames(dyad: epath.Path, person: str, split: str, options: Options) -> Iterator[Photograph | Rejection]:
    """Yield the rated frames of one person of a dyad."""
    video, images = _footage(dyad, person)
    points = _landmarks(dyad / f"{person}_landmarks.npy") if options.landmarks == annotation.NAME else []
    rows = labels.table(dyad / RATINGS, ["frame"], delimiter=",")
    for row in list(rows)[:: options.every]:
        number = labels.expression(row["frame"])
        if number is None or number < 0:
            raise UserError(f"{dyad / RATINGS}: the frame {row['frame']!r} is not an integer of 0 or more")
        name = f"{dyad.name}/{person}/{number:06}"
        path = video or (images[number] if number < len(images) else f"{dyad.name}/{person}/frame {number}")
        rating = _rating(row, person)
        if rating is None:
            yield Rejection(name, path, NO_LABEL)
        elif rating.deviation > options.max_deviation:
            yield Rejection(name, path, DISAGREE)
        else:
            yield Photograph(
                id=name,
                path=path,
                split=split,
                subject=f"{dyad.name}/{person}",
                emotion=(rating.valence, rating.arousal),
                infant=person == "infant",
                landmarks=annotation.points(points[number]) if number < len(points) else None,
                frame=number if video else None,
                sequence=True,
                beyond={
                    "dyad": dyad.name,
                    "frame": number,
                    "phase": (row.get("phase") or "").strip(),
                    "valence_deviation": np.float32(rating.deviation),
                    "annotators": rating.annotators,
                },
            )


def _footage(dyad: epath.Path, person: str) -> tuple[str | None, list[str]]:
    """Return the path of the video, or the paths of the frames, relative to the manual directory."""
    for extension in VIDEOS:
        if (dyad / f"{person}{extension}").exists():
            return f"{dyad.name}/{person}{extension}", []
    if not (dyad / person).exists():
        raise UserError(f"{dyad} has neither a video {person}.mp4 nor a folder {person}/ of frames; add one of them")
    return None, [f"{dyad.name}/{person}/{path.name}" for path in sorted((dyad / person).iterdir())]


def _landmarks(path: epath.Path) -> np.ndarray:
    """Return the annotated landmarks of all frames."""
    try:
        return labels.array(path)
    except (FileNotFoundError, ValueError) as error:
        raise UserError(
            f"{path} is missing or is not a .npy array ({type(error).__name__}); add it, or choose other --landmarks"
        ) from None


def _rating(row: dict[str, str], person: str) -> Rating | None:
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


def _scaled(row: dict[str, str], prefix: str) -> list[float]:
    """Return all annotators' ratings in [-1, 1]; one out of range becomes NaN, which a mean does not hide."""
    texts = [text for column, text in row.items() if column and column.startswith(prefix)]
    numbers = [number / FULL_SCALE for number in map(labels.number, texts) if number is not None]
    return [number if abs(number) <= 1.0 else math.nan for number in numbers]

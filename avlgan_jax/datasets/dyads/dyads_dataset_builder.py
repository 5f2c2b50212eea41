"""Parents and infants, filmed and rated frame by frame."""

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

PERSONS = ("parent", "infant")
RATINGS = "ratings.csv"
FULL_SCALE = 100.0  # ratings go from -100 to 100
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm")
DISAGREE = "annotators disagree"


@dataclasses.dataclass(frozen=True)
class Options(photographs.Options):
    """Which frames are taken, and how."""

    max_deviation: float = 0.2
    """Largest standard deviation of the annotators' valence, on [-1, 1]; the paper takes 0.2."""
    every: int = 1
    """Take every how many-th rated frame: neighbours are nearly the same picture."""
    validation_dyads: str = ""
    """Names of the dyads for validation, joined by commas; without any, a hash of the name decides."""
    test_dyads: str = ""
    """Names of the dyads for testing, joined by commas."""

    def __post_init__(self):
        super().__post_init__()
        if self.max_deviation < 0.0:
            raise UserError(f"--max-deviation {self.max_deviation}: expected 0 or more")
        if self.every < 1:
            raise UserError(f"--every {self.every}: expected 1 or more")


@dataclasses.dataclass(frozen=True)
class Rating:
    """What was rated of one person in one frame, on [-1, 1]; the arousal is None where nobody rated it."""

    valence: float
    deviation: float
    annotators: int
    arousal: float | None


class Builder(photographs.PhotographBuilder):
    """Your own parents and infants: two aligned videos a dyad, and ratings of each frame."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Give a folder with one folder for each dyad, each with its {RATINGS}."
    Options = Options

    def features_beyond(self) -> dict[str, tfds.features.FeatureConnector]:
        """What is known of a frame."""
        return {
            "dyad": tfds.features.Text(),
            "frame": tfds.features.Scalar(np.int64),
            "phase": tfds.features.Text(),
            "valence_deviation": tfds.features.Scalar(np.float32),
            "annotators": tfds.features.Scalar(np.int64),
            "arousal_known": tfds.features.Scalar(np.int64),
        }

    def list_photographs(self, folder: Path) -> Iterator[Photograph | Rejection]:
        """Every rated frame of every dyad."""
        dyads = sorted(path.parent for path in epath.Path(folder).glob(f"*/{RATINGS}"))
        if not dyads:
            raise UserError(f"{folder} has no folder with a {RATINGS}; each dyad is a folder of its own")
        splits = _splits([dyad.name for dyad in dyads], self.options)
        for dyad in dyads:
            for person in PERSONS:
                yield from _frames(dyad, person, splits[dyad.name], self.options)


def _splits(names: list[str], options: Options) -> dict[str, str]:
    chosen = {}
    for split, listed in (("validation", options.validation_dyads), ("test", options.test_dyads)):
        for name in filter(None, map(str.strip, listed.split(","))):
            if name not in names:
                raise UserError(f"--{split}-dyads {name}: there are {', '.join(names)}")
            chosen[name] = split
    decide = (lambda name: "train") if chosen else photographs.split_of
    return {name: chosen.get(name) or decide(name) for name in names}


def _frames(dyad: epath.Path, person: str, split: str, options: Options) -> Iterator[Photograph | Rejection]:
    video, images = _footage(dyad, person)
    points = _landmarks(dyad / f"{person}_landmarks.npy") if options.landmarks == annotation.NAME else []
    rows = labels.table(dyad / RATINGS, ["frame"], delimiter=",")
    for row in list(rows)[:: options.every]:
        number = labels.expression(row["frame"])
        if number is None or number < 0:
            raise UserError(f"{dyad / RATINGS}: {row['frame']!r} is no number of a frame")
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
                emotion=(rating.valence, rating.arousal or 0.0),
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
                    "arousal_known": int(rating.arousal is not None),
                },
            )


def _footage(dyad: epath.Path, person: str) -> tuple[str | None, list[str]]:
    """The path of the video, or those of the frames, relative to the manual directory."""
    for extension in VIDEOS:
        if (dyad / f"{person}{extension}").exists():
            return f"{dyad.name}/{person}{extension}", []
    if not (dyad / person).exists():
        raise UserError(f"{dyad} has neither a video {person}.mp4 nor a folder of frames {person}/")
    return None, [f"{dyad.name}/{person}/{path.name}" for path in sorted((dyad / person).iterdir())]


def _landmarks(path: epath.Path) -> np.ndarray:
    try:
        return labels.array(path)
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f"{path} is missing or no array of landmarks ({type(error).__name__})") from None


def _rating(row: dict[str, str], person: str) -> Rating | None:
    valences, arousals = (_scaled(row, f"{person}_{axis}") for axis in ("valence", "arousal"))
    if not valences:
        return None
    return Rating(
        valence=float(np.mean(valences)),
        deviation=float(np.std(valences)),  # NaN where a rating is no number: then the label is out of range
        annotators=len(valences),
        arousal=float(np.mean(arousals)) if arousals else None,
    )


def _scaled(row: dict[str, str], prefix: str) -> list[float]:
    """The ratings of all annotators, on [-1, 1]. One that is out of range spoils the frame, as no mean would show."""
    texts = [text for column, text in row.items() if column and column.startswith(prefix)]
    numbers = [number / FULL_SCALE for number in map(labels.number, texts) if number is not None]
    return [number if abs(number) <= 1.0 else math.nan for number in numbers]

"""Finding the face in each photograph, in parallel, nothing twice, and one reason for each that is left out."""

import contextlib
import dataclasses
import functools
import hashlib
import io
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps

from avlgan_jax.datasets import pool
from avlgan_jax.faces import detectors, emotions, video
from avlgan_jax.faces.detectors import annotation
from avlgan_jax.faces.detectors.sidecar import Found, Sidecar

UNREADABLE = "unreadable"
MISSING = "file missing"
OUTSIDE = "path outside the manual directory"
NO_LABEL = "no label"
OUT_OF_RANGE = "label out of range"
DUPLICATE = "duplicate"
# These say that the files are not what they should be; the other reasons are in the nature of photographs.
DAMAGE = (UNREADABLE, MISSING, OUTSIDE, OUT_OF_RANGE)

# More than any photograph has. A picture of a few bytes can unpack to gigabytes.
MAX_PIXELS, MAX_BYTES = 150_000_000, 200_000_000

# The box of an annotation is often drawn tight: the detector sees this share of its size more on each side.
_AROUND_BOX = 0.5


@dataclasses.dataclass(frozen=True)
class Photograph:
    """One image and what its data set says of it.

    `path` is relative to the manual directory. `emotion` is (valence, arousal), None where there is no label.
    `expression` indexes `affect.EXPRESSIONS`, None where only the emotion is known. `box` (left, top, right, bottom)
    and `landmarks` (68, 2) are in pixels of the image, where the data set has them. `frame` is the number of a frame
    where `path` is a video. Of a `sequence`, equal images are no duplicates. `beyond` are features of this data set.
    """

    id: str
    path: str
    split: str
    subject: str
    emotion: tuple[float, float] | None
    expression: int | None = None
    infant: bool = False
    box: tuple[float, float, float, float] | None = None
    landmarks: Float[np.ndarray, "68 2"] | None = None
    frame: int | None = None
    sequence: bool = False
    beyond: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Rejection:
    """Why an image is not in the records."""

    id: str
    path: str
    reason: str


Located = tuple[Photograph, Found]


def locate(
    photographs: list[Photograph], folder: Path, *, detector: str, sidecars: Path, workers: int
) -> tuple[list[Located], list[Rejection]]:
    """The landmarks of every photograph, in pixels of its image, or the one reason why it is left out.

    `detector` is a name of `detectors.CLASSES`, or "annotation" for the data set's own points. What a detector finds
    is kept in the folder `sidecars` as it comes, so a second run, or one after a crash, detects only what is left; how
    many detections that spared is printed. An image, or an id, that was accepted before is a duplicate.
    """
    accepted, rejections, seen, spared = [], [], set(), 0
    if detector != annotation.NAME:
        detectors.fetch(detector)
    look = functools.partial(locate_faces, folder=folder, detector=detector, sidecars=sidecars)
    with _open_sidecar(sidecars, detector) as sidecar:
        sights = pool.ordered_map(look, photographs, count=len(photographs), workers=workers, title="landmarks")
        for photograph, sight in zip(photographs, sights, strict=True):
            if sight.is_new:
                sidecar.put(sight.key, sight.outcome)
            spared += sight.is_cached
            outcome = sight.outcome
            image = photograph.id if photograph.sequence else sight.key
            if not isinstance(outcome, str) and not seen.isdisjoint({photograph.id, image}):
                outcome = DUPLICATE
            if isinstance(outcome, str):
                rejections.append(Rejection(photograph.id, photograph.path, outcome))
            else:
                seen.update((photograph.id, image))
                accepted.append((photograph, outcome))
    if spared:
        print(f"{spared} of {len(photographs)} detections spared: they were kept in {sidecar.path}", file=sys.stderr)
    return accepted, rejections


def open_image(photograph: Photograph, folder: Path) -> UInt8[np.ndarray, "h w 3"]:
    """The pixels of a photograph, or of a frame of a video, upright and in RGB. Raises ValueError or OSError."""
    path = inside(folder, photograph.path)
    return read_image(_read(path)) if photograph.frame is None else video.read_frame(path, photograph.frame)


def read_image(data: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """Decode a photograph, upright and in RGB. Raises ValueError when it is too large or cannot be read to its end."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:  # said by the header, before anything is unpacked
                raise ValueError(f"{width} x {height} pixels, more than {MAX_PIXELS:,}")
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Exception as error:  # Pillow's decoders raise a dozen kinds: struct.error, KeyError, zlib.error, ...
        raise ValueError(f"not a whole image: {error}") from error


def inside(folder: Path, path: str) -> Path:
    """The file of that relative path.

    Raises ValueError when the path is absolute or climbs out of the folder, or a symbolic link on its way leads out:
    neither a list of images nor an unpacked archive is trusted with other files. The folder itself may be a link.
    """
    relative = os.path.normpath(path)
    if os.path.isabs(relative) or relative.split(os.sep)[0] == os.pardir or "\0" in path:
        raise ValueError(f"{path} leads out of {folder}")
    file = folder / relative
    if not os.path.realpath(file).startswith(_real(folder) + os.sep):
        raise ValueError(f"{path} is a link that leads out of {folder}")
    return file


@functools.cache
def _real(folder: Path) -> str:
    return os.path.realpath(folder).rstrip(os.sep)


def _read(path: Path) -> bytes:
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{path} has {size:,} bytes, more than {MAX_BYTES:,}")
    return path.read_bytes()


@dataclasses.dataclass(frozen=True)
class Detection:
    """What was seen of one photograph. `key` names the image and the place looked at."""

    outcome: Found | str
    key: str = ""
    is_new: bool = False
    is_cached: bool = False


@dataclasses.dataclass(frozen=True)
class _Pending:
    """An image that must be looked at, and where in the chunk it stands."""

    index: int
    key: str
    image: np.ndarray
    box: tuple[float, float, float, float] | None


def locate_faces(photographs: list[Photograph], folder: Path, detector: str, sidecars: Path | None) -> list[Detection]:
    """Look at a few photographs. Those that are not in the sidecar are decoded and given to the detector together."""
    sights: list[Detection | None] = [None] * len(photographs)
    pending = []
    for index, photograph in enumerate(photographs):
        seen = _look_up(index, photograph, folder, detector, sidecars)
        if isinstance(seen, Detection):
            sights[index] = seen
        else:
            pending.append(seen)
    if pending:
        regions = [_region(entry.image, entry.box) for entry in pending]
        found = _detector(detector).detect([region.image for region in regions])
        for entry, region, candidates in zip(pending, regions, found, strict=True):
            outcome = _in_photograph(detectors.choose(candidates, region.box), region)
            sights[entry.index] = Detection(outcome, entry.key, is_new=True)
    return sights


def _look_up(
    index: int, photograph: Photograph, folder: Path, detector: str, sidecars: Path | None
) -> Detection | _Pending:
    """What can be said without a detector: a fault of the label or the file, or an outcome that is known."""
    if fault := _label_fault(photograph):
        return Detection(fault)
    try:
        path = inside(folder, photograph.path)
        if not path.is_file():
            return Detection(MISSING)
    except ValueError:
        return Detection(OUTSIDE)
    except OSError:  # a name that no file can have
        return Detection(MISSING)
    try:
        digest, image = _contents(path, photograph.frame)
        key = " ".join([digest, *(f"{edge:g}" for edge in photograph.box or ())])
        if detector != annotation.NAME and sidecars and (known := _reader(sidecars, detector).get(key)) is not None:
            return Detection(known, key, is_cached=True)
        image = image() if callable(image) else image
    except (OSError, ValueError):
        return Detection(UNREADABLE)
    if detector != annotation.NAME:
        return _Pending(index, key, image, photograph.box)
    points = photograph.landmarks
    return Detection(points.astype(np.float32) if detectors.is_complete(points) else detectors.INCOMPLETE, key)


def _contents(path: Path, frame: int | None) -> tuple[str, UInt8[np.ndarray, "h w 3"] | Callable[[], np.ndarray]]:
    """A hash of what is seen, and the pixels, or, of a photograph, what decodes them: known ones are not decoded."""
    if frame is None:
        data = _read(path)
        return hashlib.sha256(data).hexdigest(), lambda: read_image(data)
    image = video.read_frame(path, frame)
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest(), image


def _label_fault(photograph: Photograph) -> str | None:
    if photograph.emotion is None:
        return NO_LABEL
    if not all(math.isfinite(value) and -1.0 <= value <= 1.0 for value in photograph.emotion):
        return OUT_OF_RANGE
    if photograph.expression is not None and not 0 <= photograph.expression < len(emotions.EXPRESSIONS):
        return OUT_OF_RANGE
    return None


@dataclasses.dataclass(frozen=True)
class _Region:
    """The part of a photograph a detector is shown, its left top corner there, and the box in its own pixels."""

    image: np.ndarray
    corner: np.ndarray
    box: np.ndarray | None


def _region(image: UInt8[np.ndarray, "h w 3"], box: tuple | None) -> _Region:
    edges = None if box is None else np.array(box, np.float32)
    whole = _Region(image, np.zeros(2, np.float32), edges)
    if edges is None:
        return whole
    more = _AROUND_BOX * (edges[2:] - edges[:2])
    limit = np.array(image.shape[1::-1])
    low = np.clip(np.floor(edges[:2] - more), 0, limit).astype(int)
    high = np.clip(np.ceil(edges[2:] + more), 0, limit).astype(int)
    if (high - low < 2).any():
        return whole  # the box lies outside the image: whatever is found will not be in it
    part = image[low[1] : high[1], low[0] : high[0]]
    return _Region(part, low.astype(np.float32), edges - np.tile(low, 2).astype(np.float32))


def _in_photograph(chosen: detectors.Candidate | str, region: _Region) -> Found | str:
    if isinstance(chosen, str):
        return chosen
    points = chosen.landmarks + region.corner
    if chosen.landmarks_3d is not None:
        points = np.concatenate([points, chosen.landmarks_3d + np.append(region.corner, 0.0)], axis=1)
    return points.astype(np.float32)


def _open_sidecar(sidecars: Path, detector: str) -> contextlib.AbstractContextManager:
    if detector == annotation.NAME:
        return contextlib.nullcontext()
    return Sidecar(sidecars, detector, detectors.kind(detector).version)


@functools.cache
def _reader(sidecars: Path, detector: str) -> Sidecar:
    return _open_sidecar(sidecars, detector)


@functools.cache
def _detector(name: str) -> detectors.Detector:
    return detectors.create(name)  # once per process: loading the models takes seconds

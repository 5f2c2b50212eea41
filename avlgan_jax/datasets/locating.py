"""Landmark detection in photographs.

It runs in parallel, caches what detectors find, and gives one reason for each image that is rejected.
"""

import contextlib
import dataclasses
import functools
import hashlib
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.datasets import pool
from avlgan_jax.datasets.paths import inside
from avlgan_jax.errors import UserError
from avlgan_jax.faces import detectors, emotions, pictures, video
from avlgan_jax.faces.detectors import annotation
from avlgan_jax.faces.detectors.sidecar import Found, Sidecar

UNREADABLE = "unreadable"
MISSING = "file missing"
OUTSIDE = "path outside the manual directory"
NO_LABEL = "no label"
OUT_OF_RANGE = "label out of range"
DUPLICATE = "duplicate"
# Reasons that mean a wrong or damaged file or label. The other reasons are normal for a set of photographs.
DAMAGE = (UNREADABLE, MISSING, OUTSIDE, OUT_OF_RANGE)

# Annotated boxes are often tight, so the detector sees this fraction of the box's size in addition on each side.
_BOX_PADDING = 0.5


@dataclasses.dataclass(frozen=True)
class Photograph:
    """One image and its labels in the data set.

    Attributes:
        id: Name of the image, unique in the data set.
        path: Path of the image or video, relative to the manual directory.
        split: "train", "validation" or "test".
        subject: Name of the person.
        emotion: (valence, arousal), or None if there is no label. One of the two may be None, which is stored as NaN.
        expression: Index into `emotions.EXPRESSIONS`, or None if only the emotion is known.
        infant: Whether the person is an infant.
        box: Annotated box of the face (left, top, right, bottom), in pixels of the image, or None.
        landmarks: Annotated landmarks, in pixels of the image, or None.
        frame: Number of the frame, from 0, if `path` is a video.
        sequence: Whether the image is part of a sequence, in which identical images are not duplicates.
        beyond: Values of the features that this data set adds to the common ones.
    """

    id: str
    path: str
    split: str
    subject: str
    emotion: tuple[float | None, float | None] | None
    expression: int | None = None
    infant: bool = False
    box: tuple[float, float, float, float] | None = None
    landmarks: Float[np.ndarray, "68 2"] | None = None
    frame: int | None = None
    sequence: bool = False
    beyond: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Rejection:
    """An image that is not in the records, and the reason."""

    id: str
    path: str
    reason: str


# A photograph and its landmarks.
Located = tuple[Photograph, Found]


def locate(
    photographs: list[Photograph], folder: Path, *, detector: str, sidecars: Path, workers: int
) -> tuple[list[Located], list[Rejection]]:
    """Find the landmarks of every photograph.

    Detections are stored in the folder `sidecars` as they are made, so a later run, or one after a crash, reuses them
    and prints how many it reused. An image is a duplicate if one with the same id, or with the same content and box,
    was accepted before it.

    Args:
        photographs: The images.
        folder: The manual directory.
        detector: A detector's name as for `detectors.create`, or "annotation" for landmarks supplied with the data set.
        sidecars: Folder of the stored detections.
        workers: Number of processes.

    Returns:
        The accepted photographs with their landmarks, in pixels of the image, and the rejected ones, each with one
        reason.

    Raises:
        UserError: If the detector is unknown, one of its model files is missing or wrong, the file of stored detections
            is damaged, or a worker process is killed.
    """
    accepted, rejections, accepted_names, reused = [], [], set(), 0
    if detector != annotation.NAME:
        detectors.fetch(detector)
    detect = functools.partial(locate_faces, folder=folder, detector=detector, sidecars=sidecars)
    with _open_sidecar(sidecars, detector) as sidecar:
        detections = pool.ordered_map(detect, photographs, count=len(photographs), workers=workers, title="landmarks")
        for photograph, detection in zip(photographs, detections, strict=True):
            if detection.is_new:
                sidecar.put(detection.key, detection.outcome)
            reused += detection.is_cached
            outcome = detection.outcome
            image = photograph.id if photograph.sequence else detection.key
            if not isinstance(outcome, str) and not accepted_names.isdisjoint({photograph.id, image}):
                outcome = DUPLICATE
            if isinstance(outcome, str):
                rejections.append(Rejection(photograph.id, photograph.path, outcome))
            else:
                accepted_names.update((photograph.id, image))
                accepted.append((photograph, outcome))
    if reused:
        print(f"{reused} of {len(photographs)} detections reused from {sidecar.path}", file=sys.stderr)
    return accepted, rejections


def open_image(photograph: Photograph, folder: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Return the pixels of a photograph, or of one frame of a video, in RGB and upright.

    Args:
        photograph: The image; its labels are not used.
        folder: The manual directory.

    Raises:
        ValueError: If the path leads out of `folder`, or the frame cannot be decoded.
        UserError: If the image is too large or cannot be decoded.
        OSError: If the video cannot be opened.
    """
    path = inside(folder, photograph.path)
    return pictures.read(path).on_white() if photograph.frame is None else video.read_frame(path, photograph.frame)


@dataclasses.dataclass(frozen=True)
class Detection:
    """The outcome of landmark detection for one photograph.

    Attributes:
        outcome: The landmarks, float32 (68, 2), or (68, 5) with the 3-D ones, or the reason why there are none.
        key: Hash of the image's content, followed by the box; empty for a fault of the label or the file.
        is_new: Whether the detector produced the outcome in this call, so that it must be stored.
        is_cached: Whether the outcome was read from the stored detections.
    """

    outcome: Found | str
    key: str = ""
    is_new: bool = False
    is_cached: bool = False


@dataclasses.dataclass(frozen=True)
class _Pending:
    """An image to run the detector on, and its index in the list of photographs."""

    index: int
    key: str
    image: np.ndarray
    box: tuple[float, float, float, float] | None


def locate_faces(photographs: list[Photograph], folder: Path, detector: str, sidecars: Path | None) -> list[Detection]:
    """Find the landmarks of a few photographs, all in one call of the detector.

    The detector does not run on a photograph whose detection is stored, and an image file is then not decoded.

    Args:
        photographs: The images.
        folder: The manual directory.
        detector: A detector's name as for `detectors.create`, or "annotation" for landmarks supplied with the data set.
        sidecars: Folder of the stored detections, which is only read here; None detects every photograph.

    Returns:
        One detection for each photograph, in their order.
    """
    detections: list[Detection | None] = [None] * len(photographs)
    pending = []
    for index, photograph in enumerate(photographs):
        checked = _detection_or_pending(index, photograph, folder, detector, sidecars)
        if isinstance(checked, Detection):
            detections[index] = checked
        else:
            pending.append(checked)
    if pending:
        regions = [_region(entry.image, entry.box) for entry in pending]
        found = _detector(detector).detect([region.image for region in regions])
        for entry, region, candidates in zip(pending, regions, found, strict=True):
            outcome = _in_photograph_pixels(detectors.choose(candidates, region.box), region)
            detections[entry.index] = Detection(outcome, entry.key, is_new=True)
    return detections


def _detection_or_pending(
    index: int, photograph: Photograph, folder: Path, detector: str, sidecars: Path | None
) -> Detection | _Pending:
    """Return the outcome if it needs no detector (a fault, a stored or an annotated one), else the decoded image."""
    if fault := _label_fault(photograph):
        return Detection(fault)
    try:
        path = inside(folder, photograph.path)
        if not path.is_file():
            return Detection(MISSING)
    except ValueError:
        return Detection(OUTSIDE)
    except OSError:  # a name that is not valid for a file
        return Detection(MISSING)
    try:
        digest, image = _contents(path, photograph.frame)
        key = " ".join([digest, *(f"{edge:g}" for edge in photograph.box or ())])
        if detector != annotation.NAME and sidecars and (known := _stored(sidecars, detector).get(key)) is not None:
            return Detection(known, key, is_cached=True)
        image = image() if callable(image) else image
    except (OSError, ValueError, UserError):
        return Detection(UNREADABLE)
    if detector != annotation.NAME:
        return _Pending(index, key, image, photograph.box)
    points = photograph.landmarks
    return Detection(points.astype(np.float32) if detectors.is_complete(points) else detectors.INCOMPLETE, key)


def _contents(path: Path, frame: int | None) -> tuple[str, UInt8[np.ndarray, "h w 3"] | Callable[[], np.ndarray]]:
    """Return a hash of the content, and the pixels of a video frame or a function that decodes an image file."""
    if frame is None:
        data = pictures.read_bytes(path, str(path))
        return hashlib.sha256(data).hexdigest(), lambda: pictures.decode(data, str(path)).on_white()
    image = video.read_frame(path, frame)
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest(), image


def _label_fault(photograph: Photograph) -> str | None:
    """Return the reason to reject the photograph's label, or None if it is valid."""
    rated = [value for value in photograph.emotion or () if value is not None]
    if not rated:
        return NO_LABEL
    if not all(math.isfinite(value) and -1.0 <= value <= 1.0 for value in rated):
        return OUT_OF_RANGE
    if photograph.expression is not None and not 0 <= photograph.expression < len(emotions.EXPRESSIONS):
        return OUT_OF_RANGE
    return None


@dataclasses.dataclass(frozen=True)
class _Region:
    """The part of a photograph given to a detector, its top left corner there, and the face's box in the part."""

    image: np.ndarray
    corner: np.ndarray
    box: np.ndarray | None


def _region(image: UInt8[np.ndarray, "h w 3"], box: tuple | None) -> _Region:
    """Return the padded box as a region, or the full image if there is no box or it lies outside the image."""
    edges = None if box is None else np.array(box, np.float32)
    full = _Region(image, np.zeros(2, np.float32), edges)
    if edges is None:
        return full
    padding = _BOX_PADDING * (edges[2:] - edges[:2])
    limit = np.array(image.shape[1::-1])
    low = np.clip(np.floor(edges[:2] - padding), 0, limit).astype(int)
    high = np.clip(np.ceil(edges[2:] + padding), 0, limit).astype(int)
    if (high - low < 2).any():
        return full  # the box lies outside the image, so any face found there will be rejected
    part = image[low[1] : high[1], low[0] : high[0]]
    return _Region(part, low.astype(np.float32), edges - np.tile(low, 2).astype(np.float32))


def _in_photograph_pixels(chosen: detectors.Candidate | str, region: _Region) -> Found | str:
    """Return the landmarks of the chosen face in pixels of the photograph; a reason is returned unchanged."""
    if isinstance(chosen, str):
        return chosen
    points = chosen.landmarks + region.corner
    if chosen.landmarks_3d is not None:
        points = np.concatenate([points, chosen.landmarks_3d + np.append(region.corner, 0.0)], axis=1)
    return points.astype(np.float32)


def _open_sidecar(sidecars: Path, detector: str) -> contextlib.AbstractContextManager:
    """Open the stored detections of a detector; annotations have none."""
    if detector == annotation.NAME:
        return contextlib.nullcontext()
    return Sidecar(sidecars, detector, detectors.kind(detector).version)


@functools.cache
def _stored(sidecars: Path, detector: str) -> Sidecar:
    return _open_sidecar(sidecars, detector)


@functools.cache
def _detector(name: str) -> detectors.Detector:
    return detectors.create(name)  # cached per process: loading the models takes seconds

"""Landmark detectors with a common interface.

To add a detector, write a module with a class that implements `Detector`, and add it to `CLASSES`.
"""

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.errors import UserError

# Reasons for rejecting an image.
NO_FACE = "no face"
NONE_IN_BOX = "several faces and none in the box"
INCOMPLETE = "incomplete landmarks"

# Module and class of each detector. The modules import torch, face_alignment, dlib or LiteRT only when a
# detector is created.
CLASSES = {
    "fan": ("avlgan_jax.faces.detectors.fan", "Fan"),
    "fan3d": ("avlgan_jax.faces.detectors.fan", "Fan3d"),
    "dlib": ("avlgan_jax.faces.detectors.dlib", "Dlib"),
    "mediapipe": ("avlgan_jax.faces.detectors.mediapipe", "Mediapipe"),
}
AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A detected face.

    Landmarks and the box (left, top, right, bottom) are in pixels of the image. A higher `score` is a more confident
    detection.
    """

    landmarks: Float[np.ndarray, "68 2"]
    box: Float[np.ndarray, "4"]
    score: float
    landmarks_3d: Float[np.ndarray, "68 3"] | None = None


class Detector(Protocol):
    """A detector of all faces in an image.

    Detections are cached under (`name`, `version`): change the version when the detections change.
    """

    name: str
    version: str

    @classmethod
    def fetch(cls, option: str) -> None:
        """Check that the model files exist, and download missing files if possible.

        Args:
            option: The text after the hyphen of the detector's name, or "".

        Raises:
            UserError: If a file is missing or wrong. The message names the file and its folder.
        """
        ...

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[list[Candidate]]:
        """Return the faces of each image, possibly none. Images may differ in size."""
        ...


def kind(name: str) -> type[Detector]:
    """Return the class of a detector without loading its models.

    Args:
        name: A key of `CLASSES`, optionally with an option after a hyphen: "fan-yunet" is FAN with the face detector
            YuNet.

    Raises:
        UserError: If the name is unknown.
    """
    base = name.partition("-")[0]
    if base not in CLASSES:
        raise UserError(f"--landmarks {name}: unknown landmark detector; expected one of {', '.join(CLASSES)}")
    module, class_name = CLASSES[base]
    return getattr(importlib.import_module(module), class_name)


def for_photographs(name: str) -> str:
    """Return the name of the detector that edits photographs: `name`, or for `AUTO` the best one that is there.

    That is MediaPipe where its file is, which marks turned heads and open mouths better, and dlib elsewhere.
    """
    if name != AUTO:
        return name
    return "mediapipe" if kind("mediapipe").is_present() else "dlib"


def fetch(name: str) -> None:
    """Check or download a detector's model files. Call it once before starting worker processes.

    Raises:
        UserError: If the name or its option is unknown, or a model file is missing or wrong.
    """
    kind(name).fetch(name.partition("-")[2])


def create(name: str) -> Detector:
    """Return the detector with this name (see `kind`), with its models loaded.

    Raises:
        UserError: If the name or its option is unknown, or a model file is missing, wrong or unreadable.
    """
    found, option = kind(name), name.partition("-")[2]
    if not option:
        return found()
    found.fetch(option)  # a detector without options says so
    return found(option)


def choose(candidates: list[Candidate], box: Float[np.ndarray, "4"] | None) -> Candidate | str:
    """Return the annotated face among the detected faces, or the reason why there is none.

    Args:
        candidates: The detected faces.
        box: The annotated box (left, top, right, bottom). Of the faces whose mean landmark is in the box, the one with
            the highest intersection over union is chosen. Without a box, the face with the highest score is chosen.

    Returns:
        The face, or `NO_FACE`, `NONE_IN_BOX` or `INCOMPLETE`.
    """
    if not candidates:
        return NO_FACE
    if box is None:
        chosen = max(candidates, key=lambda candidate: candidate.score)
    else:
        inside = [candidate for candidate in candidates if _contains(box, candidate.landmarks.mean(axis=0))]
        if not inside:
            return NONE_IN_BOX if len(candidates) > 1 else NO_FACE
        chosen = max(inside, key=lambda candidate: intersection_over_union(candidate.box, box))
    return chosen if is_complete(chosen.landmarks) else INCOMPLETE


def is_complete(landmarks: Float[np.ndarray, "68 2"] | None) -> bool:
    """Return whether there are 68 finite points that extend over more than 1 pixel along both axes."""
    finite = landmarks is not None and landmarks.shape == (68, 2) and bool(np.isfinite(landmarks).all())
    return finite and bool((np.ptp(landmarks, axis=0) > 1.0).all())


def intersection_over_union(a: Float[np.ndarray, "4"], b: Float[np.ndarray, "4"]) -> float:
    """Return the intersection over union of two boxes (left, top, right, bottom), from 0 to 1."""
    size = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0.0)
    shared = float(size.prod())
    union = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - shared
    return shared / union if union > 0.0 else 0.0


def _contains(box: Float[np.ndarray, "4"], point: Float[np.ndarray, "2"]) -> bool:
    """Return whether the point is in the box (left, top, right, bottom)."""
    return bool((point >= box[:2]).all() and (point <= box[2:]).all())

"""Landmark detectors, one file each, behind one small interface.

A new detector is one file with a class that has `name`, `version` and `detect`, and one line in `CLASSES`.
"""

import dataclasses
import importlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.errors import UserError

NO_FACE = "no face"
NONE_IN_BOX = "several faces and none in the box"
INCOMPLETE = "incomplete landmarks"

# Module and class of each. The modules import torch, face_alignment or dlib only when a detector is made.
CLASSES = {
    "fan": ("avlgan_jax.faces.detectors.fan", "Fan"),
    "fan3d": ("avlgan_jax.faces.detectors.fan", "Fan3d"),
    "dlib": ("avlgan_jax.faces.detectors.dlib", "Dlib"),
}


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One face found: landmarks and box (left, top, right, bottom) in pixels of the image, and how sure it is."""

    landmarks: Float[np.ndarray, "68 2"]
    box: Float[np.ndarray, "4"]
    score: float
    landmarks_3d: Float[np.ndarray, "68 3"] | None = None


class Detector(Protocol):
    """Finds every face of an image. Results may be kept under (`name`, `version`): change one when they change."""

    name: str
    version: str

    @classmethod
    def fetch(cls, option: str) -> None:
        """Make sure that the model files are there. Raises UserError naming what is missing and where it belongs."""
        ...

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[list[Candidate]]:
        """The faces of each image, possibly none. Images may differ in size."""
        ...


def kind(name: str) -> type[Detector]:
    """The class of a detector, no model loaded. Raises UserError for an unknown name.

    A name may go on after a hyphen: "fan-yunet" is FAN after the face detector YuNet.
    """
    base = name.partition("-")[0]
    if base not in CLASSES:
        raise UserError(f"unknown landmark detector {name!r}; there are {', '.join(CLASSES)}")
    module, class_name = CLASSES[base]
    return getattr(importlib.import_module(module), class_name)


def fetch(name: str) -> None:
    """Get a detector's model files, once, before there are many processes that would each get them.

    Raises UserError for an unknown name, or where a model file is missing or is not the one it should be.
    """
    kind(name).fetch(name.partition("-")[2])


def create(name: str) -> Detector:
    """The detector of that name, with its models loaded. Raises UserError as `fetch` does."""
    option = name.partition("-")[2]
    return kind(name)(option) if option else kind(name)()


def choose(candidates: list[Candidate], box: Float[np.ndarray, "4"] | None) -> Candidate | str:
    """The face that is meant, or the reason why there is none.

    With a `box` (left, top, right, bottom) it is the face that overlaps it most, if the box holds the centre of its
    landmarks; without one, the face that is most sure.
    """
    if not candidates:
        return NO_FACE
    if box is None:
        chosen = max(candidates, key=lambda candidate: candidate.score)
    else:
        inside = [candidate for candidate in candidates if _holds(box, candidate.landmarks.mean(axis=0))]
        if not inside:
            return NONE_IN_BOX if len(candidates) > 1 else NO_FACE
        chosen = max(inside, key=lambda candidate: intersection_over_union(candidate.box, box))
    return chosen if is_complete(chosen.landmarks) else INCOMPLETE


def is_complete(landmarks: Float[np.ndarray, "68 2"] | None) -> bool:
    """Whether there are 68 finite points that spread over some area."""
    whole = landmarks is not None and landmarks.shape == (68, 2) and bool(np.isfinite(landmarks).all())
    return whole and bool((np.ptp(landmarks, axis=0) > 1.0).all())


def intersection_over_union(a: Float[np.ndarray, "4"], b: Float[np.ndarray, "4"]) -> float:
    """Overlap of two boxes (left, top, right, bottom), from 0 to 1."""
    size = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0.0)
    shared = float(size.prod())
    union = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - shared
    return shared / union if union > 0.0 else 0.0


def _holds(box: Float[np.ndarray, "4"], point: Float[np.ndarray, "2"]) -> bool:
    return bool((point >= box[:2]).all() and (point <= box[2:]).all())

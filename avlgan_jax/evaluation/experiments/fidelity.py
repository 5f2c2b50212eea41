"""What an eye that nobody trained here sees: are the landmarks where they were asked for, and is it the same person?

dlib's shape predictor finds the landmarks of a generated picture, dlib's face descriptor says how alike two people are
(0.6 is its author's limit for one person). Both are used where they are installed, and were made for photographs.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from avlgan_jax.data.records import Faces
from avlgan_jax.errors import UserError
from avlgan_jax.evaluation.trials import MODELS, Trials
from avlgan_jax.faces.detectors import dlib as predictor
from avlgan_jax.faces.landmarks import in_plane, normalised_mean_error
from avlgan_jax.models.inference import Trained

# The descriptor takes longer than all the rest of a trial, so one in forty is looked at: 250 of the paper's 10,000.
EVERY = 40

# dlib's models were trained on faces of some size; smaller pictures are enlarged to this side.
SIDE = 256

DESCRIPTOR = "dlib_face_recognition_resnet_model_v1.dat"


@dataclass(frozen=True)
class Fidelity:
    """Of k trials: NME of the landmarks found to those asked for, and the distance of the person to the input's.

    By model, and beside them "real" (the predictor on the real faces and their own landmarks: its own error) and
    "others" (each input beside another person's: what a lost identity comes to). avGAN is asked for no landmarks.
    """

    landmark_nme: dict[str, Float[np.ndarray, "k"]]
    identity: dict[str, Float[np.ndarray, "k"]]


class DlibProbe:
    """dlib's two models, loaded. Raises UserError or ModuleNotFoundError where they are not installed."""

    def __init__(self):
        import dlib

        model = predictor.checked(predictor.packaged_model())
        self._dlib = dlib
        self._predict = dlib.shape_predictor(str(model))
        self._describe = dlib.face_recognition_model_v1(str(model.with_name(DESCRIPTOR)))

    def landmarks(
        self, images: UInt8[np.ndarray, "n h w 3"], near: Float[np.ndarray, "n 68 2"]
    ) -> Float[np.ndarray, "n 68 2"]:
        """The 68 points as found in each picture, in its pixels, searched in the box of the points `near`."""
        found = []
        for image, points in zip(images, near, strict=True):
            large, scale = _enlarged(image)
            shape = self._predict(large, self._box(points * scale))
            # dlib counts from the first pixel's centre, this project from its corner.
            found.append([((point.x + 0.5) / scale, (point.y + 0.5) / scale) for point in shape.parts()])
        return np.array(found, np.float32)

    def people(
        self, images: UInt8[np.ndarray, "n h w 3"], landmarks: Float[np.ndarray, "n 68 2"]
    ) -> Float[np.ndarray, "n 128"]:
        """The descriptor of the person in each picture, whose landmarks are given in pixels."""
        described = []
        for image, points in zip(images, landmarks, strict=True):
            large, scale = _enlarged(image)
            parts = self._dlib.points([self._dlib.point(*map(int, np.round(p * scale - 0.5))) for p in points])
            face = self._dlib.full_object_detection(self._box(points * scale), parts)
            described.append(np.array(self._describe.compute_face_descriptor(large, face)))
        return np.stack(described)

    def _box(self, points: Float[np.ndarray, "68 2"]):
        left, top, right, bottom = (int(edge) for edge in (*points.min(axis=0), *points.max(axis=0)))
        return self._dlib.rectangle(left, top, right, bottom)


def measure(models: Trained, faces: Faces, trials: Trials) -> Fidelity | None:
    """Look at every EVERY-th trial; None where dlib or its models are not installed."""
    try:
        eye = DlibProbe()
    except (UserError, ModuleNotFoundError):
        return None
    sources, targets = trials.sources[::EVERY], trials.targets[::EVERY]
    images, landmarks = faces.images[sources], np.asarray(faces.landmarks[sources])
    outputs = {name: models.convert[name](images, landmarks, targets) for name in MODELS}
    # dlib knows the picture's plane only.
    landmarks, moved = in_plane(landmarks), in_plane(models.convert_landmarks(landmarks, targets))
    own = eye.people(images, landmarks)
    others = _others(np.asarray(faces.subjects)[sources])
    return Fidelity(
        landmark_nme={
            "avlandmarkgan": normalised_mean_error(eye.landmarks(outputs["avlandmarkgan"], moved), moved),
            "real": normalised_mean_error(eye.landmarks(images, landmarks), landmarks),
        },
        # Where avGAN puts the features nobody knows, so its face is cut out by the input's landmarks.
        identity={
            "avlandmarkgan": np.linalg.norm(eye.people(outputs["avlandmarkgan"], moved) - own, axis=1),
            "avgan": np.linalg.norm(eye.people(outputs["avgan"], landmarks) - own, axis=1),
            "others": np.linalg.norm(own[others] - own, axis=1),
        },
    )


def to_metrics(found: Fidelity | None) -> dict:
    """`fidelity` of `metrics.json`: the means, and of how many trials; None throughout where nothing was measured."""
    if found is None:
        return {"samples": 0, "landmark_nme": None, "identity_distance": None}
    return {
        "samples": len(found.identity["avgan"]),
        "landmark_nme": {name: float(np.mean(v, dtype=np.float64)) for name, v in found.landmark_nme.items()},
        "identity_distance": {name: float(np.mean(v)) for name, v in found.identity.items()},
    }


def _others(subjects: np.ndarray) -> np.ndarray:
    """For each row, the next row of another person (the row itself where there is nobody else)."""
    count = len(subjects)
    ahead = [np.flatnonzero(np.roll(subjects, -row) != subjects[row]) for row in range(count)]
    return np.array([(row + steps[0]) % count if len(steps) else row for row, steps in enumerate(ahead)], np.int64)


def _enlarged(image: UInt8[np.ndarray, "h w 3"]) -> tuple[UInt8[np.ndarray, "h2 w2 3"], float]:
    scale = max(SIDE / image.shape[0], 1.0)
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return np.ascontiguousarray(Image.fromarray(np.asarray(image)).resize(size, Image.Resampling.BICUBIC)), scale

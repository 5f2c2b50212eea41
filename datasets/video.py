"""Single frames of a video, decoded by the FFmpeg that comes inside OpenCV's package."""

import functools
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

# Going on from where one is costs a decoded frame each; jumping costs those from the key frame before, often 250.
_JUMP = 250


class _Film:
    """An open video that remembers which frame comes next."""

    def __init__(self, path: str):
        self._capture = cv2.VideoCapture(path)
        self._next = 0

    def frame(self, number: int) -> UInt8[np.ndarray, "h w 3"]:
        if not 0 <= number - self._next <= _JUMP:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, number)
            self._next = number
        while self._next < number and self._capture.grab():
            self._next += 1
        seen, image = self._capture.read()
        if not seen:
            raise ValueError(f"there is no frame {number}")
        self._next = number + 1
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


@functools.lru_cache(maxsize=4)
def _open(path: str) -> _Film:
    return _Film(path)


def read(path: Path, number: int) -> UInt8[np.ndarray, "h w 3"]:
    """Frame `number` (from 0) of a video, RGB. Raises ValueError when there is none or it cannot be decoded.

    Reading frames in order is quick: the video stays open in this process.
    """
    return _open(str(path)).frame(number)

"""Geometry of MediaPipe's face landmarker: windows of an image, the detector's boxes, and the turned squares of faces.

The layout of the anchors, the scales and the indices below are facts of the published model, from
`face_detector_graph.cc` and `face_landmarks_detector_graph.cc` of google-ai-edge/mediapipe (Apache-2.0). Points are
(x, y) from the top left corner, as everywhere in this project.
"""

import dataclasses
from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.faces.detectors import intersection_over_union

Image = UInt8[np.ndarray, "h w 3"]

# Side of the detector's input, and the layers of its grid: (cells per side, anchors per cell).
WINDOW = 128
LAYERS = ((16, 2), (8, 6))
# Scores below are no faces; boxes that overlap more are the same face.
THRESHOLD, OVERLAP = 0.5, 0.3
# Logits beyond are clipped before the sigmoid.
_LARGEST_LOGIT = 100.0
# Side of a face's square, in multiples of the longer side of the detected box or of the extent of the mesh.
EXPANSION = 1.5
# Keypoints of a detection, and vertices of the mesh, that give the eye line: the eye on the left of the image, then the
# other one.
KEYPOINT_EYES, MESH_EYES = (0, 1), (33, 263)

# The first window shows the image with this margin on each side, as a fraction of its longer side: the detector
# misses faces that fill the window.
MARGIN = 0.15
# Levels of windows; each halves their side. The detector finds 99 of 100 faces of a sixth of its window, so three
# levels find faces down to 4 % of the longer side of the image, and four levels down to 2 %.
LEVELS = 4
# Windows below this side, in pixels, would enlarge the image.
_SMALLEST_WINDOW = 160
# Largest distance between windows: a face smaller than WINDOW - _STRIDE lies in one of them completely. A larger one
# is about a sixth of a window of the level before, or more.
_STRIDE = 88


@dataclasses.dataclass(frozen=True)
class Detections:
    """Detected faces: boxes (left, top, right, bottom), six keypoints each, and scores from 0 to 1."""

    boxes: Float[np.ndarray, "n 4"]
    keypoints: Float[np.ndarray, "n 6 2"]
    scores: Float[np.ndarray, "n"]

    def moved(self, scale: float, shift: Float[np.ndarray, "2"]) -> "Detections":
        """Return the detections with coordinates `scale * x + shift`."""
        return Detections(self.boxes * scale + np.tile(shift, 2), self.keypoints * scale + shift, self.scores)


NOTHING = Detections(np.zeros((0, 4)), np.zeros((0, 6, 2)), np.zeros(0))


@dataclasses.dataclass(frozen=True)
class TurnedSquare:
    """A square of an image: its centre and side in pixels, and the angle in radians by which it is turned clockwise."""

    centre: Float[np.ndarray, "2"]
    side: float
    angle: float

    def to_image(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Convert fractions of the square's side, from its top left corner, to pixels of the image."""
        return (points - 0.5) * self.side @ _rotation(self.angle).T + self.centre

    def to_square(self, points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Convert pixels of the image to fractions of the square's side; the inverse of `to_image`."""
        return (points - self.centre) @ _rotation(self.angle) / self.side + 0.5

    def is_near(self, other: "TurnedSquare") -> bool:
        """Return whether both squares show a face alike: within a tenth of the side and of a radian."""
        turn = abs((self.angle - other.angle + np.pi) % (2.0 * np.pi) - np.pi)
        shift = np.linalg.norm(self.centre - other.centre) / other.side
        return bool(max(turn, shift, abs(np.log(self.side / other.side))) < 0.1)


def anchors() -> Float[np.ndarray, "896 2"]:
    """Return the centres of the detector's anchors, as fractions of the window, in the order of its outputs."""
    layers = []
    for cells, per_cell in LAYERS:
        centres = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
        layers.append(np.repeat(grid, per_cell, axis=0))
    return np.concatenate(layers).astype(np.float32)


def decode(regressors: Float[np.ndarray, "896 16"], logits: Float[np.ndarray, "896"]) -> Detections:
    """Return the detections of one window with a score of at least THRESHOLD, in pixels of the window.

    Args:
        regressors: For each anchor: centre x, centre y, width and height of the box, and x and y of six keypoints, in
            pixels of the window relative to the anchor.
        logits: The logit of each anchor's score.
    """
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float64), -_LARGEST_LOGIT, _LARGEST_LOGIT)))
    kept = scores >= THRESHOLD
    origin = anchors()[kept] * WINDOW
    numbers = regressors[kept]
    centre, half = numbers[:, :2] + origin, numbers[:, 2:4] / 2.0
    keypoints = numbers[:, 4:].reshape(-1, 6, 2) + origin[:, None]
    return Detections(np.concatenate([centre - half, centre + half], axis=1), keypoints, scores[kept])


def suppress(found: Detections) -> Detections:
    """Return one detection per face: of those that overlap the best one, the mean weighted by score.

    The detections are in order of decreasing score. Each has the score of the best one it was made of.
    """
    left = list(np.argsort(-found.scores, kind="stable"))
    boxes, keypoints, scores = [], [], []
    while left:
        best = left[0]
        same = [i for i in left if i == best or intersection_over_union(found.boxes[i], found.boxes[best]) > OVERLAP]
        weights = found.scores[same] / found.scores[same].sum()
        boxes.append(weights @ found.boxes[same])
        keypoints.append(np.tensordot(weights, found.keypoints[same], 1))
        scores.append(found.scores[best])
        left = [i for i in left if i not in same]
    return Detections(np.reshape(boxes, (-1, 4)), np.reshape(keypoints, (-1, 6, 2)), np.array(scores))


def join(parts: list[Detections]) -> Detections:
    """Return the detections of several windows as one, in the same coordinates."""
    return Detections(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.keypoints for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def windows(image: Image, level: int) -> Iterator[tuple[UInt8[np.ndarray, "128 128 3"], float, Float[np.ndarray, "2"]]]:
    """Yield the windows of one level in which the detector looks for faces.

    Level 0 is the complete image with a margin. The windows of each further level have half the side of the last
    level's and overlap, as long as they are not too small. The parts beyond the image are black.

    Args:
        image: The image.
        level: From 0 to LEVELS - 1.

    Yields:
        A window, and the scale and the shift that convert its pixels to pixels of the image.
    """
    longest = max(image.shape[:2])
    side = longest / 2.0**level if level else longest * (1.0 + 2.0 * MARGIN)
    if level and side < _SMALLEST_WINDOW:
        return
    scale = side / WINDOW
    size = [max(1, round(length / scale)) for length in image.shape[1::-1]]
    reduced = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale > 1.0 else cv2.INTER_LINEAR)
    for top in _starts(size[1]):
        for left in _starts(size[0]):
            yield _window(reduced, left, top), scale, np.array([left, top]) * scale


def _starts(length: int) -> list[int]:
    """Return where windows start along one side of an image: centred if it fits into one, else from end to end."""
    if length <= WINDOW:
        return [(length - WINDOW) // 2]
    count = -(-(length - WINDOW) // _STRIDE) + 1
    return [round(start) for start in np.linspace(0, length - WINDOW, count)]


def _window(image: Image, left: int, top: int) -> UInt8[np.ndarray, "128 128 3"]:
    """Return the window with this top left corner, black beyond the image."""
    window = np.zeros((WINDOW, WINDOW, 3), np.uint8)
    inner = image[max(top, 0) : top + WINDOW, max(left, 0) : left + WINDOW]
    window[max(-top, 0) :, max(-left, 0) :][: inner.shape[0], : inner.shape[1]] = inner
    return window


def square_of_box(box: Float[np.ndarray, "4"], keypoints: Float[np.ndarray, "6 2"]) -> TurnedSquare:
    """Return the square of a detected face, turned so that its eyes are level."""
    side = EXPANSION * float((box[2:] - box[:2]).max())
    return TurnedSquare((box[:2] + box[2:]) / 2.0, side, _eye_angle(keypoints[list(KEYPOINT_EYES)]))


def square_of_mesh(mesh: Float[np.ndarray, "478 d"]) -> TurnedSquare:
    """Return the square around a mesh in pixels of the image, turned so that its eyes are level."""
    angle = _eye_angle(mesh[list(MESH_EYES), :2])
    level = mesh[:, :2] @ _rotation(angle)
    low, high = level.min(axis=0), level.max(axis=0)
    return TurnedSquare((low + high) / 2.0 @ _rotation(angle).T, EXPANSION * float((high - low).max()), angle)


def cut(image: Image, square: TurnedSquare, size: int) -> UInt8[np.ndarray, "s s 3"]:
    """Return the square as an upright picture of `size` pixels, without aliasing; beyond the image its edge goes on."""
    shrink = min(1.0, size / square.side)
    corners = square.to_image(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    limit = np.array(image.shape[1::-1])
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, limit - 1)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int), low + 1, limit)
    part = image[low[1] : high[1], low[0] : high[0]]
    reduced = part
    if shrink < 1.0:
        new = [max(1, round(length * shrink)) for length in part.shape[1::-1]]
        reduced = cv2.resize(part, new, interpolation=cv2.INTER_AREA)
    scale = np.array(reduced.shape[1::-1]) / np.array(part.shape[1::-1])
    # The matrix converts pixel centres of the result to pixel centres of the reduced part.
    linear = scale[:, None] * _rotation(square.angle) * (square.side / size)
    first = scale * (square.to_image(np.full(2, 0.5 / size)) - low) - 0.5
    matrix = np.column_stack([linear, first])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(reduced, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _eye_angle(eyes: Float[np.ndarray, "2 2"]) -> float:
    """Return the angle of the line between the eyes in radians; clockwise in the image is positive."""
    across, down = eyes[1] - eyes[0]
    return float(np.arctan2(down, across))


def _rotation(angle: float) -> Float[np.ndarray, "2 2"]:
    """Return the matrix that turns column vectors (x, y) clockwise in the image."""
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

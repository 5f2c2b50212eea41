"""A person's own photograph: read upright, its faces found and cut as for training, and edited faces laid back in.

    photo = photograph.read(Path("me.jpg"))
    face = photograph.faces(photo, detectors.create("dlib"), model.resolution, "me.jpg")[0]
    smiling = model.edit(face.image, 0.7, 0.3, face.landmarks)
    photo = photograph.blend(photo, face, smiling)

A drawn face may stand for a photograph: its name is `procedural:SEED`, or `procedural-infant:SEED`.
"""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from avlgan_jax.errors import UserError, one_line
from avlgan_jax.faces import crop
from avlgan_jax.faces.crop import CropSquare
from avlgan_jax.faces.detectors import Candidate, Detector, is_complete

Photo = UInt8[np.ndarray, "height width 3"]
# Larger pictures are refused: a few kilobytes can unpack to any number of pixels.
MEGAPIXELS = 60
# Ways to turn a photograph in which no face stands upright: quarters counter-clockwise, and their name.
_WAYS = ((1, "counter-clockwise"), (2, "upside down"), (3, "clockwise"))
# The blend is whole within this share of the square's half side, and fades to nothing at its edge.
_WHOLE = 0.72


@dataclass(frozen=True)
class FaceCrop:
    """A face of a photograph as the networks see it: cut out and resized, with landmarks in pixels of the cut."""

    image: UInt8[np.ndarray, "r r 3"]
    landmarks: Float[np.ndarray, "68 d"]
    square: CropSquare


def read(path: Path) -> Photo:
    """A picture file as RGB pixels, upright as its EXIF data say. Raises UserError when it is none, or too large."""
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; expected a photograph, or procedural:SEED") from error


def decode(content: bytes, name: str) -> Photo:
    """The bytes of a picture file as `read` gives them; `name` is what errors call it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # sizes are bounded here
            picture = Image.open(io.BytesIO(content))
            if picture.width * picture.height > MEGAPIXELS * 1e6:
                raise UserError(
                    f"{name} has {picture.width} x {picture.height} pixels, over {MEGAPIXELS} million; make it smaller"
                )
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise UserError(f"{name} is no picture that can be read ({one_line(error)[:120]}); try JPEG or PNG") from error


def uncropped_face(photo: Photo, landmarks: Float[np.ndarray, "68 d"], resolution: int) -> FaceCrop:
    """The face of a picture that is a face already (a drawn one): all of its square, not cut closer."""
    square = CropSquare(0.0, 0.0, float(photo.shape[0]))
    return FaceCrop(crop.crop_square(photo, square, resolution), square.to_crop(landmarks, resolution), square)


def faces(photo: Photo, detector: Detector, resolution: int, name: str, dimensions: int = 2) -> list[FaceCrop]:
    """The faces of a photograph from left to right, cut as for training, with landmarks of 2 or 3 `dimensions`.

    Raises UserError where there is none; if there is one when the photograph is turned, it says how. Also where 3-D
    landmarks are asked of a detector that has none.
    """
    found = _complete(detector, photo)
    if not found:
        turned = {way: _complete(detector, np.ascontiguousarray(np.rot90(photo, turns))) for turns, way in _WAYS}
        surest = max(_WAYS, key=lambda way: max((face.score for face in turned[way[1]]), default=-np.inf))[1]
        if turned[surest]:
            raise UserError(f"{name}: no upright face, but one when it is turned {surest}; turn it and try again")
        height, width = photo.shape[:2]
        raise UserError(
            f"{name} ({width} x {height} pixels): {detector.name} finds no face in it; try a larger or more frontal one"
        )
    return [_crop_face(photo, candidate, detector.name, resolution, dimensions) for candidate in found]


def _crop_face(photo: Photo, found: Candidate, detector: str, resolution: int, dimensions: int) -> FaceCrop:
    # The square is that of training (`datasets`): around the 2-D landmarks, whichever the networks see.
    square = crop.square_around(found.landmarks, photo.shape)
    landmarks = found.landmarks_3d if dimensions == 3 else found.landmarks
    if landmarks is None:
        raise UserError(f"these weights need 3-D landmarks, which {detector} does not find; use --landmarks fan3d")
    return FaceCrop(crop.crop_square(photo, square, resolution), square.to_crop(landmarks, resolution), square)


def _complete(detector: Detector, photo: Photo) -> list[Candidate]:
    (candidates,) = detector.detect([photo])
    limit = np.array(photo.shape[1::-1])
    kept = []
    for candidate in candidates:
        centre = candidate.landmarks.mean(axis=0)
        if is_complete(candidate.landmarks) and (centre >= 0.0).all() and (centre < limit).all():
            kept.append(candidate)
    # Beside a clear face the doubtful ones are badges and curtains: a photograph of an astronaut has a face of 1.12 and
    # a badge of 0.37 by dlib's scores. FAN's finders score from 0 to 1, so that theirs all stay.
    best = max((candidate.score for candidate in kept), default=0.0)
    clear = [candidate for candidate in kept if candidate.score >= (0.5 * best if best > 0.0 else best)]
    return sorted(clear, key=lambda candidate: float(candidate.landmarks[:, 0].mean()))


def blend(photo: Photo, face: FaceCrop, edited: UInt8[np.ndarray, "r r 3"]) -> Photo:
    """The photograph with what the networks changed added to it.

    Only the difference of `edited` to `face.image` is enlarged, so the photograph keeps its sharpness, and colours that
    the networks left alone are left alone; towards the edge of the square it fades to nothing, so there is no seam.
    """
    square, (height, width) = face.square, photo.shape[:2]
    resolution = len(edited)
    low = np.floor([square.left, square.top]).astype(int).clip(0)
    high = np.minimum(np.ceil([square.left + square.side, square.top + square.side]).astype(int), [width, height])
    # Where each pixel of the photograph lies in the cut, counted from its corner; OpenCV counts from pixel centres.
    x, y = (
        (np.arange(low[axis], high[axis]) + 0.5 - offset) * (resolution / square.side)
        for axis, offset in ((0, square.left), (1, square.top))
    )
    places = np.meshgrid(x.astype(np.float32) - 0.5, y.astype(np.float32) - 0.5)
    difference = edited.astype(np.float32) - face.image
    enlarged = cv2.remap(difference, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    weight = _fade(y / resolution)[:, None] * _fade(x / resolution)
    region = (slice(low[1], high[1]), slice(low[0], high[0]))
    output = photo.copy()
    output[region] = np.rint((photo[region] + weight[..., None] * enlarged).clip(0.0, 255.0))
    return output


def _fade(place: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """1 in the middle, smoothly to 0 at both ends of [0, 1]."""
    rise = ((1.0 - np.abs(2.0 * place - 1.0)) / (1.0 - _WHOLE)).clip(0.0, 1.0)
    return rise * rise * (3.0 - 2.0 * rise)

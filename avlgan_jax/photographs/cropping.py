"""Faces of photographs: found and cropped as for training. `blending` puts edited ones back.

    photo = pictures.read(Path("me.jpg")).pixels
    face = cropping.faces(photo, detectors.create("dlib"), model.resolution, "me.jpg")[0]
    smiling = model.edit_with_landmarks(face.image, 0.7, 0.3, face.landmarks, photographed=True)
    photo = model.blend(photo, face, smiling)

Drawn faces, named `procedural:SEED` or `procedural-infant:SEED`, need no detector: see `uncropped_face`.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop
from avlgan_jax.faces.crop import CropSquare
from avlgan_jax.faces.detectors import Candidate, Detector, is_complete
from avlgan_jax.faces.landmarks import in_plane
from avlgan_jax.photographs import lighting

Photo = UInt8[np.ndarray, "height width 3"]
# Rotations to try on a photograph without an upright face: quarter turns counter-clockwise, and their name.
_ROTATIONS = ((1, "90 degrees counter-clockwise"), (2, "180 degrees"), (3, "90 degrees clockwise"))


@dataclass(frozen=True)
class FaceCrop:
    """Face of a photograph as input of the networks.

    `square` is the cropped part of the photograph, `image` is the crop resized to r x r pixels, and `landmarks` are in
    pixels of `image`.
    """

    image: UInt8[np.ndarray, "r r 3"]
    landmarks: Float[np.ndarray, "68 d"]
    square: CropSquare
    infant: bool = False
    """Whether a mouth that opens shows gums, not teeth."""
    light: Float[np.ndarray, "3"] | None = None
    """The light on the face (`lighting.light`), for instance of earlier frames; None for that of the photograph."""

    def light_on(self, photo: Photo) -> Float[np.ndarray, "3"]:
        """Return the light on the face: `light`, or that of the photograph."""
        if self.light is not None:
            return self.light
        return lighting.light(photo, self.square.to_photograph(in_plane(self.landmarks), len(self.image)))


def uncropped_face(
    photo: Photo, landmarks: Float[np.ndarray, "68 d"], resolution: int, infant: bool = False
) -> FaceCrop:
    """Return the face of a square picture that contains only a face, such as a drawn one: resized, not cropped.

    Args:
        photo: the picture.
        landmarks: in pixels of `photo`.
        resolution: side in pixels of the networks' images.
        infant: whether it is an infant's.
    """
    square = CropSquare(0.0, 0.0, float(photo.shape[0]))
    return FaceCrop(crop.crop_square(photo, square, resolution), square.to_crop(landmarks, resolution), square, infant)


def faces(
    photo: Photo, detector: Detector, resolution: int, name: str, dimensions: int = 2, infants: bool = False
) -> list[FaceCrop]:
    """Detect the faces of a photograph and crop them as for training.

    Args:
        photo: the photograph, upright.
        detector: landmark detector.
        resolution: side in pixels of the crops.
        name: name of the photograph in error messages.
        dimensions: number of coordinates of the landmarks, 2 or 3.
        infants: whether they are infants, whose mouths have no teeth.

    Returns:
        The faces, ordered from left to right.

    Raises:
        UserError: there is no face (the message gives the rotation if a rotated copy has one), or `dimensions` is 3 and
            the detector has no 3-D landmarks.
    """
    found = _complete(detector, photo)
    if not found:
        rotated = {angle: _complete(detector, np.ascontiguousarray(np.rot90(photo, k))) for k, angle in _ROTATIONS}
        best = max(rotated, key=lambda angle: max((face.score for face in rotated[angle]), default=-np.inf))
        if rotated[best]:
            raise UserError(
                f"{name}: no upright face, but a face after rotation by {best}; rotate the photograph first"
            )
        height, width = photo.shape[:2]
        raise UserError(
            f"{name} ({width} x {height} pixels): {detector.name} found no face; try a larger or more frontal face"
        )
    cropped = (_crop_face(photo, candidate, detector.name, resolution, dimensions) for candidate in found)
    return [dataclasses.replace(face, infant=infants) for face in cropped]


def _crop_face(photo: Photo, found: Candidate, detector: str, resolution: int, dimensions: int) -> FaceCrop:
    """Crop a detected face; raise UserError if it lacks the 3-D landmarks that `dimensions` requires."""
    # The square is around the 2-D landmarks even for 3-D weights, as in the training data (`avlgan_jax.datasets`).
    square = crop.square_around(found.landmarks, photo.shape)
    landmarks = found.landmarks_3d if dimensions == 3 else found.landmarks
    if landmarks is None:
        raise UserError(f"these weights need 3-D landmarks, which {detector} does not detect; use --landmarks fan3d")
    return FaceCrop(crop.crop_square(photo, square, resolution), square.to_crop(landmarks, resolution), square)


def _complete(detector: Detector, photo: Photo) -> list[Candidate]:
    """Detect faces with complete landmarks inside the photograph, from left to right, without doubtful ones."""
    (candidates,) = detector.detect([photo])
    limit = np.array(photo.shape[1::-1])
    kept = []
    for candidate in candidates:
        centre = candidate.landmarks.mean(axis=0)
        if is_complete(candidate.landmarks) and (centre >= 0.0).all() and (centre < limit).all():
            kept.append(candidate)
    # Where one face is clear, candidates with less than half of its score are objects such as badges and curtains: in a
    # photograph of an astronaut dlib scores the face 1.12 and a badge 0.37. SFD, the face detector of FAN, returns only
    # faces with scores from 0.5 to 1, which all pass.
    best = max((candidate.score for candidate in kept), default=0.0)
    clear = [candidate for candidate in kept if candidate.score >= (0.5 * best if best > 0.0 else best)]
    return sorted(clear, key=lambda candidate: float(candidate.landmarks[:, 0].mean()))


def portrait(photo: Photo, face: FaceCrop, side: int) -> tuple[Photo, FaceCrop]:
    """Return the square of a face, cut out and resized to `side` pixels, and the face in this picture."""
    picture, square = crop.crop_square(photo, face.square, side), CropSquare(0.0, 0.0, float(side))
    return picture, dataclasses.replace(face, square=square, light=face.light_on(photo))

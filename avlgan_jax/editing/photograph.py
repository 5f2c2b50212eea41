"""Photographs: cropping their faces as for training, and blending edited faces back in.

    photo = pictures.read(Path("me.jpg")).pixels
    face = photograph.faces(photo, detectors.create("dlib"), model.resolution, "me.jpg")[0]
    smiling = model.edit_with_landmarks(face.image, 0.7, 0.3, face.landmarks)
    photo = model.blend(photo, face, smiling)

Drawn faces, named `procedural:SEED` or `procedural-infant:SEED`, need no detector: see `uncropped_face`.
"""

import dataclasses
import functools
from dataclasses import dataclass

import cv2
import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from avlgan_jax.editing import brows, closing_eyes, furrows, opened_mouth
from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop, openings, warp
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.crop import CropSquare
from avlgan_jax.faces.detectors import Candidate, Detector, is_complete
from avlgan_jax.faces.landmarks import in_plane

Photo = UInt8[np.ndarray, "height width 3"]
# Rotations to try on a photograph without an upright face: quarter turns counter-clockwise, and their name.
_ROTATIONS = ((1, "90 degrees counter-clockwise"), (2, "180 degrees"), (3, "90 degrees clockwise"))
# Blending has full weight within this fraction of the square's half side, and fades to 0 at the edge of the square.
_FULL_WEIGHT = 0.72
# Points along each side of the crop at which the flow is computed.
_FLOW_GRID = 96
# How much of the painted colour is kept where the photograph's own pixels are moved; the rest of it is brightness. The
# networks may never have seen a photograph: an iris then gets coloured specks, a mouth a colour of its own.
_COLOUR_OF_MOUTH, _COLOUR_OF_EYES = 0.5, 0.0
# What is painted on a photograph falls to 0 at these distances outside lips and lids (`openings.features`).
_EDGE = (0.0, 0.08)
_BRIGHTNESS = np.array([0.299, 0.587, 0.114], np.float32)


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
    """The light on the face (`opened_mouth.light`), for instance of earlier frames; None for that of the photograph."""

    def light_on(self, photo: Photo) -> Float[np.ndarray, "3"]:
        """Return the light on the face: `light`, or that of the photograph, or full light where its eyes are closed."""
        if self.light is not None:
            return self.light
        found = opened_mouth.light(photo, self.square.to_photograph(in_plane(self.landmarks), len(self.image)))
        return np.ones(3, np.float32) if found is None else found


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


def blend(
    photo: Photo,
    face: FaceCrop,
    edited: UInt8[np.ndarray, "r r 3"],
    moved: Float[np.ndarray, "68 d"] | None = None,
) -> Photo:
    """Return a copy of the photograph in which a face is edited.

    With `moved`, the photograph's own pixels are moved with the landmarks, at their own size. What the networks painted
    is enlarged and added in the mouth and in the eyes. The inside of a mouth that opens is drawn (`opened_mouth`),
    lowered brows stop above the lids (`brows`), and furrows are shaded between those that come together (`furrows`).
    Without `moved`, all that the networks changed is enlarged and added. Either way the photograph keeps its sharpness
    and grain, and its pixels to the bit where nothing changed. What is added fades to 0 towards the edge of the square,
    which avoids a visible seam.

    Args:
        photo: the photograph.
        face: one of its faces.
        edited: the output of the networks for `face.image`.
        moved: the converted landmarks in pixels of the crop, if the image converter warps (`warped` in its config).
    """
    square, (height, width), resolution = face.square, photo.shape[:2], len(edited)
    low = np.floor([square.left, square.top]).astype(int).clip(0)
    high = np.minimum(np.ceil([square.left + square.side, square.top + square.side]).astype(int), [width, height])
    # Position of each photograph pixel in the crop, as a fraction of its side.
    x, y = (
        ((np.arange(low[axis], high[axis]) + 0.5 - offset) / square.side).astype(np.float32)
        for axis, offset in ((0, square.left), (1, square.top))
    )
    places = tuple(np.meshgrid(x, y))
    shown, source = photo[low[1] : high[1], low[0] : high[0]].astype(np.float32), face.image.astype(np.float32)
    weight = (_fade(y)[:, None] * _fade(x))[..., None]
    if moved is None:
        added = _enlarged(edited - source, places, cv2.INTER_CUBIC)
    else:
        moved = brows.above_lids(face.landmarks, moved)
        geometry = _geometry(resolution)(*(lm.normalise(points, resolution) for points in (face.landmarks, moved)))
        fine_flow, flow, mouth, eyes = (np.asarray(part) for part in geometry)
        original, displacement = shown, _enlarged(fine_flow, places) * square.side
        shown = _moved(original, displacement)
        source = _moved(source, flow * resolution)
        painted = _enlarged(edited - source, places, cv2.INTER_CUBIC)
        mouth, eyes = (_enlarged(part, places)[..., None] for part in (mouth, eyes))
        # `closing_eyes` draws an eye that closes; nothing painted is added to it.
        eyes = (1.0 - closing_eyes.closed(*map(in_plane, (face.landmarks, moved))).mean()) * (1.0 - mouth) * eyes
        colour = _COLOUR_OF_MOUTH * mouth + _COLOUR_OF_EYES * eyes
        added = colour * painted + (mouth + eyes - colour) * cv2.transform(painted, _BRIGHTNESS[None])[..., None]
    output = photo.copy()
    shown += weight * added
    if moved is not None:
        # In pixels of the part of the photograph that is shown.
        before, after = (square.to_photograph(in_plane(p), resolution) - low for p in (face.landmarks, moved))
        closing_eyes.draw(shown, original, displacement, before, after)
        opened_mouth.draw(shown, before, after, face.light_on(photo), face.infant)
        furrows.draw(shown, before, after, face.infant)
    output[low[1] : high[1], low[0] : high[0]] = np.rint(shown.clip(0.0, 255.0))
    return output


@functools.cache
def _geometry(resolution: int):
    """Return the compiled function of two sets of landmarks that `blend` needs.

    (source, target in [-1, 1]) -> displacement (g, g, 2) of the photograph (`fine`) on a grid over the crop, that of
    the networks' input at each of its pixels, both in sides of the crop, and mouth and eyes (g, g) on the grid. All are
    smooth: a grid holds them, and values between are interpolated.
    """

    def geometry(source: Float[Array, "68 d"], target: Float[Array, "68 d"]):
        points, pixels = (warp.pixel_centres(side, side) for side in (_FLOW_GRID, resolution))
        fine_flow = warp.displacement(warp.fit(source, target, fine=True), points)
        flow = warp.displacement(warp.fit(source, target), pixels)
        mouth, eyes = (
            openings.features(source, target, points, rings, _EDGE) for rings in (openings.MOUTH, openings.EYES)
        )
        grid = (_FLOW_GRID, _FLOW_GRID)
        sides = (fine_flow.reshape(*grid, 2) / 2.0, flow.reshape(resolution, resolution, 2) / 2.0)
        return *sides, mouth.reshape(grid), eyes.reshape(grid)

    return jax.jit(geometry)


def _moved(image: Float[np.ndarray, "h w 3"], displacement: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h w 3"]:
    """Return the image at each pixel plus its displacement in pixels; where that is 0, to the bit."""
    columns, rows = np.meshgrid(*(np.arange(size, dtype=np.float32) for size in image.shape[1::-1]))
    across, down = columns + displacement[..., 0], rows + displacement[..., 1]
    return cv2.remap(image, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _enlarged(
    values: Float[np.ndarray, "g g c"], places: tuple, interpolation: int = cv2.INTER_LINEAR
) -> Float[np.ndarray, "h w c"]:
    """Return values over the crop at places (x, y), each a fraction of the side. OpenCV counts from pixel centres."""
    at = (place * len(values) - 0.5 for place in places)
    return cv2.remap(values.astype(np.float32), *at, interpolation, borderMode=cv2.BORDER_REPLICATE)


def _fade(place: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Return blending weights: 1 in the middle of [0, 1], falling smoothly to 0 at both ends."""
    rise = ((1.0 - np.abs(2.0 * place - 1.0)) / (1.0 - _FULL_WEIGHT)).clip(0.0, 1.0)
    return rise * rise * (3.0 - 2.0 * rise)

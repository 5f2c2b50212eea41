"""Rendering of a face at an emotion: the picture and its landmarks."""

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.faces.procedural import anatomy, camera, eyes, folds, hair, light, mouth, muscles, scene, skin
from avlgan_jax.faces.procedural.expression import action_units
from avlgan_jax.faces.procedural.identity import Face

RESOLUTION_RANGE = (32, 256)  # smallest and largest side of a picture in pixels


class Rendering(NamedTuple):
    """The picture and the landmarks of a drawn face."""

    image: UInt8[np.ndarray, "h w 3"]
    landmarks: Float[np.ndarray, "68 2"]  # (x, y) in pixels of the picture
    landmarks_3d: Float[np.ndarray, "68 3"]  # (x, y, z) in pixels, z toward the viewer


def _oversampling(resolution: int) -> int:
    """Return the canvas pixels per picture pixel along each axis. Small pictures need more to resolve the eyes."""
    return 4 if resolution < 40 else 3 if resolution < 60 else 2


def render(face: Face, valence: float, arousal: float, resolution: int = 128) -> Rendering:
    """Draw a face at an emotion. The same arguments give the same bytes.

    Renderings of one face at two emotions differ only in the expression: pose, light, background and camera noise
    belong to the face. A rendering at the target emotion is therefore the ground truth of an edit.

    Args:
        face: the person and the conditions of the photograph.
        valence: in [-1, 1].
        arousal: in [-1, 1].
        resolution: side of the square picture in pixels, 32 to 256.

    Raises:
        ValueError: the resolution or the emotion is out of range.
    """
    if not RESOLUTION_RANGE[0] <= resolution <= RESOLUTION_RANGE[1]:
        raise ValueError(f"resolution {resolution}: expected {RESOLUTION_RANGE[0]} to {RESOLUTION_RANGE[1]}")
    if not (-1.0 <= valence <= 1.0 and -1.0 <= arousal <= 1.0):
        raise ValueError(f"emotion ({valence}, {arousal}): expected valence and arousal in [-1, 1]")
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return _draw(face, float(valence), float(arousal), resolution)
    finally:
        cv2.setNumThreads(threads)


def landmarks(face: Face, valence: float, arousal: float, resolution: int) -> Float[np.ndarray, "68 3"]:
    """Return the 3-D landmarks that `render` gives, without drawing the face.

    Args:
        face: the person and the conditions of the photograph.
        valence: in [-1, 1].
        arousal: in [-1, 1].
        resolution: side of the picture in pixels.
    """
    size = resolution * _oversampling(resolution)
    projected = _pose(face, float(valence), float(arousal), size)[-1]
    return (projected * np.float32(resolution / size)).astype(np.float32)


def _pose(face: Face, valence: float, arousal: float, size: int) -> tuple:
    """Return the head at rest, its camera, the action units, the moved head and its projection to a canvas."""
    rest = anatomy.rest(face.identity)
    view = camera.frame(rest, face.shot, face.infant, size)
    units = muscles.show(action_units(valence, arousal, face.infant), face.identity)
    moved = muscles.move(rest, units, face.infant)
    return rest, view, units, moved, view.project(moved)


def _draw(face: Face, valence: float, arousal: float, resolution: int) -> Rendering:
    """Paint the canvas from back to front and photograph it."""
    size = resolution * _oversampling(resolution)
    rest, view, units, moved, projected = _pose(face, valence, arousal, size)
    canvas = scene.background(face, size)
    sheet = scene.Sheet(canvas, face, rest, view, units, moved, projected[:, :2], view.rotation[:2, :2] * view.scale)

    hair.paint_back(sheet)
    scene.paint_body(sheet)
    ears = scene.paint_ears(sheet)
    cover = np.maximum(ears, skin.paint_skin(sheet))
    folds.paint_folds(sheet)
    skin.paint_nose(sheet)
    eyes.paint_eyes(sheet)
    eyes.paint_brows(sheet)
    mouth.paint_mouth(sheet)
    lighting = light.shine(face, view, moved, units, size)
    canvas *= 1.0 + cover * (lighting.factor - 1.0)
    canvas += cover * lighting.gloss * (1.0 - 0.5 * canvas)
    skin.paint_tears(sheet)
    hair.paint_front(sheet)

    image = _photograph(face, canvas, resolution)
    scale = np.float32(resolution / size)
    return Rendering(image, (projected[:, :2] * scale).astype(np.float32), (projected * scale).astype(np.float32))


def _photograph(face: Face, canvas: Float[np.ndarray, "3 h w"], resolution: int) -> UInt8[np.ndarray, "r r 3"]:
    """Return the canvas as an 8-bit picture with lens blur, vignette and noise.

    The noise depends on the shot and the resolution, not on the expression.
    """
    shot = face.shot
    softness = shot.blur * canvas.shape[-1]
    if softness > 0.3:
        canvas = [cv2.GaussianBlur(plane, (0, 0), softness) for plane in canvas]
    picture = np.stack(
        [cv2.resize(plane, (resolution, resolution), interpolation=cv2.INTER_AREA) for plane in canvas], -1
    )
    axis = np.linspace(-1.0, 1.0, resolution, dtype=np.float32) ** 2
    picture *= (1.0 - 0.07 * (axis[:, None] + axis))[..., None]
    generator = np.random.default_rng((shot.texture, resolution, shot.frame))
    picture += np.float32(shot.noise) * generator.standard_normal(picture.shape, np.float32)
    return np.rint(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)

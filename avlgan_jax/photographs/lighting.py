"""What a photograph shows of the light on a face, and whether it shows the teeth in an open mouth.

Points are (x, y) in pixels of the photograph; sizes are over the distance of its outer eye corners.
"""

import numpy as np
from jaxtyping import Float, Num

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import openings
from avlgan_jax.faces.procedural import painting
from avlgan_jax.faces.procedural.painting import Box
from avlgan_jax.photographs import pixels, toning

Points = Float[np.ndarray, "68 2"]

# The opening of closed lips: landmarks of a closed mouth differ by as much.
CLOSED = 0.012
# Brightness in full light of a white of the eye, and of a fair skin. Teeth in photographs are as bright as the skin or
# brighter (docs/experiments.md), so the brighter of the two counts: the whites in faces of dark skin.
_WHITE = 0.72
# The openness of an eye (height over width) from which it shows its white.
_OPEN_EYE = 0.15
# Skin lies in the middle of these pairs of landmarks, on both cheeks and on the nose, as wide as the size below.
_SKIN, _PATCH = ((2, 31), (14, 35), (29, 29)), 0.06
_FAINTEST, _BRIGHTEST = 0.3, 1.15
# Green and blue inside an open mouth, over those of the skin; a tongue is red. The brightest third of the inside is
# below the first of _TEETH where no teeth are seen, and above the second where they are. The darkest fifth is below the
# first of _NO_CAVITY; above the second a detector took lips and chin for an open mouth.
_TEETH, _NO_CAVITY = (0.75, 0.92), (0.18, 0.3)


def light(photo: Num[np.ndarray, "h w 3"], landmarks: Points) -> Float[np.ndarray, "3"]:
    """Return the light on a face per channel, 1 where a white of the eye is fully lit.

    Its brightness is that of the skin or, if they are brighter, of the whites of the eyes. Its colour is a quarter of
    that of the whites.

    Args:
        photo: RGB from 0 to 255.
        landmarks: Landmarks of the face.
    """
    whites = [_brightest(photo, landmarks[list(ring)]) for ring in (openings.RIGHT_EYE, openings.LEFT_EYE)]
    whites = [white for white in whites if white is not None]
    level, colour = float(_skin(photo, landmarks) @ toning.BRIGHTNESS) / 255.0, np.ones(3)
    if whites:
        white = np.mean(whites, axis=0) / 255.0 + 1e-6
        brightness = float(white @ toning.BRIGHTNESS)
        # An iris or red lids may be in it, so a quarter of its colour counts.
        level, colour = max(level, brightness), 0.75 + 0.25 * white / brightness
    return (np.clip(level / _WHITE, _FAINTEST, _BRIGHTEST) * colour).astype(np.float32)


def hidden_teeth(photo: Num[np.ndarray, "h w 3"], landmarks: Points) -> float:
    """Return how dark an open mouth is: 0 where teeth are seen, 1 where only a cavity or a tongue is.

    It is 0 too for a closed mouth, and where landmarks of an open mouth lie on skin.

    Args:
        photo: RGB from 0 to 255.
        landmarks: Landmarks of the face.
    """
    inside = _pixels_within(photo, landmarks[list(openings.INNER_LIPS)])
    if not len(inside) or lm.lip_distance(landmarks) < CLOSED * lm.eye_distance(landmarks):
        return 0.0
    levels = inside[:, 1:].mean(axis=1) / max(float(_skin(photo, landmarks)[1:].mean()), 1.0)
    cavity, bright = np.quantile(levels, [0.1, 5 / 6])
    return (1.0 - pixels.rise(float(bright), *_TEETH)) * (1.0 - pixels.rise(float(cavity), *_NO_CAVITY))


def _skin(photo: Num[np.ndarray, "h w 3"], landmarks: Points) -> Float[np.ndarray, "3"]:
    """Return the median colour of the skin on cheeks and nose."""
    side = np.linspace(-0.5, 0.5, 7) * _PATCH * lm.eye_distance(landmarks)
    patch = np.stack(np.meshgrid(side, side), axis=-1).reshape(1, -1, 2)
    middles = np.stack([0.5 * (landmarks[a] + landmarks[b]) for a, b in _SKIN])[:, None]
    # Pixel (0, 0) has its centre at (0.5, 0.5).
    colours = pixels.sample(np.asarray(photo, np.float32), middles + patch - 0.5)
    return np.median(np.median(colours, axis=1), axis=0)


def _brightest(photo: Num[np.ndarray, "h w 3"], ring: Float[np.ndarray, "6 2"]) -> Float[np.ndarray, "3"] | None:
    """Return the median of the brightest fifth of the pixels in an eye, or None if it is closed or has none."""
    if lm.lid_distance(ring) < _OPEN_EYE * np.linalg.norm(ring[0] - ring[3]):
        return None
    inside = _pixels_within(photo, ring)
    if not len(inside):
        return None
    bright = inside @ toning.BRIGHTNESS
    return np.median(inside[bright >= np.quantile(bright, 0.8)], axis=0)


def _pixels_within(photo: Num[np.ndarray, "h w 3"], ring: Float[np.ndarray, "n 2"]) -> Num[np.ndarray, "k 3"]:
    """Return the pixels of a photograph within a ring of points."""
    (left, top), (right, bottom) = np.floor(ring.min(axis=0)).astype(int), np.ceil(ring.max(axis=0)).astype(int)
    part = photo[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if not part.size:
        return part.reshape(0, 3)
    box = Box(0, 0, part.shape[1], part.shape[0])
    return part[painting.fill(box, [ring - (max(left, 0), max(top, 0))]) > 0.5]

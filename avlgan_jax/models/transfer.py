"""Section IV-C, frame for frame: the emotions a filmed face shows, and another face that shows them.

The image converter's discriminator reads valence and arousal off each frame, and avLandmarkGAN turns one still face to
each of them. A frame knows nothing of its neighbours, so a film may be worked through in pieces of any length.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.models.inference import Emotions, Images, Points, Trained


@dataclass(frozen=True)
class Portrait:
    """The still face that is to perform: its picture and its landmarks in pixels."""

    image: UInt8[np.ndarray, "h w 3"]
    landmarks: Float[np.ndarray, "68 d"]


def read_emotions_in_disc(models: Trained, frames: Images) -> Emotions:
    """Valence and arousal of each frame as the image converter's discriminator reads them, within the unit disc.

    The discriminator may overshoot, and beyond the disc no label lies: no generator has learned to go there.
    """
    emotions = models.read_emotions(frames)
    return emotions / np.maximum(np.linalg.norm(emotions, axis=-1, keepdims=True), 1.0)


def perform(models: Trained, portrait: Portrait, emotions: Emotions) -> tuple[Images, Points]:
    """The face of `portrait` at each of the emotions: its pictures by avLandmarkGAN, and their landmarks."""
    count = len(emotions)
    images = np.broadcast_to(portrait.image, (count, *portrait.image.shape))
    landmarks = np.broadcast_to(portrait.landmarks, (count, *portrait.landmarks.shape))
    return models.convert["avlandmarkgan"](images, landmarks, emotions), models.convert_landmarks(landmarks, emotions)

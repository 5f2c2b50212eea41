"""Emotion transfer of Section IV-C: the emotions of a filmed face, applied to another face frame by frame.

The image converter's discriminator predicts the valence and arousal of each frame, and avLandmarkGAN converts a still
face to each of them. Frames are independent, so a video may be processed in pieces of any length.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.models.inference import Emotions, Images, Points, Trained


@dataclass(frozen=True)
class Portrait:
    """The still face to convert: its image, and its landmarks in pixels."""

    image: UInt8[np.ndarray, "h w 3"]
    landmarks: Float[np.ndarray, "68 d"]


def read_emotions_in_disc(models: Trained, frames: Images) -> Emotions:
    """Return the valence and arousal of each frame, predicted by the image converter's discriminator, in the unit disc.

    Predictions outside the disc are moved to its edge. No label lies there, so the generators have not learned such
    emotions.
    """
    emotions = models.read_emotions(frames)
    return emotions / np.maximum(np.linalg.norm(emotions, axis=-1, keepdims=True), 1.0)


def perform(models: Trained, portrait: Portrait, emotions: Emotions) -> tuple[Images, Points]:
    """Return avLandmarkGAN's images of the face of `portrait` at each of the emotions, and their landmarks.

    The landmarks are those of the landmark converter, in pixels.
    """
    count = len(emotions)
    images = np.broadcast_to(portrait.image, (count, *portrait.image.shape))
    landmarks = np.broadcast_to(portrait.landmarks, (count, *portrait.landmarks.shape))
    return models.convert["avlandmarkgan"](images, landmarks, emotions), models.convert_landmarks(landmarks, emotions)

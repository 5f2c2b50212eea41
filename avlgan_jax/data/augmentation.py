"""Faces seen a little otherwise each time: turned, shifted, nearer or further, in another light.

830 faces are learnt by heart within some hundreds of steps, and a discriminator that knows each of them by name no
longer looks at its expression (`docs/experiments.md`). What is drawn here moves picture and landmarks alike and leaves
the emotion as it is. A generator then sees the same kind of faces as the discriminator, so nothing of it can leak into
what is generated from a face as it is (compare Karras et al. 2020, section 2.2, where a generator starts from noise).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

# At strength 1, the standard deviation of each change; draws beyond two of them are cut back to two.
TURN = np.deg2rad(6.0)  # of the head's roll
SHIFT = 0.04  # of half the picture's side, along x and along y
ZOOM = 0.06  # of the size, as an exponent
CONTRAST = 0.10  # of the distance from mid grey, as an exponent
LIGHT = 0.06  # of white, added to every channel
TINT = 0.03  # of white, added to each channel by itself


class AugmentationParameters(NamedTuple):
    """What is done to each of n faces: p becomes `linear @ p + shift` in the [-1, 1] of the landmarks, about the
    picture's middle; a channel becomes `gain * channel + offset` about mid grey, with white 1 above black."""

    linear: Float[np.ndarray, "n 2 2"]
    shift: Float[np.ndarray, "n 2"]
    gain: Float[np.ndarray, "n"]
    offset: Float[np.ndarray, "n 3"]


def draw(generator: np.random.Generator, count: int, strength: float) -> AugmentationParameters:
    """Changes of `count` faces; at `strength` 0 there is nothing to them, at 2 they are twice as large."""

    def deviates(*shape: int) -> np.ndarray:
        return strength * np.clip(generator.normal(size=(count, *shape)), -2.0, 2.0)

    turn, size = TURN * deviates(), np.exp(ZOOM * deviates())
    cosine, sine = size * np.cos(turn), size * np.sin(turn)
    linear = np.stack([np.stack([cosine, -sine], axis=-1), np.stack([sine, cosine], axis=-1)], axis=-2)
    return AugmentationParameters(
        linear=linear,
        shift=SHIFT * deviates(2),
        gain=np.exp(CONTRAST * deviates()),
        offset=LIGHT * deviates(1) + TINT * deviates(3),
    )


def apply_to_landmarks(
    points: Float[np.ndarray, "n 68 d"], changes: AugmentationParameters
) -> Float[np.ndarray, "n 68 d"]:
    """The landmarks in [-1, 1] after the changes. A depth grows with the face."""
    moved = np.einsum("nij,npj->npi", changes.linear, points[..., :2]) + changes.shift[:, None]
    size = np.sqrt(np.linalg.det(changes.linear))
    return np.concatenate([moved, points[..., 2:] * size[:, None, None]], axis=-1).astype(points.dtype)


def apply_to_images(
    images: UInt8[np.ndarray, "n side side 3"], changes: AugmentationParameters
) -> UInt8[np.ndarray, "n side side 3"]:
    """The pictures after the changes, resampled bicubically; what comes in from outside mirrors what is at the edge."""
    import cv2

    side = images.shape[1]
    middle = (side - 1) / 2.0  # of the pixels' numbers, whose 0 is the first pixel's centre
    changed = []
    for image, linear, shift, gain, offset in zip(images, *changes, strict=True):
        there = linear @ [-middle, -middle] + shift * (side / 2.0) + middle
        moved = cv2.warpAffine(
            image,
            np.concatenate([linear, there[:, None]], axis=1),
            (side, side),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        lit = gain * (moved.astype(np.float32) - 127.5) + 127.5 + 255.0 * offset.astype(np.float32)
        changed.append(np.clip(np.rint(lit), 0, 255).astype(np.uint8))
    return np.stack(changed)

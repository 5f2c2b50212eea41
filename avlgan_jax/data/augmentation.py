"""Random augmentation of training faces: rotation, shift, zoom and lighting.

A discriminator overfits 830 faces within a few hundred steps: it memorises each face and ignores the expression
(`docs/experiments.md`). The augmentation transforms image and landmarks together and keeps the emotion. It is applied
to the faces that the generator edits, so generator and discriminator receive the same distribution of faces. The
generator therefore does not learn to add the augmentation to a face (compare Karras et al. 2020, section 2.2, where
the generator starts from noise).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

# Standard deviations at strength 1. Draws are clipped to two standard deviations.
TURN = np.deg2rad(6.0)  # rotation in the image plane, radians
SHIFT = 0.04  # shift along x and along y, as a fraction of half the image side
ZOOM = 0.06  # logarithm of the scale factor
CONTRAST = 0.10  # logarithm of the contrast factor
LIGHT = 0.06  # brightness added to all three channels alike, as a fraction of white
TINT = 0.03  # brightness added to each channel independently, as a fraction of white


class AugmentationParameters(NamedTuple):
    """The augmentation of each of n faces.

    A point p in normalised coordinates ([-1, 1], origin at the image centre) moves to `linear @ p + shift`. A channel
    value v, with 0 for mid grey and a distance of 1 from black to white, becomes `gain * v + offset`.
    """

    linear: Float[np.ndarray, "n 2 2"]
    shift: Float[np.ndarray, "n 2"]
    gain: Float[np.ndarray, "n"]
    offset: Float[np.ndarray, "n 3"]


def draw(generator: np.random.Generator, count: int, strength: float) -> AugmentationParameters:
    """Draw the augmentation of `count` faces.

    Args:
        generator: The source of randomness.
        count: Number of faces.
        strength: Factor of the standard deviations; 0 gives the identity.
    """

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
    """Return normalised landmarks after the augmentation. The depth of 3-D landmarks is scaled by the zoom factor."""
    moved = np.einsum("nij,npj->npi", changes.linear, points[..., :2]) + changes.shift[:, None]
    size = np.sqrt(np.linalg.det(changes.linear))
    return np.concatenate([moved, points[..., 2:] * size[:, None, None]], axis=-1).astype(points.dtype)


def apply_to_images(
    images: UInt8[np.ndarray, "n side side 3"], changes: AugmentationParameters
) -> UInt8[np.ndarray, "n side side 3"]:
    """Return the images after the augmentation, resampled bicubically. Pixels from outside mirror the image's edge."""
    import cv2

    side = images.shape[1]
    middle = (side - 1) / 2.0  # image centre in OpenCV's coordinates, whose origin is the first pixel's centre
    changed = []
    for image, linear, shift, gain, offset in zip(images, *changes, strict=True):
        translation = linear @ [-middle, -middle] + shift * (side / 2.0) + middle
        moved = cv2.warpAffine(
            image,
            np.concatenate([linear, translation[:, None]], axis=1),
            (side, side),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        lit = gain * (moved.astype(np.float32) - 127.5) + 127.5 + 255.0 * offset.astype(np.float32)
        changed.append(np.clip(np.rint(lit), 0, 255).astype(np.uint8))
    return np.stack(changed)

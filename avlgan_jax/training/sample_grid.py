"""The sample grid of a converter in training: one face per row, the input and its output at each target of Table II."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.data.batches import Batch
from avlgan_jax.data.records import Faces
from avlgan_jax.faces import emotions
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.models.build import Model
from avlgan_jax.models.converter import State
from avlgan_jax.models.networks import image_to_uint8

ROWS = 6
_POINTS_SIDE = 128
_INK = (32, 96, 160)


def grid(model: Model, state: State, faces: Faces) -> UInt8[np.ndarray, "height width 3"]:
    """Return an image of up to ROWS faces and the model's outputs for the eight expressions of Table II.

    The generator uses the evaluated weights. The landmark converter's landmarks are drawn on white. The image
    converter's rows are each followed by a copy of the row with the converted landmarks drawn on it.

    Args:
        model: A converter or avGAN.
        state: State of the model.
        faces: Faces to show; the first ROWS are used.
    """
    shown = faces.take(np.arange(min(ROWS, len(faces))))
    count, targets = len(shown), emotions.TABLE_II
    batch = Batch(
        landmarks=np.repeat(lm.normalise(shown.landmarks, shown.resolution), len(targets), axis=0).astype(np.float32),
        emotions=np.repeat(shown.emotions, len(targets), axis=0),
        targets=np.tile(targets, (count, 1)),
        position=np.arange(count * len(targets), dtype=np.int32),
        images=np.repeat(shown.images, len(targets), axis=0) if model.with_images else None,
    )
    source, _, target = jax.jit(model.trainer.view)(state.frozen, batch)
    output = np.asarray(jax.jit(model.trainer.generate)(state.evaluated, source, target).output)
    output = output.reshape(count, len(targets), *output.shape[1:])
    if not model.with_images:
        return _stack_rows(
            [_row_of_points(s, o) for s, o in zip(batch.landmarks[:: len(targets)], output, strict=True)]
        )
    rows = []
    points = target.landmarks
    if points is not None:
        points = np.asarray(points).reshape(count, len(targets), *points.shape[1:])
    for index, image in enumerate(shown.images):
        painted = np.asarray(image_to_uint8(jnp.asarray(output[index])))
        rows.append(np.concatenate([image, *painted], axis=1))
        if points is not None:
            drawn = [_draw(p, lm.to_pixels(q, shown.resolution)) for p, q in zip(painted, points[index], strict=True)]
            rows.append(np.concatenate([_draw(image, shown.landmarks[index]), *drawn], axis=1))
    return _stack_rows(rows)


def _row_of_points(source: Float[np.ndarray, "68 d"], output: Float[np.ndarray, "n 68 d"]):
    """Draw the source landmarks and the outputs, all in [-1, 1], in one row."""
    side = _POINTS_SIDE
    white = np.full((side, side, 3), 255, np.uint8)
    output = np.concatenate([source[None], output])
    return np.concatenate([_draw(white, lm.to_pixels(points, side)) for points in output], axis=1)


def _draw(image: UInt8[np.ndarray, "h w 3"], points: Float[np.ndarray, "68 d"]) -> UInt8[np.ndarray, "h w 3"]:
    """Return a copy of the image with the points, in pixels, drawn on it."""
    drawn = image.copy()
    for x, y in lm.in_plane(points):
        cv2.circle(drawn, (round(16 * (x - 0.5)), round(16 * (y - 0.5))), 8, _INK, -1, cv2.LINE_AA, shift=4)
    return drawn


def _stack_rows(rows: list[np.ndarray]) -> UInt8[np.ndarray, "height width 3"]:
    """Put rows of the same width below each other."""
    return np.concatenate(rows, axis=0)

"""Drawn faces whose pixels are moved, for the tests of what an edit closes."""

import numpy as np

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.photographs import blending, cropping


def moved_without_paint(image, landmarks, target, infant=False):
    """Return a drawn face with its pixels moved to landmarks, by a network that paints nothing, as float32."""
    face = cropping.uncropped_face(image, landmarks, 64, infant)
    moved = face.square.to_crop(target, 64)
    flow, *_ = blending._geometry(64)(*(lm.normalise(points, 64) for points in (face.landmarks, moved)))
    source = blending._moved(face.image.astype(np.float32), np.asarray(flow) * 64)
    return blending.blend(image, face, source, moved).astype(np.float32)


def rmse(image, truth, box):
    """Return the root mean square error in a box of two images."""
    return float(np.sqrt(np.square(image[box] - truth[box]).mean()))

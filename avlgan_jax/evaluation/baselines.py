"""Baselines that need no image converter. A model is worth its training where it is better than these."""

import functools
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import warp
from avlgan_jax.models.networks import image_to_float, image_to_uint8
from avlgan_jax.runtime import chunks

# Names of the baselines in `metrics.json`: the input's pixels moved with its landmarks, and the unchanged input.
WARP, DO_NOTHING = "warp", "do_nothing"

# Pictures that are warped at once. Each needs a matrix of pixels by landmarks.
PICTURES_AT_ONCE = 32

Images = UInt8[np.ndarray, "n h w 3"]
Warp = Callable[[Images, Float[np.ndarray, "n 68 d"], Float[np.ndarray, "n 68 d"]], Images]


@functools.cache
def compiled_warp() -> Warp:
    """Return the function (images, their landmarks, converted landmarks) -> images moved by `warp.warp`.

    Landmarks are in pixels. Where no landmark moves, the output is the input, bit for bit.
    """

    def move(
        _: dict, images: UInt8[Array, "n h w 3"], source: Float[Array, "n 68 d"], target: Float[Array, "n 68 d"]
    ) -> UInt8[Array, "n h w 3"]:
        side = images.shape[1]
        warped = jax.vmap(warp.warp)(image_to_float(images), lm.normalise(source, side), lm.normalise(target, side))
        return image_to_uint8(warped)

    return chunks.in_chunks(move, {}, (PICTURES_AT_ONCE,))

"""The generator that warps a face by its landmarks and then paints only what is new (`warped`; off in `paper`).

Most pixels of a new expression are pixels of the source at other places, and the landmarks say where. So geometry
moves them (`faces.warp`), and a network paints what the source does not show: the inside of a mouth that opens, an eye
that opens, stretched skin, furrows and colour.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import openings, warp
from avlgan_jax.models.networks import Condition, Generated, Image, encode_and_decode, tile

# Half the range of the logarithm by which shading changes the brightness of warped pixels (expression ratio images,
# Liu, Shan and Zhang, SIGGRAPH 2001).
SHADING = 0.5


class Geometry(NamedTuple):
    """The parts of a converted face that follow from the source image and the landmarks, without a network."""

    warped: Image
    """The source with its pixels moved."""
    displacement: Float[Array, "batch height width 2"]
    """Source minus target position of each pixel, in [-1, 1] units."""
    area: Float[Array, "batch height width 1"]
    """Area of source pixels per area of the output, cut to [-1, 3]; below 0 in a fold."""
    revealed: Float[Array, "batch height width 1"]
    """Where a mouth or an eye has opened, from 0 to 1 (`openings.revealed`)."""
    face: Float[Array, "batch height width 1"]
    """1 in the face, before or after, and 0 in the background, where nothing changes (`warp.face`)."""
    features: Float[Array, "batch height width 1"]
    """1 in the mouth and the eyes, before or after, and 0 away from them (`openings.features`)."""


def geometry(image: Image, source: lm.Array, target: lm.Array) -> Geometry:
    """Return the geometry of a batch of faces that move from landmarks `source` to `target`, both in [-1, 1]."""
    return Geometry(*jax.vmap(_geometry)(image, source, target))


def _geometry(image: Float[Array, "h w 3"], source: Float[Array, "68 d"], target: Float[Array, "68 d"]):
    height, width = image.shape[:2]
    flow, pixels = warp.fit(source, target), warp.pixel_centres(height, width)
    moved = warp.displacement(flow, pixels)
    area = jnp.clip(warp.area_change(flow, pixels), -1.0, 3.0)
    revealed = openings.revealed(source, target, pixels, moved, sharpness=height / 2.0)  # edges are a pixel wide
    moved = moved.reshape(height, width, 2)
    features = openings.features(source, target, pixels)
    return (
        warp.sample(image, moved),
        moved,
        area.reshape(height, width, 1),
        revealed.reshape(height, width, 1),
        warp.face(flow, pixels).reshape(height, width, 1),
        features.reshape(height, width, 1),
    )


class Painter(nn.Module):
    """G_i that warps the source to the condition's landmarks and paints on the result.

    The condition holds the landmarks of the source too. The network sees the warped image, the flow, what is revealed,
    the drawn landmarks and the emotion. It gives an image, a mask and a shading: the output is the warped image, made
    brighter or darker by the shading, blended with the painted image by the mask. The mask is 1 where `Geometry` says
    that something is revealed, and 0 in the background, which is the source's to the bit. Where the landmarks do not
    move, the flow is exactly 0.
    """

    width: int = 64
    blocks: int = 6
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Image, condition: Condition) -> Generated:
        height, width = x.shape[1:3]
        given = geometry(x, condition.source, condition.landmarks)
        channels = [
            given.warped,
            10.0 * given.displacement,
            given.area - 1.0,
            given.revealed,
            lm.draw(condition.landmarks, height),
            tile(condition.emotions, height, width),
        ]
        y = encode_and_decode(jnp.concatenate(channels, axis=-1), self.width, self.blocks, 5, self.dtype)
        painted = jnp.tanh(y[..., :3])
        # With the shift of -2 the mask starts at about 0.12.
        mask = given.face * (given.revealed + (1.0 - given.revealed) * nn.sigmoid(y[..., 3:4] - 2.0))
        shading = given.face * jnp.tanh(y[..., 4:])
        shaded = jnp.clip((given.warped + 1.0) * jnp.exp(SHADING * shading) - 1.0, -1.0, 1.0)
        # The price of the mask is that of every change: of shading too.
        change = mask + (1.0 - mask) * jnp.abs(shading)
        return Generated(mask * painted + (1.0 - mask) * shaded, change, given.features)

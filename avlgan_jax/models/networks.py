"""Generators and discriminators for images and landmarks, and the ResNet-18 of avGAN's discriminator and the regressor.

All are pure functions of their parameters. No layer has running statistics or couples the examples of a batch, so an
example's output does not depend on the other examples, on the batch size or on the number of devices.

A generator maps a source and a `Condition` to `Generated`. A discriminator maps images or landmarks to a
`DiscriminatorOutput`. Images and landmarks are in [-1, 1].
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, UInt8

from avlgan_jax.config import LandmarkBody
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.models.layers import Conv, InstanceNorm, he_normal, torch_uniform

Image = Float[Array, "batch height width 3"]
Points = Float[Array, "batch 68 d"]  # d: (x, y), or (x, y, z) for 3-D landmarks
Emotions = Float[Array, "batch 2"]


class Condition(NamedTuple):
    """Condition of a generator: (valence, arousal), and landmarks in [-1, 1] if the model uses them."""

    emotions: Emotions
    landmarks: Points | None = None
    source: Points | None = None
    """Landmarks of the source, for a generator that warps it."""


class Generated(NamedTuple):
    """Output of a generator."""

    output: Float[Array, "batch *shape"]
    mask: Float[Array, "batch height width 1"] | None = None
    """The blending mask of a masked generator (1: painted, 0: copied from the source)."""
    features: Float[Array, "batch height width 1"] | None = None
    """Where mouth and eyes are, from 0 to 1, if the generator knows it from landmarks."""


class DiscriminatorOutput(NamedTuple):
    """Output of a discriminator: real/fake logits (one in total or one per patch), emotions, and landmarks if any."""

    logits: Float[Array, "batch *patches"]
    emotions: Emotions
    landmarks: Points | None = None


def tile(emotions: Emotions, height: int, width: int) -> Float[Array, "batch height width 2"]:
    """Return the emotion of each example at every pixel."""
    return jnp.broadcast_to(emotions[:, None, None, :], (emotions.shape[0], height, width, 2))


def encode_and_decode(
    y: Float[Array, "batch height width c_in"], width: int, blocks: int, outputs: int, dtype: DTypeLike
) -> Float[Array, "batch height width c_out"]:
    """Apply the layers of StarGAN's generator; to be called by a compact module, whose parameters they become.

    Args:
        y: Any number of channels; the sides are multiples of 4.
        width: Channels of the first layer; the residual blocks have 4 times as many.
        blocks: Residual blocks at a quarter of the side.
        outputs: Channels of the result, which has no activation.
        dtype: Data type of the computation.
    """

    def norm_relu(y):
        return nn.relu(InstanceNorm()(y))

    y = norm_relu(Conv(width, 7, padding=3, dtype=dtype)(y))
    for factor in (2, 4):
        y = norm_relu(Conv(factor * width, 4, stride=2, padding=1, dtype=dtype)(y))
    for _ in range(blocks):
        z = norm_relu(Conv(4 * width, 3, padding=1, dtype=dtype)(y))
        y = y + InstanceNorm()(Conv(4 * width, 3, padding=1, dtype=dtype)(z))
    for factor in (2, 1):
        y = norm_relu(Conv(factor * width, 4, upsample=True, dtype=dtype)(y))
    return Conv(outputs, 7, padding=3, dtype=dtype)(y).astype(jnp.float32)


class ImageGenerator(nn.Module):
    """G_i: StarGAN's generator (Choi et al. 2018) with the emotion and the drawn landmarks as extra channels.

    It pads with zeros: with reflection padding, instance norm would remove the tiled emotion. A masked generator
    outputs a blend of the painted image and the source by a predicted mask (GANimation, Pumarola et al. 2018) instead
    of the painted image. The image's sides must be multiples of 4.
    """

    width: int = 64
    blocks: int = 6
    masked: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Image, condition: Condition) -> Generated:
        height, width = x.shape[1:3]
        channels = [x, tile(condition.emotions, height, width)]
        if condition.landmarks is not None:
            channels.append(lm.draw(condition.landmarks, height))
        # One convolution computes both image and mask, which costs little more than the image alone.
        y = encode_and_decode(jnp.concatenate(channels, axis=-1), self.width, self.blocks, 3 + self.masked, self.dtype)
        painted = jnp.tanh(y[..., :3])
        if not self.masked:
            return Generated(painted)
        # With the shift of -1 the mask starts at about 0.27: outputs show the source's identity and colours at once.
        mask = nn.sigmoid(y[..., 3:] - 1.0)
        return Generated(mask * painted + (1.0 - mask) * x, mask)


class ImageDiscriminator(nn.Module):
    """D_i: StarGAN's six 4x4 stride-2 layers with heads for real/fake patches, the emotion and the landmarks.

    `coordinates` is the number of coordinates of each of the 68 landmarks: 2 (the paper's 136 numbers in total), 3, or
    0 for no landmark head.
    """

    width: int = 64
    layers: int = 6
    coordinates: int = 2
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Image) -> DiscriminatorOutput:
        y = x
        for layer in range(self.layers):
            y = Conv(self.width * 2**layer, 4, 2, 1, bias=True, dtype=self.dtype, kernel_init=he_normal)(y)
            y = nn.leaky_relu(y, 0.01)
        logits = Conv(1, 3, padding=1, dtype=self.dtype, name="logits")(y)
        # The kernel of the label head is as large as the last feature map.
        labels = Conv(2 + self.coordinates * lm.COUNT, y.shape[1], dtype=self.dtype, name="labels")(y)
        labels = labels.reshape(x.shape[0], -1).astype(jnp.float32)
        points = labels[:, 2:].reshape(-1, lm.COUNT, self.coordinates) if self.coordinates else None
        return DiscriminatorOutput(logits[..., 0].astype(jnp.float32), labels[:, :2], points)


class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2016) up to its 8 * `width` pooled features. `width` must be a multiple of 8.

    GroupNorm replaces the original BatchNorm, which would couple examples and devices. Images of less than 96 px skip
    the max pooling of the stem, which would leave too few pixels.
    """

    width: int = 64
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Image) -> Float[Array, "batch features"]:
        y = nn.relu(self._conv_norm(x, self.width, 7, stride=2, padding=3))
        if x.shape[1] >= 96:
            y = nn.max_pool(y, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for stage in range(4):
            for block in range(2):
                y = self._block(y, self.width * 2**stage, stride=2 if stage and not block else 1)
        return y.mean(axis=(1, 2)).astype(jnp.float32)

    def _conv_norm(self, x: jax.Array, features: int, size: int, stride: int = 1, padding: int = 0) -> jax.Array:
        y = Conv(features, size, stride, padding, bias=True, dtype=self.dtype, kernel_init=he_normal)(x)
        return nn.GroupNorm(num_groups=8, epsilon=1e-5, dtype=self.dtype)(y)

    def _block(self, x: jax.Array, features: int, stride: int) -> jax.Array:
        y = nn.relu(self._conv_norm(x, features, 3, stride, padding=1))
        y = self._conv_norm(y, features, 3, padding=1)
        if stride != 1 or x.shape[-1] != features:
            x = self._conv_norm(x, features, 1, stride)
        return nn.relu(x + y)


class ResNetDiscriminator(nn.Module):
    """avGAN's discriminator as reconstructed in this project: a ResNet-18 that outputs one logit and an emotion."""

    width: int = 64
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Image) -> DiscriminatorOutput:
        features = ResNet18(self.width, dtype=self.dtype)(x)
        heads = nn.Dense(3, kernel_init=torch_uniform)(features)
        return DiscriminatorOutput(heads[:, :1], heads[:, 1:])


class Regressor(nn.Module):
    """ResNet-18 that predicts the valence and arousal of an image. It returns (emotions, pooled features)."""

    width: int = 64
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Image) -> tuple[Emotions, Float[Array, "batch features"]]:
        features = ResNet18(self.width, dtype=self.dtype)(x)
        return nn.Dense(2, kernel_init=torch_uniform)(features), features


class LandmarkGenerator(nn.Module):
    """G_l: maps landmarks in [-1, 1] and a target emotion to landmarks.

    The body `dense` has dense layers on the 136 coordinates (204 for 3-D landmarks). `conv1d` convolves over the 68
    points, with their coordinates as channels. Both are interpretations of Section IV-A. A residual generator adds its
    output to the source; its last kernel is initialised to zero, so it starts as the identity.
    """

    width: int = 256
    blocks: int = 3
    body: LandmarkBody = "dense"
    residual: bool = True

    @nn.compact
    def __call__(self, x: Points, condition: Condition) -> Generated:
        batch, _, coordinates = x.shape
        if self.body == "dense":
            layer, y = nn.Dense, jnp.concatenate([x.reshape(batch, -1), condition.emotions], axis=-1)
        else:
            tiled = jnp.broadcast_to(condition.emotions[:, None], (batch, lm.COUNT, 2))
            layer, y = _point_convolution, jnp.concatenate([x, tiled], axis=-1)
        y = nn.relu(layer(self.width)(y))
        for _ in range(self.blocks):
            y = y + layer(self.width)(nn.relu(layer(self.width)(y)))
        last = nn.initializers.zeros if self.residual else torch_uniform
        size = coordinates * lm.COUNT if self.body == "dense" else coordinates
        y = layer(size, kernel_init=last)(nn.relu(y)).reshape(x.shape)
        return Generated(x + y if self.residual else y)


class LandmarkDiscriminator(nn.Module):
    """D_l: maps landmarks in [-1, 1] to one logit and an emotion. `body` is as in `LandmarkGenerator`."""

    width: int = 256
    layers: int = 4
    body: LandmarkBody = "dense"

    @nn.compact
    def __call__(self, x: Points) -> DiscriminatorOutput:
        batch = x.shape[0]
        y = x.reshape(batch, -1) if self.body == "dense" else x
        for _ in range(self.layers):
            layer = nn.Dense(self.width) if self.body == "dense" else _point_convolution(self.width, stride=2)
            y = nn.leaky_relu(layer(y), 0.01)
        heads = nn.Dense(3, kernel_init=torch_uniform)(y.reshape(batch, -1))
        return DiscriminatorOutput(heads[:, :1], heads[:, 1:])


def _point_convolution(features: int, stride: int = 1, **options) -> nn.Conv:
    return nn.Conv(features, (5,), strides=(stride,), **options)


def parameter_count(parameters: dict) -> int:
    """Return the number of scalars in a parameter tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(parameters))


def image_to_float(images: UInt8[Array, "*batch h w 3"]) -> Float[Array, "*batch h w 3"]:
    """Scale pixels from 0..255 to [-1, 1]."""
    return images.astype(jnp.float32) / 127.5 - 1.0


def image_to_uint8(images: Float[Array, "*batch h w 3"]) -> UInt8[Array, "*batch h w 3"]:
    """Invert `image_to_float`, with rounding and clipping."""
    return jnp.clip(jnp.round((images + 1.0) * 127.5), 0, 255).astype(jnp.uint8)

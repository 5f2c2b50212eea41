"""Convolutions and the norm of the networks; the transposed convolution in a plain form and an exactly equal fast one.

XLA on a CPU runs the backward pass of a *dilated* convolution at a tenth of the speed of others. The fast form of the
transposed convolution holds no dilation: a 2x2 convolution to four times the channels, each output pixel then spread
out to a 2x2 block. Same parameters, same numbers up to rounding; `docs/performance.md` has the times, and those of
other exact forms that did not pay. Arrays are (batch, height, width, channels), kernels (height, width, in, out).
"""

import functools
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

Form = Literal["plain", "fast"]
Image = Float[Array, "batch height width channels"]
Output = Float[Array, "batch out_height out_width out_channels"]
Kernel = Float[Array, "kh kw c_in c_out"]

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")
# PyTorch's default initialisation of convolutions and dense layers: uniform within 1/sqrt(fan in).
torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


@functools.cache
def preferred_form() -> Form:
    """The form that measures faster on the machine at hand: `fast` on a CPU, `plain` elsewhere."""
    return "fast" if jax.default_backend() == "cpu" else "plain"


def conv(x: Image, kernel: Kernel, stride: int = 1, padding: int = 0, dilate_input: int = 1) -> Output:
    """Cross-correlation with `padding` zeros on all sides, `dilate_input - 1` zeros between the pixels of x."""
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((padding, padding), (padding, padding)),
        lhs_dilation=(dilate_input, dilate_input),
        dimension_numbers=_DIMENSIONS,
    )


def depth_to_space(x: Image) -> Output:
    """Spread each pixel's channels, ordered (row, column, channel), over a 2x2 block of pixels."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, 2, 2, channels // 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, 2 * height, 2 * width, channels // 4)


def upsample_conv(x: Image, kernel: Kernel, form: Form) -> Output:
    """Transposed 4x4 stride-2 convolution with padding 1: (h, w) -> (2h, 2w), as PyTorch's ConvTranspose2d(4, 2, 1).

    `kernel[i, j]` is what input pixel (y, x) adds to the output at (2y + i - 1, 2x + j - 1).
    """
    if form == "plain":
        return conv(x, jnp.flip(kernel, (0, 1)), padding=2, dilate_input=2)
    # On the output shifted by one pixel, input (y, x) adds kernel[2a + r, 2b + s] to pixel (r, s) of block (y+a, x+b).
    c_in, c_out = kernel.shape[2:]
    taps = kernel.reshape(2, 2, 2, 2, c_in, c_out)[::-1, :, ::-1]  # (a reversed, r, b reversed, s, in, out)
    blocks = taps.transpose(0, 2, 4, 1, 3, 5).reshape(2, 2, c_in, 4 * c_out)
    # Padded apart from the convolution: with the padding inside, XLA's kernel gradient on a CPU takes 100 times longer.
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return depth_to_space(conv(padded, blocks))[:, 1:-1, 1:-1]


class Conv(nn.Module):
    """2-D convolution with zero padding, or (`upsample`) the transposed 4x4 stride-2 one that doubles the size."""

    features: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    bias: bool = False
    upsample: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Image) -> Output:
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", torch_uniform, shape).astype(self.dtype)
        x = x.astype(self.dtype)
        y = upsample_conv(x, kernel, preferred_form()) if self.upsample else conv(x, kernel, self.stride, self.padding)
        if self.bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
        return y


class InstanceNorm(nn.Module):
    """Normalise every channel of every example over its positions, then scale and shift; no running statistics.

    Epsilon 1e-5 as in PyTorch. Statistics in float32 whatever the compute type.
    """

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, "batch *space channels"]) -> Float[Array, "batch *space channels"]:
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        axes = tuple(range(1, x.ndim - 1))
        wide = x.astype(jnp.float32)
        mean = wide.mean(axes, keepdims=True)
        variance = jnp.square(wide - mean).mean(axes, keepdims=True)
        return ((wide - mean) * (lax.rsqrt(variance + self.epsilon) * scale) + bias).astype(x.dtype)

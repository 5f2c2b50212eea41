"""Convolutions and the norm of the networks; several in a plain and an exactly equal fast form.

XLA on a CPU runs *dilated* convolutions at a fraction of the speed of others, and the input gradient of a strided one
is dilated. The fast forms hold none: a 4x4 stride-2 convolution becomes a 2x2 one over the picture's 2x2 blocks, its
transpose a 2x2 convolution to four times the channels that are then spread over 2x2 blocks. The kernel gradient of a
convolution of many channels is a sum of matrix products, one for each place of the kernel. Same parameters, same
numbers up to rounding; `docs/performance.md` has the times.
Arrays are (batch, height, width, channels), kernels (height, width, in, out).
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

Padding = tuple[tuple[int, int], tuple[int, int]]

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")
# From so many channels in and out on, matrix products beat XLA's kernel gradient on a CPU.
_MANY_CHANNELS = 128
# PyTorch's default initialisation of convolutions and dense layers: uniform within 1/sqrt(fan in).
torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
# He et al. 2015: keeps the size of activations through rectified layers that no norm follows. With PyTorch's default
# each such layer shrinks them to 0.4, and a discriminator wastes its first hundreds of steps growing them again.
he_normal = nn.initializers.he_normal()


def preferred_form(kernel_size: int, side: int, stride: int, upsample: bool) -> Form:
    """The form that measures faster on the machine at hand (`python -m benchmarks.convolutions`).

    On a CPU: `fast` for transposed convolutions, and for 4x4 strided ones down to under 4 pixels, whose plain input
    gradient takes 8 times as long or more. Elsewhere `plain`.
    """
    small = kernel_size == 4 and stride == 2 and side in (2, 4, 6)
    return "fast" if (upsample or small) and jax.default_backend() == "cpu" else "plain"


def conv(x: Image, kernel: Kernel, stride: int, padding: int, form: Form) -> Output:
    """Cross-correlation with `padding` zeros on all sides; `fast` is for even kernels at stride 2, over sides that are
    even with the padding."""
    if form == "plain":
        return _convolve(x, kernel, stride, ((padding, padding), (padding, padding)))
    height, width, c_in, c_out = kernel.shape
    blocks = kernel.reshape(height // 2, 2, width // 2, 2, c_in, c_out).transpose(0, 2, 1, 3, 4, 5)
    x = space_to_depth(jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0))))
    return _convolve(x, blocks.reshape(height // 2, width // 2, 4 * c_in, c_out))


def _convolve(
    x: Image, kernel: Kernel, stride: int = 1, padding: Padding = ((0, 0), (0, 0)), dilate_input: int = 1
) -> Output:
    many = min(kernel.shape[2:]) >= _MANY_CHANNELS and jax.default_backend() == "cpu"
    if many and stride == dilate_input == 1:
        return _with_products(x, kernel, padding)
    return _plainly(x, kernel, stride, padding, dilate_input)


def _plainly(x: Image, kernel: Kernel, stride: int, padding: Padding, dilate_input: int) -> Output:
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=padding,
        lhs_dilation=(dilate_input, dilate_input),
        dimension_numbers=_DIMENSIONS,
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _with_products(x: Image, kernel: Kernel, padding: Padding) -> Output:
    """An unstrided convolution whose kernel gradient is a matrix product for each place of the kernel."""
    return _plainly(x, kernel, 1, padding, 1)


def _products_forward(x: Image, kernel: Kernel, padding: Padding) -> tuple[Output, tuple[Image, Kernel]]:
    return _plainly(x, kernel, 1, padding, 1), (x, kernel)


def _products_backward(padding: Padding, seen: tuple[Image, Kernel], slope: Output) -> tuple[Image, Kernel]:
    x, kernel = seen
    _, pull_back = jax.vjp(lambda x: _plainly(x, kernel, 1, padding, 1), x)
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    rows, columns = slope.shape[1:3]
    places = [
        jnp.einsum("nhwi,nhwo->io", padded[:, row : row + rows, column : column + columns], slope)
        for row in range(kernel.shape[0])
        for column in range(kernel.shape[1])
    ]
    return *pull_back(slope), jnp.stack(places).reshape(kernel.shape)


_with_products.defvjp(_products_forward, _products_backward)


def space_to_depth(x: Image) -> Output:
    """Each 2x2 block of pixels becomes one pixel of four times the channels, ordered (row, column, channel)."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, height // 2, width // 2, 4 * channels)


def depth_to_space(x: Image) -> Output:
    """The inverse of `space_to_depth`."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, 2, 2, channels // 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, 2 * height, 2 * width, channels // 4)


def upsample_conv(x: Image, kernel: Kernel, form: Form) -> Output:
    """Transposed 4x4 stride-2 convolution with padding 1: (h, w) -> (2h, 2w), as PyTorch's ConvTranspose2d(4, 2, 1).

    `kernel[i, j]` is what input pixel (y, x) adds to the output at (2y + i - 1, 2x + j - 1).
    """
    if form == "plain":
        return _convolve(x, jnp.flip(kernel, (0, 1)), padding=((2, 2), (2, 2)), dilate_input=2)
    # On the output shifted by one pixel, input (y, x) adds kernel[2a + r, 2b + s] to pixel (r, s) of block (y+a, x+b).
    c_in, c_out = kernel.shape[2:]
    taps = kernel.reshape(2, 2, 2, 2, c_in, c_out)[::-1, :, ::-1]  # (a reversed, r, b reversed, s, in, out)
    blocks = taps.transpose(0, 2, 4, 1, 3, 5).reshape(2, 2, c_in, 4 * c_out)
    # Padded apart from the convolution: with the padding inside, XLA's kernel gradient on a CPU takes 100 times longer.
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return depth_to_space(_convolve(padded, blocks))[:, 1:-1, 1:-1]


class Conv(nn.Module):
    """2-D convolution with zero padding, or (`upsample`) the transposed 4x4 stride-2 one that doubles the size."""

    features: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    bias: bool = False
    upsample: bool = False
    dtype: DTypeLike = jnp.float32
    kernel_init: nn.initializers.Initializer = torch_uniform

    @nn.compact
    def __call__(self, x: Image) -> Output:
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape).astype(self.dtype)
        x = x.astype(self.dtype)
        form = preferred_form(self.kernel_size, x.shape[1], self.stride, self.upsample)
        y = upsample_conv(x, kernel, form) if self.upsample else conv(x, kernel, self.stride, self.padding, form)
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

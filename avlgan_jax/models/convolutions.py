"""2-D convolutions in a plain form and in a fast form for CPUs. Both compute the same function.

XLA on a CPU is slow in several cases, each of which has a fast form:

- Dilated convolutions run at a fraction of the speed of others, and the input gradient of a strided convolution is
  dilated. A 4x4 stride-2 convolution is computed as a 2x2 convolution over the image's 2x2 blocks. Its transpose is
  computed as a 2x2 convolution to four times the channels, which are then spread over 2x2 blocks.
- Large kernels with few input or output channels are computed as convolutions with a kernel of a single row.
- A kernel as large as its padded input is computed as a matrix product.

In addition, the kernel gradient of some convolutions is computed as matrix products, one per kernel position. Both
forms have the same parameters and the same output up to rounding. `docs/performance.md` lists the times.

Arrays are (batch, height, width, channels), kernels (height, width, in, out).
"""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Form = Literal["plain", "fast"]
Image = Float[Array, "batch height width channels"]
Output = Float[Array, "batch out_height out_width out_channels"]
Kernel = Float[Array, "kh kw c_in c_out"]
Padding = tuple[tuple[int, int], tuple[int, int]]
_DIMENSIONS = ("NHWC", "HWIO", "NHWC")
_NO_PADDING: Padding = ((0, 0), (0, 0))
# Large kernels with at most this many input or output channels are computed with a kernel of a single row.
_FEW_CHANNELS = 8


def preferred_form(kernel_shape: tuple[int, ...], side: int, stride: int, padding: int, upsample: bool) -> Form:
    """Return the faster form of a convolution on JAX's default backend (`python -m benchmarks.convolutions`).

    On a CPU this is "fast" for transposed convolutions, for 4x4 stride-2 convolutions with an output of less than
    4 pixels (the plain input gradient takes at least 2.6 times as long), for kernels of 5x5 or more with at most 8
    input or output channels, and for kernels as large as the padded input. Otherwise it is "plain".

    Args:
        kernel_shape: (height, width, in, out).
        side: Side of the square input in pixels.
        stride: The stride.
        padding: Zeros added on each side.
        upsample: Whether it is the transposed convolution of `upsample_conv`.
    """
    if jax.default_backend() != "cpu":
        return "plain"
    size = kernel_shape[0]
    small = size == 4 and stride == 2 and side in (4, 5, 6)
    large = size >= 5 and stride == 1 and min(kernel_shape[2:]) <= _FEW_CHANNELS
    return "fast" if upsample or small or large or side + 2 * padding == size else "plain"


def conv(x: Image, kernel: Kernel, stride: int, padding: int, form: Form) -> Output:
    """Return the cross-correlation of `x` with `kernel`, with `padding` zeros on all sides.

    The form "fast" supports stride 1, stride 2 with kernels of even size, and kernels as large as the padded input.
    """
    both_sides = (padding, padding)
    if form == "plain":
        convolve = _conv_with_product_gradient if _products_pay(kernel) else _plain_conv
        return convolve(x, kernel, (both_sides, both_sides), stride)
    if kernel.shape[:2] == tuple(side + 2 * padding for side in x.shape[1:3]):
        # The output has a single pixel. Drop the part of the kernel that meets only padding.
        inner = kernel[padding : padding + x.shape[1], padding : padding + x.shape[2]]
        return jnp.einsum("nhwi,hwio->no", x, inner)[:, None, None]
    if stride == 1:
        return _single_row_conv(x, kernel, both_sides)
    height, width, c_in, c_out = kernel.shape
    blocks = kernel.reshape(height // 2, 2, width // 2, 2, c_in, c_out).transpose(0, 2, 1, 3, 4, 5)
    padded = jnp.pad(x, ((0, 0), both_sides, both_sides, (0, 0)))
    # If a padded side is odd, no window covers its last pixel.
    x = space_to_depth(padded[:, : padded.shape[1] // 2 * 2, : padded.shape[2] // 2 * 2])
    return _conv_with_product_gradient(x, blocks.reshape(height // 2, width // 2, 4 * c_in, c_out), _NO_PADDING, 1)


def _single_row_conv(x: Image, kernel: Kernel, padding: tuple[int, int]) -> Output:
    """Compute a stride-1 convolution with a kernel of a single row.

    If there are no more input than output channels, the rows under the kernel are stacked as channels before the
    convolution. Otherwise each kernel row has its own output channels, which are shifted and added afterwards.
    """
    size, width, c_in, c_out = kernel.shape
    height = x.shape[1] + sum(padding) - size + 1
    if c_in <= c_out:
        padded = jnp.pad(x, ((0, 0), padding, (0, 0), (0, 0)))
        stacked = jnp.concatenate([padded[:, row : row + height] for row in range(size)], axis=-1)
        single = kernel.transpose(1, 0, 2, 3).reshape(1, width, size * c_in, c_out)
        convolve = _conv_with_product_gradient if c_out >= 64 else _plain_conv
        return convolve(stacked, single, ((0, 0), padding), 1)
    single = kernel.transpose(1, 2, 0, 3).reshape(1, width, c_in, size * c_out)
    by_row = _conv_with_product_gradient(x, single, (padding, padding), 1)
    return sum(by_row[:, row : row + height, :, row * c_out : (row + 1) * c_out] for row in range(size))


def _products_pay(kernel: Kernel) -> bool:
    """Return whether to compute the kernel gradient of a plain convolution by matrix products (faster on a CPU)."""
    fewer, more = sorted(kernel.shape[2:])
    return fewer >= 64 and more >= 128 and jax.default_backend() == "cpu"


def _plain_conv(x: Image, kernel: Kernel, padding: Padding, stride: int = 1, dilate_input: int = 1) -> Output:
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=padding,
        lhs_dilation=(dilate_input, dilate_input),
        dimension_numbers=_DIMENSIONS,
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv_with_product_gradient(x: Image, kernel: Kernel, padding: Padding, stride: int) -> Output:
    """Compute a convolution whose kernel gradient is one matrix product per kernel position."""
    return _plain_conv(x, kernel, padding, stride)


def _products_forward(x: Image, kernel: Kernel, padding: Padding, stride: int) -> tuple[Output, tuple[Image, Kernel]]:
    return _plain_conv(x, kernel, padding, stride), (x, kernel)


def _products_backward(
    padding: Padding, stride: int, residuals: tuple[Image, Kernel], output_gradient: Output
) -> tuple[Image, Kernel]:
    x, kernel = residuals
    _, pull_back = jax.vjp(lambda x: _plain_conv(x, kernel, padding, stride), x)
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    rows, columns = (stride * (length - 1) + 1 for length in output_gradient.shape[1:3])
    windows = [
        padded[:, row : row + rows : stride, column : column + columns : stride]
        for row in range(kernel.shape[0])
        for column in range(kernel.shape[1])
    ]
    if len(windows) <= 4:  # for up to four positions a single product is faster
        windows = [jnp.concatenate(windows, axis=-1)]
    products = jnp.stack([jnp.einsum("nhwi,nhwo->io", window, output_gradient) for window in windows])
    return *pull_back(output_gradient), products.reshape(kernel.shape)


_conv_with_product_gradient.defvjp(_products_forward, _products_backward)


def space_to_depth(x: Image) -> Output:
    """Turn each 2x2 block of pixels into one pixel with four times the channels, ordered (row, column, channel)."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, height // 2, width // 2, 4 * channels)


def depth_to_space(x: Image) -> Output:
    """Invert `space_to_depth`."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, 2, 2, channels // 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, 2 * height, 2 * width, channels // 4)


def upsample_conv(x: Image, kernel: Kernel, form: Form) -> Output:
    """Compute the transposed 4x4 stride-2 convolution with padding 1: (h, w) -> (2h, 2w).

    It equals PyTorch's ConvTranspose2d(kernel_size=4, stride=2, padding=1). Input pixel (y, x), multiplied by
    `kernel[i, j]`, is added to output pixel (2y + i - 1, 2x + j - 1).
    """
    if form == "plain":
        return _plain_conv(x, jnp.flip(kernel, (0, 1)), padding=((2, 2), (2, 2)), dilate_input=2)
    # With the output shifted by one pixel, input pixel (y, x) contributes by kernel[2a + r, 2b + s] to pixel (r, s) of
    # the 2x2 block (y + a, x + b).
    c_in, c_out = kernel.shape[2:]
    taps = kernel.reshape(2, 2, 2, 2, c_in, c_out)[::-1, :, ::-1]  # (a reversed, r, b reversed, s, in, out)
    blocks = taps.transpose(0, 2, 4, 1, 3, 5).reshape(2, 2, c_in, 4 * c_out)
    # Pad before the convolution: with padding inside it, XLA's kernel gradient on a CPU takes 100 times as long.
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return depth_to_space(_conv_with_product_gradient(padded, blocks, _NO_PADDING, 1))[:, 1:-1, 1:-1]

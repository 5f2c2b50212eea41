"""Convolutions in a plain and an exactly equal fast form.

XLA on a CPU runs *dilated* convolutions at a fraction of the speed of others, and the input gradient of a strided one
is dilated. The fast forms hold none: a 4x4 stride-2 convolution becomes a 2x2 one over the picture's 2x2 blocks, its
transpose a 2x2 convolution to four times the channels that are then spread over 2x2 blocks. Nor does it like wide
kernels from or to few channels, which become convolutions along the columns only; and a kernel as large as its input
is a matrix. The kernel gradient of many a convolution is a sum of matrix products, one for each place of the kernel.
Same parameters, same numbers up to rounding; `docs/performance.md` has the times.
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
# Wide kernels with no more channels than this on one side have a fast form of their own.
_FEW_CHANNELS = 8


def preferred_form(kernel_shape: tuple[int, ...], side: int, stride: int, padding: int, upsample: bool) -> Form:
    """The form that measures faster on the machine at hand (`python -m benchmarks.convolutions`).

    On a CPU: `fast` for transposed convolutions, for 4x4 strided ones down to under 4 pixels, whose plain input
    gradient takes 2.6 times as long or more, for wide kernels from or to few channels, and for kernels that fit their
    input once. Elsewhere `plain`.
    """
    if jax.default_backend() != "cpu":
        return "plain"
    size = kernel_shape[0]
    small = size == 4 and stride == 2 and side in (4, 5, 6)
    wide = size >= 5 and stride == 1 and min(kernel_shape[2:]) <= _FEW_CHANNELS
    return "fast" if upsample or small or wide or side + 2 * padding == size else "plain"


def conv(x: Image, kernel: Kernel, stride: int, padding: int, form: Form) -> Output:
    """Cross-correlation with `padding` zeros on all sides; `fast` is for unstrided ones, for even kernels at stride 2,
    and for kernels as large as the padded input."""
    around = (padding, padding)
    if form == "plain":
        return (_with_products if _products_pay(kernel) else _plainly)(x, kernel, (around, around), stride)
    if kernel.shape[:2] == tuple(side + 2 * padding for side in x.shape[1:3]):
        # A single output pixel. What of the kernel lies on the padding counts for nothing.
        inner = kernel[padding : padding + x.shape[1], padding : padding + x.shape[2]]
        return jnp.einsum("nhwi,hwio->no", x, inner)[:, None, None]
    if stride == 1:
        return _along_columns(x, kernel, around)
    height, width, c_in, c_out = kernel.shape
    blocks = kernel.reshape(height // 2, 2, width // 2, 2, c_in, c_out).transpose(0, 2, 1, 3, 4, 5)
    padded = jnp.pad(x, ((0, 0), around, around, (0, 0)))
    # Of a side that is odd with its padding the last pixel is under no window.
    x = space_to_depth(padded[:, : padded.shape[1] // 2 * 2, : padded.shape[2] // 2 * 2])
    return _with_products(x, blocks.reshape(height // 2, width // 2, 4 * c_in, c_out), _NO_PADDING, 1)


def _along_columns(x: Image, kernel: Kernel, around: tuple[int, int]) -> Output:
    """An unstrided convolution as one whose kernel is a single row.

    Of few input channels, those of the rows that the kernel covers are put side by side first. Of few output channels,
    each row of the kernel has outputs of its own, which are moved up by as many rows and added.
    """
    size, width, c_in, c_out = kernel.shape
    height = x.shape[1] + sum(around) - size + 1
    if c_in <= c_out:
        padded = jnp.pad(x, ((0, 0), around, (0, 0), (0, 0)))
        beside = jnp.concatenate([padded[:, row : row + height] for row in range(size)], axis=-1)
        single = kernel.transpose(1, 0, 2, 3).reshape(1, width, size * c_in, c_out)
        return (_with_products if c_out >= 64 else _plainly)(beside, single, ((0, 0), around), 1)
    single = kernel.transpose(1, 2, 0, 3).reshape(1, width, c_in, size * c_out)
    apart = _with_products(x, single, (around, around), 1)
    return sum(apart[:, row : row + height, :, row * c_out : (row + 1) * c_out] for row in range(size))


def _products_pay(kernel: Kernel) -> bool:
    """Whether matrix products beat XLA's kernel gradient on a CPU, for a convolution in its plain form."""
    fewer, more = sorted(kernel.shape[2:])
    return fewer >= 64 and more >= 128 and jax.default_backend() == "cpu"


def _plainly(x: Image, kernel: Kernel, padding: Padding, stride: int = 1, dilate_input: int = 1) -> Output:
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=padding,
        lhs_dilation=(dilate_input, dilate_input),
        dimension_numbers=_DIMENSIONS,
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _with_products(x: Image, kernel: Kernel, padding: Padding, stride: int) -> Output:
    """A convolution whose kernel gradient is a matrix product for each place of the kernel."""
    return _plainly(x, kernel, padding, stride)


def _products_forward(x: Image, kernel: Kernel, padding: Padding, stride: int) -> tuple[Output, tuple[Image, Kernel]]:
    return _plainly(x, kernel, padding, stride), (x, kernel)


def _products_backward(
    padding: Padding, stride: int, seen: tuple[Image, Kernel], slope: Output
) -> tuple[Image, Kernel]:
    x, kernel = seen
    _, pull_back = jax.vjp(lambda x: _plainly(x, kernel, padding, stride), x)
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    rows, columns = (stride * (length - 1) + 1 for length in slope.shape[1:3])
    places = [
        padded[:, row : row + rows : stride, column : column + columns : stride]
        for row in range(kernel.shape[0])
        for column in range(kernel.shape[1])
    ]
    if len(places) <= 4:  # so few make one product, which costs less than four
        places = [jnp.concatenate(places, axis=-1)]
    products = jnp.stack([jnp.einsum("nhwi,nhwo->io", place, slope) for place in places])
    return *pull_back(slope), products.reshape(kernel.shape)


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
        return _plainly(x, jnp.flip(kernel, (0, 1)), padding=((2, 2), (2, 2)), dilate_input=2)
    # On the output shifted by one pixel, input (y, x) adds kernel[2a + r, 2b + s] to pixel (r, s) of block (y+a, x+b).
    c_in, c_out = kernel.shape[2:]
    taps = kernel.reshape(2, 2, 2, 2, c_in, c_out)[::-1, :, ::-1]  # (a reversed, r, b reversed, s, in, out)
    blocks = taps.transpose(0, 2, 4, 1, 3, 5).reshape(2, 2, c_in, 4 * c_out)
    # Padded apart from the convolution: with the padding inside, XLA's kernel gradient on a CPU takes 100 times longer.
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return depth_to_space(_with_products(padded, blocks, _NO_PADDING, 1))[:, 1:-1, 1:-1]

"""The layers `Conv` and `InstanceNorm` of the image networks, and the initialisers of their kernels."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from avlgan_jax.models.convolutions import Image, Output, conv, preferred_form, upsample_conv

# PyTorch's default initialisation of convolutions and dense layers: uniform in +-1/sqrt(fan in).
torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
# He et al. 2015: keeps the scale of activations through rectified layers without normalisation. With PyTorch's default
# each such layer scales them by 0.4, and a discriminator spends its first few hundred steps on restoring the scale.
he_normal = nn.initializers.he_normal()


class Conv(nn.Module):
    """2-D convolution with zero padding, or with `upsample` the transposed convolution that doubles the image's side.

    `upsample` needs `kernel_size` 4 and ignores `stride` and `padding`. Parameters are float32; the convolution is
    computed in `dtype`.
    """

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
        form = preferred_form(shape, x.shape[1], self.stride, self.padding, self.upsample)
        y = upsample_conv(x, kernel, form) if self.upsample else conv(x, kernel, self.stride, self.padding, form)
        if self.bias:
            y = y + self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
        return y


class InstanceNorm(nn.Module):
    """Normalisation of each channel of each example over its positions, followed by a learned scale and shift.

    There are no running statistics. `epsilon` is that of PyTorch. Statistics are computed in float32 for any input
    type.
    """

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, "batch *space channels"]) -> Float[Array, "batch *space channels"]:
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        axes = tuple(range(1, x.ndim - 1))
        x32 = x.astype(jnp.float32)
        mean = x32.mean(axes, keepdims=True)
        variance = jnp.square(x32 - mean).mean(axes, keepdims=True)
        return ((x32 - mean) * (lax.rsqrt(variance + self.epsilon) * scale) + bias).astype(x.dtype)

"""`Conv` and `InstanceNorm`, the two layers of all generators and discriminators, and how their kernels are drawn."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from avlgan_jax.models.convolutions import Image, Output, conv, preferred_form, upsample_conv

# PyTorch's default initialisation of convolutions and dense layers: uniform within 1/sqrt(fan in).
torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
# He et al. 2015: keeps the size of activations through rectified layers that no norm follows. With PyTorch's default
# each such layer shrinks them to 0.4, and a discriminator wastes its first hundreds of steps growing them again.
he_normal = nn.initializers.he_normal()


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
        form = preferred_form(shape, x.shape[1], self.stride, self.padding, self.upsample)
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

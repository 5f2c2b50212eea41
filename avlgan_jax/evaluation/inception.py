"""Inception-v3 of 2015, the feature network of FID (Heusel et al. 2017), and the loading of its public weights.

The weights are TensorFlow's `inception-2015-12-05` as ported by pytorch-fid. This project does not distribute them: the
user downloads the file once, and it is used only if its SHA-256 matches. Batch norms are folded into the convolutions
before them, which is exact up to rounding.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from avlgan_jax.atomic_files import file_sha256, user_cache
from avlgan_jax.errors import UserError
from avlgan_jax.runtime import chunks

FILE = "pt_inception-2015-12-05-6726825d.pth"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE}"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"

SIDE = 299
BATCH_NORM_EPSILON = 1e-3

# Resizing to 299 px: `clean` as in clean-fid (antialiased bicubic), `legacy` as in pytorch-fid (bilinear).
Mode = Literal["clean", "legacy"]

# Images in one batch of a device.
PICTURES_PER_DEVICE = 32


class Convolution(nn.Module):
    """Convolution with folded batch norm, followed by ReLU. `kernel` and `padding` are (height, width)."""

    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: tuple[int, int] = (0, 0)

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 features"]:
        padding = [(p, p) for p in self.padding]
        # Full float32 on accelerators that would round the factors by default: scores are compared across machines.
        conv = nn.Conv(self.features, self.kernel, self.stride, padding, precision="highest", name="conv")
        return nn.relu(conv(x))


def _square(features: int, side: int, padding: int = 0, stride: int = 1, **more) -> Convolution:
    """Return a convolution with a square kernel."""
    return Convolution(features, (side, side), stride, (padding, padding), **more)


def _row(features: int, length: int, **more) -> Convolution:
    """Return a convolution with a kernel of one row, padded to keep the size."""
    return Convolution(features, (1, length), padding=(0, length // 2), **more)


def _column(features: int, length: int, **more) -> Convolution:
    """Return a convolution with a kernel of one column, padded to keep the size."""
    return Convolution(features, (length, 1), padding=(length // 2, 0), **more)


def _mean_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Average 3x3 windows with stride 1; windows at the border exclude the padding, as in TensorFlow."""
    return nn.avg_pool(x, (3, 3), (1, 1), [(1, 1), (1, 1)], count_include_pad=False)


def _max_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Take the maximum of 3x3 windows with stride 1."""
    return nn.max_pool(x, (3, 3), (1, 1), [(1, 1), (1, 1)])


def _max_pool_halving(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """Take the maximum of 3x3 windows with stride 2."""
    return nn.max_pool(x, (3, 3), (2, 2))


class BlockA(nn.Module):
    """Mixed 5b, 5c and 5d: 35x35 positions."""

    pooled: int

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c2"]:
        five = _square(48, 1, name="branch5x5_1")(x)
        three = _square(96, 3, 1, name="branch3x3dbl_2")(_square(64, 1, name="branch3x3dbl_1")(x))
        branches = [
            _square(64, 1, name="branch1x1")(x),
            _square(64, 5, 2, name="branch5x5_2")(five),
            _square(96, 3, 1, name="branch3x3dbl_3")(three),
            _square(self.pooled, 1, name="branch_pool")(_mean_pool(x)),
        ]
        return jnp.concatenate(branches, axis=-1)


class BlockB(nn.Module):
    """Mixed 6a: from 35x35 to 17x17 positions."""

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c2"]:
        double = _square(96, 3, 1, name="branch3x3dbl_2")(_square(64, 1, name="branch3x3dbl_1")(x))
        branches = [
            _square(384, 3, stride=2, name="branch3x3")(x),
            _square(96, 3, stride=2, name="branch3x3dbl_3")(double),
            _max_pool_halving(x),
        ]
        return jnp.concatenate(branches, axis=-1)


class BlockC(nn.Module):
    """Mixed 6b to 6e: 17x17 positions, convolutions with 1x7 and 7x1 kernels."""

    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c2"]:
        seven = _row(self.width, 7, name="branch7x7_2")(_square(self.width, 1, name="branch7x7_1")(x))
        double = _column(self.width, 7, name="branch7x7dbl_2")(_square(self.width, 1, name="branch7x7dbl_1")(x))
        double = _column(self.width, 7, name="branch7x7dbl_4")(_row(self.width, 7, name="branch7x7dbl_3")(double))
        branches = [
            _square(192, 1, name="branch1x1")(x),
            _column(192, 7, name="branch7x7_3")(seven),
            _row(192, 7, name="branch7x7dbl_5")(double),
            _square(192, 1, name="branch_pool")(_mean_pool(x)),
        ]
        return jnp.concatenate(branches, axis=-1)


class BlockD(nn.Module):
    """Mixed 7a: from 17x17 to 8x8 positions."""

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c2"]:
        seven = _row(192, 7, name="branch7x7x3_2")(_square(192, 1, name="branch7x7x3_1")(x))
        seven = _column(192, 7, name="branch7x7x3_3")(seven)
        branches = [
            _square(320, 3, stride=2, name="branch3x3_2")(_square(192, 1, name="branch3x3_1")(x)),
            _square(192, 3, stride=2, name="branch7x7x3_4")(seven),
            _max_pool_halving(x),
        ]
        return jnp.concatenate(branches, axis=-1)


class BlockE(nn.Module):
    """Mixed 7b and 7c: 8x8 positions. The published network pools by the mean in 7b and by the maximum in 7c."""

    pool: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w 2048"]:
        three = _square(384, 1, name="branch3x3_1")(x)
        double = _square(384, 3, 1, name="branch3x3dbl_2")(_square(448, 1, name="branch3x3dbl_1")(x))
        branches = [
            _square(320, 1, name="branch1x1")(x),
            _row(384, 3, name="branch3x3_2a")(three),
            _column(384, 3, name="branch3x3_2b")(three),
            _row(384, 3, name="branch3x3dbl_3a")(double),
            _column(384, 3, name="branch3x3dbl_3b")(double),
            _square(192, 1, name="branch_pool")(self.pool(x)),
        ]
        return jnp.concatenate(branches, axis=-1)


class Inception(nn.Module):
    """Inception-v3 up to its last pooling: images (n, 299, 299, 3) in about [-1, 1] to 2,048 features."""

    @nn.compact
    def __call__(self, x: Float[Array, "n h w 3"]) -> Float[Array, "n 2048"]:
        x = _square(32, 3, stride=2, name="Conv2d_1a_3x3")(x)
        x = _square(32, 3, name="Conv2d_2a_3x3")(x)
        x = _max_pool_halving(_square(64, 3, 1, name="Conv2d_2b_3x3")(x))
        x = _square(80, 1, name="Conv2d_3b_1x1")(x)
        x = _max_pool_halving(_square(192, 3, name="Conv2d_4a_3x3")(x))
        for name, pooled in (("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)):
            x = BlockA(pooled, name=name)(x)
        x = BlockB(name="Mixed_6a")(x)
        for name, width in (("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)):
            x = BlockC(width, name=name)(x)
        x = BlockD(name="Mixed_7a")(x)
        x = BlockE(_mean_pool, name="Mixed_7b")(x)
        x = BlockE(_max_pool, name="Mixed_7c")(x)
        return x.mean(axis=(1, 2))


class InceptionWeights(NamedTuple):
    """The parameters of `Inception` and the SHA-256 of the file that holds them."""

    params: dict
    sha256: str


def default_path() -> Path:
    """Return the default path of the weights: `avlgan_jax/FILE` in the user's cache folder."""
    return user_cache() / FILE


def load_weights(path: Path, sha256: str = SHA256) -> InceptionWeights:
    """Read the weights of `Inception` from a PyTorch file.

    Args:
        path: The file.
        sha256: Expected SHA-256 of the file.

    Raises:
        UserError: The file is missing or has another SHA-256; the message has the URL of the download.
    """
    found = file_sha256(path)
    if found is None:
        raise UserError(f"{path} does not exist, and FID needs Inception's weights; download {URL} to that path")
    if found != sha256:
        raise UserError(f"{path} has SHA-256 {found}, expected {sha256} (weights of FID); download {URL} to that path")
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    return InceptionWeights(
        from_torch({name: np.asarray(tensor.numpy(), np.float64) for name, tensor in state.items()}), found
    )


def from_torch(state: dict[str, np.ndarray]) -> dict:
    """Convert a PyTorch state dict of convolutions and batch norms to parameters of `Inception`.

    Args:
        state: Arrays by their PyTorch names.
    """
    params: dict = {}
    for name in state:
        if not name.endswith(".conv.weight"):
            continue
        layer = name.removesuffix(".conv.weight")
        scale = state[f"{layer}.bn.weight"] / np.sqrt(state[f"{layer}.bn.running_var"] + BATCH_NORM_EPSILON)
        kernel = (state[name] * scale[:, None, None, None]).transpose(2, 3, 1, 0)
        bias = state[f"{layer}.bn.bias"] - state[f"{layer}.bn.running_mean"] * scale
        inner = functools.reduce(lambda tree, part: tree.setdefault(part, {}), layer.split("."), params)
        inner["conv"] = {"kernel": np.asarray(kernel, np.float32), "bias": np.asarray(bias, np.float32)}
    return params


def prepare(images: UInt8[Array, "n h w 3"], mode: Mode) -> Float[Array, "n 299 299 3"]:
    """Resize images to 299 px and scale them to about [-1, 1], the input of the network; see `Mode`."""
    pixels = jnp.asarray(images, jnp.float32)
    shape = (len(pixels), SIDE, SIDE, 3)
    if mode == "clean":
        return (jax.image.resize(pixels, shape, "cubic", antialias=True) - 128.0) / 128.0
    return jax.image.resize(pixels, shape, "linear", antialias=False) / 127.5 - 1.0


def extractor(
    params: dict, mode: Mode, devices: Sequence[jax.Device] = ()
) -> Callable[[UInt8[np.ndarray, "n h w 3"]], Float[np.ndarray, "n 2048"]]:
    """Return a function that computes the features of any number of images.

    Args:
        params: Parameters of `Inception`.
        mode: Resizing of the images.
        devices: Devices to run on, as for `chunks.in_chunks`; by default JAX's first device.
    """

    def network(params: dict, images: UInt8[Array, "n h w 3"]) -> Float[Array, "n 2048"]:
        return Inception().apply({"params": params}, prepare(images, mode))

    return chunks.in_chunks(network, params, (PICTURES_PER_DEVICE,), devices)

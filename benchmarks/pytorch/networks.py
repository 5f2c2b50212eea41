"""The networks of `avlgan_jax.models.networks` in PyTorch, and the copy of JAX weights into them.

Images are (batch, channels, height, width). Layers are registered in the order in which Flax numbers them, so that
`carry_over` finds their weights.
"""

import itertools
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avlgan_jax.faces import landmarks as lm
from benchmarks.pytorch.warp import Geometry


class Condition(NamedTuple):
    """Condition of a generator: emotions (batch, 2), and landmarks (batch, 68, 2) in [-1, 1] if the model uses them."""

    emotions: Tensor
    landmarks: Tensor | None = None
    source: Tensor | None = None
    """Landmarks of the source, for a generator that warps it."""
    geometry: Geometry | None = None
    """What follows from both landmarks, where the caller has it already."""


class Generated(NamedTuple):
    """Output of a generator, and the share that the painter changed at each pixel, (batch, 1, h, w), if it is one."""

    output: Tensor
    change: Tensor | None = None


class DiscriminatorOutput(NamedTuple):
    """Output of a discriminator: logits, emotions, and landmarks if it predicts them."""

    logits: Tensor
    emotions: Tensor
    landmarks: Tensor | None = None


def draw(normalised: Tensor, resolution: int, radius: float = 0.012) -> Tensor:
    """Return the landmark image (batch, 1, h, w), computed as in `landmarks.draw`."""
    sigma = max(radius * resolution, 0.6)
    centres = torch.arange(resolution, device=normalised.device) + 0.5
    points = (normalised + 1.0) * (resolution / 2.0)
    falloff = torch.exp(-0.5 * torch.square((centres - points[..., None]) / sigma))
    ink = (falloff[:, :, 1, :, None] * falloff[:, :, 0, None, :]).amax(dim=1)
    return (1.0 - 2.0 * ink)[:, None]


def tile(emotions: Tensor, side: int) -> Tensor:
    """Return the emotion of each example at every pixel, (batch, 2, side, side)."""
    return emotions[:, :, None, None].expand(-1, -1, side, side)


def instance_norm(channels: int) -> nn.Module:
    """Return the norm that public code uses."""
    return nn.InstanceNorm2d(channels, affine=True)


def channel_norm(channels: int) -> nn.Module:
    """Return the same norm as groups of one channel, which on a CPU keeps the layout channels last."""
    return nn.GroupNorm(channels, channels)


class EncoderDecoder(nn.Module):
    """`networks.encode_and_decode`: the layers of StarGAN's generator."""

    def __init__(
        self, inputs: int, width: int, blocks: int, outputs: int, norm: Callable[[int], nn.Module] = instance_norm
    ):
        super().__init__()
        deep = 4 * width

        def layer(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 1, kind=nn.Conv2d):
            return nn.Sequential(kind(inputs, outputs, kernel, stride, padding, bias=False), norm(outputs))

        self.down = nn.ModuleList(
            [layer(inputs, width, 7, padding=3), layer(width, 2 * width, 4, 2), layer(2 * width, deep, 4, 2)]
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(layer(deep, deep, 3), nn.ReLU(), layer(deep, deep, 3)) for _ in range(blocks)
        )
        up = nn.ConvTranspose2d
        self.up = nn.ModuleList([layer(deep, 2 * width, 4, 2, kind=up), layer(2 * width, width, 4, 2, kind=up)])
        self.last = nn.Conv2d(width, outputs, 7, 1, 3, bias=False)

    def forward(self, y: Tensor) -> Tensor:
        for layer in self.down:
            y = F.relu(layer(y))
        for block in self.blocks:
            y = y + block(y)
        for layer in self.up:
            y = F.relu(layer(y))
        return self.last(y).float()


class ImageGenerator(nn.Module):
    """`networks.ImageGenerator` without a mask."""

    def __init__(self, width: int, blocks: int):
        super().__init__()
        self.body = EncoderDecoder(6, width, blocks, 3)

    def forward(self, x: Tensor, condition: Condition) -> Generated:
        side = x.shape[-1]
        y = torch.cat([x, tile(condition.emotions, side), draw(condition.landmarks, side)], dim=1)
        return Generated(torch.tanh(self.body(y)))


class ImageDiscriminator(nn.Module):
    """`networks.ImageDiscriminator` with the landmark head."""

    def __init__(self, width: int, layers: int, side: int):
        super().__init__()
        widths = [3, *(width * 2**layer for layer in range(layers))]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise(widths))
        self.logits = nn.Conv2d(widths[-1], 1, 3, 1, 1, bias=False)
        self.labels = nn.Conv2d(widths[-1], 2 + 2 * lm.COUNT, side // 2**layers, bias=False)

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.01)
        labels = self.labels(x).flatten(1).float()
        return DiscriminatorOutput(self.logits(x)[:, 0].float(), labels[:, :2], labels[:, 2:].reshape(-1, lm.COUNT, 2))


class LandmarkGenerator(nn.Module):
    """`networks.LandmarkGenerator` with a dense body."""

    def __init__(self, width: int, blocks: int, residual: bool = False):
        super().__init__()
        self.residual = residual
        self.first = nn.Linear(2 * lm.COUNT + 2, width)
        # Flax numbers a block's second layer before its first.
        self.blocks = nn.ModuleList(
            nn.ModuleDict({"outer": nn.Linear(width, width), "inner": nn.Linear(width, width)}) for _ in range(blocks)
        )
        self.last = nn.Linear(width, 2 * lm.COUNT)

    def forward(self, x: Tensor, condition: Condition) -> Generated:
        y = F.relu(self.first(torch.cat([x.flatten(1), condition.emotions], dim=1)))
        for block in self.blocks:
            y = y + block["outer"](F.relu(block["inner"](y)))
        y = self.last(F.relu(y)).reshape(-1, lm.COUNT, 2)
        return Generated(x + y if self.residual else y)


class LandmarkDiscriminator(nn.Module):
    """`networks.LandmarkDiscriminator` with a dense body."""

    def __init__(self, width: int, layers: int):
        super().__init__()
        widths = [2 * lm.COUNT, *(width for _ in range(layers))]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.heads = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> DiscriminatorOutput:
        x = x.flatten(1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.01)
        heads = self.heads(x)
        return DiscriminatorOutput(heads[:, :1], heads[:, 1:])


def carry_over(module: nn.Module, params: dict) -> None:
    """Copy a Flax network's parameters into its PyTorch counterpart.

    Layers whose Flax name is a kind and a number are matched in the order of the numbers; other layers by name.
    """
    numbered: dict[str, list[dict]] = {}
    for name in sorted(params, key=lambda name: int("".join(re.findall(r"\d+$", name)) or 0)):
        numbered.setdefault(name.rpartition("_")[0] or name, []).append(params[name])
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            source = params[name] if name in params else numbered["Conv"].pop(0)
            # (h, w, in, out) becomes (out, in, h, w), or (in, out, h, w) for a transposed convolution.
            order = (2, 3, 0, 1) if isinstance(layer, nn.ConvTranspose2d) else (3, 2, 0, 1)
            _copy(layer.weight, np.transpose(source["kernel"], order))
        elif isinstance(layer, nn.Linear):
            source = numbered["Dense"].pop(0)
            _copy(layer.weight, np.transpose(source["kernel"]))
        elif isinstance(layer, nn.InstanceNorm2d | nn.GroupNorm):
            source = numbered["InstanceNorm"].pop(0)
            _copy(layer.weight, source["scale"])
        else:
            continue
        if layer.bias is not None:
            _copy(layer.bias, source["bias"])


def _copy(to: Tensor, values) -> None:
    with torch.no_grad():
        to.copy_(torch.from_numpy(np.array(values)))

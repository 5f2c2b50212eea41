"""The painter of `avlgan_jax.models.painter` in PyTorch: it warps a face by its landmarks, then paints what is new."""

import torch
from torch import Tensor, nn

from avlgan_jax.models.painter import SHADING
from benchmarks.pytorch.networks import Condition, EncoderDecoder, Generated, channel_norm, draw, instance_norm, tile
from benchmarks.pytorch.warp import Warp, sample


class Painter(nn.Module):
    """`painter.Painter` for images of one side.

    Args:
        width: Channels of the first layer.
        blocks: Residual blocks.
        side: Side of the images in pixels.
        channels_last: Whether to use the norm that is faster with channels last.
    """

    def __init__(self, width: int, blocks: int, side: int, channels_last: bool = False):
        super().__init__()
        self.warp = Warp(side)
        self.body = EncoderDecoder(10, width, blocks, 5, channel_norm if channels_last else instance_norm)

    def forward(self, x: Tensor, condition: Condition) -> Generated:
        given = condition.geometry
        if given is None:
            given = self.warp(condition.source, condition.landmarks)
        warped, side = sample(x, given.grid), x.shape[-1]
        channels = [
            warped,
            10.0 * given.displacement,
            given.area - 1.0,
            given.revealed,
            draw(condition.landmarks, side),
            tile(condition.emotions, side),
        ]
        y = self.body(torch.cat(channels, dim=1))
        painted = torch.tanh(y[:, :3])
        mask = given.face * (given.revealed + (1.0 - given.revealed) * torch.sigmoid(y[:, 3:4] - 2.0))
        shading = given.face * torch.tanh(y[:, 4:])
        shaded = ((warped + 1.0) * torch.exp(SHADING * shading) - 1.0).clamp(-1.0, 1.0)
        change = mask + (1.0 - mask) * shading.abs()
        return Generated(mask * painted + (1.0 - mask) * shaded, change)

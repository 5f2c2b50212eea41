"""The geometry of `avlgan_jax.models.painter` in PyTorch: the flow between two sets of landmarks, and what follows.

Nothing here is differentiated: landmarks are constants of a step, and only the sampled image has a gradient.

Three things are computed in other ways than in JAX, because they are faster here:
squared distances to the pixels are sums over an axis of columns and one of rows; slopes are matrix products; and the
coefficients come from a Cholesky factorisation, where `warp.ITERATIONS` steps of conjugate gradients come near them.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avlgan_jax.faces import openings, warp

RINGS = (openings.INNER_LIPS, openings.RIGHT_EYE, openings.LEFT_EYE)


class Geometry(NamedTuple):
    """What a painter takes from the landmarks; `painter.Geometry` without the image and without unused channels."""

    grid: Tensor
    """Where each pixel of the output comes from, (batch, h, w, 2), for `grid_sample`."""
    displacement: Tensor
    """Source minus target position of each pixel, (batch, 2, h, w), in [-1, 1] units."""
    area: Tensor
    """Area of source pixels per area of the output, (batch, 1, h, w), cut to [-1, 3]."""
    revealed: Tensor
    """Where a mouth or an eye has opened, (batch, 1, h, w), from 0 to 1."""
    face: Tensor
    """1 in the face, and 0 in the background, (batch, 1, h, w)."""


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Return `warp.sample` of images (batch, channels, h, w)."""
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


class Warp(nn.Module):
    """The geometry on the pixels of images of a side, with all that depends on the side alone."""

    def __init__(self, side: int):
        super().__init__()
        self.side = side
        axis = (torch.arange(side) + 0.5) * (2.0 / side) - 1.0
        y, x = (part.flatten() for part in torch.meshgrid(axis, axis, indexing="ij"))
        pixels = torch.stack([x, y]).requires_grad_()
        # `amax` divides its gradient among equal values, as JAX does: on the diagonals of the image.
        fade = _smooth_step((warp.BORDER - pixels.abs().amax(dim=0)) / warp.FADE)
        (fade_slope,) = torch.autograd.grad(fade.sum(), pixels)
        directions = torch.from_numpy(warp.DIRECTIONS)
        for name, value in {
            "axis": axis,
            "pixels": pixels.detach(),
            "fade": fade.detach(),
            "fade_slope": fade_slope,
            "directions": directions,
            "projections": directions @ pixels.detach(),
        }.items():
            self.register_buffer(name, value, persistent=False)

    @torch.no_grad()
    def forward(self, source: Tensor, target: Tensor) -> Geometry:
        """Return the geometry of faces that move from landmarks `source` to `target`, both (batch, 68, 2)."""
        with torch.autocast(source.device.type, enabled=False):
            weights = _coefficients(source, target)
            moved, along_x, along_y = self._sums(weights, target)
            face, face_slope = self._face(source, target)
            inside = self.fade * face
            rise = self.fade_slope * face[:, None] + self.fade * face_slope
            along_x = inside[:, None] * along_x + rise[:, :1] * moved
            along_y = inside[:, None] * along_y + rise[:, 1:] * moved
            area = (1.0 + along_x[:, 0]) * (1.0 + along_y[:, 1]) - along_x[:, 1] * along_y[:, 0]
            moved = inside[:, None] * moved
            revealed = self._revealed(source, target, moved)
        side = self.side
        grid = (self.pixels + moved).mT.reshape(-1, side, side, 2)
        return Geometry(
            grid,
            moved.reshape(-1, 2, side, side),
            area.clamp(-1.0, 3.0).reshape(-1, 1, side, side),
            revealed.reshape(-1, 1, side, side),
            face.reshape(-1, 1, side, side),
        )

    def _sums(self, weights: Tensor, centres: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the sum of the kernels at each pixel, and its slopes along x and y, each (batch, 2, pixels)."""
        squares = (self.axis - centres[..., None]).square_()  # (batch, 68, xy, side)
        distance = (squares[:, :, 1, :, None] + squares[:, :, 0, None, :]).add_(1e-12).sqrt_().flatten(2)
        kernel, slope = _kernel_and_slope(distance)
        weights = weights.mT
        moved = weights @ kernel
        # sum_k w_k slope_k(p) (p - centre_k) is p times one product less another.
        products = torch.cat([weights, weights * centres.mT[:, :1], weights * centres.mT[:, 1:]], dim=1) @ slope
        plain, by_x, by_y = products.chunk(3, dim=1)
        return moved, self.pixels[0] * plain - by_x, self.pixels[1] * plain - by_y

    def _face(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return `warp.face`, (batch, pixels), and its slope, (batch, xy, pixels)."""
        outline = torch.cat([source, target, _forehead(source), _forehead(target)], dim=1)
        reach = (outline @ self.directions.mT).amax(dim=1)
        margin = warp.FACE_MARGIN * _eye_distance(source)[:, None]
        inside, nearest = (reach[..., None] - self.projections).min(dim=1)
        rise = (1.0 + inside / margin).clamp_(0.0, 1.0)
        steepness = -6.0 * rise * (1.0 - rise) / margin
        slope = steepness[:, None] * self.directions[nearest].movedim(-1, 1)
        return _smooth_step(rise), slope

    def _revealed(self, source: Tensor, target: Tensor, moved: Tensor) -> Tensor:
        """Return `openings.revealed` with edges that are a pixel wide, (batch, pixels)."""
        sharpness, found = 4.0 * self.side / 2.0, None
        for ring in RINGS:
            now = torch.sigmoid(sharpness * _opening(target, ring, self.pixels[None]))
            closed = torch.sigmoid(-sharpness * _opening(source, ring, self.pixels + moved))
            found = now * closed if found is None else torch.maximum(found, now * closed)
        return found


def without_similarity(source: Tensor, moved: Tensor) -> Tensor:
    """Return `warp.without_similarity` of landmarks (batch, 68, 2)."""
    from_points, to_points = moved[:, warp.RIGID], source[:, warp.RIGID]
    from_mean, to_mean = from_points.mean(dim=1, keepdim=True), to_points.mean(dim=1, keepdim=True)
    a, b = from_points - from_mean, to_points - to_mean
    power = a.square().sum(dim=(1, 2)).clamp(min=1e-12)
    c = (a * b).sum(dim=(1, 2)) / power
    s = (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum(dim=1) / power
    turn = torch.stack([torch.stack([c, s], dim=-1), torch.stack([-s, c], dim=-1)], dim=1)
    return (moved - from_mean) @ turn + to_mean


def _coefficients(source: Tensor, target: Tensor) -> Tensor:
    """Return the coefficients of `warp.fit`, (batch, 68, 2)."""
    difference = target[:, :, None] - target[:, None]
    kernel, _ = _kernel_and_slope((difference.square().sum(dim=-1) + 1e-12).sqrt())
    kernel.diagonal(dim1=1, dim2=2).add_(warp.RIDGE)
    return torch.cholesky_solve(source - target, torch.linalg.cholesky(kernel))


def _kernel_and_slope(distance: Tensor) -> tuple[Tensor, Tensor]:
    """Return `warp._kernel` and `warp._kernel_slope` of distances of any shape, whose memory it uses.

    The arrays are the largest of a step, and each new one would be read from memory again.
    """
    decay = torch.exp(distance * (-(3.0**0.5) / warp.LENGTH))
    grown = (distance * (3.0**0.5 / warp.LENGTH)).add_(1.0).mul_(decay)
    ratio = distance.mul_(1.0 / warp.SUPPORT)
    left = (1.0 - ratio).clamp_(min=0.0)
    cubed = (left * left).mul_(left)
    cut = ratio.mul_(4.0).add_(1.0).mul_(left).mul_(cubed)
    slope = decay.mul_(cut).mul_(-3.0 / warp.LENGTH**2).addcmul_(grown, cubed, value=-20.0 / warp.SUPPORT**2)
    return grown.mul_(cut), slope


def _opening(landmarks: Tensor, ring: tuple[int, ...], points: Tensor) -> Tensor:
    """Return `openings.opening` of points (batch or 1, xy, n): the distance to a ring, negative outside."""
    corners = landmarks[:, ring]
    edge = corners.roll(-1, dims=1) - corners
    edge_x, edge_y = edge[..., :1], edge[..., 1:]
    to_x, to_y = points[:, :1] - corners[..., :1], points[:, 1:] - corners[..., 1:]
    squared_length = edge.square().sum(dim=-1, keepdim=True).clamp(min=1e-9)
    along = ((to_x * edge_x + to_y * edge_y) / squared_length).clamp_(0.0, 1.0)
    squares = (to_x - along * edge_x).square_() + (to_y - along * edge_y).square_()
    distance = (squares.amin(dim=1) + 1e-12).sqrt_()
    straddles = (to_y < 0.0) != (to_y < edge_y)
    crossing = to_y * (edge_x / torch.where(edge_y.abs() < 1e-9, 1e-9, edge_y))
    odd = (straddles & (to_x < crossing)).sum(dim=1) % 2 == 1
    return torch.where(odd, distance, -distance)


def _forehead(landmarks: Tensor) -> Tensor:
    """Return `warp.forehead` of landmarks (batch, 68, 2)."""
    brows = landmarks[:, 17:27]
    return brows + brows.mean(dim=1, keepdim=True) - landmarks[:, 33:34]


def _eye_distance(landmarks: Tensor) -> Tensor:
    """Return the distance of the outer eye corners, (batch,)."""
    return ((landmarks[:, 36] - landmarks[:, 45]).square().sum(dim=-1) + 1e-12).sqrt()


def _smooth_step(x: Tensor) -> Tensor:
    """Return 0 for `x` of 0 or less, 1 for 1 or more, and a smooth rise between."""
    x = x.clamp(0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)

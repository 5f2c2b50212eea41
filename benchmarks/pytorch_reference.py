"""PyTorch reference of the landmark and image converters of preset `paper`, for comparison with the JAX ones.

The networks, losses, optimizer and batches are the same, and `carry_over` copies the weights, so both sides compute the
same step. There are two forms:

- `eager` follows public StarGAN code: float32, separate passes of D over real and generated images, and a second pass
  of G for the update of G.
- `best` is the fastest that PyTorch offers: one pass of G for both updates, one call of D for real and generated
  images, D's weights frozen during the update of G, channels last, a fused Adam, and on a GPU `torch.compile` and,
  unless another precision is asked for, bfloat16 autocast.
"""

import contextlib
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avlgan_jax.config import AdversarialTraining, Config, ImageTraining, LandmarkTraining
from avlgan_jax.data.batches import Batch
from avlgan_jax.faces import landmarks as lm

Form = Literal["eager", "best"]
Precision = Literal["float32", "TF32", "bfloat16"]


class Condition(NamedTuple):
    """Condition of a generator: emotions (batch, 2), and landmarks (batch, 68, 2) in [-1, 1] if the model uses them."""

    emotions: Tensor
    landmarks: Tensor | None = None


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


class ImageGenerator(nn.Module):
    """`networks.ImageGenerator` without a mask. Layers are registered in the order in which Flax numbers them."""

    def __init__(self, width: int, blocks: int):
        super().__init__()
        deep = 4 * width

        def layer(inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 1, kind=nn.Conv2d):
            convolution = kind(inputs, outputs, kernel, stride, padding, bias=False)
            return nn.Sequential(convolution, nn.InstanceNorm2d(outputs, affine=True))

        self.down = nn.ModuleList(
            [layer(6, width, 7, padding=3), layer(width, 2 * width, 4, 2), layer(2 * width, deep, 4, 2)]
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(layer(deep, deep, 3), nn.ReLU(), layer(deep, deep, 3)) for _ in range(blocks)
        )
        up = nn.ConvTranspose2d
        self.up = nn.ModuleList([layer(deep, 2 * width, 4, 2, kind=up), layer(2 * width, width, 4, 2, kind=up)])
        self.last = nn.Conv2d(width, 3, 7, 1, 3, bias=False)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        side = x.shape[-1]
        tiled = condition.emotions[:, :, None, None].expand(-1, -1, side, side)
        y = torch.cat([x, tiled, draw(condition.landmarks, side)], dim=1)
        for layer in self.down:
            y = F.relu(layer(y))
        for block in self.blocks:
            y = y + block(y)
        for layer in self.up:
            y = F.relu(layer(y))
        return torch.tanh(self.last(y).float())


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
    """`networks.LandmarkGenerator` with a dense body, without the residual connection from input to output."""

    def __init__(self, width: int, blocks: int):
        super().__init__()
        self.first = nn.Linear(2 * lm.COUNT + 2, width)
        # Flax numbers a block's second layer before its first.
        self.blocks = nn.ModuleList(
            nn.ModuleDict({"outer": nn.Linear(width, width), "inner": nn.Linear(width, width)}) for _ in range(blocks)
        )
        self.last = nn.Linear(width, 2 * lm.COUNT)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        y = F.relu(self.first(torch.cat([x.flatten(1), condition.emotions], dim=1)))
        for block in self.blocks:
            y = y + block["outer"](F.relu(block["inner"](y)))
        return self.last(F.relu(y)).reshape(-1, lm.COUNT, 2)


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
        elif isinstance(layer, nn.InstanceNorm2d):
            source = numbered["InstanceNorm"].pop(0)
            _copy(layer.weight, source["scale"])
        else:
            continue
        if layer.bias is not None:
            _copy(layer.bias, source["bias"])


def _copy(to: Tensor, values) -> None:
    with torch.no_grad():
        to.copy_(torch.from_numpy(np.array(values)))


class Reference:
    """One converter in PyTorch, with its optimizers.

    Args:
        generator: G, with the initial weights.
        discriminator: D, with the initial weights.
        training: The converter's section of the config.
        view: Maps a batch to the source, its own condition and the target condition.
        form: "eager" or "best", as described in this module.
        device: "cpu" or "cuda".
        precision: Precision of convolutions and matrix products; None for the form's own. bfloat16 is for images only.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        training: AdversarialTraining,
        view: Callable[[Batch], tuple[Tensor, Condition, Condition]],
        form: Form,
        device: str,
        precision: Precision | None = None,
    ):
        self.training, self.view, self.form, self.device = training, view, form, device
        pictures = isinstance(training, ImageTraining)
        best_on_gpu = form == "best" and device == "cuda"
        layout = torch.channels_last if form == "best" and pictures else torch.contiguous_format
        self.layout = layout if pictures else None
        self.generator = generator.to(device, memory_format=layout)
        self.discriminator = discriminator.to(device, memory_format=layout)
        rates = {"lr": training.learning_rate, "betas": (training.beta1, training.beta2)}
        self.optimizers = [
            torch.optim.Adam(network.parameters(), **rates, fused=form == "best")
            for network in (self.generator, self.discriminator)
        ]
        self.g, self.d = self.generator, self.discriminator
        if best_on_gpu:
            self.g, self.d = torch.compile(self.generator), torch.compile(self.discriminator)
        self.precision = precision or ("bfloat16" if best_on_gpu else None)
        half = self.precision == "bfloat16" and pictures
        self.autocast = (lambda: torch.autocast(device, torch.bfloat16)) if half else contextlib.nullcontext

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Update D, then G, on a batch of NumPy arrays.

        Returns:
            The losses, with the names `d/...` and `g/...` that `converter.Converter.step` gives them.
        """
        if self.precision is not None:
            torch.backends.cuda.matmul.allow_tf32 = self.precision != "float32"
            torch.backends.cudnn.allow_tf32 = self.precision != "float32"
        real, own, target = self.view(batch)
        if self.layout is not None:
            real = real.contiguous(memory_format=self.layout)
        update = self._eager if self.form == "eager" else self._best
        return update(real, own, target)

    def _eager(self, real: Tensor, own: Condition, target: Condition) -> dict[str, Tensor]:
        """Update D, then G, as public StarGAN code does."""
        with self.autocast():
            with torch.no_grad():
                fake = self.g(real, target)
            d_losses = self._discriminator_losses(self.d(real), self.d(fake), own)
        self._update(1, d_losses["d/loss"])
        with self.autocast():
            generated = self.g(real, target)
            g_losses = self._generator_losses(real, generated, own, target)
        self._update(0, g_losses["g/loss"])
        return d_losses | g_losses

    def _best(self, real: Tensor, own: Condition, target: Condition) -> dict[str, Tensor]:
        """Update D, then G, with one pass of G for both."""
        with self.autocast():
            generated = self.g(real, target)
            both = self.d(torch.cat([real, generated.detach()]))
            on_real, on_fake = (DiscriminatorOutput(*(_half(leaf, half) for leaf in both)) for half in (0, 1))
            d_losses = self._discriminator_losses(on_real, on_fake, own)
        self._update(1, d_losses["d/loss"])
        with _frozen(self.discriminator), self.autocast():
            g_losses = self._generator_losses(real, generated, own, target)
        self._update(0, g_losses["g/loss"])
        return d_losses | g_losses

    def _discriminator_losses(
        self, on_real: DiscriminatorOutput, on_fake: DiscriminatorOutput, own: Condition
    ) -> dict[str, Tensor]:
        t = self.training
        parts = {
            "adversarial": -F.logsigmoid(on_real.logits).mean() - F.logsigmoid(-on_fake.logits).mean(),
            "emotion": F.mse_loss(on_real.emotions, own.emotions),
        }
        loss = parts["adversarial"] + t.emotion_weight * parts["emotion"]
        if on_real.landmarks is not None:
            parts["landmark"] = F.l1_loss(on_real.landmarks, own.landmarks)
            loss = loss + t.landmark_weight * parts["landmark"]
        return {f"d/{name}": value for name, value in (parts | {"loss": loss}).items()}

    def _generator_losses(
        self, real: Tensor, generated: Tensor, own: Condition, target: Condition
    ) -> dict[str, Tensor]:
        t, output = self.training, self.d(generated)
        parts = {
            "adversarial": F.logsigmoid(-output.logits).mean(),
            "emotion": F.mse_loss(output.emotions, target.emotions),
            "reconstruction": F.l1_loss(self.g(generated, own), real),
        }
        weights = {"adversarial": 1.0, "emotion": t.emotion_weight, "reconstruction": t.reconstruction_weight}
        if output.landmarks is not None:
            parts["landmark"] = F.l1_loss(output.landmarks, target.landmarks)
            weights["landmark"] = t.landmark_weight
        if isinstance(t, LandmarkTraining):
            distances = torch.abs(_feature_centres(real) - _feature_centres(generated))
            parts["centre"] = distances.sum(dim=(-2, -1)).mean()
            weights["centre"] = t.centre_weight
        loss = sum(weights[name] * value for name, value in parts.items())
        return {f"g/{name}": value for name, value in (parts | {"loss": loss}).items()}

    def _update(self, index: int, loss: Tensor) -> None:
        """Take one optimizer step of G (0) or D (1)."""
        self.optimizers[index].zero_grad(set_to_none=True)
        loss.backward()
        self.optimizers[index].step()


def image_reference(
    config: Config, state, form: Form, device: str = "cpu", precision: Precision | None = None
) -> Reference:
    """Return the image converter of a config, with weights copied from a JAX state, including the landmark converter's.

    Args:
        config: The config.
        state: State of the JAX image converter (`converter.State`).
        form: "eager" or "best", as described in this module.
        device: "cpu" or "cuda".
        precision: As for `Reference`.

    Raises:
        ValueError: If this module does not implement the config.
    """
    section = config.image
    _require(section.adversarial_loss == "minimax" and not section.masked and section.use_landmarks)
    _require(config.landmark.body == "dense" and not config.landmark.residual and config.landmark_dimensions == 2)
    generator = ImageGenerator(section.width, section.blocks)
    discriminator = ImageDiscriminator(section.d_width, section.d_layers, config.resolution)
    through = LandmarkGenerator(config.landmark.width, config.landmark.blocks)
    for module, params in (
        (generator, state.generator),
        (discriminator, state.discriminator),
        (through, state.frozen),
    ):
        carry_over(module, params)
    through.to(device)

    def view(batch: Batch) -> tuple[Tensor, Condition, Condition]:
        landmarks, emotions, targets = _tensors(batch, device)
        pixels = torch.from_numpy(np.asarray(batch.images)).to(device, non_blocking=True)
        real = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1.0
        with torch.no_grad():
            converted = through(landmarks, Condition(targets))
        return real, Condition(emotions, landmarks), Condition(targets, converted)

    return Reference(generator, discriminator, section, view, form, device, precision)


def landmark_reference(config: Config, state, form: Form, device: str = "cpu") -> Reference:
    """Return the landmark converter of a config, with weights copied from a JAX state.

    Args:
        config: The config.
        state: State of the JAX landmark converter (`converter.State`).
        form: "eager" or "best", as described in this module.
        device: "cpu" or "cuda".

    Raises:
        ValueError: If this module does not implement the config.
    """
    section = config.landmark
    _require(section.adversarial_loss == "minimax" and section.body == "dense" and not section.residual)
    _require(config.landmark_dimensions == 2)
    generator = LandmarkGenerator(section.width, section.blocks)
    discriminator = LandmarkDiscriminator(section.width, section.d_layers)
    carry_over(generator, state.generator)
    carry_over(discriminator, state.discriminator)

    def view(batch: Batch) -> tuple[Tensor, Condition, Condition]:
        landmarks, emotions, targets = _tensors(batch, device)
        return landmarks, Condition(emotions), Condition(targets)

    return Reference(generator, discriminator, section, view, form, device)


def _tensors(batch: Batch, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return landmarks, emotions and targets on the device."""
    return tuple(
        torch.from_numpy(np.asarray(leaf)).to(device, non_blocking=True)
        for leaf in (batch.landmarks, batch.emotions, batch.targets)
    )


def _feature_centres(points: Tensor) -> Tensor:
    """Return the centres of the facial features (equation 4)."""
    return torch.stack([points[:, group].mean(dim=1) for group in lm.GROUPS.values()], dim=1)


def _half(leaf: Tensor | None, half: int) -> Tensor | None:
    """Return the first (0) or the second (1) half of a batch."""
    return None if leaf is None else leaf.chunk(2)[half]


@contextlib.contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Compute no gradients of a module's weights in the `with` block."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def _require(holds: bool) -> None:
    """Raise ValueError if the config is not supported."""
    if not holds:
        raise ValueError("the PyTorch reference supports preset `paper` only: minimax, unmasked, dense 2-D landmarks")

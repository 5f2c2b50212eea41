"""A converter's training step in PyTorch, for comparison with `avlgan_jax.models.converter`.

The networks, losses, optimizer, moving average and batch are the same, and `carry_over` copies the weights, so both
sides compute the same step. There are three forms:

- `eager` follows public StarGAN code: float32, separate passes of D over real and generated images, and a second pass
  of G for the update of G.
- `best` is the fastest that PyTorch offers without a compiler: one pass of G for both updates, one call of D for all
  images of an update, D's weights frozen during the update of G, channels last, and a fused Adam. On a GPU it has
  `torch.compile` too and, unless another precision is asked for, bfloat16 autocast.
- `compiled` is `best` with `torch.compile` on a CPU too.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from avlgan_jax.config import AdversarialTraining, ImageTraining, LandmarkTraining
from avlgan_jax.data.batches import Batch
from avlgan_jax.faces import landmarks as lm
from benchmarks.pytorch.networks import Condition, DiscriminatorOutput, Generated

Form = Literal["eager", "best", "compiled"]
Precision = Literal["float32", "TF32", "bfloat16"]
Losses = dict[str, Tensor]


def compiles(form: Form, device: str) -> bool:
    """Return whether a form runs under `torch.compile` on a device, "cpu" or "cuda"."""
    return form == "compiled" or (form == "best" and device == "cuda")


class Reference:
    """One converter in PyTorch, with its optimizers and the moving average of G's weights.

    Every face has both labels, and the learning rate is that of the first epoch.

    Args:
        generator: G, with the initial weights.
        discriminator: D, with the initial weights.
        training: The converter's section of the config.
        view: Maps a batch to the source, its own condition and the target condition.
        form: As described in this module.
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
        layout = torch.contiguous_format if form == "eager" or not pictures else torch.channels_last
        self.layout = layout if pictures else None
        self.generator = generator.to(device, memory_format=layout)
        self.discriminator = discriminator.to(device, memory_format=layout)
        betas, rate = (training.beta1, training.beta2), training.learning_rate
        self.optimizers = [
            torch.optim.Adam(network.parameters(), lr=lr, betas=betas, fused=form != "eager")
            for network, lr in ((self.generator, rate), (self.discriminator, rate * training.d_rate_factor))
        ]
        self.averages = [weights.detach().clone() for weights in generator.parameters()] if training.ema_decay else []
        self.updates = 0
        self.g, self.d = self.generator, self.discriminator
        if compiles(form, device):
            # Both are called with batches of several sizes. Each size gets a program of its own, which is faster.
            self.g, self.d = (torch.compile(network, dynamic=False) for network in (self.g, self.d))
        self.precision = precision or ("bfloat16" if form != "eager" and device == "cuda" else None)
        half = self.precision == "bfloat16" and pictures
        self.autocast = (lambda: torch.autocast(device, torch.bfloat16)) if half else contextlib.nullcontext

    def step(self, batch: Batch) -> Losses:
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
        losses = update(real, own, target)
        self._average()
        return losses

    def _eager(self, real: Tensor, own: Condition, target: Condition) -> Losses:
        """Update D, then G, as public StarGAN code does."""
        with self.autocast():
            with torch.no_grad():
                fake = self.g(real, target).output
            d_losses = self._discriminator_losses(self._read(real), self.d(fake).logits, own)
        self._update(1, d_losses["d/loss"])
        with self.autocast():
            generated = self.g(real, target)
            g_losses = self._generator_losses(real, generated, self._read(generated.output), own, target)
        self._update(0, g_losses["g/loss"])
        return d_losses | g_losses

    def _best(self, real: Tensor, own: Condition, target: Condition) -> Losses:
        """Update D, then G, with one pass of G for both."""
        with self.autocast():
            generated = self.g(real, target)
            d_losses = self._discriminator_losses(*self._read_both(real, generated.output.detach()), own)
        self._update(1, d_losses["d/loss"])
        with _frozen(self.discriminator), self.autocast():
            output = self._read_at_once(generated.output)
            g_losses = self._generator_losses(real, generated, output, own, target)
        self._update(0, g_losses["g/loss"])
        return d_losses | g_losses

    @property
    def _reads_blurred(self) -> bool:
        """Whether D predicts emotions and landmarks from blurred images."""
        return getattr(self.training, "read_blurred", False)

    def _read(self, x: Tensor) -> DiscriminatorOutput:
        """Return D's output for sources, in a pass for each kind of image."""
        output = self.d(x)
        return self.d(blurred(x))._replace(logits=output.logits) if self._reads_blurred else output

    def _read_at_once(self, x: Tensor) -> DiscriminatorOutput:
        """Return D's output for sources, in one pass."""
        if not self._reads_blurred:
            return self.d(x)
        sharp, soft = _parts(self.d(torch.cat([x, blurred(x)])), 2)
        return soft._replace(logits=sharp.logits)

    def _read_both(self, real: Tensor, fake: Tensor) -> tuple[DiscriminatorOutput, Tensor]:
        """Return D's output for real sources and its logits for generated ones, in one pass."""
        if not self._reads_blurred:
            on_real, on_fake = _parts(self.d(torch.cat([real, fake])), 2)
            return on_real, on_fake.logits
        # D learns no labels of generated images, so these are not blurred.
        sharp, on_fake, soft = _parts(self.d(torch.cat([real, fake, blurred(real)])), 3)
        return soft._replace(logits=sharp.logits), on_fake.logits

    def _discriminator_losses(self, on_real: DiscriminatorOutput, fake_logits: Tensor, own: Condition) -> Losses:
        t = self.training
        parts = {
            "adversarial": -F.logsigmoid(on_real.logits).mean() - F.logsigmoid(-fake_logits).mean(),
            "emotion": F.mse_loss(on_real.emotions, own.emotions),
        }
        loss = parts["adversarial"] + t.emotion_weight * parts["emotion"]
        if on_real.landmarks is not None:
            parts["landmark"] = F.l1_loss(on_real.landmarks, own.landmarks)
            loss = loss + t.landmark_weight * parts["landmark"]
        return {f"d/{name}": value for name, value in (parts | {"loss": loss}).items()}

    def _generator_losses(
        self, real: Tensor, generated: Generated, output: DiscriminatorOutput, own: Condition, target: Condition
    ) -> Losses:
        t, logits = self.training, output.logits
        saturates = t.adversarial_loss == "minimax"
        parts = {
            "adversarial": F.logsigmoid(-logits).mean() if saturates else -F.logsigmoid(logits).mean(),
            "emotion": F.mse_loss(output.emotions, target.emotions),
            "reconstruction": F.l1_loss(self.g(generated.output, own).output, real),
        }
        weights = {"adversarial": 1.0, "emotion": t.emotion_weight, "reconstruction": t.reconstruction_weight}
        if output.landmarks is not None:
            parts["landmark"] = F.l1_loss(output.landmarks, target.landmarks)
            weights["landmark"] = t.g_landmark_factor * t.landmark_weight
        if isinstance(t, LandmarkTraining):
            distances = torch.abs(_feature_centres(real) - _feature_centres(generated.output))
            parts["centre"] = distances.sum(dim=(-2, -1)).mean()
            weights["centre"] = t.centre_weight
        if generated.change is not None:
            parts["mask"] = generated.change.mean()
            weights["mask"] = t.mask_weight
        # A loss with weight 0 is only reported.
        loss = sum(weights[name] * value for name, value in parts.items() if weights[name])
        return {f"g/{name}": value for name, value in (parts | {"loss": loss}).items()}

    def _update(self, index: int, loss: Tensor) -> None:
        """Take one optimizer step of G (0) or D (1)."""
        self.optimizers[index].zero_grad(set_to_none=True)
        loss.backward()
        self.optimizers[index].step()

    @torch.no_grad()
    def _average(self) -> None:
        """Update the moving average of G's weights, as `optimizers.moving_average` does."""
        kept = min(self.training.ema_decay, (1.0 + self.updates) / (10.0 + self.updates))
        self.updates += 1
        if not self.averages:
            return
        weights = [each.detach() for each in self.generator.parameters()]
        if self.form == "eager":
            for mean, new in zip(self.averages, weights, strict=True):
                mean.lerp_(new, 1.0 - kept)
        else:
            torch._foreach_lerp_(self.averages, weights, 1.0 - kept)


def blurred(images: Tensor) -> Tensor:
    """Return images (batch, channels, h, w) under the filter of `converter._blurred`: [1 2 1] / 4 along both axes."""
    channels = images.shape[1]
    line = images.new_tensor([0.25, 0.5, 0.25])
    kernel = (line[:, None] * line).expand(channels, 1, 3, 3)
    return F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)


def _feature_centres(points: Tensor) -> Tensor:
    """Return the centres of the facial features (equation 4)."""
    return torch.stack([points[:, group].mean(dim=1) for group in lm.GROUPS.values()], dim=1)


def _parts(output: DiscriminatorOutput, count: int) -> list[DiscriminatorOutput]:
    """Return the outputs for `count` equal parts of a batch."""
    leaves = [[None] * count if leaf is None else leaf.chunk(count) for leaf in output]
    return [DiscriminatorOutput(*each) for each in zip(*leaves, strict=True)]


@contextlib.contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Compute no gradients of a module's weights in the `with` block."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)

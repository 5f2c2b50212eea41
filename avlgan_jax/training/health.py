"""What is watched while a model trains: bad numbers end the run, signs of collapse are told, digests are gathered."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from avlgan_jax.config import AdversarialTraining, Training
from avlgan_jax.errors import UserError
from avlgan_jax.training import fingerprints, skipped_steps

# Metrics of a dispatch are looked at when this many later ones are under way, so that the device is not waited for.
MAX_PENDING = 2
# A discriminator whose adversarial loss is below this has nothing left to tell its generator.
MIN_DISCRIMINATOR_LOSS = 1e-3
# Mean difference, on the scale of [-1, 1], between a generator's answers to opposite emotions: an eighth of a grey
# level, or a hundredth of a pixel of 48.
MIN_RESPONSE = {True: 1e-3, False: 4e-4}


class MetricMonitor:
    """Metrics on their way from the device, and time spent waiting for data.

    `identify(step)` gives what shall be written down of a bad step's batch.
    """

    def __init__(self, folder: Path, identify: Callable[[int], dict]):
        self._folder = folder
        self._identify = identify
        self._pending: list[tuple[int, dict[str, jax.Array]]] = []
        self._checked: dict[str, list[np.ndarray]] = {}
        self._batches: list[str] = []
        self._losses: list[str] = []
        self.saved = 0
        self.waited, self._since = 0.0, time.perf_counter()

    def add(self, first: int, metrics: dict[str, jax.Array], orders: list[str]) -> None:
        """Take the metrics of a dispatch and the digests of its batches, without waiting for those being computed."""
        self._batches += orders
        self._pending.append((first, metrics))
        if len(self._pending) > MAX_PENDING:
            self._take(*self._pending.pop(0))

    def check(self) -> None:
        """Wait for all metrics. Raises UserError at the first step with one that is not finite."""
        while self._pending:
            self._take(*self._pending.pop(0))

    def means(self) -> tuple[dict[str, float], dict[str, str]]:
        """Mean of every metric since the last call (those of G over its turns), and the digests of those steps."""
        self.check()
        means = {name: float(np.mean(np.concatenate(values))) for name, values in self._checked.items()}
        told = {"batches": "".join(self._batches), "losses": "".join(self._losses)}
        self._checked, self._batches, self._losses = {}, [], []
        return means, told

    def check_state(self, step: int, state: Any) -> str:
        """The digests of the state's leaves. Raises UserError if one of them is not finite."""
        values, finite = fingerprints.fingerprint_state(state)
        if not finite.all():
            self._stop(step - 1, fingerprints.names(state)[int(np.argmin(finite))], "not finite")
        return fingerprints.join(values)

    def waiting(self) -> float:
        """Share of the time since the last call spent waiting for data."""
        now = time.perf_counter()
        share = self.waited / max(now - self._since, 1e-9)
        self.waited, self._since = 0.0, now
        return min(share, 1.0)

    def _take(self, first: int, metrics: dict[str, jax.Array]) -> None:
        values = jax.device_get(metrics)
        bad = {name: int(np.argmin(np.isfinite(v))) for name, v in values.items() if not np.isfinite(v).all()}
        if bad:
            name = min(bad, key=bad.__getitem__)
            self._stop(first + bad[name], name, str(values[name][bad[name]]))
        self._losses += fingerprints.fingerprint_metrics(values)
        for name, value in values.items():
            self._checked.setdefault(name, []).append(value)

    def _stop(self, step: int, name: str, value: str) -> None:
        found = {"step": step, "name": name, "value": value, "checkpoint": self.saved} | self._identify(step)
        path = skipped_steps.write_bad_step(self._folder, found)
        raise UserError(
            f"{name} is {value} at step {step}, whose faces are in {path}; the state of step {self.saved} is good: "
            "give the command again with --resume-skip to go on from there past these batches, or lower the learning "
            "rate"
        )


def signs_of_collapse(
    step: int, training: Training, with_images: bool, metrics: dict[str, float]
) -> Iterator[tuple[str, str]]:
    """(kind, what a person should know) about these means of metrics, with the figure; nothing where all is well."""
    if not isinstance(training, AdversarialTraining) or step <= training.d_warmup:
        return
    loss = metrics.get("d/adversarial")
    if loss is not None and training.adversarial_loss != "wgan_gp" and loss < MIN_DISCRIMINATOR_LOSS:
        yield (
            "discriminator",
            f"the discriminator's adversarial loss is {loss:.2g} (below "
            f"{MIN_DISCRIMINATOR_LOSS:g}): it tells every fake, "
            "and the generator learns nothing from it",
        )
    response = metrics.get("validation/response")
    deaf = MIN_RESPONSE[with_images]
    # An untrained generator ignores everything.
    taught = step - training.d_warmup > max(200, 0.25 * (training.steps - training.d_warmup))
    if response is not None and taught and response < deaf:
        yield (
            "generator",
            f"the generator's answers to opposite emotions differ by {response:.2g} on average (below {deaf:g}): "
            "it ignores its label",
        )

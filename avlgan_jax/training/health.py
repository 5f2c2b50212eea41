"""Monitoring of training: numbers that are not finite end the run, signs of collapse give warnings."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from avlgan_jax.config import AdversarialTraining, Training
from avlgan_jax.errors import UserError
from avlgan_jax.training import fingerprints, skipped_steps

# The metrics of a dispatch are checked when this many later dispatches are queued, so that checking never waits for the
# device.
MAX_PENDING = 2
# With an adversarial loss below this, the discriminator gives the generator no useful gradient.
MIN_DISCRIMINATOR_LOSS = 1e-3
# Smallest mean absolute difference between a generator's outputs for opposite target emotions, in units of [-1, 1]. For
# images (True): an eighth of a grey level. For landmarks (False): a hundredth of a pixel at 48 px.
MIN_RESPONSE = {True: 1e-3, False: 4e-4}


class MetricMonitor:
    """A collector that checks the metrics of all dispatches and measures the time spent waiting for data.

    Args:
        folder: The model's folder, where bad_step.json is written.
        identify: Returns what bad_step.json records of the batch of a step, for example the ids of its faces.

    Attributes:
        saved: Step of the last checkpoint, 0 before the first.
        waited: Seconds spent waiting for data since the last call of `waiting`.
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
        """Add the metrics of a dispatch, and check those of the dispatch MAX_PENDING dispatches before.

        Args:
            first: First step of the dispatch.
            metrics: Metrics on the device, each with the steps as its leading axis.
            orders: Digest of the batch plan of each step.

        Raises:
            UserError: A metric of the checked dispatch is not finite.
        """
        self._batches += orders
        self._pending.append((first, metrics))
        if len(self._pending) > MAX_PENDING:
            self._check_dispatch(*self._pending.pop(0))

    def check(self) -> None:
        """Wait for all metrics and check them.

        Raises:
            UserError: A metric is not finite. The message names the first such step.
        """
        while self._pending:
            self._check_dispatch(*self._pending.pop(0))

    def means(self) -> tuple[dict[str, float], dict[str, str]]:
        """Return the means of the metrics and the digests of the steps since the last call.

        Returns:
            The mean of each metric (generator metrics: over the steps that update the generator), and the concatenated
            digests of these steps under "batches" and "losses".

        Raises:
            UserError: A metric is not finite.
        """
        self.check()
        means = {name: float(np.mean(np.concatenate(values))) for name, values in self._checked.items()}
        digests = {"batches": "".join(self._batches), "losses": "".join(self._losses)}
        self._checked, self._batches, self._losses = {}, [], []
        return means, digests

    def check_state(self, step: int, state: Any) -> str:
        """Return the concatenated digests of the state's leaves after `step` steps.

        Raises:
            UserError: A leaf is not finite.
        """
        values, finite = fingerprints.fingerprint_state(state)
        if not finite.all():
            self._stop(step - 1, fingerprints.names(state)[int(np.argmin(finite))], "not finite")
        return fingerprints.join(values)

    def waiting(self) -> float:
        """Return the share of the time since the last call that was spent waiting for data, in [0, 1]."""
        now = time.perf_counter()
        share = self.waited / max(now - self._since, 1e-9)
        self.waited, self._since = 0.0, now
        return min(share, 1.0)

    def _check_dispatch(self, first: int, metrics: dict[str, jax.Array]) -> None:
        """Fetch the metrics of one dispatch and stop the run if one is not finite."""
        values = jax.device_get(metrics)
        bad = {name: int(np.argmin(np.isfinite(v))) for name, v in values.items() if not np.isfinite(v).all()}
        if bad:
            name = min(bad, key=bad.__getitem__)
            self._stop(first + bad[name], name, str(values[name][bad[name]]))
        self._losses += fingerprints.fingerprint_metrics(values)
        for name, value in values.items():
            self._checked.setdefault(name, []).append(value)

    def _stop(self, step: int, name: str, value: str) -> None:
        """Write bad_step.json and raise UserError."""
        found = {"step": step, "name": name, "value": value, "checkpoint": self.saved} | self._identify(step)
        path = skipped_steps.write_bad_step(self._folder, found)
        raise UserError(
            f"{name} is {value} at step {step}, expected a finite number (ids of the faces: {path}); the state of step "
            f"{self.saved} is good: repeat the command with --resume-skip to resume there with other batches, or lower "
            "the learning rate"
        )


def signs_of_collapse(
    step: int, training: Training, with_images: bool, metrics: dict[str, float]
) -> Iterator[tuple[str, str]]:
    """Yield a (kind, warning) for each sign of collapse in the mean metrics.

    Args:
        step: Number of steps done.
        training: The model's section of the config. The regressor and the discriminator's warm-up give no warnings.
        with_images: Whether the generator outputs images (else landmarks); selects the threshold of MIN_RESPONSE.
        metrics: Mean metrics by name. `d/adversarial` and `validation/response` are used if present.
    """
    if not isinstance(training, AdversarialTraining) or step <= training.d_warmup:
        return
    loss = metrics.get("d/adversarial")
    if loss is not None and training.adversarial_loss != "wgan_gp" and loss < MIN_DISCRIMINATOR_LOSS:
        yield (
            "discriminator",
            f"the discriminator's adversarial loss is {loss:.2g} (below {MIN_DISCRIMINATOR_LOSS:g}): it recognises "
            "every generated example, and the generator learns nothing from it",
        )
    response = metrics.get("validation/response")
    threshold = MIN_RESPONSE[with_images]
    # A generator that has hardly been trained ignores its target.
    is_trained = step - training.d_warmup > max(200, 0.25 * (training.steps - training.d_warmup))
    if response is not None and is_trained and response < threshold:
        yield (
            "generator",
            f"the generator's outputs for opposite target emotions differ by {response:.2g} on average (below "
            f"{threshold:g}): it ignores the target",
        )

"""The journal of a run: metrics, validation scores, sample grids and checkpoints, written during training.

With several processes only the first one keeps the journal; the others only compute.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from avlgan_jax.config import Config
from avlgan_jax.data import batches
from avlgan_jax.data.batches import Batch
from avlgan_jax.data.records import Faces
from avlgan_jax.faces import emotions
from avlgan_jax.models.build import Model
from avlgan_jax.runtime import dispatch, multihost
from avlgan_jax.runtime.dispatch import State
from avlgan_jax.runtime.signals import StopRequests
from avlgan_jax.training import fingerprints, goodput, metric_writer, sample_grid, skipped_steps, states, workdir
from avlgan_jax.training.checkpoints import Checkpoints
from avlgan_jax.training.health import MetricMonitor, signs_of_collapse
from avlgan_jax.training.metric_writer import MetricWriter

VALIDATION_FACES = 128


class Journal:
    """The journal of one model's training, continued from the newest intact checkpoint.

    Args:
        config: Config of the run.
        model: Model that is trained.
        directory: Workdir of the run. The journal is in the subfolder named after the model.
        fresh: Returns the state that training starts from if there is no checkpoint.
        faces: Training faces, to record the ids of a bad step's batch.
        unseen: Validation faces.
        publish: Called whenever a checkpoint is complete.

    Raises:
        UserError: All checkpoints are damaged.
    """

    def __init__(
        self,
        config: Config,
        model: Model,
        directory: Path,
        fresh: Callable[[], State],
        faces: Faces,
        unseen: Faces,
        publish: Callable[[], None],
    ):
        self._config, self._model = config, model
        self._fresh, self._faces, self._unseen = fresh, faces, unseen
        self._publish = publish
        self._stopwatch, self._done = goodput.Stopwatch(), 0
        self._folder = directory / model.name
        self._checkpoints = Checkpoints(workdir.checkpoints(directory, model.name), config.keep_checkpoints)
        self._score = -math.inf
        self._writer: MetricWriter | None = None
        self._monitor = MetricMonitor(self._folder, self._identify)
        self.skips = skipped_steps.SkippedSteps()

    def restore(self, resume_skip: bool) -> State:
        """Return the state of the newest intact checkpoint, or a fresh state if there is none.

        Args:
            resume_skip: Replace the batches from the checkpoint to the recorded bad step (`skipped_steps.resume_past`).

        Raises:
            UserError: All checkpoints are damaged, the checkpoint does not fit the model, or the record of skipped
                steps is damaged.
        """
        latest = self._checkpoints.latest()
        self._monitor.saved = latest or 0
        if latest is None:
            state = self._fresh()
        else:
            state = self._checkpoints.restore(latest, states.state_shapes(self._model, self._config))
            self._score = self._checkpoints.score(latest)
        self.skips = (
            skipped_steps.resume_past(self._folder, latest or 0)
            if resume_skip
            else skipped_steps.read_skips(self._folder)
        )
        return state

    def begin(self, state: State, stop: StopRequests) -> None:
        """Open the metrics at the step of `state`, and run the validation due at this step if a stop skipped it.

        Prints a line and opens nothing if there is nothing left to do.

        Raises:
            UserError: The disk has no room for a checkpoint.
        """
        training = self._model.training
        state = multihost.local_state(state)
        start = int(state.step)
        validation_missing = (
            start and self._is_due(start) and not metric_writer.has_metric(self._folder, start, "validation/score")
        )
        if start >= training.steps and not validation_missing:
            print(f"{self._model.name}: {start} of {training.steps} steps are done already")
            return
        self._checkpoints.require_space(start, state)
        names = fingerprints.names(state)
        self._writer = MetricWriter(self._folder, self._model.name, start, training.steps, training.batch_size, names)
        self._scores_of = _make_validation(self._model, self._unseen, self._config.seed)
        self._stopwatch.ready()
        self._record(start)
        if validation_missing:
            with self._stopwatch.measure("evaluation"):
                self._validate(start, state, stop)

    @contextlib.contextmanager
    def saving_meanwhile(self, step: int, state: State, stop: StopRequests) -> Iterator[None]:
        """While the block runs, let a stop request save a copy of `state` at once and end the process.

        For a call that blocks for long, such as compilation.
        """
        copied = dispatch.copy_state(multihost.local_state(state))
        with (
            stop.saving_immediately(functools.partial(self._save_here, step, copied)),
            self._stopwatch.measure("compile"),
            goodput.CompiledPrograms() as programs,
        ):
            yield
        self._writer.tell(f"{self._model.name}, step {step}: {programs.words}")

    def waited(self, seconds: float) -> None:
        """Add seconds spent waiting for data."""
        self._monitor.waited += seconds
        self._stopwatch.add("data", seconds)

    def advance(self, first: int, last: int, metrics: dict, orders: list[str]) -> None:
        """Record the steps from `first` to `last` (exclusive), without waiting for the device to finish them.

        Args:
            first: First step of the dispatch.
            last: Number of steps done after the dispatch.
            metrics: Metrics of the dispatch on the device, each with the steps as its leading axis.
            orders: Digest of the batch plan of each step.

        Raises:
            UserError: A metric of an earlier dispatch is not finite.
        """
        self._monitor.add(first, metrics, orders)
        self._writer.advance(last - first)

    def write(self, step: int, state: State, stop: StopRequests, stopping: bool) -> None:
        """Write what is due after `step` steps: metrics, validation and samples, and a checkpoint.

        Args:
            step: Number of steps done.
            state: State after these steps.
            stop: Stop requests of the process.
            stopping: The run stops here. Metrics and checkpoint are then written in any case, validation is skipped.

        Raises:
            UserError: A metric or a leaf of the state is not finite, or the disk is full or not writable.
        """
        config = self._config
        at_end = stopping or step == self._model.training.steps
        saves = at_end or self._checkpoints.is_due(step, config.checkpoint_every, config.log_every)
        if not saves and not self._is_due(step) and step % config.log_every:
            return
        state = multihost.local_state(state)
        if saves:  # complete the previous save first, so that the metrics are never two checkpoints ahead of the disk
            with self._stopwatch.measure("checkpoint"):
                self._checkpoints.wait()
                self._publish()
        if step % config.log_every == 0 or saves:  # lines end at every checkpoint, so a restart changes no line
            self._log(step, state)
        if self._is_due(step) and not stopping:
            with self._stopwatch.measure("evaluation"):
                self._validate(step, state, stop)
        if saves:
            with self._stopwatch.measure("checkpoint"):
                self._save(step, state)
        self._record(step)

    def close(self) -> None:
        """Complete the save in progress and close the metrics.

        Raises:
            UserError: The save failed.
        """
        if self._writer is not None:
            self._writer.close()
        with self._stopwatch.measure("checkpoint"):
            self._checkpoints.close()
            self._publish()
        if self._writer is not None:
            self._record(self._done)

    def _record(self, step: int) -> None:
        """Write down how much time was spent on what until `step`."""
        self._done = step
        goodput.write(self._folder, self._stopwatch, step)

    def _save_here(self, step: int, state: State) -> None:
        """Write the metrics and the checkpoint of `state`, and wait until the checkpoint is complete."""
        if step > self._monitor.saved:
            self._log(step, state)
            self._save(step, state)
        self._checkpoints.wait()
        self._publish()

    def _is_due(self, step: int) -> bool:
        """Return whether validation and a sample grid are due after `step` steps."""
        return step % self._config.sample_every == 0 or step == self._model.training.steps

    def _log(self, step: int, state: State) -> None:
        """Write a line of mean metrics and digests, unless there have been no steps since the last line."""
        means, digests = self._monitor.means()
        if not means:
            return  # this step has its line already
        digests["state"] = self._monitor.check_state(step, state)
        self._writer.log(step, means, self._monitor.waiting(), digests)
        self._warn(step, means)

    def _validate(self, step: int, state: State, stop: StopRequests) -> None:
        """Score validation faces and write a sample grid."""
        with stop.saving_immediately(functools.partial(self._save_here, step, state)):
            scores = {f"validation/{name}": value for name, value in self._scores_of(state).items()}
            self._write_samples(step, state)
        self._score = scores["validation/score"]
        self._writer.log(step, scores, self._monitor.waiting())
        self._warn(step, scores)

    def _save(self, step: int, state: State) -> None:
        """Start to save `state` with the last validation score."""
        self._checkpoints.save(step, state, self._score)
        self._monitor.saved = step

    def _warn(self, step: int, metrics: dict[str, float]) -> None:
        """Print a warning for each sign of collapse in the metrics."""
        model = self._model
        for kind, text in signs_of_collapse(step, model.training, model.with_images, metrics):
            self._writer.warn(step, kind, text)

    def _identify(self, step: int) -> dict:
        """Return the ids of the faces in the batch of `step`, for bad_step.json."""
        step = self.skips.data_step(step)
        plan = batches.plan_for(self._config, self._model.training, step, self._faces)
        return {"ids": [str(self._faces.ids[index]) for index in plan.indices]}

    def _write_samples(self, step: int, state: State) -> None:
        """Write a sample grid to samples/STEP.png and to TensorBoard. The regressor has none."""
        if self._model.name == "regressor":
            return
        image = sample_grid.grid(self._model, state, self._unseen)
        folder = self._folder / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{step:08d}.png")
        self._writer.show(step, image)


class NoJournal:
    """The no-op journal of all processes but the first.

    `fresh` returns a state with the right shapes, which the first process's state replaces.
    """

    def __init__(self, fresh: Callable[[], State]):
        self._fresh = fresh
        self.skips = skipped_steps.SkippedSteps()

    def restore(self, resume_skip: bool) -> State:
        """Return a fresh state, which `multihost.broadcast_state` replaces by the first process's state."""
        return self._fresh()

    def begin(self, state: State, stop: StopRequests) -> None:
        """Do nothing."""

    def saving_meanwhile(self, step: int, state: State, stop: StopRequests) -> contextlib.AbstractContextManager:
        """Return a context that does nothing: a stop request waits until all processes stop at the same step."""
        return contextlib.nullcontext()

    def waited(self, seconds: float) -> None:
        """Do nothing."""

    def advance(self, first: int, last: int, metrics: dict, orders: list[str]) -> None:
        """Do nothing."""

    def write(self, step: int, state: State, stop: StopRequests, stopping: bool) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def _make_validation(model: Model, unseen: Faces, seed: int) -> Callable[[State], dict[str, float]]:
    """Return a function that scores a state on VALIDATION_FACES validation faces.

    The faces and their target emotions are the same at every call. In addition to the metrics of `validate`, converters
    get `response`: the mean absolute difference between the outputs for each target and for the opposite target.
    """
    count = min(VALIDATION_FACES, len(unseen))
    plan = batches.BatchPlan(
        indices=np.arange(count),
        flips=np.zeros(count, bool),
        targets=emotions.sample_disc(np.random.default_rng(seed), count),
    )
    batch = batches.assemble_batch(unseen, plan, model.with_images)
    opposite = batch._replace(targets=-batch.targets)

    @jax.jit
    def evaluate(state: State, batch: Batch, opposite: Batch) -> dict[str, jax.Array]:
        metrics = model.trainer.validate(state, batch)
        if model.name == "regressor":
            return metrics
        outputs = []
        for targeted in (batch, opposite):
            source, _, target = model.trainer.view(state.frozen, targeted)
            outputs.append(model.trainer.generate(state.evaluated, source, target).output)
        return metrics | {"response": jnp.abs(outputs[0] - outputs[1]).mean()}

    return lambda state: {name: float(value) for name, value in evaluate(state, batch, opposite).items()}

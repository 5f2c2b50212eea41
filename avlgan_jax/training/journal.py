"""What a run leaves in its workdir while it trains: metrics, looks at validation faces, samples, checkpoints.

On many hosts the first one keeps the journal; the others only compute.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
from avlgan_jax.runtime.signals import StopRequests
from avlgan_jax.training import fingerprints, metric_writer, sample_grid, skipped_steps, states, workdir
from avlgan_jax.training.checkpoints import Checkpoints
from avlgan_jax.training.health import MetricMonitor, signs_of_collapse
from avlgan_jax.training.metric_writer import MetricWriter

VALIDATION_FACES = 128
State = Any


class Journal:
    """The journal of one model's training in `directory`, from the newest sound checkpoint on.

    `fresh` draws the state that training starts from; `publish` is called when a checkpoint is whole.
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
        self._folder = directory / model.name
        self._keeper = Checkpoints(workdir.checkpoints(directory, model.name), config.keep_checkpoints)
        self._score = -math.inf
        self._telemetry: MetricWriter | None = None
        self._watch = MetricMonitor(self._folder, self._identify)
        self.skips = skipped_steps.SkippedSteps()

    def restore(self, resume_skip: bool) -> State:
        """The state that training goes on from: that of the newest sound checkpoint, else a fresh one."""
        latest = self._keeper.latest()
        self._watch.saved = latest or 0
        if latest is None:
            state = self._fresh()
        else:
            state = self._keeper.restore(latest, states.state_shapes(self._model, self._config))
            self._score = self._keeper.score(latest)
        self.skips = (
            skipped_steps.resume_past(self._folder, latest or 0)
            if resume_skip
            else skipped_steps.read_skips(self._folder)
        )
        return state

    def begin(self, state: State, stop: StopRequests) -> None:
        """Open the books at the step of `state`, and make up for a look that a stop left out."""
        training = self._model.training
        state = multihost.local_state(state)
        start = int(state.step)
        left_out = (
            start and self._is_due(start) and not metric_writer.has_metric(self._folder, start, "validation/score")
        )
        if start >= training.steps and not left_out:
            print(f"{self._model.name}: {start} of {training.steps} steps are done already")
            return
        self._keeper.require_space(start, state)
        names = fingerprints.names(state)
        self._telemetry = MetricWriter(
            self._folder, self._model.name, start, training.steps, training.batch_size, names
        )
        self._look = _make_validation(self._model, self._unseen, self._config.seed)
        if left_out:
            self._validate(start, state, stop)

    @contextlib.contextmanager
    def saving_meanwhile(self, step: int, state: State, stop: StopRequests) -> Iterator[None]:
        """Within, a request to stop saves a copy of `state` at once and ends the process, whatever this one does."""
        with stop.saving_immediately(
            functools.partial(self._save_here, step, dispatch.copy_state(multihost.local_state(state)))
        ):
            yield

    def waited(self, seconds: float) -> None:
        """Count time spent waiting for data."""
        self._watch.waited += seconds

    def advance(self, first: int, last: int, metrics: dict, orders: list[str]) -> None:
        """Take what the steps from `first` to before `last` gave, without waiting for it."""
        self._watch.add(first, metrics, orders)
        self._telemetry.advance(last - first)

    def write(self, step: int, state: State, stop: StopRequests, stopping: bool) -> None:
        """Whatever is due after `step` steps; when the run is being stopped, what is needed to go on."""
        config = self._config
        if not self._is_due(step) and not stopping and step % config.log_every and step % config.checkpoint_every:
            return
        state = multihost.local_state(state)
        at_end = stopping or step == self._model.training.steps
        saves = step % config.checkpoint_every == 0 or at_end
        if saves:  # first the save before: no line tells of a step that two checkpoints would be lost with
            self._keeper.wait()
            self._publish()
        if step % config.log_every == 0 or saves:  # a line ends where a restart may begin, so restarts change no line
            self._log(step, state)
        if self._is_due(step) and not stopping:
            self._validate(step, state, stop)
        if saves:
            self._save(step, state)

    def close(self) -> None:
        """Finish what is being written."""
        if self._telemetry is not None:
            self._telemetry.close()
        self._keeper.close()
        self._publish()

    def _save_here(self, step: int, state: State) -> None:
        """Write down and save `state`, to the end: there is no step after it."""
        if step > self._watch.saved:
            self._log(step, state)
            self._save(step, state)
        self._keeper.wait()
        self._publish()

    def _is_due(self, step: int) -> bool:
        return step % self._config.sample_every == 0 or step == self._model.training.steps

    def _log(self, step: int, state: State) -> None:
        means, told = self._watch.means()
        if not means:
            return  # a line of this step is there already
        told["state"] = self._watch.check_state(step, state)
        self._telemetry.log(step, means, self._watch.waiting(), told)
        self._warn(step, means)

    def _validate(self, step: int, state: State, stop: StopRequests) -> None:
        with stop.saving_immediately(functools.partial(self._save_here, step, state)):
            seen = {f"validation/{name}": value for name, value in self._look(state).items()}
            self._write_samples(step, state)
        self._score = seen["validation/score"]
        self._telemetry.log(step, seen, self._watch.waiting())
        self._warn(step, seen)

    def _save(self, step: int, state: State) -> None:
        self._keeper.save(step, state, self._score)
        self._watch.saved = step

    def _warn(self, step: int, metrics: dict[str, float]) -> None:
        model = self._model
        for kind, text in signs_of_collapse(step, model.training, model.with_images, metrics):
            self._telemetry.warn(step, kind, text)

    def _identify(self, step: int) -> dict:
        step = self.skips.data_step(step)
        plan = batches.plan_for(self._config, self._model.training, step, self._faces.emotions)
        return {"ids": [str(self._faces.ids[index]) for index in plan.indices]}

    def _write_samples(self, step: int, state: State) -> None:
        if self._model.name == "regressor":
            return
        picture = sample_grid.grid(self._model, state, self._unseen)
        folder = self._folder / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{step:08d}.png")
        self._telemetry.show(step, picture)


class NoJournal:
    """What a process does that keeps no journal: nothing. `fresh` draws a state of the right shapes."""

    def __init__(self, fresh: Callable[[], State]):
        self._fresh = fresh
        self.skips = skipped_steps.SkippedSteps()

    def restore(self, resume_skip: bool) -> State:
        """Any state: the first process's takes its place."""
        return self._fresh()

    def begin(self, state: State, stop: StopRequests) -> None:
        """Nothing."""

    def saving_meanwhile(self, step: int, state: State, stop: StopRequests) -> contextlib.AbstractContextManager:
        """A request to stop waits until all have heard of it."""
        return contextlib.nullcontext()

    def waited(self, seconds: float) -> None:
        """Nothing."""

    def advance(self, first: int, last: int, metrics: dict, orders: list[str]) -> None:
        """Nothing."""

    def write(self, step: int, state: State, stop: StopRequests, stopping: bool) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def _make_validation(model: Model, unseen: Faces, seed: int) -> Callable[[State], dict[str, float]]:
    """A function of the state that scores it on faces not trained on, always the same ones with the same targets."""
    count = min(VALIDATION_FACES, len(unseen))
    plan = batches.BatchPlan(
        indices=np.arange(count),
        flips=np.zeros(count, bool),
        targets=emotions.sample_disc(np.random.default_rng(seed), count),
    )
    batch = batches.assemble_batch(unseen, plan, model.with_images)
    opposite = batch._replace(targets=-batch.targets)

    @jax.jit
    def look(state: State, batch: Batch, opposite: Batch) -> dict[str, jax.Array]:
        seen = model.trainer.validate(state, batch)
        if model.name == "regressor":
            return seen
        answers = []
        for asked in (batch, opposite):
            source, _, target = model.trainer.view(state.frozen, asked)
            answers.append(model.trainer.generate(state.evaluated, source, target).output)
        return seen | {"response": jnp.abs(answers[0] - answers[1]).mean()}

    return lambda state: {name: float(value) for name, value in look(state, batch, opposite).items()}

"""The story of a training run: claim the workdir, read the faces, build or restore the state, dispatch steps, save.

Everything a step sees follows from (seed, step), and a checkpoint holds all that training changes, so a run that was
stopped goes on as if it had not been.
"""

import functools
import math
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from avlgan_jax import affect, batches, models, parallel, records, samples, signals, trained, workdir
from avlgan_jax.batches import Batch
from avlgan_jax.checkpoints import Checkpoints
from avlgan_jax.config import Config, ModelName
from avlgan_jax.errors import UserError
from avlgan_jax.models import Model
from avlgan_jax.records import Faces
from avlgan_jax.telemetry import Telemetry

VALIDATION_FACES = 128
_PREFETCHED = 2


def train(config: Config, name: ModelName, directory: Path):
    """Train model `name` in `directory` from where it stands to its last step; returns the final state.

    Raises UserError where the workdir, the data, the devices or the disk do not allow it, or where a number stops
    being finite; `signals.Interrupted` after saving, when the process is asked to stop.
    """
    # --- faces -------------------------------------------------------------------------------------------------
    data_dir = Path(config.data_dir)
    faces = records.load(data_dir, config.data, config.resolution, "train")
    unseen = records.load(data_dir, config.data, config.resolution, "validation")
    workdir.claim(directory, config, records.digest(data_dir, config.data, config.resolution))

    # --- model, devices, state ---------------------------------------------------------------------------------
    model = models.build(name, config, len(faces))
    batch_size, steps = model.training.batch_size, model.training.steps
    devices = parallel.choose_devices(config.devices, batch_size)
    frozen = {}
    if model.looks_through is not None:
        frozen = trained.restore(directory, config, model.looks_through).evaluated
    fresh = functools.partial(trained.fresh_state, model, config, frozen)
    keeper = Checkpoints(workdir.checkpoints(directory, name), config.keep_checkpoints)
    latest = keeper.latest()
    # Restoring needs shapes only; a fresh state would be compiled and drawn for nothing.
    state = fresh() if latest is None else keeper.restore(latest, jax.eval_shape(fresh))
    start = int(state.step)
    if start >= steps:
        keeper.close()
        print(f"{name}: {start} of {steps} steps are done already")
        return state

    # --- steps -------------------------------------------------------------------------------------------------
    dispatches: dict[str, parallel.Dispatch] = {}
    look = _make_look(model, unseen, config.seed)
    telemetry = Telemetry(directory / name, name, start, steps, batch_size)
    watch = _Watch(directory / name)
    score = -math.inf
    make = functools.partial(_dispatch_batches, model, faces, config.seed)
    per_dispatch = parallel.choose_steps_per_dispatch(config.steps_per_dispatch, convolves=model.with_images)
    spans = list(_spans(start, steps, per_dispatch, config, model.trainer.turn))
    with signals.stop_requests() as stop:
        try:
            for first, last, stream in _prefetch(spans, make, watch):
                turn = model.trainer.turn(first)
                if turn not in dispatches:
                    step = functools.partial(model.trainer.step, turn=turn)
                    dispatches[turn] = parallel.make_dispatch(step, devices)
                state, metrics = dispatches[turn](state, stream)
                watch.add(first, metrics)
                telemetry.advance(last - first)
                stopping = stop.is_set()  # asked once: a request that comes later waits for the next step
                at_end = last == steps or stopping
                if last % config.log_every == 0 or at_end:
                    telemetry.log(last, watch.means(), watch.waiting())
                if last % config.sample_every == 0 or at_end:
                    seen = look(state)
                    score = seen["score"]
                    telemetry.log(last, {f"validation/{k}": v for k, v in seen.items()}, watch.waiting())
                    _write_samples(model, state, unseen, directory / name / "samples", last, telemetry)
                if last % config.checkpoint_every == 0 or at_end:
                    watch.check()
                    keeper.save(last, state, score)
                if stopping and last < steps:
                    raise signals.Interrupted
        finally:
            telemetry.close()
            keeper.close()
    return state


def _spans(start: int, steps: int, per_dispatch: int, config: Config, turn) -> Iterator[tuple[int, int]]:
    """[first, last) of each dispatch: as long as may be, but of one turn, and ending wherever something is due."""
    due = (config.log_every, config.checkpoint_every, config.sample_every)
    while start < steps:
        stop = min(start + per_dispatch, steps, *((start // every + 1) * every for every in due))
        stop = next((step for step in range(start + 1, stop) if turn(step) != turn(start)), stop)
        yield start, stop
        start = stop


def _dispatch_batches(model: Model, faces: Faces, seed: int, first: int, last: int) -> Batch:
    training = model.training
    targets = getattr(training, "targets", "shuffled")
    plans = (batches.plan(seed, step, training.batch_size, faces.emotions, targets) for step in range(first, last))
    return batches.stack([batches.collect(faces, plan, model.with_images) for plan in plans])


def _prefetch(spans, make, watch: "_Watch") -> Iterator[tuple[int, int, Batch]]:
    """Make batches in a thread ahead of the device; the time spent waiting for one is counted."""
    ready: queue.Queue = queue.Queue(_PREFETCHED)
    abandoned = threading.Event()

    def work() -> None:
        try:
            for first, last in spans:
                _put(ready, (first, last, make(first, last)), abandoned)
                if abandoned.is_set():
                    return
            _put(ready, None, abandoned)
        except Exception as error:  # told to the thread that waits
            _put(ready, error, abandoned)

    threading.Thread(target=work, daemon=True).start()
    try:
        while True:
            asked = time.perf_counter()
            item = ready.get()
            watch.waited += time.perf_counter() - asked
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        abandoned.set()


def _put(ready: queue.Queue, item: object, abandoned: threading.Event) -> None:
    while not abandoned.is_set():
        try:
            return ready.put(item, timeout=0.5)
        except queue.Full:
            continue


class _Watch:
    """Metrics on their way from the device, and time spent waiting for data; it stops at the first bad number."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._pending: list[tuple[int, dict[str, jax.Array]]] = []
        self._checked: dict[str, list[np.ndarray]] = {}
        self.waited, self._since = 0.0, time.perf_counter()

    def add(self, first: int, metrics: dict[str, jax.Array]) -> None:
        """Take the metrics of a dispatch, without waiting for those still being computed."""
        self._pending.append((first, metrics))
        if len(self._pending) > _PREFETCHED:
            self._take(*self._pending.pop(0))

    def check(self) -> None:
        """Wait for all metrics. Raises UserError at the first step whose loss is not finite."""
        while self._pending:
            self._take(*self._pending.pop(0))

    def means(self) -> dict[str, float]:
        """Mean of every metric since the last call; those of G over its turns."""
        self.check()
        means = {name: float(np.mean(np.concatenate(values))) for name, values in self._checked.items()}
        self._checked = {}
        return means

    def waiting(self) -> float:
        """Share of the time since the last call spent waiting for data."""
        now = time.perf_counter()
        share = self.waited / max(now - self._since, 1e-9)
        self.waited, self._since = 0.0, now
        return min(share, 1.0)

    def _take(self, first: int, metrics: dict[str, jax.Array]) -> None:
        for name, values in jax.tree.map(np.asarray, metrics).items():
            bad = ~np.isfinite(values)
            if bad.any():
                step = first + int(np.argmax(bad))
                raise UserError(
                    f"{name} is {values[np.argmax(bad)]} at step {step}; the last good checkpoint is kept in "
                    f"{self._folder}: lower the learning rate, or start again from it with another seed"
                )
            self._checked.setdefault(name, []).append(values)


def _make_look(model: Model, unseen: Faces, seed: int):
    """A function of the state that scores it on faces not trained on, always the same ones with the same targets."""
    count = min(VALIDATION_FACES, len(unseen))
    plan = batches.Plan(
        indices=np.arange(count),
        flips=np.zeros(count, bool),
        targets=affect.uniform_disc(np.random.default_rng(seed), count),
    )
    batch = batches.collect(unseen, plan, model.with_images)
    validate = jax.jit(model.trainer.validate)
    return lambda state: {name: float(value) for name, value in validate(state, batch).items()}


def _write_samples(model: Model, state, unseen: Faces, folder: Path, step: int, telemetry: Telemetry) -> None:
    if model.name == "regressor":
        return
    picture = samples.grid(model, state, unseen)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(folder / f"{step:08d}.png")
    telemetry.show(step, picture)

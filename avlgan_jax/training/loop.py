"""The training loop: claim the workdir, load the faces, create or restore the state, and dispatch steps.

The input of a step is a function of (seed, step), and a checkpoint contains everything that training changes. A resumed
run therefore gives the same results as an uninterrupted one.
"""

import collections
import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax

from avlgan_jax.config import Config, ModelName
from avlgan_jax.data import batches, mixed, records
from avlgan_jax.data.batches import Batch, BatchIndices, DeviceFaces
from avlgan_jax.data.records import Faces
from avlgan_jax.models import build
from avlgan_jax.models.build import Model
from avlgan_jax.runtime import dispatch, multihost, signals
from avlgan_jax.runtime.devices import choose_devices, data_fits, replicate
from avlgan_jax.training import buckets, fingerprints, skipped_steps, states, workdir
from avlgan_jax.training.journal import Journal, NoJournal
from avlgan_jax.training.skipped_steps import SkippedSteps


def train(
    config: Config,
    name: ModelName,
    directory: Path,
    resume_skip: bool = False,
    publish: Callable[[], None] = buckets.no_publish,
):
    """Train one model from its newest intact checkpoint, or from scratch, to its last step.

    Args:
        config: Config of the run.
        name: Model to train.
        directory: Workdir of the run.
        resume_skip: Replace the batches up to the bad step that ended the previous run (`skipped_steps`).
        publish: Called whenever a checkpoint is complete.

    Returns:
        The final state, on the devices.

    Raises:
        UserError: The data is missing or damaged, the workdir belongs to another config or other data, the devices do
            not fit the batch size, the frozen model is not trained, the checkpoints are damaged, the disk is full or
            not writable, or a metric or a leaf of the state is not finite.
        signals.Interrupted: This process, or another process of the run, received a stop request. The steps done so
            far are saved.
    """
    # --- faces -------------------------------------------------------------------------------------------------
    names = mixed.names(config.data)
    for name_of_data in names:
        data_dir = buckets.local_data_dir(config.data_dir, name_of_data, config.resolution)
    faces = mixed.load(data_dir, config.data, config.resolution, "train", config.landmark_dimensions)
    unseen = records.load(data_dir, names[0], config.resolution, "validation", config.landmark_dimensions)
    if multihost.is_first():
        workdir.claim(directory, config, mixed.digest(data_dir, config.data, config.resolution))

    # --- model, devices, state ---------------------------------------------------------------------------------
    model = build.build(name, config, len(faces))
    devices = choose_devices(config.devices, model.training.batch_size, model.with_images)
    device_faces = _on_devices(config, faces, model, devices)
    with signals.stop_requests() as stop, contextlib.ExitStack() as exit_stack:
        if stop.is_set():
            raise signals.Interrupted
        journal = exit_stack.enter_context(
            contextlib.closing(_open_journal(config, model, directory, faces, unseen, publish))
        )
        state = multihost.broadcast_state(journal.restore(resume_skip), devices)
        skipped = skipped_steps.broadcast_skips(journal.skips)
        start = int(state.step)

        # --- steps ---------------------------------------------------------------------------------------------
        with stop.deferred_to_steps():
            journal.begin(state, stop)
            consensus = multihost.StopConsensus(devices)
            dispatches: dict[tuple[str, int], dispatch.Dispatch] = {}
            for first, last, stream, orders in _stream(model, config, faces, device_faces, skipped, start, journal):
                kind = model.trainer.step_kind(first)
                program = (kind, last - first)
                if program in dispatches:
                    state, metrics = dispatches[program](state, stream)
                else:  # the first call compiles, which can take minutes
                    step = functools.partial(model.trainer.step, kind=kind)
                    dispatches[program] = dispatch.make_dispatch(step, devices, device_faces)
                    with journal.saving_meanwhile(first, state, stop):
                        state, metrics = jax.block_until_ready(dispatches[program](state, stream))
                journal.advance(first, last, metrics, orders)
                stopping = consensus.reached(stop.is_set())
                journal.write(last, state, stop, stopping)
                if stopping and last < model.training.steps:
                    raise signals.Interrupted
            exit_stack.close()  # inside `deferred_to_steps`, so that a stop request does not interrupt the last save
    return state


def _open_journal(
    config: Config, model: Model, directory: Path, faces: Faces, unseen: Faces, publish: Callable[[], None]
) -> Journal | NoJournal:
    """Open the journal in the first process, a no-op journal in the others."""
    if not multihost.is_first():
        return NoJournal(functools.partial(states.fresh_state, model, config))
    frozen = {}
    if model.frozen_model is not None:
        frozen = states.restore(directory, config, model.frozen_model).evaluated
    fresh = functools.partial(states.fresh_state, model, config, frozen)
    return Journal(config, model, directory, fresh, faces, unseen, publish)


def _on_devices(config: Config, faces: Faces, model: Model, devices: list[jax.Device]) -> DeviceFaces | None:
    """Replicate the training faces to the devices. Return None if they do not fit or are changed on the host."""
    device_faces = batches.device_faces(faces, model.with_images)
    varied = config.augment or getattr(model.training, "vary_proportions", 0.0)
    fits = not varied and data_fits(config.data_on_device, device_faces.nbytes, devices)
    # All processes follow the first, since the memory of their devices may differ.
    return replicate(device_faces, devices) if multihost.broadcast_text(str(fits)) == str(True) else None


def _stream(
    model: Model,
    config: Config,
    faces: Faces,
    device_faces: DeviceFaces | None,
    skipped: SkippedSteps,
    start: int,
    journal: Journal | NoJournal,
) -> Iterator[tuple[int, int, Batch | BatchIndices, list[str]]]:
    """Yield (first step, last step + 1, batches, digests of the batch plans) for each dispatch."""
    local_slice = multihost.local_batch_slice(model.training.batch_size)

    def make(first: int, last: int) -> tuple[Batch | BatchIndices, list[str]]:
        """Return this process's part of the batches, and the digests of the plans of the global batches."""
        steps = (skipped.data_step(step) for step in range(first, last))
        plans = [batches.plan_for(config, model.training, step, faces) for step in steps]
        if device_faces is None:
            made = [batches.assemble_batch(faces, plan, model.with_images, local_slice) for plan in plans]
        else:
            made = [batches.batch_indices(plan, local_slice) for plan in plans]
        return batches.stack(made), [fingerprints.fingerprint_arrays(jax.tree.leaves(plan)) for plan in plans]

    per_dispatch = dispatch.choose_steps_per_dispatch(config.steps_per_dispatch, convolves=model.with_images)
    # Checkpoints as often as the disk allows, 0, are saved at log entries.
    due = (config.log_every, config.checkpoint_every or config.log_every, config.sample_every)
    spans = dispatch.spans(start, model.training.steps, per_dispatch, due, model.trainer.step_kind)
    threads = dispatch.choose_loader_threads(config.loader_threads)
    with ThreadPoolExecutor(threads) as pool:
        for (first, last), made in _ahead(pool, make, spans, 1 + threads):
            wait_start = time.perf_counter()
            stream, orders = made.result()
            journal.waited(time.perf_counter() - wait_start)
            yield first, last, stream, orders


def _ahead(pool: ThreadPoolExecutor, make, spans: Iterable[tuple[int, int]], ahead: int):
    """Yield each span and the future of `make(*span)`, in order, with up to `ahead` later spans submitted."""
    pending: collections.deque = collections.deque()
    try:
        for span in spans:
            pending.append((span, pool.submit(make, *span)))
            if len(pending) > ahead:
                yield pending.popleft()
        while pending:
            yield pending.popleft()
    finally:
        for _, future in pending:
            future.cancel()

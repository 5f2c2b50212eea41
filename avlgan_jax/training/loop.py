"""The story of a training run: claim the workdir, read the faces, build or restore the state, dispatch steps.

Everything a step sees follows from (seed, step), and a checkpoint holds all that training changes, so a run that was
stopped goes on as if it had not been.
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
from avlgan_jax.data import batches, manifest, records
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
    """Train model `name` in `directory` from where it stands to its last step; returns the final state.

    With `resume_skip` it goes on past the bad step that ended it before; `publish` is called whenever a checkpoint is
    whole. Raises UserError where the workdir, the
    data, the devices or the disk do not allow it, or where a number stops being finite; `signals.Interrupted` after
    saving, when the process (or another one of the run) is asked to stop.
    """
    # --- faces -------------------------------------------------------------------------------------------------
    data_dir = buckets.local_data_dir(config.data_dir, config.data, config.resolution)
    faces = records.load(data_dir, config.data, config.resolution, "train", config.landmark_dimensions)
    unseen = records.load(data_dir, config.data, config.resolution, "validation", config.landmark_dimensions)
    if multihost.is_first():
        workdir.claim(directory, config, manifest.records_digest(data_dir, config.data, config.resolution))

    # --- model, devices, state ---------------------------------------------------------------------------------
    model = build.build(name, config, len(faces))
    devices = choose_devices(config.devices, model.training.batch_size, model.with_images)
    store = _on_devices(config, faces, model, devices)
    with signals.stop_requests() as stop, contextlib.ExitStack() as open_books:
        if stop.is_set():
            raise signals.Interrupted
        journal = open_books.enter_context(
            contextlib.closing(_open_journal(config, model, directory, faces, unseen, publish))
        )
        state = multihost.broadcast_state(journal.restore(resume_skip), devices)
        skipped = skipped_steps.broadcast_skips(journal.skips)
        start = int(state.step)

        # --- steps ---------------------------------------------------------------------------------------------
        with stop.deferred_to_steps():
            journal.begin(state, stop)
            agreement = multihost.StopConsensus(devices)
            dispatches: dict[tuple[str, int], dispatch.Dispatch] = {}
            for first, last, stream, orders in _stream(model, config, faces, store, skipped, start, journal):
                kind = model.trainer.step_kind(first)
                program = (kind, last - first)
                if program in dispatches:
                    state, metrics = dispatches[program](state, stream)
                else:  # the first call compiles, which takes long
                    step = functools.partial(model.trainer.step, kind=kind)
                    dispatches[program] = dispatch.make_dispatch(step, devices, store)
                    with journal.saving_meanwhile(first, state, stop):
                        state, metrics = jax.block_until_ready(dispatches[program](state, stream))
                journal.advance(first, last, metrics, orders)
                stopping = agreement.reached(stop.is_set())
                journal.write(last, state, stop, stopping)
                if stopping and last < model.training.steps:
                    raise signals.Interrupted
            open_books.close()  # here, where a request to stop does not cut the last save short
    return state


def _open_journal(
    config: Config, model: Model, directory: Path, faces: Faces, unseen: Faces, publish: Callable[[], None]
) -> Journal | NoJournal:
    if not multihost.is_first():
        return NoJournal(functools.partial(states.fresh_state, model, config))
    frozen = {}
    if model.frozen_model is not None:
        frozen = states.restore(directory, config, model.frozen_model).evaluated
    fresh = functools.partial(states.fresh_state, model, config, frozen)
    return Journal(config, model, directory, fresh, faces, unseen, publish)


def _on_devices(config: Config, faces: Faces, model: Model, devices: list[jax.Device]) -> DeviceFaces | None:
    """The training faces on the devices, if they shall lie there; changed ones are made anew each time on the host."""
    store = batches.device_faces(faces, model.with_images)
    fits = not config.augment and data_fits(config.data_on_device, store.nbytes, devices)
    # All processes of a run do as the first: their devices might not have the same memory.
    return replicate(store, devices) if multihost.broadcast_text(str(fits)) == str(True) else None


def _stream(
    model: Model,
    config: Config,
    faces: Faces,
    store: DeviceFaces | None,
    skipped: SkippedSteps,
    start: int,
    journal: Journal | NoJournal,
) -> Iterator[tuple[int, int, Batch | BatchIndices, list[str]]]:
    """Each dispatch to be made: its first step, the one after its last, their batches, and the digests of these."""
    share = multihost.local_batch_slice(model.training.batch_size)

    def make(first: int, last: int) -> tuple[Batch | BatchIndices, list[str]]:
        """This process's share of the batches, and the digests of the whole batches' plans."""
        steps = (skipped.data_step(step) for step in range(first, last))
        plans = [batches.plan_for(config, model.training, step, faces.emotions) for step in steps]
        if store is None:
            made = [batches.assemble_batch(faces, plan, model.with_images, share) for plan in plans]
        else:
            made = [batches.batch_indices(plan, share) for plan in plans]
        return batches.stack(made), [fingerprints.fingerprint_arrays(jax.tree.leaves(plan)) for plan in plans]

    per_dispatch = dispatch.choose_steps_per_dispatch(config.steps_per_dispatch, convolves=model.with_images)
    due = (config.log_every, config.checkpoint_every, config.sample_every)
    spans = dispatch.spans(start, model.training.steps, per_dispatch, due, model.trainer.step_kind)
    with ThreadPoolExecutor(config.loader_threads) as pool:
        for (first, last), made in _ahead(pool, make, spans, 1 + config.loader_threads):
            asked = time.perf_counter()
            stream, orders = made.result()
            journal.waited(time.perf_counter() - asked)
            yield first, last, stream, orders


def _ahead(pool: ThreadPoolExecutor, make, spans: Iterable[tuple[int, int]], ahead: int):
    """Each span and the future of what `make` makes of it, `ahead` of them under way, in their order."""
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

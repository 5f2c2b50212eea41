"""A grid of landmark converters, trained together in one program, each with its own loss weights and seed.

The program is `Converter.step` under `vmap` over the runs, because a single landmark converter is too small to keep an
accelerator busy.
"""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int, Key
from tqdm import tqdm

from avlgan_jax.config import Config
from avlgan_jax.data import batches, records
from avlgan_jax.data.batches import Batch
from avlgan_jax.models import build
from avlgan_jax.models.build import Model
from avlgan_jax.models.converter import Converter, LossWeights, State, StepKind
from avlgan_jax.models.optimizers import Params
from avlgan_jax.runtime import dispatch, signals
from avlgan_jax.training import states
from avlgan_jax.training.checkpoints import Checkpoints


class LandmarkGrid(struct.PyTreeNode):
    """The state of all converters. The leaves of `members` have leading axes (seeds, weights) and no random key."""

    step: Int[Array, ""]
    key: Key[Array, ""]
    members: State


def train(config: Config, weights: list[LossWeights], seeds: list[int], folder: Path) -> LandmarkGrid:
    """Train the landmark converter of the config with each of the weights and each seed, to its last step.

    Training resumes from the newest intact checkpoint. Each converter gets the same batches as a single run with its
    seed.

    Args:
        config: Config of the run.
        weights: Loss weights, one per converter.
        seeds: Seeds, one run of every converter per seed.
        folder: Folder of the checkpoints.

    Raises:
        UserError: The data is missing or damaged, the checkpoints are damaged or do not fit, or the disk is full or
            not writable.
        signals.Interrupted: The process received a stop request. The steps done so far are saved.
    """
    faces = records.load(Path(config.data_dir), config.data, config.resolution, "train", config.landmark_dimensions)
    model = build.build("landmark", config, len(faces))
    steps = model.training.steps
    checkpoints = Checkpoints(folder, config.keep_checkpoints)
    state = _restored(checkpoints, model, config, seeds, len(weights))
    start = int(state.step)
    dispatches = {}
    longest = dispatch.choose_steps_per_dispatch(config.steps_per_dispatch, convolves=False)
    spans = dispatch.spans(start, steps, longest, (config.checkpoint_every,), model.trainer.step_kind)
    line = tqdm(total=steps, initial=start, desc=f"{len(seeds)} x {len(weights)} landmark converters", unit="step")
    with signals.stop_requests() as stop, stop.deferred_to_steps(), line:
        try:
            for first, last in spans:
                kind = model.trainer.step_kind(first)
                if kind not in dispatches:
                    dispatches[kind] = compile_grid_steps(model.trainer, weights, len(seeds), kind)
                stream = _stream(faces, config, seeds, first, last)
                state, metrics = dispatches[kind](state, stream)
                line.update(last - first)
                line.set_postfix_str(f"emotion loss of G {float(jnp.nanmean(metrics.get('g/emotion', jnp.nan))):.4f}")
                stopping = stop.is_set()
                if last % config.checkpoint_every == 0 or last == steps or stopping:
                    checkpoints.save(last, state, score=float(last))
                if stopping and last < steps:
                    raise signals.Interrupted
        finally:
            checkpoints.close()
    return state


def load(config: Config, count: int, seeds: list[int], folder: Path) -> Params | None:
    """Return the evaluated weights of all converters; None if they have not reached the config's last step.

    Args:
        config: Config of the runs.
        count: Number of converters per seed.
        seeds: Seeds of the runs.
        folder: Folder of the checkpoints.

    Returns:
        Weights with leading axes (seeds, converters), see `one_run`.

    Raises:
        UserError: The checkpoints are damaged or do not fit.
    """
    checkpoints = Checkpoints(folder, config.keep_checkpoints, read_only=True)
    try:
        if checkpoints.latest() != config.landmark.steps:
            return None
        return _restored(checkpoints, build.build("landmark", config, 1), config, seeds, count).members.evaluated
    finally:
        checkpoints.close()


def one_run(stacked: Params, seed: int, place: int) -> Params:
    """Return the weights of one converter: index `seed` among the seeds, `place` among the loss weights."""
    return jax.tree.map(lambda leaf: leaf[seed, place], stacked)


def compile_grid_steps(converter: Converter, weights: list[LossWeights], seeds: int, kind: StepKind):
    """Return a compiled `(grid, batches) -> (grid, metrics)` that runs `Converter.step` for all converters.

    Args:
        converter: The landmark converter.
        weights: Loss weights, one per converter.
        seeds: Number of seeds.
        kind: Kind of all steps of a call.

    Returns:
        A function of a `LandmarkGrid`, whose memory is donated, and of batches with leading axes (steps, seeds). The
        metrics have leading axes (steps, seeds, weights).
    """
    varied = LossWeights(*(jnp.tile(jnp.array(column, jnp.float32), seeds) for column in zip(*weights, strict=True)))

    def one(member: State, batch: Batch, key: Key[Array, ""], override: LossWeights):
        return dataclasses.replace(converter, loss_weights_override=override).step(member, batch, key, kind=kind)

    def for_each(per_seed):
        return jax.tree.map(lambda leaf: jnp.repeat(leaf, len(weights), axis=0), per_seed)

    def body(grid: LandmarkGrid, batch: Batch):
        keys = jax.random.split(jax.random.fold_in(grid.key, grid.step), seeds)
        # One flat axis of runs: with two nested axes XLA's matrix products on a CPU are very slow.
        members = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), grid.members)
        after, metrics = jax.vmap(one)(members, for_each(batch), for_each(keys), varied)
        after, metrics = jax.tree.map(lambda leaf: leaf.reshape(seeds, -1, *leaf.shape[1:]), (after, metrics))
        return grid.replace(step=grid.step + 1, members=after), metrics

    return jax.jit(lambda grid, stream: jax.lax.scan(body, grid, stream), donate_argnums=0)


def fresh_grid(model: Model, config: Config, seeds: list[int], count: int) -> LandmarkGrid:
    """Return untrained converters: the initial state of a single run for each seed, repeated `count` times."""
    alone = [states.fresh_state(model, dataclasses.replace(config, seed=seed)) for seed in seeds]
    return _repeated(alone, config.seed, count)


def _repeated(alone: list[State], seed: int, count: int) -> LandmarkGrid:
    """Return a grid at step 0 with each state, without its key, repeated `count` times; `seed` makes the grid's key."""
    alone = [state.replace(key=None) for state in alone]
    repeated = jax.tree.map(lambda *leaves: jnp.stack([jnp.stack([leaf] * count) for leaf in leaves]), *alone)
    return LandmarkGrid(jnp.zeros((), jnp.int32), jax.random.key(seed), repeated)


def _restored(checkpoints: Checkpoints, model: Model, config: Config, seeds: list[int], count: int) -> LandmarkGrid:
    """Return the grid of the newest intact checkpoint, or a fresh one if there is none."""
    latest = checkpoints.latest()
    if latest is None:
        return fresh_grid(model, config, seeds, count)
    shapes = [states.state_shapes(model, config) for _ in seeds]
    return checkpoints.restore(latest, jax.eval_shape(lambda alone: _repeated(alone, config.seed, count), shapes))


def _stream(faces: records.Faces, config: Config, seeds: list[int], first: int, last: int) -> Batch:
    """Return the batches of steps [first, last) with leading axes (steps, seeds)."""
    seeded = [dataclasses.replace(config, seed=seed) for seed in seeds]

    def of(alone: Config, step: int) -> Batch:
        plan = batches.plan_for(alone, alone.landmark, step, faces)
        return batches.assemble_batch(faces, plan, with_images=False)

    return batches.stack([batches.stack([of(alone, step) for alone in seeded]) for step in range(first, last)])

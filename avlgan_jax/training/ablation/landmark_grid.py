"""Many landmark converters that train together in one program, each with its own loss weights and its own seed.

Everything is the converter's own step, `Converter.step`, under `vmap` over the runs: one converter costs so little
that an accelerator is far from busy with it.
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
    """The state of all converters: the leaves of `members` lead with (seeds, weights)."""

    step: Int[Array, ""]
    key: Key[Array, ""]
    members: State


def train(config: Config, weights: list[LossWeights], seeds: list[int], folder: Path) -> LandmarkGrid:
    """Train the landmark converter of the config with each of the weights and each seed, to its last step.

    It goes on from the checkpoint in `folder`. Each converter sees the batches that a single run with its seed does.
    Raises UserError where the data is missing; `signals.Interrupted`, after saving, when the process is asked to stop.
    """
    faces = records.load(Path(config.data_dir), config.data, config.resolution, "train", config.landmark_dimensions)
    model = build.build("landmark", config, len(faces))
    steps = model.training.steps
    keeper = Checkpoints(folder, config.keep_checkpoints)
    state = _restored(keeper, model, config, seeds, len(weights))
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
                    keeper.save(last, state, score=float(last))
                if stopping and last < steps:
                    raise signals.Interrupted
        finally:
            keeper.close()
    return state


def load(config: Config, count: int, seeds: list[int], folder: Path) -> Params | None:
    """The evaluated weights of all `count` converters of each seed (see `member`); None before their last step."""
    keeper = Checkpoints(folder, config.keep_checkpoints, read_only=True)
    try:
        if keeper.latest() != config.landmark.steps:
            return None
        return _restored(keeper, build.build("landmark", config, 1), config, seeds, count).members.evaluated
    finally:
        keeper.close()


def one_run(stacked: Params, seed: int, place: int) -> Params:
    """One converter's weights out of all."""
    return jax.tree.map(lambda leaf: leaf[seed, place], stacked)


def compile_grid_steps(converter: Converter, weights: list[LossWeights], seeds: int, kind: StepKind):
    """A compiled `(grid, batches) -> (grid, metrics)`: the converter's own step, under `vmap` over the runs.

    The leaves of `batches` lead with (steps, seeds), those of the metrics with (steps, seeds, weights).
    """
    varied = LossWeights(*(jnp.tile(jnp.array(column, jnp.float32), seeds) for column in zip(*weights, strict=True)))

    def one(member: State, batch: Batch, key: Key[Array, ""], override: LossWeights):
        return dataclasses.replace(converter, loss_weights_override=override).step(member, batch, key, kind=kind)

    def for_each(per_seed):
        return jax.tree.map(lambda leaf: jnp.repeat(leaf, len(weights), axis=0), per_seed)

    def body(grid: LandmarkGrid, batch: Batch):
        keys = jax.random.split(jax.random.fold_in(grid.key, grid.step), seeds)
        # One axis of runs: of two, one within the other, XLA on a CPU multiplies matrices at a crawl.
        members = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), grid.members)
        after, metrics = jax.vmap(one)(members, for_each(batch), for_each(keys), varied)
        after, metrics = jax.tree.map(lambda leaf: leaf.reshape(seeds, -1, *leaf.shape[1:]), (after, metrics))
        return grid.replace(step=grid.step + 1, members=after), metrics

    return jax.jit(lambda grid, stream: jax.lax.scan(body, grid, stream), donate_argnums=0)


def fresh_grid(model: Model, config: Config, seeds: list[int], count: int) -> LandmarkGrid:
    """The untrained converters: for each seed the weights that a single run starts from, `count` times."""
    alone = [states.fresh_state(model, dataclasses.replace(config, seed=seed)) for seed in seeds]
    return _repeated(alone, config.seed, count)


def _repeated(alone: list[State], seed: int, count: int) -> LandmarkGrid:
    alone = [state.replace(key=None) for state in alone]
    repeated = jax.tree.map(lambda *leaves: jnp.stack([jnp.stack([leaf] * count) for leaf in leaves]), *alone)
    return LandmarkGrid(jnp.zeros((), jnp.int32), jax.random.key(seed), repeated)


def _restored(keeper: Checkpoints, model: Model, config: Config, seeds: list[int], count: int) -> LandmarkGrid:
    latest = keeper.latest()
    if latest is None:
        return fresh_grid(model, config, seeds, count)
    shapes = [states.state_shapes(model, config) for _ in seeds]
    return keeper.restore(latest, jax.eval_shape(lambda alone: _repeated(alone, config.seed, count), shapes))


def _stream(faces: records.Faces, config: Config, seeds: list[int], first: int, last: int) -> Batch:
    seeded = [dataclasses.replace(config, seed=seed) for seed in seeds]

    def of(alone: Config, step: int) -> Batch:
        plan = batches.plan_for(alone, alone.landmark, step, faces.emotions)
        return batches.assemble_batch(faces, plan, with_images=False)

    return batches.stack([batches.stack([of(alone, step) for alone in seeded]) for step in range(first, last)])

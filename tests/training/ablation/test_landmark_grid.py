"""Landmark converters trained together: each equals a single run, and a stopped grid resumes bit for bit."""

import dataclasses
import shutil

import chex
import jax
import numpy as np
import pytest

from avlgan_jax.data import batches, records
from avlgan_jax.models import build
from avlgan_jax.presets import debug
from avlgan_jax.training import states
from avlgan_jax.training.ablation import table_i
from avlgan_jax.training.ablation.table_i import AblationPlan


@pytest.fixture(scope="module")
def config(data_dir):
    landmark = dataclasses.replace(debug().landmark, steps=5, d_warmup=1, d_steps=2)
    return dataclasses.replace(
        debug(), data_dir=str(data_dir), landmark=landmark, checkpoint_every=3, keep_checkpoints=5
    )


@pytest.fixture(scope="module")
def grid(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, table_i.train_landmarks(config, AblationPlan(seeds=2), folder)


def test_a_member_of_the_grid_equals_a_single_run(config, grid):
    _, found = grid
    weights, seed, index = table_i.landmark_loss_weights(config), 1, 4
    alone = dataclasses.replace(
        config,
        seed=config.seed + seed,
        landmark=dataclasses.replace(
            config.landmark, emotion_weight=weights[index].emotion, centre_weight=weights[index].centre
        ),
    )
    faces = records.load(config.data_dir, config.data, config.resolution, "train")
    model = build.build("landmark", alone, len(faces))
    state = states.fresh_state(model, alone)
    step = jax.jit(model.trainer.step, static_argnames="kind")
    for number in range(5):
        plan = batches.plan_batch(alone.seed, number, 4, faces.emotions, alone.landmark.targets)
        batch = batches.assemble_batch(faces, plan, with_images=False)
        state, _ = step(state, batch, jax.random.key(0), kind=model.trainer.step_kind(number))
    assert weights[index] != weights[0]
    together = jax.tree.map(lambda leaf: leaf[seed, index], found.members.ema)
    chex.assert_trees_all_close(together, state.ema, atol=2e-5)
    assert int(found.step) == 5 and np.all(found.members.step == 5)


def test_all_members_of_the_grid_differ(grid):
    _, found = grid
    leaf = np.asarray(jax.tree.leaves(found.members.generator)[1])
    members = leaf.reshape(leaf.shape[0] * leaf.shape[1], -1)
    assert len(np.unique(members, axis=0)) == len(members)


def test_a_stopped_grid_resumes_bit_for_bit(config, grid, tmp_path):
    folder, uninterrupted = grid
    shutil.copytree(folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "ablation" / "landmark" / "checkpoints" / "5")
    resumed = table_i.train_landmarks(config, AblationPlan(seeds=2), tmp_path / "run")
    chex.assert_trees_all_equal(resumed.members, uninterrupted.members)

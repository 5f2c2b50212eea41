"""Checkpoints on a real disk, with real damage."""

import logging
import math
import time
import types

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from avlgan_jax.errors import UserError
from avlgan_jax.training import checkpoints
from avlgan_jax.training.checkpoints import MANIFEST, Checkpoints


class State(struct.PyTreeNode):
    step: jax.Array
    key: jax.Array
    weights: dict


def state(step, size=64):
    return State(
        step=jnp.asarray(step),
        key=jax.random.fold_in(jax.random.key(7), step),
        weights={"a": jnp.full((size, 8), float(step)), "b": jax.random.normal(jax.random.key(step), (size,))},
    )


def saved(directory, steps, keep=10, scores=None):
    keeper = Checkpoints(directory, keep)
    for step in steps:
        keeper.save(step, state(step), (scores or {}).get(step, 0.0))
    keeper.close()
    return Checkpoints(directory, keep)


def steps_in(directory):
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdigit())


def data_file(folder):
    return max((p for p in folder.rglob("*") if p.is_file() and "/d/" in p.as_posix()), key=lambda p: p.stat().st_size)


def test_what_is_saved_comes_back_to_the_bit(tmp_path):
    keeper = saved(tmp_path, [3])
    found = keeper.restore(keeper.latest(), state(0))
    chex.assert_trees_all_equal(found.weights, state(3).weights)
    np.testing.assert_array_equal(jax.random.key_data(found.key), jax.random.key_data(state(3).key))
    assert int(found.step) == 3
    keeper.close()


def test_the_newest_and_the_best_are_kept(tmp_path):
    saved(tmp_path, [1, 2, 3, 4, 5], keep=2, scores={2: 9.0}).close()
    assert steps_in(tmp_path) == [2, 4, 5]


def test_the_best_is_known_after_a_restart_and_nothing_else_piles_up(tmp_path):
    saved(tmp_path, [1, 2, 3], keep=1, scores={2: 9.0}).close()
    saved(tmp_path, [4, 5], keep=1, scores={4: 8.0, 5: -math.inf}).close()
    keeper = saved(tmp_path, [6], keep=1, scores={6: 7.5})
    assert steps_in(tmp_path) == [2, 6]
    assert keeper.score(2) == 9.0 and keeper.score(6) == 7.5
    keeper.close()


def test_a_flipped_byte_is_noticed_and_the_one_before_is_used(tmp_path, caplog):
    saved(tmp_path, [1, 2]).close()
    damaged = data_file(tmp_path / "2")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    keeper = Checkpoints(tmp_path, 10)
    with caplog.at_level(logging.WARNING):
        assert keeper.latest() == 1
    assert f"{tmp_path / '2'} is damaged" in caplog.text
    keeper.save(2, state(2), 0.0)  # training comes to this step again
    keeper.wait()
    assert keeper.latest() == 2 and int(keeper.restore(2, state(0)).step) == 2
    keeper.close()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_score_is_passed_over_too(tmp_path, caplog, damaged, read_only):
    """Orbax reads the score of every step as it starts, before anything can be asked of it."""
    saved(tmp_path, [1, 2]).close()
    score = tmp_path / str(damaged) / "metrics" / "metrics"
    score.write_bytes(score.read_bytes().replace(b":", b"z"))
    with caplog.at_level(logging.WARNING):
        keeper = Checkpoints(tmp_path, 10, read_only)
        assert keeper.latest() == (2 if damaged == 1 else 1)
    keeper.close()
    assert (f"{tmp_path / str(damaged)} is damaged (metrics/metrics)" in caplog.text) == (not read_only or damaged == 2)
    assert steps_in(tmp_path) == ([1, 2] if read_only else [3 - damaged])


def test_a_lost_file_is_noticed(tmp_path):
    saved(tmp_path, [1, 2]).close()
    data_file(tmp_path / "2").unlink()
    keeper = Checkpoints(tmp_path, 10)
    assert keeper.latest() == 1
    keeper.close()


def test_when_all_are_damaged_the_person_is_told(tmp_path):
    saved(tmp_path, [1]).close()
    data_file(tmp_path / "1").write_bytes(b"nothing")
    keeper = Checkpoints(tmp_path, 10)
    with pytest.raises(UserError, match="every checkpoint .* is damaged"):
        keeper.latest()
    keeper.close()


def test_a_save_that_was_cut_short_does_not_count(tmp_path):
    saved(tmp_path, [1]).close()
    (tmp_path / "9").mkdir()
    (tmp_path / "8").mkdir()
    (tmp_path / "8" / "half").write_text("x")
    keeper = Checkpoints(tmp_path, 10)
    assert keeper.latest() == 1
    assert steps_in(tmp_path) == [1]
    keeper.close()


def test_a_reader_leaves_a_save_under_way_alone(tmp_path):
    saved(tmp_path, [1]).close()
    (tmp_path / "2").mkdir()  # as a training run has it until the save is sealed
    reader = Checkpoints(tmp_path, 1, read_only=True)
    assert reader.latest() == 1
    assert int(reader.restore(1, state(0)).step) == 1
    reader.close()
    assert steps_in(tmp_path) == [1, 2]


def test_another_shape_is_one_clear_line(tmp_path):
    keeper = saved(tmp_path, [1])
    with pytest.raises(UserError, match="does not fit this model"):
        keeper.restore(1, state(0, size=32))
    keeper.close()


def test_nothing_saved_yet(tmp_path):
    keeper = Checkpoints(tmp_path / "new", 3)
    assert keeper.latest() is None
    keeper.close()


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path, small_disk, caplog):
    keeper = saved(small_disk, [1])
    with pytest.raises(UserError, match="cannot save step 2 .* the checkpoint of step 1 is intact"):
        keeper.save(2, state(2, size=2_000_000), 0.0)
        keeper.wait()
    keeper.close()
    assert not caplog.records  # the one line is the exception's; no thread shows its traceback besides
    again = Checkpoints(small_disk, 10)
    assert again.latest() == 1 and steps_in(small_disk) == [1]
    again.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB, where this machine lets a test mount one."""
    import subprocess

    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip("mounting a small file system needs root")
    yield place / "checkpoints"
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_save_is_whole_as_soon_as_it_is_written_and_not_by_the_next_one(tmp_path):
    keeper = Checkpoints(tmp_path / "c", keep=2)
    keeper.save(1, state(1), score=0.0)
    until = time.monotonic() + 60
    while not (tmp_path / "c" / "1" / MANIFEST).exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert Checkpoints(tmp_path / "c", keep=2, read_only=True).latest() == 1
    keeper.close()


def test_a_disk_without_space_at_resumption_keeps_the_checkpoint_resumed_from(tmp_path, monkeypatch):
    keeper = saved(tmp_path, [3])
    found = keeper.restore(keeper.latest(), state(0))
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=0))
    with pytest.raises(UserError, match="the checkpoint of step 3 is intact"):
        keeper.require_space(3, found)
    assert keeper.latest() == 3
    chex.assert_trees_all_equal(keeper.restore(3, state(0)).weights, state(3).weights)

"""Checkpoints on a real disk: saving, restoring, damaged files and a full disk."""

import logging
import math
import threading
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
    store = Checkpoints(directory, keep)
    for step in steps:
        store.save(step, state(step), (scores or {}).get(step, 0.0))
    store.close()
    return Checkpoints(directory, keep)


def steps_in(directory):
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdigit())


def data_file(folder):
    return max((p for p in folder.rglob("*") if p.is_file() and "/d/" in p.as_posix()), key=lambda p: p.stat().st_size)


def test_a_restored_state_is_bit_for_bit_the_saved_one(tmp_path):
    store = saved(tmp_path, [3])
    found = store.restore(store.latest(), state(0))
    chex.assert_trees_all_equal(found.weights, state(3).weights)
    np.testing.assert_array_equal(jax.random.key_data(found.key), jax.random.key_data(state(3).key))
    assert int(found.step) == 3
    store.close()


def test_the_newest_and_the_best_are_kept(tmp_path):
    saved(tmp_path, [1, 2, 3, 4, 5], keep=2, scores={2: 9.0}).close()
    assert steps_in(tmp_path) == [2, 4, 5]


def test_with_0_a_save_is_due_at_log_entries_once_the_last_one_has_ended(tmp_path, monkeypatch):
    may_end = threading.Event()
    finish = Checkpoints._finish

    def finish_late(self, step):
        assert may_end.wait(60)
        finish(self, step)

    monkeypatch.setattr(Checkpoints, "_finish", finish_late)
    store = Checkpoints(tmp_path, 10)
    assert [step for step in range(1, 9) if store.is_due(step, 0, 4)] == [4, 8]
    store.save(4, state(4), 0.0)
    assert not store.is_due(8, 0, 4) and store.is_due(8, 8, 4)
    may_end.set()
    store._pending_save[1].result()
    assert store.is_due(8, 0, 4)
    store.close()


def test_after_a_restart_the_newest_and_the_best_are_still_kept(tmp_path):
    saved(tmp_path, [1, 2, 3], keep=1, scores={2: 9.0}).close()
    saved(tmp_path, [4, 5], keep=1, scores={4: 8.0, 5: -math.inf}).close()
    store = saved(tmp_path, [6], keep=1, scores={6: 7.5})
    assert steps_in(tmp_path) == [2, 6]
    assert store.score(2) == 9.0 and store.score(6) == 7.5
    store.close()


def test_after_a_flipped_byte_the_previous_checkpoint_is_used(tmp_path, caplog):
    saved(tmp_path, [1, 2]).close()
    damaged = data_file(tmp_path / "2")
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    store = Checkpoints(tmp_path, 10)
    with caplog.at_level(logging.WARNING):
        assert store.latest() == 1
    assert f"{tmp_path / '2'} is damaged" in caplog.text
    store.save(2, state(2), 0.0)  # as resumed training does when it reaches this step again
    store.wait()
    assert store.latest() == 2 and int(store.restore(2, state(0)).step) == 2
    store.close()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("damaged", [1, 2])
def test_a_checkpoint_with_a_damaged_score_is_not_used(tmp_path, caplog, damaged, read_only):
    """Orbax's manager reads the score of every step when it starts, so a damaged one must be handled before."""
    saved(tmp_path, [1, 2]).close()
    score = tmp_path / str(damaged) / "metrics" / "metrics"
    score.write_bytes(score.read_bytes().replace(b":", b"z"))
    with caplog.at_level(logging.WARNING):
        store = Checkpoints(tmp_path, 10, read_only)
        assert store.latest() == (2 if damaged == 1 else 1)
    store.close()
    assert (f"{tmp_path / str(damaged)} is damaged (metrics/metrics)" in caplog.text) == (not read_only or damaged == 2)
    assert steps_in(tmp_path) == ([1, 2] if read_only else [3 - damaged])


def test_after_a_lost_file_the_previous_checkpoint_is_used(tmp_path):
    saved(tmp_path, [1, 2]).close()
    data_file(tmp_path / "2").unlink()
    store = Checkpoints(tmp_path, 10)
    assert store.latest() == 1
    store.close()


def test_if_all_checkpoints_are_damaged_it_is_a_user_error(tmp_path):
    saved(tmp_path, [1]).close()
    data_file(tmp_path / "1").write_bytes(b"nothing")
    store = Checkpoints(tmp_path, 10)
    with pytest.raises(UserError, match="every checkpoint .* is damaged"):
        store.latest()
    store.close()


def test_an_incomplete_save_is_removed(tmp_path):
    saved(tmp_path, [1]).close()
    (tmp_path / "9").mkdir()
    (tmp_path / "8").mkdir()
    (tmp_path / "8" / "half").write_text("x")
    store = Checkpoints(tmp_path, 10)
    assert store.latest() == 1
    assert steps_in(tmp_path) == [1]
    store.close()


def test_a_read_only_instance_does_not_remove_a_save_in_progress(tmp_path):
    saved(tmp_path, [1]).close()
    (tmp_path / "2").mkdir()  # as in a training run until the manifest is written
    reader = Checkpoints(tmp_path, 1, read_only=True)
    assert reader.latest() == 1
    assert int(reader.restore(1, state(0)).step) == 1
    reader.close()
    assert steps_in(tmp_path) == [1, 2]


def test_restoring_a_state_of_another_shape_is_a_user_error(tmp_path):
    store = saved(tmp_path, [1])
    with pytest.raises(UserError, match="does not fit this model"):
        store.restore(1, state(0, size=32))
    store.close()


def test_latest_is_none_without_checkpoints(tmp_path):
    store = Checkpoints(tmp_path / "new", 3)
    assert store.latest() is None
    store.close()


def test_a_full_disk_is_a_user_error_and_the_last_checkpoint_stays_intact(tmp_path, small_disk, caplog):
    store = saved(small_disk, [1])
    with pytest.raises(UserError, match="cannot save step 2 .* the checkpoint of step 1 is intact"):
        store.save(2, state(2, size=2_000_000), 0.0)
        store.wait()
    store.close()
    assert not caplog.records  # the exception is the only message; no thread logs a traceback
    reopened = Checkpoints(small_disk, 10)
    assert reopened.latest() == 1 and steps_in(small_disk) == [1]
    reopened.close()


@pytest.fixture
def small_disk(tmp_path):
    """Yield a path in a file system of 4 MB; skip the test where mounting one is not permitted."""
    import subprocess

    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder / "checkpoints"
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_save_is_completed_in_the_background_without_a_further_call(tmp_path):
    store = Checkpoints(tmp_path / "c", keep=2)
    store.save(1, state(1), score=0.0)
    until = time.monotonic() + 60
    while not (tmp_path / "c" / "1" / MANIFEST).exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert Checkpoints(tmp_path / "c", keep=2, read_only=True).latest() == 1
    store.close()


def test_a_disk_without_space_at_resumption_keeps_the_checkpoint_resumed_from(tmp_path, monkeypatch):
    store = saved(tmp_path, [3])
    found = store.restore(store.latest(), state(0))
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=0))
    with pytest.raises(UserError, match="the checkpoint of step 3 is intact"):
        store.require_space(3, found)
    assert store.latest() == 3
    chex.assert_trees_all_equal(store.restore(3, state(0)).weights, state(3).weights)

"""Training runs: resume to the bit, stop on request, bad numbers, bad workdirs."""

import dataclasses
import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from conftest import ROOT
from training_processes import start, steps_saved, wait_for

from avlgan_jax.config import ImageTraining, LandmarkTraining
from avlgan_jax.data import batches, records
from avlgan_jax.errors import UserError
from avlgan_jax.presets import debug
from avlgan_jax.training import loop, metric_writer, states, workdir


@pytest.fixture
def config(data_dir):
    landmark = LandmarkTraining(steps=8, batch_size=4, width=8, blocks=1, d_layers=1, ema_decay=0.9)
    small = dataclasses.replace(debug(), landmark=landmark, data_dir=str(data_dir), devices=2)
    return dataclasses.replace(small, checkpoint_every=4, log_every=2, sample_every=4)


def leaves(state):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state.replace(key=jax.random.key_data(state.key)))]


def lines(folder):
    """What metrics.jsonl tells, but for the line that names the leaves."""
    return [line for line in metric_writer.read_metrics(folder) if "leaves" not in line]


def test_stopping_half_way_changes_no_bit(config, tmp_path):
    whole = loop.train(config, "landmark", tmp_path / "whole")
    half = dataclasses.replace(config, landmark=dataclasses.replace(config.landmark, steps=4))
    loop.train(half, "landmark", tmp_path / "parts")
    resumed = loop.train(config, "landmark", tmp_path / "parts")
    assert int(resumed.step) == 8
    for ours, theirs in zip(leaves(resumed), leaves(whole), strict=True):
        assert ours.tobytes() == theirs.tobytes()
    assert lines(tmp_path / "whole" / "landmark") == lines(tmp_path / "parts" / "landmark")
    restored = states.restore(tmp_path / "parts", config, "landmark")
    for ours, theirs in zip(leaves(restored), leaves(whole), strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_where_the_faces_lie_changes_no_bit(config, tmp_path):
    there = dataclasses.replace(config, data_on_device="yes")
    sent, there = (loop.train(one, "landmark", tmp_path / one.data_on_device) for one in (config, there))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(sent), leaves(there), strict=True))
    assert lines(tmp_path / "auto" / "landmark") == lines(tmp_path / "yes" / "landmark")


def test_changed_faces_are_trained_on_and_resume_to_the_bit(config, tmp_path):
    changed = dataclasses.replace(config, augment=1.0)
    whole = loop.train(changed, "landmark", tmp_path / "whole")
    half = dataclasses.replace(changed, landmark=dataclasses.replace(config.landmark, steps=4))
    loop.train(half, "landmark", tmp_path / "parts")
    resumed = loop.train(changed, "landmark", tmp_path / "parts")
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(resumed), leaves(whole), strict=True))
    plain = loop.train(config, "landmark", tmp_path / "plain")
    assert any(a.tobytes() != b.tobytes() for a, b in zip(leaves(plain), leaves(whole), strict=True))


def test_the_same_seed_gives_the_same_bits_and_another_does_not(config, tmp_path):
    one, two = (loop.train(config, "landmark", tmp_path / name) for name in ("one", "two"))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(one), leaves(two), strict=True))
    other = loop.train(dataclasses.replace(config, seed=1), "landmark", tmp_path / "other")
    assert any(a.tobytes() != b.tobytes() for a, b in zip(leaves(one), leaves(other), strict=True))


def test_a_finished_run_is_left_alone(config, tmp_path, capsys):
    loop.train(config, "landmark", tmp_path)
    before = (tmp_path / "landmark" / "metrics.jsonl").read_text()
    loop.train(config, "landmark", tmp_path)
    assert "8 of 8 steps are done already" in capsys.readouterr().out
    assert (tmp_path / "landmark" / "metrics.jsonl").read_text() == before


def test_what_a_run_leaves_behind(config, tmp_path):
    loop.train(config, "landmark", tmp_path)
    folder = tmp_path / "landmark"
    assert sorted(p.name for p in (folder / "samples").iterdir()) == ["00000004.png", "00000008.png"]
    assert any(p.name.startswith("events.") for p in folder.iterdir())
    logged = lines(folder)
    assert {"d/loss", "g/loss", "g/centre"} <= set(logged[0])
    assert [line["step"] for line in logged if "validation/score" in line] == [4, 8]


def test_a_crash_leaves_no_lines_from_steps_that_are_done_again(config, tmp_path):
    half = dataclasses.replace(config, landmark=dataclasses.replace(config.landmark, steps=4))
    loop.train(half, "landmark", tmp_path)
    with (tmp_path / "landmark" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "g/loss": 123}\n{"step": 7, "g/lo')
    loop.train(config, "landmark", tmp_path)
    assert [line["step"] for line in lines(tmp_path / "landmark")] == [2, 4, 4, 6, 8, 8]
    assert all(line.get("g/loss") != 123 for line in lines(tmp_path / "landmark"))


def test_a_bad_number_stops_the_run_and_resume_skip_goes_past_it(config, tmp_path, monkeypatch):
    plans = [batches.plan_for(config, config.landmark, step, np.zeros((64, 2))) for step in range(8)]
    poisoned = plans[6].indices[0]
    intact = records.load

    def load(*arguments):
        faces = intact(*arguments)
        if "train" in arguments:
            faces = dataclasses.replace(faces, landmarks=np.array(faces.landmarks))
            faces.landmarks[poisoned] = np.nan
        return faces

    monkeypatch.setattr(records, "load", load)
    for _ in range(2):  # it is no accident: the same step again
        with pytest.raises(UserError, match=r"d/\w+ is nan at step 6, .*step 4 is good.*--resume-skip"):
            loop.train(config, "landmark", tmp_path)
    told = json.loads((tmp_path / "landmark" / "bad_step.json").read_text())
    faces = intact(Path(config.data_dir), config.data, config.resolution, "train")
    assert told["step"] == 6 and told["checkpoint"] == 4
    assert told["ids"] == [str(faces.ids[index]) for index in plans[6].indices]
    state = loop.train(config, "landmark", tmp_path, resume_skip=True)
    assert int(state.step) == 8 and all(np.isfinite(leaf).all() for leaf in leaves(state))
    assert json.loads((tmp_path / "landmark" / "skipped.json").read_text()) == [[4, 6]]
    assert not (tmp_path / "landmark" / "bad_step.json").exists()


def test_numbers_that_grow_without_bound_are_no_checkpoint(config, tmp_path):
    wild = dataclasses.replace(config.landmark, learning_rate=0.99, adversarial_loss="wgan_gp", steps=400)
    config = dataclasses.replace(config, landmark=dataclasses.replace(wild, reconstruction_weight=1e30))
    with pytest.raises(UserError, match=r"(g|d)/\w+ is (nan|inf|-inf) at step \d+"):
        loop.train(config, "landmark", tmp_path)


def test_the_number_of_loading_threads_changes_nothing(config, tmp_path):
    one = loop.train(config, "landmark", tmp_path / "one")
    half = dataclasses.replace(config, landmark=dataclasses.replace(config.landmark, steps=4))
    loop.train(half, "landmark", tmp_path / "three")
    three = loop.train(dataclasses.replace(config, loader_threads=3), "landmark", tmp_path / "three")
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(one), leaves(three), strict=True))
    assert lines(tmp_path / "one" / "landmark") == lines(tmp_path / "three" / "landmark")


def test_a_look_that_a_stop_left_out_is_made_up_for(config, tmp_path):
    whole = loop.train(config, "landmark", tmp_path / "whole")
    loop.train(config, "landmark", tmp_path / "parts")
    log = tmp_path / "parts" / "landmark" / "metrics.jsonl"
    text = log.read_text().splitlines(keepends=True)
    assert "validation/score" in text[-1]
    log.write_text("".join(text[:-1]))
    again = loop.train(config, "landmark", tmp_path / "parts")
    assert log.read_text().splitlines(keepends=True) == text
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(whole), leaves(again), strict=True))


def test_the_image_converter_needs_the_landmark_converter(config, tmp_path):
    with pytest.raises(UserError, match="landmark model .* is not trained yet; train it: python train.py landmark"):
        loop.train(config, "image", tmp_path)


def test_another_config_in_the_workdir(config, tmp_path):
    loop.train(config, "landmark", tmp_path)
    with pytest.raises(UserError, match="seed: 5 here, 0 there"):
        loop.train(dataclasses.replace(config, seed=5), "landmark", tmp_path)


@pytest.mark.slow
def test_image_converter_resumes_to_the_bit(data_dir, tmp_path):
    image = ImageTraining(steps=4, batch_size=4, width=4, blocks=1, d_width=4, d_layers=4, masked=True, ema_decay=0.9)
    config = dataclasses.replace(debug(), data_dir=str(data_dir), image=image, checkpoint_every=2, devices=2)
    for folder in ("whole", "parts"):
        loop.train(config, "landmark", tmp_path / folder)
    whole = loop.train(config, "image", tmp_path / "whole")
    loop.train(dataclasses.replace(config, image=dataclasses.replace(image, steps=2)), "image", tmp_path / "parts")
    resumed = loop.train(config, "image", tmp_path / "parts")
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(resumed), leaves(whole), strict=True))


LONG = ("--landmark.steps", 100_000, "--log-every", 50, "--checkpoint-every", 200, "--sample-every", 100_000)


def test_a_stop_signal_saves_and_asks_to_be_started_again(data_dir, tmp_path):
    process = start(data_dir, tmp_path, "landmark", *LONG)
    wait_for(lambda: lines(tmp_path / "landmark"), process)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 75, told
    assert "stopping after this step" in told and "Traceback" not in told
    assert steps_saved(tmp_path)[-1] == lines(tmp_path / "landmark")[-1]["step"], "the step it stopped at was saved"


def test_a_stop_signal_while_compiling_ends_it_within_seconds(data_dir, tmp_path):
    process = start(data_dir, tmp_path, "landmark", *LONG)
    wait_for(lambda: (tmp_path / "landmark" / "metrics.jsonl").exists(), process)  # opened just before it compiles
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    _, told = process.communicate(timeout=300)
    assert process.returncode == 75 and time.monotonic() - asked < 10, told
    assert "Traceback" not in told


def test_a_kill_costs_at_most_the_steps_since_the_last_checkpoint(data_dir, tmp_path):
    process = start(data_dir, tmp_path, "landmark", *LONG)
    wait_for(lambda: len(steps_saved(tmp_path)) >= 2, process)
    process.kill()
    process.communicate()
    newest = steps_saved(tmp_path)[-1]
    state = states.restore(tmp_path, workdir.read_config(tmp_path), "landmark")
    assert int(state.step) == newest >= 400


def test_a_request_during_the_last_save_does_not_cut_it_short(data_dir, tmp_path):
    code = """
        import os, signal, sys, time
        import train
        from avlgan_jax.training.checkpoints import Checkpoints
        close = Checkpoints.close
        def close_when_asked_to_stop(self):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.5)
            close(self)
        Checkpoints.close = close_when_asked_to_stop
        train.main()
    """
    options = ["landmark", "--preset", "debug", "--data-dir", str(data_dir), "--workdir", str(tmp_path)]
    command = [sys.executable, "-c", textwrap.dedent(code), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert max(steps_saved(tmp_path)) == 4

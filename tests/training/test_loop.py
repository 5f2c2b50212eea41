"""Training runs: bit-for-bit resumption, stop requests, numbers that are not finite, and unsuitable workdirs."""

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
from avlgan_jax.models import build
from avlgan_jax.presets import debug
from avlgan_jax.training import loop, metric_writer, states, workdir
from avlgan_jax.training.checkpoints import Checkpoints


@pytest.fixture
def config(data_dir):
    landmark = LandmarkTraining(steps=8, batch_size=4, width=8, blocks=1, d_layers=1, ema_decay=0.9)
    small = dataclasses.replace(debug(), landmark=landmark, data_dir=str(data_dir), devices=2)
    return dataclasses.replace(small, checkpoint_every=4, log_every=2, sample_every=4)


def leaves(state):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state.replace(key=jax.random.key_data(state.key)))]


def lines(folder):
    """Return the lines of metrics.jsonl, without the line that names the leaves."""
    return [line for line in metric_writer.read_metrics(folder) if "leaves" not in line]


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(config, tmp_path):
    uninterrupted = loop.train(config, "landmark", tmp_path / "uninterrupted")
    half = dataclasses.replace(config, landmark=dataclasses.replace(config.landmark, steps=4))
    loop.train(half, "landmark", tmp_path / "resumed")
    resumed = loop.train(config, "landmark", tmp_path / "resumed")
    assert int(resumed.step) == 8
    for one, other in zip(leaves(resumed), leaves(uninterrupted), strict=True):
        assert one.tobytes() == other.tobytes()
    assert lines(tmp_path / "uninterrupted" / "landmark") == lines(tmp_path / "resumed" / "landmark")
    restored = states.restore(tmp_path / "resumed", config, "landmark")
    for one, other in zip(leaves(restored), leaves(uninterrupted), strict=True):
        assert one.tobytes() == other.tobytes()


def test_saving_as_often_as_possible_changes_nothing_and_resumes_bit_for_bit(config, tmp_path, monkeypatch):
    """Every second save is taken to be in progress at the next log entry."""
    saved, is_due, save = [], Checkpoints.is_due, Checkpoints.save

    def is_due_unless_saved_just_before(self, step, every, log_every):
        assert (every, log_every) == (0, 2)
        return is_due(self, step, every, log_every) and step - 2 not in saved

    def record_and_save(self, step, *arguments):
        saved.append(step)
        save(self, step, *arguments)
        self.wait()

    uninterrupted = loop.train(config, "landmark", tmp_path / "uninterrupted")
    monkeypatch.setattr(Checkpoints, "is_due", is_due_unless_saved_just_before)
    monkeypatch.setattr(Checkpoints, "save", record_and_save)
    often = dataclasses.replace(config, checkpoint_every=0)
    half = dataclasses.replace(often, landmark=dataclasses.replace(config.landmark, steps=4))
    loop.train(half, "landmark", tmp_path / "often")
    assert saved == [2, 4]
    resumed = loop.train(often, "landmark", tmp_path / "often")
    assert saved == [2, 4, 8]
    assert lines(tmp_path / "often" / "landmark") == lines(tmp_path / "uninterrupted" / "landmark")
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(resumed), leaves(uninterrupted), strict=True))
    assert workdir.read_config(tmp_path / "often").checkpoint_every == 0


def test_faces_on_the_device_and_on_the_host_give_the_same_bits(config, tmp_path):
    on_device = dataclasses.replace(config, data_on_device="yes")
    sent, on_device = (loop.train(one, "landmark", tmp_path / one.data_on_device) for one in (config, on_device))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(sent), leaves(on_device), strict=True))
    assert lines(tmp_path / "auto" / "landmark") == lines(tmp_path / "yes" / "landmark")


def test_augmented_training_differs_from_plain_training_and_resumes_bit_for_bit(config, tmp_path):
    augmented = dataclasses.replace(config, augment=1.0)
    uninterrupted = loop.train(augmented, "landmark", tmp_path / "uninterrupted")
    half = dataclasses.replace(augmented, landmark=dataclasses.replace(config.landmark, steps=4))
    loop.train(half, "landmark", tmp_path / "resumed")
    resumed = loop.train(augmented, "landmark", tmp_path / "resumed")
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(resumed), leaves(uninterrupted), strict=True))
    plain = loop.train(config, "landmark", tmp_path / "plain")
    assert any(a.tobytes() != b.tobytes() for a, b in zip(leaves(plain), leaves(uninterrupted), strict=True))


def test_the_same_seed_gives_the_same_bits_and_another_does_not(config, tmp_path):
    one, two = (loop.train(config, "landmark", tmp_path / name) for name in ("one", "two"))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(one), leaves(two), strict=True))
    other = loop.train(dataclasses.replace(config, seed=1), "landmark", tmp_path / "other")
    assert any(a.tobytes() != b.tobytes() for a, b in zip(leaves(one), leaves(other), strict=True))


def test_a_finished_run_is_not_changed(config, tmp_path, capsys):
    loop.train(config, "landmark", tmp_path)
    before = (tmp_path / "landmark" / "metrics.jsonl").read_text()
    loop.train(config, "landmark", tmp_path)
    assert "8 of 8 steps are done already" in capsys.readouterr().out
    assert (tmp_path / "landmark" / "metrics.jsonl").read_text() == before


def test_a_run_writes_samples_metrics_and_tensorboard_events(config, tmp_path):
    loop.train(config, "landmark", tmp_path)
    folder = tmp_path / "landmark"
    assert sorted(p.name for p in (folder / "samples").iterdir()) == ["00000004.png", "00000008.png"]
    assert any(p.name.startswith("events.") for p in folder.iterdir())
    logged = lines(folder)
    assert {"d/loss", "g/loss", "g/centre"} <= set(logged[0])
    assert [line["step"] for line in logged if "validation/score" in line] == [4, 8]


def test_a_resumed_run_removes_metrics_of_steps_it_repeats(config, tmp_path):
    half = dataclasses.replace(config, landmark=dataclasses.replace(config.landmark, steps=4))
    loop.train(half, "landmark", tmp_path)
    with (tmp_path / "landmark" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "g/loss": 123}\n{"step": 7, "g/lo')
    loop.train(config, "landmark", tmp_path)
    assert [line["step"] for line in lines(tmp_path / "landmark")] == [2, 4, 4, 6, 8, 8]
    assert all(line.get("g/loss") != 123 for line in lines(tmp_path / "landmark"))


def test_a_nan_stops_the_run_and_resume_skip_replaces_the_batches(config, tmp_path, monkeypatch):
    train_faces = records.load(Path(config.data_dir), config.data, config.resolution, "train")
    plans = [batches.plan_for(config, config.landmark, step, train_faces) for step in range(8)]
    poisoned = plans[6].indices[0]
    intact = records.load

    def load(*arguments):
        faces = intact(*arguments)
        if "train" in arguments:
            faces = dataclasses.replace(faces, landmarks=np.array(faces.landmarks))
            faces.landmarks[poisoned] = np.nan
        return faces

    monkeypatch.setattr(records, "load", load)
    for _ in range(2):  # the error is reproducible
        with pytest.raises(UserError, match=r"d/\w+ is nan at step 6, .*step 4 is good.*--resume-skip"):
            loop.train(config, "landmark", tmp_path)
    bad_step = json.loads((tmp_path / "landmark" / "bad_step.json").read_text())
    faces = intact(Path(config.data_dir), config.data, config.resolution, "train")
    assert bad_step["step"] == 6 and bad_step["checkpoint"] == 4
    assert bad_step["ids"] == [str(faces.ids[index]) for index in plans[6].indices]
    state = loop.train(config, "landmark", tmp_path, resume_skip=True)
    assert int(state.step) == 8 and all(np.isfinite(leaf).all() for leaf in leaves(state))
    assert json.loads((tmp_path / "landmark" / "skipped.json").read_text()) == [[4, 6]]
    assert not (tmp_path / "landmark" / "bad_step.json").exists()


def test_diverging_training_is_a_user_error(config, tmp_path):
    diverging = dataclasses.replace(config.landmark, learning_rate=0.99, adversarial_loss="wgan_gp", steps=400)
    config = dataclasses.replace(config, landmark=dataclasses.replace(diverging, reconstruction_weight=1e30))
    with pytest.raises(UserError, match=r"(g|d)/\w+ is (nan|inf|-inf) at step \d+"):
        loop.train(config, "landmark", tmp_path)


def test_the_number_of_loader_threads_does_not_change_the_results(config, tmp_path):
    one = loop.train(config, "landmark", tmp_path / "one")
    half = dataclasses.replace(config, landmark=dataclasses.replace(config.landmark, steps=4))
    loop.train(half, "landmark", tmp_path / "three")
    three = loop.train(dataclasses.replace(config, loader_threads=3), "landmark", tmp_path / "three")
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(one), leaves(three), strict=True))
    assert lines(tmp_path / "one" / "landmark") == lines(tmp_path / "three" / "landmark")


def test_a_missing_validation_of_the_last_step_is_repeated(config, tmp_path):
    uninterrupted = loop.train(config, "landmark", tmp_path / "uninterrupted")
    loop.train(config, "landmark", tmp_path / "resumed")
    log = tmp_path / "resumed" / "landmark" / "metrics.jsonl"
    text = log.read_text().splitlines(keepends=True)
    assert "validation/score" in text[-1]
    log.write_text("".join(text[:-1]))
    again = loop.train(config, "landmark", tmp_path / "resumed")
    assert log.read_text().splitlines(keepends=True) == text
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(uninterrupted), leaves(again), strict=True))


def test_the_image_converter_needs_the_landmark_converter(config, tmp_path):
    with pytest.raises(UserError, match="landmark model .* is not trained yet; train it: python train.py landmark"):
        loop.train(config, "image", tmp_path)


def test_a_run_starts_from_the_networks_of_an_initial_run_and_uses_its_other_models(config, tmp_path):
    earlier, initial = tmp_path / "earlier", dataclasses.replace(config, initial=str(tmp_path / "earlier"))
    with pytest.raises(UserError, match=f"landmark model of {earlier} is not trained yet"):
        loop.train(initial, "landmark", tmp_path / "later")
    done = loop.train(config, "landmark", earlier)
    model = build.build("landmark", initial, 1)
    start = states.fresh_state(model, initial)
    for network in ("generator", "discriminator", "ema"):
        for one, other in zip(*(jax.tree.leaves(getattr(s, network)) for s in (start, done)), strict=True):
            np.testing.assert_array_equal(one, other)
    assert int(start.step) == 0
    restored = states.restore(tmp_path / "later", initial, "landmark")  # not trained in the later run
    assert int(restored.step) == 8
    trained = loop.train(initial, "landmark", tmp_path / "later")
    assert any(a.tobytes() != b.tobytes() for a, b in zip(leaves(trained), leaves(done), strict=True))


def test_random_proportions_change_training_and_stay_off_the_device(config, tmp_path):
    section = dataclasses.replace(config.landmark, vary_proportions=1.0)
    varied = dataclasses.replace(config, landmark=section, data_on_device="auto")
    one = loop.train(varied, "landmark", tmp_path / "varied")
    plain = loop.train(config, "landmark", tmp_path / "plain")
    assert any(a.tobytes() != b.tobytes() for a, b in zip(leaves(one), leaves(plain), strict=True))
    with pytest.raises(UserError, match="vary_proportions is 1.0"):
        dataclasses.replace(varied, data_on_device="yes")


def test_a_workdir_with_another_config_is_refused(config, tmp_path):
    loop.train(config, "landmark", tmp_path)
    with pytest.raises(UserError, match="seed: 5 here, 0 there"):
        loop.train(dataclasses.replace(config, seed=5), "landmark", tmp_path)


@pytest.mark.slow
def test_the_image_converter_resumes_bit_for_bit(data_dir, tmp_path):
    image = ImageTraining(steps=4, batch_size=4, width=4, blocks=1, d_width=4, d_layers=4, masked=True, ema_decay=0.9)
    config = dataclasses.replace(debug(), data_dir=str(data_dir), image=image, checkpoint_every=2, devices=2)
    for folder in ("uninterrupted", "resumed"):
        loop.train(config, "landmark", tmp_path / folder)
    uninterrupted = loop.train(config, "image", tmp_path / "uninterrupted")
    loop.train(dataclasses.replace(config, image=dataclasses.replace(image, steps=2)), "image", tmp_path / "resumed")
    resumed = loop.train(config, "image", tmp_path / "resumed")
    assert all(a.tobytes() == b.tobytes() for a, b in zip(leaves(resumed), leaves(uninterrupted), strict=True))


LONG = ("--landmark.steps", 100_000, "--log-every", 50, "--checkpoint-every", 200, "--sample-every", 100_000)


@pytest.mark.parametrize("every", [200, 0])
def test_a_stop_signal_saves_and_exits_with_status_75(data_dir, tmp_path, every):
    process = start(data_dir, tmp_path, "landmark", *LONG, "--checkpoint-every", every)
    wait_for(lambda: lines(tmp_path / "landmark"), process)
    process.send_signal(signal.SIGTERM)
    _, output = process.communicate(timeout=300)
    assert process.returncode == 75, output
    assert "stopping after this step" in output and "Traceback" not in output
    assert steps_saved(tmp_path)[-1] == lines(tmp_path / "landmark")[-1]["step"], "the last step is not saved"


def test_a_stop_signal_during_compilation_ends_the_run_within_seconds(data_dir, tmp_path):
    process = start(data_dir, tmp_path, "landmark", *LONG)
    wait_for(lambda: (tmp_path / "landmark" / "metrics.jsonl").exists(), process)  # created just before compilation
    process.send_signal(signal.SIGTERM)
    signalled = time.monotonic()
    _, output = process.communicate(timeout=300)
    assert process.returncode == 75 and time.monotonic() - signalled < 10, output
    assert "Traceback" not in output


def test_a_killed_run_can_be_restored_from_its_last_checkpoint(data_dir, tmp_path):
    process = start(data_dir, tmp_path, "landmark", *LONG)
    wait_for(lambda: len(steps_saved(tmp_path)) >= 2, process)
    process.kill()
    process.communicate()
    newest = steps_saved(tmp_path)[-1]
    state = states.restore(tmp_path, workdir.read_config(tmp_path), "landmark")
    assert int(state.step) == newest >= 400


def test_a_stop_signal_during_the_last_save_does_not_interrupt_it(data_dir, tmp_path):
    code = """
        import os, signal, sys, time
        import train
        from avlgan_jax.training.checkpoints import Checkpoints
        close = Checkpoints.close
        def close_after_stop_request(self):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.5)
            close(self)
        Checkpoints.close = close_after_stop_request
        train.main()
    """
    options = ["landmark", "--preset", "debug", "--data-dir", str(data_dir), "--workdir", str(tmp_path)]
    command = [sys.executable, "-c", textwrap.dedent(code), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert max(steps_saved(tmp_path)) == 4

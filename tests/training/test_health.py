"""Signs of collapse, and the collection of metrics. test_loop.py tests runs with numbers that are not finite."""

import numpy as np
import pytest

from avlgan_jax.config import ImageTraining, LandmarkTraining, RegressorTraining
from avlgan_jax.errors import UserError
from avlgan_jax.training.health import MetricMonitor, signs_of_collapse

TRAINING = ImageTraining(steps=1000, d_warmup=100)


def kinds(step, metrics, training=TRAINING, with_images=True):
    return [kind for kind, _ in signs_of_collapse(step, training, with_images, metrics)]


def test_a_vanishing_discriminator_loss_gives_a_warning_with_its_value():
    ((kind, text),) = signs_of_collapse(200, TRAINING, True, {"d/adversarial": 0.0002})
    assert kind == "discriminator" and "0.0002" in text
    assert kinds(200, {"d/adversarial": 0.6}) == []
    assert kinds(100, {"d/adversarial": 0.0002}) == []  # during its warm-up the discriminator has no opponent
    wasserstein = ImageTraining(steps=1000, adversarial_loss="wgan_gp")
    assert kinds(200, {"d/adversarial": -3.0}, wasserstein) == []  # the threshold does not apply to Wasserstein losses


def test_a_generator_that_ignores_its_target_gives_a_warning_with_the_response():
    ((kind, text),) = signs_of_collapse(900, TRAINING, True, {"validation/response": 0.0003})
    assert kind == "generator" and "0.0003" in text
    assert kinds(900, {"validation/response": 0.02}) == []
    assert kinds(200, {"validation/response": 0.0003}) == []  # the generator has hardly been trained
    assert kinds(900, {"validation/response": 0.0006}, LandmarkTraining(steps=1000), with_images=False) == []


def test_the_regressor_gives_no_warnings():
    assert kinds(900, {"d/adversarial": 0.0, "validation/response": 0.0}, RegressorTraining(steps=1000)) == []


def test_the_first_bad_step_of_any_metric_is_recorded(tmp_path):
    monitor = MetricMonitor(tmp_path, lambda step: {"ids": [f"face of {step}"]})
    monitor.add(10, {"a": np.array([1.0, 2.0, np.inf]), "b": np.array([1.0, np.nan, 3.0])}, ["", "", ""])
    with pytest.raises(UserError, match="b is nan at step 11"):
        monitor.check()
    assert '"face of 11"' in (tmp_path / "bad_step.json").read_text()


def test_means_and_digests_cover_the_steps_since_the_last_call(tmp_path):
    monitor = MetricMonitor(tmp_path, lambda step: {})
    monitor.add(0, {"a": np.array([1.0, 3.0])}, ["00000001", "00000002"])
    means, digests = monitor.means()
    assert means == {"a": 2.0} and digests["batches"] == "0000000100000002" and len(digests["losses"]) == 16
    assert monitor.means() == ({}, {"batches": "", "losses": ""})

"""Signs of collapse, with their figures; bad numbers are in test_loop."""

import numpy as np
import pytest

from avlgan_jax.config import ImageTraining, LandmarkTraining, RegressorTraining
from avlgan_jax.errors import UserError
from avlgan_jax.training.health import MetricMonitor, signs_of_collapse

TRAINING = ImageTraining(steps=1000, d_warmup=100)


def kinds(step, metrics, training=TRAINING, with_images=True):
    return [kind for kind, _ in signs_of_collapse(step, training, with_images, metrics)]


def test_a_discriminator_without_loss_is_told_with_the_figure():
    ((kind, text),) = signs_of_collapse(200, TRAINING, True, {"d/adversarial": 0.0002})
    assert kind == "discriminator" and "0.0002" in text
    assert kinds(200, {"d/adversarial": 0.6}) == []
    assert kinds(100, {"d/adversarial": 0.0002}) == []  # alone in its warm-up it may well win
    wasserstein = ImageTraining(steps=1000, adversarial_loss="wgan_gp")
    assert kinds(200, {"d/adversarial": -3.0}, wasserstein) == []  # no loss of this kind ends at 0


def test_a_generator_that_ignores_its_label_is_told_with_the_figure():
    ((kind, text),) = signs_of_collapse(900, TRAINING, True, {"validation/response": 0.0003})
    assert kind == "generator" and "0.0003" in text
    assert kinds(900, {"validation/response": 0.02}) == []
    assert kinds(200, {"validation/response": 0.0003}) == []  # it has only begun
    assert kinds(900, {"validation/response": 0.0006}, LandmarkTraining(steps=1000), with_images=False) == []


def test_the_judge_does_not_collapse():
    assert kinds(900, {"d/adversarial": 0.0, "validation/response": 0.0}, RegressorTraining(steps=1000)) == []


def test_the_first_bad_step_of_any_metric_is_written_down(tmp_path):
    watch = MetricMonitor(tmp_path, lambda step: {"ids": [f"face of {step}"]})
    watch.add(10, {"a": np.array([1.0, 2.0, np.inf]), "b": np.array([1.0, np.nan, 3.0])}, ["", "", ""])
    with pytest.raises(UserError, match="b is nan at step 11"):
        watch.check()
    assert '"face of 11"' in (tmp_path / "bad_step.json").read_text()


def test_means_and_digests_are_those_of_one_window(tmp_path):
    watch = MetricMonitor(tmp_path, lambda step: {})
    watch.add(0, {"a": np.array([1.0, 3.0])}, ["00000001", "00000002"])
    means, told = watch.means()
    assert means == {"a": 2.0} and told["batches"] == "0000000100000002" and len(told["losses"]) == 16
    assert watch.means() == ({}, {"batches": "", "losses": ""})

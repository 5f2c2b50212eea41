from pathlib import Path

import pytest
from conftest import ROOT

from avlgan_jax.config import MODEL_NAMES, Config
from avlgan_jax.models import build
from avlgan_jax.presets import PRESETS


def test_the_paper_preset_is_the_default_config():
    assert PRESETS["paper"]() == Config()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_builds_every_model(preset):
    config = PRESETS[preset]()
    for name in MODEL_NAMES:
        assert build.build(name, config, 1000).name == name


def test_avgan_of_the_paper_differs_in_landmarks_and_discriminator_only():
    """For fairness, generator, losses and optimizer are equal (Section IV-B)."""
    paper = PRESETS["paper"]()
    ours, theirs = vars(paper.image), vars(paper.avgan)
    assert {k for k in ours if ours[k] != theirs[k]} <= {"use_landmarks", "discriminator", "d_width", "d_layers"}


@pytest.mark.parametrize("preset", PRESETS)
def test_avgan_trains_as_long_and_as_fast_as_the_image_converter_or_not_at_all(preset):
    config = PRESETS[preset]()
    assert config.avgan.steps in (0, config.image.steps)
    for name in ("batch_size", "learning_rate", "adversarial_loss", "d_steps", "d_rate_factor", "width", "blocks"):
        assert getattr(config.image, name) == getattr(config.avgan, name), name
    assert not config.avgan.warped  # it has no landmarks to warp by


def test_the_makefile_prepares_the_resolution_of_the_demo():
    makefile = Path(ROOT, "Makefile").read_text()
    assert f"--resolution {PRESETS['demo']().resolution}" in makefile

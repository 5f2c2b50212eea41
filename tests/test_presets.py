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


@pytest.mark.parametrize("preset", PRESETS)
def test_avgan_differs_from_the_image_converter_in_landmarks_and_discriminator_only(preset):
    """For fairness, generator, losses and optimizer are equal (Section IV-B). The demo trains avGAN for fewer steps."""
    config = PRESETS[preset]()
    may_differ = {"use_landmarks", "discriminator", "d_width", "d_layers"}
    if preset == "demo":
        may_differ |= {"steps", "d_warmup"}
    ours, theirs = vars(config.image), vars(config.avgan)
    assert {k for k in ours if ours[k] != theirs[k]} <= may_differ


def test_the_makefile_prepares_the_resolution_of_the_demo():
    makefile = Path(ROOT, "Makefile").read_text()
    assert f"--resolution {PRESETS['demo']().resolution}" in makefile

from pathlib import Path

import pytest
from conftest import ROOT

from avlgan_jax.config import MODEL_NAMES, Config
from avlgan_jax.models import build
from avlgan_jax.presets import PRESETS


def test_the_paper_is_the_defaults():
    assert PRESETS["paper"]() == Config()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_builds_every_model(preset):
    config = PRESETS[preset]()
    for name in MODEL_NAMES:
        assert build.build(name, config, 1000).name == name


@pytest.mark.parametrize("preset", PRESETS)
def test_avgan_is_the_image_converter_but_for_landmarks_and_discriminator(preset):
    """In the interest of fairness (Section IV-B): the same generator, losses and optimizer; the demo trains it less."""
    config = PRESETS[preset]()
    free = {"use_landmarks", "discriminator", "d_width", "d_layers"}
    if preset == "demo":
        free |= {"steps", "d_warmup"}
    ours, theirs = vars(config.image), vars(config.avgan)
    assert {k for k in ours if ours[k] != theirs[k]} <= free


def test_the_makefile_prepares_what_the_demo_trains_on():
    makefile = Path(ROOT, "Makefile").read_text()
    assert f"--resolution {PRESETS['demo']().resolution}" in makefile

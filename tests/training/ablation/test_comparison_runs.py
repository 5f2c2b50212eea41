"""The comparison of recipes: equal steps and sizes, folders, refusal of other settings, and the command."""

import dataclasses
import json
import shutil

import pytest
from conftest import run

from avlgan_jax import presets
from avlgan_jax.errors import UserError
from avlgan_jax.training.ablation import comparison
from avlgan_jax.training.ablation.comparison import MODELS


def test_all_models_have_equal_steps_and_generators_of_equal_size():
    demo = presets.demo()
    for name, model in MODELS.items():
        section = getattr(model.configure(demo), model.kind)
        for field in ("steps", "batch_size", "learning_rate", "width", "blocks"):
            assert getattr(section, field) == getattr(demo.image, field), (name, field)


def test_the_papers_recipe_has_the_papers_losses():
    demo, paper = presets.demo(), presets.paper()
    changed = comparison.paper_recipe(demo)
    sizes = {"steps", "batch_size", "learning_rate", "width", "blocks", "d_width", "d_layers"}
    for section in ("landmark", "image", "avgan"):
        for field, value in dataclasses.asdict(getattr(changed, section)).items():
            if field not in sizes:
                assert value == getattr(getattr(paper, section), field), (section, field)
    assert changed.resolution == demo.resolution and changed.regressor == demo.regressor


def test_with_a_mask_nothing_else_of_the_papers_recipe_changes():
    demo = presets.demo()
    paper, masked = MODELS["paper"].configure(demo), MODELS["paper_masked"].configure(demo)
    assert masked == MODELS["paper_masked_avgan"].configure(demo) and masked != paper
    for section in ("image", "avgan"):
        without = dataclasses.replace(getattr(masked, section), masked=False)
        assert without == getattr(paper, section) and getattr(masked, section).mask_weight == 0.0
    assert masked.landmark == paper.landmark


def test_without_landmarks_only_what_needs_them_is_left_out():
    demo = presets.demo()
    model = MODELS["recipe_without_landmarks"].configure(demo).avgan
    changed = {k for k, v in dataclasses.asdict(model).items() if v != getattr(demo.image, k)}
    assert changed == {"use_landmarks", "warped", "masked"}


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_every_preset_can_be_compared(preset):
    config = presets.PRESETS[preset]()
    for name, model in MODELS.items():
        section = getattr(model.configure(config), model.kind)
        assert section.use_landmarks == (model.kind == "image") and section.steps == config.image.steps, name


def test_other_settings_are_refused(tmp_path):
    demo = presets.demo()
    comparison.claim(tmp_path, demo)
    comparison.claim(tmp_path, demo)
    shorter = dataclasses.replace(demo, image=dataclasses.replace(demo.image, steps=500))
    with pytest.raises(UserError, match="has other settings"):
        comparison.claim(tmp_path, shorter)


def test_load_returns_nothing_without_runs(tmp_path):
    assert comparison.load(tmp_path) == {}


@pytest.mark.slow
def test_the_command_trains_every_model_and_a_second_run_gives_the_same_report(trained_run, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(trained_run[0], workdir)
    command = ["--workdir", str(workdir), "--what", "comparison", "--seeds", "2", "--samples", "8", "--split", "test"]
    run("ablate.py", *command)
    report = workdir / "experiments" / "comparison"
    numbers = json.loads((report / "metrics.json").read_text())
    assert numbers["protocol"]["split"] == "test"
    assert numbers["comparison"]["seeds"] == {name: [0, 1] for name in MODELS}
    values = [row["all"]["rmse"][0] for row in numbers["comparison"]["rows"].values()]
    assert len(set(values)) == len(values)  # every model is another one
    assert MODELS["paper"].words in (report / "index.html").read_text()
    assert (report / "comparison.png").is_file()
    before = (report / "metrics.json").read_bytes()
    run("ablate.py", *command)
    assert (report / "metrics.json").read_bytes() == before

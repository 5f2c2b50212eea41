"""The ablation of the recipe: configs and folders of runs without a part, and the command that trains and reports."""

import dataclasses
import json
import shutil

import pytest
from conftest import run

from avlgan_jax import presets
from avlgan_jax.training.ablation import recipe
from avlgan_jax.training.ablation.recipe import RECIPE_PARTS


def test_without_a_part_only_its_fields_have_the_papers_values():
    modern, paper = presets.modern(), presets.paper()
    for part in RECIPE_PARTS.values():
        changed = recipe.config_without(modern, part)
        for section in ("regressor", "landmark", "image", "avgan"):
            for field, value in dataclasses.asdict(getattr(changed, section)).items():
                origin = paper if f"{section}.{field}" in part.fields else modern
                assert value == getattr(getattr(origin, section), field), (part, section, field)
        assert part.model == part.fields[0].split(".")[0]


def test_only_parts_that_a_config_enables_are_ablated():
    assert set(recipe.enabled_parts(presets.modern())) == set(RECIPE_PARTS) - {"mask"}
    assert recipe.enabled_parts(presets.paper()) == {}
    demo = presets.demo()
    repainted = dataclasses.replace(demo, image=dataclasses.replace(demo.image, warped=False, mask_weight=0.0))
    assert set(recipe.enabled_parts(repainted)) == set(RECIPE_PARTS) - {"warp", "mask"}
    masked = dataclasses.replace(demo, image=dataclasses.replace(demo.image, warped=False, masked=True))
    assert "mask" in recipe.enabled_parts(masked)


def test_load_returns_none_without_ablation_runs(tmp_path):
    assert recipe.load(tmp_path) is None


@pytest.mark.slow
def test_one_run_without_a_part_is_trained_and_reported_with_the_full_recipe(trained_run, tmp_path):
    folder, config, _ = trained_run
    workdir = tmp_path / "run"
    shutil.copytree(folder, workdir)
    recipe.train(config, workdir, "displacement")
    assert (workdir / "ablation" / "recipe" / "displacement" / "landmark" / "checkpoints" / "4").is_dir()
    output = run("evaluate.py", "--workdir", str(workdir), "--experiment", "recipe", "--samples", "8").stdout
    report = workdir / "experiments" / "recipe"
    assert output.rstrip().endswith(f"report: {report / 'index.html'}")
    found = json.loads((report / "metrics.json").read_text())["recipe"]
    assert list(found) == ["whole", "displacement"]  # the other parts are not trained
    assert found["whole"]["truth_landmark_nme"] != found["displacement"]["truth_landmark_nme"]
    assert all(row["rmse"] > 0.0 and row["truth_psnr"] > 0.0 and row["fid"] is None for row in found.values())
    page = (report / "index.html").read_text()
    assert RECIPE_PARTS["displacement"].words in page and RECIPE_PARTS["warp"].words not in page
    assert (report / "recipe.png").is_file()


@pytest.mark.slow
def test_one_command_trains_every_part_and_a_second_run_gives_the_same_report(trained_run, tmp_path):
    folder, config, _ = trained_run
    workdir = tmp_path / "run"
    shutil.copytree(folder, workdir)
    command = ["--workdir", str(workdir), "--what", "recipe", "--samples", "8"]
    run("ablate.py", *command)
    report = workdir / "experiments" / "recipe" / "metrics.json"
    found = json.loads(report.read_text())["recipe"]
    assert set(found) == {"whole", *recipe.enabled_parts(config)}
    assert len({row["rmse"] for row in found.values()}) == len(found)
    before = report.read_bytes()
    run("ablate.py", *command)
    assert report.read_bytes() == before

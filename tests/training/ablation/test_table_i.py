"""The training runs of Table I: their loss weights, their folders, and the command that trains and reports them."""

import dataclasses
import json

import pytest
from conftest import RESOLUTION, run

from avlgan_jax.errors import UserError
from avlgan_jax.presets import debug
from avlgan_jax.training.ablation import runs, table_i
from avlgan_jax.training.ablation.table_i import AblationPlan


@pytest.fixture(scope="module")
def config(data_dir):
    return dataclasses.replace(debug(), data_dir=str(data_dir))


def test_the_cells_are_every_value_and_the_configs_own_without_duplicates(config):
    weights = table_i.landmark_loss_weights(config)
    assert weights[0] == (config.landmark.emotion_weight, config.landmark.centre_weight, 0.0)
    assert len(weights) == len(set(weights)) == 2 * len(table_i.VALUES) - 1
    other = runs.with_value(config, "image.emotion_weight", 3.0)
    assert table_i.values(other, "image.emotion_weight") == [0.0, 0.1, 1.0, 3.0, 5.0, 10.0, 100.0]
    cells = table_i.image_cells(other)
    assert cells[0] == ("image.emotion_weight", 3.0)
    assert len(cells) == len(set(cells)) == 1 + 6 + 5


def test_another_plan_is_refused(tmp_path):
    table_i.claim(tmp_path, AblationPlan(seeds=2))
    table_i.claim(tmp_path, AblationPlan(seeds=2))
    assert table_i.read_plan(tmp_path) == AblationPlan(seeds=2)
    with pytest.raises(UserError, match="has another plan"):
        table_i.claim(tmp_path, AblationPlan(seeds=3))
    with pytest.raises(UserError, match="--seeds is 0"):
        AblationPlan(seeds=0)
    assert table_i.read_plan(tmp_path / "nowhere") is None


def test_cells_have_their_own_folders_unless_an_equal_run_exists(config, tmp_path):
    own = config.image.emotion_weight

    def folder(plan, column, value):
        return table_i.image_folder(config, plan, tmp_path, column, value).relative_to(tmp_path)

    assert str(folder(AblationPlan(), "image.landmark_weight", 0.1)) == "ablation/image/landmark_weight=0.1"
    assert str(folder(AblationPlan(), "image.emotion_weight", own)) == "."
    shorter = AblationPlan(image_steps=config.image.steps - 1)
    shared = folder(shorter, "image.landmark_weight", config.image.landmark_weight)
    assert shared == folder(shorter, "image.emotion_weight", own)
    assert str(shared) == f"ablation/image/emotion_weight={own:g}"


def test_shorter_runs_scale_the_warm_up_of_the_discriminator(config):
    longer = dataclasses.replace(config, image=dataclasses.replace(config.image, steps=100, d_warmup=40))
    adapted = table_i.planned_config(longer, AblationPlan(image_steps=50))
    assert (adapted.image.steps, adapted.image.d_warmup) == (50, 20)
    assert table_i.planned_config(longer, AblationPlan()) == longer


@pytest.mark.parametrize(("landmarks", "images"), [(True, True), (True, False), (False, True)])
def test_all_columns_have_one_baseline(config, tmp_path, monkeypatch, landmarks, images):
    """Two seeds of each landmark converter, one image converter per cell; weights stand for their names."""
    table_i.claim(tmp_path, AblationPlan(seeds=2))
    own = {"landmark": "workdir", "image": "workdir"}
    grid = [[f"{place}, seed {seed}" for seed in range(2)] for place in range(11)] if landmarks else []
    monkeypatch.setattr(table_i.states, "read", lambda directory: (config, own, {}))
    monkeypatch.setattr(table_i, "_load_landmarks", lambda *given: grid)
    monkeypatch.setattr(table_i, "_load_image", lambda *given: {"image": given[3:]} if images else {})
    found = table_i.load(tmp_path)
    baselines = [found.cells[c][found.own[c]] for c in table_i.COLUMNS if found.own[c] in found.cells[c]]
    assert len(baselines) == 2 * landmarks + 2 * images
    assert all(baseline is baselines[0] for baseline in baselines)
    own_image = (table_i.COLUMNS[2], found.own[table_i.COLUMNS[2]]) if images else "workdir"
    own_landmarks = ["0, seed 0", "0, seed 1"] if landmarks else ["workdir"]
    assert [load.args[1] for load in baselines[0]] == [{"landmark": name, "image": own_image} for name in own_landmarks]
    if landmarks:
        changed = found.cells["landmark.centre_weight"][100.0]
        assert [load.args[1]["image"] for load in changed] == [own_image] * 2
        assert {load.args[1]["landmark"] for load in changed}.isdisjoint(own_landmarks)
    if images:
        changed = found.cells["image.landmark_weight"][100.0]
        expected = [{"landmark": name, "image": ("image.landmark_weight", 100.0)} for name in own_landmarks]
        assert [load.args[1] for load in changed] == expected
        assert all(len(found.cells[column]) >= len(table_i.VALUES) for column in table_i.COLUMNS[2:])


@pytest.mark.slow
def test_one_command_trains_and_reports_table_i(data_dir, tmp_path):
    options = ["--resolution", str(RESOLUTION), "--data-dir", str(data_dir), "--workdir", str(tmp_path)]
    run("train.py", "all", "--preset", "debug", *options)
    few = ["--workdir", str(tmp_path), "--seeds", "2", "--landmark-steps", "3", "--image-steps", "2", "--samples", "12"]
    output = run("ablate.py", *few).stdout
    report = tmp_path / "experiments" / "table_i"
    assert output.rstrip().endswith(f"report: {report / 'index.html'}")
    found = json.loads((report / "metrics.json").read_text())["table_i"]
    assert list(found) == list(table_i.COLUMNS)
    for rows in found.values():
        assert [row["value"] for row in rows if row["paper"]] == list(table_i.VALUES)
        assert sum(row["own"] for row in rows) == 1
        assert all(len(row["seeds"]["rmse"]) == 2 and row["rmse"] > 0.0 for row in rows)
    own = [[{**row, "value": 0, "paper": 0, "rmse_ratio": 0} for row in rows if row["own"]] for rows in found.values()]
    assert own[0] == own[1] == own[2] == own[3]  # one baseline
    page = (report / "index.html").read_text()
    assert "0.560" in page and "64.92" in page
    before = (report / "metrics.json").read_bytes()
    run("ablate.py", *few)
    assert (report / "metrics.json").read_bytes() == before

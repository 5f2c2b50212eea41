import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

import avlgan_jax
from avlgan_jax.editing import bundle, export
from avlgan_jax.errors import UserError
from avlgan_jax.models import inference
from avlgan_jax.training import states


@pytest.fixture(scope="module")
def packaged():
    return bundle.read(bundle.DEFAULT)


def test_the_packaged_weights_are_small_and_documented(packaged):
    folder = bundle.PACKAGED / bundle.DEFAULT
    assert sum(path.stat().st_size for path in folder.iterdir()) < 12e6
    assert all(leaf.dtype == np.float16 for leaf in load_file(folder / bundle.WEIGHTS).values())
    assert packaged.trained_on == "drawn faces and DiffusionFER, 64 x 64 px"
    assert len(packaged.data_digest) == 32
    card = (folder / bundle.CARD).read_text()
    assert "Photographs have no pairs" in card and "as in a drawing" not in card
    for row in ("avlandmarkgan", "do_nothing", "regressor"):
        assert f"{packaged.scores[row]['rmse']:.3f}" in card


def test_a_written_bundle_is_read_back_rounded_to_float16(packaged, tmp_path):
    target = tmp_path / "new" / "mine"
    bundle.write(target, packaged, "card", b"program")
    bundle.write(target, packaged, "card", b"program")  # an existing bundle is replaced
    reread = bundle.read(target)
    assert (reread.config, reread.steps, reread.scores) == (packaged.config, packaged.steps, packaged.scores)
    kernel = np.asarray(packaged.weights["landmark"]["Dense_0"]["kernel"])
    np.testing.assert_array_equal(reread.weights["landmark"]["Dense_0"]["kernel"], kernel.astype(np.float16))
    assert [path.name for path in target.parent.iterdir()] == ["mine"]
    assert inference.parameter_counts(reread.weights) == inference.parameter_counts(packaged.weights)


def test_a_bundle_names_no_folder_of_the_machine_that_trained_it(packaged, tmp_path):
    config = dataclasses.replace(packaged.config, data_dir="/home/ann/pairs", initial="/home/ann/runs/paired")
    bundle.write(tmp_path / "mine", dataclasses.replace(packaged, config=config), "card", b"program")
    assert "ann" not in (tmp_path / "mine" / bundle.CONFIG).read_text()
    reread = bundle.read(tmp_path / "mine").config
    assert (reread.data_dir, reread.initial) == ("pairs", "paired")
    assert "/" not in packaged.config.data_dir


def with_avgan(packaged):
    """Return the bundle as of a run that also trained avGAN. The packaged weights left it out."""
    config = dataclasses.replace(packaged.config, avgan=dataclasses.replace(packaged.config.avgan, steps=4))
    shapes = states.weight_shapes(config)["avgan"]
    weights = packaged.weights | {"avgan": jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)}
    scores = packaged.scores | {"avgan": packaged.scores["do_nothing"]}
    return dataclasses.replace(
        packaged, config=config, weights=weights, steps=packaged.steps | {"avgan": 4}, scores=scores
    )


def test_a_bundle_with_avgan_and_one_without(packaged, tmp_path):
    larger = with_avgan(packaged)
    for weights in (packaged, larger):
        card = export.model_card(weights, "mine")
        assert ("avGAN" in card) == (weights is larger)
        assert "| avLandmarkGAN | 0." in card and "| image converter |" in card and "-0.00" not in card
        bundle.write(tmp_path / "mine", weights, card, b"program")
        reread = bundle.read(tmp_path / "mine")
        assert reread.config == weights.config and reread.weights.keys() == weights.weights.keys()
    bundle.write(tmp_path / "mine", dataclasses.replace(larger, config=packaged.config), "card", b"program")
    with pytest.raises(UserError, match=r"does not fit its config \(avgan\)"):
        bundle.read(tmp_path / "mine")
    bundle.write(tmp_path / "mine", packaged, "card", b"program")
    image, points = (model := avlgan_jax.load(tmp_path / "mine")).draw(seed=1)
    assert model.edit(image, 0.5, 0.1, points).shape == image.shape


def test_a_folder_that_is_not_a_bundle_is_not_replaced(packaged, tmp_path):
    (tmp_path / "notes.txt").write_text("private")
    with pytest.raises(UserError, match="exists and is not a bundle"):
        bundle.write(tmp_path, packaged, "card", b"program")
    assert (tmp_path / "notes.txt").exists()


def test_missing_damaged_and_unsuitable_bundles_are_user_errors(packaged, tmp_path):
    with pytest.raises(UserError, match="no weights at nowhere.*faces64"):
        avlgan_jax.load("nowhere")
    with pytest.raises(UserError, match="config.json is missing"):
        bundle.read(tmp_path)
    intact = bundle.PACKAGED / bundle.DEFAULT
    truncated, other, newer = tmp_path / "truncated", tmp_path / "other", tmp_path / "newer"
    for folder in (truncated, other, newer):
        shutil.copytree(intact, folder)
    (truncated / bundle.WEIGHTS).write_bytes((intact / bundle.WEIGHTS).read_bytes()[:-100])
    with pytest.raises(UserError, match="truncated is damaged"):
        bundle.read(truncated)
    content = json.loads((intact / bundle.CONFIG).read_text())
    config = dataclasses.replace(packaged.config.landmark, width=packaged.config.landmark.width * 2)
    content["config"]["landmark"] = dataclasses.asdict(config)
    (other / bundle.CONFIG).write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"does not fit its config \(landmark\)"):
        bundle.read(other)
    (newer / bundle.CONFIG).write_text(json.dumps(content | {"format": "avlgan_jax bundle 3"}))
    with pytest.raises(UserError, match="format 'avlgan_jax bundle 3'"):
        bundle.read(newer)
    (newer / bundle.CONFIG).write_text(json.dumps(content | {"format": "avlgan_jax bundle 1"}))
    with pytest.raises(UserError, match=r"does not fit its config \(landmark\)"):  # the older format is read
        bundle.read(newer)
    (newer / bundle.CONFIG).write_text("{")
    with pytest.raises(UserError, match="damaged"):
        bundle.read(newer)

import dataclasses
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

import avlgan_jax
from avlgan_jax.editing import bundle
from avlgan_jax.errors import UserError
from avlgan_jax.models import inference


@pytest.fixture(scope="module")
def packaged():
    return bundle.read(bundle.DEFAULT)


def test_the_packaged_weights_are_small_and_say_where_they_come_from(packaged):
    folder = bundle.PACKAGED / bundle.DEFAULT
    assert sum(path.stat().st_size for path in folder.iterdir()) < 20e6
    assert all(leaf.dtype == np.float16 for leaf in load_file(folder / bundle.WEIGHTS).values())
    assert packaged.trained_on.startswith("procedural_faces, ")
    assert len(packaged.data_digest) == 32
    card = (folder / bundle.CARD).read_text()
    assert "photographs will not look realistic" in card
    for row in ("avlandmarkgan", "do_nothing", "regressor"):
        assert f"{packaged.scores[row]['rmse']:.3f}" in card


def test_what_is_written_is_read_back_rounded_to_float16(packaged, tmp_path):
    target = tmp_path / "new" / "mine"
    bundle.write(target, packaged, "card", b"program")
    bundle.write(target, packaged, "card", b"program")  # a bundle may be replaced
    again = bundle.read(target)
    assert (again.config, again.steps, again.scores) == (packaged.config, packaged.steps, packaged.scores)
    kernel = np.asarray(packaged.weights["landmark"]["Dense_0"]["kernel"])
    np.testing.assert_array_equal(again.weights["landmark"]["Dense_0"]["kernel"], kernel.astype(np.float16))
    assert [path.name for path in target.parent.iterdir()] == ["mine"]
    assert inference.parameter_counts(again.weights) == inference.parameter_counts(packaged.weights)


def test_a_folder_that_is_no_bundle_is_not_replaced(packaged, tmp_path):
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(UserError, match="exists and is not a bundle"):
        bundle.write(tmp_path, packaged, "card", b"program")
    assert (tmp_path / "letters.txt").exists()


def test_what_is_not_there_or_damaged(packaged, tmp_path):
    with pytest.raises(UserError, match="no weights at nowhere.*procedural48"):
        avlgan_jax.load("nowhere")
    with pytest.raises(UserError, match="config.json is missing"):
        bundle.read(tmp_path)
    whole = bundle.PACKAGED / bundle.DEFAULT
    cut, other, newer = tmp_path / "cut", tmp_path / "other", tmp_path / "newer"
    for folder in (cut, other, newer):
        shutil.copytree(whole, folder)
    (cut / bundle.WEIGHTS).write_bytes((whole / bundle.WEIGHTS).read_bytes()[:-100])
    with pytest.raises(UserError, match="cut is damaged"):
        bundle.read(cut)
    told = json.loads((whole / bundle.CONFIG).read_text())
    config = dataclasses.replace(packaged.config.landmark, width=packaged.config.landmark.width * 2)
    told["config"]["landmark"] = dataclasses.asdict(config)
    (other / bundle.CONFIG).write_text(json.dumps(told))
    with pytest.raises(UserError, match=r"does not fit its config \(landmark\)"):
        bundle.read(other)
    (newer / bundle.CONFIG).write_text(json.dumps(told | {"format": "avlgan_jax bundle 2"}))
    with pytest.raises(UserError, match="format 'avlgan_jax bundle 2'"):
        bundle.read(newer)
    (newer / bundle.CONFIG).write_text("{")
    with pytest.raises(UserError, match="damaged"):
        bundle.read(newer)

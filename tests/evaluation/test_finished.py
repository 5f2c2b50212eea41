"""Kept results of experiments: they come back exactly, and never for other models, data, options or code."""

import dataclasses

import numpy as np
import pytest

from avlgan_jax.evaluation import finished, provenance
from avlgan_jax.evaluation.examples import EmotionGrid
from avlgan_jax.evaluation.report.figures import Figure
from avlgan_jax.evaluation.suite import ExperimentResult
from avlgan_jax.training.checkpoints import MANIFEST

IDENTITY = finished.Identity("c", "w", {"image": 4}, "a", "d", {"seed": 0, "split": "test"}, "a processor", "code")
FACES = np.arange(2 * 3 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 4, 3)
RESULT = ExperimentResult(
    {"moves": {"infant": [0.1, None]}, "rmse": 1 / 3},
    [Figure("chain", "A title", "A caption", "Rows", b"\x89PNG\x00\xff", (8, 4))],
    [EmotionGrid(FACES[0, 0], True, "face-1", {"avlandmarkgan": FACES, "truth": FACES + 1})],
)


def _kept(tmp_path, **changes):
    return finished.FinishedExperiments(tmp_path, dataclasses.replace(IDENTITY, **changes))


def test_a_kept_result_comes_back_exactly_and_only_until_it_is_removed(tmp_path):
    _kept(tmp_path).keep("faces", RESULT)
    found = _kept(tmp_path).read(["table_ii", "faces"])
    assert list(found) == ["faces"]
    assert found["faces"].numbers == RESULT.numbers and found["faces"].figures == RESULT.figures
    (matrix,) = found["faces"].matrices
    assert (matrix.name, matrix.infant) == ("face-1", True) and list(matrix.grids) == ["avlandmarkgan", "truth"]
    np.testing.assert_array_equal(matrix.image, FACES[0, 0])
    np.testing.assert_array_equal(matrix.grids["truth"], FACES + 1)
    _kept(tmp_path).remove(["table_ii", "faces"])
    assert _kept(tmp_path).read(["faces"]) == {} and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"config": "other"},
        {"weights": "other"},
        {"steps": {"image": 5}},
        {"data": "other"},
        {"options": {"seed": 1, "split": "test"}},
        {"processor": "another"},
        {"code": "other"},
    ],
)
def test_a_result_of_something_else_is_not_used(tmp_path, change):
    _kept(tmp_path).keep("faces", RESULT)
    assert _kept(tmp_path, **change).read(["faces"]) == {}


def test_other_checkpoints_of_ablations_matter_to_ablations_only(tmp_path):
    for name in ("faces", "comparison"):
        _kept(tmp_path).keep(name, RESULT)
    assert list(_kept(tmp_path, ablations="b").read(["faces", "comparison"])) == ["faces"]
    assert list(_kept(tmp_path).read(["faces", "comparison"])) == ["faces", "comparison"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a file that ends early", None])
def test_a_damaged_file_is_ignored(tmp_path, content):
    _kept(tmp_path).keep("faces", RESULT)
    (path,) = tmp_path.rglob("faces.npz")
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    assert _kept(tmp_path).read(["faces"]) == {}


def test_the_digest_of_ablations_follows_their_configs_and_checkpoints(tmp_path):
    run = tmp_path / "ablation" / "comparison" / "0" / "paper"
    (run / "image" / "checkpoints" / "20").mkdir(parents=True)
    digests = [finished.ablation_digest(tmp_path)]
    for path, text in (
        (run / "config.json", "{}"),
        (run / "image" / "checkpoints" / "20" / MANIFEST, "{}"),
        (run / "image" / "checkpoints" / "20" / MANIFEST, '{"file": "digest"}'),
        (tmp_path / "ablation" / "plan.json", "{}"),
    ):
        path.write_text(text)
        digests.append(finished.ablation_digest(tmp_path))
    assert len(set(digests)) == 5
    (run / "image" / "metrics.jsonl").write_text("{}")
    assert finished.ablation_digest(tmp_path) == digests[-1]


def test_other_weights_give_another_identity():
    origin = {"config_digest": "c", "steps": {"image": 4}, "data_digest": "d", "processor": "p"}
    one, same, other = (
        finished.identify(origin, {"image": {"kernel": np.full((2, 2), value)}}, "a", {}) for value in (1.0, 1.0, 2.0)
    )
    assert one == same != other and dataclasses.replace(other, weights=one.weights) == one


def test_the_digest_of_the_code_follows_the_sources_and_the_packages(tmp_path, monkeypatch):
    assert (provenance.PACKAGE / "config.py").is_file()
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    digests = set()
    for text in ("a = 1\n", "a = 2\n"):
        (tmp_path / "module.py").write_text(text)
        digests.add(provenance.code_digest())
    monkeypatch.setattr(provenance.importlib.metadata, "distributions", list)
    digests.add(provenance.code_digest())
    assert len(digests) == 3

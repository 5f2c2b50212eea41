"""Inception in Flax against PyTorch, layer by layer, its weights by their hash, and its pictures by their resizing."""

import hashlib

import jax
import numpy as np
import pytest
from PIL import Image

from avlgan_jax.errors import UserError
from avlgan_jax.evaluation import inception

torch = pytest.importorskip("torch")

# Large enough that every layer has more than one place; the network is the same at any size.
SIDE = 139


@pytest.fixture(scope="module")
def ported(tmp_path_factory):
    """A PyTorch network with random weights, its file and the parameters read from that file."""
    from benchmarks.inception_pytorch import random_inception

    network = random_inception(seed=0)
    path = tmp_path_factory.mktemp("weights") / inception.FILE
    torch.save(network.state_dict(), path)
    params, _ = inception.load_weights(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    return network, path, params


def test_every_layer_gives_what_pytorch_gives(ported):
    network, _, params = ported
    pictures = np.random.default_rng(0).uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(pictures.transpose(0, 3, 1, 2)))
    apply = jax.jit(lambda x: inception.Inception().apply({"params": params}, x, capture_intermediates=True))
    features, captured = apply(pictures)
    found = {name: layer["__call__"][0] for name, layer in captured["intermediates"].items() if name != "__call__"}
    assert set(found) == set(expected) - {"features"}
    for name, output in found.items():
        reference = expected[name].numpy().transpose(0, 2, 3, 1)
        assert output.shape == reference.shape, name
        assert reference.std() > 0.01, f"{name} is dead, so it tests nothing"
        np.testing.assert_allclose(output, reference, atol=2e-4 * np.abs(reference).max(), err_msg=name)
    reference = expected["features"].numpy()
    np.testing.assert_allclose(features, reference, atol=2e-4 * np.abs(reference).max())


def test_the_parameters_are_those_of_the_network(ported):
    _, _, params = ported
    pictures = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), np.float32)
    expected = jax.eval_shape(inception.Inception().init, jax.random.key(0), pictures)["params"]
    assert jax.tree.map(lambda leaf: leaf.shape, params) == jax.tree.map(lambda leaf: leaf.shape, expected)
    # torchvision's Inception-v3 without its classifiers has 21,785,568 weights; a batch norm adds one more per channel.
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 21_768_352


def test_weights_of_another_hash_are_refused(ported):
    _, path, _ = ported
    with pytest.raises(UserError, match="expected 6726825d"):
        inception.load_weights(path)


def test_missing_weights_say_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError) as told:
        inception.load_weights(inception.default_path())
    assert inception.URL in str(told.value)
    assert str(tmp_path / "avlgan_jax" / inception.FILE) in str(told.value)


def test_clean_resizes_as_pillow_and_legacy_as_pytorch():
    picture = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    size = (inception.SIDE, inception.SIDE)
    planes = [Image.fromarray(picture[0, ..., k].astype(np.float32)) for k in range(3)]
    bicubic = np.stack([np.asarray(plane.resize(size, Image.Resampling.BICUBIC)) for plane in planes], axis=-1)
    np.testing.assert_allclose(inception.prepare(picture, "clean")[0] * 128 + 128, bicubic, atol=0.01)
    tensor = torch.from_numpy(picture.transpose(0, 3, 1, 2)).float() / 255
    bilinear = torch.nn.functional.interpolate(tensor, size, mode="bilinear", align_corners=False)
    expected = bilinear[0].numpy().transpose(1, 2, 0) * 2 - 1
    np.testing.assert_allclose(inception.prepare(picture, "legacy")[0], expected, atol=1e-5)


@pytest.mark.slow
def test_features_do_not_depend_on_the_size_of_a_call(ported):
    _, _, params = ported
    pictures = np.random.default_rng(2).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "PICTURES_PER_DEVICE", 2)
        extract = inception.extractor(params, "clean")
        together = extract(pictures)
        apart = np.concatenate([extract(pictures[k : k + 1]) for k in range(3)])
    assert together.shape == (3, 2048)
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-5)

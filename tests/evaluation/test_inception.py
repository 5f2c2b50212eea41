"""Inception in Flax: comparison with PyTorch layer by layer, check of the weights' hash, and resizing of the images."""

import hashlib

import jax
import numpy as np
import pytest
from PIL import Image

from avlgan_jax.errors import UserError
from avlgan_jax.evaluation import inception

torch = pytest.importorskip("torch")

# Large enough for more than one position in every layer; the network is the same at any size.
SIDE = 139


@pytest.fixture(scope="module")
def ported(tmp_path_factory):
    """Return a PyTorch network with random weights, its file, and the parameters read from that file."""
    from benchmarks.inception_pytorch import random_inception

    network = random_inception(seed=0)
    path = tmp_path_factory.mktemp("weights") / inception.FILE
    torch.save(network.state_dict(), path)
    params, _ = inception.load_weights(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    return network, path, params


def test_every_layer_equals_pytorchs(ported):
    network, _, params = ported
    images = np.random.default_rng(0).uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    apply = jax.jit(lambda x: inception.Inception().apply({"params": params}, x, capture_intermediates=True))
    features, captured = apply(images)
    found = {name: layer["__call__"][0] for name, layer in captured["intermediates"].items() if name != "__call__"}
    assert set(found) == set(expected) - {"features"}
    for name, output in found.items():
        reference = expected[name].numpy().transpose(0, 2, 3, 1)
        assert output.shape == reference.shape, name
        assert reference.std() > 0.01, f"{name} is constant, so the comparison proves nothing"
        np.testing.assert_allclose(output, reference, atol=2e-4 * np.abs(reference).max(), err_msg=name)
    reference = expected["features"].numpy()
    np.testing.assert_allclose(features, reference, atol=2e-4 * np.abs(reference).max())


def test_the_parameters_have_the_shapes_of_the_network(ported):
    _, _, params = ported
    images = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), np.float32)
    expected = jax.eval_shape(inception.Inception().init, jax.random.key(0), images)["params"]
    assert jax.tree.map(lambda leaf: leaf.shape, params) == jax.tree.map(lambda leaf: leaf.shape, expected)
    # torchvision's Inception-v3 without its classifiers has 21,785,568 weights, because its batch norms have two per
    # channel. The folded convolutions have one, the bias.
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 21_768_352


def test_weights_of_another_hash_are_refused(ported):
    _, path, _ = ported
    with pytest.raises(UserError, match="expected 6726825d"):
        inception.load_weights(path)


def test_the_error_for_missing_weights_has_the_url_and_the_path(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError) as error:
        inception.load_weights(inception.default_path())
    assert inception.URL in str(error.value)
    assert str(tmp_path / "avlgan_jax" / inception.FILE) in str(error.value)


def test_clean_resizing_equals_pillows_and_legacy_resizing_pytorchs():
    image = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    size = (inception.SIDE, inception.SIDE)
    planes = [Image.fromarray(image[0, ..., k].astype(np.float32)) for k in range(3)]
    bicubic = np.stack([np.asarray(plane.resize(size, Image.Resampling.BICUBIC)) for plane in planes], axis=-1)
    np.testing.assert_allclose(inception.prepare(image, "clean")[0] * 128 + 128, bicubic, atol=0.01)
    tensor = torch.from_numpy(image.transpose(0, 3, 1, 2)).float() / 255
    bilinear = torch.nn.functional.interpolate(tensor, size, mode="bilinear", align_corners=False)
    expected = bilinear[0].numpy().transpose(1, 2, 0) * 2 - 1
    np.testing.assert_allclose(inception.prepare(image, "legacy")[0], expected, atol=1e-5)


@pytest.mark.slow
def test_features_do_not_depend_on_the_number_of_images_in_a_call(ported):
    _, _, params = ported
    images = np.random.default_rng(2).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "PICTURES_PER_DEVICE", 2)
        extract = inception.extractor(params, "clean")
        together = extract(images)
        one_by_one = np.concatenate([extract(images[k : k + 1]) for k in range(3)])
    assert together.shape == (3, 2048)
    np.testing.assert_allclose(together, one_by_one, rtol=1e-4, atol=1e-5)

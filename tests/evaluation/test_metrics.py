"""Comparison of the metrics with values computed by hand, closed forms and other implementations."""

import importlib

import numpy as np
import pytest

from avlgan_jax.evaluation import metrics


def test_rmse_of_emotions_is_computed_over_both_axes():
    predicted = np.array([[0.0, 0.0], [1.0, 0.0]])
    expected = np.array([[0.3, 0.4], [1.0, 0.0]])
    assert metrics.rmse(predicted, expected) == pytest.approx(np.sqrt((0.09 + 0.16) / 4))
    assert metrics.rmse(predicted[:, 0], expected[:, 0]) == pytest.approx(0.3 / np.sqrt(2))


def test_correlations_by_hand():
    predicted, expected = np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])
    # The covariance is 1/3, both variances are 2/3 and the means are equal, so both correlations are 1/2.
    assert metrics.pcc(predicted, expected) == pytest.approx(0.5)
    assert metrics.ccc(predicted, expected) == pytest.approx(0.5)


def test_ccc_decreases_with_shift_and_scale_and_pcc_does_not():
    expected = np.array([-1.0, 0.0, 1.0])
    assert metrics.pcc(expected * 0.5 + 1.0, expected) == pytest.approx(1.0)
    # 2 cov / (var + var + shift^2) with variances 2/3 and 1/6, covariance 1/3 and shift 1.
    assert metrics.ccc(expected * 0.5 + 1.0, expected) == pytest.approx((2 / 3) / (2 / 3 + 1 / 6 + 1))
    assert metrics.ccc(-expected, expected) == pytest.approx(-1.0)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e-9])
def test_the_correlation_of_a_constant_is_zero(constant):
    expected = np.array([-0.3, 0.1, 0.7], np.float32)
    predicted = np.full(3, constant, np.float32)
    assert metrics.pcc(predicted, expected) == 0.0
    assert metrics.ccc(predicted, expected) == 0.0
    assert metrics.ccc(predicted, predicted) == 1.0


def test_sign_agreement():
    assert metrics.sagr(np.array([0.2, -0.1, 0.5, -0.9]), np.array([0.9, 0.3, 0.1, -0.2])) == pytest.approx(0.75)


def test_moments_equal_numpys_for_any_batches():
    features = np.random.default_rng(0).normal(50.0, 3.0, (101, 7)).astype(np.float32)
    at_once = metrics.moments(features)
    np.testing.assert_allclose(at_once.mean, features.mean(0, dtype=np.float64), rtol=1e-13)
    np.testing.assert_allclose(at_once.covariance, np.cov(features.astype(np.float64), rowvar=False), rtol=1e-10)
    for size in (1, 16, 100):
        parts = metrics.Moments.empty(7)
        for start in range(0, 101, size):
            parts = parts.add(features[start : start + size])
        np.testing.assert_allclose(parts.mean, at_once.mean, rtol=1e-13)
        np.testing.assert_allclose(parts.scatter, at_once.scatter, rtol=1e-10)


def test_moments_exclude_rows_that_the_mask_does_not_keep():
    features = np.random.default_rng(1).normal(size=(10, 3))
    keep = np.arange(10) < 6
    padded = metrics.Moments.empty(3).add(features, keep)
    assert padded.count == 6
    np.testing.assert_allclose(padded.covariance, np.cov(features[:6], rowvar=False), rtol=1e-12)


def gaussian(mean, covariance):
    """Return moments with exactly this mean and covariance."""
    return metrics.Moments(1001, np.asarray(mean, np.float64), np.asarray(covariance, np.float64) * 1000)


def test_frechet_of_equal_covariances_is_the_distance_of_the_means():
    covariance = np.cov(np.random.default_rng(2).normal(size=(50, 4)), rowvar=False)
    distance = metrics.frechet_distance(gaussian([0, 0, 0, 0], covariance), gaussian([1, 2, 0, -2], covariance))
    assert distance == pytest.approx(9.0, rel=1e-10)


def test_frechet_of_diagonal_gaussians():
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 1.0, 0.0])
    expected = np.sum((np.sqrt(a) - np.sqrt(b)) ** 2) + 0.25
    found = metrics.frechet_distance(gaussian([0, 0, 0.5], np.diag(a)), gaussian([0, 0, 0], np.diag(b)))
    assert found == pytest.approx(expected, rel=1e-12)


def test_frechet_of_any_covariances_agrees_with_the_matrix_square_root():
    linalg = pytest.importorskip("scipy.linalg")
    generator = np.random.default_rng(3)
    a, b = (metrics.moments(generator.normal(size=(40, 6)) @ generator.normal(size=(6, 6))) for _ in range(2))
    root = linalg.sqrtm(a.covariance @ b.covariance).real
    expected = np.sum((a.mean - b.mean) ** 2) + np.trace(a.covariance + b.covariance - 2 * root)
    assert metrics.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert metrics.frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_several_frechet_distances_are_those_of_each():
    generator = np.random.default_rng(18)
    several = [metrics.moments(generator.normal(size=(12, 3))) for _ in range(3)]
    b = metrics.moments(generator.normal(size=(20, 3)))
    assert metrics.frechet_distances(several, b) == [metrics.frechet_distance(a, b) for a in several]


def test_frechet_of_fewer_vectors_than_dimensions():
    features = np.random.default_rng(4).normal(size=(5, 64))
    assert metrics.frechet_distance(metrics.moments(features), metrics.moments(features)) == pytest.approx(0, abs=1e-6)
    shifted = metrics.moments(features + 1.0)
    assert metrics.frechet_distance(metrics.moments(features), shifted) == pytest.approx(64.0, rel=1e-6)


def test_psnr():
    black = np.zeros((2, 4, 4, 3), np.uint8)
    other = black.copy()
    other[0] = 255
    other[1] = 10
    assert metrics.psnr(black, other) == pytest.approx([0.0, 20 * np.log10(25.5)])
    assert metrics.psnr(black, black) == pytest.approx([10 * np.log10(255**2 * 12)] * 2)


def test_decibels_of_mean_square_errors():
    assert metrics.decibels(np.array([255.0**2, 100.0, 0.0])) == pytest.approx(
        [0.0, 20 * np.log10(25.5), 58.9226], abs=1e-4
    )


def test_the_ssim_map_is_local_and_its_mean_is_the_ssim():
    images = np.random.default_rng(5).integers(0, 256, (2, 24, 20, 3), dtype=np.uint8)
    other = images.copy()
    other[1, 5, 5] = 255 - other[1, 5, 5]  # only windows over this pixel see it
    found = metrics.ssim_map(images, other)
    assert found.shape == (2, 14, 10)
    np.testing.assert_allclose(found[0], 1.0)
    assert np.argwhere(found[1] < 1.0 - 1e-12).max(axis=0).tolist() == [5, 5]
    assert found[1].argmin() == 0  # the first window is centred on the pixel
    np.testing.assert_array_equal(metrics.ssim(images, other), found.mean(axis=(1, 2)))


def test_ssim_of_equal_and_of_constant_images():
    images = np.random.default_rng(5).integers(0, 256, (2, 16, 20, 3), dtype=np.uint8)
    assert metrics.ssim(images, images) == pytest.approx([1.0, 1.0])
    dark, light = np.full((1, 12, 12, 3), 50, np.uint8), np.full((1, 12, 12, 3), 100, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert metrics.ssim(dark, light) == pytest.approx([(2 * 50 * 100 + c1) / (50**2 + 100**2 + c1)])


def test_ssim_equals_a_sum_over_windows():
    a, b = np.random.default_rng(6).integers(0, 256, (2, 1, 13, 12, 3), dtype=np.uint8)
    x, y = (image[0].astype(float) @ [0.299, 0.587, 0.114] for image in (a, b))
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(line, line) / np.outer(line, line).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = []
    for top in range(3):
        for left in range(2):
            u, v = x[top : top + 11, left : left + 11], y[top : top + 11, left : left + 11]
            mu, mv = np.sum(window * u), np.sum(window * v)
            su, sv = np.sum(window * (u - mu) ** 2), np.sum(window * (v - mv) ** 2)
            cov = np.sum(window * (u - mu) * (v - mv))
            found.append((2 * mu * mv + c1) * (2 * cov + c2) / ((mu**2 + mv**2 + c1) * (su + sv + c2)))
    assert metrics.ssim(a, b) == pytest.approx([np.mean(found)])


def test_kernel_distance_follows_its_definition():
    generator = np.random.default_rng(7)
    a, b = generator.normal(size=(6, 3)), generator.normal(size=(5, 3)) + 1.0

    def kernel(u, v):
        return (u @ v / 3 + 1) ** 3

    within_a = np.mean([kernel(u, v) for i, u in enumerate(a) for j, v in enumerate(a) if i != j])
    within_b = np.mean([kernel(u, v) for i, u in enumerate(b) for j, v in enumerate(b) if i != j])
    across = np.mean([kernel(u, v) for u in a for v in b])
    assert metrics.kernel_distance(*map(metrics.FeatureSet, (a, b))) == pytest.approx(within_a + within_b - 2 * across)


def test_kernel_distances_without_each_group_are_those_of_the_rest():
    generator = np.random.default_rng(17)
    a, b, groups = generator.normal(size=(14, 3)), generator.normal(size=(9, 3)), np.arange(14) % 3
    b = metrics.FeatureSet(b)
    expected = [metrics.kernel_distance(metrics.FeatureSet(a[groups != group]), b) for group in range(3)]
    np.testing.assert_allclose(metrics.kernel_distances_without(a, groups, b), expected, rtol=1e-9)


def test_kernel_distance_is_unbiased():
    generator = np.random.default_rng(8)
    found = [metrics.kernel_distance(*map(metrics.FeatureSet, generator.normal(size=(2, 20, 4)))) for _ in range(400)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(400)


def test_precision_and_recall_of_modes():
    generator = np.random.default_rng(9)
    real = np.concatenate([generator.normal(0, 1, (60, 2)), generator.normal(100, 1, (60, 2))])
    one_mode, both_modes = metrics.FeatureSet(real[:60] + 1e-6), metrics.FeatureSet(real)
    precision, recall = metrics.precision_recall(one_mode, both_modes)
    assert (precision, recall) == (1.0, 0.5)
    four_modes = metrics.FeatureSet(np.concatenate([real, real + 1000.0]))
    precision, recall = metrics.precision_recall(four_modes, both_modes)
    assert (precision, recall) == (0.5, 1.0)


def test_precision_does_not_depend_on_the_blocks_of_pairs():
    features = np.random.default_rng(10).normal(size=(2100, 3))
    few = features[:1030]
    distances = np.linalg.norm(few[:, None] - few, axis=-1)
    reach = np.sort(distances, axis=1)[:, 3]
    expected = np.mean((np.linalg.norm(features[1030:, None] - few, axis=-1) <= reach).any(axis=1))
    assert metrics.precision_recall(*map(metrics.FeatureSet, (features[1030:], few)))[0] == pytest.approx(expected)


def other_implementation(name):
    """Return a module of another implementation of FID; skip the test if it cannot be imported.

    requirements-test.txt installs these implementations.
    """
    pytest.importorskip("torch")
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:  # torchvision raises RuntimeError with a mismatched torch
        pytest.skip(f"{name} cannot be imported: {error}")


@pytest.fixture(scope="module")
def features():
    """Return two sets of correlated, non-negative feature vectors, like those of a network's last pooling."""
    generator = np.random.default_rng(7)
    mixing = generator.normal(size=(48, 48)) / 7
    generated, real = (np.abs(generator.normal(size=(n, 48)) @ mixing + shift) for n, shift in ((300, 0.2), (260, 0.0)))
    return generated.astype(np.float32), real.astype(np.float32)


def test_the_frechet_distance_equals_pytorch_fids(features):
    score = other_implementation("pytorch_fid.fid_score")
    statistics = [(part.mean(axis=0), np.cov(part, rowvar=False)) for part in map(np.float64, features)]
    expected = score.calculate_frechet_distance(*statistics[0], *statistics[1])
    found = metrics.frechet_distance(*map(metrics.moments, features))
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_distances_equal_torch_fidelitys(features):
    import torch

    fid, kid, prc = (other_implementation(f"torch_fidelity.metric_{name}") for name in ("fid", "kid", "prc"))
    generated, real = (torch.from_numpy(np.float64(part)) for part in features)
    statistics = [fid.fid_features_to_statistics(part) for part in (generated, real)]
    expected = fid.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert metrics.frechet_distance(*map(metrics.moments, features)) == pytest.approx(expected, rel=1e-6)
    # With subsets as large as the set, the result is not random.
    one_subset = {"kid_subsets": 1, "kid_subset_size": 260, "verbose": False}
    expected = kid.kid_features_to_metric(generated[:260], real, **one_subset)["kernel_inception_distance_mean"]
    first = metrics.FeatureSet(features[0][:260])
    assert metrics.kernel_distance(first, metrics.FeatureSet(features[1])) == pytest.approx(expected, rel=1e-6)
    expected = prc.prc_features_to_metric(generated, real, prc_neighborhood=3, verbose=False)
    found = metrics.precision_recall(*map(metrics.FeatureSet, features))
    assert found == (pytest.approx(expected["precision"], abs=1e-6), pytest.approx(expected["recall"], abs=1e-6))
    assert min(found) > 0.0 and max(found) < 1.0


def test_distances_of_too_few_vectors_say_what_they_need():
    few, many = metrics.FeatureSet(np.zeros((1, 4))), metrics.FeatureSet(np.zeros((5, 4)))
    for pair in ((few, many), (many, few)):
        with pytest.raises(ValueError, match="each set needs at least two"):
            metrics.kernel_distance(*pair)
        with pytest.raises(ValueError, match="each set needs more than 3"):
            metrics.precision_recall(*pair)

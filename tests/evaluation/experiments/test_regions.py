"""Scores by region, specks, sharpness and the unchanged background: by hand, and of models whose scores are known."""

import dataclasses
import json

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation import detail, metrics
from avlgan_jax.evaluation.experiments import regions
from avlgan_jax.evaluation.trials import Trials, draw_trials
from avlgan_jax.faces.region_labels import REGIONS

BEST = 10 * np.log10(255**2 * 12)  # the PSNR of equal pictures
SIDE = 16
MOUTH, EYES, SKIN, BACKGROUND = range(4)


def chunk_of(images, truth, labels):
    return regions.Chunk(images, truth, labels, detail.known_detail(truth, images))


def results(outputs, images, truth, labels, infants):
    """Return the results of outputs by name, and of doing nothing."""
    chunk = chunk_of(images, truth, labels)
    true = regions.measure_truth(chunk)
    rows = {name: regions.compare(output, chunk, true) for name, output in outputs.items()}
    return regions.RegionResults(rows | {"do_nothing": regions.compare(images, chunk, true)}, true, np.asarray(infants))


def quarters(count):
    """Return labels with one region in each quarter of the picture."""
    labels = np.empty((count, SIDE, SIDE), np.uint8)
    half = SIDE // 2
    labels[:, :half, :half], labels[:, :half, half:] = MOUTH, EYES
    labels[:, half:, :half], labels[:, half:, half:] = SKIN, BACKGROUND
    return labels


@pytest.fixture
def by_hand():
    """Return two trials of an adult. The input is 20 off in the mouth; the output is 10 off there, and 3 elsewhere."""
    labels = quarters(2)
    truth = np.full((2, SIDE, SIDE, 3), 100, np.uint8)
    images, output = truth.copy(), truth.copy()
    images[labels == MOUTH] = 120
    output[labels == MOUTH] = 110
    output[0, -1, -1] = (103, 100, 98)  # one pixel of the background of one trial
    output[1, :8, 8:] = 103  # the eyes of the other
    return results({"model": output}, images, truth, labels, [False, False])


def test_psnr_by_hand(by_hand):
    found = regions.to_metrics(by_hand)["adult"]["psnr"]
    assert found["do_nothing"]["mouth"] == pytest.approx(20 * np.log10(255 / 20))
    assert found["model"]["mouth"] == pytest.approx(20 * np.log10(255 / 10))
    # The mean of the decibels of two trials, one of them without an error.
    assert found["model"]["eyes"] == pytest.approx((BEST + 20 * np.log10(255 / 3)) / 2)
    assert found["model"]["skin"] == found["do_nothing"]["skin"] == pytest.approx(BEST)
    # 64 pixels of 3 colours, of which one pixel is 3 and 2 off: an error below the rounding error counts as that.
    one = (9 + 4) / (64 * 3)
    assert one < metrics.ROUNDING_ERROR and found["model"]["background"] == pytest.approx(BEST)


def test_shares_nearer_and_farther_by_hand(by_hand):
    found = regions.to_metrics(by_hand)["adult"]
    assert found["trials"] == 2
    assert found["nearer"]["model"] == {"mouth": 1.0, "eyes": 0.0, "skin": 0.0, "background": 0.0}
    assert found["farther"]["model"] == {"mouth": 0.0, "eyes": 0.5, "skin": 0.0, "background": 0.5}
    assert set(found["nearer"]["do_nothing"].values()) | set(found["farther"]["do_nothing"].values()) == {0.0}


def test_changes_of_the_background_by_hand(by_hand):
    found = regions.to_metrics(by_hand)["adult"]["background_changed"]
    assert found == {"model": {"trials": 1, "largest": 3}, "do_nothing": {"trials": 0, "largest": 0}}


def test_ssim_is_the_mean_of_the_map_over_the_region():
    generator = np.random.default_rng(0)
    truth, output = generator.integers(0, 256, (2, 1, SIDE, SIDE, 3), dtype=np.uint8)
    found = regions.to_metrics(results({"model": output}, truth, truth, quarters(1), [True]))["infant"]["ssim"]
    whole = metrics.ssim_map(output, truth)[0]  # 6 x 6 windows, the first centred on pixel 5: 3 x 3 in each quarter
    assert found["model"]["mouth"] == pytest.approx(whole[:3, :3].mean())
    assert found["model"]["background"] == pytest.approx(whole[3:, 3:].mean())
    assert found["do_nothing"] == pytest.approx(dict.fromkeys(REGIONS, 1.0))


def test_specks_and_sharpness_by_hand():
    labels = np.full((1, SIDE, SIDE), SKIN, np.uint8)
    labels[:, :8, :8] = MOUTH
    labels[:, 12:] = BACKGROUND
    truth = np.full((1, SIDE, SIDE, 3), 100, np.uint8)
    truth[0, 3, 3] = 164
    half, speck, behind = truth.copy(), truth.copy(), truth.copy()
    half[0, 3, 3] = 132
    speck[0, 3, 11, 2] = 164  # one colour of a pixel of the skin
    behind[0, 14, 8] = 200  # in the background
    found = regions.to_metrics(
        results({"half": half, "speck": speck, "behind": behind}, truth, truth, labels, [False])
    )["adult"]
    assert found["sharpness"]["half"]["mouth"] == pytest.approx(0.5)
    assert found["sharpness"]["do_nothing"]["mouth"] == pytest.approx(1.0)
    assert found["sharpness"]["half"]["eyes"] is None  # no pixel of the truth is there
    # The truth's only detail is the same spot in three colours.
    assert found["specks"]["speck"] == pytest.approx(1 / 3)
    assert found["specks"]["half"] == found["specks"]["do_nothing"] == 0.0
    assert found["specks"]["behind"] < 0.01 < found["psnr"]["behind"]["background"]


def test_a_region_without_pixels_and_a_truth_without_detail_give_none():
    flat = np.full((2, SIDE, SIDE, 3), 100, np.uint8)
    labels = np.full((2, SIDE, SIDE), SKIN, np.uint8)
    labels[1, :2] = MOUTH  # outside the windows of the SSIM
    found = regions.to_metrics(results({"model": flat}, flat, flat, labels, [False, False]))["adult"]
    row = {measure: found[measure]["model"] for measure in ("psnr", "ssim", "nearer", "specks", "sharpness")}
    assert row["psnr"]["mouth"] == pytest.approx(BEST) and row["ssim"]["mouth"] is None
    assert row["psnr"]["eyes"] is row["ssim"]["eyes"] is row["nearer"]["eyes"] is row["specks"] is None
    assert row["sharpness"] == {"mouth": None, "eyes": None}
    assert found["background_changed"]["model"] == {"trials": 0, "largest": 0}
    json.dumps(found, allow_nan=False)


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(12, seed=1)


@pytest.fixture(scope="module")
def found(faces):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regions, "PICTURES_PER_CHUNK", 7)  # several chunks, the last one shorter
        trials = draw_trials(faces.emotions, 24, seed=1)
        return regions.to_metrics(regions.measure(oracle.oracle(faces), faces, trials, oracle.render_all))


def test_a_perfect_model_and_one_that_does_nothing(found):
    assert set(found) == {"adult", "infant"} and sum(group["trials"] for group in found.values()) == 24
    for group in found.values():
        assert list(group["psnr"]) == ["avlandmarkgan", "avgan", "warp", "do_nothing"]
        for region in REGIONS:
            assert group["psnr"]["avlandmarkgan"][region] == pytest.approx(BEST)
            assert group["ssim"]["avlandmarkgan"][region] == pytest.approx(1.0)
        assert group["nearer"]["avlandmarkgan"]["mouth"] == group["nearer"]["avlandmarkgan"]["eyes"] == 1.0
        assert group["sharpness"]["avlandmarkgan"] == {"mouth": 1.0, "eyes": 1.0}
        assert group["specks"]["avlandmarkgan"] == group["specks"]["do_nothing"] == 0.0
        assert group["background_changed"]["avlandmarkgan"] == {"trials": 0, "largest": 0}
        for measure in ("psnr", "ssim", "nearer", "farther", "specks", "sharpness", "background_changed"):
            assert group[measure]["avgan"] == group[measure]["do_nothing"]
    json.dumps(found, allow_nan=False)


def test_the_warp_with_true_landmarks_is_nearer_than_doing_nothing(found):
    for group in found.values():
        for region in ("mouth", "eyes"):
            assert group["psnr"]["warp"][region] > group["psnr"]["do_nothing"][region]
            assert group["nearer"]["warp"][region] > 0.5
        assert group["specks"]["warp"] < 0.01
        assert max(group["sharpness"]["warp"].values()) < 1.0  # it interpolates


def test_the_means_are_those_of_the_trials(faces, found):
    trials = draw_trials(faces.emotions, 24, seed=1)
    adults = ~faces.infants[trials.sources]
    kept = Trials(trials.sources[adults], trials.targets[adults])
    alone = regions.to_metrics(regions.measure(oracle.oracle(faces), faces, kept, oracle.render_all))
    assert set(alone) == {"adult"}  # a group without trials is left out
    for measure in ("psnr", "ssim", "nearer", "sharpness"):
        for row, values in alone["adult"][measure].items():
            assert values == pytest.approx(found["adult"][measure][row])


def test_a_run_without_avgan_has_no_row_of_it(faces):
    models = oracle.without_avgan(oracle.oracle(faces))
    models.convert = {"avlandmarkgan": models.convert["avlandmarkgan"]}
    found = regions.measure(models, faces, draw_trials(faces.emotions, 4, seed=1), oracle.render_all)
    assert list(found.rows) == ["avlandmarkgan", "warp", "do_nothing"]


def test_photographs_have_no_regions(faces):
    trials = draw_trials(faces.emotions, 4, seed=1)
    assert regions.to_metrics(regions.measure(oracle.oracle(faces), oracle.photographs(faces), trials, None)) == {}


def test_landmarks_in_three_dimensions(faces):
    deep = np.concatenate([faces.landmarks, np.zeros((12, 68, 1), np.float32)], axis=-1)
    models = oracle.oracle(faces)
    flat = models.convert_landmarks
    models.convert_landmarks = lambda points, emotions: np.pad(
        flat(points[..., :2], emotions), ((0, 0), (0, 0), (0, 1))
    )
    trials = draw_trials(faces.emotions, 4, seed=1)
    with_3d = regions.measure(models, dataclasses.replace(faces, landmarks=deep), trials, oracle.render_all)
    with_2d = regions.measure(oracle.oracle(faces), faces, trials, oracle.render_all)
    assert regions.to_metrics(with_3d) == regions.to_metrics(with_2d)

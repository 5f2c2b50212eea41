"""The sweep over the circumplex, with models whose outputs are known."""

import json

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation.experiments import circumplex
from avlgan_jax.faces.landmarks import normalised_mean_error


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(8, seed=4)


@pytest.fixture(scope="module")
def sweeps(faces):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(circumplex, "FACES", 1)
        return circumplex.measure(oracle.oracle(faces), faces, 0, oracle.render_all)


def test_targets_are_the_centre_and_rings_around_it():
    targets = circumplex.targets()
    radii = np.linalg.norm(targets, axis=1)
    np.testing.assert_allclose(radii, [0.0, *np.repeat(circumplex.RADII, circumplex.ANGLES)], atol=1e-6)
    np.testing.assert_allclose(targets[1], [circumplex.RADII[0], 0.0], atol=1e-6)
    np.testing.assert_allclose(targets[1 + circumplex.ANGLES // 4], [0.0, circumplex.RADII[0]], atol=1e-6)


def test_the_sweep_of_a_perfect_model_and_of_one_that_changes_nothing(sweeps):
    assert set(sweeps) == {"adult", "infant"}
    for found in sweeps.values():
        assert found.psnr["avlandmarkgan"].shape == (1, len(circumplex.targets()))
        assert found.nme["avlandmarkgan"].max() == 0.0
        assert found.ssim["avlandmarkgan"].min() == pytest.approx(1.0)
        np.testing.assert_array_equal(found.psnr["avgan"], found.psnr["do_nothing"])
        np.testing.assert_allclose(found.predicted["avlandmarkgan"][0], circumplex.targets())
        assert found.response["avgan"][0] == 0.0
        assert found.response["avlandmarkgan"][0] == found.response["truth"][0] > 0.01


def test_the_metrics_of_the_sweep_are_means_over_faces(sweeps):
    numbers = circumplex.to_metrics(sweeps)
    json.dumps(numbers, allow_nan=False)
    assert numbers["response"]["avgan"] == 0.0
    both = np.mean([found.response["truth"][0] for found in sweeps.values()])
    assert numbers["response"]["truth"] == pytest.approx(both)
    np.testing.assert_allclose(numbers["adult"]["nme"]["do_nothing"], sweeps["adult"].nme["do_nothing"][0])
    assert numbers["infant"]["faces"] == 1


def test_the_rmse_at_a_target_by_hand():
    predicted = np.tile(circumplex.targets(), (2, 1, 1))
    predicted[0, 3] += (0.3, 0.4)
    found = circumplex._rmse_at_targets(predicted)
    assert found[3] == pytest.approx(np.sqrt((0.3**2 + 0.4**2) / 4))  # over two faces and two axes
    assert np.delete(found, 3).max() == 0.0


def test_the_rmse_of_the_sweep_is_that_of_the_predicted_emotions(sweeps):
    adult = circumplex.to_metrics(sweeps)["adult"]
    assert set(adult["rmse"]) == {"avlandmarkgan", "avgan", "truth"}
    np.testing.assert_allclose(adult["rmse"]["avlandmarkgan"], 0.0, atol=1e-6)
    apart = sweeps["adult"].predicted["avgan"][0] - circumplex.targets()
    np.testing.assert_allclose(adult["rmse"]["avgan"], np.sqrt(np.mean(apart**2, axis=1)), rtol=1e-6)


def test_without_ground_truth_the_response_is_measured(faces):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(circumplex, "FACES", 1)
        sweeps = circumplex.measure(oracle.oracle(faces), oracle.photographs(faces), 0, None)
    assert sweeps["adult"].psnr == {}
    assert set(sweeps["adult"].response) == {"avlandmarkgan", "avgan"}
    json.dumps(circumplex.to_metrics(sweeps), allow_nan=False)


def test_the_response_of_black_and_white_is_a_half():
    images = np.zeros((2, 3, 3, 3), np.uint8)
    images[1] = 255
    assert circumplex.response_of(images) == pytest.approx(0.5)
    assert circumplex.response_of(images[:1].repeat(4, axis=0)) == 0.0


def test_the_nme_of_doing_nothing_is_that_of_the_input_landmarks(faces, sweeps):
    chosen = np.flatnonzero(~faces.infants)
    neutral = np.zeros((len(chosen), 2), np.float32)
    truths = [landmarks for _, landmarks in oracle.render_all(faces.extras["face_key"][chosen], neutral)]
    possible = normalised_mean_error(faces.landmarks[chosen], np.stack(truths))
    assert sweeps["adult"].nme["do_nothing"][0, 0] in possible

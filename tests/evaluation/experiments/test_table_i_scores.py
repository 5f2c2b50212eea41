"""Table I, the loss weights, with models whose outputs are known."""

import json

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation.experiments import ablation_scores, table_i
from avlgan_jax.evaluation.trials import FeatureSpace, draw_trials, measure_reference
from avlgan_jax.training.ablation.table_i import COLUMNS, VALUES, AblationModels


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(8, seed=4)


def measurement_setup(faces, inception=None):
    trials = draw_trials(faces.emotions, 10, seed=0)
    truths = oracle.render_all(faces.extras["face_key"][trials.sources], trials.targets)
    reference = measure_reference(lambda images: oracle.oracle(faces).regress(images)[1], faces, lambda done: None)
    truth = ablation_scores.GroundTruth(*(np.stack(column) for column in zip(*truths, strict=True)))
    return ablation_scores.MeasurementSetup(faces, trials, reference, inception, truth)


def test_table_i_of_models_with_known_outputs(faces):
    perfect, unchanged = oracle.oracle(faces), oracle.oracle(faces)
    unchanged.convert = {"avlandmarkgan": perfect.convert["avgan"]}
    unchanged.convert_landmarks = lambda landmarks, emotions: landmarks
    loaded = []

    def load(models):
        def loader():
            loaded.append(models)
            return models

        return loader

    own, other = load(perfect), load(unchanged)
    cells = {weight: {0.0: [other], 7.0: [own, own]} for weight in ("landmark.emotion_weight", "image.landmark_weight")}
    setup = measurement_setup(faces)
    numbers = table_i.to_metrics(
        AblationModels(cells, {"landmark.emotion_weight": 7.0, "image.landmark_weight": 0.0}), setup
    )
    assert len(loaded) == 2  # each once, although it belongs to two columns
    zero, seven = numbers["landmark.emotion_weight"]
    assert (zero["value"], zero["own"], seven["value"], seven["own"]) == (0.0, False, 7.0, True)
    assert numbers["image.landmark_weight"][0]["own"]
    assert seven["rmse"] == 0.0 and seven["truth_landmark_nme"] == 0.0
    assert seven["truth_psnr"] > zero["truth_psnr"] > 0.0  # `perfect` outputs the ground truth itself
    assert seven["seeds"]["rmse"] == [0.0, 0.0]
    targets, own_emotions = setup.trials.targets, faces.emotions[setup.trials.sources]
    assert zero["rmse"] == pytest.approx(np.sqrt(np.mean((targets - own_emotions) ** 2)))
    assert zero["truth_landmark_nme"] > 0.0 and zero["fid"] is None
    assert zero["paper"] == {"fid": 25.66, "rmse": 0.188} and seven["paper"] is None
    json.dumps(numbers, allow_nan=False)


def test_the_rmse_of_table_i_is_compared_with_that_at_the_papers_own_weight(faces):
    """At weight 0 the regressor reads twice as far from the target as at 5, whose two runs differ."""
    setup = measurement_setup(faces)

    def load(error):
        models = oracle.oracle(faces)
        regress = models.regress

        def read(images):
            emotions, features = regress(images)
            noise = np.random.default_rng(len(images)).uniform(0.5, 1.5, emotions.shape).astype(np.float32)
            return emotions + error * noise, features

        models.regress = read
        return lambda: models

    cells = {"image.emotion_weight": {0.0: [load(0.4)], 5.0: [load(0.2), load(0.2)], 10.0: [load(0.21), load(0.19)]}}
    numbers = table_i.to_metrics(AblationModels(cells, {"image.emotion_weight": 5.0}), setup)["image.emotion_weight"]
    without, own, more = (row["rmse_ratio"] for row in numbers)
    assert own is None
    np.testing.assert_allclose(without, [2.0, 2.0, 2.0], rtol=1e-5)
    value, low, high = more
    assert low < value < high and value == pytest.approx(1.0) and 0.9 < low < high < 1.1
    # The outputs are the same, and so are their distances to the training pictures.
    assert [row["distance_ratio"] for row in numbers] == [[1.0, 1.0, 1.0], None, [1.0, 1.0, 1.0]]
    json.dumps(numbers, allow_nan=False)


def test_fid_is_measured_if_a_feature_space_is_given(faces):
    def extract(images):
        return np.asarray(images, np.float64).reshape(len(images), 2, -1).mean(axis=2)

    inception = FeatureSpace(extract, measure_reference(extract, faces, lambda done: None))
    found = ablation_scores.measure(oracle.oracle(faces), measurement_setup(faces, inception))
    assert found["fid"] >= 0.0 and found["fid"] != pytest.approx(found["frechet_regressor"])


def test_the_papers_table_i_has_all_values():
    for values in table_i.PAPER.values():
        assert tuple(values) == VALUES
    # One run belongs to all four columns: the values 5, 5, 5 and 10.
    own = (table_i.PAPER[column][value] for column, value in zip(COLUMNS, (5.0, 5.0, 5.0, 10.0), strict=True))
    assert set(own) == {(22.13, 0.200)}

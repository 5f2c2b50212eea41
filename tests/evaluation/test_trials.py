"""Trials and their measurement, with models whose outputs are known."""

import dataclasses
import types

import numpy as np
import oracle
import pytest

from avlgan_jax.data.records import AGE_GROUPS
from avlgan_jax.errors import UserError
from avlgan_jax.evaluation import metrics, scores, trials


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(12, seed=2)


@pytest.fixture(scope="module")
def training():
    return oracle.draw_faces(20, seed=1)


def measure(faces, training, samples=30, render=oracle.render_all, known=()):
    drawn_trials = trials.draw_trials(faces.emotions, samples, seed=0)
    models = oracle.oracle(*(known or (faces, training)))
    return trials.measure(models, faces, training, drawn_trials, render, lambda done: None)


@pytest.fixture(scope="module")
def measured(faces, training):
    return measure(faces, training)


def test_faces_have_equally_many_trials_with_labels_of_other_faces_as_targets():
    emotions = np.random.default_rng(0).uniform(-1, 1, (7, 2)).astype(np.float32)
    drawn_trials = trials.draw_trials(emotions, 40, seed=3)
    counts = np.bincount(drawn_trials.sources, minlength=7)
    assert set(counts) == {5, 6}
    own = emotions[drawn_trials.sources]
    assert not np.any(np.all(drawn_trials.targets == own, axis=1))
    assert all(target.tolist() in emotions.tolist() for target in drawn_trials.targets)


def test_trials_depend_only_on_the_seed():
    emotions = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    first, again, other = (trials.draw_trials(emotions, 60, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.targets, again.targets)
    np.testing.assert_array_equal(first.sources, again.sources)
    assert not np.array_equal(first.sources, other.sources)


@pytest.mark.parametrize(("count", "samples", "message"), [(5, 0, "--samples is 0"), (1, 5, "1 face")])
def test_impossible_trials_are_refused(count, samples, message):
    with pytest.raises(UserError, match=message):
        trials.draw_trials(np.zeros((count, 2)), samples, seed=0)


def test_chosen_people_alternate_between_adults_and_infants():
    faces = oracle.draw_faces(16, seed=3)
    chosen = trials.choose_people(faces, seed=0, count=6)
    assert len(set(faces.subjects[chosen])) == 6
    assert faces.infants[chosen].tolist() == [False, True] * 3
    np.testing.assert_array_equal(chosen, trials.choose_people(faces, seed=0, count=6))
    assert any(not np.array_equal(chosen, trials.choose_people(faces, seed=seed, count=6)) for seed in (1, 2))


def test_all_people_are_chosen_if_there_are_fewer_than_count():
    adults = oracle.draw_faces(6, seed=3, infants=False)
    chosen = trials.choose_people(adults, seed=0, count=6)
    assert sorted(adults.subjects[chosen]) == ["person-0", "person-1", "person-2"]


def test_a_model_that_draws_the_ground_truth_has_perfect_scores(measured):
    found = scores.score(measured)["models"]["avlandmarkgan"]
    assert found["rmse"] == 0.0
    assert found["pcc_valence"] == pytest.approx(1.0)
    assert found["ccc_arousal"] == pytest.approx(1.0)
    assert found["truth_landmark_nme"] == 0.0
    assert found["truth_psnr"] == pytest.approx(58.92, abs=0.01)
    assert found["truth_ssim"] == pytest.approx(1.0)


def test_the_landmark_error_of_3d_landmarks_ignores_depth(measured, faces, training):
    def with_depth(some):
        return dataclasses.replace(some, landmarks=_add_depth(some.landmarks))

    def convert(landmarks, emotions):
        return _add_depth(models_2d.convert_landmarks(landmarks[..., :2], emotions))

    def paint(images, landmarks, emotions):
        return models_2d.convert["avlandmarkgan"](images, landmarks[..., :2], emotions)

    models_2d = oracle.oracle(faces, training)
    models = types.SimpleNamespace(**vars(models_2d))
    models.convert_landmarks, models.convert = convert, {**models_2d.convert, "avlandmarkgan": paint}
    drawn_trials = trials.draw_trials(faces.emotions, 30, seed=0)
    found = trials.measure(
        models, with_depth(faces), with_depth(training), drawn_trials, oracle.render_all, lambda done: None
    )
    assert_same(scores.score(found), scores.score(measured))


def _add_depth(landmarks):
    return np.concatenate([landmarks, np.full_like(landmarks[..., :1], 7.0)], axis=-1)


def test_a_model_that_changes_nothing_has_the_scores_of_doing_nothing(measured):
    found = scores.score(measured)
    assert found["do_nothing"]["rmse"] > 0.3
    assert found["do_nothing"]["truth_psnr"] < 45.0
    for group in (found["do_nothing"], *(found["groups"][name]["do_nothing"] for name in AGE_GROUPS)):
        assert group["truth_landmark_nme"] > 0.0
    avgan = found["models"]["avgan"]
    for name in (*scores.AFFECT, "truth_psnr", "truth_ssim"):
        assert avgan[name] == found["do_nothing"][name]
    assert avgan["truth_landmark_nme"] is None


def test_scores_of_groups_average_to_the_overall_score(measured):
    found = scores.score(measured)
    parts = [found["groups"][name] for name in AGE_GROUPS]
    counts = [part["samples"] for part in parts]
    assert sum(counts) == 30
    assert min(counts) > 0
    weighted = sum(part["do_nothing"]["truth_psnr"] * n for part, n in zip(parts, counts, strict=True)) / 30
    assert weighted == pytest.approx(found["do_nothing"]["truth_psnr"])


def test_progress_counts_every_image(faces, training):
    done = []
    drawn_trials = trials.draw_trials(faces.emotions, 9, seed=0)
    models = oracle.oracle(faces, training)
    trials.measure(models, faces, training, drawn_trials, None, done.append)
    assert sum(done) == trials.picture_count(models, faces, training, 9) == 2 * 9 + 12 + 20
    done.clear()
    models = oracle.without_avgan(models)
    trials.measure(models, faces, training, drawn_trials, None, done.append)
    assert sum(done) == trials.picture_count(models, faces, training, 9) == 9 + 12 + 20


def test_scores_do_not_depend_on_the_size_of_chunks(measured, faces, training, monkeypatch):
    monkeypatch.setattr(trials, "PICTURES_PER_CHUNK", 7)
    in_parts = measure(faces, training)
    assert_same(scores.score(in_parts), scores.score(measured))


def assert_same(found, expected):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_same(found[key], value)
    elif expected is None:
        assert found is None
    else:
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_photographs_have_no_ground_truth_scores(faces, training):
    plain = oracle.photographs(faces)
    found = scores.score(measure(plain, training, render=None, known=(faces, training)))
    assert found["models"]["avlandmarkgan"]["rmse"] == 0.0
    rows = (found["models"]["avlandmarkgan"], found["do_nothing"], found["groups"]["adult"]["avgan"])
    assert all(row[name] is None for row in rows for name in scores.TRUTH)


def test_the_reference_has_the_moments_of_all_training_faces(faces, training, monkeypatch):
    monkeypatch.setattr(trials, "PAIRED_FEATURES", 6)
    monkeypatch.setattr(trials, "PICTURES_PER_CHUNK", 7)
    models = oracle.oracle(faces, training)

    def extract(images):
        return models.regress(images)[1]

    reference = trials.measure_reference(extract, training, lambda done: None)
    features = extract(training.images)
    assert reference.moments["all"].count == 20
    np.testing.assert_allclose(reference.moments["all"].mean, features.mean(axis=0))
    np.testing.assert_allclose(reference.moments["infant"].mean, features[training.infants].mean(axis=0))
    kept = [0, 3, 7, 11, 15, 19]
    np.testing.assert_array_equal(reference.features, features[kept])
    np.testing.assert_array_equal(reference.infants, training.infants[kept])


def test_fid_is_computed_in_the_given_feature_space(faces, training):
    drawn_trials = trials.draw_trials(faces.emotions, 30, seed=0)
    models = oracle.oracle(faces, training)
    done = []

    def extract(images):
        return np.asarray(images, np.float64).reshape(len(images), 2, -1).mean(axis=2)

    inception = trials.FeatureSpace(extract, trials.measure_reference(extract, training, lambda done: None))
    measured = trials.measure(models, faces, training, drawn_trials, None, done.append, inception)
    assert sum(done) == trials.picture_count(models, faces, training, 30)
    avgan = scores.score(measured)["models"]["avgan"]
    real = metrics.moments(extract(training.images))
    shown = metrics.moments(extract(faces.images[drawn_trials.sources]))
    assert avgan["fid"] == pytest.approx(metrics.frechet_distance(shown, real))
    assert avgan["fid"] != pytest.approx(avgan["frechet_regressor"])


def test_without_inception_its_scores_are_none(measured):
    found = scores.score(measured)
    for row in (found["models"]["avlandmarkgan"], found["groups"]["infant"]["avgan"], found["regressor"]):
        assert [row[name] for name in scores.INCEPTION] == [None] * 4


def test_no_target_is_a_label_that_is_absent():
    emotions = np.random.default_rng(0).uniform(-1, 1, (9, 2)).astype(np.float32)
    complete = trials.draw_trials(emotions, 60, seed=3)
    emotions[[1, 4, 8], 1] = np.nan
    drawn_trials = trials.draw_trials(emotions, 60, seed=3)
    np.testing.assert_array_equal(drawn_trials.sources, complete.sources)
    assert not np.isnan(drawn_trials.targets).any()
    assert not np.any(np.all(drawn_trials.targets == emotions[drawn_trials.sources], axis=1))
    kept = [target in emotions.tolist() for target in complete.targets.tolist()]
    np.testing.assert_array_equal(drawn_trials.targets[kept], complete.targets[kept])
    emotions[1:, 0] = np.nan
    with pytest.raises(UserError, match=r"1 face\(s\) with valence and arousal"):
        trials.draw_trials(emotions, 60, seed=3)


def test_several_seeds_give_each_face_several_targets():
    emotions = np.random.default_rng(0).uniform(-1, 1, (7, 2)).astype(np.float32)
    found = trials.repeated_trials(emotions, 14, 3, 2)
    for repeat in (0, 1):
        alone = trials.draw_trials(emotions, 14, 3 + repeat)
        np.testing.assert_array_equal(found.targets[14 * repeat : 14 * (repeat + 1)], alone.targets)
        np.testing.assert_array_equal(found.sources[14 * repeat : 14 * (repeat + 1)], alone.sources)

"""The experiments of Section IV on models whose answers are known."""

import dataclasses
import json

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation.experiments import ablation_scores, baby, circumplex, table_i, table_ii, transfer
from avlgan_jax.evaluation.trials import FeatureSpace, choose_people, draw_trials, measure_reference
from avlgan_jax.faces.emotions import EXPRESSIONS, TABLE_II
from avlgan_jax.faces.landmarks import normalised_mean_error
from avlgan_jax.training.ablation.table_i import COLUMNS, VALUES, AblationModels


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(8, seed=4)


@pytest.fixture(scope="module")
def around(faces):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(circumplex, "FACES", 1)
        return circumplex.measure(oracle.oracle(faces), faces, 0, oracle.render_all)


def test_the_targets_lie_on_rings_around_the_centre():
    targets = circumplex.targets()
    radii = np.linalg.norm(targets, axis=1)
    np.testing.assert_allclose(radii, [0.0, *np.repeat(circumplex.RADII, circumplex.ANGLES)], atol=1e-6)
    np.testing.assert_allclose(targets[1], [circumplex.RADII[0], 0.0], atol=1e-6)
    np.testing.assert_allclose(targets[1 + circumplex.ANGLES // 4], [0.0, circumplex.RADII[0]], atol=1e-6)


def test_around_the_plane_the_truth_is_reached_by_the_one_and_left_by_the_other(around):
    assert set(around) == {"adult", "infant"}
    for found in around.values():
        assert found.psnr["avlandmarkgan"].shape == (1, len(circumplex.targets()))
        assert found.nme["avlandmarkgan"].max() == 0.0
        assert found.ssim["avlandmarkgan"].min() == pytest.approx(1.0)
        np.testing.assert_array_equal(found.psnr["avgan"], found.psnr["do_nothing"])
        np.testing.assert_allclose(found.predicted["avlandmarkgan"][0], circumplex.targets())
        assert found.response["avgan"][0] == 0.0
        assert found.response["avlandmarkgan"][0] == found.response["truth"][0] > 0.01


def test_the_numbers_of_the_plane_are_means_over_faces(around):
    told = circumplex.to_metrics(around)
    json.dumps(told, allow_nan=False)
    assert told["response"]["avgan"] == 0.0
    both = np.mean([found.response["truth"][0] for found in around.values()])
    assert told["response"]["truth"] == pytest.approx(both)
    np.testing.assert_allclose(told["adult"]["nme"]["do_nothing"], around["adult"].nme["do_nothing"][0])
    assert told["infant"]["faces"] == 1


def test_without_a_truth_the_response_remains(faces):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(circumplex, "FACES", 1)
        around = circumplex.measure(oracle.oracle(faces), oracle.photographs(faces), 0, None)
    assert around["adult"].psnr == {}
    assert set(around["adult"].response) == {"avlandmarkgan", "avgan"}
    json.dumps(circumplex.to_metrics(around), allow_nan=False)


def test_the_response_of_black_and_white_is_a_half():
    pictures = np.zeros((2, 3, 3, 3), np.uint8)
    pictures[1] = 255
    assert circumplex.response_of(pictures) == pytest.approx(0.5)
    assert circumplex.response_of(pictures[:1].repeat(4, axis=0)) == 0.0


def test_table_ii_by_hand(faces):
    expressions = np.array([1, 1, 2, 2, 2, 0, 0, 0], np.int32)
    told = table_ii.to_metrics(dataclasses.replace(faces, expressions=expressions))
    assert list(told) == list(EXPRESSIONS)
    assert told["happy"]["count"] == 2
    assert told["happy"]["valence"] == pytest.approx(faces.emotions[:2, 0].mean())
    assert told["sad"]["arousal"] == pytest.approx(faces.emotions[2:5, 1].mean())
    assert told["fear"] == {"count": 0, "valence": None, "arousal": None}
    means = table_ii.means(told)
    np.testing.assert_allclose(means[1], faces.emotions[:2].mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(means[4], TABLE_II[4])


@pytest.fixture(scope="module")
def frames(faces):
    """The eight faces as two mothers' and two infants' frames 0 and 1, 2 and 3, the later ones first."""
    order = np.arange(8)[::-1]
    extras = faces.extras | {"frame": np.tile([0, 1], 4), "dyad": np.arange(8) // 4}
    return dataclasses.replace(faces, extras=extras).take(order)


def test_each_later_frame_is_asked_of_the_first(faces, frames, monkeypatch):
    monkeypatch.setattr(baby, "EVERY", 1)
    asked = {}
    models = oracle.oracle(faces)
    draw = models.convert["avlandmarkgan"]

    def remember(images, landmarks, emotions):
        asked.update({image.tobytes(): emotion.tolist() for image, emotion in zip(images, emotions, strict=True)})
        return draw(images, landmarks, emotions)

    models.convert = {"avlandmarkgan": remember, "avgan": models.convert["avgan"]}
    found = baby.measure(models, frames)
    assert asked == {faces.images[k].tobytes(): faces.emotions[k + 1].tolist() for k in range(0, 8, 2)}
    for name, infants in (("infant", True), ("parent", False)):
        own = (frames.extras["frame"] == 1) & (frames.infants == infants)
        np.testing.assert_array_equal(found[name].expected, frames.emotions[own, 0])
        np.testing.assert_array_equal(found[name].predicted["avlandmarkgan"], found[name].expected)
        np.testing.assert_array_equal(found[name].predicted["real"], found[name].expected)
        assert len(set(found[name].people)) == 2


def test_every_third_frame_of_a_person_is_asked_for(faces, monkeypatch):
    extras = faces.extras | {"frame": np.array([5, 7, 10, 11, 12, 13, 20, 3]), "dyad": np.zeros(8, int)}
    one = dataclasses.replace(faces, extras=extras, subjects=np.full(8, "one"), infants=np.ones(8, bool))
    found = baby.measure(oracle.oracle(faces), one)["infant"]
    # In time: 3, 5, 7, 10, 11, 12, 13, 20. The first is the input, and the third and sixth after it are asked for.
    np.testing.assert_array_equal(found.expected, one.emotions[[2, 5], 0])


def test_stills_are_no_frames(faces, frames):
    assert baby.has_sequences(frames)
    assert not baby.has_sequences(faces)
    assert not baby.has_sequences(dataclasses.replace(faces, extras={"frame": np.full(8, -1)}))


def test_the_numbers_of_section_iv_b(faces, frames, monkeypatch):
    monkeypatch.setattr(baby, "EVERY", 1)
    told = baby.to_metrics(baby.measure(oracle.oracle(faces), frames), seed=0)
    assert told["infant"]["avlandmarkgan"]["pcc_valence"] == pytest.approx(1.0)
    assert told["infant"]["avlandmarkgan"]["paper"] == 0.70
    assert told["parent"]["avgan"]["paper"] == 0.64
    assert told["parent"]["frames"] == 2
    json.dumps(told, allow_nan=False)


def test_people_who_differ_do_not_pass_for_a_model_that_follows():
    people = np.repeat(["a", "b"], 20)
    target = np.tile(np.linspace(-0.3, 0.3, 20), 2) + np.repeat([-0.5, 0.5], 20)
    ignores = np.repeat([-0.4, 0.6], 20) + np.tile([0.01, -0.01, -0.01, 0.01], 10)
    follows = 0.5 * target
    frames = baby.FramePredictions(target, {"avgan": ignores, "avlandmarkgan": follows}, people, np.arange(40).astype(str))
    told = baby.to_metrics({"infant": frames}, seed=0)["infant"]
    assert told["avgan"]["pcc_valence"] > 0.8
    assert abs(told["avgan"]["pcc_valence_within"]) < 0.05
    assert told["avlandmarkgan"]["pcc_valence_within"] == pytest.approx(1.0)


def test_a_model_that_hardly_moves_has_little_concordance():
    target = np.linspace(-0.8, 0.8, 30)
    hardly, fully = 0.05 * target, target
    names = np.arange(30).astype(str)
    frames = baby.FramePredictions(target, {"avgan": hardly, "avlandmarkgan": fully}, np.full(30, "one"), names)
    told = baby.to_metrics({"parent": frames}, seed=0)["parent"]
    assert told["avgan"]["pcc_valence"] == pytest.approx(1.0)
    assert told["avgan"]["ccc_valence"] == pytest.approx(2 * 0.05 / (1 + 0.05**2))
    assert told["avlandmarkgan"]["ccc_valence"] == pytest.approx(1.0)


def test_frames_whose_annotators_disagree_are_left_out(faces, frames, monkeypatch):
    monkeypatch.setattr(baby, "EVERY", 1)
    deviation = np.where(frames.infants, 0.3, 0.2)
    disputed = dataclasses.replace(frames, extras=frames.extras | {"valence_deviation": deviation})
    assert set(baby.measure(oracle.oracle(faces), disputed)) == {"parent"}


def test_the_nme_of_doing_nothing_is_that_of_the_landmarks_themselves(faces, around):
    chosen = np.flatnonzero(~faces.infants)
    neutral = np.zeros((len(chosen), 2), np.float32)
    truths = [landmarks for _, landmarks in oracle.render_all(faces.extras["face_key"][chosen], neutral)]
    possible = normalised_mean_error(faces.landmarks[chosen], np.stack(truths))
    assert around["adult"].nme["do_nothing"][0, 0] in possible


@pytest.fixture(scope="module")
def dyads(faces):
    """The eight faces as frames 0 to 3 of two dyads, of which the second has an infant (two of its frames) alone."""
    extras = faces.extras | {"frame": np.array([0, 1, 0, 1, 9, 9, 2, 3]), "dyad": np.array([7, 7, 7, 7, 9, 9, 8, 8])}
    return dataclasses.replace(faces, extras=extras)


def test_a_dyad_is_transferred_to_an_adult_and_an_infant(faces, dyads):
    stills = oracle.draw_faces(4, seed=9)
    models = oracle.oracle(faces, stills)
    found = transfer.measure(models, dyads, stills, seed=0)
    assert found.dyad == "7"
    np.testing.assert_array_equal(found.frames, [0, 1])
    for role, rows, infant in (("parent", [0, 1], False), ("infant", [2, 3], True)):
        told = found.roles[role]
        np.testing.assert_array_equal(told.annotated, faces.emotions[rows])
        np.testing.assert_allclose(told.transferred, faces.emotions[rows])
        (portrait,) = (row for row in choose_people(stills, 0, 2) if stills.infants[row] == infant)
        keys = np.repeat(stills.extras["face_key"][[portrait]], 3, axis=0)
        moments = faces.emotions[np.array(rows)[list(found.moments.values())]]
        truths = np.stack([image for image, _ in oracle.render_all(keys, moments)])
        np.testing.assert_array_equal(told.performance, truths)
        np.testing.assert_array_equal(told.film, faces.images[np.array(rows)[list(found.moments.values())]])
    told = transfer.to_metrics(found)
    assert told["parent"]["read_valence"] == told["infant"]["arrived_arousal"] == pytest.approx(1.0)
    json.dumps(told, allow_nan=False)


def test_without_a_filmed_pair_nothing_is_transferred(faces, dyads):
    alone = dyads.take(np.array([6, 7]))
    for frames in (faces, alone):
        assert transfer.measure(oracle.oracle(faces), frames, faces, seed=0) is None
    assert transfer.to_metrics(None) == {}


def table_i_setting(faces, inception=None):
    trials = draw_trials(faces.emotions, 10, seed=0)
    truths = oracle.render_all(faces.extras["face_key"][trials.sources], trials.targets)
    reference = measure_reference(lambda images: oracle.oracle(faces).regress(images)[1], faces, lambda done: None)
    truth = ablation_scores.GroundTruth(*(np.stack(column) for column in zip(*truths, strict=True)))
    return ablation_scores.MeasurementSetup(faces, trials, reference, inception, truth)


def test_table_i_by_models_whose_answers_are_known(faces):
    perfect, still = oracle.oracle(faces), oracle.oracle(faces)
    still.convert = {"avlandmarkgan": perfect.convert["avgan"]}
    still.convert_landmarks = lambda landmarks, emotions: landmarks
    loaded = []

    def load(models):
        def loader():
            loaded.append(models)
            return models

        return loader

    own, other = load(perfect), load(still)
    cells = {weight: {0.0: [other], 7.0: [own, own]} for weight in ("landmark.emotion_weight", "image.landmark_weight")}
    setting = table_i_setting(faces)
    told = table_i.to_metrics(
        AblationModels(cells, {"landmark.emotion_weight": 7.0, "image.landmark_weight": 0.0}), setting
    )
    assert len(loaded) == 2  # each once, though it stands in two columns
    zero, seven = told["landmark.emotion_weight"]
    assert (zero["value"], zero["own"], seven["value"], seven["own"]) == (0.0, False, 7.0, True)
    assert told["image.landmark_weight"][0]["own"]
    assert seven["rmse"] == 0.0 and seven["truth_landmark_nme"] == 0.0
    assert seven["truth_psnr"] > zero["truth_psnr"] > 0.0  # the very picture: as near as can be
    assert seven["seeds"]["rmse"] == [0.0, 0.0]
    asked, own_emotions = setting.trials.targets, faces.emotions[setting.trials.sources]
    assert zero["rmse"] == pytest.approx(np.sqrt(np.mean((asked - own_emotions) ** 2)))
    assert zero["truth_landmark_nme"] > 0.0 and zero["fid"] is None
    assert zero["paper"] == {"fid": 25.66, "rmse": 0.188} and seven["paper"] is None
    json.dumps(told, allow_nan=False)


def test_table_i_gives_fid_where_it_is_asked_for(faces):
    def extract(images):
        return np.asarray(images, np.float64).reshape(len(images), 2, -1).mean(axis=2)

    lens = FeatureSpace(extract, measure_reference(extract, faces, lambda done: None))
    found = ablation_scores.measure(oracle.oracle(faces), table_i_setting(faces, lens))
    assert found["fid"] >= 0.0 and found["fid"] != pytest.approx(found["frechet_regressor"])


def test_the_papers_table_i_is_whole():
    for values in table_i.PAPER.values():
        assert tuple(values) == VALUES
    # One training stands in all four columns: 5, 5, 5 and 10.
    own = (table_i.PAPER[column][value] for column, value in zip(COLUMNS, (5.0, 5.0, 5.0, 10.0), strict=True))
    assert set(own) == {(22.13, 0.200)}

"""The experiments of Section IV, with models whose outputs are known."""

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


def test_table_ii_by_hand(faces):
    expressions = np.array([1, 1, 2, 2, 2, 0, 0, 0], np.int32)
    numbers = table_ii.to_metrics(dataclasses.replace(faces, expressions=expressions))
    assert list(numbers) == list(EXPRESSIONS)
    assert numbers["happy"]["count"] == 2
    assert numbers["happy"]["valence"] == pytest.approx(faces.emotions[:2, 0].mean())
    assert numbers["sad"]["arousal"] == pytest.approx(faces.emotions[2:5, 1].mean())
    assert numbers["fear"] == {"count": 0, "valence": None, "arousal": None}
    means = table_ii.means(numbers)
    np.testing.assert_allclose(means[1], faces.emotions[:2].mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(means[4], TABLE_II[4])


def test_table_ii_leaves_out_labels_that_are_absent(faces):
    emotions = faces.emotions.copy()
    emotions[0, 1] = emotions[2:5, 1] = np.nan
    expressions = np.array([1, 1, 2, 2, 2, -1, -1, -1], np.int32)
    numbers = table_ii.to_metrics(dataclasses.replace(faces, expressions=expressions, emotions=emotions))
    assert numbers["happy"]["arousal"] == pytest.approx(emotions[1, 1])
    assert numbers["happy"]["valence"] == pytest.approx(emotions[:2, 0].mean())
    assert (numbers["sad"]["count"], numbers["sad"]["arousal"], numbers["neutral"]["count"]) == (3, None, 0)
    np.testing.assert_array_equal(table_ii.means(numbers)[2], TABLE_II[2])


@pytest.fixture(scope="module")
def frames(faces):
    """Return the eight faces as frames 0 and 1 of each of four people in two dyads, in reverse order."""
    order = np.arange(8)[::-1]
    extras = faces.extras | {"frame": np.tile([0, 1], 4), "dyad": np.arange(8) // 4}
    return dataclasses.replace(faces, extras=extras).take(order)


def test_the_first_frame_is_converted_to_the_emotion_of_each_later_frame(faces, frames, monkeypatch):
    monkeypatch.setattr(baby, "EVERY", 1)
    targets = {}
    models = oracle.oracle(faces)
    draw = models.convert["avlandmarkgan"]

    def record(images, landmarks, emotions):
        targets.update({image.tobytes(): emotion.tolist() for image, emotion in zip(images, emotions, strict=True)})
        return draw(images, landmarks, emotions)

    models.convert = {"avlandmarkgan": record, "avgan": models.convert["avgan"]}
    found = baby.measure(models, frames)
    assert targets == {faces.images[k].tobytes(): faces.emotions[k + 1].tolist() for k in range(0, 8, 2)}
    for name, infants in (("infant", True), ("parent", False)):
        own = (frames.extras["frame"] == 1) & (frames.infants == infants)
        np.testing.assert_array_equal(found[name].expected, frames.emotions[own, 0])
        np.testing.assert_array_equal(found[name].predicted["avlandmarkgan"], found[name].expected)
        np.testing.assert_array_equal(found[name].predicted["real"], found[name].expected)
        assert len(set(found[name].people)) == 2


def test_every_third_frame_of_a_person_is_a_target(faces, monkeypatch):
    extras = faces.extras | {"frame": np.array([5, 7, 10, 11, 12, 13, 20, 3]), "dyad": np.zeros(8, int)}
    one = dataclasses.replace(faces, extras=extras, subjects=np.full(8, "one"), infants=np.ones(8, bool))
    found = baby.measure(oracle.oracle(faces), one)["infant"]
    # In order of time the frames are 3, 5, 7, 10, 11, 12, 13, 20. The first is the input; the third and the sixth after
    # it are the targets.
    np.testing.assert_array_equal(found.expected, one.emotions[[2, 5], 0])


def test_only_frames_of_sequences_count_as_sequences(faces, frames):
    assert baby.has_sequences(frames)
    assert not baby.has_sequences(faces)
    assert not baby.has_sequences(dataclasses.replace(faces, extras={"frame": np.full(8, -1)}))


def test_the_metrics_of_section_iv_b(faces, frames, monkeypatch):
    monkeypatch.setattr(baby, "EVERY", 1)
    numbers = baby.to_metrics(baby.measure(oracle.oracle(faces), frames), seed=0)
    assert numbers["infant"]["avlandmarkgan"]["pcc_valence"] == pytest.approx(1.0)
    assert numbers["infant"]["avlandmarkgan"]["paper"] == 0.70
    assert numbers["parent"]["avgan"]["paper"] == 0.64
    assert numbers["parent"]["frames"] == 2 and numbers["parent"]["interval_over"] == "people"
    json.dumps(numbers, allow_nan=False)


def test_the_correlation_within_people_excludes_differences_between_people():
    people = np.repeat(["a", "b"], 20)
    target = np.tile(np.linspace(-0.3, 0.3, 20), 2) + np.repeat([-0.5, 0.5], 20)
    ignores = np.repeat([-0.4, 0.6], 20) + np.tile([0.01, -0.01, -0.01, 0.01], 10)
    follows = 0.5 * target
    frames = baby.FramePredictions(target, {"avgan": ignores, "avlandmarkgan": follows}, people)
    numbers = baby.to_metrics({"infant": frames}, seed=0)["infant"]
    assert numbers["avgan"]["pcc_valence"] > 0.8
    assert abs(numbers["avgan"]["pcc_valence_within"]) < 0.05
    assert numbers["avlandmarkgan"]["pcc_valence_within"] == pytest.approx(1.0)


def test_outputs_that_hardly_move_have_a_low_ccc():
    target = np.linspace(-0.8, 0.8, 30)
    moves_little, moves_fully = 0.05 * target, target
    frames = baby.FramePredictions(target, {"avgan": moves_little, "avlandmarkgan": moves_fully}, np.full(30, "one"))
    numbers = baby.to_metrics({"parent": frames}, seed=0)["parent"]
    assert numbers["avgan"]["pcc_valence"] == pytest.approx(1.0)
    assert numbers["avgan"]["ccc_valence"] == pytest.approx(2 * 0.05 / (1 + 0.05**2))
    assert numbers["avlandmarkgan"]["ccc_valence"] == pytest.approx(1.0)


def test_the_interval_of_section_iv_b_is_over_people():
    """Ten times the frames of the same people say nothing more about other people."""
    generator = np.random.default_rng(0)
    target = generator.uniform(-1, 1, (40, 5))
    reads = 0.5 * target + generator.normal(0, 0.3, (40, 1))
    follows = 0.9 * target + generator.normal(0, 0.1, (40, 1))

    def measured(repeats):
        people = np.repeat(np.arange(40), 5 * repeats)
        expected, poor, good = (np.repeat(values, repeats, axis=1).ravel() for values in (target, reads, follows))
        found = baby.FramePredictions(expected, {"avgan": poor, "avlandmarkgan": good}, people)
        return baby.to_metrics({"infant": found}, seed=0)["infant"]

    once, often = measured(1), measured(10)
    assert (once["people"], often["people"], often["frames"]) == (40, 40, 2000)
    for row in ("avgan", "avlandmarkgan", "difference"):
        np.testing.assert_allclose(often[row]["interval"], once[row]["interval"], atol=1e-9)
    difference = once["difference"]
    assert difference["pcc_valence"] == once["avlandmarkgan"]["pcc_valence"] - once["avgan"]["pcc_valence"]
    low, high = difference["interval"]
    assert 0 < low < difference["pcc_valence"] < high
    # Paired: the same people make both models better or worse, so the difference varies less than two separate scores.
    widths = [once[row]["interval"][1] - once[row]["interval"][0] for row in ("avgan", "avlandmarkgan")]
    assert high - low < sum(widths)
    assert difference["paper"] == 0.21


def test_without_avgan_the_difference_is_null():
    found = baby.FramePredictions(np.linspace(-1, 1, 8), {"avlandmarkgan": np.linspace(-1, 1, 8)}, np.arange(8) // 2)
    assert baby.to_metrics({"infant": found}, seed=0)["infant"]["difference"] is None


def test_an_arousal_that_was_not_rated_stays_what_it_is(faces, frames, monkeypatch):
    """As rated in the first frame, or as the discriminator reads it there where nobody rated it."""
    monkeypatch.setattr(baby, "EVERY", 1)
    emotions = frames.emotions.copy()
    emotions[:, 0] = 0.6
    emotions[frames.extras["frame"] == 1, 1] = np.nan
    emotions[(frames.extras["frame"] == 0) & frames.infants, 1] = np.nan
    unrated = dataclasses.replace(frames, emotions=emotions)
    models, asked = oracle.oracle(faces), {}
    models.read_emotions = lambda images: np.tile(np.float32([0.3, 0.95]), (len(images), 1))

    def record(images, landmarks, targets):
        asked.update({image.tobytes(): target for image, target in zip(images, targets, strict=True)})
        return images

    models.convert = {"avlandmarkgan": record}
    found = baby.measure(models, unrated)
    for k in np.flatnonzero(frames.extras["frame"] == 0):
        valence, arousal = asked[frames.images[k].tobytes()]
        assert valence == np.float32(0.6)
        own = 0.8 if frames.infants[k] else np.clip(emotions[k, 1], -0.8, 0.8)  # the edge of the disc at 0.6 is 0.8
        assert arousal == pytest.approx(own)
    json.dumps(baby.to_metrics(found, seed=0), allow_nan=False)


def test_a_frame_without_valence_is_no_target(faces, frames, monkeypatch):
    monkeypatch.setattr(baby, "EVERY", 1)
    emotions = frames.emotions.copy()
    emotions[frames.infants, 0] = np.nan
    assert set(baby.measure(oracle.oracle(faces), dataclasses.replace(frames, emotions=emotions))) == {"parent"}


def test_of_every_third_frame_all_are_targets(faces):
    extras = faces.extras | {"frame": np.array([0, 3, 6, 9, 0, 3, 6, 9]), "dyad": np.zeros(8, int)}
    some = dataclasses.replace(faces, extras=extras, subjects=np.repeat(["one", "two"], 4), infants=np.ones(8, bool))
    found = baby.measure(oracle.oracle(faces), some)["infant"]
    np.testing.assert_array_equal(found.expected, some.emotions[[1, 2, 3, 5, 6, 7], 0])


def test_frames_whose_annotators_disagree_are_omitted(faces, frames, monkeypatch):
    monkeypatch.setattr(baby, "EVERY", 1)
    deviation = np.where(frames.infants, 0.3, 0.2)
    disputed = dataclasses.replace(frames, extras=frames.extras | {"valence_deviation": deviation})
    assert set(baby.measure(oracle.oracle(faces), disputed)) == {"parent"}


def test_the_nme_of_doing_nothing_is_that_of_the_input_landmarks(faces, sweeps):
    chosen = np.flatnonzero(~faces.infants)
    neutral = np.zeros((len(chosen), 2), np.float32)
    truths = [landmarks for _, landmarks in oracle.render_all(faces.extras["face_key"][chosen], neutral)]
    possible = normalised_mean_error(faces.landmarks[chosen], np.stack(truths))
    assert sweeps["adult"].nme["do_nothing"][0, 0] in possible


@pytest.fixture(scope="module")
def dyads(faces):
    """Return the eight faces as frames of three dyads. Dyad 7 has both people, dyads 8 and 9 only one of them."""
    extras = faces.extras | {"frame": np.array([0, 1, 0, 1, 9, 9, 2, 3]), "dyad": np.array([7, 7, 7, 7, 9, 9, 8, 8])}
    return dataclasses.replace(faces, extras=extras)


def strangers(count):
    """Return faces of other people than those of the fixtures."""
    drawn = oracle.draw_faces(count, seed=9)
    return dataclasses.replace(drawn, subjects=np.array([f"stranger-{name}" for name in drawn.subjects]))


def test_a_dyad_is_transferred_to_an_adult_and_an_infant(faces, dyads):
    stills = strangers(4)
    models = oracle.oracle(faces, stills)
    found = transfer.measure(models, dyads, stills, seed=0)
    assert found.dyad == "7"
    np.testing.assert_array_equal(found.frames, [0, 1])
    for role, rows, infant in (("parent", [0, 1], False), ("infant", [2, 3], True)):
        track = found.roles[role]
        np.testing.assert_array_equal(track.annotated, faces.emotions[rows])
        np.testing.assert_allclose(track.transferred, faces.emotions[rows])
        (portrait,) = (row for row in choose_people(stills, 0, 2) if stills.infants[row] == infant)
        keys = np.repeat(stills.extras["face_key"][[portrait]], 3, axis=0)
        moments = faces.emotions[np.array(rows)[list(found.moments.values())]]
        truths = np.stack([image for image, _ in oracle.render_all(keys, moments)])
        np.testing.assert_array_equal(found.shown[role].performance, truths)
        np.testing.assert_array_equal(
            found.shown[role].film, faces.images[np.array(rows)[list(found.moments.values())]]
        )
    numbers = transfer.to_metrics(found)
    assert numbers["parent"]["read_valence"] == numbers["infant"]["arrived_arousal"] == pytest.approx(1.0)
    json.dumps(numbers, allow_nan=False)


def test_every_dyad_is_transferred_and_scored(faces, dyads):
    """Two dyads; of the second, the parent's arousal was not rated."""
    both = dyads.extras | {"frame": np.tile([0, 1], 4), "dyad": np.repeat([7, 9], 4)}
    emotions = faces.emotions.copy()
    emotions[[4, 5], 1] = np.nan
    two = dataclasses.replace(faces, extras=both, emotions=emotions)
    assert two.infants.tolist() == [False, False, True, True] * 2
    stills = strangers(8)
    found = transfer.measure(oracle.oracle(faces, stills), two, stills, seed=0)
    assert len(found.tracks) == 2
    np.testing.assert_allclose(found.tracks[1]["infant"].transferred, faces.emotions[[6, 7]])
    numbers = transfer.to_metrics(found)
    over = numbers["dyads"]
    assert over["count"] == 2 and over["infant"]["arrived_arousal"]["dyads"] == 2
    assert over["infant"]["arrived_arousal"]["mean"] == pytest.approx(1.0)
    assert over["infant"]["arrived_arousal"]["interval"] == pytest.approx([1.0, 1.0])
    assert over["parent"]["read_arousal"]["dyads"] == 1 and over["parent"]["read_arousal"]["interval"] is None
    json.dumps(numbers, allow_nan=False)


def test_a_dyad_is_never_transferred_to_its_own_people(faces, monkeypatch):
    """The stills are the dyads' own frames: two parents (0, 2) and two infants (1, 3), of dyads 7 and 9."""
    frames = dataclasses.replace(
        faces, extras=faces.extras | {"frame": np.tile([0, 1], 4), "dyad": np.repeat([7, 9], 4)}
    )
    for seed in range(8):
        pairs = transfer._portraits(frames, seed, [{"person-0", "person-1"}, {"person-2", "person-3"}])
        for portraits, parent, infant in zip(pairs, ([4, 5], [0, 1]), ([6, 7], [2, 3]), strict=True):
            assert any(np.array_equal(portraits["parent"].image, faces.images[row]) for row in parent)
            assert any(np.array_equal(portraits["infant"].image, faces.images[row]) for row in infant)
    seen = []
    measured = transfer._portraits
    monkeypatch.setattr(transfer, "_portraits", lambda *given: seen.append(given[2]) or measured(*given))
    assert len(transfer.measure(oracle.oracle(faces), frames, frames, seed=0).tracks) == 2
    assert seen == [[{"person-0", "person-1"}, {"person-2", "person-3"}]]


def test_where_nobody_else_is_of_an_age_group_another_person_takes_the_place(faces):
    """Without the second infant, the first dyad's infant moves the other parent's face too: there is nobody else."""
    some = faces.take(np.array([0, 1, 2, 3, 4, 5]))
    first, second = transfer._portraits(some, 0, [{"person-0", "person-1"}, {"person-2"}])
    np.testing.assert_array_equal(first["infant"].image, first["parent"].image)
    assert any(np.array_equal(second["infant"].image, faces.images[row]) for row in (2, 3))


def test_a_dyad_with_nobody_else_is_left_out(faces):
    frames = dataclasses.replace(
        faces, extras=faces.extras | {"frame": np.tile([0, 1], 4), "dyad": np.repeat([7, 9], 4)}
    )
    first_alone = faces.take(np.arange(4))
    assert transfer._portraits(first_alone, 0, [{"person-0", "person-1"}]) == [None]
    found = transfer.measure(oracle.oracle(faces), frames, first_alone, seed=0)
    assert (found.dyad, len(found.tracks)) == ("9", 1)


def test_the_mean_over_dyads_by_hand():
    found = transfer._over_dyads([0.5, None, 0.9], seed=0)
    assert (found["dyads"], found["lowest"], found["highest"]) == (2, 0.5, 0.9)
    assert found["mean"] == pytest.approx(0.7) and found["deviation"] == pytest.approx(np.sqrt(0.08))
    assert found["interval"] == pytest.approx([0.5, 0.9])
    assert transfer._over_dyads([None, None], seed=0) is None


def test_without_a_dyad_of_both_people_there_is_no_transfer(faces, dyads):
    one_person = dyads.take(np.array([6, 7]))
    for frames in (faces, one_person):
        assert transfer.measure(oracle.oracle(faces), frames, faces, seed=0) is None
    assert transfer.to_metrics(None) == {}


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

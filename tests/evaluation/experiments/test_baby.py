"""Section IV-B, infants and their parents, with models whose outputs are known."""

import dataclasses
import json

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation.experiments import baby


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(8, seed=4)


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

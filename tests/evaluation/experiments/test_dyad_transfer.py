"""Section IV-C, the transfer between the people of a dyad, with models whose outputs are known."""

import dataclasses
import json

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation.experiments import transfer
from avlgan_jax.evaluation.trials import choose_people


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(8, seed=4)


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

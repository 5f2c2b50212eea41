"""Which faces are shown: different people, both ages in turn, the same for the same seed."""

import numpy as np
import oracle
import pytest

from avlgan_jax import affect, gallery


@pytest.fixture(scope="module")
def faces():
    return oracle.draw_faces(16, seed=3)


@pytest.fixture(autouse=True)
def few_pictures(monkeypatch):
    monkeypatch.setattr(gallery, "FACES", 3)
    monkeypatch.setattr(gallery, "MATRICES", 1)


def test_faces_shown_are_different_people_of_both_ages_in_turn(faces):
    chosen = gallery.choose(faces, seed=0, count=6)
    assert len(set(faces.subjects[chosen])) == 6
    assert faces.infants[chosen].tolist() == [False, True] * 3
    np.testing.assert_array_equal(chosen, gallery.choose(faces, seed=0, count=6))
    assert any(not np.array_equal(chosen, gallery.choose(faces, seed=seed, count=6)) for seed in (1, 2))


def test_fewer_people_than_places_are_all_shown():
    adults = oracle.draw_faces(6, seed=3, infants=False)
    chosen = gallery.choose(adults, seed=0, count=6)
    assert sorted(adults.subjects[chosen]) == ["person-0", "person-1", "person-2"]


def test_every_picture_shows_the_emotion_it_stands_for(faces):
    models = oracle.oracle(faces)
    shown = gallery.collect(models, faces, 0, oracle.render_all)
    rows = shown.rows
    np.testing.assert_array_equal(rows.outputs["avlandmarkgan"], rows.outputs["truth"])
    np.testing.assert_array_equal(rows.outputs["avgan"], rows.images)
    np.testing.assert_array_equal(models.predict(rows.outputs["avlandmarkgan"]), rows.targets)
    for row in shown.expressions:
        np.testing.assert_array_equal(models.predict(row), affect.TABLE_II)
    grid = shown.matrices[0].grids["avlandmarkgan"]
    top_left, bottom_right = models.predict(np.stack([grid[0, 0], grid[-1, -1]]))
    np.testing.assert_allclose(top_left, [-0.8, 0.8])
    np.testing.assert_allclose(bottom_right, [0.8, -0.8])


def test_photographs_are_shown_without_a_truth(faces):
    shown = gallery.collect(oracle.oracle(faces), oracle.photographs(faces), 0, None)
    assert set(shown.rows.outputs) == {"avlandmarkgan", "avgan"}
    assert set(shown.matrices[0].grids) == {"avlandmarkgan", "avgan"}

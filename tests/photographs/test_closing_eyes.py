"""Eyes that an edit closes are covered by lids, and others are left alone."""

import numpy as np
import pytest
from moved_faces import moved_without_paint, rmse

from avlgan_jax.faces import procedural
from avlgan_jax.photographs import closing_eyes

SIDE = 256


def drawn(valence, arousal):
    """Return a drawn infant's picture and landmarks at an emotion; at low arousal it sleeps."""
    face = procedural.render(procedural.sample_face(5, 3, 0, True), valence, arousal, SIDE)
    return face.image, face.landmarks[:, :2].astype(np.float32)


@pytest.fixture(scope="module")
def awake():
    return drawn(0.0, 0.6)


@pytest.fixture(scope="module")
def asleep():
    return drawn(0.0, -1.0)


def eye_box(landmarks):
    """Return the slices of the box around both eyes."""
    low, high = landmarks[36:48].min(axis=0).astype(int) - 6, landmarks[36:48].max(axis=0).astype(int) + 6
    return slice(low[1], high[1]), slice(low[0], high[0])


def test_a_closed_eye_is_nearer_to_the_drawn_truth_than_moved_pixels(awake, asleep, monkeypatch):
    truth, landmarks = asleep[0].astype(np.float32), awake[1].copy()
    landmarks[36:48] = asleep[1][36:48]
    box = eye_box(awake[1])
    assert (closing_eyes.closed(awake[1], landmarks) == 1.0).all()
    found = moved_without_paint(*awake, landmarks, infant=True)
    monkeypatch.setattr(closing_eyes, "closed", lambda *_: np.zeros(2, np.float32))
    moved = moved_without_paint(*awake, landmarks, infant=True)
    assert rmse(found, truth, box) < 0.8 * rmse(moved, truth, box)
    # No white of an eye is left: nothing is much brighter than what the sleeping face shows.
    assert found[box].max() < truth[box].max() + 20.0 < moved[box].max()


def test_eyes_that_stay_open_are_left_alone_to_the_bit(awake):
    image, before = awake
    half = before.copy()
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        half[upper] = 0.5 * (before[upper] + before[lower])
    photo, displacement = image.astype(np.float32), np.zeros((SIDE, SIDE, 2), np.float32)
    for after in (before, half):
        assert (closing_eyes.closed(before, after) == 0.0).all()
        drawn_on = photo.copy()
        closing_eyes.draw(drawn_on, photo, displacement, before, after)
        np.testing.assert_array_equal(drawn_on, photo)


def test_an_eye_that_was_closed_already_is_left_alone(asleep):
    after = asleep[1].copy()
    after[[37, 38, 43, 44]] = after[[41, 40, 47, 46]]
    assert (closing_eyes.closed(asleep[1], after) == 0.0).all()


def test_only_the_surroundings_of_an_eye_that_closes_change(awake):
    image, before = awake
    after = before.copy()
    after[[37, 38]] = before[[41, 40]]
    photo, displacement = image.astype(np.float32), np.zeros((SIDE, SIDE, 2), np.float32)
    drawn_on = photo.copy()
    closing_eyes.draw(drawn_on, photo, displacement, before, after)
    changed = np.argwhere(np.abs(drawn_on - photo).max(axis=-1) > 0.0)[:, ::-1]
    unit = np.linalg.norm(before[36] - before[45])
    assert len(changed) > 50
    assert (changed.min(axis=0) > before[36:42].min(axis=0) - 0.1 * unit - 2).all()
    assert (changed.max(axis=0) < before[36:42].max(axis=0) + 0.1 * unit + 2).all()


@pytest.mark.parametrize("shift", [(-200.0, 0.0), (0.0, -120.0), (400.0, 400.0)])
def test_eyes_at_the_edge_of_a_photograph_and_outside(awake, shift):
    image, before = awake
    before = before + np.array(shift, np.float32)
    after = before.copy()
    after[[37, 38, 43, 44]] = before[[41, 40, 47, 46]]
    photo = image.astype(np.float32)
    closing_eyes.draw(photo, image.astype(np.float32), np.zeros((SIDE, SIDE, 2), np.float32), before, after)
    assert np.isfinite(photo).all()

"""Mouths that an edit closes are closed by their lips, and others are left alone."""

import numpy as np
import pytest
from moved_faces import moved_without_paint, rmse

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import procedural
from avlgan_jax.photographs import closing_mouth

SIDE = 256


def drawn(valence, arousal):
    """Return a drawn adult's picture and landmarks at an emotion; a happy one shows its teeth."""
    face = procedural.render(procedural.sample_face(3, 3, 0, False), valence, arousal, SIDE)
    return face.image, face.landmarks[:, :2].astype(np.float32)


@pytest.fixture(scope="module")
def laughing():
    return drawn(0.9, 0.4)


@pytest.fixture(scope="module")
def calm():
    return drawn(0.0, 0.0)


def with_mouth(landmarks, other):
    """Return landmarks with the mouth of another face."""
    landmarks = landmarks.copy()
    landmarks[48:] = other[48:]
    return landmarks


def with_lips_apart(landmarks, distance):
    """Return landmarks whose inner lips are apart by a distance over that of the outer eye corners."""
    landmarks, unit = landmarks.copy(), lm.eye_distance(landmarks)
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        middle, half = 0.5 * (landmarks[upper] + landmarks[lower]), np.array([0.0, 0.5 * distance * unit])
        landmarks[upper], landmarks[lower] = middle - half, middle + half
    return landmarks


def mouth_box(landmarks):
    """Return the slices of the box around the lips."""
    low, high = landmarks[48:60].min(axis=0).astype(int), landmarks[48:60].max(axis=0).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def test_a_closed_mouth_is_nearer_to_the_drawn_truth_than_moved_pixels(laughing, calm, monkeypatch):
    truth, landmarks = calm[0].astype(np.float32), with_mouth(laughing[1], calm[1])
    box = mouth_box(calm[1])
    assert closing_mouth.share(laughing[1], landmarks) == 1.0
    found = moved_without_paint(*laughing, landmarks)
    monkeypatch.setattr(closing_mouth, "share", lambda *_: 0.0)
    moved = moved_without_paint(*laughing, landmarks)
    assert rmse(found, truth, box) < 0.8 * rmse(moved, truth, box)
    # No teeth are left: nothing is as white as they are. Skin has little blue.
    assert found[box][..., 2].max() < truth[box][..., 2].max() + 5.0 < moved[box][..., 2].max()


def test_mouths_that_stay_or_open_are_left_alone_to_the_bit(laughing, calm):
    for before, after in ((laughing[1], laughing[1]), (calm[1], with_mouth(calm[1], laughing[1])), (calm[1], calm[1])):
        assert closing_mouth.share(before, after) == 0.0
        np.testing.assert_array_equal(closing_mouth.meeting(before, after), after)


def test_the_share_rises_without_a_jump(laughing):
    before = with_lips_apart(laughing[1], 0.1)
    shares = [closing_mouth.share(before, with_lips_apart(before, gap)) for gap in np.linspace(0.1, 0.0, 41)]
    assert shares[0] == 0.0 and shares[-1] == 1.0
    assert (np.diff(shares) >= 0.0).all() and np.diff(shares).max() < 0.15
    # Nor does it jump with the opening of the photograph, which differs from frame to frame of a film.
    shares = [closing_mouth.share(with_lips_apart(before, gap), with_lips_apart(before, 0.0)) for gap in (0.015, 0.04)]
    np.testing.assert_allclose(shares, (0.0, 1.0), atol=1e-6)


def test_lips_that_nearly_meet_are_joined_and_keep_their_thickness(laughing):
    before, after = with_lips_apart(laughing[1], 0.1), with_lips_apart(laughing[1], 0.03)
    met = closing_mouth.meeting(before, after)
    np.testing.assert_allclose(met[[61, 62, 63]], met[[67, 66, 65]], atol=1e-3)
    np.testing.assert_allclose(met[[51, 57]] - met[[62, 66]], after[[51, 57]] - after[[62, 66]], atol=1e-3)
    np.testing.assert_array_equal(met[:48], after[:48])
    apart = with_lips_apart(laughing[1], 0.07)
    np.testing.assert_array_equal(closing_mouth.meeting(before, apart), apart)


def test_depth_stays_and_turned_faces_close_alike(laughing):
    before, after = with_lips_apart(laughing[1], 0.1), with_lips_apart(laughing[1], 0.03)
    deep = [np.column_stack([points, np.arange(68.0)]).astype(np.float32) for points in (before, after)]
    np.testing.assert_array_equal(closing_mouth.meeting(*deep)[:, 2], np.arange(68.0))
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]], np.float32)
    turned = closing_mouth.meeting(before @ turn, after @ turn)
    np.testing.assert_allclose(turned, closing_mouth.meeting(before, after) @ turn, atol=1e-3)


def test_each_lip_has_a_flow_in_which_the_other_moves_with_it(laughing, calm):
    before, after = laughing[1], with_mouth(laughing[1], calm[1])
    upper, lower = closing_mouth.sources(before, after)
    for place, this, other in ((upper, 62, 66), (lower, 66, 62)):
        np.testing.assert_allclose(place[other] - after[other], place[this] - after[this], atol=1e-3)
    # Both take their lip from outside of the opening.
    assert upper[62, 1] < before[62, 1] and lower[66, 1] > before[66, 1]
    np.testing.assert_array_equal(upper[:48], before[:48])


def test_only_the_mouth_changes(laughing, calm):
    image, before = laughing
    after = closing_mouth.meeting(before, with_mouth(before, calm[1]))
    photo = image.astype(np.float32)
    drawn_on, still = photo.copy(), np.full((SIDE, SIDE, 2), 3.0, np.float32)
    closing_mouth.draw(drawn_on, photo, (still, still), before, after)
    unit, (rows, columns) = lm.eye_distance(before), mouth_box(after)
    margin = int(0.1 * unit) + 3
    drawn_on[rows.start - margin : rows.stop + margin, columns.start - margin : columns.stop + margin] = 0.0
    photo[rows.start - margin : rows.stop + margin, columns.start - margin : columns.stop + margin] = 0.0
    np.testing.assert_array_equal(drawn_on, photo)


def test_a_mouth_outside_the_picture_is_no_error(laughing, calm):
    photo = laughing[0].astype(np.float32)
    still = np.zeros((SIDE, SIDE, 2), np.float32)
    drawn_on = photo.copy()
    closing_mouth.draw(drawn_on, photo, (still, still), laughing[1] + 1000.0, calm[1] + 1000.0)
    np.testing.assert_array_equal(drawn_on, photo)

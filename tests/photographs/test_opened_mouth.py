"""The inside of an opened mouth: where it is drawn, with what light, and what it looks like."""

import numpy as np
import pytest

from avlgan_jax.faces import procedural
from avlgan_jax.photographs import opened_mouth

SIDE = 256
BRIGHTNESS = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def face():
    """A drawn adult, calm and surprised: (pictures, landmarks)."""
    person = procedural.sample_face(5, 3, 0, False)
    drawn = [procedural.render(person, *emotion, SIDE) for emotion in ((0.0, 0.0), (0.2, 0.8))]
    return [one.image.astype(np.float32) for one in drawn], [one.landmarks[:, :2] for one in drawn]


def drawn(photo, source, target, lit=(1.0, 1.0, 1.0), hidden=0.0, infant=False):
    """Return a copy of the photograph with the mouth drawn."""
    copy = photo.copy()
    opened_mouth.draw(copy, source, target, np.array(lit, np.float32), hidden, infant)
    return copy


def centre(landmarks):
    """Return the pixel in the middle of the inner lips, and the one just below the upper lip."""
    x, y = landmarks[60:68].mean(axis=0).astype(int)
    return (y, x), (int(landmarks[62, 1]) + 3, x)


def test_an_opening_is_new_by_its_growth_and_old_where_the_photograph_shows_it(face):
    _, (calm, surprised) = face
    assert opened_mouth.novelty(calm, calm) == 0.0
    assert opened_mouth.novelty(calm, surprised) == 1.0
    assert opened_mouth.novelty(surprised, calm) == 0.0
    half = calm + 0.5 * (surprised - calm)
    wide = surprised.copy()
    wide[[65, 66, 67], 1] += 0.5 * (surprised[66, 1] - surprised[62, 1])
    assert opened_mouth.novelty(calm, half) == 1.0
    assert opened_mouth.novelty(surprised, wide) == 0.0  # opened further: its own teeth stay


def test_a_mouth_that_stays_closed_is_the_photographs_to_the_bit(face):
    (photo, _), (calm, _) = face
    np.testing.assert_array_equal(drawn(photo, calm, calm), photo)


def test_only_the_inside_of_the_lips_is_drawn(face):
    (photo, _), (calm, surprised) = face
    changed = np.abs(drawn(photo, calm, surprised) - photo).max(axis=-1) > 1.0
    rows, columns = np.nonzero(changed)
    lips = surprised[60:68]
    assert columns.min() >= lips[:, 0].min() - 4 and columns.max() <= lips[:, 0].max() + 4
    assert rows.min() >= lips[:, 1].min() - 4 and rows.max() <= lips[:, 1].max() + 4
    assert changed[centre(surprised)[0]]


def test_an_adult_has_teeth_under_the_upper_lip_and_an_infant_gums(face):
    (photo, _), (calm, surprised) = face
    adult, infant = (drawn(photo, calm, surprised, infant=infant) for infant in (False, True))
    middle, upper = centre(surprised)
    tooth, gum, dark = adult[upper], infant[upper], adult[middle]
    assert tooth @ BRIGHTNESS > 120 and np.ptp(tooth) < 60  # nearly white
    assert gum[0] > 1.5 * gum[1] and gum @ BRIGHTNESS < 0.8 * (tooth @ BRIGHTNESS)
    assert dark @ BRIGHTNESS < 0.6 * (tooth @ BRIGHTNESS)


def test_teeth_are_as_dark_as_the_light(face):
    (photo, _), (calm, surprised) = face
    _, upper = centre(surprised)
    full, half = (drawn(photo, calm, surprised, lit)[upper] for lit in ((1.0, 1.0, 1.0), (0.5, 0.5, 0.5)))
    np.testing.assert_allclose(half, 0.5 * full, atol=2.0)


def test_a_smile_of_a_dark_mouth_gets_teeth_and_no_other_mouth_of_the_same_height(face):
    _, (_, open_mouth) = face
    smile, middle = open_mouth.copy(), open_mouth[60:68, 0].mean()
    smile[60:68, 0] = middle + 1.3 * (smile[60:68, 0] - middle)
    photo = np.full((SIDE, SIDE, 3), 20.0, np.float32)
    assert opened_mouth.novelty(open_mouth, smile) == 0.0
    _, upper = centre(smile)
    assert drawn(photo, open_mouth, smile, hidden=1.0)[upper] @ BRIGHTNESS > 120
    for same in (drawn(photo, open_mouth, smile), drawn(photo, open_mouth, open_mouth, hidden=1.0)):
        np.testing.assert_array_equal(same, photo)
    np.testing.assert_array_equal(drawn(photo, open_mouth, smile, hidden=1.0, infant=True), photo)


def test_a_mouth_at_the_border_of_the_picture_or_beyond_it_is_drawn_as_far_as_it_is_seen(face):
    (photo, _), (calm, surprised) = face
    whole = drawn(photo, calm, surprised)
    cut = int(surprised[60:68, 1].mean())
    sure = cut - 8  # the blurs of the drawing end at the border
    np.testing.assert_allclose(drawn(photo[:cut], calm, surprised)[:sure], whole[:sure], atol=2.0)
    above = photo[: int(surprised[60:68, 1].min()) - 20]
    np.testing.assert_array_equal(drawn(above, calm, surprised), above)


def test_a_turned_mouth_is_the_turned_drawing(face):
    (_, _), (calm, surprised) = face
    plain = np.full((SIDE, SIDE, 3), 128.0, np.float32)
    upright = drawn(plain, calm, surprised)
    quarter = [np.stack([SIDE - points[:, 1], points[:, 0]], axis=-1) for points in (calm, surprised)]
    turned = np.rot90(drawn(plain, *quarter))  # back by a quarter
    assert np.abs(turned - upright).mean() < 0.1 and np.abs(upright - plain).mean() > 0.2


def test_opening_lips_are_taken_from_outside_the_line_between_them(face):
    _, (calm, surprised) = face
    assert opened_mouth.lips(calm, calm) is calm
    found, unit = opened_mouth.lips(calm, surprised), np.linalg.norm(calm[45] - calm[36])
    inner, outer = [61, 62, 63, 65, 66, 67], [50, 51, 52, 56, 57, 58]
    others = np.setdiff1d(np.arange(68), inner)
    np.testing.assert_array_equal(found[others], calm[others])
    before, after = (np.linalg.norm((points[outer] - points[inner]) / unit, axis=1) for points in (calm, found))
    np.testing.assert_allclose(before - after, np.minimum(0.02, 0.5 * before), atol=1e-4)

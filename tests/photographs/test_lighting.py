"""What a photograph shows of the light on a face, and of teeth in an open mouth."""

import numpy as np
import pytest

from avlgan_jax.faces import procedural
from avlgan_jax.photographs import lighting

SIDE = 256


@pytest.fixture(scope="module")
def face():
    """Landmarks of a drawn adult, calm and surprised."""
    person = procedural.sample_face(5, 3, 0, False)
    return [procedural.render(person, *emotion, SIDE).landmarks[:, :2] for emotion in ((0.0, 0.0), (0.2, 0.8))]


def painted(landmarks, skin, eyes):
    """Return a picture of one colour of skin, whose eyes have another colour."""
    photo = np.full((SIDE, SIDE, 3), skin, np.float32)
    for ring in (landmarks[36:42], landmarks[42:48]):
        (left, top), (right, bottom) = np.floor(ring.min(axis=0)).astype(int), np.ceil(ring.max(axis=0)).astype(int)
        photo[top:bottom, left:right] = eyes
    return photo


def test_the_light_is_as_bright_as_the_skin_or_the_whites_of_the_eyes_and_has_a_quarter_of_their_colour(face):
    calm, _ = face
    white = 255.0 * lighting._WHITE
    for skin, eyes in ((0.8, 0.5), (0.4, 0.8)):  # fair skin with shaded eyes, and dark skin
        np.testing.assert_allclose(lighting.light(painted(calm, skin * white, eyes * white), calm), 0.8, rtol=1e-3)
    np.testing.assert_allclose(lighting.light(np.full((SIDE, SIDE, 3), 255.0), calm), 1.15, rtol=1e-3)
    np.testing.assert_allclose(lighting.light(np.zeros((SIDE, SIDE, 3)), calm), 0.3, rtol=1e-3)
    red, _, blue = lighting.light(painted(calm, 0.5 * white, (0.8 * white, 0.7 * white, 0.6 * white)), calm)
    np.testing.assert_allclose(red - blue, 0.25 * (0.8 - 0.6), rtol=1e-3)


def test_the_light_of_closed_eyes_is_that_of_the_skin_wherever_the_head_is(face):
    calm, _ = face
    closed, white = calm.copy(), 255.0 * lighting._WHITE
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        closed[lower] = closed[upper] + (0.0, 0.5)
    photo = painted(calm, 0.6 * white, 0.9 * white)
    np.testing.assert_allclose(lighting.light(photo, closed), 0.6, rtol=1e-3)
    beyond = np.add(closed, (0.7 * SIDE, 0.0))  # a cheek and the nose are outside the picture
    assert np.isfinite(lighting.light(photo, beyond)).all()


def filled(landmarks, colour, skin=150.0):
    """Return a picture of skin whose inner lips hold a colour in their upper half, and a dark cavity below."""
    photo, lips = np.full((SIDE, SIDE, 3), skin, np.float32), landmarks[60:68]
    (left, top), (right, bottom) = np.floor(lips.min(axis=0)).astype(int), np.ceil(lips.max(axis=0)).astype(int)
    photo[top:bottom, left:right] = 20.0
    photo[top : (top + bottom) // 2, left:right] = colour
    return photo


def test_teeth_are_hidden_in_a_dark_mouth_and_seen_where_it_is_as_bright_as_the_skin(face):
    calm, surprised = face
    assert lighting.hidden_teeth(filled(surprised, (150.0, 148.0, 145.0)), surprised) == 0.0
    for colour in ((20.0, 8.0, 8.0), (170.0, 110.0, 105.0)):  # a cavity, a tongue
        assert lighting.hidden_teeth(filled(surprised, colour), surprised) == 1.0
    assert 0.0 < lighting.hidden_teeth(filled(surprised, (125.0, 125.0, 125.0)), surprised) < 1.0
    skin = np.full((SIDE, SIDE, 3), 150.0, np.float32)
    lip = filled(surprised, (100.0, 60.0, 60.0))
    lip[lip == 20.0] = 90.0
    for mistaken in (skin, lip):  # there is no cavity
        assert lighting.hidden_teeth(mistaken, surprised) == 0.0
    closed = calm.copy()
    closed[[65, 66, 67]] = closed[[63, 62, 61]] + (0.0, 0.4)
    assert lighting.hidden_teeth(np.zeros((SIDE, SIDE, 3), np.float32), closed) == 0.0
    beyond = np.subtract(surprised, (2.0 * SIDE, 0.0))
    assert lighting.hidden_teeth(np.zeros((SIDE, SIDE, 3), np.float32), beyond) == 0.0

"""Mouths of photographs: as drawn ones for the converter, narrower as the chin descends, corners between the lips."""

import numpy as np
import pytest

from avlgan_jax.editing.editor import load
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import procedural
from avlgan_jax.photographs import mouths


@pytest.fixture(scope="module")
def faces():
    """Landmarks of a drawn adult, 256 px: at rest, surprised, pleased."""
    person = procedural.sample_face(5, 3, 0, False)
    return [procedural.render(person, *emotion, 256).landmarks_3d for emotion in ((0.0, 0.0), (0.2, 0.7), (0.7, 0.0))]


def width(points):
    """Return the width of the mouth in eye distances."""
    return np.linalg.norm(points[..., 48, :2] - points[..., 54, :2], axis=-1) / lm.eye_distance(points)


def test_a_chin_that_hardly_descends_changes_nothing(faces):
    rest, *_ = faces
    np.testing.assert_array_equal(mouths.narrowed(rest, rest), rest)
    for shift in (-9.0, 0.02 * lm.eye_distance(rest)):
        moved = rest + np.array((0.0, shift, 0.0))
        np.testing.assert_array_equal(mouths.narrowed(rest, moved), moved)


def test_mouth_and_jaw_become_narrower_by_a_share_of_the_descent(faces):
    rest, *_ = faces
    unit = lm.eye_distance(rest)
    after = rest.copy()
    after[6:11, 1] += 0.2 * unit
    after[48:60, 1] += 0.1 * unit
    found = mouths.narrowed(rest, after)
    across = (rest[45, :2] - rest[36, :2]) / unit
    # The head is turned a little, so the chin descends by less than 0.2 in its frame.
    drop = 0.2 * across[0] - 0.03
    assert width(after) - width(found) == pytest.approx(0.5 * drop, abs=1e-3)
    inwards = (found - after)[:, :2] @ across / unit
    assert inwards[4] == pytest.approx(0.24 * drop, abs=1e-3) and inwards[12] == pytest.approx(-inwards[4], abs=1e-6)
    others = np.setdiff1d(np.arange(68), [*range(2, 7), *range(10, 15), *range(48, 68)])
    np.testing.assert_array_equal(found[others], after[others])
    np.testing.assert_array_equal(found[:, 2], after[:, 2])  # the depth of a 3-D landmark


def test_surprise_narrows_a_mouth_and_a_smile_still_widens_it(faces):
    rest, surprised, pleased = faces
    assert width(mouths.narrowed(rest, surprised)) < min(width(rest), width(surprised)) - 0.03
    assert width(mouths.narrowed(rest, pleased)) > width(rest) + 0.05


def opened(rest, corners, height=0.1):
    """Return landmarks whose upper lip is raised by a height and whose corners are lowered, in eye distances."""
    after, unit = rest.copy(), lm.eye_distance(rest)
    after[[65, 66, 67], 1] = after[[63, 62, 61], 1]  # the lips touch
    after[[49, 50, 51, 52, 53, 61, 62, 63], 1] -= height * unit
    after[[48, 54, 60, 64], 1] = after[66, 1] + corners * unit
    return after


def share(points):
    """Return how high the corners are between the lower lip (0) and the upper lip (1)."""
    corners = points[[60, 64], 1].mean()
    return (points[66, 1] - corners) / (points[66, 1] - points[62, 1])


def test_corners_of_an_opened_mouth_are_between_its_lips(faces):
    rest, *_ = faces
    rest = rest.copy()
    rest[48:68, 1] += (rest[36, 1] - rest[45, 1]) / (rest[45, 0] - rest[36, 0]) * (rest[48:68, 0] - rest[57, 0])
    rest[45, 1] = rest[36, 1]  # upright, so that heights are y
    for low in (0.06, -0.02):
        after = opened(rest, low)
        found = mouths.lifted(rest, after)
        assert share(after) < 0.3
        assert share(found) == pytest.approx(0.3, abs=1e-3)
        # Both lips bend alike: the mouth is as open as before, also beside its middle.
        before, now = (points[[65, 66, 67], 1] - points[[63, 62, 61], 1] for points in (after, found))
        np.testing.assert_allclose(now, before, rtol=0.03)
        np.testing.assert_array_equal(np.delete(found, np.s_[48:68], axis=0), np.delete(after, np.s_[48:68], axis=0))
        np.testing.assert_array_equal(found[:, 2], after[:, 2])


def test_closed_mouths_and_corners_that_are_high_enough_stay(faces):
    rest, *_ = faces
    for after in (opened(rest, 0.1, height=0.0), opened(rest, -0.05)):
        np.testing.assert_array_equal(mouths.lifted(rest, after), after)
    half = mouths.lifted(rest, opened(rest, 0.1, height=0.0375))  # half way from closed to opened
    assert -3.0 < share(half) < 0.0


def along_lips(points):
    """Return the direction from the middle of the upper lip to that of the lower lip."""
    apart = (points[66] - points[62])[:2]
    return apart / np.linalg.norm(apart)


def wide(rest, height):
    """Return landmarks with a mouth opened as in photographs: lower lip, corners and chin fall."""
    after, unit, down = rest.copy(), lm.eye_distance(rest), along_lips(rest)
    shares = {66: 1.0, 65: 0.7, 67: 0.7, 55: 0.8, 56: 0.95, 57: 1.0, 58: 0.95, 59: 0.8} | dict.fromkeys(
        (48, 54, 60, 64), 0.45
    )
    for point, fall in (shares | {7: 0.8, 8: 0.8, 9: 0.8}).items():
        after[point, :2] += fall * height * unit * down
    return after


def opening(points):
    """Return how far the lips are apart in their middle, in eye distances."""
    return float(np.linalg.norm((points[66] - points[62])[:2]) / lm.eye_distance(points))


def test_a_wide_open_mouth_is_nearly_closed_as_people_close_it(faces):
    rest, *_ = faces
    scream = wide(rest, 0.4 - opening(rest))
    assert opening(scream) == pytest.approx(0.4, abs=1e-4)
    found = mouths.nearly_closed(scream)
    unit, down = lm.eye_distance(rest), along_lips(rest)
    assert opening(found) == pytest.approx(0.08, abs=1e-4)
    rises = (scream - found)[:, :2] @ down / unit / 0.32
    expected = {66: 1.0, 57: 1.0, 56: 0.95, 67: 0.7, 48: 0.45, 64: 0.45, 49: 0.1, 8: 0.6, 4: 0.22, 62: 0.0, 36: 0.0}
    np.testing.assert_allclose([rises[point] for point in expected], list(expected.values()), atol=1e-3)
    np.testing.assert_allclose(rises, rises[lm.FLIP_ORDER], atol=1e-6)
    np.testing.assert_array_equal(found[:, 2], scream[:, 2])  # the depth of a 3-D landmark
    for closed in (rest, wide(rest, 0.07 - opening(rest))):
        np.testing.assert_array_equal(mouths.nearly_closed(closed), closed)


def test_the_converter_gets_mouths_that_it_knows_and_its_result_moves_as_people_do(faces):
    rest, surprised, _ = faces
    scream, emotions = np.stack([rest, wide(rest, 0.4)]), np.zeros((2, 2), np.float32)
    seen = []

    def convert(points, asked):
        seen.append((points, asked))
        return points + surprised - rest

    found = mouths.converted(scream, emotions, convert)
    ((points, asked),) = seen
    np.testing.assert_array_equal(points, mouths.nearly_closed(scream))
    assert asked is emotions
    np.testing.assert_array_equal(found, mouths.as_people_move(scream, points + surprised - rest))


@pytest.mark.parametrize("height", [0.25, 0.4])
def test_the_packaged_weights_close_a_wide_open_mouth(height):
    """Without `nearly_closed` they leave lips apart by .07 at .25 and by .14 at .4: a gap, or a black triangle."""
    editor, person = load("faces64"), procedural.sample_face(5, 3, 0, False)
    rest = procedural.render(person, 0.0, 0.0, editor.resolution)
    scream = wide(rest.landmarks, height).astype(np.float32)[None]
    neutral = np.zeros((1, 2), np.float32)
    found = mouths.converted(scream, neutral, editor.models.convert_landmarks)[0]
    assert opening(found) < 0.045
    assert opening(np.asarray(editor.models.convert_landmarks(scream, neutral))[0]) > opening(found) + 0.02


def test_batches_equal_single_faces_and_turns_do_not_matter(faces):
    rest, surprised, _ = faces
    turn = np.eye(3)
    turn[:2, :2] = [[0.8, 0.6], [-0.6, 0.8]]
    single = mouths.as_people_move(rest, surprised)
    both = mouths.as_people_move(np.stack([rest, rest @ turn]), np.stack([surprised, surprised @ turn]))
    np.testing.assert_allclose(both, np.stack([single, single @ turn]), atol=1e-4)

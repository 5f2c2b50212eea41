"""Regions of a picture: by hand for landmarks on a grid, and on drawn faces."""

import numpy as np
import oracle
import pytest

from avlgan_jax.evaluation import ground_truth
from avlgan_jax.faces import region_labels

SIDE = 40
MOUTH, EYES, SKIN, BACKGROUND = range(4)


def landmarks(mouth=(16.0, 26.0, 24.0, 30.0)):
    """Return landmarks whose eyes are 10 pixels apart. `mouth` is the left, top, right and bottom of the lips."""
    points = np.full((1, 68, 2), (20.0, 22.0))
    points[0, 36:42], points[0, 42:48] = (15.0, 15.0), (25.0, 15.0)
    points[0, 17:22], points[0, 22:27] = (15.0, 12.0), (25.0, 12.0)
    points[0, 33] = (20.0, 20.0)
    left, top, right, bottom = mouth
    points[0, 48:60] = np.resize([(left, top), (right, top), (right, bottom), (left, bottom)], (12, 2))
    return points


def rectangle(mask):
    """Return the first and last row and the first and last column of a mask that is a full rectangle."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert mask.sum() == len(rows) * len(columns)
    return rows[0], rows[-1], columns[0], columns[-1]


def test_the_mouth_is_the_hull_of_the_outer_lips_enlarged_by_a_tenth_of_the_eye_distance():
    labels = region_labels.label_pixels(landmarks(), landmarks(), SIDE)[0]
    # The margin is 1 px: centres from 15 to 25 and from 25 to 31. Those in the corners are 0.71 px from the lips.
    assert rectangle(labels == MOUTH) == (25, 30, 15, 24)


def test_the_hull_holds_the_landmarks_before_and_after():
    moved = landmarks(mouth=(17.0, 26.0, 23.0, 34.0))
    labels = region_labels.label_pixels(landmarks(), moved, SIDE)[0]
    assert np.all(labels[25:31, 15:25] == MOUTH)
    assert np.all(labels[31:35, 16:24] == MOUTH)
    assert labels[34, 15] != MOUTH  # outside the hull of both


def test_an_eye_has_its_brow_and_the_skin_has_the_rest_of_the_face():
    labels = region_labels.label_pixels(landmarks(), landmarks(), SIDE)[0]
    assert rectangle((labels == EYES)[:, :20]) == (11, 15, 14, 15)  # 1 px around the line from (15, 12) to (15, 15)
    assert rectangle((labels == EYES)[:, 20:]) == (11, 15, 4, 5)
    assert labels[13, 20] == labels[21, 20] == SKIN  # between the eyes, and the nose
    # The nose ends 8 px below the brows, so the forehead ends 8 px above them, plus the face's margin of 2 px.
    assert labels[2, 20] == SKIN and labels[1, 20] == BACKGROUND
    assert labels[31, 20] == SKIN and labels[32, 20] == BACKGROUND  # 2 px below the lips
    assert labels[0, 0] == labels[-1, -1] == BACKGROUND


def test_where_regions_overlap_the_mouth_comes_first():
    labels = region_labels.label_pixels(landmarks(mouth=(10.0, 10.0, 30.0, 30.0)), landmarks(), SIDE)[0]
    assert not (labels == EYES).any()


def test_depth_does_not_count():
    deep = np.concatenate([landmarks(), np.full((1, 68, 1), 7.0)], axis=-1)
    np.testing.assert_array_equal(
        region_labels.label_pixels(deep, landmarks(), SIDE), region_labels.label_pixels(landmarks(), landmarks(), SIDE)
    )


def test_each_picture_has_its_own_landmarks():
    other = landmarks() + 3.0
    both = np.concatenate([landmarks(), other])
    labels = region_labels.label_pixels(both, both, SIDE)
    np.testing.assert_array_equal(labels[1], region_labels.label_pixels(other, other, SIDE)[0])
    np.testing.assert_array_equal(labels[1, 3:, 3:], labels[0, :-3, :-3])


def test_sums_by_region_by_hand():
    labels = np.array([[[0, 0], [1, 3]], [[2, 2], [2, 2]]], np.uint8)
    values = np.array([[[1.0, 2.0], [4.0, 8.0]], [[1.0, 1.0], [1.0, 0.5]]])
    assert region_labels.sum_by_region(values, labels).tolist() == [[3.0, 4.0, 0.0, 8.0], [0.0, 0.0, 3.5, 0.0]]


@pytest.fixture(scope="module")
def pairs():
    """Return drawn faces, and the ground truth (images, landmarks) of each at another emotion."""
    faces = oracle.draw_faces(16, seed=3)
    keys, others = ground_truth.face_keys(faces), np.roll(faces.emotions, 5, axis=0)
    images, points = zip(*oracle.render_all(keys, others), strict=True)
    return faces, np.stack(images), np.stack(points)


def test_the_background_of_a_drawn_face_does_not_depend_on_its_emotion(pairs):
    faces, images, points = pairs
    labels = region_labels.label_pixels(faces.landmarks, points, oracle.RESOLUTION)
    changed = (faces.images != images).any(axis=-1)
    assert changed.any(axis=(1, 2)).all()
    assert not (changed & (labels == BACKGROUND)).any()


def test_most_of_the_change_of_a_drawn_face_is_in_mouth_and_eyes(pairs):
    faces, images, points = pairs
    labels = region_labels.label_pixels(faces.landmarks, points, oracle.RESOLUTION)
    change = np.square(faces.images.astype(float) - images).sum(axis=-1)
    shares = region_labels.sum_by_region(change, labels).sum(axis=0) / change.sum()
    pixels = region_labels.sum_by_region(np.ones(change.shape), labels).sum(axis=0) / change.size
    assert shares[MOUTH] + shares[EYES] > 0.6 and pixels[MOUTH] + pixels[EYES] < 0.25

import numpy as np
import pytest

from avlgan_jax.faces import landmarks, procedural
from avlgan_jax.faces.detectors import Candidate
from avlgan_jax.faces.tracking import OneEuro, Tracker

SHAPE = procedural.render(procedural.sample_face(1, 1, 0, False), 0.3, 0.1, 64).landmarks


class Marks:
    """A detector that finds a face of the size of SHAPE at every pixel of a colour, which has its top left corner."""

    def __init__(self):
        self.searched = []

    def detect(self, images):
        self.searched += [image.shape for image in images]
        return [[self._at(x, y) for y, x in np.argwhere(image[..., 0] == 255)] for image in images]

    def _at(self, x, y) -> Candidate:
        points = SHAPE - SHAPE.min(axis=0) + np.float32([x, y])
        return Candidate(points, np.concatenate([points.min(axis=0), points.max(axis=0)]), 1.0)


def _frame(*places: tuple[int, int]) -> np.ndarray:
    frame = np.zeros((300, 500, 3), np.uint8)
    for x, y in places:
        frame[y, x, 0] = 255
    return frame


def test_the_filter_damps_jitter_at_rest_and_follows_motion():
    generator = np.random.default_rng(0)
    times = np.arange(90) / 30
    noisy, moving = OneEuro(1.0, 20.0), OneEuro(1.0, 20.0)
    rest = np.array([noisy(generator.normal(0.0, 0.004, 50), t) for t in times])[30:]
    assert rest.std() < 0.5 * 0.004
    way = np.array([moving(np.array([2.0 * t]), t)[0] for t in times])
    assert np.abs(way - 2.0 * times)[30:].max() < 0.02


def test_a_value_that_stays_is_not_changed():
    smoothing = OneEuro(1.0, 20.0)
    for k in range(5):
        np.testing.assert_array_equal(smoothing(np.array([3.0, 4.0]), k / 10), [3.0, 4.0])


def test_only_the_part_around_the_last_face_is_searched():
    detector = Marks()
    tracker = Tracker(detector)
    for k in range(4):
        points = tracker.follow(_frame((100 + 2 * k, 80)), k / 30)
        assert points[:, 0].min() == pytest.approx(100 + 2 * k, abs=2)
    assert detector.searched[0] == (300, 500, 3)
    assert all(shape[0] < 200 and shape[1] < 200 for shape in detector.searched[1:])


def test_the_tracked_face_stays_the_same_among_several():
    tracker = Tracker(Marks(), number=1)
    for k in range(10):
        points = tracker.follow(_frame((20 + 8 * k, 50), (300 - 8 * k, 200)), k / 30)
    assert points[:, 1].min() == pytest.approx(200, abs=1)
    assert Tracker(Marks(), number=2).follow(_frame((20, 50)), 0.0) is None


def test_a_face_that_is_away_for_a_while_is_found_again_without_a_trace_of_its_old_place():
    tracker = Tracker(Marks())
    assert tracker.follow(_frame((20, 50)), 0.0) is not None
    assert tracker.follow(_frame(), 0.1) is None
    points = tracker.follow(_frame((400, 200)), 1.0)
    np.testing.assert_allclose(points.min(axis=0), [400, 200], atol=1e-3)
    assert points.dtype == np.float32 and points.shape == (landmarks.COUNT, 2)

"""Landmarks of one face through a film: found near the last place, and smoothed over time.

tracker = Tracker(detector)
for frame, seconds in ...:
    points = tracker.follow(frame, seconds)  # None where the face is not seen
"""

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.detectors import Candidate, Detector, intersection_over_union, is_complete

# The part of a frame that is searched around the last face, in multiples of the extent of its landmarks on each side.
_AROUND = 0.6
# The filter's parameters for landmarks over the outer eye distance: at rest frequencies above CUTOFF hertz are damped;
# each eye distance per second of speed adds SLOPE hertz.
CUTOFF, SLOPE = 1.0, 20.0
_SPEED_CUTOFF = 1.0
# Seconds without the face after which it counts as new: its smoothing begins anew.
_FORGET = 0.25


class OneEuro:
    """The One Euro filter (Casiez, Roussel and Vogel, CHI 2012): it damps jitter at rest, and lags little in motion.

    Args:
        cutoff: Frequency in hertz above which a value at rest is damped.
        slope: Hertz that each unit of speed (of the values, per second) adds to it.
    """

    def __init__(self, cutoff: float, slope: float):
        self._cutoff, self._slope = cutoff, slope
        self._last = None

    def __call__(self, values: Float[np.ndarray, "*n"], seconds: float) -> Float[np.ndarray, "*n"]:
        """Return the filtered values.

        Args:
            values: An array, of the same shape at each call.
            seconds: The time of the values, later than that of the last call.
        """
        if self._last is None:
            self._last = (values, np.zeros_like(values), seconds)
            return values
        smooth, speed, before = self._last
        step = max(seconds - before, 1e-6)
        speed = speed + _share(_SPEED_CUTOFF, step) * ((values - smooth) / step - speed)
        smooth = smooth + _share(self._cutoff + self._slope * np.abs(speed), step) * (values - smooth)
        self._last = (smooth, speed, seconds)
        return smooth


def _share(cutoff, step: float):
    """Return the weight of a new value in a low-pass filter of this cutoff in hertz, for a step in seconds."""
    rate = 2.0 * np.pi * cutoff * step
    return rate / (rate + 1.0)


class Tracker:
    """The landmarks of one face through a film.

    Args:
        detector: Landmark detector.
        number: Which face of the first frame that has any, counted from 0 at the left; None for the largest.

    Attributes:
        found: The last face that was seen, not smoothed, or None.
    """

    def __init__(self, detector: Detector, number: int | None = None):
        self._detector, self._number = detector, number
        self.found, self._seen, self._filter = None, -np.inf, None

    def follow(self, frame: UInt8[np.ndarray, "h w 3"], seconds: float) -> Float[np.ndarray, "68 2"] | None:
        """Return the smoothed landmarks in pixels of the frame, or None if the face is not seen.

        Args:
            frame: The next frame.
            seconds: Its time, later than that of the last frame.
        """
        found = self._near(frame) if self.found is not None else None
        if found is None:
            found = self._anywhere(frame)
        if found is None:
            return None
        if seconds - self._seen > _FORGET:
            self._filter = OneEuro(CUTOFF, SLOPE)
            self._scale = float(lm.eye_distance(found.landmarks))
        self.found, self._seen = found, seconds
        return (self._filter(found.landmarks / self._scale, seconds) * self._scale).astype(np.float32)

    def _near(self, frame: np.ndarray) -> Candidate | None:
        """Return the face in the part of the frame around the last one."""
        low, high = self.found.landmarks.min(axis=0), self.found.landmarks.max(axis=0)
        reach = _AROUND * float((high - low).max())
        left, top = np.floor(np.maximum(low - reach, 0.0)).astype(int)
        right, bottom = np.ceil(high + reach).astype(int)
        part = frame[top:bottom, left:right]
        if min(part.shape[:2]) < 2:
            return None
        (candidates,) = self._detector.detect([part])
        corner = np.array([left, top], np.float32)
        moved = [
            Candidate(one.landmarks + corner, one.box + np.tile(corner, 2), one.score)
            for one in candidates
            if is_complete(one.landmarks)
        ]
        return self._same(moved)

    def _anywhere(self, frame: np.ndarray) -> Candidate | None:
        """Return the face in the complete frame: the last one again, or the chosen one where there was none."""
        (candidates,) = self._detector.detect([frame])
        complete = sorted((one for one in candidates if is_complete(one.landmarks)), key=lambda one: one.box[0])
        if not complete:
            return None
        if self.found is not None:
            # After a cut or a turned head, the face is elsewhere: the nearest one counts.
            last = self.found.landmarks.mean(axis=0)
            return min(complete, key=lambda one: float(np.linalg.norm(one.landmarks.mean(axis=0) - last)))
        if self._number is not None:
            return complete[self._number] if self._number < len(complete) else None
        return max(complete, key=lambda one: float(np.ptp(one.landmarks, axis=0).max()))

    def _same(self, candidates: list[Candidate]) -> Candidate | None:
        """Return the candidate that overlaps the last face best, if any does."""
        overlaps = [intersection_over_union(one.box, self.found.box) for one in candidates]
        return candidates[int(np.argmax(overlaps))] if overlaps and max(overlaps) > 0.0 else None

"""Mouths of photographs move as people's mouths do where drawn ones move otherwise.

The landmark converter has learned from drawn faces. They open their mouths half as wide as people who scream or yawn,
and what is wider stays open at any target emotion. Their mouths hardly become narrower when the jaw drops,
which looks like a laugh where surprise was asked; and their corners may be lower than the lower lip of an opened mouth,
which in disgust makes a tent of it. `docs/experiments.md` has what photographs show.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.landmarks import in_plane

# A chin that descends by less, in distances of the outer eye corners, belongs to a smile or to lips that part.
_PARTED = 0.03
# How much narrower a mouth becomes, over the rest of the chin's descent.
_MOUTH = 0.5
# How far each side of the jaw moves inwards, over that rest: the most, and the share of it by landmark.
_JAW = 0.24
_SHARES = {2: 0.3, 3: 0.7, 4: 1.0, 5: 0.6, 6: 0.2}
# The corners of an opened mouth are at least this share of the opening above its lower lip: completely from the second
# of these openings, and not below the first, where the lips are closed.
_LOWEST_CORNER, _OPENED = 0.3, (0.015, 0.06)
# The converter gets mouths that are open by at most this height.
_WIDEST = 0.08
# How far landmarks rise as a mouth closes, over the height that it loses, on both sides of the face. The lips have the
# slopes of the mean landmarks of photographs over the opening: the inner edge of a lower lip is pointed when the mouth
# is wide open. The chin rises by less than in photographs, .8 to .9, where a crease would remain below it.
_LIPS_RISE = {66: 1.0, 65: 0.7, 57: 1.0, 56: 0.95, 55: 0.8, 54: 0.45, 64: 0.45, 53: 0.1}
_JAW_RISES = {8: 0.6, 9: 0.58, 10: 0.52, 11: 0.38, 12: 0.22, 13: 0.1}
_CHIN, _CORNERS, _LIPS = 8, (48, 54), slice(48, 68)
_INNER_CORNERS, _UPPER, _LOWER = [60, 64], 62, 66

Points = Float[np.ndarray, "*batch 68 d"]


def converted(
    before: Points, emotions: Float[np.ndarray, "*batch 2"], convert: Callable[[Points, np.ndarray], Points]
) -> Points:
    """Return the landmarks of photographs at other emotions, with mouths that people could make.

    Args:
        before: Landmarks of the photographs, in any unit.
        emotions: Valence and arousal of each.
        convert: The landmark converter, (landmarks, emotions) -> landmarks.
    """
    return as_people_move(before, convert(nearly_closed(before), emotions))


def nearly_closed(landmarks: Points) -> Points:
    """Return landmarks with mouths as wide open as the landmark converter knows them; others stay to the bit."""
    points, near = in_plane(landmarks), landmarks.copy()
    opening = points[..., _LOWER, :] - points[..., _UPPER, :]
    height = np.linalg.norm(opening, axis=-1)
    lost = np.maximum(1.0 - _WIDEST * lm.eye_distance(landmarks) / np.maximum(height, 1e-6), 0.0)[..., None] * opening
    for landmark, rise in (_LIPS_RISE | _JAW_RISES).items():
        for point in {landmark, int(lm.FLIP_ORDER[landmark])}:
            near[..., point, :2] -= rise * lost
    return near


def as_people_move(before: Points, after: Points) -> Points:
    """Return the landmarks after an edit of a photograph, with a mouth that people could make (`narrowed`, `lifted`).

    Args:
        before: Landmarks of the photograph, in any unit.
        after: Landmarks of the edit, in the same unit.
    """
    return lifted(before, narrowed(before, after))


def narrowed(before: Points, after: Points) -> Points:
    """Return the landmarks after an edit, with mouth and jaw narrower by a share of the chin's descent.

    A laugh that widens the mouth still does so, by less the more the jaw drops. Faces whose chin hardly descends stay
    as they are to the bit.
    """
    moved, narrow = in_plane(after), after.copy()
    unit, axes = lm.eye_distance(before), lm.eye_axes(before)
    across, down = axes[..., 0, :], axes[..., 1, :]
    descent = _dot(moved[..., _CHIN, :] - in_plane(before)[..., _CHIN, :], down)
    drop = np.maximum(descent - _PARTED * unit, 0.0)
    ends = moved[..., _CORNERS, :]
    middle, width = ends.mean(axis=-2), np.linalg.norm(ends[..., 1, :] - ends[..., 0, :], axis=-1)
    inwards = np.zeros(after.shape[:-1], after.dtype)
    share = np.minimum(_MOUTH * drop / np.maximum(width, 1e-6), 0.5)
    inwards[..., _LIPS] = -share[..., None] * _dot(moved[..., _LIPS, :] - middle[..., None, :], across[..., None, :])
    for landmark, part in _SHARES.items():
        inwards[..., landmark] = _JAW * part * drop
        inwards[..., lm.FLIP_ORDER[landmark]] = -_JAW * part * drop
    narrow[..., :2] += inwards[..., None] * across[..., None, :]
    return narrow


def lifted(before: Points, after: Points) -> Points:
    """Return the landmarks after an edit, with corners of an opened mouth between its lips, where people have them.

    Both lips are bent up to the corners by the same amount, so that the opening keeps its height. Closed mouths, whose
    corners may be as low as a frown asks, stay as they are to the bit, and so do mouths whose corners are high enough.
    """
    moved, high = in_plane(after), after.copy()
    unit, axes = np.maximum(lm.eye_distance(before), 1e-6), lm.eye_axes(before)
    across, down = axes[..., 0, :], axes[..., 1, :]
    opening = _dot(moved[..., _LOWER, :] - moved[..., _UPPER, :], down)
    parted = ((opening / unit - _OPENED[0]) / (_OPENED[1] - _OPENED[0])).clip(0.0, 1.0)
    corners = moved[..., _INNER_CORNERS, :]
    low = _dot(corners.mean(axis=-2) - moved[..., _LOWER, :], down) + _LOWEST_CORNER * opening
    lift = parted * np.maximum(low, 0.0)
    middle, half = corners.mean(axis=-2), np.linalg.norm(corners[..., 1, :] - corners[..., 0, :], axis=-1) / 2.0
    along = _dot(moved[..., _LIPS, :] - middle[..., None, :], across[..., None, :])
    bend = np.minimum((along / np.maximum(half, 1e-6)[..., None]) ** 2, 1.0)
    high[..., _LIPS, :2] -= (lift[..., None] * bend)[..., None] * down[..., None, :]
    return high


def _dot(a: Float[np.ndarray, "*batch 2"], b: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch"]:
    """Return the products of vectors."""
    return (a * b).sum(axis=-1)

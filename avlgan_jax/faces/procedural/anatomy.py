"""The 3-D positions of a person's 68 landmarks and other control points with the face at rest.

Units and axes are those of the module `identity`. The tables list the half of the face on the picture's left (the
person's right); the other half is its mirror image. Proportions follow facial anthropometry (Farkas 1994): where the
cheekbones are 2 apart, the eyes are 0.92 apart. The mouth lies at two thirds of the lower face. An infant's face is as
wide as it is high, its features lie low and close together, and its eyes are as large as an adult's.
"""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces import landmarks
from avlgan_jax.faces.procedural.identity import Identity

# Landmarks 0-8 (jaw), 17-21 (brow), 27-33 (nose), 36-41 (eye), 48-51, 57-62, 66, 67 (mouth): (x, y, z).
_ADULT = {
    0: (-1.00, -0.04, -0.22), 1: (-0.985, 0.25, -0.20), 2: (-0.95, 0.53, -0.15), 3: (-0.885, 0.80, -0.07),
    4: (-0.775, 1.05, 0.02), 5: (-0.615, 1.27, 0.11), 6: (-0.42, 1.445, 0.20), 7: (-0.21, 1.56, 0.27),
    8: (0.0, 1.60, 0.30),
    17: (-0.80, -0.205, 0.26), 18: (-0.68, -0.30, 0.40), 19: (-0.52, -0.34, 0.51), 20: (-0.355, -0.32, 0.57),
    21: (-0.19, -0.265, 0.61),
    27: (0.0, -0.03, 0.60), 28: (0.0, 0.17, 0.69), 29: (0.0, 0.36, 0.79), 30: (0.0, 0.53, 0.89),
    31: (-0.215, 0.625, 0.60), 32: (-0.115, 0.665, 0.67), 33: (0.0, 0.69, 0.72),
    36: (-0.655, 0.01, 0.33), 37: (-0.54, -0.078, 0.43), 38: (-0.385, -0.078, 0.45), 39: (-0.255, 0.03, 0.42),
    40: (-0.38, 0.075, 0.43), 41: (-0.53, 0.08, 0.41),
    48: (-0.375, 1.005, 0.48), 49: (-0.25, 0.935, 0.58), 50: (-0.085, 0.89, 0.65), 51: (0.0, 0.91, 0.66),
    57: (0.0, 1.165, 0.62), 58: (-0.125, 1.145, 0.61), 59: (-0.26, 1.085, 0.56),
    60: (-0.345, 1.005, 0.49), 61: (-0.13, 1.0, 0.61), 62: (0.0, 1.01, 0.63), 66: (0.0, 1.01, 0.63),
    67: (-0.13, 1.0, 0.61),
}  # fmt: skip
_INFANT = {
    0: (-0.985, 0.02, -0.22), 1: (-1.0, 0.24, -0.18), 2: (-0.985, 0.45, -0.12), 3: (-0.935, 0.65, -0.04),
    4: (-0.84, 0.83, 0.04), 5: (-0.70, 0.98, 0.12), 6: (-0.50, 1.095, 0.20), 7: (-0.255, 1.165, 0.26),
    8: (0.0, 1.19, 0.29),
    17: (-0.79, -0.25, 0.30), 18: (-0.67, -0.325, 0.43), 19: (-0.525, -0.355, 0.52), 20: (-0.38, -0.34, 0.57),
    21: (-0.235, -0.29, 0.60),
    27: (0.0, 0.0, 0.58), 28: (0.0, 0.14, 0.62), 29: (0.0, 0.27, 0.69), 30: (0.0, 0.39, 0.77),
    31: (-0.175, 0.455, 0.58), 32: (-0.095, 0.485, 0.63), 33: (0.0, 0.50, 0.66),
    36: (-0.665, 0.025, 0.36), 37: (-0.55, -0.095, 0.45), 38: (-0.385, -0.095, 0.47), 39: (-0.255, 0.045, 0.43),
    40: (-0.38, 0.105, 0.44), 41: (-0.54, 0.11, 0.42),
    48: (-0.275, 0.745, 0.52), 49: (-0.175, 0.685, 0.59), 50: (-0.065, 0.645, 0.64), 51: (0.0, 0.665, 0.65),
    57: (0.0, 0.86, 0.61), 58: (-0.10, 0.845, 0.60), 59: (-0.195, 0.805, 0.57),
    60: (-0.25, 0.745, 0.52), 61: (-0.095, 0.745, 0.60), 62: (0.0, 0.757, 0.61), 66: (0.0, 0.757, 0.61),
    67: (-0.095, 0.745, 0.60),
}  # fmt: skip
# (x, y) of the head's outline above the ears, and of the hairline, from the picture's left up to the middle.
# The key is `Identity.infant`.
_SKULL = {
    False: np.array([(-1.01, -0.35), (-1.0, -0.68), (-0.92, -1.02), (-0.74, -1.31), (-0.42, -1.51), (0.0, -1.58)]),
    True: np.array([(-1.03, -0.30), (-1.06, -0.62), (-1.0, -0.96), (-0.82, -1.25), (-0.47, -1.45), (0.0, -1.52)]),
}
_HAIRLINE = {
    False: np.array([(-0.99, -0.28), (-0.90, -0.62), (-0.76, -0.88), (-0.42, -1.02), (0.0, -1.06)]),
    True: np.array([(-1.0, -0.45), (-0.95, -0.80), (-0.78, -1.02), (-0.42, -1.13), (0.0, -1.16)]),
}


class Anatomy(NamedTuple):
    """Control points of a head at rest, in face units."""

    landmarks: Float[np.ndarray, "68 3"]
    skull: Float[np.ndarray, "11 3"]  # from the picture's left temple over the crown to the right temple
    hairline: Float[np.ndarray, "9 3"]
    ears: Float[np.ndarray, "2 3"]  # centres of the ears
    mouth: Float[np.ndarray, "3"]  # middle of the closed mouth; the teeth are placed relative to it
    height: float  # from hairline to chin


def _table(half: dict[int, tuple[float, float, float]]) -> np.ndarray:
    """Return all 68 landmarks from the table of one half."""
    points = np.zeros((landmarks.COUNT, 3))
    for index, point in half.items():
        points[index] = point
        points[landmarks.FLIP_ORDER[index]] = np.array(point) * (-1.0, 1.0, 1.0)
    return points


_REST = {False: _table(_ADULT), True: _table(_INFANT)}


def mirrored(half: Float[np.ndarray, "n 2"], depth: float) -> Float[np.ndarray, "m 3"]:
    """Return a symmetric 3-D curve at z = `depth`.

    Args:
        half: (x, y) of the left half; the last point lies in the middle (x = 0) and is not repeated.
        depth: z of every point.
    """
    curve = np.concatenate([half, half[-2::-1] * (-1.0, 1.0)])
    return np.concatenate([curve, np.full((len(curve), 1), depth)], axis=1)


def _scale_about_centre(points: np.ndarray, rows: slice | list[int], scale: tuple[float, float]) -> None:
    """Scale the `rows` of `points` in place about their centre, by `scale` in x and y."""
    part = points[rows]
    centre = part.mean(axis=0)
    points[rows] = centre + (part - centre) * (*scale, 1.0)


@functools.lru_cache(maxsize=4)  # data sets draw the photographs of a person one after the other
def rest(identity: Identity) -> Anatomy:
    """Return the person's control points at rest.

    The resting face is not exactly neutral: the identity offsets its mouth corners, brows and lids.
    """
    points = _REST[identity.infant].copy()
    lip_line = points[62].copy()

    # Jaw: the width changes from the cheekbones' to the jaw's, and the chin is lengthened or shortened.
    toward_chin = 1.0 - np.abs(np.arange(17) - 8) / 8.0
    middle = np.clip(2.2 * toward_chin, 0.0, 1.0)
    points[0:17, 0] *= identity.width * (
        1.0 + (identity.jaw_width - 1.0) * middle + 0.03 * (identity.cheek - 0.5) * middle
    )
    points[0:17, 1] += (identity.chin - 1.0) * 0.35 * np.clip(toward_chin * 2.0 - 0.6, 0.0, 1.0)

    # Eyes and brows.
    sides = ((slice(36, 42), slice(17, 22), -1.0), (slice(42, 48), slice(22, 27), 1.0))
    for eye, brow, side in sides:
        _scale_about_centre(points, eye, (identity.eye_size, identity.eye_size))
        points[eye, 0] += side * identity.eye_spacing
        lean = (points[eye, 0] * side - 0.46) / 0.2
        points[eye, 1] -= identity.eye_tilt * lean
        points[brow, 0] += side * 0.5 * identity.eye_spacing
        across = (points[brow, 0] * side - 0.5) / 0.3
        points[brow, 1] += -identity.brow_tilt * across - identity.brow_arch * (1.0 - across**2)
        points[brow, 1] -= identity.rest_brow + side * identity.asymmetry
    points[[37, 38, 43, 44], 1] -= identity.rest_lid

    # Nose.
    bridge = points[27, 1]
    points[27:36, 1] = bridge + (points[27:36, 1] - bridge) * identity.nose_length
    points[31:36, 0] *= identity.nose_width
    points[28:31, 2] = 0.58 + (points[28:31, 2] - 0.58) * identity.nose_depth

    # Mouth: its width, the fullness of each lip about the mouth line, the height of the corners at rest.
    points[48:68, 0] *= identity.mouth_width
    points[49:54, 1] = lip_line[1] + (points[49:54, 1] - lip_line[1]) * identity.upper_lip
    points[55:60, 1] = lip_line[1] + (points[55:60, 1] - lip_line[1]) * identity.lower_lip
    corner_weight = np.clip(np.abs(points[48:68, 0]) / abs(points[48, 0]), 0.0, 1.0) ** 2
    points[48:68, 1] -= identity.rest_corner * corner_weight + identity.asymmetry * points[48:68, 0]

    skull, hairline = mirrored(_SKULL[identity.infant], -0.25), mirrored(_HAIRLINE[identity.infant], 0.12)
    hairline[:, 1] -= identity.hairline
    hairline[:, 2] += 0.25 * (1.0 - np.abs(hairline[:, 0]))
    skull[:, 0] *= identity.width
    hairline[:, 0] *= identity.width
    ear_y = 0.30 if not identity.infant else 0.22
    ears = np.array([(-1.02 * identity.width, ear_y, -0.42), (1.02 * identity.width, ear_y, -0.42)])
    everything = (points, skull, hairline, ears)
    for part in everything:
        part[:, 1] *= identity.length
        part.setflags(write=False)
    lip_line[1] *= identity.length
    return Anatomy(points, skull, hairline, ears, lip_line, float(points[8, 1] - hairline[4, 1]))

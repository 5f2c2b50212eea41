"""Action units as displacements of the landmarks, in the directions in which the muscles of FACS pull the skin."""

import numpy as np
from jaxtyping import Float

from avlgan_jax.faces import landmarks
from avlgan_jax.faces.procedural.anatomy import Anatomy
from avlgan_jax.faces.procedural.identity import Identity

# For each AU: {landmark: (dx, dy, dz)} at intensity 1, in face units of an adult. Only the half of the face on the
# picture's left is listed; the other half is its mirror image.
_DISPLACEMENTS = {
    "AU1": {21: (0.01, -0.17, 0), 20: (0, -0.13, 0), 19: (0, -0.06, 0)},
    "AU2": {17: (0, -0.08, 0), 18: (0, -0.15, 0), 19: (0, -0.14, 0), 20: (0, -0.07, 0)},
    "AU4": {
        21: (0.055, 0.13, 0), 20: (0.05, 0.125, 0), 19: (0.04, 0.115, 0), 18: (0.03, 0.09, 0), 17: (0.015, 0.06, 0),
    },
    "AU6": {2: (-0.012, 0, 0), 3: (-0.015, 0, 0), 17: (0, 0.015, 0)},
    "AU9": {
        31: (0.01, -0.06, 0), 32: (0, -0.055, 0), 33: (0, -0.045, 0), 30: (0, -0.04, 0), 29: (0, -0.02, 0),
        21: (0.01, 0.05, 0), 20: (0, 0.04, 0), 51: (0, -0.05, 0), 50: (0, -0.055, 0), 49: (0, -0.045, 0),
        61: (0, -0.03, 0), 62: (0, -0.03, 0),
    },
    "AU10": {
        49: (0, -0.10, 0), 50: (0, -0.12, 0), 51: (0, -0.115, 0), 61: (0, -0.12, 0), 62: (0, -0.12, 0),
        60: (0, -0.01, 0), 31: (-0.02, -0.03, 0), 32: (0, -0.02, 0),
    },
    "AU12": {
        48: (-0.155, -0.17, -0.09), 60: (-0.145, -0.155, -0.09), 49: (-0.10, -0.065, -0.05), 59: (-0.12, -0.07, -0.05),
        50: (-0.02, 0.005, -0.02), 51: (0, 0.02, -0.02), 61: (-0.05, -0.01, -0.02), 67: (-0.05, 0.005, -0.02),
        62: (0, 0.025, -0.02), 66: (0, 0.025, -0.02), 58: (-0.045, -0.01, -0.02), 57: (0, 0.005, -0.02),
        31: (-0.03, -0.015, 0), 3: (-0.02, 0.01, 0), 4: (-0.015, 0.0, 0), 2: (-0.012, 0, 0),
    },
    "AU15": {
        48: (-0.015, 0.14, 0), 60: (-0.01, 0.125, 0), 59: (-0.01, 0.065, 0), 49: (-0.01, 0.055, 0),
        58: (0, 0.01, 0), 61: (0, 0.015, 0), 67: (0, 0.02, 0),
    },
    "AU16": {57: (0, 0.07, 0), 58: (-0.02, 0.075, 0), 59: (-0.02, 0.07, 0), 66: (0, 0.085, 0), 67: (-0.015, 0.09, 0)},
    "AU17": {
        57: (0, -0.055, 0.03), 58: (0, -0.045, 0.03), 59: (0, -0.02, 0), 66: (0, -0.045, 0), 67: (0, -0.035, 0),
        62: (0, -0.045, 0), 61: (0, -0.035, 0), 51: (0, -0.02, 0), 50: (0, -0.02, 0),
        8: (0, -0.045, 0), 7: (0, -0.035, 0), 6: (0, -0.015, 0),
    },
    "AU20": {
        48: (-0.14, 0.045, -0.05), 60: (-0.13, 0.04, -0.05), 49: (-0.085, 0.01, -0.02), 59: (-0.105, 0.015, -0.02),
        61: (-0.05, -0.01, 0), 67: (-0.05, 0.02, 0), 58: (-0.04, 0.0, 0),
    },
    "AU23": {
        48: (0.04, 0, 0), 60: (0.04, 0, 0), 49: (0.02, 0.03, 0), 50: (0, 0.045, 0), 51: (0, 0.04, 0),
        57: (0, -0.05, 0), 58: (0, -0.045, 0), 59: (0.02, -0.03, 0),
    },
    "AU25": {
        61: (0, -0.035, 0), 62: (0, -0.04, 0), 50: (0, -0.02, 0), 51: (0, -0.02, 0), 49: (0, -0.01, 0),
        66: (0, 0.06, 0), 67: (0, 0.055, 0), 57: (0, 0.04, 0), 58: (0, 0.035, 0), 59: (0, 0.02, 0),
    },
    "AU26": {
        8: (0, 0.26, -0.05), 7: (0.005, 0.255, -0.05), 6: (0.01, 0.23, -0.04), 5: (0.015, 0.17, -0.02),
        4: (0.015, 0.09, 0), 3: (0.01, 0.03, 0),
        57: (0, 0.26, -0.04), 58: (-0.015, 0.245, -0.04), 59: (0.012, 0.225, -0.03), 48: (0.03, 0.09, -0.02),
        60: (0.03, 0.095, -0.02), 66: (0, 0.265, -0.04), 67: (-0.03, 0.25, -0.04),
        49: (0.02, 0.0, 0), 61: (0, -0.005, 0),
    },
    "AU27": {
        8: (0, 0.34, -0.08), 7: (0.01, 0.335, -0.08), 6: (0.02, 0.30, -0.06), 5: (0.03, 0.22, -0.04),
        4: (0.03, 0.12, 0), 3: (0.02, 0.04, 0), 57: (0, 0.34, -0.06), 58: (-0.015, 0.325, -0.06),
        59: (0.02, 0.295, -0.04), 48: (0.055, 0.125, -0.03), 60: (0.06, 0.13, -0.03),
        66: (0, 0.345, -0.06), 67: (-0.03, 0.325, -0.06), 49: (0.04, -0.01, 0), 50: (0.01, -0.03, 0),
        51: (0, -0.03, 0), 61: (0.02, -0.035, 0), 62: (0, -0.04, 0),
    },
}  # fmt: skip
# Factors of an infant's displacements: its mouth and jaw are smaller, its brow is softer. Keys are landmark groups.
_INFANT_SCALE = {"jaw": 0.72, "right_brow": 0.85, "left_brow": 0.85, "nose": 0.8, "mouth": 0.72}


def _displacement_array(half: dict[int, tuple[float, float, float]], infant: bool) -> np.ndarray:
    """Return the displacements of all 68 landmarks from the table of one half."""
    move = np.zeros((landmarks.COUNT, 3))
    for index, displacement in half.items():
        move[index] = displacement
        move[landmarks.FLIP_ORDER[index]] = np.array(displacement) * (-1.0, 1.0, 1.0)
    if infant:
        for group, scale in _INFANT_SCALE.items():
            move[landmarks.GROUPS[group]] *= scale
    return move


_NAMES = tuple(_DISPLACEMENTS)
_DISPLACEMENT_MATRICES = {
    infant: np.stack([_displacement_array(half, infant) for half in _DISPLACEMENTS.values()]).reshape(
        len(_DISPLACEMENTS), -1
    )
    for infant in (False, True)
}
# AU14 (contempt): the mouth corner on the person's left side (the picture's right) moves outward, up and back.
_DIMPLE = {54: (0.06, -0.12, -0.05), 64: (0.055, -0.11, -0.05), 53: (0.02, -0.05, 0), 55: (0.04, -0.05, 0),
           63: (0.01, -0.03, 0), 65: (0.01, -0.03, 0), 52: (0.0, -0.02, 0), 35: (0.01, -0.02, 0),
           24: (0, -0.05, 0), 25: (0, -0.07, 0),
           26: (0, -0.04, 0), 23: (0, -0.02, 0)}  # fmt: skip
# The field of `Style` whose factor applies to each AU.
_REGIONS = {
    **dict.fromkeys(("AU1", "AU2", "AU4"), "brows"),
    **dict.fromkeys(("AU5", "AU7"), "lids"),
    **dict.fromkeys(("AU6", "AU9", "flush"), "cheeks"),
    **dict.fromkeys(("AU12", "AU14", "AU15", "AU20"), "corners"),
    **dict.fromkeys(("AU10", "AU16", "AU25", "AU26", "AU27"), "jaw"),
}
# Largest intensities that the skin and the jaw joint allow.
_LIMITS = {"AU5": 1.25, "AU12": 1.6, "AU20": 1.1, "AU26": 1.2, "AU27": 0.5}
# Pairs (upper, lower) of landmarks of lids and lips, which may meet but not cross.
_LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
_LIPS = ((61, 67), (62, 66), (63, 65))


def show(units: dict[str, float], identity: Identity) -> dict[str, float]:
    """Return the action units as this person shows them.

    Args:
        units: the intensities that `action_units` returns.
        identity: the person, whose `strength`, `style` and `rest_part` change the intensities.

    Returns:
        The intensities of the same keys. Those of `_LIMITS` saturate smoothly at their limits.
    """
    shown = {}
    for name, value in units.items():
        gain = identity.strength * (getattr(identity.style, _REGIONS[name]) if name in _REGIONS else 1.0)
        shown[name] = value * gain
    shown["gaze"] = units["gaze"]
    # An intensity of 1 shuts the eyes of every person; a partial closure depends on the person.
    gain = identity.strength * identity.style.lids
    shown["AU43"] = units["AU43"] ** (1.0 / gain) if units["AU43"] > 0.0 else 0.0
    shown["AU25"] += identity.rest_part
    for name, limit in _LIMITS.items():
        shown[name] = limit * float(np.tanh(shown[name] / limit))
    return shown


def move(anatomy: Anatomy, units: dict[str, float], infant: bool) -> Float[np.ndarray, "68 3"]:
    """Return the landmarks of a head at rest, moved by action units.

    Args:
        anatomy: the head at rest.
        units: the intensities that `show` returns.
        infant: whether to use an infant's smaller displacements.

    Returns:
        The moved landmarks, in face units.
    """
    intensities = np.array([units[name] for name in _NAMES])
    points = anatomy.landmarks + (intensities @ _DISPLACEMENT_MATRICES[infant]).reshape(landmarks.COUNT, 3)
    scale = 0.78 if infant else 1.0
    for index, displacement in _DIMPLE.items():
        points[index] += np.array(displacement) * (units["AU14"] * scale)
    _move_lids(points, units)
    for upper, lower in _LIPS:
        if points[lower, 1] < points[upper, 1]:
            points[[upper, lower], 1] = points[[upper, lower], 1].mean()
    # The red of the lips gets thinner but does not vanish: the outer edge keeps a distance from the inner one. The
    # upper lip stays below the nose.
    ceiling = points[33, 1] + 0.06
    for outer, inner in ((50, 61), (51, 62), (52, 63)):
        points[inner, 1] = max(points[inner, 1], ceiling + 0.035)
        points[outer, 1] = max(min(points[outer, 1], points[inner, 1] - 0.035), ceiling)
    for outer, inner in ((58, 67), (57, 66), (56, 65)):
        points[outer, 1] = max(points[outer, 1], points[inner, 1] + 0.05)
    return points


def _move_lids(points: np.ndarray, units: dict[str, float]) -> None:
    """Move the lids in place, by shares of the opening at rest. Shut lids meet on one line."""
    closure, wide, tight, raised = (units[name] for name in ("AU43", "AU5", "AU7", "AU6"))
    for upper, lower in _LIDS:
        opening = points[lower, 1] - points[upper, 1]
        top = points[upper, 1] - opening * (0.36 * wide - 0.20 * tight)
        bottom = points[lower, 1] - opening * (0.22 * tight + 0.24 * raised - 0.05 * wide)
        closed = 0.8 * points[lower, 1] + 0.2 * points[upper, 1]
        minimum = 0.12 * opening * (1.0 - closure)
        top, bottom = top + closure * (closed - top), bottom + closure * (closed - bottom)
        middle = 0.5 * (top + bottom)
        points[upper, 1], points[lower, 1] = min(top, middle - 0.5 * minimum), max(bottom, middle + 0.5 * minimum)
    # A raised cheek (AU6) lowers the outer corners a little, a raised upper lid (AU5) lifts them.
    points[[36, 45], 1] += 0.012 * raised - 0.008 * wide

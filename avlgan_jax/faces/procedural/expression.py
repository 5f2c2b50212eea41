"""Facial action units as a function of the emotion, and the distribution of emotions in photographs.

Action units (AUs) are those of FACS (Ekman and Friesen 1978) and, for infants, Baby FACS (Oster 2006). Intensities
run from 0 (rest) to 1 (the strongest that an average person shows); values above 1 are extreme expressions.
"""

import numpy as np
from jaxtyping import Float

# The keys of the dictionary that `action_units` returns, and their meanings. The last four are not AUs of FACS.
ACTION_UNITS = {
    "AU1": "inner brow raiser",
    "AU2": "outer brow raiser",
    "AU4": "brow lowerer",
    "AU5": "upper lid raiser",
    "AU6": "cheek raiser",
    "AU7": "lid tightener",
    "AU9": "nose wrinkler",
    "AU10": "upper lip raiser",
    "AU12": "lip corner puller",
    "AU14": "dimpler, on the left side only (contempt)",
    "AU15": "lip corner depressor",
    "AU16": "lower lip depressor",
    "AU17": "chin raiser",
    "AU19": "tongue show",
    "AU20": "lip stretcher",
    "AU23": "lip tightener",
    "AU25": "lips part",
    "AU26": "jaw drop",
    "AU27": "mouth stretch",
    "AU43": "eye closure (1 is shut)",
    "flush": "blood in cheeks and nose",
    "tears": "tears on the lower lid and the cheek",
    "gaze": "eyes cast down (positive) or up",
    "pupil": "widening of the pupil",
}

# The emotions of positive arousal on the circumplex: (angle, standard deviation of the angle) in degrees, where 0 is
# positive valence and 90 positive arousal. The angles are near those of Table II's centroids, except that of delight,
# which Table II does not list.
_SECTORS = {
    "delight": (32.0, 18.0),
    "surprise": (70.0, 13.0),
    "fear": (98.0, 11.0),
    "anger": (119.0, 9.0),
    "contempt": (133.5, 6.0),
    "disgust": (150.0, 12.0),
}


def _soft_positive(x: float) -> float:
    """Return a smooth approximation of max(x, 0): 0.02 at 0."""
    return 0.5 * (x + float(np.sqrt(x * x + 0.0016)))


def _sectors(valence: float, arousal: float) -> dict[str, float]:
    """Return the strength of each emotion of `_SECTORS` at (valence, arousal): about 1 at its centroid, up to 1.25."""
    radius = float(np.hypot(valence, arousal))
    strength = min(radius / 0.78, 1.25) * min(radius / 0.25, 1.0)
    angle = float(np.degrees(np.arctan2(arousal, valence)))
    offsets = {name: (angle - centre + 180.0) % 360.0 - 180.0 for name, (centre, _) in _SECTORS.items()}
    return {name: strength * float(np.exp(-0.5 * (offsets[name] / _SECTORS[name][1]) ** 2)) for name in _SECTORS}


def action_units(valence: float, arousal: float, infant: bool) -> dict[str, float]:
    """Return the intensity of each of ACTION_UNITS for one emotion. Intensities are smooth over the plane.

    Positive valence raises lip corners and cheeks, negative valence lowers lip corners and brows. Positive arousal
    opens eyes and mouth, negative arousal lowers the lids. The emotions of positive arousal are neighbours on the
    circumplex; sectors of angle separate them (EMFACS prototypes: fear 1+2+4+5+20+25, anger 4+5+7+23, disgust 9+10,
    contempt a one-sided 14).

    Args:
        valence: in [-1, 1].
        arousal: in [-1, 1].
        infant: whether to use the infant's expressions (Baby FACS) instead of the adult's.

    Returns:
        Intensities in [0, 1.5], except `gaze` in [-1, 1] and `AU43` in [0, 1].
    """
    units = _infant_units(valence, arousal) if infant else _adult_units(valence, arousal)
    limited = {name: max(0.0, min(units.get(name, 0.0), 1.5)) for name in ACTION_UNITS}
    limited["gaze"] = max(-1.0, min(units.get("gaze", 0.0), 1.0))
    limited["AU43"] = min(limited["AU43"], 1.0)
    return limited


def _adult_units(valence: float, arousal: float) -> dict[str, float]:
    """Return the unlimited intensities of an adult (FACS)."""
    pleased, displeased = _soft_positive(valence), _soft_positive(-valence)
    aroused, sleepy = _soft_positive(arousal), _soft_positive(-arousal)
    sectors = _sectors(valence, arousal)
    delight, surprise, fear = sectors["delight"], sectors["surprise"], sectors["fear"]
    anger, contempt, disgust = sectors["anger"], sectors["contempt"], sectors["disgust"]
    # Contempt lies between anger and disgust on the circumplex but is a restrained face: it attenuates both.
    anger, disgust = anger * (1.0 - 0.75 * min(contempt, 1.0)), disgust * (1.0 - 0.75 * min(contempt, 1.0))
    sad = displeased * float(np.exp(-_soft_positive(arousal) / 0.28))
    calm = 1.0 - min(anger + 0.7 * disgust + 0.7 * contempt, 1.0)
    return {
        "AU1": 0.75 * surprise + 0.85 * fear + 0.95 * sad + 0.3 * aroused * calm,
        "AU2": 0.85 * surprise + 0.35 * fear + 0.35 * aroused * calm,
        "AU4": 0.55 * fear + 1.15 * anger + 0.7 * disgust + 0.35 * contempt + 0.6 * sad + 0.25 * displeased,
        "AU5": 0.65 * aroused + 0.35 * surprise + 0.5 * fear + 0.35 * anger - 0.5 * disgust - 0.25 * contempt,
        "AU6": 0.95 * pleased + 0.35 * disgust + 0.25 * sad * displeased - 0.4 * surprise,
        "AU7": 0.6 * anger + 0.6 * disgust + 0.45 * contempt + 0.15 * fear + 0.25 * delight,
        "AU9": 1.0 * disgust + 0.25 * anger,
        "AU10": 0.85 * disgust + 0.35 * anger + 0.15 * delight,
        "AU12": 1.25 * pleased * (1.0 - 0.35 * min(surprise, 1.0)),
        "AU14": 1.1 * contempt,
        "AU15": 1.25 * displeased * (1.0 - 0.5 * min(aroused, 1.0)) - 0.4 * fear - 0.15 * contempt,
        "AU16": 0.5 * anger + 0.45 * fear,
        "AU17": 0.75 * sad + 0.35 * disgust + 0.3 * contempt,
        "AU20": 0.95 * fear + 0.3 * anger,
        "AU23": 0.45 * anger + 0.35 * contempt + 0.2 * displeased * sleepy,
        "AU25": 0.75 * pleased
        + 0.6 * delight
        + 0.8 * surprise
        + 0.75 * fear
        + 0.7 * anger
        + 0.35 * disgust
        - 0.45 * contempt
        + 0.2 * sleepy
        - 0.35 * sad,
        "AU26": 0.5 * delight * aroused
        + 0.3 * pleased * aroused
        + 0.8 * surprise
        + 0.3 * fear
        + 0.15 * anger
        + 0.12 * sleepy
        + 0.2 * aroused * calm,
        "AU27": 0.35 * surprise * aroused,
        "AU43": 0.95 * sleepy**1.1 + 0.18 * sad + 0.15 * contempt,
        "flush": 0.55 * pleased + 0.8 * anger + 0.35 * contempt + 0.2 * disgust - 0.6 * fear + 0.15 * aroused,
        "tears": 1.6 * max(sad * displeased - 0.35, 0.0),
        "gaze": 0.45 * sad + 0.35 * sleepy - 0.15 * surprise,
        "pupil": aroused,
    }


def _infant_units(valence: float, arousal: float) -> dict[str, float]:
    """Return the unlimited intensities of an infant (Baby FACS).

    Distress is a cry face: bulging brows, eyes squeezed shut, a square mouth, a taut tongue.
    """
    pleased, displeased = _soft_positive(valence), _soft_positive(-valence)
    aroused, sleepy = _soft_positive(arousal), _soft_positive(-arousal)
    sectors = _sectors(valence, arousal)
    surprise, fear = sectors["surprise"], sectors["fear"]
    anger, disgust = sectors["anger"] + 0.5 * sectors["contempt"], sectors["disgust"] + 0.3 * sectors["contempt"]
    sad = displeased * float(np.exp(-_soft_positive(arousal) / 0.28))
    cry = displeased * (0.45 + 0.75 * aroused) / (1.0 + 0.6 * sleepy) + 0.15 * anger
    squeeze = _soft_positive(displeased - 0.25) * 2.4 * (0.15 + 1.4 * aroused)
    return {
        "AU1": 0.8 * surprise + 0.8 * fear + 0.9 * sad + 0.6 * cry + 0.2 * aroused - 0.4 * anger,
        "AU2": 0.85 * surprise + 0.4 * fear + 0.25 * aroused * pleased,
        "AU4": 0.45 * fear + 0.95 * anger + 0.6 * disgust + 0.85 * cry + 0.35 * displeased,
        "AU5": 0.6 * aroused + 0.4 * surprise + 0.5 * fear + 0.2 * anger - 0.6 * disgust,
        "AU6": 0.9 * pleased + 0.7 * cry,
        "AU7": 0.5 * anger + 0.5 * disgust + 0.7 * squeeze,
        "AU9": 0.9 * disgust + 0.55 * cry,
        "AU10": 0.6 * disgust + 0.7 * anger + 0.7 * cry * aroused + 0.25 * pleased,
        "AU12": 1.15 * pleased * (1.0 - 0.3 * min(surprise, 1.0)),
        "AU14": 0.9 * sectors["contempt"],
        "AU15": 1.1 * displeased * (1.0 - 0.45 * min(aroused, 1.0)),
        "AU16": 0.8 * anger + 0.8 * cry * aroused,
        "AU17": 0.9 * sad + 0.3 * disgust,
        "AU19": 0.7 * disgust + 0.8 * cry * aroused + 0.55 * pleased,
        "AU20": 0.7 * fear + 0.7 * anger + 0.8 * cry * aroused,
        "AU25": 0.75 * pleased + 0.6 * sectors["delight"] + 0.7 * surprise + 0.6 * fear + 0.8 * anger + 0.6 * disgust
        + 1.1 * cry * aroused + 0.25 * sleepy - 0.3 * sad,
        "AU26": 0.25 * pleased + 0.5 * pleased * aroused + 0.35 * sectors["delight"] * aroused + 0.75 * surprise
        + 0.35 * fear + 0.4 * anger + 0.9 * cry * aroused + 0.1 * sleepy,
        "AU27": 0.3 * cry * aroused + 0.2 * surprise * aroused,
        "AU43": 0.95 * sleepy**1.1 + 1.1 * squeeze + 0.1 * sad,
        "flush": 0.45 * pleased + 0.7 * anger + 0.9 * cry - 0.4 * fear + 0.15 * aroused,
        "tears": 1.1 * max(squeeze - 0.25, 0.0) + 0.5 * max(sad - 0.6, 0.0),
        "gaze": 0.4 * sad + 0.3 * sleepy - 0.1 * surprise,
        "pupil": aroused,
    }  # fmt: skip


# The distribution of AffectNet's labels as a Gaussian mixture over the plane. Each component is (weight, mean
# (valence, arousal), standard deviations, correlation). Means are Table II's, in the order of `emotions.EXPRESSIONS`.
# Weights follow the class counts of AffectNet's training set (happy 47 %, neutral 26 %, anger 9 %, sad 9 %,
# surprise 5 %, fear 2 %, disgust and contempt 1 % each), with more weight on the rare classes. The last component is
# broad and fills the disc, so that every emotion occurs.
MIXTURE = (
    (0.23, (0.004, 0.004), (0.10, 0.11), 0.0),
    (0.30, (0.665, 0.134), (0.16, 0.15), 0.25),
    (0.10, (-0.686, -0.259), (0.15, 0.16), -0.2),
    (0.07, (0.231, 0.681), (0.18, 0.13), 0.0),
    (0.05, (-0.116, 0.774), (0.13, 0.10), 0.0),
    (0.04, (-0.731, 0.434), (0.11, 0.13), 0.1),
    (0.08, (-0.365, 0.660), (0.13, 0.13), -0.1),
    (0.03, (-0.555, 0.588), (0.10, 0.10), 0.0),
    (0.10, (0.0, 0.0), (0.75, 0.75), 0.0),
)


def sample_emotion(generator: np.random.Generator) -> Float[np.ndarray, "2"]:
    """Draw one (valence, arousal) inside the unit disc, distributed like AffectNet's labels (see MIXTURE).

    Each draw has a random limit in [0.9, 0.999). A radius above the limit is reduced to it, along the same direction.
    No draw is rejected, so each takes the same number of random values.
    """
    part = int(generator.choice(len(MIXTURE), p=[weight for weight, *_ in MIXTURE]))
    _, mean, deviation, correlation = MIXTURE[part]
    first, second, edge = generator.standard_normal(), generator.standard_normal(), generator.uniform(0.9, 0.999)
    second = correlation * first + np.sqrt(1.0 - correlation**2) * second
    emotion = np.array([mean[0] + deviation[0] * first, mean[1] + deviation[1] * second])
    radius = float(np.hypot(*emotion))
    return (emotion * (edge / radius) if radius > edge else emotion).astype(np.float32)

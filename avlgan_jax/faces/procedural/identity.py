"""Identities (the person) and shots (the conditions of a photograph), sampled from a seed.

Lengths are in face units: 1 is half the width of an adult's face between the cheekbones. x points to the right of
the picture, y down, z toward the viewer; the eyes lie at y = 0. Colours are RGB in [0, 1].
"""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Colour = tuple[float, float, float]
Vector = tuple[float, float, float]


class Style(NamedTuple):
    """Factors near 1 on a person's action units, one for each part of the face."""

    brows: float
    lids: float
    cheeks: float
    corners: float
    jaw: float


@dataclass(frozen=True)
class Identity:
    """A person: all properties that stay the same in every picture.

    Factors are near 1. Offsets are in face units and near 0. Amounts lie in [0, 1].
    """

    infant: bool
    female: bool
    age: float  # years
    # Proportions.
    width: float  # factor
    length: float  # factor
    jaw_width: float  # factor
    chin: float  # factor of the chin's length
    cheek: float  # amount of fullness
    eye_size: float  # factor
    eye_spacing: float  # offset of each eye outward
    eye_tilt: float  # offset of the eyes' outer corners upward
    eye_fold: float  # amount: height of the lid crease, 0 for a single lid
    brow_weight: float  # factor of the brows' thickness
    brow_arch: float  # offset of the brows' middle upward
    brow_tilt: float  # offset of the brows' outer ends upward
    nose_width: float  # factor
    nose_length: float  # factor
    nose_depth: float  # factor
    mouth_width: float  # factor
    upper_lip: float  # factor of the lip's height
    lower_lip: float  # factor of the lip's height
    asymmetry: float  # offset between the brows' heights, and slope of the mouth
    # The face at rest, and the strength of its expressions.
    rest_brow: float  # offset of the brows upward
    rest_corner: float  # offset of the mouth's corners upward
    rest_lid: float  # offset of the upper lids upward
    rest_part: float  # parting of the lips, added to the intensity of AU25
    strength: float  # factor of the action units
    style: Style
    # Colours and skin.
    skin: Colour
    lips: Colour
    hair: Colour
    brow: Colour  # of brows and beard
    iris: Colour
    wrinkles: float  # amount
    freckles: float  # amount
    stubble: float  # amount
    beard: float  # amount
    makeup: float  # amount
    # Hair.
    hair_style: str  # one of the names in HAIR_STYLES
    hair_volume: float  # amount
    hairline: float  # offset upward
    parting: float  # side and distance of the parting from the middle, in [-0.5, 0.5]
    wave: float  # amount
    texture: int  # seed of the textures of skin and hair


@dataclass(frozen=True)
class Shot:
    """The conditions of a photograph: pose, framing, light, background and camera."""

    yaw: float  # radians; positive turns the face to the picture's right
    pitch: float  # radians; positive turns the face up
    roll: float  # radians; positive tilts the head clockwise
    height: float  # height of the face from hairline to chin, as a share of the picture
    offset: tuple[float, float]  # (x, y) displacement of the face from its usual position, as a share of the picture
    gaze: tuple[float, float]  # (x, y) displacement of the irises, in face units
    light: Vector  # unit vector toward the key light
    key: float  # intensity of the key light
    ambient: float  # intensity of the ambient light
    warmth: float  # added to the gain of red and subtracted from that of blue
    exposure: float  # factor
    backdrop: tuple[Colour, Colour]  # the two colours that the background mixes
    clothes: Colour
    blur: float  # standard deviation, as a share of the picture's side
    noise: float  # standard deviation of the camera noise, where the picture's range is [0, 1]
    texture: int  # seed of the background and of the camera noise
    frame: int = 0  # frame of a sequence; each frame has different camera noise


@dataclass(frozen=True)
class Face:
    """A person and the conditions of a photograph, without an emotion: `render` draws it at a given emotion."""

    seed: int
    subject: int
    shot_index: int
    identity: Identity
    shot: Shot

    @property
    def infant(self) -> bool:
        """Whether the person is an infant (about half a year to one year old)."""
        return self.identity.infant

    @property
    def key(self) -> tuple[int, int, int]:
        """The arguments (seed, subject, shot) of `sample_face`, or (seed, index, frame) for a face of a `dyad`."""
        return self.seed, self.subject, self.shot_index


# Skin colours from fair to deep, as in photographs under neutral light.
_SKIN = np.array(
    [
        (0.945, 0.795, 0.715),
        (0.910, 0.740, 0.640),
        (0.860, 0.675, 0.560),
        (0.800, 0.605, 0.475),
        (0.715, 0.520, 0.395),
        (0.600, 0.420, 0.310),
        (0.465, 0.310, 0.225),
        (0.340, 0.220, 0.165),
    ]
)
# Hair colours: black, dark brown, brown, chestnut, auburn, dark blond, blond, red.
_HAIR = np.array(
    [
        (0.075, 0.065, 0.065),
        (0.150, 0.105, 0.085),
        (0.255, 0.170, 0.115),
        (0.350, 0.225, 0.140),
        (0.400, 0.205, 0.115),
        (0.520, 0.395, 0.250),
        (0.720, 0.575, 0.370),
        (0.600, 0.290, 0.130),
    ]
)
_GREY = np.array((0.62, 0.61, 0.60))
# Iris colours: dark brown, brown, hazel, green, grey, blue.
_IRIS = np.array(
    [
        (0.140, 0.080, 0.050),
        (0.270, 0.160, 0.085),
        (0.370, 0.270, 0.140),
        (0.330, 0.400, 0.260),
        (0.410, 0.470, 0.510),
        (0.290, 0.440, 0.620),
    ]
)
_CLOTHES = np.array(
    [
        (0.15, 0.17, 0.22),
        (0.78, 0.78, 0.76),
        (0.35, 0.42, 0.52),
        (0.52, 0.22, 0.22),
        (0.30, 0.38, 0.30),
        (0.62, 0.55, 0.45),
        (0.20, 0.20, 0.20),
        (0.55, 0.45, 0.58),
    ]
)
HAIR_STYLES = {
    "female": ("long", "bob", "tied", "long", "curls", "bob", "cropped"),
    "male": ("cropped", "parted", "cropped", "parted", "curls", "receding", "shaved"),
    "infant": ("fuzz", "fuzz", "tuft", "fringe", "bare"),
}


def _colour(values: np.ndarray) -> Colour:
    """Return RGB values clipped to [0, 1]."""
    return tuple(float(v) for v in np.clip(values, 0.0, 1.0))


def sample_identity(
    generator: np.random.Generator, infant: bool, female: bool | None = None, tone: float | None = None
) -> Identity:
    """Sample a person.

    The offsets of the face at rest stay within a quarter of the movement of an expression. `strength` lies in
    [0.8, 1.2].

    Args:
        generator: the source of random numbers.
        infant: whether the person is an infant of 0.4 to 1.1 years instead of an adult of 18 to 68.
        female: the sex; sampled if None.
        tone: the skin tone from 0 (fair) to 1 (deep); sampled if None.
    """

    def spread(deviation: float) -> float:
        """Sample a normal value of mean 0, clipped at 2.2 standard deviations."""
        return max(-2.2 * deviation, min(generator.normal(0.0, deviation), 2.2 * deviation))

    drawn_female, drawn_tone = bool(generator.random() < 0.5), float(generator.beta(0.9, 1.1))
    female = drawn_female if female is None else female
    tone = drawn_tone if tone is None else tone
    age = float(generator.uniform(0.4, 1.1) if infant else generator.uniform(18.0, 68.0))
    wrinkles = 0.0 if infant else float(np.clip((age - 28.0) / 36.0, 0.0, 1.0))

    position = tone * (len(_SKIN) - 1)
    skin = np.array([np.interp(position, np.arange(len(_SKIN)), _SKIN[:, c]) for c in range(3)])
    skin = skin * (1.0 + 0.02 * generator.standard_normal(3)) * (1.02 if infant else 1.0)
    dark_colouring = tone > 0.45 or generator.random() < 0.2
    hair = _HAIR[int(generator.integers(0, 2))] if dark_colouring else _HAIR[int(generator.integers(1, len(_HAIR)))]
    hair = hair * generator.uniform(0.85, 1.15)
    brow = 0.75 * hair + 0.25 * skin * 0.5
    grey = float(np.clip((age - 46.0) / 20.0 + 0.3 * generator.standard_normal(), 0.0, 0.9)) if age > 42.0 else 0.0
    hair = hair * (1.0 - grey) + _GREY * grey
    iris = _IRIS[int(generator.integers(0, 2))] if dark_colouring else _IRIS[int(generator.integers(1, len(_IRIS)))]
    makeup = float(generator.random() < 0.5) * float(generator.uniform(0.3, 1.0)) if female and not infant else 0.0
    lips = skin * ((0.88, 0.62, 0.62) if female else (0.86, 0.70, 0.68)) + np.array((0.04, 0.0, 0.01))
    lips = lips * (1.0 - 0.45 * makeup) + 0.45 * makeup * np.array((0.70, 0.20, 0.25))
    if infant:
        lips = skin * (0.95, 0.70, 0.69) + np.array((0.02, 0.0, 0.01))
    styles = HAIR_STYLES["infant" if infant else "female" if female else "male"]
    bearded = not infant and not female and generator.random() < 0.22
    return Identity(
        infant=infant,
        female=female,
        age=age,
        width=1.0 + spread(0.035) - (0.02 if female and not infant else 0.0),
        length=1.0 + spread(0.03),
        jaw_width=1.0 + spread(0.05) - (0.06 if female and not infant else 0.0),
        chin=1.0 + spread(0.10),
        cheek=float(generator.uniform(0.0, 1.0)),
        eye_size=1.0 + spread(0.06) + (0.05 if female else 0.0),
        eye_spacing=spread(0.02),
        eye_tilt=spread(0.018),
        eye_fold=float(generator.uniform(0.3, 1.0)),
        brow_weight=float(generator.uniform(0.55, 1.0) if female else generator.uniform(0.85, 1.4)),
        brow_arch=spread(0.018) + (0.008 if female else -0.016),
        brow_tilt=spread(0.018),
        nose_width=1.0 + spread(0.09) + 0.18 * (tone - 0.4),
        nose_length=1.0 + spread(0.06),
        nose_depth=1.0 + spread(0.12),
        mouth_width=1.0 + spread(0.07),
        upper_lip=float(generator.uniform(0.75, 1.25)) + 0.25 * (tone - 0.4),
        lower_lip=float(generator.uniform(0.85, 1.25)) + 0.2 * (tone - 0.4),
        asymmetry=spread(0.012),
        rest_brow=spread(0.033),
        rest_corner=spread(0.033),
        rest_lid=spread(0.018),
        rest_part=float(generator.uniform(0.0, 0.3)) if generator.random() < 0.35 else 0.0,
        strength=float(generator.uniform(0.8, 1.2)),
        style=Style(*generator.uniform(0.75, 1.25, 5).tolist()),
        skin=_colour(skin),
        lips=_colour(lips),
        hair=_colour(hair),
        brow=_colour(brow),
        iris=_colour(iris * generator.uniform(0.85, 1.2)),
        wrinkles=wrinkles,
        freckles=float(generator.uniform(0.3, 1.0))
        if not infant and tone < 0.35 and generator.random() < 0.25
        else 0.0,
        stubble=0.0 if infant or female else float(generator.uniform(0.0, 0.8)),
        beard=float(generator.uniform(0.5, 0.9)) if bearded else 0.0,
        makeup=makeup,
        hair_style=styles[int(generator.integers(0, len(styles)))],
        hair_volume=float(generator.uniform(0.0, 1.0)),
        hairline=spread(0.05),
        parting=float(generator.uniform(-0.5, 0.5)),
        wave=float(generator.uniform(0.0, 1.0)),
        texture=int(generator.integers(0, 2**31)),
    )


def sample_shot(generator: np.random.Generator, tone: Colour) -> Shot:
    """Sample the conditions of a photograph.

    Args:
        generator: the source of random numbers.
        tone: the RGB colour of the person's skin, which sets the exposure.
    """

    def spread(deviation: float, limit: float) -> float:
        """Sample a normal value of mean 0, clipped to [-limit, limit]."""
        return max(-limit, min(generator.normal(0.0, deviation), limit))

    azimuth, elevation = generator.uniform(-1.0, 1.0), generator.uniform(0.2, 0.95)
    light = np.array([np.sin(azimuth) * np.cos(elevation), -np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
    key = float(generator.uniform(0.38, 0.68))
    # The exposure is raised for dark skin, as a photographer or a light meter does.
    exposure_lift = 0.30 * (0.62 - float(np.mean(tone)))
    base = generator.uniform(0.10, 0.85) * (1.0 + 0.22 * generator.uniform(-1.0, 1.0, 3))
    other = np.clip(base * generator.uniform(0.45, 1.5) + 0.05 * generator.standard_normal(3), 0.03, 0.97)
    return Shot(
        yaw=np.radians(spread(10.0, 25.0)),
        pitch=np.radians(spread(4.5, 12.0)),
        roll=np.radians(spread(4.0, 10.0)),
        height=float(generator.uniform(0.75, 0.82)),
        offset=(spread(0.012, 0.025), spread(0.010, 0.02)),
        gaze=(spread(0.016, 0.035), spread(0.006, 0.012)),
        light=tuple(float(v) for v in light),
        key=key,
        ambient=float(1.0 - key + generator.uniform(-0.02, 0.06)),
        warmth=spread(0.025, 0.05),
        exposure=1.0 + exposure_lift + spread(0.04, 0.08),
        backdrop=(_colour(np.clip(base, 0.03, 0.97)), _colour(other)),
        clothes=_colour(_CLOTHES[int(generator.integers(0, len(_CLOTHES)))] * generator.uniform(0.8, 1.2, 3)),
        blur=float(generator.uniform(0.0, 0.0035)),
        noise=float(generator.uniform(0.004, 0.016)),
        texture=int(generator.integers(0, 2**31)),
    )


def sample_face(seed: int, subject: int, shot: int, infant: bool) -> Face:
    """Return the face of `subject` in its `shot`-th photograph. The same arguments give the same face.

    The identity depends on (seed, subject, infant); the shot (pose, light, background, camera) on all four arguments.

    Args:
        seed: seed of the random numbers, together with the other arguments.
        subject: index of the person.
        shot: index of the person's photograph.
        infant: whether the person is an infant.
    """
    identity = _person(seed, subject, infant)
    generator = np.random.default_rng((seed, subject, int(infant), 1, shot))
    return Face(seed, subject, shot, identity, sample_shot(generator, identity.skin))


@functools.lru_cache(maxsize=4)
def _person(seed: int, subject: int, infant: bool) -> Identity:
    """Return the identity of `subject`. Data sets draw the photographs of a person one after the other."""
    return sample_identity(np.random.default_rng((seed, subject, int(infant), 0)), infant)

"""Which faces are in each split, and drawing them: everything follows from the options and nothing else.

Kept apart from the builder, so that the processes that draw import neither TFDS's builders nor TensorFlow.
"""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from avlgan_jax.errors import UserError
from avlgan_jax.faces import procedural
from avlgan_jax.faces.emotions import nearest_expression

SHOTS = 4  # pictures of each person

# Splits take their persons from ranges that cannot meet, so enlarging one moves nobody in another.
FIRST_SUBJECT = {"train": 0, "validation": 1_000_000_000, "test": 2_000_000_000}

# Every how many-th person is an infant. In training 1 in 20: the paper's point is that infants are rare there
# (AffectNet has few). In the held-out splits 1 in 4: at 5 % a thousand faces would hold fifty infants, too few to
# score that group on its own, and scores are given for each group.
INFANT_EVERY = {"train": 20, "validation": 4, "test": 4}

DYADS = "dyads"


@dataclasses.dataclass(frozen=True)
class Options:
    """What is drawn."""

    faces: int = 8000
    """Faces in the training split, four of each person."""
    held_out: int = 1000
    """Faces in the validation split, and as many in the test split."""
    dyads: int = 2
    """Mother-infant sequences through the still-face experiment."""
    dyad_seconds: float = 9.0
    """Length of each sequence, at 30 frames a second."""
    seed: int = 0
    """Everything follows from it."""

    def __post_init__(self):
        for name, least in (("faces", 1), ("held_out", 1), ("dyads", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--{name.replace('_', '-')} {getattr(self, name)}: expected {least} or more")
        if max(self.faces, self.held_out) > FIRST_SUBJECT["validation"]:
            raise UserError(f"at most {FIRST_SUBJECT['validation']:,} faces can be drawn")
        if not 0.1 <= self.dyad_seconds <= 3600.0:
            raise UserError(f"--dyad-seconds {self.dyad_seconds}: expected 0.1 to 3600 seconds")


@dataclasses.dataclass(frozen=True)
class Still:
    """A face of train, validation or test, still to be drawn."""

    split: str
    number: int
    seed: int


@dataclasses.dataclass(frozen=True)
class Frame:
    """One person in one frame of a dyad, still to be drawn."""

    dyad: int
    frame: int
    infant: bool
    seconds: float
    seed: int


def splits(options: Options) -> dict[str, int]:
    """The number of faces of each split."""
    frames = round(options.dyad_seconds * procedural.FRAMES_PER_SECOND)
    sizes = {"train": options.faces, "validation": options.held_out, "test": options.held_out}
    return sizes | ({DYADS: options.dyads * 2 * frames} if options.dyads else {})


def faces(options: Options, split: str) -> Iterator[Still | Frame]:
    """Every face of a split, in order."""
    if split != DYADS:
        for number in range(splits(options)[split]):
            yield Still(split, number, options.seed)
        return
    for dyad in range(options.dyads):
        for frame in range(round(options.dyad_seconds * procedural.FRAMES_PER_SECOND)):
            for infant in (False, True):
                yield Frame(dyad, frame, infant, options.dyad_seconds, options.seed)


def draw(faces_to_draw: list[Still | Frame], resolution: int) -> list[dict]:
    """The features of each face; the image is an array still."""
    return [
        _draw_frame(face, resolution) if isinstance(face, Frame) else _draw_still(face, resolution)
        for face in faces_to_draw
    ]


def _draw_still(still: Still, resolution: int) -> dict:
    person, shot = divmod(still.number, SHOTS)
    subject = FIRST_SUBJECT[still.split] + person
    infant = person % INFANT_EVERY[still.split] == INFANT_EVERY[still.split] - 1
    face = procedural.sample_face(still.seed, subject, shot, infant)
    # A stream of its own (the 3): the emotion tells nothing of the person or the shot.
    emotion = procedural.sample_emotion(np.random.default_rng((still.seed, subject, shot, int(infant), 3)))
    return _features(
        face,
        emotion,
        resolution,
        id=f"{still.split}/{person:05}-{shot}",
        subject=f"{still.split}/{person:05}",
        face_key=np.array([still.seed, subject, shot, infant], np.int64),
        dyad=-1,
        frame=-1,
        phase="",
    )


def _draw_frame(frame: Frame, resolution: int) -> dict:
    dyad = _dyad(frame.seed, frame.dyad, frame.seconds)
    face = dyad.infant_at(frame.frame) if frame.infant else dyad.mother_at(frame.frame)
    emotions = dyad.infant_emotions if frame.infant else dyad.mother_emotions
    person = "infant" if frame.infant else "mother"
    return _features(
        face,
        emotions[frame.frame],
        resolution,
        id=f"{DYADS}/{frame.dyad:02}-{person}-{frame.frame:05}",
        subject=f"{DYADS}/{frame.dyad:02}-{person}",
        face_key=np.array([frame.seed, frame.dyad, frame.frame, frame.infant], np.int64),
        dyad=frame.dyad,
        frame=frame.frame,
        phase=procedural.PHASES[dyad.phases[frame.frame]],
    )


@functools.lru_cache(maxsize=2)
def _dyad(seed: int, index: int, seconds: float) -> procedural.Dyad:
    return procedural.dyad(seed, index, seconds)


def _features(face: procedural.Face, emotion: np.ndarray, resolution: int, **beyond) -> dict:
    drawn = procedural.render(face, float(emotion[0]), float(emotion[1]), resolution)
    return {
        "image": drawn.image,
        "landmarks": drawn.landmarks.astype(np.float32),
        "landmarks_3d": drawn.landmarks_3d.astype(np.float32),
        "valence": np.float32(emotion[0]),
        "arousal": np.float32(emotion[1]),
        "expression": int(nearest_expression(emotion)),
        "age_group": int(face.infant),
        **beyond,
    }

"""The faces of each split, and their drawing, as pure functions of the options.

This module is separate from the builder, so that the processes that draw import neither TFDS's builders nor TensorFlow.
"""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from avlgan_jax.errors import UserError
from avlgan_jax.faces import procedural
from avlgan_jax.faces.emotions import nearest_expression

SHOTS = 4  # images of each person

# Number of the first person of each split. The ranges cannot overlap, so enlarging one split leaves the others as they
# are.
FIRST_SUBJECT = {"train": 0, "validation": 1_000_000_000, "test": 2_000_000_000}

# One in this many people of the held-out splits is an infant. Scores are computed for each age group, and at the 5 % of
# the training split a thousand faces would contain only fifty infants.
HELD_OUT_INFANT_EVERY = 4

DYADS = "dyads"


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of the drawn faces: their number and the seed."""

    faces: int = 8000
    """Number of images in the training split, in four poses of each person."""
    held_out: int = 1000
    """Number of faces in the validation split, and in the test split."""
    dyads: int = 2
    """Number of mother-infant sequences that follow the still-face experiment."""
    dyad_seconds: float = 9.0
    """Length of each sequence, in seconds at 30 frames/s; 0.1 to 3600."""
    dyad_every: int = 1
    """Draw one of this many frames of each sequence; the others hardly differ from it. 1 draws all."""
    emotions: int = 1
    """Images of each pose in the training split, at different emotions; 2 or more make pairs."""
    # The paper is about data in which infants are rare; AffectNet has few.
    infant_every: int = 20
    """One in this many people of the training split is an infant; 1 draws infants only."""
    seed: int = 0
    """Seed of all random numbers."""

    def __post_init__(self):
        for name in ("faces", "held_out", "dyads", "dyad_every", "emotions", "infant_every", "seed"):
            least = 0 if name in ("dyads", "seed") else 1
            if getattr(self, name) < least:
                raise UserError(f"--{name.replace('_', '-')} {getattr(self, name)}: expected {least} or more")
        if max(self.faces, self.held_out) > FIRST_SUBJECT["validation"]:
            raise UserError(
                f"--faces {self.faces} and --held-out {self.held_out}: "
                f"expected at most {FIRST_SUBJECT['validation']:,} each"
            )
        if not 0.1 <= self.dyad_seconds <= 3600.0:
            raise UserError(f"--dyad-seconds {self.dyad_seconds}: expected 0.1 to 3600 seconds")


@dataclasses.dataclass(frozen=True)
class Still:
    """The parameters of one face of the splits train, validation and test."""

    split: str
    number: int
    """Number of the pose in the split: person and shot."""
    seed: int
    infant: bool
    version: int = 0
    """Number of the emotion among the images of this pose."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """The parameters of one person's face in one frame of a dyad; `seconds` is the length of the sequence."""

    dyad: int
    frame: int
    infant: bool
    seconds: float
    seed: int


def splits(options: Options) -> dict[str, int]:
    """Return the number of faces of each split. The split `dyads` is left out if it would be empty."""
    sizes = {"train": options.faces, "validation": options.held_out, "test": options.held_out}
    return sizes | ({DYADS: options.dyads * 2 * len(_drawn_frames(options))} if options.dyads else {})


def _drawn_frames(options: Options) -> range:
    """Return the numbers of the frames of a sequence that are drawn."""
    return range(0, round(options.dyad_seconds * procedural.FRAMES_PER_SECOND), options.dyad_every)


def faces(options: Options, split: str) -> Iterator[Still | Frame]:
    """Yield the parameters of every face of a split, in order."""
    if split != DYADS:
        train = split == "train"
        emotions = options.emotions if train else 1
        infant_every = options.infant_every if train else HELD_OUT_INFANT_EVERY
        for number in range(splits(options)[split]):
            pose, version = divmod(number, emotions)
            infant = (pose // SHOTS) % infant_every == infant_every - 1
            yield Still(split, pose, options.seed, infant, version)
        return
    for dyad in range(options.dyads):
        for frame in _drawn_frames(options):
            for infant in (False, True):
                yield Frame(dyad, frame, infant, options.dyad_seconds, options.seed)


def draw(faces_to_draw: list[Still | Frame], resolution: int) -> list[dict]:
    """Return the record of each face, with the image as a uint8 array of side `resolution`."""
    return [
        _draw_frame(face, resolution) if isinstance(face, Frame) else _draw_still(face, resolution)
        for face in faces_to_draw
    ]


def _draw_still(still: Still, resolution: int) -> dict:
    person, shot = divmod(still.number, SHOTS)
    subject = FIRST_SUBJECT[still.split] + person
    face = procedural.sample_face(still.seed, subject, shot, still.infant)
    # The 3 selects a random stream that is independent of those of the person and the shot.
    stream = (still.seed, subject, shot, int(still.infant), 3, *([still.version] if still.version else []))
    emotion = procedural.sample_emotion(np.random.default_rng(stream))
    return _features(
        face,
        emotion,
        resolution,
        id=f"{still.split}/{person:05}-{shot}" + (f"-{still.version}" if still.version else ""),
        subject=f"{still.split}/{person:05}",
        face_key=np.array([still.seed, subject, shot, still.infant], np.int64),
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

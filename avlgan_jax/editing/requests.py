"""Options of the editing commands, as typed dataclasses, and how their values are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from avlgan_jax.errors import UserError
from avlgan_jax.faces.emotions import EXPRESSIONS, TABLE_II
from avlgan_jax.faces.pictures import WRITTEN_ENDINGS

Expression = Literal["neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"]


@dataclass(frozen=True)
class CommonOptions:
    """Options of all commands."""

    weights: str = "faces64"
    """Weights: name of a packaged bundle, folder of a bundle, or folder of a training run."""
    landmarks: str = "auto"
    """Detector for photographs: dlib, fan, fan3d, mediapipe, or auto (mediapipe where its file is, else dlib)."""


@dataclass(frozen=True)
class OnePhoto(CommonOptions):
    """Options of the commands that edit one photograph."""

    photo: tyro.conf.Positional[str] = tyro.MISSING
    """Picture file, or procedural:SEED or procedural-infant:SEED for a drawn face."""
    out: Path | None = None
    """File to write; by default next to the photograph, with the name of the command appended."""
    face: int | None = None
    """Number of the face to edit, counted from 1 at the left; by default all faces."""
    infant: bool = False
    """The faces are infants': a mouth that opens shows gums. procedural-infant:SEED needs no --infant."""

    def destination(self, name: str, endings: tuple[str, ...] = WRITTEN_ENDINGS) -> Path:
        """Return the output file: `out`, or by default PHOTO_`name` with the first of `endings`.

        Raises:
            UserError: the file name has none of `endings`, or its folder does not exist.
        """
        from avlgan_jax.faces.procedural import (
            named,
        )  # imports JAX, which the check of a command line need not wait for

        drawn = named.seed_of(self.photo) is not None
        stem = self.photo.replace(":", "-") if drawn else Path(self.photo).with_suffix("")
        return writable(self.out or Path(f"{stem}_{name}{endings[0]}"), endings)


@dataclass(frozen=True)
class Edit(OnePhoto):
    """Edit the faces of a photograph to one emotion."""

    emotion: Expression | None = None
    """Target expression (Table II), instead of --valence and --arousal."""
    valence: float | None = None
    """Target valence, from -1 (displeasure) to 1 (pleasure)."""
    arousal: float | None = None
    """Target arousal, from -1 (asleep) to 1 (frantic)."""
    crop_only: bool = False
    """Write only the generated face crops, side by side, without blending them into the photograph."""

    def target(self) -> np.ndarray:
        """Return the target emotion, float (2,).

        Raises:
            UserError: the options name no target, an incomplete one or two, or one outside [-1, 1].
        """
        point = (self.valence, self.arousal)
        if self.emotion is not None and point == (None, None):
            return TABLE_II[EXPRESSIONS.index(self.emotion)]
        if self.emotion is None and None not in point:
            return _inside(np.array(point, np.float32), "--valence and --arousal")
        raise UserError(
            "expected one target emotion: either --emotion (such as happy), or both --valence and --arousal "
            "(such as --valence 0.7 --arousal 0.3)"
        )


@dataclass(frozen=True)
class Matrix(OnePhoto):
    """Write the avImage matrix (Figure 5): each face on a grid of valence and arousal."""

    n: int = 9
    """Number of rows and of columns."""


@dataclass(frozen=True)
class Emotions(OnePhoto):
    """Write each face at the eight expressions of Table II (Figure 6)."""


@dataclass(frozen=True)
class EmotionPath(OnePhoto):
    """Write a film (.mp4 or .gif) of the faces along a path on the valence-arousal plane."""

    points: str = "neutral happy surprise fear sad neutral"
    """Points of the path, separated by spaces: expressions of Table II or valence,arousal pairs."""
    seconds: float = 4.0
    """Length of the film in seconds."""
    fps: float = 25.0
    """Frames per second."""
    crop_only: bool = False
    """Show only the generated face crops, side by side, without blending them into the photograph."""


@dataclass(frozen=True)
class Film(CommonOptions):
    """Edit a face of a film: every frame, with its time and the sound."""

    film: tyro.conf.Positional[Path] = tyro.MISSING
    """Film, in any container and codec that FFmpeg reads."""
    emotion: Expression | None = None
    """Expression of all frames (Table II)."""
    points: str | None = None
    """Path over the plane that takes the complete film: expressions or valence,arousal pairs, separated by spaces."""
    from_film: Path | None = None
    """Another film, whose emotions the face takes over, frame by frame."""
    out: Path | None = None
    """File to write, .mp4, .mov or .mkv; by default next to the film, with _edited appended."""
    face: int | None = None
    """Face to edit, counted from 1 at the left of the first frame that has any; by default the largest."""
    infant: bool = False
    """The face is an infant's: a mouth that opens shows gums."""

    def corners(self) -> np.ndarray | None:
        """Return the points of the path, float (n, 2), one for --emotion, or None for --from-film.

        Raises:
            UserError: not exactly one of --emotion, --points and --from-film is given, or a point is invalid.
        """
        if sum(option is not None for option in (self.emotion, self.points, self.from_film)) != 1:
            raise UserError("expected exactly one of --emotion (such as happy), --points and --from-film")
        if self.emotion is not None:
            return TABLE_II[[EXPRESSIONS.index(self.emotion)]]
        return None if self.points is None else parse_points(self.points)


@dataclass(frozen=True)
class Transfer(CommonOptions):
    """Transfer the emotions of a filmed dyad to two other faces (Section IV-C); write source and result as one film."""

    source: str = "procedural:0"
    """Source dyad: procedural:SEED, or a folder with films of the parent and the infant (parent.mp4 and infant.mp4, or
    .mov, .avi, .mkv, .webm, or folders of frames so named). Both begin at the same moment, at any frame rates."""
    adult: str = "procedural:1"
    """Face that receives the parent's emotions: a photograph of one face, or procedural:SEED."""
    infant: str = "procedural-infant:2"
    """Face that receives the infant's emotions: a photograph of one face, or procedural-infant:SEED."""
    out: Path = Path("transfer.mp4")
    """Film to write, .mp4 or .gif."""
    seconds: float = 8.0
    """Length of the part to transfer, from the start of the dyad, in seconds."""
    every: int = 1
    """Use every n-th frame of the faster film. Folders of frames have 30 per second."""
    smoothing: float = 3.0
    """Standard deviation, in frames, of the Gaussian filter over the emotions; 0 turns the filter off."""
    motion: bool = True
    """Rotate and resize the result slowly, as in Section IV-C."""
    seed: int = 0
    """Seed of the random motion."""


def parse_points(text: str) -> np.ndarray:
    """Parse --points into emotions (n, 2)."""
    points = []
    for word in text.split():
        if word in EXPRESSIONS:
            points.append(TABLE_II[EXPRESSIONS.index(word)])
            continue
        try:
            valence, arousal = (float(part) for part in word.split(","))
        except ValueError:
            raise UserError(
                f"--points: {word!r} is neither a valence,arousal pair (such as 0.7,0.3) nor one of "
                f"{', '.join(EXPRESSIONS)}"
            ) from None
        points.append(_inside(np.array([valence, arousal], np.float32), f"--points {word}"))
    if len(points) < 2:
        raise UserError(f"--points {text!r}: found {len(points)} point(s), expected at least two")
    return np.stack(points)


def _inside(emotion: np.ndarray, where: str) -> np.ndarray:
    """Return `emotion` if it lies in [-1, 1]; else raise UserError, which names the option `where`."""
    if not (np.abs(emotion) <= 1.0).all():
        raise UserError(
            f"{where}: {emotion.tolist()} is outside the valence-arousal plane; expected numbers from -1 to 1"
        )
    return emotion


def writable(path: Path, endings: tuple[str, ...]) -> Path:
    """Return `path` if it has one of `endings` and its folder exists; else raise UserError."""
    if path.suffix.lower() not in endings:
        raise UserError(f"--out {path}: expected a name that ends in {' or '.join(endings)}")
    if not path.absolute().parent.is_dir():
        raise UserError(f"--out {path}: the folder {path.parent} does not exist; create it first")
    return path

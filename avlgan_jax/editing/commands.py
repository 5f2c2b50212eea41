"""Edit a face, paint its feelings, play a dyad.

    python synthesize.py edit me.jpg --emotion happy
    python synthesize.py edit me.jpg --valence 0.7 --arousal 0.3
    python synthesize.py matrix procedural:3
    python synthesize.py emotions me.jpg --weights runs/mine
    python synthesize.py path me.jpg --points "neutral happy 0.2,0.7 neutral" --out walk.gif
    python synthesize.py transfer --out dyad.mp4

PHOTO is a picture file, or `procedural:SEED` or `procedural-infant:SEED` for a drawn face. The weights that come with
the package were trained on drawn faces; for photographs train others (docs/tutorial.md) and give --weights.
"""

import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from avlgan_jax import atomic_files
from avlgan_jax.errors import UserError, command
from avlgan_jax.faces.emotions import EXPRESSIONS, TABLE_II, emotion_path

Expression = Literal["neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt"]


@dataclass(frozen=True)
class CommonOptions:
    """What every command takes."""

    weights: str = "procedural48"
    """Weights: a name that comes with the package, or the folder of a bundle or of a training run."""
    landmarks: str = "dlib"
    """Landmark detector for photographs: dlib, fan or fan3d (the one the weights were trained with is best)."""


@dataclass(frozen=True)
class OnePhoto(CommonOptions):
    """What every command on one photograph takes."""

    photo: tyro.conf.Positional[str] = tyro.MISSING
    """The photograph, or procedural:SEED."""
    out: Path | None = None
    """File to write; by default beside the photograph, named after the command."""
    face: int | None = None
    """Which face, counted from 1 at the left; by default all."""

    def destination(self, name: str, endings: tuple[str, ...] = (".png", ".jpg", ".jpeg")) -> Path:
        """Where the result goes. Raises UserError for a file name that no result can have."""
        stem = Path(self.photo.replace(":", "-"))
        return _writable(self.out or Path(f"{stem.with_suffix('')}_{name}{endings[0]}"), endings)


@dataclass(frozen=True)
class Edit(OnePhoto):
    """The photograph with its faces at one emotion."""

    emotion: Expression | None = None
    """An expression of Table II, instead of --valence and --arousal."""
    valence: float | None = None
    """From -1 (displeasure) to 1 (pleasure)."""
    arousal: float | None = None
    """From -1 (asleep) to 1 (frantic)."""
    crop_only: bool = False
    """Write the faces alone, as the networks give them."""

    def target(self) -> np.ndarray:
        """The emotion asked for. Raises UserError where there is none, or two."""
        point = (self.valence, self.arousal)
        if self.emotion is not None and point == (None, None):
            return TABLE_II[EXPRESSIONS.index(self.emotion)]
        if self.emotion is None and None not in point:
            return _inside(np.array(point, np.float32), "--valence and --arousal")
        raise UserError("say which emotion: --emotion happy, or --valence 0.7 --arousal 0.3")


@dataclass(frozen=True)
class Matrix(OnePhoto):
    """The avImage matrix (Figure 5): each face over a grid of valence and arousal."""

    n: int = 9
    """Rows and columns."""


@dataclass(frozen=True)
class Emotions(OnePhoto):
    """Each face at the eight expressions of Table II (Figure 6)."""


@dataclass(frozen=True)
class Walk(OnePhoto):
    """A film (.mp4 or .gif) of the faces on a walk over the valence-arousal plane."""

    points: str = "neutral happy surprise fear sad neutral"
    """Where to go: expressions of Table II, or valence,arousal pairs, with spaces between them."""
    seconds: float = 4.0
    """How long it takes."""
    fps: float = 25.0
    """Frames a second."""
    crop_only: bool = False
    """Show the faces alone, as the networks give them."""


@dataclass(frozen=True)
class Transfer(CommonOptions):
    """Section IV-C: what a filmed dyad shows, performed by two other faces, side by side in a film."""

    source: str = "procedural:0"
    """The dyad: a folder with parent.mp4 and infant.mp4 (or folders of frames so named), or procedural:SEED."""
    adult: str = "procedural:1"
    """The adult who performs: a photograph, or procedural:SEED."""
    infant: str = "procedural-infant:2"
    """The infant who performs: a photograph, or procedural-infant:SEED."""
    out: Path = Path("transfer.mp4")
    """The film to write, .mp4 or .gif."""
    seconds: float = 8.0
    """How much of the dyad."""
    every: int = 1
    """Take every n-th of its 30 frames a second."""
    smoothing: float = 3.0
    """Standard deviation, in frames, of the Gaussian over the emotions read; 0 leaves each frame alone."""
    motion: bool = True
    """The slow turning and resizing of Section IV-C."""
    seed: int = 0
    """Decides the motion."""


Command = (
    Annotated[Edit, tyro.conf.subcommand("edit")]
    | Annotated[Matrix, tyro.conf.subcommand("matrix")]
    | Annotated[Emotions, tyro.conf.subcommand("emotions")]
    | Annotated[Walk, tyro.conf.subcommand("path")]
    | Annotated[Transfer, tyro.conf.subcommand("transfer")]
)


def edit(request: Edit) -> Path:
    """Do what `Edit` says; the file written."""
    target, out = request.target(), request.destination("edited")
    studio = EditingSession(request)
    photo, faces = studio.faces(request.photo, request.face)
    edited = [studio.editor.edit(face.image, *target, face.landmarks) for face in faces]
    _save(out, np.hstack(edited) if request.crop_only else studio.blend_all(photo, faces, edited))
    return out


def matrix(request: Matrix) -> Path:
    """Do what `Matrix` says; the file written."""
    from PIL import Image

    from avlgan_jax.faces import drawing

    out = request.destination("matrix", (".png",))
    studio = EditingSession(request)
    _, faces = studio.faces(request.photo, request.face)
    sheets = [
        drawing.avimage_matrix(face.image, studio.editor.matrix(face.image, request.n, face.landmarks))
        for face in faces
    ]
    page = Image.new("RGBA", (sheets[0].width, sum(sheet.height for sheet in sheets)), (0, 0, 0, 0))
    for k, sheet in enumerate(sheets):
        page.paste(sheet, (0, k * sheets[0].height))
    atomic_files.write_bytes(out, drawing.png(page))
    return out


def emotions(request: Emotions) -> Path:
    """Do what `Emotions` says; the file written."""
    from avlgan_jax.faces import drawing

    out = request.destination("emotions", (".png",))
    studio = EditingSession(request)
    _, faces = studio.faces(request.photo, request.face)
    rows = [studio.editor.edit(face.image, *TABLE_II.T, face.landmarks) for face in faces]
    atomic_files.write_bytes(
        out, drawing.png(drawing.expression_sheet(np.stack([face.image for face in faces]), np.stack(rows)))
    )
    return out


def walk(request: Walk) -> Path:
    """Do what `Walk` says; the file written."""
    from tqdm import tqdm

    from avlgan_jax.faces import video

    points, out = _points(request.points), request.destination("path", (".mp4", ".gif"))
    if not (request.seconds > 0.0 and request.fps > 0.0):
        raise UserError(f"--seconds {request.seconds}, --fps {request.fps}: expected both above 0")
    targets = emotion_path(points, max(2, round(request.seconds * request.fps)))
    studio = EditingSession(request)
    photo, faces = studio.faces(request.photo, request.face)
    edited = [studio.editor.edit(face.image, *targets.T, face.landmarks) for face in faces]

    def frames():
        for k in tqdm(range(len(targets)), desc="frames", unit=""):
            now = [film[k] for film in edited]
            yield np.hstack(now) if request.crop_only else studio.blend_all(photo, faces, now)

    video.write_video(out, frames(), request.fps)
    return out


def transfer(request: Transfer) -> Path:
    """Do what `Transfer` says; the file written."""
    from tqdm import tqdm

    from avlgan_jax.editing import motion
    from avlgan_jax.editing.dyad_film import FPS, PERSONS, DyadFrame, drawn_source, filmed_source, perform_track
    from avlgan_jax.editing.editor import smooth
    from avlgan_jax.faces import video
    from avlgan_jax.faces.procedural import named
    from avlgan_jax.models import transfer as transferring

    out = _writable(request.out, (".mp4", ".gif"))
    if not request.seconds > 0.0 or request.every < 1:
        raise UserError(f"--seconds {request.seconds}, --every {request.every}: expected more than 0")
    fps = FPS / request.every
    studio = EditingSession(request)
    models, resolution = studio.editor.models, studio.editor.resolution
    performers = [studio.one_face(name) for name in (request.adult, request.infant)]
    drawn = named.seed_of(request.source)
    with tqdm(total=2 * round(request.seconds * fps), desc="source", unit=" frames") as bar:
        if drawn is not None:
            seed, _ = drawn
            *sources, phases = drawn_source(seed, request.seconds, resolution, bar.update, every=request.every)
        else:
            folder = Path(request.source)
            sources = filmed_source(folder, studio.detector, resolution, request.seconds, bar.update, request.every)
            phases = [""] * len(sources[0].faces)
    read = [smooth(transferring.read_emotions_in_disc(models, source.faces), request.smoothing) for source in sources]
    count = len(phases)
    still = [motion.View(0.0, 1.0)] * count
    played = [
        perform_track(
            studio.editor,
            photo,
            face,
            track,
            motion.views(2 * request.seed + k, count, fps) if request.motion else still,
        )
        for k, ((photo, face), track) in enumerate(zip(performers, read, strict=True))
    ]
    page = DyadFrame({name: track[:, 0] for name, track in zip(PERSONS, read, strict=True)}, phases)

    def frames():
        shown = zip(*(source.shown for source in sources), *played, strict=True)
        for k, panels in enumerate(tqdm(shown, total=count, desc="film", unit=" frames")):
            yield page.frame(k, list(panels))

    video.write_video(out, frames(), fps)
    return out


class EditingSession:
    """The weights and, once a photograph asks for it, the detector."""

    def __init__(self, tools: CommonOptions):
        from avlgan_jax.editing.editor import load

        self.editor = load(tools.weights)
        self._landmarks = tools.landmarks

    @functools.cached_property
    def detector(self):
        from avlgan_jax.faces import detectors

        return detectors.create(self._landmarks)

    def faces(self, name: str, chosen: int | None):
        """The photograph and its faces, or the chosen one."""
        from avlgan_jax.editing import photograph
        from avlgan_jax.faces.procedural import named

        resolution, dimensions = self.editor.resolution, self.editor.landmark_dimensions
        drawn = named.draw_by_name(name, dimensions=dimensions)
        if drawn is not None:
            photo, landmarks = drawn
            faces = [photograph.uncropped_face(photo, landmarks, resolution)]
        else:
            photo = photograph.read(Path(name))
            faces = photograph.faces(photo, self.detector, resolution, name, dimensions)
            _say_what_the_weights_know(self.editor)
        if chosen is None:
            return photo, faces
        if not 1 <= chosen <= len(faces):
            raise UserError(f"--face {chosen}: {name} has {len(faces)} face(s), counted from 1 at the left")
        return photo, [faces[chosen - 1]]

    def one_face(self, name: str):
        """A photograph that must have one face, and that face."""
        photo, faces = self.faces(name, None)
        if len(faces) > 1:
            raise UserError(f"{name} has {len(faces)} faces; to perform, give a picture of one")
        return photo, faces[0]

    def blend_all(self, photo: np.ndarray, faces: list, edited: list[np.ndarray]) -> np.ndarray:
        """The whole photograph with the edited faces blended in."""
        from avlgan_jax.editing import photograph

        for face, image in zip(faces, edited, strict=True):
            photo = photograph.blend(photo, face, image)
        return photo


def _say_what_the_weights_know(editor) -> None:
    known = f"note: these weights were trained on {editor.trained_on}"
    if editor.bundle.config.data == "procedural_faces":
        known += (
            ", which are drawn: a photograph cannot look right with them. "
            "Train on photographs (docs/tutorial.md) and give --weights RUN"
        )
    print(known, file=sys.stderr)


def _points(text: str) -> np.ndarray:
    points = []
    for word in text.split():
        if word in EXPRESSIONS:
            points.append(TABLE_II[EXPRESSIONS.index(word)])
            continue
        try:
            valence, arousal = (float(part) for part in word.split(","))
        except ValueError:
            raise UserError(
                f"--points: {word!r} is neither valence,arousal (0.7,0.3) nor one of {', '.join(EXPRESSIONS)}"
            ) from None
        points.append(_inside(np.array([valence, arousal], np.float32), f"--points {word}"))
    if len(points) < 2:
        raise UserError(f"--points {text!r}: a walk needs at least two points")
    return np.stack(points)


def _inside(emotion: np.ndarray, where: str) -> np.ndarray:
    if not (np.abs(emotion) <= 1.0).all():
        raise UserError(f"{where}: {emotion.tolist()} is outside the plane; expected numbers from -1 to 1")
    return emotion


def _writable(path: Path, endings: tuple[str, ...]) -> Path:
    if path.suffix.lower() not in endings:
        raise UserError(f"--out {path}: expected a name that ends in {' or '.join(endings)}")
    if not path.absolute().parent.is_dir():
        raise UserError(f"--out {path}: there is no folder {path.parent}; make it first")
    return path


def _save(path: Path, image: np.ndarray) -> None:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    options = {"format": "PNG"} if path.suffix.lower() == ".png" else {"format": "JPEG", "quality": 95}
    Image.fromarray(image).save(buffer, **options)
    atomic_files.write_bytes(path, buffer.getvalue())


@command
def main() -> None:
    """The command line."""
    request = tyro.cli(Command, description=__doc__)
    tasks = {Edit: edit, Matrix: matrix, Emotions: emotions, Walk: walk, Transfer: transfer}
    print(tasks[type(request)](request))


if __name__ == "__main__":
    main()

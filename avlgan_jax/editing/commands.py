"""Editing of faces: a photograph or a film at chosen emotions, or a filmed dyad transferred to two other faces.

    python synthesize.py edit me.jpg --emotion happy
    python synthesize.py edit me.jpg --valence 0.7 --arousal 0.3
    python synthesize.py matrix procedural:3
    python synthesize.py emotions me.jpg --weights runs/mine
    python synthesize.py path me.jpg --points "neutral happy 0.2,0.7 neutral" --out walk.gif
    python synthesize.py film me.mp4 --emotion happy
    python synthesize.py transfer --out dyad.mp4

PHOTO is a picture file, or `procedural:SEED` or `procedural-infant:SEED` for a drawn face. The packaged weights were
trained on drawn faces and on photographs; pass others with --weights.
"""

import functools
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from avlgan_jax import atomic_files
from avlgan_jax.editing.requests import (
    CommonOptions,
    Edit,
    EmotionPath,
    Emotions,
    Film,
    Matrix,
    Transfer,
    parse_points,
    writable,
)
from avlgan_jax.errors import UserError, command, command_line
from avlgan_jax.faces import pictures
from avlgan_jax.faces.emotions import TABLE_II, emotion_path, matrix_emotions

# Side in pixels of the faces of a matrix, and of those of a sheet of expressions.
_MATRIX_SIDE, _SHEET_SIDE = 128, 192

Command = (
    Annotated[Edit, tyro.conf.subcommand("edit")]
    | Annotated[Matrix, tyro.conf.subcommand("matrix")]
    | Annotated[Emotions, tyro.conf.subcommand("emotions")]
    | Annotated[EmotionPath, tyro.conf.subcommand("path")]
    | Annotated[Film, tyro.conf.subcommand("film")]
    | Annotated[Transfer, tyro.conf.subcommand("transfer")]
)


def edit(request: Edit) -> Path:
    """Edit the faces of a photograph to one emotion and return the file written.

    Raises:
        UserError: an option is invalid, or the weights or the photograph cannot be used.
    """
    target, out = request.target(), request.destination("edited")
    session = EditingSession(request)
    photo, faces = session.faces(request.photo, request.face, request.infant)
    edited = [
        session.editor.edit_with_landmarks(face.image, *target, face.landmarks, photographed=True) for face in faces
    ]
    crops = pictures.Picture(np.hstack([face.images for face in edited]))
    result = crops if request.crop_only else session.blend_all(photo, faces, edited)
    atomic_files.write_bytes(out, pictures.encode(result, out.suffix))
    return out


def matrix(request: Matrix) -> Path:
    """Write the avImage matrix of each face, one below the other, and return the file written.

    Raises:
        UserError: an option is invalid, or the weights or the photograph cannot be used.
    """
    from PIL import Image

    from avlgan_jax.faces import drawing
    from avlgan_jax.photographs import cropping

    points, out = matrix_emotions(request.n), request.destination("matrix", (".png",))
    session = EditingSession(request)
    photo, faces = session.faces(request.photo, request.face, request.infant)
    pixels, sheets = photo.on_white(), []
    for face in faces:
        grid = session.editor.portraits(pixels, face, points, _MATRIX_SIDE)
        shown, _ = cropping.portrait(pixels, face, _MATRIX_SIDE)
        sheets.append(drawing.avimage_matrix(shown, grid.reshape(request.n, request.n, *grid.shape[1:]), _MATRIX_SIDE))
    page = Image.new("RGBA", (sheets[0].width, sum(sheet.height for sheet in sheets)), (0, 0, 0, 0))
    for k, sheet in enumerate(sheets):
        page.paste(sheet, (0, k * sheets[0].height))
    atomic_files.write_bytes(out, drawing.png(page))
    return out


def emotions(request: Emotions) -> Path:
    """Write each face at the expressions of Table II, one row per face, and return the file written.

    Raises:
        UserError: an option is invalid, or the weights or the photograph cannot be used.
    """
    from avlgan_jax.faces import drawing
    from avlgan_jax.photographs import cropping

    out = request.destination("emotions", (".png",))
    session = EditingSession(request)
    photo, faces = session.faces(request.photo, request.face, request.infant)
    pixels = photo.on_white()
    rows = [session.editor.portraits(pixels, face, TABLE_II, _SHEET_SIDE) for face in faces]
    inputs = [cropping.portrait(pixels, face, _SHEET_SIDE)[0] for face in faces]
    atomic_files.write_bytes(out, drawing.png(drawing.expression_sheet(np.stack(inputs), np.stack(rows), _SHEET_SIDE)))
    return out


def emotion_film(request: EmotionPath) -> Path:
    """Write a film of the faces along a path and return the file written. The path has constant speed.

    Raises:
        UserError: an option is invalid, or the weights or the photograph cannot be used.
    """
    from tqdm import tqdm

    from avlgan_jax.faces import video

    points, out = parse_points(request.points), request.destination("path", (".mp4", ".gif"))
    if not (request.seconds > 0.0 and request.fps > 0.0):
        raise UserError(f"--seconds {request.seconds}, --fps {request.fps}: expected two numbers above 0")
    targets = emotion_path(points, max(2, round(request.seconds * request.fps)))
    session = EditingSession(request)
    photo, faces = session.faces(request.photo, request.face, request.infant)
    edited = [
        session.editor.edit_with_landmarks(face.image, *targets.T, face.landmarks, photographed=True) for face in faces
    ]

    def frames():
        for k in tqdm(range(len(targets)), desc="frames", unit=""):
            now = [film.at(k) for film in edited]
            crops = np.hstack([face.images for face in now])
            yield crops if request.crop_only else session.blend_all(photo, faces, now).on_white()

    video.write_video(out, frames(), request.fps)
    return out


def film(request: Film) -> Path:
    """Edit a face of a film and return the file written.

    Raises:
        UserError: an option is invalid, or the weights or a film cannot be used.
    """
    from tqdm import tqdm

    from avlgan_jax.editing import film as films
    from avlgan_jax.faces import film_writer, footage

    corners = request.corners()
    out = writable(request.out or request.film.with_name(f"{request.film.stem}_edited.mp4"), film_writer.ENDINGS)
    if request.face is not None and request.face < 1:
        raise UserError(f"--face {request.face}: expected a number from 1 (leftmost)")
    source = footage.read_film(request.film)
    if len(source.times) < 2:
        raise UserError(f"{request.film} has one picture; expected a film: edit it with {command_line('edit')} edit")
    if out.exists() and out.samefile(request.film):
        raise UserError(f"--out {out} is the film itself; choose another file")
    other = None if request.from_film is None else footage.read_film(request.from_film)
    session = EditingSession(request)
    editor, detector = session.editor, session.detector  # loaded before a bar of progress is shown
    _print_training_data(editor)
    number = None if request.face is None else request.face - 1
    with films.stoppable(out):
        if other is not None:
            with tqdm(total=len(other.times), desc="emotions", unit=" frames") as bar:
                emotions = films.of_film(other, editor, detector, source.times, bar.update)
        else:
            emotions = films.along_path(corners, source.times)
        with tqdm(total=len(source.times), desc="film", unit=" frames") as bar:
            return films.edit_film(source, out, editor, detector, emotions, number, bar.update, request.infant)


def transfer(request: Transfer) -> Path:
    """Transfer a dyad's emotions to two other faces, write the film and return its file.

    Raises:
        UserError: an option is invalid, or the weights, the dyad or a photograph cannot be used.
    """
    from tqdm import tqdm

    from avlgan_jax.editing import motion
    from avlgan_jax.editing.dyad_film import FPS, PERSONS, DyadFrame, drawn_source, filmed_source, perform_track
    from avlgan_jax.editing.editor import smooth
    from avlgan_jax.faces import video
    from avlgan_jax.faces.procedural import named
    from avlgan_jax.models import transfer as transferring

    out = writable(request.out, (".mp4", ".gif"))
    if not request.seconds > 0.0 or request.every < 1:
        raise UserError(
            f"--seconds {request.seconds}, --every {request.every}: expected --seconds above 0 and --every above 0"
        )
    session = EditingSession(request)
    models, resolution = session.editor.models, session.editor.resolution
    performers = [session.one_face(name, infant) for name, infant in ((request.adult, False), (request.infant, True))]
    drawn = named.seed_of(request.source)
    with tqdm(desc="source", unit=" frames") as bar:
        if drawn is not None:
            (seed, _), fps = drawn, FPS / request.every
            *sources, phases = drawn_source(seed, request.seconds, resolution, bar.update, every=request.every)
        else:
            folder = Path(request.source)
            *sources, fps = filmed_source(
                folder, session.detector, resolution, request.seconds, bar.update, request.every
            )
            phases = [""] * len(sources[0].faces)
    tracks = [smooth(transferring.read_emotions_in_disc(models, source.faces), request.smoothing) for source in sources]
    count = len(phases)
    still = [motion.View(0.0, 1.0)] * count
    performed = [
        perform_track(
            session.editor,
            photo.pixels,
            face,
            track,
            motion.views(2 * request.seed + k, count, fps) if request.motion else still,
        )
        for k, ((photo, face), track) in enumerate(zip(performers, tracks, strict=True))
    ]
    page = DyadFrame({name: track[:, 0] for name, track in zip(PERSONS, tracks, strict=True)}, phases)

    def frames():
        shown = zip(*(source.shown for source in sources), *performed, strict=True)
        for k, panels in enumerate(tqdm(shown, total=count, desc="film", unit=" frames")):
            yield page.frame(k, list(panels))

    video.write_video(out, frames(), fps)
    return out


class EditingSession:
    """Editor and landmark detector of one command, each created at first use."""

    def __init__(self, options: CommonOptions):
        self._weights, self._landmarks = options.weights, options.landmarks

    @functools.cached_property
    def editor(self):
        """The trained models. Raises UserError as `avlgan_jax.editing.editor.load` does."""
        from avlgan_jax.editing.editor import load

        return load(self._weights)

    @functools.cached_property
    def detector(self):
        """The landmark detector, created at first use. Raises UserError if it is unknown or its files are missing."""
        from avlgan_jax.faces import detectors

        name = detectors.for_photographs(self._landmarks)
        if name != self._landmarks:
            print(f"landmarks: {name}", file=sys.stderr)
        return detectors.create(name)

    def faces(self, name: str, chosen: int | None, infants: bool = False):
        """Return a photograph and its faces, and note on stderr if there are several, and all of them are edited.

        Args, returns and raises as `_found`, and:

        Args:
            chosen: number of one face, counted from 1 at the left; None for all faces.

        Raises:
            UserError: there is no face of that number.
        """
        photo, faces = self._found(name, infants)
        if chosen is None:
            if len(faces) > 1:
                print(
                    f"{name}: all {len(faces)} faces are edited; --face N edits one, counted from the left",
                    file=sys.stderr,
                )
            return photo, faces
        if not 1 <= chosen <= len(faces):
            raise UserError(
                f"--face {chosen}: {name} has {len(faces)} face(s); expected a number from 1 (leftmost) to {len(faces)}"
            )
        return photo, [faces[chosen - 1]]

    def _found(self, name: str, infants: bool):
        """Return a photograph and all of its faces, and note on stderr which data the weights were trained on.

        Drawn faces need no detector and print no note.

        Args:
            name: a picture file, or the name of a drawn face.
            infants: whether the faces are infants', as those of `procedural-infant` always are.

        Returns:
            The photograph as a `pictures.Picture`, and a list of `cropping.FaceCrop` from left to right.

        Raises:
            UserError: the file is not a readable picture, or it has no face.
        """
        from avlgan_jax.faces.procedural import named

        # Before the models are loaded, which takes long: a wrong name or a damaged file is reported at once.
        photo = pictures.read(Path(name)) if named.seed_of(name) is None else None
        from avlgan_jax.photographs import cropping

        resolution, dimensions = self.editor.resolution, self.editor.landmark_dimensions
        drawn = named.draw_by_name(name, dimensions=dimensions)
        if drawn is not None:
            image, landmarks = drawn
            infant = infants or named.seed_of(name)[1]
            photo, faces = pictures.Picture(image), [cropping.uncropped_face(image, landmarks, resolution, infant)]
        else:
            faces = cropping.faces(photo.pixels, self.detector, resolution, name, dimensions, infants)
            _print_training_data(self.editor)
        return photo, faces

    def one_face(self, name: str, infant: bool):
        """Return a photograph of one face, and its face. Raises UserError as `_found` does, or for several faces."""
        photo, faces = self._found(name, infant)
        if len(faces) > 1:
            raise UserError(f"{name} has {len(faces)} faces; expected one: crop the picture to the face that performs")
        return photo, faces[0]

    def blend_all(self, photo: pictures.Picture, faces: list, edited: list) -> pictures.Picture:
        """Return the photograph with its `faces` edited, one `editor.Edited` for each."""
        pixels = photo.pixels
        for face, changed in zip(faces, edited, strict=True):
            pixels = self.editor.blend(pixels, face, changed)
        return photo.edited(pixels)


def _print_training_data(editor) -> None:
    """Print the training data of the weights to stderr, with a warning if these are drawn faces."""
    note = f"note: these weights were trained on {editor.trained_on}"
    if editor.bundle.config.data == "procedural_faces":
        note += (
            ": what opens in a photograph, a mouth or eyes, is painted as in a drawing; "
            "to train on photographs see docs/tutorial.md, and pass --weights RUN"
        )
    print(note, file=sys.stderr)


@command
def main() -> None:
    """Run the command line."""
    request = tyro.cli(Command, description=__doc__)
    # Imported after the command line is checked: JAX takes a second or two.
    from avlgan_jax.runtime import devices

    devices.use_compilation_cache(atomic_files.user_cache() / "programs")
    tasks = {Edit: edit, Matrix: matrix, Emotions: emotions, EmotionPath: emotion_film, Film: film, Transfer: transfer}
    print(tasks[type(request)](request))


if __name__ == "__main__":
    main()

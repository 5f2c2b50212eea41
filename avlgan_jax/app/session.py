"""State of one open page and the requests it can make, as synchronous calls; `server` connects them to a browser.

Every reply is a header (JSON) and a payload of bytes (pixels, or a file). Nothing is kept on disk: a film is written to
a temporary file, which is deleted before the reply is sent.
"""

import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from avlgan_jax.editing import dyad_film, editor
from avlgan_jax.editing.editor import Edited, Editor
from avlgan_jax.errors import UserError
from avlgan_jax.faces import drawing, pictures, procedural, video
from avlgan_jax.faces.detectors import Detector
from avlgan_jax.faces.emotions import matrix_emotions
from avlgan_jax.faces.landmarks import in_plane
from avlgan_jax.faces.pictures import Picture
from avlgan_jax.faces.procedural import named
from avlgan_jax.models import transfer as transferring
from avlgan_jax.photographs import blending, cropping, mouths
from avlgan_jax.photographs.cropping import FaceCrop

SHOWN = 256  # side of a drawn face on the page, in pixels
LARGEST_SHOWN = 512  # side of a photographed face, which is shown at its own size up to this
MATRIX, MATRIX_SIDE = 9, 128  # rows and columns of the face matrix, and the side of its faces in the saved file
FILM_FPS = 25
LONGEST_FILM = 30 * FILM_FPS  # frames
DYAD_SIDE, DYAD_SECONDS, DYAD_EVERY = 96, 9.0, 3  # every third frame: ten per second
LARGEST_SEED = 10**9


@dataclass
class Reply:
    """Reply to the page: a header that can be written as JSON, and bytes."""

    header: dict = field(default_factory=dict)
    payload: bytes = b""


class Session:
    """State of one open page: the face that it shows, at first a drawn adult.

    Args:
        model: the trained models.
        detector: creates or returns the landmark detector for uploaded pictures.

    Raises:
        UserError: in every method, if a request is invalid or a picture cannot be used. The state is unchanged then.
    """

    def __init__(self, model: Editor, detector: Callable[[], Detector]):
        self._model = model
        self._detector = detector
        self.draw(1, False)

    def answer(self, request: dict) -> Reply:
        """Check the fields of a request of the page, run it and return the reply.

        Args:
            request: `{"do": NAME, ...}`. NAME is one of the names below; the other fields are the arguments of the
                method of that name.
        """
        actions = {
            "draw": (self.draw, {"seed": _seed, "infant": bool}),
            "choose": (self.choose, {"face": self._number, "keep": bool}),
            "age": (self.age, {"infant": bool}),
            "edit": (self.edit, {"valence": _unit, "arousal": _unit, "offsets": self._offsets, "plain": bool}),
            "original": (self.original, {}),
            "picture_file": (
                self.picture_file,
                {"valence": _unit, "arousal": _unit, "offsets": self._offsets, "untouched": bool},
            ),
            "matrix": (self.matrix, {}),
            "matrix_file": (self.matrix_file, {}),
            "film": (self.film, {"points": _points, "format": _format, "offsets": self._offsets}),
            "dyad": (self.dyad, {"seed": _seed, "smoothing": _smoothing}),
        }
        name = request.get("do")
        if not isinstance(name, str) or name not in actions:
            raise UserError(
                f"unknown request {str(name)[:40]!r}: expected one of {', '.join(actions)}; reload the page"
            )
        action, fields = actions[name]
        return action(**{name: parse(request.get(name)) for name, parse in fields.items()})

    def draw(self, seed: int, infant: bool) -> Reply:
        """Show the drawn face of `seed`, an infant or an adult."""
        photo, landmarks = named.draw_face(seed, infant, SHOWN, dimensions=self._model.landmark_dimensions)
        return self._open(Picture(photo), [cropping.uncropped_face(photo, landmarks, self._model.resolution, infant)])

    def upload(self, content: bytes) -> Reply:
        """Show the largest face of a picture file, given its bytes."""
        picture = pictures.decode(content, "the file")
        resolution, dimensions = self._model.resolution, self._model.landmark_dimensions
        return self._open(
            picture, cropping.faces(picture.on_white(), self._detector(), resolution, "the picture", dimensions)
        )

    def _open(self, picture: Picture, faces: list[FaceCrop]) -> Reply:
        """Make a picture the current one, and show its largest face."""
        self._picture, self._faces, self._kept = picture, faces, {}
        return self._show(max(range(len(faces)), key=lambda k: faces[k].square.side))

    def choose(self, face: int, keep: bool) -> Reply:
        """Show another face of the picture, counted from 0 at the left.

        Args:
            face: its number.
            keep: whether the last edit of the face that was shown stays in the picture that is saved.
        """
        if keep and self._last is not None:
            self._kept[self._number_shown] = self._last
        else:
            self._kept.pop(self._number_shown, None)
        return self._show(face)

    def age(self, infant: bool) -> Reply:
        """Make the face that is shown an infant's, whose mouth has no teeth, or an adult's."""
        self._faces[self._number_shown] = dataclasses.replace(self._faces[self._number_shown], infant=infant)
        self._face = dataclasses.replace(self._face, infant=infant)
        return Reply({"infant": infant})

    def _show(self, number: int) -> Reply:
        """Make a face of the picture the current one.

        Returns:
            Its landmarks, read emotion, number, and whether it is an infant's; the number of faces, and as payload
            all faces as the networks see them.
        """
        face = self._faces[number]
        valence, arousal = transferring.read_emotions_in_disc(self._model.models, face.image[None])[0].tolist()
        side = int(np.clip(round(face.square.side), SHOWN, LARGEST_SHOWN))
        self._number_shown = number
        self._shown, self._face = cropping.portrait(self._picture.on_white(), face, side)
        self._last = None
        header = {"valence": valence, "arousal": arousal, "landmarks": _flat(face.landmarks)}
        header |= {"face": number, "faces": len(self._faces), "side": len(face.image), "infant": face.infant}
        return Reply(header, b"".join(each.image.tobytes() for each in self._faces))

    def edit(self, valence: float, arousal: float, offsets: Float[np.ndarray, "68 d"], plain: bool) -> Reply:
        """Return the face at an emotion, and its landmarks.

        Args:
            valence: target valence in [-1, 1].
            arousal: target arousal in [-1, 1].
            offsets: added to the converted landmarks, in pixels of the networks' images.
            plain: return the output of the network instead of blending it into the shown picture.
        """
        self._last = edited = self._edited(valence, arousal, offsets)
        shown = edited.images if plain else self._model.blend(self._shown, self._face, edited)
        landmarks = edited.landmarks if plain else blending.shown_landmarks(self._face.landmarks, edited.landmarks)
        return Reply({"landmarks": _flat(landmarks), "side": len(shown)}, shown.tobytes())

    def _edited(self, valence: float, arousal: float, offsets: Float[np.ndarray, "68 d"]) -> Edited:
        """Return the face at an emotion, with offsets added to its converted landmarks."""
        landmarks = self._converted(np.array([[valence, arousal]], np.float32))[0] + offsets
        return Edited(self._model.paint(self._face.image, self._face.landmarks, landmarks, valence, arousal), landmarks)

    def original(self) -> Reply:
        """Return the untouched face, to compare, and its landmarks."""
        return Reply({"landmarks": _flat(self._face.landmarks), "side": len(self._shown)}, self._shown.tobytes())

    def picture_file(
        self, valence: float, arousal: float, offsets: Float[np.ndarray, "68 d"], untouched: bool
    ) -> Reply:
        """Return the complete picture as a PNG file at its full size, with its alpha and colour profile.

        The face that is shown has the given emotion and offsets, as in `edit`, unless it is `untouched`; faces that
        `choose` kept are edited too.
        """
        pixels = self._picture.pixels
        edits = self._kept | {self._number_shown: None if untouched else self._edited(valence, arousal, offsets)}
        for number, edited in edits.items():
            if edited is None:
                continue
            pixels = self._model.blend(pixels, self._faces[number], edited)
        return Reply({"type": "image/png"}, pictures.encode(self._picture.edited(pixels), ".png"))

    def _converted(self, emotions: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 68 d"]:
        """Return the landmarks of the face converted to each emotion."""
        points = np.broadcast_to(self._face.landmarks, (len(emotions), *self._face.landmarks.shape))
        return mouths.converted(points, emotions, self._model.models.convert_landmarks)

    def matrix(self) -> Reply:
        """Return the face at MATRIX x MATRIX emotions as network outputs, for the background of the plane.

        The emotions are the centres of the cells of a grid over [-1, 1]; the first row has the highest arousal.
        """
        centres = (2.0 * np.arange(MATRIX, dtype=np.float32) + 1.0) / MATRIX - 1.0
        grid = self._model.edit(self._face.image, centres[None, :], centres[::-1, None], self._face.landmarks)
        return Reply({"n": MATRIX, "side": grid.shape[2]}, grid.tobytes())

    def matrix_file(self) -> Reply:
        """Return the avImage matrix (Figure 5) as a PNG file."""
        grid = self._model.portraits(self._shown, self._face, matrix_emotions(MATRIX), MATRIX_SIDE)
        grid = grid.reshape(MATRIX, MATRIX, *grid.shape[1:])
        return Reply({"type": "image/png"}, drawing.png(drawing.avimage_matrix(self._shown, grid, MATRIX_SIDE)))

    def film(self, points: Float[np.ndarray, "n 2"], format: str, offsets: Float[np.ndarray, "68 d"]) -> Reply:
        """Return a film of the face at recorded emotions.

        Args:
            points: valence and arousal of each frame.
            format: "mp4" or "gif".
            offsets: added to the converted landmarks, in pixels of the networks' images.
        """
        images, landmarks = (
            np.broadcast_to(array, (len(points), *array.shape)) for array in (self._face.image, self._face.landmarks)
        )
        moved = self._converted(points) + offsets
        edited = Edited(self._model.paint(images, landmarks, moved, *points.T), moved)
        frames = (self._model.blend(self._shown, self._face, edited.at(k)) for k in range(len(points)))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"walk.{format}")
            video.write_video(path, frames, FILM_FPS)
            return Reply({"type": {"mp4": "video/mp4", "gif": "image/gif"}[format]}, path.read_bytes())

    def dyad(self, seed: int, smoothing: float) -> Reply:
        """Return four films: a drawn mother and infant, and two other faces with their emotions (Section IV-C).

        Args:
            seed: seed of the dyad and of the two other faces.
            smoothing: standard deviation, in frames, of a Gaussian filter over the emotions.
        """
        model = self._model
        *sources, phases = dyad_film.drawn_source(
            seed, DYAD_SECONDS, model.resolution, side=DYAD_SIDE, every=DYAD_EVERY
        )
        tracks = [
            editor.smooth(transferring.read_emotions_in_disc(model.models, source.faces), smoothing)
            for source in sources
        ]
        films = [source.shown for source in sources]
        for k, track in enumerate(tracks):
            photo, landmarks = named.draw_face(2 * seed + k, bool(k), DYAD_SIDE, dimensions=model.landmark_dimensions)
            face = cropping.uncropped_face(photo, landmarks, model.resolution, bool(k))
            films.append(model.portraits(photo, face, track, DYAD_SIDE))
        header = {
            "frames": len(phases),
            "side": DYAD_SIDE,
            "fps": procedural.FRAMES_PER_SECOND / DYAD_EVERY,
            "phases": phases,
            "emotions": [track.round(4).tolist() for track in tracks],
        }
        return Reply(header, b"".join(shown.tobytes() for shown in films))

    def _number(self, value: object) -> int:
        """Parse the number of a face of the picture. Raises UserError if there is none of that number."""
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(self._faces):
            raise UserError(f"face {str(value)[:40]}: expected a number from 0 to {len(self._faces) - 1}")
        return value

    def _offsets(self, value: object) -> Float[np.ndarray, "68 d"]:
        """Parse by how much the page moved the landmarks: (x, y) of each; a depth is never moved."""
        offsets = np.zeros((68, self._model.landmark_dimensions), np.float32)
        if value is not None:
            side = self._model.resolution
            in_plane(offsets)[:] = numbers(value, 136, "offsets").reshape(68, 2).clip(-side, side)
        return offsets


def prepare(model: Editor, detector: Callable[[], Detector]) -> None:
    """Compile the programs of an edit, which takes a second, so that the first one of a page does not wait for them."""
    Session(model, detector).answer({"do": "edit", "valence": 0.5, "arousal": 0.5})


def _flat(landmarks: Float[np.ndarray, "68 d"]) -> list[float]:
    """Return x and y of all landmarks as one list of 136 numbers, for JSON."""
    return in_plane(landmarks).astype(float).round(2).ravel().tolist()


def numbers(value: object, count: int, name: str) -> Float[np.ndarray, "n"]:
    """Parse `count` finite numbers, nested in any way. Raises UserError that names the field `name`."""
    try:
        numbers = np.array(value, np.float32).ravel()
    except (ValueError, TypeError, OverflowError):
        numbers = np.zeros(0)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise UserError(f"{name}: expected {count} finite number(s)")
    return numbers


def _unit(value: object) -> float:
    """Parse valence or arousal, clipped to [-1, 1]."""
    return float(numbers(value, 1, "valence and arousal")[0].clip(-1.0, 1.0))


def _smoothing(value: object) -> float:
    """Parse the smoothing in frames, clipped to [0, 10]."""
    return float(numbers(value, 1, "smoothing")[0].clip(0.0, 10.0))


def _seed(value: object) -> int:
    """Parse a seed. Raises UserError unless it is an integer in the allowed range."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < LARGEST_SEED:
        raise UserError(f"seed {str(value)[:40]}: expected an integer from 0 to {LARGEST_SEED - 1}")
    return value


def _points(value: object) -> Float[np.ndarray, "n 2"]:
    """Parse the emotions of a film, clipped to [-1, 1]. Raises UserError for too few or too many."""
    count = len(value) if isinstance(value, list) else 0
    if not 2 <= count <= LONGEST_FILM:
        raise UserError(
            f"film of {count} points: expected 2 to {LONGEST_FILM} points ({LONGEST_FILM // FILM_FPS} seconds)"
        )
    return numbers(value, 2 * count, "points").reshape(-1, 2).clip(-1.0, 1.0)


def _format(value: object) -> str:
    """Parse the file format of a film."""
    if value not in ("mp4", "gif"):
        raise UserError(f"film format {str(value)[:40]!r}: expected mp4 or gif")
    return value

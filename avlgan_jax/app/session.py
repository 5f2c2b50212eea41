"""What one open page holds, and what it can ask for. Plain calls: `server` brings them to a browser.

Every answer is a header for JSON and a payload of bytes (pixels, or a file). Nothing is kept on disk: a film passes
through a temporary file that is gone before the answer is.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from avlgan_jax.editing import dyad_film, editor, photograph
from avlgan_jax.editing.editor import Editor
from avlgan_jax.editing.photograph import FaceCrop, Photo
from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop, drawing, procedural, video
from avlgan_jax.faces.crop import CropSquare
from avlgan_jax.faces.detectors import Detector
from avlgan_jax.faces.landmarks import in_plane
from avlgan_jax.faces.procedural import named
from avlgan_jax.models import transfer as transferring

SHOWN = 256  # side of the face on the page, in pixels
MATRIX = 9
FILM_FPS = 25
LONGEST_FILM = 30 * FILM_FPS  # frames
DYAD_SIDE, DYAD_SECONDS, DYAD_EVERY = 96, 9.0, 3  # every third frame: ten a second
LARGEST_SEED = 10**9


@dataclass
class Reply:
    """What goes back: a header for JSON, and bytes."""

    header: dict = field(default_factory=dict)
    payload: bytes = b""


class Session:
    """One page: the face it shows. All methods raise UserError for what cannot be done, and then change nothing."""

    def __init__(self, model: Editor, detector: Callable[[], Detector]):
        self._model = model
        self._detector = detector
        self.draw(1, False)

    def answer(self, request: dict) -> Reply:
        """What a request `{"do": NAME, ...}` of the page asks for."""
        actions = {
            "draw": (self.draw, {"seed": _seed, "infant": bool}),
            "edit": (self.edit, {"valence": _unit, "arousal": _unit, "offsets": self._offsets, "plain": bool}),
            "matrix": (self.matrix, {}),
            "matrix_file": (self.matrix_file, {}),
            "film": (self.film, {"points": _points, "format": _format, "offsets": self._offsets}),
            "dyad": (self.dyad, {"seed": _seed, "smoothing": _smoothing}),
        }
        action, fields = actions.get(request.get("do"), (None, {}))
        if action is None:
            raise UserError(f"the page asked for {request.get('do')!r}, which nobody knows; load it again")
        return action(**{name: read(request.get(name)) for name, read in fields.items()})

    def draw(self, seed: int, infant: bool) -> Reply:
        """Show a drawn face."""
        photo, landmarks = named.draw_face(seed, infant, SHOWN, dimensions=self._model.landmark_dimensions)
        return self._show(photo, photograph.uncropped_face(photo, landmarks, self._model.resolution), 1)

    def upload(self, content: bytes) -> Reply:
        """Show the largest face of a picture file."""
        photo = photograph.decode(content, "the file")
        resolution, dimensions = self._model.resolution, self._model.landmark_dimensions
        faces = photograph.faces(photo, self._detector(), resolution, "the picture", dimensions)
        largest = max(faces, key=lambda face: face.square.side)
        return self._show(crop.crop_square(photo, largest.square, SHOWN), largest, len(faces))

    def _show(self, shown: Photo, face: FaceCrop, count: int) -> Reply:
        self._shown = shown
        self._face = FaceCrop(face.image, face.landmarks, CropSquare(0.0, 0.0, float(SHOWN)))
        valence, arousal = self._model.predict(face.image).clip(-1.0, 1.0).tolist()
        return Reply({"valence": valence, "arousal": arousal, "faces": count, "landmarks": _flat(face.landmarks)})

    def edit(self, valence: float, arousal: float, offsets: Float[np.ndarray, "68 d"], plain: bool) -> Reply:
        """The face at an emotion, its landmarks moved on by `offsets`; `plain` is as the networks give it."""
        landmarks = self._converted(np.array([[valence, arousal]], np.float32))[0] + offsets
        image = self._model.paint(self._face.image, landmarks, valence, arousal)
        shown = image if plain else photograph.blend(self._shown, self._face, image)
        return Reply({"landmarks": _flat(landmarks), "side": len(shown)}, shown.tobytes())

    def _converted(self, emotions: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 68 d"]:
        points = np.broadcast_to(self._face.landmarks, (len(emotions), *self._face.landmarks.shape))
        return self._model.models.convert_landmarks(points, emotions)

    def matrix(self) -> Reply:
        """The face over the plane, for its background: rows of faces that cover it, as the networks give them."""
        centres = (2.0 * np.arange(MATRIX, dtype=np.float32) + 1.0) / MATRIX - 1.0
        grid = self._model.edit(self._face.image, centres[None, :], centres[::-1, None], self._face.landmarks)
        return Reply({"n": MATRIX, "side": grid.shape[2]}, grid.tobytes())

    def matrix_file(self) -> Reply:
        """The avImage matrix as a PNG file."""
        grid = self._model.matrix(self._face.image, MATRIX, self._face.landmarks)
        return Reply({"type": "image/png"}, drawing.png(drawing.avimage_matrix(self._face.image, grid)))

    def film(self, points: Float[np.ndarray, "n 2"], format: str, offsets: Float[np.ndarray, "68 d"]) -> Reply:
        """The face on a recorded walk, one frame a point, as a film; its landmarks moved on by `offsets`."""
        images = np.broadcast_to(self._face.image, (len(points), *self._face.image.shape))
        edited = self._model.paint(images, self._converted(points) + offsets, *points.T)
        frames = (photograph.blend(self._shown, self._face, image) for image in edited)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"walk.{format}")
            video.write_video(path, frames, FILM_FPS)
            return Reply({"type": {"mp4": "video/mp4", "gif": "image/gif"}[format]}, path.read_bytes())

    def dyad(self, seed: int, smoothing: float) -> Reply:
        """A drawn mother and infant, and two others who perform what they show (Section IV-C)."""
        model = self._model
        *sources, phases = dyad_film.drawn_source(
            seed, DYAD_SECONDS, model.resolution, side=DYAD_SIDE, every=DYAD_EVERY
        )
        read = [
            editor.smooth(transferring.read_emotions_in_disc(model.models, source.faces), smoothing)
            for source in sources
        ]
        films = [source.shown for source in sources]
        for k, track in enumerate(read):
            photo, landmarks = named.draw_face(2 * seed + k, bool(k), DYAD_SIDE, dimensions=model.landmark_dimensions)
            face = photograph.uncropped_face(photo, landmarks, model.resolution)
            edited = model.edit(face.image, *track.T, face.landmarks)
            films.append(np.stack([photograph.blend(photo, face, image) for image in edited]))
        header = {
            "frames": len(phases),
            "side": DYAD_SIDE,
            "fps": procedural.FRAMES_PER_SECOND / DYAD_EVERY,
            "phases": phases,
            "emotions": [track.round(4).tolist() for track in read],
        }
        return Reply(header, b"".join(shown.tobytes() for shown in films))

    def _offsets(self, value: object) -> Float[np.ndarray, "68 d"]:
        """What the page moved landmarks by, which it does in the picture's plane."""
        offsets = np.zeros((68, self._model.landmark_dimensions), np.float32)
        if value is not None:
            side = self._model.resolution
            in_plane(offsets)[:] = _numbers(value, 136, "offsets").reshape(68, 2).clip(-side, side)
        return offsets


def _flat(landmarks: Float[np.ndarray, "68 d"]) -> list[float]:
    return in_plane(landmarks).astype(float).round(2).ravel().tolist()


def _numbers(value: object, count: int, name: str) -> Float[np.ndarray, "n"]:
    try:
        numbers = np.array(value, np.float32).ravel()
    except (ValueError, TypeError):
        numbers = np.zeros(0)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise UserError(f"{name}: expected {count} number(s)")
    return numbers


def _unit(value: object) -> float:
    return float(_numbers(value, 1, "valence and arousal")[0].clip(-1.0, 1.0))


def _smoothing(value: object) -> float:
    return float(_numbers(value, 1, "smoothing")[0].clip(0.0, 10.0))


def _seed(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < LARGEST_SEED:
        raise UserError(f"a seed of {value!r}: expected a whole number from 0 to {LARGEST_SEED}")
    return value


def _points(value: object) -> Float[np.ndarray, "n 2"]:
    count = len(value) if isinstance(value, list) else 0
    if not 2 <= count <= LONGEST_FILM:
        raise UserError(f"a walk of {count} points: expected 2 to {LONGEST_FILM} ({LONGEST_FILM // FILM_FPS} seconds)")
    return _numbers(value, 2 * count, "points").reshape(-1, 2).clip(-1.0, 1.0)


def _format(value: object) -> str:
    if value not in ("mp4", "gif"):
        raise UserError(f"a film of format {value!r}: expected mp4 or gif")
    return value

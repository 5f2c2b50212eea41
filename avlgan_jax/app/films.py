"""The film of an open page: it is received, edited in the background, and kept in a temporary folder until the page is
closed. `film_server` connects it to a browser.
"""

import itertools
import logging
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from avlgan_jax.app.session import numbers
from avlgan_jax.editing import film
from avlgan_jax.editing.editor import Editor
from avlgan_jax.errors import UserError, one_line
from avlgan_jax.faces import footage
from avlgan_jax.faces.detectors import Detector, is_complete
from avlgan_jax.faces.footage import Footage

# Limits of a film on the page. `synthesize.py film` has none.
LARGEST_FILM = 500 * 1024 * 1024  # bytes
LONGEST = 120.0  # seconds
LARGEST_FRAME = 9e6  # pixels; 4K has 8.3 million
MOST_POINTS = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """What the page shows of the work: empty, ready, waiting, working, done or failed, frames, and an error."""

    state: str = "empty"
    done: int = 0
    total: int = 0
    error: str = ""


class _Cancelled(Exception):
    """The person cancelled the film."""


class Film:
    """The film of one open page.

    `receive` and `work` take long and run in another thread, one of them at a time; the other methods return at once.

    Args:
        model: the trained models.
        detector: creates or returns a landmark detector that no other thread uses.
    """

    def __init__(self, model: Editor, detector: Callable[[], Detector]):
        self._model, self._detector = model, detector
        self._folder = tempfile.TemporaryDirectory(prefix="avlgan-film-", ignore_cleanup_errors=True)
        self._files, self._cancelled = itertools.count(1), threading.Event()
        self._footage: Footage | None = None
        self._name, self.status = "", Status()
        self.result: Path | None = None

    def new_file(self) -> Path:
        """Return the file to which the next film is written."""
        return Path(self._folder.name, f"film-{next(self._files)}")

    def receive(self, path: Path, name: str) -> dict:
        """Take a film that was written to a file of `new_file`, in place of the film before.

        Returns:
            seconds, frames and size (width, height) of the film, and the number of faces in its first frame.

        Raises:
            UserError: it is no film, or exceeds a limit. The film before stays then.
        """
        try:
            found = footage.read_film(path)
            if found.duration > LONGEST:
                raise UserError(
                    f"{name} lasts {found.duration:.0f} seconds; expected at most {LONGEST:.0f}: cut it, or use the "
                    "command synthesize.py film, which has no limit"
                )
            (first,) = found.frames_at([0.0])
        except UserError as error:
            path.unlink(missing_ok=True)
            raise UserError(one_line(error).replace(str(path), name)) from error
        height, width = first.shape[:2]
        if height * width > LARGEST_FRAME:
            path.unlink()
            raise UserError(f"{name} has {width} x {height} pixels; expected at most 4K (3840 x 2160): reduce its size")
        (candidates,) = self._detector().detect([first])
        if self._footage is not None:
            self._footage.path.unlink(missing_ok=True)
        self._footage, self._name, self.result, self.status = found, name, None, Status("ready", 0, len(found.times))
        faces = sum(is_complete(one.landmarks) for one in candidates)
        return {"seconds": found.duration, "frames": len(found.times), "size": [width, height], "faces": faces}

    def start(self, request: dict) -> Callable[[], None]:
        """Check a request to edit the film, and return the work to do in another thread.

        Args:
            request: `points`, a list of (seconds, valence, arousal), between which emotions are interpolated; `face`,
                the number of the face in the first frame, counted from 0 at the left, or None for the largest; and
                `infant`, whether the mouth has no teeth.

        Raises:
            UserError: there is no film, it is being edited already, or the request is invalid.
        """
        if self._footage is None:
            raise UserError("there is no film yet; choose one first")
        if self.status.state in ("waiting", "working"):
            raise UserError("the film is being edited already; wait, or cancel it")
        emotions = _emotions(request.get("points"), self._footage.times)
        face = request.get("face")
        if face is not None and (isinstance(face, bool) or not isinstance(face, int) or not 0 <= face < 100):
            raise UserError(f"face {str(face)[:40]}: expected a number from 0, the leftmost face")
        infant = request.get("infant", False)
        if not isinstance(infant, bool):
            raise UserError(f"infant {str(infant)[:40]}: expected true, for a mouth without teeth, or false")
        self._cancelled.clear()
        self.result, self.status = None, Status("waiting", 0, len(self._footage.times))
        return lambda: self._work(self._footage, emotions, face, infant)

    def _work(self, source: Footage, emotions: Float[np.ndarray, "n 2"], face: int | None, infant: bool) -> None:
        """Edit the film, and set `status` and `result`."""
        total, done = len(source.times), 0

        def progress(count: int) -> None:
            nonlocal done
            if self._cancelled.is_set():
                raise _Cancelled
            done += count
            self.status = Status("working", done, total)

        try:
            progress(0)
            out = self.new_file().with_suffix(".mp4")
            self.result = film.edit_film(source, out, self._model, self._detector(), emotions, face, progress, infant)
            self.status = Status("done", total, total)
        except _Cancelled:
            self.status = Status("ready", 0, total)
        except UserError as error:
            self.status = Status("failed", 0, total, one_line(error).replace(str(source.path), self._name))
        except Exception as error:
            _log.exception("a film failed")
            text = f"the film failed ({type(error).__name__}); the terminal shows the traceback"
            self.status = Status("failed", 0, total, text)

    def cancel(self) -> None:
        """End the work before its next frames. Nothing of the edited film is left."""
        self._cancelled.set()

    def close(self) -> None:
        """Delete all files. No work may be going on."""
        self._folder.cleanup()

    def report(self) -> dict:
        """Return the status, for the page."""
        return asdict(self.status)


def _emotions(value: object, times: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 2"]:
    """Parse points (seconds, valence, arousal), and return the emotion at each time."""
    count = len(value) if isinstance(value, list) else 0
    if not 1 <= count <= MOST_POINTS:
        raise UserError(f"{count} points: expected 1 to {MOST_POINTS} of (seconds, valence, arousal)")
    points = numbers(value, 3 * count, "points").reshape(-1, 3)
    points = points[np.argsort(points[:, 0], kind="stable")]
    return film.at_times(points[:, 1:].clip(-1.0, 1.0), points[:, 0], times)

"""Footage of a person: a film or a folder of frames, with the time of each frame, so that two are aligned in seconds.

parent, infant = footage.pair(Path("dyad"), ("parent", "infant"))
for photo in infant.frames_at(parent.times): ...
"""

import contextlib
import dataclasses
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.errors import UserError, one_line
from avlgan_jax.faces import pictures, video
from avlgan_jax.faces.procedural import FRAMES_PER_SECOND

FILMS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm")
# Two cameras of one rate do not start a frame at the same moment: a frame counts as shown this share of its duration
# before its time.
_TOLERANCE = 0.25


@dataclasses.dataclass(frozen=True)
class Footage:
    """One person's film or frames.

    Attributes:
        path: The film, or the folder of frames.
        files: The pictures of a folder, in the order of their numbers; () for a film.
        times: Time of each frame in seconds from the first, ascending. Empty for a film that cannot be read.
    """

    path: Path
    files: tuple[Path, ...]
    times: Float[np.ndarray, "n"]

    @property
    def rate(self) -> float:
        """Frames per second, on average."""
        return (len(self.times) - 1) / float(self.times[-1]) if len(self.times) > 1 else float(FRAMES_PER_SECOND)

    @property
    def duration(self) -> float:
        """Seconds for which the footage is shown: until its last frame has been shown as long as the others."""
        return float(self.times[-1]) + 1.0 / self.rate if len(self.times) else 0.0

    def time_of(self, number: int) -> float:
        """Return the time of a frame in seconds; beyond the last frame, at the average rate."""
        count = len(self.times)
        return float(self.times[number]) if number < count else self.duration + (number - count) / self.rate

    def number_at(self, seconds: float) -> int:
        """Return the number of the frame that is shown at a time; beyond the last frame, at the average rate."""
        if seconds >= self.duration - _TOLERANCE / self.rate:
            return len(self.times) + int((seconds - self.duration) * self.rate + _TOLERANCE)
        return max(0, int(np.searchsorted(self.times, seconds + _TOLERANCE / self.rate, side="right")) - 1)

    def frames_at(self, seconds: Sequence[float]) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Yield the frame that is shown at each time, RGB and upright. The film is decoded once.

        Args:
            seconds: The times, ascending, within the duration.

        Raises:
            UserError: A frame cannot be decoded, or the film ends before a time.
        """
        # At the rate of a much faster film, a time just before the end already counts as that of the next frame.
        numbers = [min(self.number_at(time), len(self.times) - 1) for time in seconds]
        if self.files:
            yield from (pictures.read(self.files[number]).on_white() for number in numbers)
            return
        frames, at, frame = self.timed_frames(), -1, None
        for number in numbers:
            if number > at:
                (_, frame), at = next(itertools.islice(frames, number - at - 1, None), (0.0, None)), number
            if frame is None:
                raise UserError(
                    f"{self.path} ends before frame {number}; expected {len(self.times)}: is it incomplete?"
                )
            yield frame

    def timed_frames(self) -> Iterator[tuple[float, UInt8[np.ndarray, "h w 3"]]]:
        """Yield every frame, RGB and upright, after its time in seconds. Raises UserError if one cannot be decoded."""
        if self.files:
            yield from zip(self.times, (pictures.read(file).on_white() for file in self.files), strict=True)
            return
        with _film_errors(self.path, "decoded", "convert it, or cut off the damaged part"):
            yield from video.read_timed_frames(self.path)


def pair(folder: Path, names: Sequence[str], read: Callable[[Path], Footage] | None = None) -> dict[str, Footage]:
    """Return the footage of several people who were filmed at the same time, by their names.

    A folder of frames has no times: it has the rate of the others' film, or `FRAMES_PER_SECOND` if there is none.

    Args:
        folder: The folder of the films or folders of frames.
        names: Names of the films or folders.
        read: Reader of a film; by default `read_film`.

    Raises:
        UserError: As for `find`, or a film cannot be read, or a folder as for `frame_files`.
    """
    if not folder.is_dir():
        films = " and ".join(f"{name}.mp4" for name in names)
        raise UserError(f"{folder} is no folder; expected {films} (or folders of frames so named) in it")
    found = {name: find(folder, name) for name in names}
    films = {name: (read or read_film)(path) for name, path in found.items() if path.is_file()}
    rate = max((film.rate for film in films.values()), default=float(FRAMES_PER_SECOND))
    return {name: films.get(name) or read_folder(path, rate) for name, path in found.items()}


def find(folder: Path, name: str) -> Path:
    """Return the film `name` of any of FILMS in `folder`, or the folder of frames of that name, in any case.

    Raises:
        UserError: There is neither, or there are two films.
    """
    entries = sorted(folder.iterdir())
    films = [path for path in entries if path.stem.lower() == name and path.suffix.lower() in FILMS and path.is_file()]
    if len(films) > 1:
        raise UserError(
            f"{folder} has {' and '.join(path.name for path in films)}; expected one film: remove the others"
        )
    frames = [path for path in entries if path.name.lower() == name and path.is_dir()]
    if not films and not frames:
        raise UserError(f"{folder} has neither a video {name}.mp4 nor a folder {name}/ of frames; add one of them")
    return (films or frames)[0]


def read_film(path: Path) -> Footage:
    """Return a film with the times of its frames. Raises UserError if it cannot be read."""
    with _film_errors(path, "read as a film", "expected a file such as MP4, MOV or WebM that FFmpeg can decode"):
        return Footage(path, (), video.frame_times(path))


@contextlib.contextmanager
def _film_errors(path: Path, failed: str, advice: str) -> Iterator[None]:
    """Convert the errors of reading a film to UserError."""
    try:
        yield
    except (ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or one_line(error).removeprefix(f"{path}: ")
        raise UserError(f"{path} cannot be {failed} ({reason}); {advice}") from error


def read_folder(path: Path, rate: float = FRAMES_PER_SECOND) -> Footage:
    """Return a folder of frames, of which there are `rate` per second. Raises UserError as `frame_files` does."""
    files = frame_files(path)
    return Footage(path, tuple(files), np.arange(len(files)) / rate)


def frame_files(folder: Path) -> list[Path]:
    """Return the pictures of a folder in the order of the numbers in their names; frame 10 comes after frame 9.

    Hidden files, such as `.DS_Store`, and files that are no pictures are ignored. A gap in the numbers is printed.

    Raises:
        UserError: There are no pictures, or two of one number.
    """
    found = [path for path in folder.iterdir() if path.suffix.lower() in pictures.ENDINGS and path.name[0] != "."]
    if not found:
        raise UserError(f"{folder} has no pictures; expected one for each frame, such as 0001.png")
    files = sorted(found, key=lambda path: (_split(path.stem), path.name))
    numbers = _numbers(files)
    steps = np.diff(numbers)
    if len(steps) and (steps == 0).any():
        first, second = files[int(np.argmin(steps))], files[int(np.argmin(steps)) + 1]
        raise UserError(
            f"{folder} has {first.name} and {second.name} of one number; expected one picture for each frame"
        )
    if len(steps) and (steps != steps[0]).any():
        usual = np.median(steps)
        k = int(np.flatnonzero(steps != usual)[0])
        print(
            f"warning: {folder}: after {files[k].name} comes {files[k + 1].name}; frames are counted without the gap, "
            "so ratings by number would belong to other frames",
            file=sys.stderr,
        )
    return files


def _split(name: str) -> list[tuple[int, int, str]]:
    """Return a name as a sort key in which each run of digits is a number."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


def _numbers(files: list[Path]) -> list[int]:
    """Return the numbers by which names differ, or [] if they differ in more than one number or in words."""
    keys = [_split(path.stem) for path in files]
    if len({tuple(part[2] for part in key) for key in keys}) > 1:
        return []
    columns = [column for column in zip(*keys, strict=True) if len(set(column)) > 1]
    return [number for _, number, _ in columns[0]] if len(columns) == 1 else [0] * len(files) if not columns else []

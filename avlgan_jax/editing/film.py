"""A film of one's own at other emotions: `synthesize.py film`.

Each frame is read once. The face is tracked, its landmarks are smoothed over time, and it is edited as in a photograph.
Frames in which the face is not seen stay as they are. Frame times and sound are kept.
"""

import contextlib
import dataclasses
import itertools
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from avlgan_jax.editing.editor import Editor, smooth
from avlgan_jax.errors import UserError
from avlgan_jax.faces import crop, film_writer
from avlgan_jax.faces.detectors import Detector
from avlgan_jax.faces.emotions import emotion_path
from avlgan_jax.faces.footage import Footage
from avlgan_jax.faces.tracking import OneEuro, Tracker
from avlgan_jax.models import transfer
from avlgan_jax.photographs import cropping

Frame = UInt8[np.ndarray, "h w 3"]
Progress = Callable[[int], object]
# Frames that the networks edit together.
_TOGETHER = 16
# Smoothing of the emotions that are read from another film: standard deviation in seconds.
_EMOTION_SMOOTHING = 0.15
# Frequency in hertz above which changes of the light are damped: flicker, and blinks that hide the whites of the eyes.
_LIGHT_CUTOFF = 0.1


def edit_film(
    film: Footage,
    out: Path,
    editor: Editor,
    detector: Detector,
    emotions: Float[np.ndarray, "n 2"],
    number: int | None = None,
    progress: Progress = lambda count: None,
    infant: bool = False,
) -> Path:
    """Write a film in which one face has other emotions, and return its file. The file is complete or not written.

    Args:
        film: the film (`footage.read_film`), in any container and codec that FFmpeg reads.
        out: the file to write, with one of `film_writer.ENDINGS`.
        editor: the trained models.
        detector: landmark detector.
        emotions: valence and arousal at the times of the film, in [-1, 1]; at other times they are interpolated.
        number: which face of the first frame that has any, counted from 0 at the left; None for the largest.
        progress: called with the number of frames after each group of edited frames. What it raises ends the film.
        infant: whether the face is an infant's, whose mouth has no teeth.

    Raises:
        UserError: the film cannot be read, no frame of it has the face, or the landmarks have no third dimension.
    """
    if editor.landmark_dimensions == 3:
        raise UserError("these weights need 3-D landmarks, which are not tracked through films; use 2-D weights")
    tracker, light, seen = Tracker(detector, number), OneEuro(_LIGHT_CUTOFF, 0.0), []

    def frames() -> Iterator[tuple[float, Frame]]:
        read = film.timed_frames()
        while group := list(itertools.islice(read, _TOGETHER)):
            moments, pictures = zip(*group, strict=True)
            faces = [_face(tracker, frame, seconds, editor.resolution) for seconds, frame in group]
            faces = [
                face and dataclasses.replace(face, infant=infant, light=light(face.light_on(frame), float(seconds)))
                for face, (seconds, frame) in zip(faces, group, strict=True)
            ]
            seen.extend(face is not None for face in faces)
            changed = _edited(editor, pictures, faces, at_times(emotions, film.times, np.array(moments)))
            yield from zip(moments, changed, strict=True)
            progress(len(group))
        if not any(seen):
            raise UserError(f"{film.path}: {detector.name} found no face in any frame; expected a film of a face")

    film_writer.write_like(out, film.path, frames(), film.rate)
    return out


@contextlib.contextmanager
def stoppable(out: Path) -> Iterator[None]:
    """Within the context, end at SIGTERM as at Ctrl-C, and say that `out` was not written; nothing of it is left."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    ours = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if ours else None
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        print(f"\nstopped: {out} was not written; start the command again to write it", file=sys.stderr)
        raise
    finally:
        if ours:
            signal.signal(signal.SIGTERM, before)


def along_path(points: Float[np.ndarray, "k 2"], times: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 2"]:
    """Return the emotion of each frame on a path over the plane with constant speed, which takes the complete film.

    Args:
        points: the corners of the path; one point is an emotion that stays.
        times: ascending times of the frames in seconds.
    """
    if len(points) == 1 or len(times) == 1:
        return np.repeat(points[:1], len(times), axis=0)
    path = emotion_path(points, len(times))
    return at_times(path, np.linspace(times[0], times[-1], len(times)), times)


def of_film(
    film: Footage,
    editor: Editor,
    detector: Detector,
    times: Float[np.ndarray, "n"],
    progress: Progress = lambda count: None,
) -> Float[np.ndarray, "n 2"]:
    """Return the emotions that the face of another film shows at the given times; its last emotion stays.

    Args:
        film: the other film. Its largest face counts.
        editor: the trained models.
        detector: landmark detector.
        times: times in seconds from the first frame of both films.
        progress: called with 1 after each frame.

    Raises:
        UserError: the film cannot be read, or no frame of it has a face.
    """
    tracker, moments, faces = Tracker(detector), [], []
    for seconds, frame in film.timed_frames():
        face = _face(tracker, frame, seconds, editor.resolution)
        if face is not None:
            moments.append(float(seconds))
            faces.append(face.image)
        progress(1)
    if not faces:
        raise UserError(f"{film.path}: {detector.name} found no face in any frame; expected a film of a face")
    emotions = transfer.read_emotions_in_disc(editor.models, np.stack(faces))
    rate = (len(moments) - 1) / max(moments[-1] - moments[0], 1e-6)
    return at_times(smooth(emotions, _EMOTION_SMOOTHING * rate), np.array(moments), times)


def at_times(
    values: Float[np.ndarray, "k 2"], moments: Float[np.ndarray, "k"], times: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n 2"]:
    """Return values given at some moments, interpolated at other times."""
    return np.stack([np.interp(times, moments, column) for column in values.T], axis=-1).astype(np.float32)


def _face(tracker: Tracker, frame: Frame, seconds: float, resolution: int) -> cropping.FaceCrop | None:
    """Return the tracked face of a frame as input of the networks, or None if it is not seen."""
    points = tracker.follow(frame, float(seconds))
    if points is None or (points.max(axis=0) <= 0.0).any() or (points.min(axis=0) >= frame.shape[1::-1]).any():
        return None
    square = crop.square_around(points, frame.shape)
    return cropping.FaceCrop(crop.crop_square(frame, square, resolution), square.to_crop(points, resolution), square)


def _edited(
    editor: Editor, frames: Sequence[Frame], faces: list[cropping.FaceCrop | None], emotions: Float[np.ndarray, "n 2"]
) -> Iterable[Frame]:
    """Yield the frames with their faces at the emotions."""
    known = [k for k, face in enumerate(faces) if face is not None]
    if known:
        images, points = np.stack([faces[k].image for k in known]), np.stack([faces[k].landmarks for k in known])
        edited = editor.edit_with_landmarks(images, *emotions[known].T, points, photographed=True)
    for k, (frame, face) in enumerate(zip(frames, faces, strict=True)):
        yield frame if face is None else editor.blend(frame, face, edited.at(known.index(k)))

"""Films: any frame of a video by its number, and videos and animated pictures written from frames.

FFmpeg comes inside the `av` package (PyAV), so nothing else need be installed. `av` is imported when first used.
"""

import bisect
import contextlib
import functools
import itertools
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from avlgan_jax import atomic_files

# Constant quality of x264: 18 is what its authors call visually lossless or nearly so.
_QUALITY = "18"
_BT709 = 1  # the number of these primaries, transfer and matrix in H.264


def read_frames(path: Path) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Every frame of a video in the order it is shown, RGB and upright.

    Raises ValueError when it is no video or cannot be decoded, OSError when it cannot be opened.
    """
    with _ffmpeg_errors(path), _opened(path) as container:
        for frame in container.decode(video=0):
            yield _pixels(frame)


def read_frame(path: Path, number: int) -> UInt8[np.ndarray, "h w 3"]:
    """Frame `number` (from 0, in the order of showing) of a video: exactly what `read_frames` gives there.

    Raises ValueError when there is no such frame or it cannot be decoded, OSError when the file cannot be opened.
    The file stays open in this process, and reading on decodes nothing twice.
    """
    with _ffmpeg_errors(path):
        return _film(str(path), os.stat(path).st_mtime_ns).frame(number)


def write_video(path: Path, frames: Iterable[UInt8[np.ndarray, "h w 3"]], fps: float) -> None:
    """Write RGB frames of one size as `.mp4` (H.264, yuv420p: every browser plays it) or `.gif`, a whole file or none.

    The same frames give the same bytes. Odd sides are made even in an MP4 by repeating the last row or column; a GIF
    has 256 colours a frame, and times rounded to 10 ms. Raises ValueError for another ending, no frames, frames of
    different sizes, or an `fps` that is not positive.
    """
    writers = {".mp4": _write_mp4, ".gif": _write_gif}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise ValueError(f"{path}: videos are written as {' or '.join(writers)}")
    if not fps > 0.0:
        raise ValueError(f"{path}: {fps} frames a second; expected more than 0")
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError(f"{path}: a video of no frames")
    with atomic_files.atomic_file(path) as partial:
        writer(partial, _of_one_size(path, itertools.chain([first], frames)), first.shape, fps)


class _Film:
    """An open video, the times of its frames, and which frame the decoder gives next."""

    def __init__(self, path: str):
        self._container = _opened(path)
        self._stream = self._container.streams.video[0]
        packets = [p for p in self._container.demux(self._stream) if p.size and not p.is_discard]
        times = [packet.pts for packet in packets]
        # Without a time for each frame (AVI often has none) the only sure way to frame N is to count from the first.
        self._times = sorted(times) if None not in times and len(set(times)) == len(times) else None
        keys = [packet for packet in packets if packet.is_keyframe] if self._times else []
        self._keys = sorted((self._times.index(key.pts), key.dts) for key in keys)
        self._go_to(0)

    def frame(self, number: int) -> UInt8[np.ndarray, "h w 3"]:
        if number < 0 or (self._times and number >= len(self._times)):
            raise ValueError(f"there is no frame {number}")
        key = self._key_before(number)
        if not key <= self._next <= number:  # reading on costs a decoded frame each, jumping those from the key frame
            self._go_to(key)
        for frame in self._frames:
            place = self._place(frame)
            self._next = place + 1
            if place == number:
                return _pixels(frame)
            if place > number:
                break
        self._next = _NOWHERE
        raise ValueError(f"there is no frame {number}, or it cannot be decoded")

    def _key_before(self, number: int) -> int:
        place = bisect.bisect(self._keys, number, key=lambda key: key[0]) - 1
        return self._keys[place][0] if place >= 0 else 0

    def _go_to(self, number: int) -> None:
        """Let the decoder begin at key frame `number`, or, of what has no times, at the start."""
        decoding_times = dict(self._keys)
        if self._times:
            # Some formats seek by decoding time, some by showing time; the decoding time is never the later one.
            time = decoding_times.get(number)
            self._container.seek(self._times[number] if time is None else time, stream=self._stream)
        else:
            self._container.close()
            self._container = _opened(self._container.name)
        self._next = number
        self._frames = self._container.decode(video=0)
        if not self._times:
            self._count = itertools.count()

    def _place(self, frame) -> int:
        if not self._times:
            return next(self._count)
        place = bisect.bisect_left(self._times, frame.pts)
        if place == len(self._times) or self._times[place] != frame.pts:
            raise ValueError(f"a frame at time {frame.pts}, which no packet has")
        return place


_NOWHERE = -1


@functools.lru_cache(maxsize=4)
def _film(path: str, changed: int) -> _Film:
    """`changed` is when the file was last written: a new file under an old name is opened anew."""
    return _Film(path)


def _opened(path: Path | str):
    import av

    container = av.open(str(path))
    if not container.streams.video:
        container.close()
        raise ValueError("no video in it")
    return container


@contextlib.contextmanager
def _ffmpeg_errors(path: Path):
    """FFmpeg's errors as ValueError, with the name of the file."""
    import av

    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except av.FFmpegError as error:  # which may be an OSError, a ValueError, an EOFError or none of them
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _pixels(frame) -> UInt8[np.ndarray, "h w 3"]:
    """Upright: telephones store what way up they were held."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90)))


def _of_one_size(path: Path, frames: Iterator[UInt8[np.ndarray, "h w 3"]]) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    shape = None
    for frame in frames:
        shape = shape or frame.shape
        if frame.shape != shape:
            raise ValueError(f"{path}: a frame of {frame.shape} after frames of {shape}")
        yield frame


def _write_mp4(path: Path, frames: Iterator[np.ndarray], shape: tuple[int, ...], fps: float) -> None:
    import av

    pad = [(0, side % 2) for side in shape[:2]] + [(0, 0)]
    # bitexact: no date and no version in the file. faststart: the index comes first, so that a page plays at once.
    options = {"fflags": "bitexact", "movflags": "faststart"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        rate = Fraction(fps).limit_denominator(1001)
        # One thread: x264 decides otherwise with another number of cores. No macroblock tree and no B-frames: with them
        # small pictures came out as other bytes in one run of fifty, by what lay in memory (x264 165).
        encoding = {"crf": _QUALITY, "threads": "1", "x264-params": "mbtree=0:bframes=0"}
        stream = container.add_stream("libx264", rate=rate, options=encoding)
        stream.height, stream.width = (side + side % 2 for side in shape[:2])
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.flags |= av.codec.context.Flags.bitexact
        for image in frames:
            frame = av.VideoFrame.from_ndarray(np.pad(image, pad, mode="edge"), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        container.mux(stream.encode())


def _write_gif(path: Path, frames: Iterator[np.ndarray], shape: tuple[int, ...], fps: float) -> None:
    from PIL import Image

    first, *others = [Image.fromarray(frame).quantize(256) for frame in frames]
    shown = np.round(100.0 * np.arange(len(others) + 2) / fps)
    # Browsers slow down what asks for less than 20 ms a frame.
    durations = [10 * max(2, int(hundredths)) for hundredths in np.diff(shown)]
    first.save(path, format="gif", save_all=True, append_images=others, duration=durations, loop=0)

"""Videos: read frames in order or by number, read their times, and write frames as MP4 or GIF.

The `av` package (PyAV) contains FFmpeg, so nothing else must be installed. It is imported on first use.
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
from jaxtyping import Float, UInt8

from avlgan_jax import atomic_files

# Constant rate factor of x264. 18 is visually lossless or nearly so, according to x264's authors.
_QUALITY = "18"
_BT709 = 1  # number of the BT.709 primaries, transfer function and matrix in H.264


def read_frames(path: Path) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yield every frame of a video in presentation order, RGB and upright.

    Raises:
        ValueError: If the file is not a video or cannot be decoded.
        FileNotFoundError: If the file does not exist.
        PermissionError: If the file cannot be opened.
    """
    for _, frame in read_timed_frames(path):
        yield frame


def read_timed_frames(path: Path) -> Iterator[tuple[float, UInt8[np.ndarray, "h w 3"]]]:
    """Yield every frame as `read_frames` does, each after its time in seconds from the first one.

    A frame without a time of its own, or with one that is not after the last frame's, follows at the declared rate.
    """
    with _ffmpeg_errors(path), _open_container(path) as container:
        step = 1.0 / float(container.streams.video[0].average_rate or 25)
        first, last = None, -step
        for frame in container.decode(video=0):
            first = frame.time if first is None else first
            seconds = last + step if frame.time is None else frame.time - (first or 0.0)
            last = seconds if seconds > last else last + step
            yield last, _upright_pixels(frame)


def read_frame(path: Path, number: int) -> UInt8[np.ndarray, "h w 3"]:
    """Return one frame of a video, identical to the frame that `read_frames` yields at that position.

    The file stays open in this process, so reading consecutive frames decodes each frame once.

    Args:
        path: The video.
        number: The frame, from 0, in presentation order.

    Raises:
        ValueError: If there is no such frame, or it cannot be decoded.
        OSError: If the file cannot be opened.
    """
    with _ffmpeg_errors(path):
        return _open_video(str(path), os.stat(path).st_mtime_ns).frame(number)


def frame_times(path: Path) -> Float[np.ndarray, "n"]:
    """Return the presentation time of every frame of a video, in seconds from the first one. Nothing is decoded.

    A video whose frames have no times of their own (as often in AVI) has its declared rate.

    Raises:
        ValueError: If the file is not a video or has no frames.
        OSError: If the file cannot be opened.
    """
    with _ffmpeg_errors(path):
        return _open_video(str(path), os.stat(path).st_mtime_ns).seconds()


def write_video(path: Path, frames: Iterable[UInt8[np.ndarray, "h w 3"]], fps: float) -> None:
    """Write RGB frames atomically as `.mp4` (H.264, yuv420p, which every browser plays) or `.gif`.

    Equal frames give equal bytes. In an MP4, odd sides are made even by repeating the last row or column. A GIF has
    256 colours per frame, and its frame times are rounded to 10 ms.

    Args:
        path: The file to write; its suffix is `.mp4` or `.gif`.
        frames: The frames, all of the same size.
        fps: Frames per second.

    Raises:
        ValueError: If the suffix is another one, there are no frames, the frames differ in size, or `fps` is not
            positive.
    """
    writers = {".mp4": _write_mp4, ".gif": _write_gif}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise ValueError(f"{path}: unsupported video format, expected the suffix {' or '.join(writers)}")
    if not fps > 0.0:
        raise ValueError(f"{path}: fps is {fps}, expected more than 0")
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        raise ValueError(f"{path}: no frames to write")
    with atomic_files.atomic_file(path) as partial:
        writer(partial, _require_one_size(path, itertools.chain([first], frames)), first.shape, fps)


class _OpenVideo:
    """An open video with the presentation times of its frames and the number of the frame to be decoded next."""

    def __init__(self, path: str):
        self._container = _open_container(path)
        self._stream = self._container.streams.video[0]
        packets = [p for p in self._container.demux(self._stream) if p.size and not p.is_discard]
        times = [packet.pts for packet in packets]
        # If frames lack distinct times (as often in AVI), frame N can only be found by counting from the first frame.
        self._times = sorted(times) if None not in times and len(set(times)) == len(times) else None
        self._tick = float(self._stream.time_base or 0)
        self._rate = self._stream.average_rate or self._stream.guessed_rate
        self._size = len(packets)
        keys = [packet for packet in packets if packet.is_keyframe] if self._times else []
        self._keys = sorted((self._times.index(key.pts), key.dts) for key in keys)
        self._seek(0)

    def seconds(self) -> Float[np.ndarray, "n"]:
        """Return the time of each frame from the first. Raises ValueError if there is no frame or no rate."""
        if not self._size:
            raise ValueError("there are no frames in the video")
        if self._times:
            return (np.array(self._times) - self._times[0]) * self._tick
        if not self._rate:
            raise ValueError("neither the frames nor the video have times")
        return np.arange(self._size) / float(self._rate)

    def frame(self, number: int) -> UInt8[np.ndarray, "h w 3"]:
        """Return frame `number`, upright. Raises ValueError if there is no such frame or it cannot be decoded."""
        if number < 0 or (self._times and number >= len(self._times)):
            raise ValueError(f"there is no frame {number}")
        key = self._key_before(number)
        # Decode onward if the decoder is between the key frame and the frame; seeking to the key frame decodes more.
        if not key <= self._next <= number:
            self._seek(key)
        for frame in self._frames:
            index = self._index(frame)
            self._next = index + 1
            if index == number:
                return _upright_pixels(frame)
            if index > number:
                break
        self._next = _UNKNOWN
        raise ValueError(f"there is no frame {number}, or it cannot be decoded")

    def _key_before(self, number: int) -> int:
        """Return the number of the last key frame up to frame `number`, or 0 if no key frames are known."""
        index = bisect.bisect(self._keys, number, key=lambda key: key[0]) - 1
        return self._keys[index][0] if index >= 0 else 0

    def _seek(self, number: int) -> None:
        """Restart decoding at key frame `number`, or at the first frame if the frames have no times."""
        decoding_times = dict(self._keys)
        if self._times:
            # Formats seek by decoding time or by presentation time. The decoding time is never the later of the two.
            time = decoding_times.get(number)
            self._container.seek(self._times[number] if time is None else time, stream=self._stream)
        else:
            self._container.close()
            self._container = _open_container(self._container.name)
        self._next = number
        self._frames = self._container.decode(video=0)
        if not self._times:
            self._count = itertools.count()

    def _index(self, frame) -> int:
        """Return the number of a decoded frame."""
        if not self._times:
            return next(self._count)
        index = bisect.bisect_left(self._times, frame.pts)
        if index == len(self._times) or self._times[index] != frame.pts:
            raise ValueError(f"the time {frame.pts} of a frame is not the time of any packet")
        return index


_UNKNOWN = -1  # the number of the next frame after a failed read


@functools.lru_cache(maxsize=4)
def _open_video(path: str, modified: int) -> _OpenVideo:
    """Open a video, or return the open one. The modification time distinguishes a new file with the same name."""
    return _OpenVideo(path)


def _open_container(path: Path | str):
    """Open a file with PyAV. Raises ValueError if it has no video stream."""
    import av

    container = av.open(str(path))
    if not container.streams.video:
        container.close()
        raise ValueError("no video stream in the file")
    return container


@contextlib.contextmanager
def _ffmpeg_errors(path: Path):
    """Convert FFmpeg's errors, except for missing or forbidden files, to ValueError with the name of the file."""
    import av

    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except av.FFmpegError as error:  # some are also an OSError, a ValueError or an EOFError
        raise ValueError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _upright_pixels(frame) -> UInt8[np.ndarray, "h w 3"]:
    """Return the RGB pixels of a frame, rotated by the orientation that phones store in the file."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90)))


def _require_one_size(path: Path, frames: Iterator[UInt8[np.ndarray, "h w 3"]]) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Yield the frames. Raises ValueError at a frame whose size differs from that of the first frame."""
    shape = None
    for frame in frames:
        shape = shape or frame.shape
        if frame.shape != shape:
            raise ValueError(f"{path}: a frame has shape {frame.shape}, but the frames before it have {shape}")
        yield frame


def _write_mp4(path: Path, frames: Iterator[np.ndarray], shape: tuple[int, ...], fps: float) -> None:
    """Encode frames of `shape` as H.264 in an MP4 file."""
    import av

    pad = [(0, side % 2) for side in shape[:2]] + [(0, 0)]
    # bitexact: no date and no version in the file. faststart: the index comes first, so a page can play it at once.
    options = {"fflags": "bitexact", "movflags": "faststart"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        rate = Fraction(fps).limit_denominator(1001)
        # For reproducible bytes. One thread: otherwise x264's decisions depend on the number of cores. No macroblock
        # tree and no B-frames: with them, one run in fifty gave other bytes for small frames, depending on the contents
        # of memory (x264 165).
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
    """Encode frames as an endlessly repeated GIF."""
    from PIL import Image

    # The palette that covers all colours, then fitted: a median cut gives green teeth to a face before a green wall.
    first, *others = [Image.fromarray(frame).quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1) for frame in frames]
    times = np.round(100.0 * np.arange(len(others) + 2) / fps)
    # Browsers slow down GIFs with frame durations under 20 ms.
    durations = [10 * max(2, int(hundredths)) for hundredths in np.diff(times)]
    first.save(path, format="gif", save_all=True, append_images=others, duration=durations, loop=0)

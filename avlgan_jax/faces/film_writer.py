"""Films with new pictures: the times of the frames and the sound of another film are kept.

The sound is copied as it is if it is one of COPIED and the new container can hold it, and else encoded as AAC. Frames
are upright, so a film that was turned in its container is turned in its pixels.
"""

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from avlgan_jax import atomic_files

ENDINGS = (".mp4", ".mov", ".mkv")
# Sound that players read from these containers. Other sound, such as PCM of unknown speakers, is encoded anew.
COPIED = ("aac", "ac3", "eac3", "mp3", "opus")
# Ticks per second of the written frames' times, as in MPEG: every usual frame rate is exact or nearly so.
_TICKS = 90_000
_ENCODING = {"crf": "18", "preset": "faster"}
_BT709 = 1


def write_like(
    path: Path, source: Path, frames: Iterable[tuple[float, UInt8[np.ndarray, "h w 3"]]], rate: float
) -> None:
    """Write frames atomically as H.264, with the sound of another film.

    Args:
        path: The file to write; its suffix is one of ENDINGS. Odd sides are made even by repeating a row or column.
        source: The film whose sound is kept. It may have none.
        frames: The frames in RGB, all of the same size, each after its time in seconds from the first one, ascending.
        rate: Frames per second, on average; it is only written down.

    Raises:
        ValueError: There are no frames.
    """
    import av

    with (
        atomic_files.atomic_file(path) as partial,
        av.open(str(source)) as original,
        av.open(str(partial), "w") as film,
    ):
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            raise ValueError(f"{path}: no frames to write")
        picture = _picture_stream(film, first[1].shape, rate)
        sound = _Sound(original, film)
        # The sound may begin before or after the pictures.
        video = original.streams.video[0]
        begin = float((video.start_time or 0) * video.time_base)
        for seconds, image in itertools.chain([first], frames):
            sound.write_until(begin + seconds)
            film.mux(picture.encode(_frame(image, begin + seconds)))
        film.mux(picture.encode())
        sound.write_until(np.inf)


def _picture_stream(film, shape: tuple[int, ...], rate: float):
    """Add the stream of pictures to an open film."""
    stream = film.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001), options=dict(_ENCODING))
    stream.height, stream.width = (side + side % 2 for side in shape[:2])
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, _TICKS)
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    return stream


def _frame(image: UInt8[np.ndarray, "h w 3"], seconds: float):
    """Return a frame of PyAV with a time."""
    import av

    pad = [(0, side % 2) for side in image.shape[:2]] + [(0, 0)]
    frame = av.VideoFrame.from_ndarray(np.pad(image, pad, mode="edge"), format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
    frame.pts, frame.time_base = round(seconds * _TICKS), Fraction(1, _TICKS)
    return frame


class _Sound:
    """The first stream of sound of a film, written to another one as it goes on."""

    def __init__(self, original, film):
        self._film, self._packets, self._waiting = film, iter(()), None
        if not original.streams.audio:
            return
        source = original.streams.audio[0]
        if source.codec.canonical_name in COPIED and source.codec.name in film.supported_codecs:
            stream = film.add_stream_from_template(source)
            self._packets = _copied(original.demux(source), stream)
        else:
            stream = film.add_stream("aac", rate=source.rate)
            self._packets = _encoded(original.decode(source), stream)

    def write_until(self, seconds: float) -> None:
        """Write what is heard until a time in the film, so that pictures and sound lie next to each other."""
        while True:
            packet = self._waiting or next(self._packets, None)
            self._waiting = packet
            if packet is None or (packet.dts is not None and float(packet.dts * packet.time_base) > seconds):
                return
            self._film.mux(packet)
            self._waiting = None


def _copied(packets: Iterator, stream) -> Iterator:
    """Yield packets as packets of another stream."""
    for packet in packets:
        if packet.dts is not None:  # the last packet of PyAV is empty
            packet.stream = stream
            yield packet


def _encoded(frames: Iterator, stream) -> Iterator:
    """Yield the packets of sound that is encoded anew."""
    for frame in frames:
        yield from stream.encode(frame)
    yield from stream.encode()

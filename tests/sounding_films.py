"""Small films with sound and uneven times, for the tests of what reads and writes films."""

from fractions import Fraction

import av
import numpy as np

TIMES = np.array([0.0, 0.1, 0.15, 0.4, 0.5, 0.9])


def write_film(path, sound: str | None = "aac", frames=None, times=TIMES):
    """Write frames, by default of growing brightness, at uneven times, with a tone of one second."""
    if frames is None:
        frames = [np.full((48, 64, 3), 20 + 30 * k % 210, np.uint8) for k in range(len(times))]
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=30)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        stream.codec_context.time_base = Fraction(1, 1000)
        tone = film.add_stream(sound, rate=44_100) if sound else None
        for seconds, image in zip(times, frames, strict=False):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = round(1000 * seconds), Fraction(1, 1000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
        if tone:
            wave = (8000 * np.sin(np.arange(44_100) / 16)).astype(np.int16)[None]
            heard = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
            heard.sample_rate, heard.pts, heard.time_base = 44_100, 0, Fraction(1, 44_100)
            resampler = av.AudioResampler(format=tone.format.name, layout="mono", frame_size=tone.frame_size or 1024)
            for part in [*resampler.resample(heard), *resampler.resample(None)]:
                film.mux(tone.encode(part))
            film.mux(tone.encode())
    return path


def sound_of(path) -> tuple[str, list[bytes]]:
    """Return the codec and the packets of a film's sound."""
    with av.open(str(path)) as film:
        stream = film.streams.audio[0]
        return stream.codec.name, [bytes(packet) for packet in film.demux(stream) if packet.size]

import av
import numpy as np
import pytest
from sounding_films import TIMES, sound_of, write_film

from avlgan_jax.faces import film_writer, video


@pytest.mark.parametrize("ending", film_writer.ENDINGS)
def test_times_and_sound_are_kept(tmp_path, ending):
    source = write_film(tmp_path / "source.mp4")
    out = tmp_path / f"out{ending}"
    film_writer.write_like(out, source, video.read_timed_frames(source), 6.0)
    before, after = (list(video.read_timed_frames(path)) for path in (source, out))
    np.testing.assert_allclose([t for t, _ in after], TIMES, atol=2e-3)
    np.testing.assert_allclose([t for t, _ in before], TIMES, atol=2e-3)
    for (_, one), (_, other) in zip(before, after, strict=True):
        assert abs(float(one.mean()) - float(other.mean())) < 3
    assert sound_of(out) == sound_of(source)


def test_sound_that_the_container_cannot_hold_is_encoded(tmp_path):
    source = write_film(tmp_path / "source.avi", sound="pcm_s16le", times=np.arange(20) / 30)
    out = tmp_path / "out.mp4"
    film_writer.write_like(out, source, video.read_timed_frames(source), 30.0)
    codec, packets = sound_of(out)
    assert codec in ("aac", "pcm_s16le") and packets
    with av.open(str(out)) as film:
        heard = sum(frame.samples for frame in film.decode(audio=0)) / 44_100
    assert heard == pytest.approx(1.0, abs=0.1)


def test_a_film_without_sound_and_with_odd_sides(tmp_path):
    source = write_film(tmp_path / "source.mp4", sound=None)
    out = tmp_path / "out.mp4"
    film_writer.write_like(out, source, ((t, image[:47, :63]) for t, image in video.read_timed_frames(source)), 6.0)
    assert next(iter(video.read_frames(out))).shape == (48, 64, 3)


def test_an_error_leaves_no_file(tmp_path):
    source = write_film(tmp_path / "source.mp4")

    def broken():
        yield next(video.read_timed_frames(source))
        raise KeyError("broken")

    with pytest.raises(KeyError):
        film_writer.write_like(tmp_path / "out.mp4", source, broken(), 6.0)
    with pytest.raises(ValueError, match="no frames to write"):
        film_writer.write_like(tmp_path / "out.mp4", source, iter(()), 6.0)
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]

"""Videos: frames are read by number, in any order and from several formats, and written frames are read back."""

import av
import numpy as np
import pytest
from PIL import Image

from avlgan_jax.faces import video
from avlgan_jax.faces.procedural import named


def _frames(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Return frames with a bar on a smooth background. The position of the bar shows the number of the frame."""
    y, x = np.mgrid[:height, :width]
    background = np.stack([y * 3, x * 2, 100 + 0 * x], -1).astype(np.uint8)
    frames = []
    for i in range(count):
        frame = background.copy()
        frame[:, (i * 4) % width : (i * 4) % width + 4] = (250, 40 + (i * 8) % 200, 20)
        frames.append(frame)
    return frames


def _encode(path, frames, codec: str, b_frames: int = 0, gop: int = 12) -> None:
    """Write a video as cameras and other programs do: with B-frames, few key frames, and in other containers."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, b_frames
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def test_an_mp4_is_close_to_its_frames_and_has_the_same_bytes_each_time(tmp_path):
    frames = _frames(40, 64, 96)
    written = set()
    for _ in range(10):
        video.write_video(tmp_path / "a.mp4", frames, 25.0)
        written.add((tmp_path / "a.mp4").read_bytes())
    assert len(written) == 1
    found = list(video.read_frames(tmp_path / "a.mp4"))
    assert len(found) == 40
    errors = [np.abs(f.astype(int) - frame).mean() for f, frame in zip(found, frames, strict=True)]
    assert max(errors) < 6.0  # colours are stored at half the resolution; adjacent frames differ by 12
    flat = [
        np.abs(f[:, 32:40].astype(int) - frame[:, 32:40]).mean() for f, frame in zip(found[:4], frames, strict=False)
    ]
    assert max(flat) < 2.0  # colours are not shifted
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 25)
        assert stream.codec_context.colorspace == 1


def test_odd_sides_become_even_by_repeating_the_edge(tmp_path):
    video.write_video(tmp_path / "a.mp4", [np.full((33, 47, 3), 120, np.uint8)] * 3, 29.97)
    for frame in video.read_frames(tmp_path / "a.mp4"):
        assert frame.shape == (34, 48, 3)
        assert np.abs(frame.astype(int) - 120).max() <= 2


def test_a_gif_keeps_the_colours_of_small_parts(tmp_path):
    """The teeth of this face were as green as the wall behind it."""
    image = named.draw_face(3, False, 256, 0.7, 0.3)[0]
    video.write_video(tmp_path / "a.gif", [image] * 2, 10.0)
    with Image.open(tmp_path / "a.gif") as film:
        found = np.asarray(film.convert("RGB")).astype(int)
    assert np.abs(found - image).max() < 24


def test_a_gif_has_all_frames_and_the_right_duration(tmp_path):
    frames = _frames(7)
    video.write_video(tmp_path / "a.gif", frames, 30.0)
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 7
        shown = []
        for i in range(7):
            image.seek(i)
            shown.append(image.info["duration"])
            assert np.abs(np.asarray(image.convert("RGB")).astype(int) - frames[i]).mean() < 6.0
    assert abs(sum(shown) - 1000 * 7 / 30) <= 5.0


@pytest.mark.parametrize(
    ("name", "codec", "b_frames"),
    [("film.mp4", "libx264", 3), ("film.mkv", "libx264", 3), ("film.avi", "mpeg4", 0), ("film.mov", "mpeg4", 2)],
)
def test_frames_are_the_same_in_any_order(tmp_path, name, codec, b_frames):
    """Reading onward, backward and with jumps gives the same frames as reading in order, across key and B-frames."""
    path = tmp_path / name
    _encode(path, _frames(60), codec, b_frames)
    in_order = list(video.read_frames(path))
    assert len(in_order) == 60
    for number in (59, 0, 5, 4, 31, 30, 32, 13, 11, 12, 58):
        np.testing.assert_array_equal(video.read_frame(path, number), in_order[number], err_msg=str(number))
    for number in (60, -1):
        with pytest.raises(ValueError, match=f"no frame {number}"):
            video.read_frame(path, number)
    np.testing.assert_array_equal(video.read_frame(path, 2), in_order[2])  # and reading still works after these errors


def test_a_video_of_a_phone_held_upright_is_read_upright(tmp_path):
    video.write_video(tmp_path / "lying.mp4", _frames(3), 30.0)
    content = bytearray((tmp_path / "lying.mp4").read_bytes())
    matrix = content.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    quarter_turn = [0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30]
    content[matrix : matrix + 36] = np.array(quarter_turn, ">i4").tobytes()
    (tmp_path / "upright.mp4").write_bytes(content)
    lying, upright = (video.read_frame(tmp_path / f"{name}.mp4", 1) for name in ("lying", "upright"))
    np.testing.assert_array_equal(upright, np.rot90(lying, -1))  # rotated clockwise, as the matrix requires


def test_a_file_that_replaces_another_is_read_again(tmp_path):
    path = tmp_path / "film.mp4"
    video.write_video(path, [np.full((32, 32, 3), 200, np.uint8)] * 2, 30.0)
    assert video.read_frame(path, 0).mean() > 190
    video.write_video(path, [np.full((32, 32, 3), 20, np.uint8)] * 2, 30.0)
    assert video.read_frame(path, 0).mean() < 30


def test_the_error_for_an_unreadable_file_names_it(tmp_path):
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "empty.mp4").touch()
    video.write_video(tmp_path / "cut.mp4", _frames(30), 30.0)
    content = (tmp_path / "cut.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[:300])
    for name in ("text.mp4", "empty.mp4", "cut.mp4"):
        with pytest.raises(ValueError, match=name):
            video.read_frame(tmp_path / name, 0)
        with pytest.raises(ValueError, match=name):
            list(video.read_frames(tmp_path / name))
    with pytest.raises(FileNotFoundError):
        video.read_frame(tmp_path / "none.mp4", 0)
    with pytest.raises(FileNotFoundError):
        list(video.read_frames(tmp_path / "none.mp4"))


def test_a_truncated_file_has_its_first_frames_only(tmp_path):
    path = tmp_path / "film.mkv"
    _encode(path, _frames(120), "mpeg4")
    frames = list(video.read_frames(path))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    np.testing.assert_array_equal(video.read_frame(path, 20), frames[20])
    with pytest.raises(ValueError, match="no frame 110"):
        video.read_frame(path, 110)


def test_a_failed_write_leaves_no_file(tmp_path):
    frame = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(ValueError, match=r"\.mp4 or \.gif"):
        video.write_video(tmp_path / "a.wmv", [frame], 30.0)
    with pytest.raises(ValueError, match="no frames"):
        video.write_video(tmp_path / "a.mp4", [], 30.0)
    with pytest.raises(ValueError, match="expected more than 0"):
        video.write_video(tmp_path / "a.mp4", [frame], 0.0)
    for name in ("a.mp4", "a.gif"):
        with pytest.raises(ValueError, match=r"a frame has shape \(32, 30, 3\)"):
            video.write_video(tmp_path / name, [frame, frame[:, :30]], 30.0)
    assert not list(tmp_path.iterdir())

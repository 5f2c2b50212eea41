"""Footage: frames of folders in the order of their numbers, and films aligned in seconds whatever their rates."""

from fractions import Fraction

import av
import numpy as np
import pytest
from drawn_photographs import save_face

from avlgan_jax.errors import UserError
from avlgan_jax.faces import footage, video
from avlgan_jax.faces.footage import Footage


def film_of(path, times, size=48):
    """Write a film whose frames are shown at `times` in seconds; the brightness of a frame is 4 per 0.1 s."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height = stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90_000)
        for time in times:
            frame = av.VideoFrame.from_ndarray(
                np.full((size, size, 3), round(20 + 40 * time), np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = round(90_000 * time), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def seconds_shown(frame) -> float:
    """Return the time that the brightness of a frame of `film_of` says."""
    return (float(frame.mean()) - 20) / 40


CONSTANT_25 = np.arange(75) / 25
# A phone that drops to half of its rate in the dark.
VARIABLE = np.cumsum(np.where(np.arange(60) < 30, 1 / 30, 1 / 15)) - 1 / 30


@pytest.mark.parametrize("ending", [".mp4", ".MOV", ".mkv"])
@pytest.mark.parametrize("times", [CONSTANT_25, VARIABLE], ids=["25 per second", "variable"])
def test_films_have_the_times_of_their_frames(tmp_path, ending, times):
    film_of(tmp_path / f"Parent{ending}", times)
    film = footage.read_film(footage.find(tmp_path, "parent"))
    np.testing.assert_allclose(film.times, times, atol=0.002)
    assert film.rate == pytest.approx((len(times) - 1) / times[-1], rel=0.01)
    moments = np.arange(20) * 0.1
    for moment, frame in zip(moments, film.frames_at(moments), strict=True):
        assert abs(seconds_shown(frame) - moment) < 0.08


def test_a_film_without_times_has_its_declared_rate(tmp_path):
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=15)
        stream.height = stream.width = 48
        stream.pix_fmt = "yuv420p"
        for _ in range(9):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 48, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    np.testing.assert_allclose(video.frame_times(tmp_path / "a.avi"), np.arange(9) / 15, atol=1e-6)


def test_two_films_of_unequal_rates_are_aligned_in_seconds(tmp_path):
    film_of(tmp_path / "parent.mp4", np.arange(90) / 30)
    film_of(tmp_path / "infant.mov", VARIABLE[VARIABLE < 3])
    people = footage.pair(tmp_path, ("parent", "infant"))
    moments = people["parent"].times[:80]
    shown = [[seconds_shown(frame) for frame in person.frames_at(moments)] for person in people.values()]
    assert np.abs(np.subtract(*shown)).max() < 0.1  # by number, they are 0.9 s apart at the end
    infant = people["infant"]
    assert infant.number_at(infant.duration + 1.0) == len(infant.times) + round(infant.rate)
    assert infant.number_at(infant.time_of(7)) == 7


def test_a_film_is_read_to_its_end_at_the_times_of_a_much_faster_one(tmp_path):
    film_of(tmp_path / "slow.mp4", np.arange(12) / 6)
    write_names(tmp_path / "frames", *(f"{k}.png" for k in range(12)))
    moments = np.arange(2 * 60) / 60
    slow = footage.read_film(tmp_path / "slow.mp4")
    assert slow.number_at(moments[-1]) == 12  # there is none
    shown = list(slow.frames_at(moments))
    assert len(shown) == 120 and abs(seconds_shown(shown[-1]) - 11 / 6) < 0.05
    for k in range(12):
        save_face(tmp_path / f"frames/{k}.png", 1, 48)
    assert len(list(footage.read_folder(tmp_path / "frames", 6.0).frames_at(moments))) == 120


def test_a_folder_of_frames_has_the_rate_of_the_other_film(tmp_path):
    film_of(tmp_path / "parent.mp4", CONSTANT_25)
    for k in range(12):
        save_face(tmp_path / f"infant/{k}.png", 1, 48)
    assert footage.pair(tmp_path, ("parent", "infant"))["infant"].rate == pytest.approx(25.0)
    assert footage.read_folder(tmp_path / "infant").rate == pytest.approx(30.0)


def names(folder) -> list[str]:
    return [path.name for path in footage.frame_files(folder)]


def write_names(folder, *found) -> None:
    folder.mkdir(exist_ok=True)
    for name in found:
        (folder / name).touch()


def test_numbers_sort_as_numbers_and_other_files_are_ignored(tmp_path, capsys):
    frames = [f"frame{k}.jpg" for k in range(12)]
    write_names(tmp_path / "a", *frames, ".DS_Store", "._frame0.jpg", "Thumbs.db", "notes.txt")
    (tmp_path / "a/more").mkdir()
    assert names(tmp_path / "a") == frames
    cameras = [f"cam{c}_{k}.PNG" for c in (2, 10) for k in (9, 10, 11)]
    write_names(tmp_path / "b", *cameras)
    assert names(tmp_path / "b") == cameras
    write_names(tmp_path / "c", "0000.png", "0005.png", "0010.png")  # every fifth frame
    assert names(tmp_path / "c") == ["0000.png", "0005.png", "0010.png"]
    assert capsys.readouterr().err == ""


def test_gaps_are_told_and_two_frames_of_one_number_are_refused(tmp_path, capsys):
    write_names(tmp_path / "a", "1.png", "2.png", "4.png", "5.png")
    assert len(names(tmp_path / "a")) == 4
    assert "after 2.png comes 4.png; frames are counted without the gap" in capsys.readouterr().err
    for pair in (("frame1.jpg", "frame01.jpg", "frame2.jpg"), ("frame1.jpg", "frame1.png")):
        write_names(tmp_path / "b", *pair)
        with pytest.raises(UserError, match=r"frame0?1\.\w+ and frame0?1\.\w+ of one number"):
            names(tmp_path / "b")
    write_names(tmp_path / "c", ".DS_Store")
    with pytest.raises(UserError, match="c has no pictures; expected one for each frame"):
        names(tmp_path / "c")


def test_what_cannot_be_found_or_read_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"nowhere is no folder; expected parent\.mp4 and infant\.mp4"):
        footage.pair(tmp_path / "nowhere", ("parent", "infant"))
    with pytest.raises(UserError, match=r"neither a video parent\.mp4 nor a folder parent/"):
        footage.find(tmp_path, "parent")
    write_names(tmp_path, "parent.mp4", "parent.MOV")
    with pytest.raises(UserError, match=r"parent\.MOV and parent\.mp4; expected one film"):
        footage.find(tmp_path, "parent")
    with pytest.raises(UserError, match=r"parent\.mp4 cannot be read as a film \(Invalid data .*FFmpeg can decode"):
        footage.read_film(tmp_path / "parent.mp4")
    film_of(tmp_path / "short.mp4", np.arange(10) / 30)
    promised = Footage(tmp_path / "short.mp4", (), np.arange(20) / 30)
    with pytest.raises(UserError, match=r"short\.mp4 ends before frame 15; expected 20"):
        list(promised.frames_at([0.0, 0.5]))

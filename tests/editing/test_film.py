"""Films of drawn faces, edited with the packaged weights and dlib's landmarks."""

import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from drawn_photographs import drawn_face
from sounding_films import sound_of, write_film

from avlgan_jax.editing import commands, film, requests
from avlgan_jax.errors import UserError
from avlgan_jax.faces import procedural, video


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Return a film of two people of six frames with a tone; in the third frame nobody is seen."""
    path = tmp_path_factory.mktemp("film") / "two.mp4"
    pair = np.hstack([drawn_face(1).image, drawn_face(2).image])
    frames = [np.full_like(pair, 90) if k == 2 else np.roll(pair, k, axis=0) for k in range(6)]
    return write_film(path, frames=frames)


def changes(edited, source) -> np.ndarray:
    """Return for each frame whether its left and its right half differ."""
    pairs = zip(video.read_frames(edited), video.read_frames(source), strict=True)
    halves = [np.array_split(np.abs(a.astype(int) - b).max(axis=-1), 2, axis=1) for a, b in pairs]
    return np.array([[np.quantile(half, 0.99) > 20 for half in pair] for pair in halves])


def test_every_frame_of_the_chosen_face_is_edited_and_times_and_sound_are_kept(filmed):
    out = commands.film(requests.Film(film=filmed, emotion="surprise", face=2))
    assert out == filmed.with_name("two_edited.mp4")
    assert changes(out, filmed).tolist() == [[False, k != 2] for k in range(6)]
    before, after = ([t for t, _ in video.read_timed_frames(path)] for path in (filmed, out))
    np.testing.assert_allclose(after, before, atol=2e-3)
    assert sound_of(out) == sound_of(filmed)


def test_emotions_follow_a_path_over_the_film_or_another_film(filmed, tmp_path):
    request = requests.Film(film=filmed, points="neutral 0.1,0.8", out=tmp_path / "path.mkv")
    assert commands.film(request).stat().st_size > 1000
    other = [procedural.render(procedural.sample_face(1, 3, 0, False), 0.6, 0.5, 128).image] * 6
    source = write_film(tmp_path / "other.mp4", sound=None, frames=other)
    out = commands.film(requests.Film(film=filmed, from_film=source, out=tmp_path / "taken.mov"))
    assert len(list(video.read_frames(out))) == 6


def test_the_path_takes_the_complete_film():
    times = np.array([0.0, 0.5, 2.0])
    path = film.along_path(np.array([[0.0, 0.0], [0.4, 0.8]], np.float32), times)
    np.testing.assert_allclose(path, [[0, 0], [0.1, 0.2], [0.4, 0.8]], atol=1e-6)
    np.testing.assert_array_equal(film.along_path(np.array([[0.3, 0.2]]), times), [[0.3, 0.2]] * 3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "expected exactly one of --emotion"),
        ({"emotion": "sad", "points": "sad happy"}, "expected exactly one of --emotion"),
        ({"emotion": "sad", "face": 0}, "--face 0"),
        ({"emotion": "sad", "out": "x.gif"}, "expected a name that ends in .mp4"),
    ],
)
def test_invalid_options_are_user_errors(filmed, tmp_path, options, words):
    if "out" in options:
        options = options | {"out": tmp_path / options["out"]}
    with pytest.raises(UserError, match=words):
        commands.film(requests.Film(film=filmed, **options))


def test_a_film_that_cannot_be_read_or_has_no_face_leaves_no_file(filmed, tmp_path):
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(UserError, match=r"text\.mp4 cannot be read as a film"):
        commands.film(requests.Film(film=tmp_path / "text.mp4", emotion="sad"))
    missing = tmp_path / "missing.mp4"
    with pytest.raises(UserError, match=r"missing\.mp4 cannot be read as a film"):
        commands.film(requests.Film(film=missing, emotion="sad", out=filmed))
    with pytest.raises(UserError, match=r"missing\.mp4 cannot be read as a film"):
        commands.film(requests.Film(film=filmed, from_film=missing, out=tmp_path / "out.mp4"))
    with pytest.raises(UserError, match="is the film itself"):
        commands.film(requests.Film(film=filmed, emotion="sad", out=filmed))
    empty = write_film(tmp_path / "empty.mp4", frames=[np.full((96, 96, 3), 128, np.uint8)] * 3)
    with pytest.raises(UserError, match=r"empty\.mp4: dlib found no face in any frame"):
        commands.film(requests.Film(film=empty, emotion="sad", landmarks="dlib"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.mp4", "text.mp4"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_film_that_is_stopped_leaves_no_file_and_says_so(tmp_path, number):
    source = write_film(tmp_path / "long.mp4", frames=[drawn_face(1).image] * 3000, times=np.arange(3000) / 30)
    command = [sys.executable, str(ROOT / "synthesize.py"), "film", str(source), "--emotion", "sad"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=ROOT, preexec_fn=_default_interrupts) as process:
        said = b""
        while not re.search(rb" [1-9][0-9]*/3000", said):
            more = process.stderr.read1()
            assert more, f"ended too early: {said.decode()}"
            said += more
        process.send_signal(number)
        said += process.stderr.read()
    assert process.returncode == (130 if number == signal.SIGINT else 128 + number)
    assert b"stopped: " in said and b"long_edited.mp4 was not written" in said and b"Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["long.mp4"]


def _default_interrupts():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process ignores it

from pathlib import Path

import numpy as np
import pytest
from drawn_photographs import drawn_face
from PIL import Image

from avlgan_jax.editing import commands, dyad_film, requests
from avlgan_jax.errors import UserError
from avlgan_jax.faces import emotions, video


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """Return the path of a photograph of two people."""
    path = tmp_path_factory.mktemp("photo") / "two.png"
    Image.fromarray(np.hstack([drawn_face(1).image, drawn_face(2).image])).save(path)
    return path


def changed(path, photo):
    """Return for the left and for the right half of a photograph whether the edited one differs."""
    before, after = (np.asarray(Image.open(p)).astype(int) for p in (photo, path))
    assert before.shape == after.shape
    halves = np.array_split(np.abs(after - before).max(axis=-1), 2, axis=1)
    return [bool(half.max() > 10) for half in halves]


def test_edit_changes_all_faces_of_a_photograph_or_the_chosen_one(photo, capsys):
    out = commands.edit(requests.Edit(photo=str(photo), emotion="happy"))
    assert out == photo.with_name("two_edited.png") and changed(out, photo) == [True, True]
    note = capsys.readouterr().err
    assert "trained on drawn faces and DiffusionFER" in note and "as in a drawing" not in note
    assert "all 2 faces are edited; --face N" in note
    out = commands.edit(requests.Edit(photo=str(photo), valence=0.7, arousal=0.2, face=2))
    assert "faces are edited" not in capsys.readouterr().err
    assert changed(out, photo) == [False, True]
    with pytest.raises(UserError, match=r"--face 3: .* has 2 face\(s\)"):
        commands.edit(requests.Edit(photo=str(photo), emotion="happy", face=3))


def test_weights_of_drawn_faces_are_named_with_what_that_means(photo, trained_run, capsys):
    workdir, _, _ = trained_run
    commands.edit(requests.Edit(photo=str(photo), emotion="happy", weights=str(workdir)))
    note = capsys.readouterr().err
    assert "painted as in a drawing" in note and "--weights" in note


def test_crop_only_writes_the_crops_side_by_side(photo, tmp_path):
    request = requests.Edit(photo=str(photo), emotion="happy", crop_only=True, out=tmp_path / "crops.png")
    height, width, _ = np.asarray(Image.open(commands.edit(request))).shape
    assert width == 2 * height


def test_a_drawn_face_needs_no_detector_and_gives_no_note(tmp_path, capsys):
    out = commands.matrix(requests.Matrix(photo="procedural:3", out=tmp_path / "m.png", n=3, landmarks="none"))
    assert min(Image.open(out).size) > 280
    out = commands.emotions(requests.Emotions(photo="procedural:3", out=tmp_path / "e.png"))
    assert Image.open(out).width > 8 * 100
    assert "note:" not in capsys.readouterr().err


def test_walk_writes_a_film(tmp_path):
    request = requests.EmotionPath(
        photo="procedural:3", points="neutral 0.7,0.3", seconds=0.5, fps=20.0, out=tmp_path / "w.mp4"
    )
    frames = list(video.read_frames(commands.emotion_film(request)))
    assert len(frames) == 10 and frames[0].shape == (256, 256, 3)
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 20


def test_an_emotion_path_is_straight_with_constant_speed():
    path = emotions.emotion_path(np.array([[0, 0], [0.6, 0], [0.6, 0.2]], np.float32), 9)
    np.testing.assert_allclose(np.linalg.norm(np.diff(path, axis=0), axis=-1), 0.1, atol=1e-6)
    np.testing.assert_allclose(path[[0, 6, 8]], [[0, 0], [0.6, 0], [0.6, 0.2]], atol=1e-6)
    np.testing.assert_allclose(emotions.emotion_path(np.full((3, 2), 0.5, np.float32), 4), 0.5)


def test_a_drawn_dyad_is_transferred_reproducibly(tmp_path):
    request = requests.Transfer(out=tmp_path / "a.mp4", seconds=0.4)
    film_a = commands.transfer(request)
    frames = list(video.read_frames(film_a))
    assert len(frames) == 12
    # The source is above the result, which shows other people.
    page = dyad_film.DyadFrame({"parent": np.zeros(12), "infant": np.zeros(12)}, ["play"] * 12)
    assert frames[0].shape == page.frame(0, [np.zeros((dyad_film.PANEL, dyad_film.PANEL, 3), np.uint8)] * 4).shape
    again = commands.transfer(requests.Transfer(out=tmp_path / "b.mp4", seconds=0.4))
    assert film_a.read_bytes() == again.read_bytes()
    other_seed = commands.transfer(requests.Transfer(out=tmp_path / "c.mp4", seconds=0.4, seed=1))
    assert film_a.read_bytes() != other_seed.read_bytes()


def test_a_filmed_dyad_is_transferred(tmp_path):
    for k, name in enumerate(dyad_film.PERSONS):
        shots = [np.pad(drawn_face(k + 1).image, ((0, 0), (2 * j, 20 - 2 * j), (0, 0))) for j in range(6)]
        if k:
            (tmp_path / name).mkdir()
            for j, shot in enumerate(shots):
                Image.fromarray(shot).save(tmp_path / name / f"{j:03}.png")
        else:
            video.write_video(tmp_path / f"{name}.mp4", [*shots, np.zeros_like(shots[0])], dyad_film.FPS)
    out = commands.transfer(requests.Transfer(source=str(tmp_path), out=tmp_path / "out.gif", motion=False))
    assert Image.open(out).n_frames == 6  # the length of the shorter film
    with pytest.raises(UserError, match="expected parent.mp4 and infant.mp4"):
        commands.transfer(requests.Transfer(source=str(tmp_path / "nowhere"), out=tmp_path / "out.gif"))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (requests.Edit(photo="procedural:1"), "expected one target emotion"),
        (requests.Edit(photo="procedural:1", emotion="happy", valence=0.1), "expected one target emotion"),
        (requests.Edit(photo="procedural:1", valence=1.2, arousal=0.0), "outside the valence-arousal plane"),
        (requests.Edit(photo="procedural:1", emotion="happy", out=Path("x.bmp")), "ends in .png or .jpg"),
        (requests.Edit(photo="procedural:1", emotion="happy", out=Path("no/x.png")), "does not exist; create it first"),
    ],
)
def test_invalid_requests_of_edit_are_user_errors(request_, message):
    with pytest.raises(UserError, match=message):
        commands.edit(request_)


@pytest.mark.parametrize(
    ("points", "message"), [("happy", "at least two"), ("merry sad", "'merry' is neither"), ("sad 2,0", "outside")]
)
def test_invalid_points_of_walk_are_user_errors(points, message):
    with pytest.raises(UserError, match=message):
        commands.emotion_film(requests.EmotionPath(photo="procedural:1", points=points, out=Path("x.mp4")))


@pytest.mark.parametrize("name", ["none.jpg", "text.jpg"])
def test_a_file_that_is_no_picture_is_reported_before_the_weights_are_loaded(name, tmp_path, monkeypatch):
    (tmp_path / "text.jpg").write_text("no image")
    monkeypatch.setattr("avlgan_jax.editing.editor.load", lambda weights: pytest.fail("the weights were loaded"))
    for task, request in (
        (commands.edit, requests.Edit(photo=str(tmp_path / name), emotion="happy")),
        (commands.matrix, requests.Matrix(photo=str(tmp_path / name))),
    ):
        with pytest.raises(UserError, match=name):
            task(request)


def test_a_picture_is_no_film(tmp_path):
    Image.fromarray(drawn_face(1).image).save(tmp_path / "me.png")
    with pytest.raises(UserError, match=r"me\.png has one picture; expected a film: edit it with .* edit"):
        commands.film(requests.Film(film=tmp_path / "me.png", emotion="happy"))


def test_the_default_output_is_next_to_the_photograph_whatever_its_folder_is_called(tmp_path):
    folder = tmp_path / "10:30 Köln"
    folder.mkdir()
    request = requests.Edit(photo=str(folder / "me.v2.jpg"), emotion="happy")
    assert request.destination("edited") == folder / "me.v2_edited.png"
    assert requests.Edit(photo="procedural:3").destination("edited") == Path("procedural-3_edited.png")


def test_a_real_photograph_changes_only_at_the_face(tmp_path, capsys):
    data = pytest.importorskip("skimage.data")
    Image.fromarray(data.astronaut()).save(tmp_path / "astronaut.png")
    out = commands.edit(requests.Edit(photo=str(tmp_path / "astronaut.png"), valence=-0.6, arousal=0.4))
    before, after = data.astronaut().astype(int), np.asarray(Image.open(out)).astype(int)
    rows, columns = np.nonzero(np.abs(after - before).max(axis=-1))
    # Only the face at the top changes; the suit, the flag and the shuttle do not.
    assert rows.max() < 230 and 130 < columns.min() < columns.max() < 330
    assert "trained on drawn faces" in capsys.readouterr().err


def test_a_transparent_photograph_with_an_odd_exif_field_stays_transparent(photo, tmp_path):
    values = np.dstack([np.asarray(Image.open(photo)), np.full((224, 448), 255, np.uint8)])
    values[:20] = (255, 0, 0, 0)
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 1, 72.0
    Image.fromarray(values).save(tmp_path / "cut.webp", lossless=True, exact=True, exif=exif)
    for ending in (".png", ".jpg"):
        request = requests.Edit(photo=str(tmp_path / "cut.webp"), emotion="happy", out=tmp_path / f"out{ending}")
        edited = Image.open(commands.edit(request))
        assert (np.asarray(edited.convert("RGB"))[:18].min() > 245) and edited.size == (448, 224)
        assert edited.mode == ("RGBA" if ending == ".png" else "RGB")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png"))[..., 3], values[..., 3])

"""The session of the app, without a server."""

import io
import re

import numpy as np
import pytest
from app_pages import group, make_detector
from drawn_photographs import drawn_face
from PIL import Image

import avlgan_jax
from avlgan_jax.app import session
from avlgan_jax.errors import UserError
from avlgan_jax.faces import video
from avlgan_jax.photographs import blending

pytest_plugins = ("app_fixtures",)


@pytest.fixture
def page_session(model):
    return session.Session(model, make_detector)


def test_edit_uses_the_emotion_and_the_landmark_offsets(page_session, model):
    plain = page_session.answer({"do": "edit", "valence": 0.6, "arousal": 0.2, "plain": True})
    assert plain.header["side"] == model.resolution and len(plain.payload) == model.resolution**2 * 3
    large = page_session.answer({"do": "edit", "valence": 0.6, "arousal": 0.2})
    assert len(large.payload) == session.SHOWN**2 * 3
    offsets = np.zeros((68, 2))
    offsets[48:] = 3.0
    dragged = page_session.answer({"do": "edit", "valence": 0.6, "arousal": 0.2, "offsets": offsets.ravel().tolist()})
    moved = np.array(dragged.header["landmarks"]) - large.header["landmarks"]
    np.testing.assert_allclose(moved.reshape(68, 2), offsets, atol=0.011)
    assert dragged.payload != large.payload


def test_the_landmarks_over_the_face_are_those_that_its_pixels_are_at(page_session):
    """Lowered brows stop above the lids in the picture, so their landmarks stop there too."""
    low = np.zeros((68, 2))
    low[17:27, 1] = 20.0
    request = {"do": "edit", "valence": 0.0, "arousal": 0.0, "offsets": low.ravel().tolist()}
    heights = {}
    for plain in (False, True):
        points = np.array(page_session.answer(request | {"plain": plain}).header["landmarks"]).reshape(68, 2)
        heights[plain] = points[[37, 38, 43, 44], 1].min() - points[19:25, 1].max()
    assert heights[False] > 0.0 > heights[True]


def test_the_programs_of_an_edit_are_compiled_in_advance(model):
    def no_detector():
        raise AssertionError("nothing was uploaded")

    blending._geometry.cache_clear()
    session.prepare(model, no_detector)
    assert blending._geometry.cache_info().currsize == 1
    assert blending._geometry(model.resolution)._cache_size() == 1


def test_an_upload_stays_in_its_own_session(page_session, model, tmp_path):
    Image.fromarray(np.hstack([drawn_face(1).image, drawn_face(2).image])).save(tmp_path / "two.jpg", quality=95)
    reply = page_session.upload((tmp_path / "two.jpg").read_bytes())
    assert reply.header["faces"] == 2 and len(reply.header["landmarks"]) == 136
    assert len(reply.payload) == 2 * model.resolution**2 * 3  # both faces, to choose from
    faces = np.frombuffer(reply.payload, np.uint8).reshape(2, model.resolution, model.resolution, 3)
    # The regressor has seen no photographs, the discriminator has.
    read = model.read_emotions(faces[reply.header["face"]])
    np.testing.assert_allclose([reply.header["valence"], reply.header["arousal"]], read, atol=1e-3)
    with pytest.raises(UserError, match="cannot be decoded"):
        page_session.upload(b"GIF89a nonsense")
    # The failed upload did not change the session: it still has the photograph, which another session does not have.
    assert len(page_session.answer({"do": "matrix"}).payload) == 81 * model.resolution**2 * 3
    other = session.Session(model, make_detector)
    request = {"do": "edit", "valence": 0.0, "arousal": 0.0}
    assert page_session.answer(request).payload != other.answer(request).payload


def test_the_picture_is_saved_at_full_size_with_the_edits_of_the_chosen_faces(page_session, tmp_path):
    path, pixels = group(tmp_path)
    shown = page_session.upload(path.read_bytes()).header["face"]

    def changed(reply):
        saved = np.asarray(Image.open(io.BytesIO(reply.payload)))
        assert (saved[:, -8:, 3] == 0).all() and (saved[:, :-8, 3] == 255).all()
        halves = np.array_split(np.abs(saved[..., :3].astype(int) - pixels).max(axis=-1), 2, axis=1)
        return [bool(half.max() > 20) for half in halves]

    happy = {"valence": 0.8, "arousal": 0.2}
    page_session.answer({"do": "edit"} | happy)
    assert changed(page_session.answer({"do": "picture_file"} | happy)) == [shown == 0, shown == 1]
    assert page_session.answer({"do": "choose", "face": 1 - shown, "keep": True}).header["face"] == 1 - shown
    assert changed(page_session.answer({"do": "picture_file"} | happy)) == [True, True]
    page_session.answer({"do": "choose", "face": shown, "keep": False})
    assert changed(page_session.answer({"do": "picture_file"} | happy)) == [shown == 0, shown == 1]
    assert changed(page_session.answer({"do": "picture_file", "untouched": True} | happy)) == [False, False]


def test_the_untouched_face_is_returned_to_compare(page_session):
    before = page_session.answer({"do": "original"})
    edited = page_session.answer({"do": "edit", "valence": 0.8, "arousal": 0.2})
    again = page_session.answer({"do": "original"})
    assert before == again and len(again.payload) == len(edited.payload) and again.payload != edited.payload


def test_a_face_made_an_infants_has_gums_until_it_is_an_adults_again(page_session):
    offsets = np.zeros((68, 2))
    offsets[[*range(55, 60), 65, 66, 67], 1] = 6.0  # the mouth opens
    request = {"do": "edit", "valence": 0.6, "arousal": 0.2, "offsets": offsets.ravel().tolist()}
    adult = page_session.answer(request)
    assert page_session.answer({"do": "age", "infant": True}).header == {"infant": True}
    infant = page_session.answer(request)
    assert infant.header == adult.header and infant.payload != adult.payload
    page_session.answer({"do": "age", "infant": False})
    assert page_session.answer(request).payload == adult.payload
    assert page_session.answer({"do": "draw", "seed": 1, "infant": True}).header["infant"]


@pytest.mark.slow
def test_3d_landmarks_are_shown_and_dragged_in_two_dimensions(trained_run_3d, tmp_path):
    page_session = session.Session(avlgan_jax.load(trained_run_3d[0]), make_detector)
    plain = page_session.answer({"do": "edit", "valence": 0.6, "arousal": 0.2})
    offsets = np.tile([1.5, -2.5], 68)
    dragged = page_session.answer({"do": "edit", "valence": 0.6, "arousal": 0.2, "offsets": offsets.tolist()})
    moved = np.array(dragged.header["landmarks"]) - plain.header["landmarks"]
    np.testing.assert_allclose(moved, offsets, atol=0.011)
    assert len(page_session.answer({"do": "film", "points": [[0, 0], [0.1, 0]], "format": "gif"}).payload) > 100
    Image.fromarray(drawn_face(1).image).save(tmp_path / "one.png")
    with pytest.raises(UserError, match="use --landmarks fan3d"):
        page_session.upload((tmp_path / "one.png").read_bytes())


def test_film_returns_one_film_and_dyad_returns_four(page_session, tmp_path, monkeypatch):
    points = [[k / 10, 0.1] for k in range(6)]
    for format, magic in (("gif", b"GIF89a"), ("mp4", None)):
        reply = page_session.answer({"do": "film", "points": points, "format": format})
        assert magic is None or reply.payload.startswith(magic)
        (tmp_path / f"walk.{format}").write_bytes(reply.payload)
    assert len(list(video.read_frames(tmp_path / "walk.mp4"))) == 6
    monkeypatch.setattr(session, "DYAD_SECONDS", 0.6)
    reply = page_session.answer({"do": "dyad", "seed": 3, "smoothing": 1})
    assert reply.header["frames"] == 6 == len(reply.header["phases"]) and reply.header["fps"] == 10
    assert np.array(reply.header["emotions"]).shape == (2, 6, 2)
    assert len(reply.payload) == 4 * 6 * session.DYAD_SIDE**2 * 3


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"do": "edit", "valence": "much", "arousal": 0}, "valence and arousal: expected 1 finite number"),
        ({"do": "edit", "valence": 0, "arousal": 0, "offsets": [1.0]}, "offsets: expected 136 finite number"),
        ({"do": "edit", "valence": float("nan"), "arousal": 0}, "expected 1 finite number"),
        ({"do": "draw", "seed": -1}, "seed -1: expected an integer"),
        ({"do": "film", "points": [[0, 0]], "format": "mp4"}, "film of 1 points"),
        ({"do": "film", "points": [[0, 0]] * 10_000, "format": "mp4"}, "film of 10000 points"),
        ({"do": "film", "points": [[0, 0]] * 2, "format": "exe"}, "expected mp4 or gif"),
        ({"do": "choose", "face": 1}, "face 1: expected a number from 0 to 0"),
        ({"do": "choose", "face": True}, "face True: expected a number"),
        ({"do": "dance"}, "unknown request 'dance'"),
    ],
)
def test_invalid_requests_are_user_errors(page_session, request_, message):
    with pytest.raises(UserError, match=re.escape(message)):
        page_session.answer(request_)

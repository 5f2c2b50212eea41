import io
import json
import re
import struct
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
from app_pages import TIMEOUT, face_pixels, make_detector, wait_until
from conftest import ROOT
from drawn_photographs import drawn_face
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import avlgan_jax
from avlgan_jax.app import server, session
from avlgan_jax.editing import photograph
from avlgan_jax.errors import UserError
from avlgan_jax.faces import video

pytest_plugins = ("app_fixtures",)


# --- the session, without a browser ---


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

    photograph._geometry.cache_clear()
    session.prepare(model, no_detector)
    assert photograph._geometry.cache_info().currsize == 1
    assert photograph._geometry(model.resolution)._cache_size() == 1


def test_an_upload_stays_in_its_own_session(page_session, model, tmp_path):
    Image.fromarray(np.hstack([drawn_face(1).image, drawn_face(2).image])).save(tmp_path / "two.jpg", quality=95)
    reply = page_session.upload((tmp_path / "two.jpg").read_bytes())
    assert reply.header["faces"] == 2 and len(reply.header["landmarks"]) == 136
    assert len(reply.payload) == 2 * model.resolution**2 * 3  # both faces, to choose from
    with pytest.raises(UserError, match="cannot be decoded"):
        page_session.upload(b"GIF89a nonsense")
    # The failed upload did not change the session: it still has the photograph, which another session does not have.
    assert len(page_session.answer({"do": "matrix"}).payload) == 81 * model.resolution**2 * 3
    other = session.Session(model, make_detector)
    request = {"do": "edit", "valence": 0.0, "arousal": 0.0}
    assert page_session.answer(request).payload != other.answer(request).payload


def group(tmp_path):
    """Write a picture of two people of unequal size whose right edge is transparent, and return its file and pixels."""
    pair = np.hstack([drawn_face(1).image, drawn_face(2).image])
    alpha = np.full(pair.shape[:2], 255, np.uint8)
    alpha[:, -8:] = 0
    path = tmp_path / "group.png"
    Image.fromarray(np.dstack([pair, alpha])).save(path)
    return path, np.where(alpha[..., None] == 0, 255, pair)


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


# --- the server, without a browser ---


def reply_to(socket, message):
    """Send a message and return the header and the payload of the reply."""
    socket.send(message)
    data = socket.recv()
    (length,) = struct.unpack("<I", data[:4])
    return json.loads(data[4 : 4 + length]), data[4 + length :]


def test_the_server_replies_to_requests_and_uploads(address):
    with connect(address.replace("http", "ws") + "session", origin=address.rstrip("/")) as socket:
        header, payload = reply_to(socket, json.dumps({"id": 7, "do": "edit", "valence": 0.1, "arousal": 0.1}))
        assert header["id"] == 7 and len(payload) == session.SHOWN**2 * 3
        assert "cannot be decoded" in reply_to(socket, b"no picture at all")[0]["error"]
        for invalid in ("[1, 2", "[1, 2]"):
            assert "the request failed" in reply_to(socket, invalid)[0]["error"]
        header, payload = reply_to(socket, json.dumps({"id": 8, "do": "matrix_file"}))
        assert header["id"] == 8 and payload.startswith(b"\x89PNG")
        assert "expected at most 41,943,040" in reply_to(socket, bytes(server.LARGEST_UPLOAD + 1))[0]["error"]
        with pytest.raises(ConnectionClosed):  # the page sends no messages of this size
            reply_to(socket, bytes(server.LARGEST_MESSAGE + 1))


def damaged_pictures():
    """Return a damaged file of each format that ended a session, and one with an odd EXIF field, which is sound."""
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0
    files = {}
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP"):
        buffer = io.BytesIO()
        Image.fromarray(drawn_face(1).image).save(buffer, kind, **({"exif": exif} if kind == "WEBP" else {}))
        content = buffer.getvalue()
        files[kind] = content[: len(content) // 2]
        files[f"{kind} of zeros"] = content[:40] + bytes(len(content) - 40)
    return files


MALFORMED = {
    "no JSON": "{",
    "not an object": "[1, 2]",
    "a number": "7",
    "null": "null",
    "a string": '"edit"',
    "nested deeply": "[" * 100_000,
    "a long integer": '{"do": "draw", "seed": ' + "9" * 5000 + "}",
    "no request": '{"id": 3}',
    "a list as a request": '{"id": 3, "do": ["edit"]}',
    "an object as a request": '{"id": 3, "do": {"edit": 1}}',
    "an object as an id": '{"id": {"a": 1}, "do": "dance"}',
    "NaN as an id": '{"id": NaN, "do": "dance"}',
    "a seed of another type": '{"id": 3, "do": "draw", "seed": true}',
    "a seed of another size": '{"id": 3, "do": "draw", "seed": 1e400}',
    "an emotion beyond floats": '{"id": 3, "do": "edit", "valence": ' + "9" * 400 + ', "arousal": 0}',
    "an object as an emotion": '{"id": 3, "do": "edit", "valence": {}, "arousal": []}',
    "ragged offsets": '{"id": 3, "do": "edit", "valence": 0, "arousal": 0, "offsets": [[1], [1, 2]]}',
    "objects as points": '{"id": 3, "do": "film", "points": [{}, {}], "format": "mp4"}',
    "a list as a format": '{"id": 3, "do": "film", "points": [[0, 0], [0, 1]], "format": []}',
    "a lone surrogate": '{"id": 3, "do": "\\ud800"}',
    "an empty upload": b"",
    "random bytes": bytes(range(256)) * 40,
} | damaged_pictures()


def test_a_session_survives_malformed_messages_of_every_kind(address):
    with connect(address.replace("http", "ws") + "session", origin=address.rstrip("/")) as socket:
        request = json.dumps({"id": 9, "do": "edit", "valence": 0.1, "arousal": 0.1})
        face = reply_to(socket, request)
        for name, message in MALFORMED.items():
            header, payload = reply_to(socket, message)
            assert header["error"] and "\n" not in header["error"] and not payload, name
            assert "object at 0x" not in header["error"] and header["id"] in (None, 3), name
        assert reply_to(socket, request) == face  # the same face: no message changed the session


def test_any_exception_of_a_session_is_a_reply_and_a_line_in_the_log(caplog):
    class Broken:
        def answer(self, request):
            raise SystemError("deep inside a library")

        def upload(self, content):
            return session.Reply({"valence": float("nan")})

    for message in ({"type": "websocket.receive", "text": '{"id": 5}'}, {"type": "websocket.receive", "bytes": b"x"}):
        packed = server._reply(Broken(), message)
        (length,) = struct.unpack("<I", packed[:4])
        assert "the request failed" in json.loads(packed[4 : 4 + length])["error"]
    assert [record.getMessage() for record in caplog.records] == ["a request failed"] * 2


def test_requests_from_other_sites_are_refused(address):
    with pytest.raises(InvalidStatus), connect(address.replace("http", "ws") + "session", origin="http://evil.example"):
        pass
    refused = urllib.request.Request(address, headers={"host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(refused)
    with urllib.request.urlopen(address) as page:
        assert "default-src 'self'" in page.headers["content-security-policy"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(address + "..%2fserver.py")


def test_static_files_refer_to_no_other_sites():
    for path in server.STATIC.iterdir():
        addresses = set(re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]+", path.read_text()))
        assert addresses <= {"http://www.w3.org"}, path


# --- the page in a browser ---


def input_value(page, name):
    return float(page.input_value(f"#{name}"))


def test_the_point_is_moved_by_mouse_and_keyboard(page):
    before, box = face_pixels(page), page.locator("#plane").bounding_box()
    centre = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*centre)
    page.mouse.down()
    page.mouse.move(centre[0] + box["width"] / 4, centre[1] - box["height"] / 8, steps=4)
    page.mouse.up()
    wait_until(page, "document.querySelector('#face').getAttribute('aria-label').includes('+0.58')")
    assert abs(input_value(page, "valence") - 0.58) < 0.02 and abs(input_value(page, "arousal") - 0.29) < 0.02
    assert face_pixels(page) != before
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    assert abs(input_value(page, "valence") - 0.53) < 0.02 and abs(input_value(page, "arousal") - 0.44) < 0.02
    page.keyboard.press("2")
    assert page.locator("#expressions button", has_text="happy").get_attribute("aria-pressed") == "true"
    wait_until(page, "document.querySelector('#spoken').textContent.includes('nearest to happy')")
    # A click outside the disc moves the point to its rim.
    page.mouse.click(box["x"] + 2, box["y"] + 2)
    assert abs(np.hypot(input_value(page, "valence"), input_value(page, "arousal")) - 1.0) < 0.02


def test_touch_and_layout_on_a_phone(address, browser):
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")
    plane = page.locator("#plane")
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.5)
    wait_until(page, "+document.querySelector('#valence').value > 0.4")
    for tab in ("#tab-dyad", "#tab-film", "#tab-face"):
        page.click(tab)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_new_faces_and_dragged_landmarks(page):
    before = face_pixels(page)
    page.click("#new-infant")
    wait_until(page, "document.querySelector('#face-status').textContent.startsWith('infant')")
    infant = face_pixels(page)
    assert infant != before and page.is_checked("#infant")
    page.check("#show-landmarks")
    assert page.locator("#landmarks circle:visible").count() == 2 * 68
    group = page.locator("#landmarks g[aria-label^=mouth]")
    group.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#reset-landmarks:visible")
    dragged = face_pixels(page)
    assert dragged != infant
    dot = page.locator("#landmarks circle.reach[data-k='57']").bounding_box()
    page.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2)
    page.mouse.down()
    page.mouse.move(dot["x"] + dot["width"] / 2, dot["y"] + dot["height"] / 2 + 25, steps=3)
    page.mouse.up()
    assert face_pixels(page) != dragged
    page.click("#reset-landmarks")
    assert face_pixels(page) == infant


def test_invalid_uploads_show_a_message_and_keep_the_face(page, tmp_path):
    Image.fromarray(drawn_face(2).image).save(tmp_path / "me.png")
    page.set_input_files("#file", tmp_path / "me.png")
    wait_until(page, "document.querySelector('#face-status').textContent.startsWith('me.png')")
    pixels_before = face_pixels(page)
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "huge.jpg").write_bytes(bytes(server.LARGEST_UPLOAD + 1))
    Image.new("RGB", (200, 200), "gray").save(tmp_path / "wall.png")
    for name, message in (
        ("text.jpg", "cannot be decoded"),
        ("huge.jpg", "at most 40 MB"),
        ("wall.png", "found no face"),
    ):
        page.set_input_files("#file", tmp_path / name)
        wait_until(page, f"document.querySelector('#message').textContent.includes('{message}')")
        assert face_pixels(page) == pixels_before
    page.click("#new-adult")
    wait_until(page, "document.querySelector('#message').hidden")


def test_a_photograph_stays_as_it_is_until_it_is_edited(page, tmp_path):
    path, pixels = group(tmp_path)
    page.set_input_files("#file", path)
    wait_until(page, "document.querySelector('#face').ariaLabel === 'The untouched face'")
    wait_until(page, "document.body.ariaBusy === 'false'")
    untouched = face_pixels(page)
    page.keyboard.down("c")
    assert face_pixels(page) == untouched
    page.keyboard.up("c")
    with page.expect_download() as download:
        page.click("#save-picture")
    assert download.value.suggested_filename == "group.png"
    download.value.save_as(tmp_path / "saved.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "saved.png"))[..., :3], pixels)
    page.check("#plain")  # what the networks make of it is asked for
    assert face_pixels(page) != untouched
    page.uncheck("#plain")
    assert face_pixels(page) == untouched
    page.focus("#plane")
    page.keyboard.press("ArrowRight")
    assert face_pixels(page) != untouched


def test_a_message_is_scrolled_into_view(address, browser, tmp_path):
    page = browser.new_page(viewport={"width": 360, "height": 500})
    page.set_default_timeout(TIMEOUT)
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")
    page.locator("#save-matrix").scroll_into_view_if_needed()
    assert page.evaluate("scrollY") > 100
    (tmp_path / "text.jpg").write_text("no image")
    page.set_input_files("#file", tmp_path / "text.jpg")
    wait_until(page, "!document.querySelector('#message').hidden")
    assert page.locator("#message").bounding_box()["y"] >= 0
    page.close()


def test_a_camera_picture_is_uploaded(page):
    page.click("#camera")
    wait_until(page, "document.querySelector('#booth video').videoWidth > 0")
    page.click("#snap")
    # Chromium's fake camera shows a green field without a face, which gives an error message.
    wait_until(page, "document.querySelector('#message').textContent.includes('no face')")
    assert page.evaluate("document.querySelector('#booth video').srcObject") is None


def test_picture_matrix_and_walk_are_saved(page, tmp_path):
    def saved(click, name):
        with page.expect_download() as download:
            page.click(click)
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
        return tmp_path / name

    page.focus("#plane")
    page.keyboard.press("2")
    assert Image.open(saved("#save-picture", "adult-1_edited.png")).size == (session.SHOWN, session.SHOWN)
    assert min(Image.open(saved("#save-matrix", "matrix.png")).size) > 800
    page.click("#record")
    page.focus("#plane")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(80)
    assert len(list(video.read_frames(saved("#record", "walk.mp4")))) >= 5


def test_the_dyad_is_shown_and_played(page):
    page.focus("#tab-face")
    page.keyboard.press("ArrowRight")
    assert page.locator("#film-panel").is_visible() and not page.locator("#face-panel").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#dyad-panel").is_visible() and not page.locator("#film-panel").is_visible()
    page.wait_for_selector("#curves polyline.infant")
    assert page.locator("#curves text", has_text="still face").count() == 1

    def films():
        return page.evaluate("[...document.querySelectorAll('.film')].map((film) => film.toDataURL())")

    before = films()
    assert len(set(before)) == 4
    page.click("#play")
    wait_until(page, "+document.querySelector('#time').value > 3")
    page.click("#play")
    assert all(now != then for now, then in zip(films(), before, strict=True))
    page.focus("#time")
    page.keyboard.press("End")
    wait_until(page, "document.querySelector('#time').getAttribute('aria-valuetext').includes('reunion')")


def test_a_face_of_a_group_is_chosen_compared_and_saved(page, tmp_path):
    path, pixels = group(tmp_path)
    page.set_input_files("#file", path)
    wait_until(
        page, "document.querySelectorAll('#which-face button').length === 2 && document.body.ariaBusy === 'false'"
    )
    untouched = face_pixels(page)
    page.focus("#plane")
    page.keyboard.press("2")  # happy
    happy = face_pixels(page)
    assert happy != untouched
    page.keyboard.down("c")
    original = face_pixels(page)
    assert page.get_attribute("#compare", "aria-pressed") == "true" and original != happy
    page.keyboard.up("c")
    assert face_pixels(page) == happy
    page.focus("#compare")
    page.keyboard.down("Space")
    assert face_pixels(page) == original
    page.keyboard.up("Space")
    box = page.locator("#compare").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    assert face_pixels(page) == original
    page.mouse.up()
    assert face_pixels(page) == happy
    other = page.locator("#which-face button[aria-pressed=false]")
    other.focus()
    page.keyboard.press("Enter")
    wait_until(page, "document.querySelector('#which-face button:focus').ariaPressed === 'true'")
    wait_until(page, "document.body.ariaBusy === 'false'")
    page.focus("#plane")
    page.keyboard.press("4")  # surprise
    face_pixels(page)
    with page.expect_download() as download:
        page.click("#save-picture")
    assert download.value.suggested_filename == "group_edited.png"
    download.value.save_as(tmp_path / "saved.png")
    saved = np.asarray(Image.open(tmp_path / "saved.png"))
    assert saved.shape == (*pixels.shape[:2], 4)
    halves = np.array_split(np.abs(saved[..., :3].astype(int) - pixels).max(axis=-1), 2, axis=1)
    assert all(half.max() > 20 for half in halves)  # the edit of the first face is kept


def test_a_port_in_use_is_a_user_error(address):
    port = address.rstrip("/").rpartition(":")[2]
    command = [sys.executable, "-m", "avlgan_jax.app", "--port", port, "--no-browser"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "choose another --port" in done.stderr and "Traceback" not in done.stderr

"""The film of a page: the desk without a browser, its addresses, and the tab in Chromium."""

import json
import threading
import urllib.error
import urllib.request

import numpy as np
import pytest
from app_pages import make_detector, wait_until
from drawn_photographs import drawn_face
from sounding_films import sound_of, write_film
from websockets.sync.client import connect

from avlgan_jax.app import films
from avlgan_jax.errors import UserError
from avlgan_jax.faces import video

pytest_plugins = ("app_fixtures",)
KEY = "0123456789abcdef" * 2
HAPPY = {"points": [[0.0, 0.8, 0.2]], "face": None}


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Return a film of two people of twenty frames with a tone."""
    pair = np.hstack([drawn_face(1).image, drawn_face(2).image])
    frames = [np.roll(pair, k % 4, axis=0) for k in range(20)]
    return write_film(tmp_path_factory.mktemp("film") / "two.mp4", frames=frames, times=np.arange(20) / 20)


@pytest.fixture
def film(model):
    film = films.Film(model, make_detector)
    yield film
    film.close()
    assert not film.new_file().parent.exists()


def received(film, path):
    """Give a film its file, and return its description."""
    copy = film.new_file()
    copy.write_bytes(path.read_bytes())
    return film.receive(copy, path.name)


def test_a_film_is_edited_and_keeps_its_sound(film, filmed):
    described = received(film, filmed)
    assert described == {"seconds": pytest.approx(1.0), "frames": 20, "size": [448, 224], "faces": 2}
    film.start({"points": [[0.5, 0.8, 0.2], [0.0, 0.0, 0.0]], "face": 1})()
    assert film.status == films.Status("done", 20, 20)
    halves = [
        [np.quantile(np.abs(half).max(axis=-1), 0.99) for half in np.array_split(after.astype(int) - before, 2, axis=1)]
        for after, before in zip(video.read_frames(film.result), video.read_frames(filmed), strict=True)
    ]
    assert halves[-1][1] > 20 > max(left for left, _ in halves)  # only the right face, which gets happy
    assert sound_of(film.result) == sound_of(filmed)


def test_a_film_is_cancelled_and_leaves_no_file(film, filmed, monkeypatch):
    received(film, filmed)
    monkeypatch.setattr(films.film, "_TOGETHER", 2)
    work = threading.Thread(target=film.start(HAPPY))
    work.start()
    with pytest.raises(UserError, match="being edited already"):
        film.start(HAPPY)
    while film.status.done == 0:
        pass
    film.cancel()
    work.join()
    assert film.status == films.Status("ready", 0, 20) and film.result is None
    assert len(list(film.new_file().parent.iterdir())) == 1
    film.start(HAPPY)()
    assert film.status.state == "done"


def test_what_cannot_be_edited_is_one_line_with_the_name_of_the_film(film, filmed, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="there is no film yet"):
        film.start(HAPPY)
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(UserError, match=r"^text\.mp4 cannot be read as a film"):
        received(film, tmp_path / "text.mp4")
    received(film, write_film(tmp_path / "wall.mp4", frames=[np.full((96, 96, 3), 128, np.uint8)] * 3))
    film.start(HAPPY)()
    assert film.status.state == "failed" and film.status.error.startswith("wall.mp4: dlib found no face")
    monkeypatch.setattr(films, "LONGEST", 0.5)
    with pytest.raises(UserError, match="two.mp4 lasts 1 seconds; expected at most 0"):
        received(film, filmed)
    monkeypatch.setattr(films, "LONGEST", 10.0)
    monkeypatch.setattr(films, "LARGEST_FRAME", 1000)
    with pytest.raises(UserError, match="two.mp4 has 448 x 224 pixels; expected at most 4K"):
        received(film, filmed)
    assert len(list(film.new_file().parent.iterdir())) == 1


@pytest.mark.parametrize(
    "request_",
    [{}, {"points": []}, {"points": [[0, 0]]}, {"points": [[0, 0, float("nan")]]}, {"points": {"a": 1}}]
    + [HAPPY | {"face": face} for face in (-1, 1.5, True, "left", [0])]
    + [HAPPY | {"infant": infant} for infant in (1, "yes", None)],
)
def test_invalid_requests_are_user_errors(film, filmed, request_):
    received(film, filmed)
    with pytest.raises(UserError, match="expected"):
        film.start(request_)
    assert film.status.state == "ready"


def asked(where, method, body=None):
    """Send a request; return its status and the reply."""
    try:
        with urllib.request.urlopen(urllib.request.Request(where, body, method=method)) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_addresses_of_films_live_as_long_as_their_page(address, filmed):
    where = f"{address}films/{KEY}"
    assert asked(where, "GET")[0] == 404
    with connect(f"{address.replace('http', 'ws')}session?films={KEY}", origin=address.rstrip("/")) as socket:
        socket.send(json.dumps({"id": 1, "do": "original"}))
        socket.recv()
        assert json.loads(asked(where, "GET")[1])["state"] == "empty"
        for method, body, words in (
            ("PUT", b"", "is empty"),
            ("PUT", b"no film", "cannot be read as a film"),
            ("POST", b"{", "no JSON object"),
            ("POST", b"[" * 100_000, "no JSON object"),
            ("POST", b"{}", "no film yet"),
        ):
            status, reply = asked(where, method, body)
            assert status == 400 and words in json.loads(reply)["error"], (method, body[:10])
        assert asked(f"{where}/result", "GET")[0] == 404
        status, reply = asked(f"{where}?name=two.mp4", "PUT", filmed.read_bytes())
        assert status == 200 and json.loads(reply)["frames"] == 20
    for _ in range(100):
        if asked(where, "GET")[0] == 404:
            break
    assert asked(where, "GET")[0] == 404


def test_a_film_is_edited_in_the_page_by_keyboard(page, filmed, tmp_path):
    page.focus("#tab-face")
    page.keyboard.press("ArrowRight")
    assert page.locator("#film-panel #plane").is_visible() and page.is_disabled("#film-start")
    (tmp_path / "text.mp4").write_text("no film")
    page.set_input_files("#film-file", tmp_path / "text.mp4")
    wait_until(page, "document.querySelector('#message').textContent.startsWith('text.mp4 cannot be read')")
    page.set_input_files("#film-file", filmed)
    wait_until(page, "!document.querySelector('#film-start').disabled")
    assert page.locator("#message").is_hidden() and "20 frames" in page.inner_text("#film-status")
    assert page.locator("#film-face option").all_inner_texts() == ["largest", "1 (leftmost)", "2 (rightmost)"]
    page.focus("#plane")
    page.keyboard.press("2")
    assert page.inner_text("#film-start") == "Edit the film: happy"
    page.focus("#film-add")
    page.keyboard.press("Enter")
    assert page.inner_text("#film-points").startswith("0.0 s: valence") and "happy" in page.inner_text("#film-points")
    page.focus("#film-start")
    page.keyboard.press("Enter")
    wait_until(page, "!document.querySelector('#film-cancel').hidden")
    page.click("#film-cancel")
    wait_until(page, "document.querySelector('#film-status').textContent.startsWith('Cancelled')")
    page.click("#film-start")
    wait_until(page, "document.querySelector('#film-result').readyState >= 2")
    assert page.evaluate("document.querySelector('#film-result').videoWidth") == 448
    with page.expect_download() as download:
        page.click("#film-save")
    assert download.value.suggested_filename == "two_edited.mp4"
    download.value.save_as(tmp_path / "saved.mp4")
    assert len(list(video.read_frames(tmp_path / "saved.mp4"))) == 20
    page.focus("#film-result")
    page.keyboard.down("c")
    assert page.locator("#film-source").is_visible() and page.locator("#film-result").is_hidden()
    page.keyboard.up("c")
    assert page.locator("#film-result").is_visible()
    # The point of the film is not that of the face, whose tab goes on as it was.
    page.click("#tab-face")
    assert page.locator("#face-panel #plane").is_visible()
    assert page.locator("#expressions button", has_text="happy").get_attribute("aria-pressed") == "false"

"""The server of the app, without a browser."""

import io
import json
import re
import struct
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from conftest import ROOT
from drawn_photographs import drawn_face
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from avlgan_jax.app import server, session

pytest_plugins = ("app_fixtures",)


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


def test_a_port_in_use_is_a_user_error(address):
    port = address.rstrip("/").rpartition(":")[2]
    command = [sys.executable, "-m", "avlgan_jax.app", "--port", port, "--no-browser"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "choose another --port" in done.stderr and "Traceback" not in done.stderr

"""Web server of the page: static files, one websocket per open page for requests and uploads, and the page's film.

A text message is a request (`Session.answer`), a binary message is an uploaded picture. Every reply is binary: the
length of its header (4 bytes, little-endian), the header as JSON, and the payload. Uploaded pictures are kept in memory
until the websocket closes. Films go by HTTP (`film_server`).
"""

import asyncio
import concurrent.futures
import functools
import json
import logging
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from avlgan_jax.app.film_server import FilmServer
from avlgan_jax.app.films import LARGEST_FILM, LONGEST
from avlgan_jax.app.session import FILM_FPS, LONGEST_FILM, Reply, Session, prepare
from avlgan_jax.editing.editor import Editor
from avlgan_jax.errors import UserError, one_line
from avlgan_jax.faces import emotions, landmarks
from avlgan_jax.faces.detectors import Detector

LARGEST_UPLOAD = 40 * 1024 * 1024  # bytes; a PNG of 12 megapixels has 20 million
# A longer message is not received: the connection is closed, and the page says so. The page sends none.
LARGEST_MESSAGE = LARGEST_UPLOAD + 8 * 1024 * 1024
STATIC = Path(__file__).with_name("static")
_log = logging.getLogger(__name__)

# The page loads nothing from other servers, and other pages cannot embed it in a frame.
_POLICY = "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; frame-ancestors 'none'"


def create(model: Editor, detector: Callable[[], Detector], finds_faces: str, host: str) -> Starlette:
    """Return the web application.

    Args:
        model: the trained models.
        detector: creates the landmark detector; called once, when the first picture is uploaded.
        finds_faces: name of the detector, which the page shows.
        host: address on which the application will listen. Requests with another host name are refused, so that no
            other site can reach the server through the user's browser under the site's own name (DNS rebinding).
    """
    # A single thread computes for all pages: parallel computations would compete for the same cores.
    worker = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="networks")
    films = FilmServer(model, detector)
    detector = functools.cache(detector)
    # Once the first page shows a face, and not in the only worker, whose next requests need not wait for it.
    prepare_once = functools.cache(threading.Thread(target=prepare, args=(model, detector)).start)

    async def compute(function: Callable, *arguments) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(worker, function, *arguments)

    async def about(request: Request) -> Response:
        return JSONResponse(
            {
                "trained_on": model.trained_on,
                "finds_faces": finds_faces,
                "drawn": model.bundle.config.data == "procedural_faces",
                "resolution": model.resolution,
                "expressions": [
                    {"name": name, "valence": float(v), "arousal": float(a)}
                    for name, (v, a) in zip(emotions.EXPRESSIONS, emotions.TABLE_II, strict=True)
                ],
                "groups": {name: [group.start, group.stop] for name, group in landmarks.GROUPS.items()},
                "contours": landmarks.CONTOURS,
                "largest_upload": LARGEST_UPLOAD,
                "film": {"fps": FILM_FPS, "longest": LONGEST_FILM},
                "largest_film": LARGEST_FILM,
                "longest_film": LONGEST,
            }
        )

    async def page(socket: WebSocket) -> None:
        origin = socket.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != socket.headers.get("host"):
            await socket.close(1008)  # a page of another site
            return
        await socket.accept()
        key = films.open(socket.query_params.get("films", ""))
        try:
            session = await compute(Session, model, detector)
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await socket.send_bytes(await compute(_reply, session, message))
                prepare_once()
        except WebSocketDisconnect:
            return
        finally:
            films.close(key)

    routes = [
        Route("/about", about),
        *films.routes(),
        WebSocketRoute("/session", page),
        Mount("/", StaticFiles(directory=STATIC, html=True)),
    ]
    # A wildcard address is reachable under host names that are unknown here, so every name is accepted.
    names = ["*"] if host in ("0.0.0.0", "::") else [host, "localhost", "127.0.0.1"]
    return Starlette(
        routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=names), Middleware(_Headers)]
    )


class _Headers:
    """Middleware that adds the security policy to every response and makes browsers revalidate cached files."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send) -> None:
        async def with_headers(message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [
                    (b"content-security-policy", _POLICY.encode()),
                    (b"cache-control", b"no-cache"),
                    (b"x-content-type-options", b"nosniff"),
                ]
            await send(message)

        await self._app(scope, receive, with_headers)


def _reply(session: Session, message: dict) -> bytes:
    """Return the reply to a message of the page; its header reports an error as "error".

    This is the boundary of a session: whatever a message causes, the page gets a reply and the session goes on. An
    exception other than `UserError` is a fault of this project, and is logged with its traceback.
    """
    number = None
    try:
        if message.get("text") is None:
            return _packed(number, _uploaded(session, message["bytes"]))
        request = json.loads(message["text"])
        if isinstance(request.get("id"), int):  # an id of another type would not come back unchanged
            number = request["id"]
        return _packed(number, session.answer(request))
    except UserError as error:
        text = one_line(error)
        _log.warning("refused: %s", text)
    except Exception as error:
        _log.exception("a request failed")
        text = f"the request failed ({type(error).__name__}); the terminal shows the traceback"
    return _packed(number, Reply({"error": text}))


def _uploaded(session: Session, content: bytes) -> Reply:
    """Return the session's reply to an uploaded picture. Raises UserError also if the file is too large."""
    if len(content) > LARGEST_UPLOAD:
        raise UserError(f"the picture has {len(content):,} bytes; expected at most {LARGEST_UPLOAD:,}: reduce its size")
    return session.upload(content)


def _packed(number: int | None, reply: Reply) -> bytes:
    """Return the bytes of a reply to request `number`. Raises ValueError if a number of its header is not finite."""
    header = json.dumps({"id": number} | reply.header, allow_nan=False).encode()
    return struct.pack("<I", len(header)) + header + reply.payload

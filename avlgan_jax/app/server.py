"""The page's server: its files, and one websocket a page on which everything else goes.

A text message is a request (`Session.answer`), a binary one an uploaded picture. Every answer is binary: the length of
its header (4 bytes, little-endian), the header as JSON, and the payload. What a page uploads lives as long as its
websocket does.
"""

import asyncio
import concurrent.futures
import functools
import json
import logging
import struct
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

from avlgan_jax.app.session import FILM_FPS, LONGEST_FILM, Reply, Session
from avlgan_jax.editing.editor import Editor
from avlgan_jax.errors import UserError, one_line
from avlgan_jax.faces import emotions, landmarks
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.detectors import Detector

LARGEST_UPLOAD = 12 * 1024 * 1024  # bytes
STATIC = Path(__file__).with_name("static")
_log = logging.getLogger(__name__)

# The page loads nothing from elsewhere, and nobody else may frame it.
_POLICY = "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; frame-ancestors 'none'"


def create(model: Editor, detector: Callable[[], Detector], host: str) -> Starlette:
    """The application; `detector` makes the landmark detector when the first picture is uploaded.

    `host` is the address that it will listen on: pages asked for by another name are refused, so that no other site
    can reach the server through the person's browser under a name of its own.
    """
    # One thread computes: two pages take turns instead of sharing the cores badly.
    worker = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="networks")
    detector = functools.cache(detector)

    async def compute(function: Callable, *arguments) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(worker, function, *arguments)

    async def about(request: Request) -> Response:
        return JSONResponse(
            {
                "trained_on": model.trained_on,
                "drawn": model.bundle.config.data == "procedural_faces",
                "resolution": model.resolution,
                "expressions": [
                    {"name": name, "valence": float(v), "arousal": float(a)}
                    for name, (v, a) in zip(emotions.EXPRESSIONS, emotions.TABLE_II, strict=True)
                ],
                "groups": {name: [group.start, group.stop] for name, group in lm.GROUPS.items()},
                "contours": landmarks.CONTOURS,
                "largest_upload": LARGEST_UPLOAD,
                "film": {"fps": FILM_FPS, "longest": LONGEST_FILM},
            }
        )

    async def page(socket: WebSocket) -> None:
        origin = socket.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != socket.headers.get("host"):
            await socket.close(1008)  # another site's page
            return
        await socket.accept()
        session = await compute(Session, model, detector)
        try:
            while True:
                message = await socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await socket.send_bytes(await compute(_answer, session, message))
        except WebSocketDisconnect:
            return

    routes = [
        Route("/about", about),
        WebSocketRoute("/session", page),
        Mount("/", StaticFiles(directory=STATIC, html=True)),
    ]
    # Listening everywhere was asked for by somebody who knows by which names.
    names = ["*"] if host in ("0.0.0.0", "::") else [host, "localhost", "127.0.0.1"]
    return Starlette(
        routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=names), Middleware(_Headers)]
    )


class _Headers:
    """Middleware: the policy of the page on each of its files, none of which is kept by the browser."""

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


def _answer(session: Session, message: dict) -> bytes:
    """The message that answers a message; what goes wrong is told in its header."""
    number = None
    try:
        if message.get("text") is not None:
            request = json.loads(message["text"])
            number = request.get("id")
            answer = session.answer(request)
        else:
            answer = session.upload(message["bytes"])
    except UserError as error:
        answer = Reply({"error": one_line(error)})
    except (ValueError, AttributeError) as error:
        _log.exception("a request failed")
        answer = Reply({"error": f"something went wrong ({type(error).__name__}); the terminal says what"})
    header = json.dumps({"id": number} | answer.header).encode()
    return struct.pack("<I", len(header)) + header + answer.payload

"""The films of all open pages, by HTTP: a film is large, and browsers play the result by parts of it.

The address of a film contains a key, which the page chose at random and told in the address of its websocket
(`session?films=KEY`). It is valid as long as the websocket is open.

    PUT films/KEY?name=NAME    the film -> what `films.Film.receive` returns
    POST films/KEY             a request of `films.Film.start` -> `films.Status`
    GET films/KEY              `films.Status`
    DELETE films/KEY           cancel the work -> `films.Status`
    GET films/KEY/result       the edited film

An error is {"error": one line} with the status 400, or 404 where there is no such film.
"""

import asyncio
import concurrent.futures
import functools
import re
from collections.abc import Callable
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from avlgan_jax.app.films import LARGEST_FILM, Film
from avlgan_jax.editing.editor import Editor
from avlgan_jax.errors import UserError, one_line
from avlgan_jax.faces.detectors import Detector

_KEY = re.compile("[0-9a-f]{32}")


class FilmServer:
    """The films of all open pages.

    Args:
        model: the trained models.
        detector: creates a landmark detector; called once, when the first film comes.
    """

    def __init__(self, model: Editor, detector: Callable[[], Detector]):
        self._model, self._detector = model, functools.cache(detector)
        self._films: dict[str, Film] = {}
        # A film takes minutes. In a thread of its own, what the pages do with photographs goes on meanwhile.
        self._worker = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="films")

    def open(self, key: str) -> str:
        """Make place for the film of a page; return its key, or "" if the key is invalid or in use."""
        if not _KEY.fullmatch(key) or key in self._films:
            return ""
        self._films[key] = Film(self._model, self._detector)
        return key

    def close(self, key: str) -> None:
        """Cancel the work on the film of a page, and delete its files when the work has ended; "" does nothing."""
        if film := self._films.pop(key, None):
            film.cancel()
            self._worker.submit(film.close)

    def routes(self) -> list[Route]:
        """Return the routes of this server."""
        return [
            Route("/films/{key}", self._serve, methods=["GET", "PUT", "POST", "DELETE"]),
            Route("/films/{key}/result", self._serve_result),
        ]

    async def _serve(self, request: Request) -> Response:
        film = self._films.get(request.path_params["key"])
        if film is None:
            return JSONResponse({"error": "this page lost its connection; reload the page"}, 404)
        try:
            if request.method == "PUT":
                return JSONResponse(await self._receive(request, film))
            if request.method == "POST":
                self._worker.submit(film.start(await _json(request)))
            if request.method == "DELETE":
                film.cancel()
            return JSONResponse(film.report())
        except UserError as error:
            return JSONResponse({"error": one_line(error)}, 400)

    async def _receive(self, request: Request, film: Film) -> dict:
        """Take the film in the body of a request, and describe it. Raises UserError as `Film.receive` does."""
        path, name = film.new_file(), request.query_params.get("name", "")[:100] or "the film"
        await _write_body(request, path, name)
        film.cancel()  # of the film before
        return await asyncio.get_running_loop().run_in_executor(self._worker, film.receive, path, name)

    async def _serve_result(self, request: Request) -> Response:
        film = self._films.get(request.path_params["key"])
        if film is None or film.result is None:
            return JSONResponse({"error": "there is no edited film"}, 404)
        return FileResponse(film.result, media_type="video/mp4")


async def _json(request: Request) -> dict:
    """Return the body of a request. Raises UserError unless it is a JSON object."""
    try:
        found = await request.json()
    except (ValueError, RecursionError):  # ValueError also of a text that is no UTF-8
        found = None
    if not isinstance(found, dict):
        raise UserError("the request is no JSON object; reload the page")
    return found


async def _write_body(request: Request, path: Path, name: str) -> None:
    """Write the body of a request to a file. Raises UserError, and leaves no file, if it is too large or incomplete."""
    size = 0
    try:
        with path.open("wb") as file:
            async for part in request.stream():
                size += len(part)
                if size > LARGEST_FILM:
                    raise UserError(f"{name} has more than {LARGEST_FILM:,} bytes; cut it or reduce its size")
                file.write(part)
        if not size:
            raise UserError(f"{name} is empty; choose another film")
    except (UserError, ClientDisconnect, OSError) as error:
        path.unlink(missing_ok=True)
        if isinstance(error, UserError):
            raise
        raise UserError(f"{name} was not received completely ({one_line(error)}); send it again") from error

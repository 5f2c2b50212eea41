"""A page on this machine: a face, the valence-arousal plane, and a point to drag.

    python -m avlgan_jax.app
    python -m avlgan_jax.app --weights runs/mine --landmarks fan

Nothing leaves the machine: it listens on 127.0.0.1 unless told otherwise, and loads nothing from elsewhere.
"""

import contextlib
import socket
import threading
import webbrowser
from dataclasses import dataclass

import tyro

from avlgan_jax.errors import UserError, command


@dataclass(frozen=True)
class Arguments:
    """What to show, and where to listen."""

    weights: str = "procedural48"
    """Weights: a name that comes with the package, or the folder of a bundle or of a training run."""
    landmarks: str = "dlib"
    """Landmark detector for uploaded photographs: dlib, fan or fan3d."""
    host: str = "127.0.0.1"
    """Address to listen on. With another than 127.0.0.1 everybody on the network can use the page."""
    port: int = 8765
    """Port to listen on; 0 takes any that is free."""
    browser: bool = True
    """Open the page in the browser."""


@command
def main() -> None:
    """The command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    with contextlib.closing(_listen(arguments.host, arguments.port)) as listening:
        address = f"http://{arguments.host}:{listening.getsockname()[1]}/"
        # Loading takes a few seconds, so it comes after what may fail at once.
        import uvicorn

        from avlgan_jax.app import server
        from avlgan_jax.editing import editor
        from avlgan_jax.faces import detectors

        detectors.kind(arguments.landmarks)
        model = editor.load(arguments.weights)
        app = server.create(model, lambda: detectors.create(arguments.landmarks), arguments.host)
        config = uvicorn.Config(
            app,
            log_level="warning",
            ws="websockets-sansio",
            ws_max_size=server.LARGEST_UPLOAD,
            ws_ping_interval=None,  # a browser on a busy machine may take its time
        )
        print(f"{address}  (weights trained on {model.trained_on}; Ctrl-C ends it)", flush=True)
        if arguments.browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        uvicorn.Server(config).run([listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot listen on {host}, port {port}: {error}; choose another --port") from error


if __name__ == "__main__":
    main()

"""Local web page that edits a face while a point is dragged on the valence-arousal plane.

    python -m avlgan_jax.app
    python -m avlgan_jax.app --weights runs/mine --landmarks fan

The server listens on 127.0.0.1 by default, and the page loads nothing from other servers: no data leaves the machine.
"""

import contextlib
import socket
import threading
import webbrowser
from dataclasses import dataclass

import tyro

from avlgan_jax import atomic_files
from avlgan_jax.errors import UserError, command


@dataclass(frozen=True)
class Arguments:
    """Weights of the page, and the address of its server."""

    weights: str = "faces64"
    """Weights: name of a packaged bundle, folder of a bundle, or folder of a training run."""
    landmarks: str = "auto"
    """Detector for photographs: dlib, fan, fan3d, mediapipe, or auto (mediapipe where its file is, else dlib)."""
    host: str = "127.0.0.1"
    """Address to listen on. At any other address than 127.0.0.1 other machines of the network can use the page."""
    port: int = 8765
    """Port to listen on; 0 chooses a free port."""
    browser: bool = True
    """Open the page in the default browser."""


@command
def main() -> None:
    """Run the command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    with contextlib.closing(_listen(arguments.host, arguments.port)) as listening:
        address = f"http://{arguments.host}:{listening.getsockname()[1]}/"
        # Imported late, because loading takes a few seconds and a port in use is reported at once.
        import uvicorn

        from avlgan_jax.app import server
        from avlgan_jax.editing import editor
        from avlgan_jax.faces import detectors
        from avlgan_jax.runtime import devices

        devices.use_compilation_cache(atomic_files.user_cache() / "programs")
        landmarks = detectors.for_photographs(arguments.landmarks)
        detectors.kind(landmarks)
        model = editor.load(arguments.weights)
        app = server.create(model, lambda: detectors.create(landmarks), landmarks, arguments.host)
        config = uvicorn.Config(
            app,
            log_level="warning",
            ws="websockets-sansio",
            ws_max_size=server.LARGEST_MESSAGE,
            ws_ping_interval=None,  # a browser on a busy machine may answer late
            ws_per_message_deflate=False,  # compressing a face takes 10 ms and saves a fifth of its bytes
        )
        found = f"faces in photographs are found by {landmarks}"
        print(f"{address}  (weights trained on {model.trained_on}; {found}; press Ctrl-C to stop)", flush=True)
        if arguments.browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        uvicorn.Server(config).run([listening])


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `host` and `port`. Raises UserError if that fails."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot listen on {host}, port {port}: {error}; choose another --port") from error


if __name__ == "__main__":
    main()

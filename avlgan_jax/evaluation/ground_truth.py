"""Ground truth for drawn faces: the same face rendered at the target emotion."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Int, UInt8

from avlgan_jax.data.records import Faces
from avlgan_jax.faces import procedural
from avlgan_jax.processes import single_threaded_context

# An image and its landmarks in pixels.
RenderedFace = tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "68 2"]]
# Renders the faces with the given keys (`face_keys`) at the given emotions, in order.
Renderer = Callable[[Int[np.ndarray, "n 4"], Float[np.ndarray, "n 2"]], Iterator[RenderedFace]]


def face_keys(faces: Faces) -> Int[np.ndarray, "n 4"] | None:
    """Return the key of each face, or None if the faces have no ground truth.

    Photographs have none. Frames of dyads have none either, because their poses depend on the full sequence.

    Returns:
        (seed, subject, shot, infant) of each face, the input of `render`.
    """
    drawn = "face_key" in faces.extras and np.all(faces.extras.get("dyad", -1) == -1)
    return faces.extras["face_key"] if drawn else None


def render(face_key: Int[np.ndarray, "4"], emotion: Float[np.ndarray, "2"], resolution: int) -> RenderedFace:
    """Render one face at an emotion.

    Args:
        face_key: (seed, subject, shot, infant) of the face, a row of `face_keys`.
        emotion: Valence and arousal, each in [-1, 1].
        resolution: Side of the image in pixels.

    Returns:
        The image, uint8 (resolution, resolution, 3), and its landmarks in pixels, float32 (68, 2).
    """
    seed, subject, shot, infant = (int(part) for part in face_key)
    face = procedural.sample_face(seed, subject, shot, bool(infant))
    image, landmarks, _ = procedural.render(face, float(emotion[0]), float(emotion[1]), resolution)
    return image, landmarks


def true_landmarks(
    face_keys: Int[np.ndarray, "n 4"], emotions: Float[np.ndarray, "n 2"], resolution: int
) -> Float[np.ndarray, "n 68 3"]:
    """Return the 3-D landmarks in pixels of the faces with these keys at these emotions; no face is drawn."""
    found = []
    for (seed, subject, shot, infant), (valence, arousal) in zip(face_keys.tolist(), emotions.tolist(), strict=True):
        face = procedural.sample_face(seed, subject, shot, bool(infant))
        found.append(procedural.landmarks(face, valence, arousal, resolution))
    return np.stack(found)


@contextlib.contextmanager
def renderer(resolution: int) -> Iterator[Renderer]:
    """Yield a function that renders faces in a pool with one process per core.

    The pool renders ahead while the caller consumes the results; its processes end with the `with` block. They are
    spawned, not forked: a fork of a process that holds an accelerator or XLA's threads may hang.

    Args:
        resolution: Side of the images in pixels.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with single_threaded_context().Pool(cores) as pool:

        def render_all(face_keys: Int[np.ndarray, "n 4"], emotions: Float[np.ndarray, "n 2"]) -> Iterator[RenderedFace]:
            return pool.imap(_render_job, zip(face_keys, emotions, itertools.repeat(resolution)), chunksize=16)

        yield render_all


def remembering(render: Renderer) -> Renderer:
    """Return a renderer that keeps all its faces, so that experiments on the same trials draw them once.

    Two calls are the same if all keys and emotions are. The faces stay in memory as long as the returned function.
    """
    kept: dict[tuple[bytes, bytes], Iterator[RenderedFace]] = {}

    def render_or_repeat(
        face_keys: Int[np.ndarray, "n 4"], emotions: Float[np.ndarray, "n 2"]
    ) -> Iterator[RenderedFace]:
        call = (np.asarray(face_keys).tobytes(), np.asarray(emotions).tobytes())
        # The kept half stays at the first face; what the other half takes from `render` is buffered for it.
        kept[call], faces = itertools.tee(kept.get(call) or render(face_keys, emotions))
        return faces

    return render_or_repeat


def _render_job(job: tuple[Int[np.ndarray, "4"], Float[np.ndarray, "2"], int]) -> RenderedFace:
    """Call `render` with the arguments in one tuple, as `Pool.imap` passes them."""
    return render(*job)

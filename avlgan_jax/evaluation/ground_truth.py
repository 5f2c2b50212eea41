"""The answer sheet that only drawn faces have: the same face, drawn with the emotion that was asked for."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Int, UInt8

from avlgan_jax.data.records import Faces
from avlgan_jax.faces import procedural
from avlgan_jax.processes import single_threaded_context

RenderedFace = tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "68 2"]]
Renderer = Callable[[Int[np.ndarray, "n 4"], Float[np.ndarray, "n 2"]], Iterator[RenderedFace]]


def face_keys(faces: Faces) -> Int[np.ndarray, "n 4"] | None:
    """What `render` needs to know of each of the faces, or None where their truth is not to be had.

    That is so for photographs, and for the frames of dyads, whose poses follow from the whole sequence.
    """
    drawn = "face_key" in faces.extras and np.all(faces.extras.get("dyad", -1) == -1)
    return faces.extras["face_key"] if drawn else None


def render(face_key: Int[np.ndarray, "4"], emotion: Float[np.ndarray, "2"], resolution: int) -> RenderedFace:
    """The face of `face_key` (seed, subject, shot, infant), as `keys` gives it, showing `emotion`.

    Returns the picture, uint8 (resolution, resolution, 3), and its landmarks in pixels, float32 (68, 2).
    """
    seed, subject, shot, infant = (int(part) for part in face_key)
    face = procedural.sample_face(seed, subject, shot, bool(infant))
    image, landmarks, _ = procedural.render(face, float(emotion[0]), float(emotion[1]), resolution)
    return image, landmarks


@contextlib.contextmanager
def renderer(resolution: int) -> Iterator[Renderer]:
    """A function that renders many faces ahead of need, one process a core; they end with the `with` block.

    Processes are spawned, not forked: a fork of a program that holds an accelerator or XLA's threads may hang.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with single_threaded_context().Pool(cores) as pool:

        def render_all(face_keys: Int[np.ndarray, "n 4"], emotions: Float[np.ndarray, "n 2"]) -> Iterator[RenderedFace]:
            return pool.imap(_render_job, zip(face_keys, emotions, itertools.repeat(resolution)), chunksize=16)

        yield render_all


def _render_job(job: tuple[Int[np.ndarray, "4"], Float[np.ndarray, "2"], int]) -> RenderedFace:
    return render(*job)

"""Jitter and speed of editing films: `python -m benchmarks.film [--detectors dlib mediapipe] [--seconds 3]`.

A still film shows scikit-image's astronaut at 720 px with new camera noise in each frame. Jitter is how far the
landmarks move from frame to frame, in per cent of the outer eye distance: the standard deviation over time, as the mean
over landmarks and axes. Speed is that of `synthesize.py film` on a film that moves, without loading.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from avlgan_jax.editing import film
from avlgan_jax.editing.editor import load
from avlgan_jax.errors import command
from avlgan_jax.faces import detectors, footage, video
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces.emotions import EXPRESSIONS, TABLE_II
from avlgan_jax.faces.tracking import Tracker

SIZE, FPS = (720, 1280), 30
# Standard deviation of the camera's noise in levels of 255.
NOISE = 3.0
# Seconds after which the filter has settled.
SETTLED = 0.5


@dataclass(frozen=True)
class Arguments:
    """Measure films."""

    detectors: tuple[str, ...] = ("dlib", "mediapipe")
    """Landmark detectors to compare."""
    seconds: float = 3.0
    """Length of each film."""


def frames(count: int, motion: float, seed: int = 0) -> list[np.ndarray]:
    """Return frames of the astronaut, who sways by `motion` pixels to each side twice a second."""
    from skimage import data

    generator = np.random.default_rng(seed)
    portrait = Image.fromarray(data.astronaut()).resize((720, 720), Image.Resampling.BICUBIC)
    made = []
    for k in range(count):
        page = Image.new("RGB", SIZE[::-1], (90, 100, 110))
        page.paste(portrait, (280 + round(motion * np.sin(4.0 * np.pi * k / FPS)), 0))
        noisy = np.asarray(page) + generator.normal(0.0, NOISE, (*SIZE, 3))
        made.append(noisy.clip(0, 255).astype(np.uint8))
    return made


def jitter(name: str, count: int) -> tuple[float, float, float]:
    """Return the jitter of the detector, the jitter after smoothing, and the processor time of a frame in ms."""
    detector = detectors.create(name)
    tracker, raw, smooth, used = Tracker(detector), [], [], 0.0
    for k, frame in enumerate(frames(count, 0.0)):
        begin = time.process_time()
        points = tracker.follow(frame, k / FPS)
        used += time.process_time() - begin
        if points is not None:
            raw.append(tracker.found.landmarks)
            smooth.append(points)
    kept = slice(round(SETTLED * FPS), None)
    results = [np.stack(points)[kept] / lm.eye_distance(raw[0]) for points in (raw, smooth)]
    return *(100.0 * float(points.std(axis=0).mean()) for points in results), 1e3 * used / count


@command
def main() -> None:
    """Run the command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    count, editor = round(arguments.seconds * FPS), load()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.mp4")
        video.write_video(source, frames(count, 40.0), FPS)
        filmed = footage.read_film(source)
        emotions = np.repeat(TABLE_II[[EXPRESSIONS.index("happy")]], len(filmed.times), axis=0)
        for name in arguments.detectors:
            raw, smooth, cost = jitter(name, count)
            print(f"{name}: jitter {raw:.3f} %, smoothed {smooth:.3f} %; tracking {cost:.0f} ms a frame")
            detector = detectors.create(name)
            for again in ("with compilation", "again"):
                wall, used = time.perf_counter(), time.process_time()
                film.edit_film(filmed, Path(folder, "out.mp4"), editor, detector, emotions)
                wall, used = time.perf_counter() - wall, time.process_time() - used
                print(f"  film of {count} frames, {again}: {wall:.1f} s, {used:.1f} s of processor time")


if __name__ == "__main__":
    main()

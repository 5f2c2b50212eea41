"""Time and memory of editing one large photograph: `python -m benchmarks.megapixels [--width 4000]`.

The photograph is scikit-image's astronaut, enlarged and with camera noise, as JPEG. Times are medians of `--rounds`
edits by one editor, without the first, which compiles; the memory is the largest of the process.
"""

import io
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from avlgan_jax.editing.editor import load
from avlgan_jax.errors import command
from avlgan_jax.faces import detectors, pictures
from avlgan_jax.photographs import cropping


@dataclass(frozen=True)
class Arguments:
    """Measure the edit of a large photograph."""

    width: int = 4000
    """Width of the photograph in pixels; the height is three quarters of it. 4,000 makes 12 megapixels."""
    landmarks: str = "mediapipe"
    """Landmark detector."""
    rounds: int = 5
    """Edits that are timed."""


def large_photograph(width: int) -> bytes:
    """Return the upper three quarters of the astronaut, `width` pixels wide, with noise, as a JPEG file."""
    from skimage import data

    portrait = Image.fromarray(data.astronaut()[:384]).resize((width, width * 3 // 4), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0.0, 3.0, (width * 3 // 4, width, 1)).astype(np.float32)
    file = io.BytesIO()
    Image.fromarray((np.asarray(portrait) + noise).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=92)
    return file.getvalue()


@command
def main() -> None:
    """Run the command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    begin = time.perf_counter()
    editor, detector = load(), detectors.create(arguments.landmarks)
    print(f"loading the models: {time.perf_counter() - begin:.1f} s")
    times: dict[str, list[float]] = {}

    def timed(name: str, step: Callable):
        begin = time.perf_counter()
        result = step()
        times.setdefault(name, []).append(time.perf_counter() - begin)
        return result

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "large.jpg")
        path.write_bytes(large_photograph(arguments.width))
        for _ in range(1 + arguments.rounds):
            photo = timed("read", lambda: pictures.read(path))
            found = timed(
                "find the face",
                lambda p=photo: cropping.faces(p.pixels, detector, editor.resolution, path.name)[0],
            )
            edited = timed(
                "networks",
                lambda f=found: editor.edit_with_landmarks(f.image, 0.7, 0.3, f.landmarks, photographed=True),
            )
            result = timed("blend", lambda p=photo, f=found, e=edited: editor.blend(p.pixels, f, e))
            timed("JPEG", lambda r=result: pictures.encode(pictures.Picture(r), ".jpg"))
    medians = {name: statistics.median(values[1:]) for name, values in times.items()}
    height, width = photo.pixels.shape[:2]
    print(f"{width} x {height} pixels, landmarks of {arguments.landmarks}, median of {arguments.rounds}:")
    for name, seconds in medians.items():
        print(f"  {name}: {seconds:.2f} s (the first time {times[name][0]:.2f} s)")
    print(f"  all: {sum(medians.values()):.2f} s (the first time {sum(values[0] for values in times.values()):.2f} s)")
    print(f"largest memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()

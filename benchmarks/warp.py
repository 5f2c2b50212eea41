"""The warp by landmarks against ground truth: `python -m benchmarks.warp --data-dir data --resolution 64`.

Each face of a split is warped to the landmarks of the same face drawn at another face's emotion, and compared with that
drawing (PSNR in dB, mean over faces, by age group): the unchanged image, the warp as it is, and the warp with other
lengths, supports and ridges. No network takes part.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import jax
import numpy as np
import tyro

from avlgan_jax.data import records
from avlgan_jax.evaluation import ground_truth, metrics
from avlgan_jax.faces import landmarks as lm
from avlgan_jax.faces import warp
from avlgan_jax.models.networks import image_to_float, image_to_uint8

# LENGTH, SUPPORT and RIDGE of each form; the first is the one in use.
FORMS = (
    (warp.LENGTH, warp.SUPPORT, warp.RIDGE),
    (0.06, 0.5, 0.05),
    (0.16, 0.5, 0.05),
    (0.1, 0.25, 0.05),
    (0.1, 1e6, 0.05),  # no cut
    (0.1, 0.5, 0.0),
    (0.1, 0.5, 0.2),
)


@dataclass(frozen=True)
class Arguments:
    """Measure the warp by true landmarks on prepared drawn faces."""

    data_dir: Path = Path("data")
    """Folder of the prepared procedural_faces."""
    resolution: int = 64
    """Side of the images in pixels."""
    split: str = "validation"
    """Split of the faces."""
    faces: int = 200
    """Number of faces, half of them infants."""
    seed: int = 0
    """Decides which faces are compared, and at which emotions."""


def main() -> None:
    """Print one line for each form of the warp."""
    arguments = tyro.cli(Arguments, description=__doc__)
    side = arguments.resolution
    faces = records.load(arguments.data_dir, "procedural_faces", side, arguments.split)
    generator = np.random.default_rng(arguments.seed)
    rows = np.concatenate(
        [
            generator.choice(found, min(arguments.faces // 2, len(found)), replace=False)
            for found in (np.flatnonzero(~faces.infants), np.flatnonzero(faces.infants))
        ]
    )
    targets = faces.emotions[generator.permutation(len(faces))[: len(rows)]]
    some = faces.take(rows)
    with contextlib.ExitStack() as stack:
        render = stack.enter_context(ground_truth.renderer(side))
        drawn = list(render(ground_truth.face_keys(some), targets))
    truth, points = (np.stack(column) for column in zip(*drawn, strict=True))
    _print_line("doing nothing", some.images, truth, some.infants)
    for length, support, ridge in FORMS:
        with mock.patch.multiple(warp, LENGTH=length, SUPPORT=support, RIDGE=ridge):
            moved = jax.jit(jax.vmap(warp.warp))(
                image_to_float(some.images), lm.normalise(some.landmarks, side), lm.normalise(points, side)
            )
        name = f"length {length}, support {support:g}, ridge {ridge}"
        _print_line(name, np.asarray(image_to_uint8(moved)), truth, some.infants)


def _print_line(name: str, images: np.ndarray, truth: np.ndarray, infants: np.ndarray) -> None:
    psnr = metrics.psnr(images, truth)
    print(f"{name:45s} adults {psnr[~infants].mean():.2f} dB, infants {psnr[infants].mean():.2f} dB", flush=True)


if __name__ == "__main__":
    main()

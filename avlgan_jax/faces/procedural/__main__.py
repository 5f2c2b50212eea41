"""Draw a contact sheet of procedural faces and measure the drawing speed."""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from avlgan_jax import atomic_files, errors
from avlgan_jax.faces.emotions import EXPRESSIONS, TABLE_II
from avlgan_jax.faces.procedural import Face, render, sample_face


def contact_sheet(faces: list[Face], resolution: int) -> UInt8[np.ndarray, "h w 3"]:
    """Draw one row per face and one column per expression of Table II, under a header with the expressions' names.

    Args:
        faces: the faces to draw, from top to bottom; at least one.
        resolution: side of each face in pixels, 32 to 256.

    Returns:
        An RGB picture; the header is its top 24 rows.
    """
    rows = [np.hstack([render(face, *emotion, resolution).image for emotion in TABLE_II.tolist()]) for face in faces]
    header = np.full((24, rows[0].shape[1], 3), 255, np.uint8)
    for column, name in enumerate(EXPRESSIONS):
        position = (column * resolution + 6, 17)
        cv2.putText(header, name, position, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return np.vstack([header, *rows])


def matrix(face: Face, resolution: int, steps: int = 9) -> UInt8[np.ndarray, "h w 3"]:
    """Draw one face over the valence-arousal plane: valence grows to the right, arousal upward.

    Args:
        face: the face to draw.
        resolution: side of each face in pixels, 32 to 256.
        steps: faces along each axis, from -0.98 to 0.98.

    Returns:
        An RGB picture. A cell whose emotion lies outside the unit disc is white.
    """
    axis = np.linspace(-0.98, 0.98, steps)
    blank = np.full((resolution, resolution, 3), 255, np.uint8)
    rows = [
        np.hstack([render(face, v, a, resolution).image if v * v + a * a <= 1.02 else blank for v in axis])
        for a in axis[::-1]
    ]
    return np.vstack(rows)


def speed(count: int = 200, resolution: int = 64) -> float:
    """Measure the faces drawn per second of CPU time, with a new face and a new emotion in each drawing.

    Args:
        count: faces to draw.
        resolution: side of each face in pixels, 32 to 256.
    """
    generator = np.random.default_rng(0)
    emotions = generator.uniform(-0.7, 0.7, (count, 2)).tolist()
    render(sample_face(0, 0, 0, False), 0.0, 0.0, resolution)
    start = time.process_time()
    for subject, (valence, arousal) in enumerate(emotions):
        render(sample_face(0, subject, 0, subject % 20 == 0), valence, arousal, resolution)
    return count / (time.process_time() - start)


@errors.command
def main() -> None:
    """Parse the command line, draw the faces and write the PNG.

    Raises:
        UserError: the resolution or the number of rows is out of range, or the PNG cannot be written.
    """
    parser = argparse.ArgumentParser(prog="python -m avlgan_jax.faces.procedural", description=__doc__)
    parser.add_argument("out", type=Path, help="PNG file to write")
    parser.add_argument("--matrix", action="store_true", help="draw one face over the valence-arousal plane")
    parser.add_argument("--seed", type=int, default=0, help="seed of the identities and photographs (default 0)")
    parser.add_argument("--subject", type=int, default=0, help="index of the first subject (default 0)")
    parser.add_argument("--adults", type=int, default=6, help="rows of adults (default 6)")
    parser.add_argument(
        "--infants",
        type=int,
        default=3,
        help="rows of infants (default 3); --matrix draws the last row's face, an adult with --infants 0",
    )
    parser.add_argument(
        "--resolution", type=int, default=128, help="side of each face in pixels, 32 to 256 (default 128)"
    )
    options = parser.parse_args()
    if not 32 <= options.resolution <= 256:
        raise errors.UserError(f"--resolution {options.resolution}: expected 32 to 256")
    if options.adults < 0 or options.infants < 0 or options.adults + options.infants == 0:
        raise errors.UserError(
            f"--adults {options.adults} --infants {options.infants}: expected numbers from 0, at least one above 0"
        )
    if not options.out.parent.is_dir() or options.out.suffix.lower() != ".png":
        raise errors.UserError(f"cannot write {options.out}: expected the path of a .png file in an existing directory")
    first, last = options.subject, options.subject + options.adults
    faces = [sample_face(options.seed, subject, 0, False) for subject in range(first, last)]
    faces += [sample_face(options.seed, subject, 0, True) for subject in range(last, last + options.infants)]
    picture = matrix(faces[-1], options.resolution) if options.matrix else contact_sheet(faces, options.resolution)
    with atomic_files.atomic_file(options.out) as partial:
        if not cv2.imwrite(str(partial), picture[..., ::-1]):
            raise errors.UserError(
                f"cannot write {options.out}: OpenCV failed to write the PNG; choose a writable directory"
            )
    print(f"{options.out}: {picture.shape[1]} x {picture.shape[0]}")
    print(f"{speed():.0f} faces/s on one core at 64 px")


if __name__ == "__main__":
    main()

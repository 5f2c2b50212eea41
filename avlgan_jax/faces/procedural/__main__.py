"""`python -m avlgan_jax.faces.procedural OUT.png`: a contact sheet of procedural faces, and how fast they are drawn."""

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
    """One row for each face, one column for each of Table II's eight expressions, named above."""
    rows = [np.hstack([render(face, *emotion, resolution).image for emotion in TABLE_II.tolist()]) for face in faces]
    header = np.full((24, rows[0].shape[1], 3), 255, np.uint8)
    for column, name in enumerate(EXPRESSIONS):
        place = (column * resolution + 6, 17)
        cv2.putText(header, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return np.vstack([header, *rows])


def matrix(face: Face, resolution: int, steps: int = 9) -> UInt8[np.ndarray, "h w 3"]:
    """One face over the plane: valence grows to the right, arousal upward; white outside the unit disc."""
    axis = np.linspace(-0.98, 0.98, steps)
    blank = np.full((resolution, resolution, 3), 255, np.uint8)
    rows = [
        np.hstack([render(face, v, a, resolution).image if v * v + a * a <= 1.02 else blank for v in axis])
        for a in axis[::-1]
    ]
    return np.vstack(rows)


def speed(count: int = 200, resolution: int = 64) -> float:
    """Faces drawn in a second of one core's time, each with a face and an emotion of its own."""
    generator = np.random.default_rng(0)
    emotions = generator.uniform(-0.7, 0.7, (count, 2)).tolist()
    render(sample_face(0, 0, 0, False), 0.0, 0.0, resolution)
    start = time.process_time()
    for subject, (valence, arousal) in enumerate(emotions):
        render(sample_face(0, subject, 0, subject % 20 == 0), valence, arousal, resolution)
    return count / (time.process_time() - start)


@errors.command
def main() -> None:
    """Parse the command line, draw, write."""
    parser = argparse.ArgumentParser(prog="python -m avlgan_jax.faces.procedural", description=__doc__)
    parser.add_argument("out", type=Path, help="the PNG to write")
    parser.add_argument("--matrix", action="store_true", help="one face over the valence-arousal plane instead")
    parser.add_argument("--seed", type=int, default=0, help="seed of the faces (default 0)")
    parser.add_argument("--subject", type=int, default=0, help="first subject (default 0)")
    parser.add_argument("--adults", type=int, default=6, help="rows of adults (default 6)")
    parser.add_argument("--infants", type=int, default=3, help="rows of infants; with --matrix, 1 or more draws one")
    parser.add_argument("--resolution", type=int, default=128, help="side of each picture, 32 to 256 (default 128)")
    choice = parser.parse_args()
    if not 32 <= choice.resolution <= 256:
        raise errors.UserError(f"--resolution {choice.resolution} is outside 32 to 256; choose one inside")
    if choice.adults < 0 or choice.infants < 0 or choice.adults + choice.infants == 0:
        raise errors.UserError("there is nothing to draw: give --adults or --infants a number above 0")
    if not choice.out.parent.is_dir() or choice.out.suffix.lower() != ".png":
        raise errors.UserError(f"cannot write {choice.out}: expected a .png file in a directory that exists")
    first, last = choice.subject, choice.subject + choice.adults
    faces = [sample_face(choice.seed, subject, 0, False) for subject in range(first, last)]
    faces += [sample_face(choice.seed, subject, 0, True) for subject in range(last, last + choice.infants)]
    picture = matrix(faces[-1], choice.resolution) if choice.matrix else contact_sheet(faces, choice.resolution)
    with atomic_files.atomic_file(choice.out) as partial:
        if not cv2.imwrite(str(partial), picture[..., ::-1]):
            raise errors.UserError(
                f"cannot write {choice.out}: the directory cannot be written to; choose another place"
            )
    print(f"{choice.out}: {picture.shape[1]} x {picture.shape[0]}")
    print(f"{speed():.0f} faces/s on one core at 64 px")


if __name__ == "__main__":
    main()

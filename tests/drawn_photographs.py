"""Small data sets of drawn faces in the forms of published ones, for the tests of their builders.

dlib detects the drawn faces, so the tests cover all steps from photograph to record.
"""

import csv
import functools
from pathlib import Path

import numpy as np
from PIL import Image

from avlgan_jax.faces import procedural


@functools.cache
def drawn_face(subject: int, side: int = 224) -> procedural.Rendering:
    """Return a drawn face with exact landmarks. dlib reliably detects the faces of subjects 0 to 11."""
    return procedural.render(procedural.sample_face(1, subject, 0, False), 0.0, 0.0, side)


def save_face(path: Path, subject: int, side: int = 224, **options) -> procedural.Rendering:
    """Write a drawn face to an image file in the format of its suffix, and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    face = drawn_face(subject, side)
    Image.fromarray(face.image).save(path, **options)
    return face


def cut_short(path: Path) -> None:
    """Truncate a file to half its length, as an interrupted download does."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def write_csv(path: Path, header: list[str] | None, rows: list[list]) -> None:
    """Write a CSV file, without a header line if `header` is None."""
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows(([header] if header else []) + rows)


def diffusion_fer(folder: Path, count: int = 12) -> list[list]:
    """Write `count` valid images and their sheet, and return its rows. The last two images are of the same person."""
    rows = []
    for subject in range(count):
        person = f"person{min(subject, count - 2)}" if subject >= count - 2 else f"person{subject}"
        path = f"cropped/happy/{person}_{subject % 7}.jpg"
        save_face(folder / path, subject, quality=95)
        rows.append([path, f"{np.cos(subject):.2f}", f"{np.sin(subject):.2f}", subject % 7])
    write_sheet(folder, rows)
    return rows


def write_sheet(folder: Path, rows: list[list]) -> None:
    """Write the sheet of DiffusionFER: path, valence, arousal and expression of each image."""
    write_csv(folder / "dataset_sheet.csv", ["subDirectory_filePath", "valence", "arousal", "expression"], rows)


def drawn_pair():
    """Return a photograph of two people side by side, and the landmarks of the one at the right."""
    left, right = drawn_face(1), drawn_face(2)
    return np.hstack([left.image, right.image]), right.landmarks + np.array([224, 0])

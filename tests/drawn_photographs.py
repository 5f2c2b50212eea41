"""Small data sets in the forms of published ones, drawn by this project, for the tests of their builders.

The drawn faces are found by dlib, so the real path from photograph to record is taken.
"""

import csv
import functools
from pathlib import Path

import numpy as np
from PIL import Image

from avlgan_jax.faces import procedural


@functools.cache
def drawn_face(subject: int, side: int = 224) -> procedural.Rendering:
    """A face and its exact landmarks. Twelve subjects whose faces dlib is sure of."""
    return procedural.render(procedural.sample_face(1, subject, 0, False), 0.0, 0.0, side)


def save_face(path: Path, subject: int, side: int = 224, **options) -> procedural.Rendering:
    """Write a drawn face as an image file of the kind its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    face = drawn_face(subject, side)
    Image.fromarray(face.image).save(path, **options)
    return face


def cut_short(path: Path) -> None:
    """Truncate a file in the middle, as a broken download does."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def write_csv(path: Path, header: list[str] | None, rows: list[list]) -> None:
    """A CSV file, with or without a header."""
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows(([header] if header else []) + rows)


def diffusion_fer(folder: Path, count: int = 12) -> list[list]:
    """`count` sound images and their sheet; two persons have two images. Returns the sheet's rows."""
    rows = []
    for subject in range(count):
        person = f"person{min(subject, count - 2)}" if subject >= count - 2 else f"person{subject}"
        path = f"cropped/happy/{person}_{subject % 7}.jpg"
        save_face(folder / path, subject, quality=95)
        rows.append([path, f"{np.cos(subject):.2f}", f"{np.sin(subject):.2f}", subject % 7])
    write_sheet(folder, rows)
    return rows


def write_sheet(folder: Path, rows: list[list]) -> None:
    """DiffusionFER's sheet."""
    write_csv(folder / "dataset_sheet.csv", ["subDirectory_filePath", "valence", "arousal", "expression"], rows)

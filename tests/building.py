"""Functions that build data sets of photographs in tests, through their TFDS builders."""

import csv
from pathlib import Path

import tensorflow_datasets as tfds

from avlgan_jax.data import records
from avlgan_jax.data.manifest import Manifest, verify_records
from avlgan_jax.datasets.registry import BUILDERS


def build(name: str, manual_dir: Path, data_dir: Path, resolution: int = 64, workers: int = 1, **options):
    """Build the records of a data set, verify them and return their manifest.

    Args:
        name: Name of the data set.
        manual_dir: Folder with the files of the data set.
        data_dir: Folder for the records.
        resolution: Side of the images in pixels.
        workers: Number of worker processes.
        **options: Fields of the builder's `Options`.
    """
    builder_class = BUILDERS[name]
    builder = builder_class(
        data_dir=str(data_dir),
        config=f"{resolution}px",
        options=builder_class.Options(**options),
        workers=workers,
    )
    builder.download_and_prepare(
        download_dir=str(data_dir / "downloads"),
        download_config=tfds.download.DownloadConfig(manual_dir=str(manual_dir)),
    )
    return verify_records(data_dir, name, resolution)


def rejected(data_dir: Path) -> dict[str, str]:
    """Return the reason for each path in `rejected.csv`."""
    (path,) = data_dir.rglob("rejected.csv")
    with open(path, newline="") as stream:
        return {row["path"]: row["reason"] for row in csv.DictReader(stream)}


def all_faces(data_dir: Path, manifest: Manifest) -> dict[str, dict]:
    """Return every face of all splits by its id: image, landmarks, emotion, expression, infant, subject and split."""
    found = {}
    for split in manifest.splits:
        faces = records.load(data_dir, manifest.name, manifest.resolution, split)
        for i in range(len(faces)):
            found[str(faces.ids[i])] = {
                "image": faces.images[i],
                "landmarks": faces.landmarks[i],
                "emotion": tuple(round(float(value), 4) for value in faces.emotions[i]),
                "expression": int(faces.expressions[i]),
                "infant": bool(faces.infants[i]),
                "subject": str(faces.subjects[i]),
                "split": split,
            }
    return found

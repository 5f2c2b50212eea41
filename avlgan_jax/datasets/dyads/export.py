"""Export of the drawn dyads of `procedural_faces` as files of the data set `dyads`: frames, ratings and landmarks."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

from avlgan_jax import errors
from avlgan_jax.data import records
from avlgan_jax.datasets.dyads.dyads_dataset_builder import FULL_SCALE, RATINGS
from avlgan_jax.errors import UserError
from avlgan_jax.faces.emotions import AXES
from avlgan_jax.faces.procedural.dyads import PERSONS


@dataclasses.dataclass(frozen=True)
class Export:
    """Write the drawn dyads of procedural_faces in the form that `prepare.py dyads` reads."""

    out: tyro.conf.Positional[Path]
    """Folder to write; it must not exist."""
    data_dir: Path = Path("data")
    """Folder of the records of procedural_faces."""
    resolution: int = 128
    """Side of the images of these records, in pixels."""


def export(faces: records.Faces, out: Path) -> None:
    """Write each dyad to its own folder in `out`.

    Args:
        faces: The split `dyads` of `procedural_faces`.
        out: Folder to create.

    Raises:
        UserError: If `out` exists.
    """
    if out.exists():
        raise UserError(f"{out} already exists; choose a folder that does not exist")
    for dyad in np.unique(faces.extras["dyad"]):
        folder = out / f"{dyad:02}"
        people = [faces.take((faces.extras["dyad"] == dyad) & (faces.infants == infant)) for infant in (False, True)]
        people = [person.take(np.argsort(person.extras["frame"])) for person in people]
        for name, person in zip(PERSONS, people, strict=True):
            (folder / name).mkdir(parents=True)
            for frame, image in enumerate(person.images):
                Image.fromarray(image).save(folder / name / f"{frame:06}.png")
            np.save(folder / f"{name}_landmarks.npy", person.landmarks)
        _write_ratings(folder / RATINGS, *people)


def _write_ratings(path: Path, parent: records.Faces, infant: records.Faces) -> None:
    """Write the true emotions of a dyad as the ratings of one annotator. Frames are numbered as the pictures are."""
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["frame", "phase", *(f"{person}_{axis}_truth" for person in PERSONS for axis in AXES)])
        for i in range(len(parent)):
            ratings = np.concatenate([parent.emotions[i], infant.emotions[i]]).astype(float) * FULL_SCALE
            writer.writerow([i, parent.extras["phase"][i], *ratings])


@errors.command
def main() -> None:
    """Write the dyads that the command line names."""
    request = tyro.cli(Export)
    faces = records.load(request.data_dir, "procedural_faces", request.resolution, "dyads")
    export(faces, request.out)
    print(f"{len(faces)} frames written to {request.out}")


if __name__ == "__main__":
    main()

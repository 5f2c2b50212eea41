"""Faces of DiffusionFER that look alike: their distances, a sheet of pairs to look at, and the table of the builder.

    python -m benchmarks.lookalikes DIFFUSION_FER                     # pairs and groups at several distances
    python -m benchmarks.lookalikes DIFFUSION_FER --sheet pairs.png   # the pairs nearest to the distance in use
    python -m benchmarks.lookalikes DIFFUSION_FER --write             # write lookalikes.csv of the builder

DIFFUSION_FER is the manual directory of the data set of that name. The distance is that of dlib's face descriptors;
faces nearer than ALIKE are in one group, and so are all faces that a chain of such pairs joins. A group is named after
a member, whose split all of it takes: the first member of the split that most of them are in by their own names.
"""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Float, Int
from PIL import Image
from tqdm import tqdm

from avlgan_jax import atomic_files
from avlgan_jax.datasets.diffusion_fer import diffusion_fer_dataset_builder as builder
from avlgan_jax.datasets.locating import Photograph
from avlgan_jax.datasets.photographs import split_of
from avlgan_jax.errors import UserError, command
from avlgan_jax.evaluation.experiments.fidelity import DlibProbe, installed_models
from avlgan_jax.faces import drawing
from avlgan_jax.faces.detectors.dlib import Dlib

# Largest distance of two pictures of one group, chosen by looking at sheets of pairs (docs/data.md).
ALIKE = 0.2
DISTANCES = (0.15, 0.2, 0.21, 0.22, 0.25, 0.3, 0.4, 0.5, 0.6)
# A sheet shows so many pairs above and below a distance.
SHOWN = 24


@dataclass(frozen=True)
class Arguments:
    """Measure look-alikes, draw a sheet of pairs, or write the table of groups."""

    folder: tyro.conf.Positional[Path]
    """Manual directory of DiffusionFER."""
    sheet: Path | None = None
    """PNG file for the pairs whose distances are nearest to `alike`, in ascending order."""
    write: bool = False
    """Write the table that the builder reads."""
    alike: float = ALIKE
    """Largest distance of two faces of one group."""


def describe(folder: Path, photographs: list[Photograph]) -> Float[np.ndarray, "n 128"]:
    """Return dlib's descriptor of each face, NaN where dlib finds none.

    Raises:
        UserError: dlib or its models are not installed.
    """
    files = installed_models()
    if files is None:
        raise UserError("look-alikes need dlib: pip install -r requirements-test.txt")
    probe, dlib = DlibProbe(*files), Dlib()
    rows = []
    for photograph in tqdm(photographs, unit=" faces"):
        image = np.asarray(Image.open(folder / photograph.path).convert("RGB"))
        (found,) = dlib.detect([image])
        rows.append(probe.people(image[None], found[0].landmarks[None])[0] if found else np.full(128, np.nan))
    return np.array(rows)


def pairs(descriptors: Float[np.ndarray, "n 128"]) -> tuple[Int[np.ndarray, "p 2"], Float[np.ndarray, "p"]]:
    """Return the pairs of described faces in the order of their distances, and the distances."""
    first, second = np.triu_indices(len(descriptors), 1)
    squares = (descriptors**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2.0 * descriptors @ descriptors.T, 0.0))[first, second]
    order = np.argsort(distances, kind="stable")
    order = order[~np.isnan(distances[order])]
    return np.stack([first, second], axis=1)[order], distances[order]


def groups(count: int, joined: Int[np.ndarray, "p 2"]) -> list[list[int]]:
    """Return the sets of at least two of `count` faces that chains of `joined` pairs hold together, in order."""
    root = list(range(count))

    def find(face: int) -> int:
        while root[face] != face:
            face = root[face]
        return face

    for first, second in joined:
        low, high = sorted((find(first), find(second)))
        root[high] = low
    members: dict[int, list[int]] = {}
    for face in range(count):
        members.setdefault(find(face), []).append(face)
    return [faces for faces in members.values() if len(faces) > 1]


def name_of(subjects: list[str]) -> str:
    """Return the name of a group: the first of its members' own names in the split that most of them are in."""
    splits = [split_of(subject) for subject in subjects]
    most = Counter(splits).most_common(1)[0][0]  # of equally many, the split of the first member
    return subjects[splits.index(most)]


def table(photographs: list[Photograph], found: list[list[int]]) -> str:
    """Return the CSV of the builder: the id of each face of a group, and the group's name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(builder.LOOKALIKE_COLUMNS)
    for members in found:
        name = name_of([builder.own_name(photographs[face].id) for face in members])
        writer.writerows((photographs[face].id, name) for face in members)
    return text.getvalue()


def sheet(folder: Path, photographs: list[Photograph], chosen, distances) -> Image.Image:
    """Draw pairs side by side, four pairs a row, with their distances."""
    side, columns = 112, 4
    width, height = 2 * side + 24, side + 30
    canvas = Image.new("RGB", (columns * width, -(-len(chosen) // columns) * height), "white")
    draw = drawing.ImageDraw.Draw(canvas)
    for place, (pair, distance) in enumerate(zip(chosen, distances, strict=True)):
        left, top = place % columns * width, place // columns * height
        for k, face in enumerate(pair):
            image = np.asarray(Image.open(folder / photographs[face].path).convert("RGB"))
            canvas.paste(drawing.framed_face(image, side), (left + k * side, top))
        drawing.write(draw, (left + side, top + side + 14), f"{distance:.3f}", size=18)
    return canvas


@command
def main() -> None:
    """Run the command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    photographs = list(builder.photographs_in(arguments.folder, {}))
    descriptors = describe(arguments.folder, photographs)
    ordered, distances = pairs(descriptors)
    print(f"{len(photographs)} faces, {int(np.isnan(descriptors[:, 0]).sum())} without a descriptor")
    for limit in sorted({*DISTANCES, arguments.alike}):
        near = ordered[: np.searchsorted(distances, limit, side="right")]
        found = groups(len(photographs), near)
        moved = sum(
            split_of(builder.own_name(photographs[face].id))
            != split_of(name_of([builder.own_name(photographs[k].id) for k in members]))
            for members in found
            for face in members
        )
        sizes = sorted(map(len, found), reverse=True)
        print(
            f"up to {limit}: {len(near)} pairs, {len(found)} groups of {sum(sizes)} faces, the largest of {sizes[:3]}, "
            f"{moved} faces change their split"
        )
    middle = int(np.searchsorted(distances, arguments.alike, side="right"))
    if arguments.sheet is not None:
        around = slice(max(middle - SHOWN, 0), middle + SHOWN)
        sheet(arguments.folder, photographs, ordered[around], distances[around]).save(arguments.sheet)
        print(arguments.sheet)
    if arguments.write:
        atomic_files.write_text(builder.LOOKALIKES, table(photographs, groups(len(photographs), ordered[:middle])))
        print(builder.LOOKALIKES)


if __name__ == "__main__":
    main()

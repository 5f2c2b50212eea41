"""MediaPipe's mesh against dlib's 68 landmarks: errors and times, and the fit of the table that converts them.

    python -m benchmarks.mediapipe_points DIFFUSION_FER          # measure on the faces held out of the fit
    python -m benchmarks.mediapipe_points DIFFUSION_FER --fit    # fit and write the table first

DIFFUSION_FER is the manual directory of the data set of that name. The table is fitted on its training split. The
environment variable AVLGAN_MEDIAPIPE has the path of `face_landmarker.task`.

Eyes and lips are vertices, or lie between two neighbours, of the mesh's own contours of lids and lips: the fit moves
such a landmark along its contour only, because the mesh is nearer to hand-placed points there than dlib is. Brows,
nose and jaw are convex combinations of a few vertices near them.
"""

import csv
import io
import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from jaxtyping import Float
from PIL import Image
from scipy.optimize import nnls
from tqdm import tqdm

from avlgan_jax import atomic_files
from avlgan_jax.datasets.diffusion_fer.diffusion_fer_dataset_builder import photographs_in
from avlgan_jax.errors import command
from avlgan_jax.faces import landmarks
from avlgan_jax.faces.detectors import mediapipe_points
from avlgan_jax.faces.detectors.dlib import Dlib
from avlgan_jax.faces.detectors.mediapipe import Mediapipe

# The mesh's contours on the right side of the face, which is on the left of the image, from corner to corner or to the
# middle line, and the landmarks on each. The left side is the mirror image.
CONTOURS = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (36, 37, 38, 39)),
    ((33, 7, 163, 144, 145, 153, 154, 155, 133), (41, 40)),
    ((61, 185, 40, 39, 37, 0), (48, 49, 50, 51)),
    ((61, 146, 91, 181, 84, 17), (59, 58, 57)),
    ((78, 191, 80, 81, 82, 13), (60, 61, 62)),
    ((78, 95, 88, 178, 87, 14), (67, 66)),
)
# Landmarks that are one vertex of the mesh by what they mean: corners, and the middle line of the lips.
FIXED = {36: 33, 39: 133, 48: 61, 51: 0, 57: 17, 60: 78, 62: 13, 66: 14}
# Of the other landmarks: vertices to choose from, and the largest number that is used.
NEAREST, COUNT = 24, 3
# The vertices after these are the irises, which move with the gaze.
SKIN = 468
# Share of faces that the fit keeps, the rest being failures of either detector, and the smallest weight.
KEPT, SMALLEST = 0.95, 0.02
# What the table of errors shows, beside the groups of landmarks.
PARTS = landmarks.GROUPS | {
    "eye corners": [36, 39, 42, 45],
    "lower lids": [40, 41, 46, 47],
    "mouth corners": [48, 54],
    "lip seam": [61, 62, 63, 65, 66, 67],
}


@dataclass(frozen=True)
class Arguments:
    """Fit the table, or measure it."""

    folder: tyro.conf.Positional[Path]
    """Manual directory of DiffusionFER."""
    fit: bool = False
    """Fit the table on the training split and write it."""
    faces: int | None = None
    """Number of images to use; by default all."""


class Faces(NamedTuple):
    """Faces found by both detectors, in pixels of their images.

    The flipped meshes and landmarks were found in the mirrored image, and mirrored back.
    """

    mesh: Float[np.ndarray, "n 478 2"]
    flipped_mesh: Float[np.ndarray, "n 478 2"]
    dlib: Float[np.ndarray, "n 68 2"]
    flipped_dlib: Float[np.ndarray, "n 68 2"]
    train: np.ndarray

    @property
    def truth(self) -> Float[np.ndarray, "n 68 2"]:
        """The mean of dlib's two answers, which has less noise than one."""
        return (self.dlib + self.flipped_dlib) / 2.0


def collect(folder: Path, count: int | None) -> tuple[Faces, dict[str, list[float]]]:
    """Return the faces that both detectors find, and the processor seconds of each detector for each image."""
    ours, dlib = Mediapipe(), Dlib()
    rows, seconds = [], {"mediapipe": [], "dlib": []}
    found = {"mediapipe": 0, "dlib": 0}
    listed = list(photographs_in(folder))[:count]
    for photograph in tqdm(listed, unit=" faces"):
        image = np.asarray(Image.open(folder / photograph.path).convert("RGB"))
        pair = []
        for picture in (image, np.ascontiguousarray(image[:, ::-1])):
            start = time.process_time()
            meshes = ours.meshes(picture)
            middle = time.process_time()
            (candidates,) = dlib.detect([picture])
            seconds["mediapipe"].append(middle - start)
            seconds["dlib"].append(time.process_time() - middle)
            pair.append((meshes[0].mesh[:, :2] if meshes else None, candidates[0].landmarks if candidates else None))
        found["mediapipe"] += pair[0][0] is not None
        found["dlib"] += pair[0][1] is not None
        if all(one is not None for answers in pair for one in answers):
            (mesh, points), (mirrored, mirrored_points) = pair
            back = mirrored_points[landmarks.FLIP_ORDER]
            rows.append((mesh, _mirror(mirrored, image), points, _mirror(back, image), photograph.split == "train"))
    print(f"of {len(listed)} faces mediapipe finds {found['mediapipe']}, dlib {found['dlib']}; in both {len(rows)}")
    return Faces(*map(np.array, zip(*rows, strict=True))), seconds


def _mirror(points: Float[np.ndarray, "n 2"], image: np.ndarray) -> Float[np.ndarray, "n 2"]:
    """Return points of the mirrored image in pixels of the image."""
    return points * [-1.0, 1.0] + [image.shape[1], 0.0]


def level(points: Float[np.ndarray, "n k 2"], truth: Float[np.ndarray, "n 68 2"]) -> Float[np.ndarray, "n k 2"]:
    """Return points relative to the middle between the outer eye corners, turned level, over the eye distance."""
    right, left = truth[:, 36], truth[:, 45]
    across = (left - right) / np.linalg.norm(left - right, axis=-1, keepdims=True) ** 2
    axes = np.stack([across, np.stack([-across[:, 1], across[:, 0]], axis=-1)], axis=1)
    return np.einsum("nij,nkj->nki", axes, points - (right + left)[:, None] / 2.0)


def fit(faces: Faces) -> Float[np.ndarray, "68 478"]:
    """Return the weights of the vertices in each landmark, symmetric between left and right."""
    truth, mesh = level(faces.truth, faces.truth), level(faces.mesh, faces.truth)
    flipped = level(faces.flipped_mesh, faces.truth)
    # A mirrored vertex lies where, on average, its partner is.
    far = np.linalg.norm(flipped.mean(axis=0)[:, None] - mesh.mean(axis=0), axis=-1)
    partner = far.argmin(axis=1)
    paired = np.flatnonzero((partner[partner] == np.arange(len(partner))) & (np.arange(len(partner)) < SKIN))
    table = np.zeros((landmarks.COUNT, mediapipe_points.COUNT))
    for k, other in enumerate(landmarks.FLIP_ORDER):
        if k > other:
            continue
        # Both sides of each face: the left one is mirrored.
        vertices = np.concatenate([mesh, mesh[:, partner] * [-1.0, 1.0]])
        wanted = np.concatenate([truth[:, k], truth[:, other] * [-1.0, 1.0]])
        chosen, weights = _landmark(k, vertices, wanted, paired)
        for vertex, weight in zip(chosen, weights, strict=True):
            if k == other:  # on the middle line: both sides count half
                weight /= 2.0
            table[k, vertex] += weight
            table[other, partner[vertex]] += weight
    return table


def _landmark(k: int, vertices: Float[np.ndarray, "n 478 2"], wanted: Float[np.ndarray, "n 2"], paired: np.ndarray):
    """Return the vertices and the weights of landmark k."""
    if k in FIXED:
        return np.array([FIXED[k]]), np.ones(1)
    contour = next((contour for contour, on_it in CONTOURS if k in on_it), None)
    if contour is not None:
        fits = [_convex(vertices, wanted, np.array(pair), 2) for pair in itertools.pairwise(contour)]
        return min(fits, key=lambda fitted: fitted[2])[:2]
    near = np.median(np.linalg.norm(vertices[:, paired] - wanted[:, None], axis=-1), axis=0)
    return _convex(vertices, wanted, paired[np.argsort(near)[:NEAREST]], COUNT)[:2]


def _convex(vertices, wanted, candidates, count: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return up to `count` of the candidates, their weights, and the median error: least squares without outliers."""
    kept = np.ones(len(wanted), bool)
    for _ in range(2):
        chosen = candidates
        while True:
            columns = vertices[kept][:, chosen].transpose(0, 2, 1).reshape(-1, len(chosen))
            # A heavy last row makes the weights add up to 1.
            heavy = 1e3 * np.ones((1, len(chosen)))
            weights, _ = nnls(np.vstack([columns, heavy]), np.append(wanted[kept].ravel(), 1e3))
            weights /= weights.sum()
            if len(chosen) <= count and (weights > SMALLEST).all():
                break
            chosen = chosen[weights > 0.0] if (weights == 0.0).any() else np.delete(chosen, weights.argmin())
        errors = np.linalg.norm(np.einsum("nvd,v->nd", vertices[:, chosen], weights) - wanted, axis=-1)
        kept = errors <= np.quantile(errors, KEPT)
    return chosen, weights, float(np.median(errors))


def write(table: Float[np.ndarray, "68 478"]) -> None:
    """Write the table to the package, with three decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["landmark", "vertex", "weight"])
    for k, weights in enumerate(table):
        vertices = np.flatnonzero(weights)
        rounded = np.round(weights[vertices], 3)
        rounded[rounded.argmax()] += 1.0 - rounded.sum()
        writer.writerows([k, vertex, f"{weight:.3f}"] for vertex, weight in zip(vertices, rounded, strict=True))
    atomic_files.write_text(mediapipe_points.TABLE, text.getvalue())
    mediapipe_points.weights.cache_clear()


def report(faces: Faces, seconds: dict[str, list[float]]) -> None:
    """Print the errors on the faces held out of the fit by part, and the times."""
    held = ~faces.train
    eye = landmarks.eye_distance(faces.truth)[held, None] / 100.0
    ours = mediapipe_points.to_landmarks(faces.mesh)
    columns = {
        "mediapipe to dlib": ours - faces.truth,
        "dlib, mirrored": faces.dlib - faces.flipped_dlib,
        "mediapipe, mirrored": ours - mediapipe_points.to_landmarks(faces.flipped_mesh)[:, landmarks.FLIP_ORDER],
    }
    print(f"{held.sum()} faces held out; median over faces of the mean error, per cent of the outer eye distance")
    print(f"{'':14}" + "".join(f"{name:>21}" for name in columns))
    for part, points in (PARTS | {"all": slice(None)}).items():
        errors = [np.linalg.norm(shift[held], axis=-1)[:, points] / eye for shift in columns.values()]
        print(f"{part:14}" + "".join(f"{np.median(error.mean(axis=1)):21.2f}" for error in errors))
    for name, values in seconds.items():
        low, middle, high = np.quantile(np.array(values) * 1e3, [0.05, 0.5, 0.95])
        print(f"{name}: {middle:.0f} ms of processor time an image ({low:.0f} to {high:.0f} in nine of ten)")


@command
def main() -> None:
    """Run the command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    faces, seconds = collect(arguments.folder, arguments.faces)
    if arguments.fit:
        write(fit(Faces(*(values[faces.train] for values in faces))))
    report(faces, seconds)


if __name__ == "__main__":
    main()

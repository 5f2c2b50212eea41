"""How well the models read valence and arousal from photographs held out of training.

    python -m benchmarks.readings DIFFUSION_FER

The faces are of the test split of DiffusionFER. The labels are the data set's own. "Constant" is the mean label of the
same faces for every face. Intervals are over faces, since the data set names no people.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from tqdm import tqdm

from avlgan_jax.datasets.diffusion_fer.diffusion_fer_dataset_builder import photographs_in
from avlgan_jax.editing.editor import load
from avlgan_jax.errors import UserError, command
from avlgan_jax.evaluation import bootstrap, scores
from avlgan_jax.faces import detectors, pictures
from avlgan_jax.faces.emotions import AXES
from avlgan_jax.photographs import cropping


@dataclass(frozen=True)
class Arguments:
    """Measure how well emotions are read from photographs."""

    folder: tyro.conf.Positional[Path]
    """Manual directory of DiffusionFER."""
    weights: str = "faces64"
    """Weights: name of a packaged bundle, folder of a bundle, or folder of a training run."""
    landmarks: str = "dlib"
    """Landmark detector, which finds the faces."""


@command
def main() -> None:
    """Run the command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    model, detector = load(arguments.weights), detectors.create(arguments.landmarks)
    images, labels = [], []
    held = [entry for entry in photographs_in(arguments.folder) if entry.split == "test" and entry.emotion is not None]
    for entry in tqdm(held, unit=" faces"):
        path = arguments.folder / entry.path
        try:
            found = cropping.faces(pictures.read(path).pixels, detector, model.resolution, str(path))
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        images.append(max(found, key=lambda face: face.square.side).image)
        labels.append(entry.emotion)
    if not images:
        raise UserError(f"no face of the test split of {arguments.folder} was found; check the folder")
    expected = np.array(labels, np.float32)
    print(f"weights {arguments.weights}: {len(images)} of {len(held)} photographs")
    people = bootstrap.draw_people(np.arange(len(images)), 0)
    for name, read in (
        ("discriminator", model.read_emotions(np.stack(images))),
        ("regressor", model.predict(np.stack(images))),
        ("constant", np.broadcast_to(expected.mean(axis=0), expected.shape)),
    ):
        found, draws = scores.affect_scores(read, expected), bootstrap.affect_draws(read, expected, people)
        for score in (f"{kind}_{axis}" for kind in ("rmse", "pcc") for axis in AXES):
            low, high = bootstrap.interval(draws[score])
            print(f"{name:15}{score:15}{found[score]:6.2f}  [{low:.2f}, {high:.2f}]")


if __name__ == "__main__":
    main()

"""Score the trained models of a workdir and write its report.

    python evaluate.py --workdir runs/demo                      # what the four models alone can show
    python evaluate.py --workdir runs/demo --all                # and the trainings of ablate.py
    python evaluate.py --workdir runs/demo --experiment baby    # one experiment of Section IV

Writes WORKDIR/report/metrics.json, index.html and the figures as PNG; of a single experiment, the same to
WORKDIR/experiments/NAME/. The same checkpoints, data and seed give the same files to the byte.
"""

import contextlib
import importlib.metadata
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from avlgan_jax.errors import UserError, command, command_line

# With fewer samples than features the covariance has no full rank, and the distance depends on their number.
FEWEST_FOR_FID = 2048

# The experiments that need trainings of their own.
ABLATIONS = {"table_i": "Table I", "recipe": "the recipe's ablation"}

# The truth is rendered in spawned processes, which import this file: what is heavy is imported where it is used.


@dataclass(frozen=True)
class Arguments:
    """Score the trained models of a workdir and write its report: metrics.json, index.html and figures."""

    workdir: Path
    """Folder of the training run (`train.py --workdir`); the report goes to its `report` folder."""
    data: str | None = None
    """Prepared data set to evaluate on; by default the one trained on."""
    data_dir: Path | None = None
    """Folder of the prepared data; by default the one trained from."""
    samples: int = 10_000
    """How many (face, target emotion) pairs to generate; the paper uses 10,000."""
    split: str = "validation"
    """Split whose faces are asked for new emotions. Generated pictures are compared with the training split."""
    seed: int = 0
    """Decides which face is asked for which emotion, and which faces the figures show."""
    all: bool = False
    """Every experiment of Section IV, also those that need trainings of their own (`ablate.py`)."""
    experiment: (
        Literal["table_ii", "faces", "trials", "circumplex", "fidelity", "baby", "transfer", "table_i", "recipe"] | None
    ) = None
    """One experiment alone, by its name in `docs/metrics.md`."""
    features: Literal["regressor", "inception"] = "regressor"
    """`inception` adds FID, KID, precision and recall in Inception's features, whose weights you have fetched."""
    fid_mode: Literal["clean", "legacy"] = "clean"
    """How pictures are resized for Inception: as clean-fid does, or as pytorch-fid."""
    inception: Path | None = None
    """File of Inception's weights; by default it is looked for in the user's cache folder."""

    devices: int = 0
    """Devices to use; 0 takes all. The numbers do not depend on it."""
    batch_size: int = 64
    """Pictures that each device is given at once. The numbers do not depend on it."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"--batch-size is {self.batch_size}; expected at least 1")
        if self.samples < 1:
            raise UserError(f"--samples is {self.samples}; expected at least 1")
        if self.seed < 0:
            raise UserError(f"--seed is {self.seed}; expected 0 or more")
        if self.all and self.experiment:
            raise UserError(f"--all and --experiment {self.experiment}: expected one of the two")


def evaluate(arguments: Arguments) -> Path:
    """Do what `Arguments` says and print the result table; returns the path of the report's page.

    Raises UserError where the workdir, the data or the split is missing, or the number of samples impossible.
    """
    from tqdm import tqdm

    from avlgan_jax import config
    from avlgan_jax.data import records
    from avlgan_jax.data.manifest import find_manifest
    from avlgan_jax.evaluation import ground_truth, suite
    from avlgan_jax.evaluation.report import page, tables
    from avlgan_jax.evaluation.trials import draw_trials, picture_count
    from avlgan_jax.runtime.devices import choose_devices
    from avlgan_jax.training import states

    weights = _inception(arguments)
    devices = choose_devices(arguments.devices, 0)
    models = states.load(arguments.workdir, sizes=(arguments.batch_size,), devices=devices)
    data = arguments.data or models.config.data
    data_dir = Path(arguments.data_dir or models.config.data_dir)
    resolution, dimensions, seed = models.config.resolution, models.config.landmark_dimensions, arguments.seed
    faces = records.load(data_dir, data, resolution, arguments.split, dimensions)
    training = records.load(data_dir, data, resolution, "train", dimensions)
    _, manifest = find_manifest(data_dir, data, resolution)
    frames = faces
    if "dyads" in manifest.splits:
        frames = records.load(data_dir, data, resolution, "dyads", dimensions)
    trials = draw_trials(faces.emotions, arguments.samples, seed)
    names, trainings = _experiments(arguments)

    with contextlib.ExitStack() as stack:
        render = (
            stack.enter_context(ground_truth.renderer(resolution))
            if ground_truth.face_keys(faces) is not None
            else None
        )
        total = picture_count(faces, training, arguments.samples) if "trials" in names else 0
        progress = stack.enter_context(tqdm(total=total, unit=" pictures", smoothing=0.1))
        lens = None
        if weights is not None and {"trials", *ABLATIONS} & set(names):
            progress.set_description("Inception")
            lens = _feature_space(weights, arguments.fid_mode, devices, training, data_dir, manifest.digest)
        scene = suite.EvaluationContext(
            models, faces, training, frames, trials, seed, render, lens, progress.update, **trainings
        )
        told = suite.run_experiments(scene, names, progress.set_description)

    numbers = told.numbers | {
        "protocol": {
            "data": data,
            "split": arguments.split,
            "resolution": resolution,
            "landmark_dimensions": dimensions,
            "faces": len(faces),
            "training_faces": len(training),
            "samples": arguments.samples,
            "seed": seed,
            "experiments": names,
            "fid_mode": arguments.fid_mode if lens is not None else None,
            "fid_weights": weights.sha256 if lens is not None else None,
        },
        "provenance": {
            "steps": dict(models.steps),
            "config_digest": config.digest(models.config),
            "data_digest": manifest.digest,
            "versions": _versions(),
        },
    }
    folder = Path("experiments", arguments.experiment) if arguments.experiment else Path("report")
    path = page.write_report(arguments.workdir / folder, numbers, told.figures, told.matrices)
    print(tables.text_table(numbers))
    print(f"report: {path}")
    return path


def _experiments(arguments: Arguments):
    """The names of the experiments asked for, and for the scene what has been trained for the ABLATIONS among them."""
    from avlgan_jax.evaluation import suite
    from avlgan_jax.training.ablation import recipe, table_i

    names = [arguments.experiment] if arguments.experiment else list(suite.EXPERIMENTS)
    if not arguments.all and not arguments.experiment:
        names = [name for name in names if name not in ABLATIONS]
    trainings = {}
    for name, field, load in (("table_i", "ablated", table_i.load), ("recipe", "recipe", recipe.load)):
        if name not in names:
            continue
        trainings[field] = load(arguments.workdir)
        if trainings[field] is None:
            command = f"{command_line('ablate')} --workdir ..." + (" --what recipe" if name == "recipe" else "")
            untrained = f"no run of {ABLATIONS[name]} is trained in {arguments.workdir}; train them: {command}"
            if arguments.experiment:
                raise UserError(untrained)
            print(f"note: {untrained}")
    return names, trainings


def _inception(arguments: Arguments):
    """Inception with its weights, if it is asked for; a few samples are warned of before the work begins."""
    from avlgan_jax.evaluation import inception

    if arguments.features == "regressor":
        return None
    network = inception.load_weights(arguments.inception or inception.default_path())
    if arguments.samples < FEWEST_FOR_FID:
        print(f"warning: FID of {arguments.samples} samples is biased upwards; use {FEWEST_FOR_FID} or more")
    return network


def _feature_space(weights, mode, devices, training, data_dir, digest):
    """The eyes of FID, and the training pictures seen through them, measured once for all runs."""
    from avlgan_jax.evaluation import fid, inception
    from avlgan_jax.evaluation.trials import FeatureSpace, measure_reference

    extract = inception.extractor(weights.params, mode, devices)
    identity = fid.FeatureCacheKey(weights.sha256, mode, training.resolution, len(training), digest)
    reference = fid.load_or_measure(data_dir, identity, lambda: measure_reference(extract, training, lambda done: None))
    return FeatureSpace(extract, reference)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("avlgan_jax", "jax", "flax", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


@command
def main() -> None:
    """The command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    from avlgan_jax.runtime.devices import set_up_cpu, use_compilation_cache
    from avlgan_jax.training import workdir

    use_compilation_cache(workdir.compiled(arguments.workdir))
    set_up_cpu()
    evaluate(arguments)


if __name__ == "__main__":
    main()

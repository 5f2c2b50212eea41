"""Evaluate the trained models of a workdir and write a report.

    python evaluate.py --workdir runs/demo                      # experiments that need only the run's own models
    python evaluate.py --workdir runs/demo --all                # also the ablations trained by ablate.py
    python evaluate.py --workdir runs/demo --experiment baby    # one experiment of Section IV

Writes metrics.json, index.html and the figures as PNG to WORKDIR/report/, or for a single experiment to
WORKDIR/experiments/NAME/. The same checkpoints, data and seed give byte-identical files. An evaluation that is stopped
goes on after its last finished experiment when the same command is given again.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from avlgan_jax.errors import UserError, command, command_line

# Number of Inception's features. With fewer samples the covariance is rank-deficient and FID depends on their number.
FEWEST_FOR_FID = 2048

# Spawned processes that render the ground truth import this file again. Heavy modules are therefore imported in the
# functions that use them.


@dataclass(frozen=True)
class Arguments:
    """Evaluate the trained models of a workdir and write a report: metrics.json, index.html and figures."""

    workdir: Path
    """Folder of the training run (`train.py --workdir`). The report is written to a folder in it."""
    data: str | None = None
    """Prepared data set to evaluate on; by default the one the models were trained on."""
    data_dir: Path | None = None
    """Folder of the prepared data; by default the one in the workdir's config."""
    samples: int = 10_000
    """Number of (face, target emotion) pairs to generate; the paper uses 10,000."""
    split: str = "validation"
    """Split whose faces are converted to other emotions. Generated images are compared with the training split."""
    seed: int = 0
    """Seed of the (face, target emotion) pairs, of the faces in the figures, and of the confidence intervals."""
    trial_seeds: int = 1
    """Number of times that the targets are drawn, from --seed on, with --samples pairs each time. With several draws,
    a score and its interval depend less on which targets were drawn; other experiments use the first draw only."""
    all: bool = False
    """Run every experiment of Section IV, including those that need the runs of `ablate.py`."""
    experiment: (
        Literal[
            "table_ii",
            "faces",
            "trials",
            "circumplex",
            "fidelity",
            "shape",
            "regions",
            "sweeps",
            "baby",
            "transfer",
            "table_i",
            "recipe",
            "comparison",
        ]
        | None
    ) = None
    """Run one experiment only; `docs/metrics.md` describes them."""
    features: Literal["regressor", "inception"] = "regressor"
    """Features of the distribution scores. `inception` adds FID, KID, precision and recall (see `--inception`)."""
    fid_mode: Literal["clean", "legacy"] = "clean"
    """Resizing of the images for Inception: `clean` as in clean-fid, `legacy` as in pytorch-fid."""
    inception: Path | None = None
    """File with Inception's weights, which you download once; by default in `avlgan_jax` of your cache folder."""

    devices: int = 0
    """Number of devices to use; 0 uses all. The scores do not depend on it, up to rounding."""
    batch_size: int = 64
    """Number of images that each device processes at once. The scores do not depend on it, up to rounding."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"--batch-size is {self.batch_size}; expected at least 1")
        if self.samples < 1:
            raise UserError(f"--samples is {self.samples}; expected at least 1")
        if self.trial_seeds < 1:
            raise UserError(f"--trial-seeds is {self.trial_seeds}; expected at least 1")
        if self.seed < 0:
            raise UserError(f"--seed is {self.seed}; expected 0 or more")
        if self.all and self.experiment:
            raise UserError(f"--all and --experiment {self.experiment} are both given; expected one of the two")


def evaluate(arguments: Arguments) -> Path:
    """Run the experiments, write the report, and print the table of scores.

    Returns:
        The path of the report's index.html.

    Raises:
        UserError: The workdir has no config or no checkpoint of a model; the data is missing, damaged, or has no such
            split; the split has fewer than two faces; `arguments.devices` exceeds the available devices; Inception's
            weights are required and missing; a file of dlib's models is not the published one; or
            `arguments.experiment` is an ablation without trained runs.
    """
    from avlgan_jax.data import mixed, records
    from avlgan_jax.data.manifest import find_manifest
    from avlgan_jax.evaluation import finished, provenance
    from avlgan_jax.evaluation.report import page, tables
    from avlgan_jax.evaluation.suite import EvaluationContext
    from avlgan_jax.evaluation.trials import draw_trials, repeated_trials
    from avlgan_jax.models import inference
    from avlgan_jax.runtime.devices import choose_devices
    from avlgan_jax.training import states, workdir

    weights = _inception(arguments)
    devices = choose_devices(arguments.devices, 0)
    ablations = finished.ablation_digest(arguments.workdir)
    config, parameters, steps = states.read(arguments.workdir)
    models = inference.assemble(config, parameters, steps, sizes=(arguments.batch_size,), devices=devices)
    data = arguments.data or mixed.names(config.data)[0]
    data_dir = Path(arguments.data_dir or config.data_dir)
    resolution, dimensions, seed = config.resolution, config.landmark_dimensions, arguments.seed
    faces = records.load(data_dir, data, resolution, arguments.split, dimensions)
    training = records.load(data_dir, data, resolution, "train", dimensions)
    _, manifest = find_manifest(data_dir, data, resolution)
    frames = faces
    if "dyads" in manifest.splits:
        frames = records.load(data_dir, data, resolution, "dyads", dimensions)
    trials = draw_trials(faces.emotions, arguments.samples, seed)
    every_trial = repeated_trials(faces.emotions, arguments.samples, seed, arguments.trial_seeds)
    names, ablation_runs = _experiments(arguments)
    context = EvaluationContext(models, faces, training, frames, trials, seed, every_trial=every_trial, **ablation_runs)
    origin = provenance.describe(models, manifest, devices)
    options = _options(arguments, devices, weights)
    kept = finished.FinishedExperiments(arguments.workdir, finished.identify(origin, parameters, ablations, options))

    def feature_space():
        return _feature_space(weights, arguments.fid_mode, devices, training, data_dir, manifest.digest)

    result = _run_experiments(context, names, kept, feature_space if weights is not None else None)
    with_fid = weights is not None and _needs_inception(names)
    numbers = result.numbers | {
        "protocol": {
            "data": data,
            "split": arguments.split,
            "resolution": resolution,
            "landmark_dimensions": dimensions,
            "faces": len(faces),
            "training_faces": len(training),
            "samples": arguments.samples,
            "seed": seed,
            "trial_seeds": arguments.trial_seeds,
            "experiments": names,
            "fid_mode": arguments.fid_mode if with_fid else None,
            "fid_weights": weights.sha256 if with_fid else None,
        },
        "provenance": origin,
    }
    folder = workdir.report(arguments.workdir, arguments.experiment)
    path = page.write_report(folder, numbers, result.figures, result.matrices)
    kept.remove(names)
    print(tables.text_table(numbers))
    print(f"report: {path}")
    return path


def _run_experiments(context, names: list[str], kept, feature_space: Callable | None):
    """Run the experiments that are not kept from an evaluation that was stopped, and keep each when it is finished.

    Args:
        context: Inputs of the experiments, without renderer, feature space and progress.
        names: All experiments.
        kept: The workdir's `finished.FinishedExperiments`.
        feature_space: Measures the training images with Inception, or None to omit FID.
    """
    from tqdm import tqdm

    from avlgan_jax.evaluation import ground_truth, suite
    from avlgan_jax.evaluation.trials import picture_count

    done = kept.read(names)
    if done:
        print(
            f"{len(done)} of {len(names)} experiments were finished before this evaluation was stopped: "
            f"{', '.join(done)}"
        )
    left = [name for name in names if name not in done]
    models, faces, training = context.models, context.faces, context.training
    with contextlib.ExitStack() as stack:
        render = (
            ground_truth.remembering(stack.enter_context(ground_truth.renderer(models.config.resolution)))
            if ground_truth.face_keys(faces) is not None
            else None
        )
        total = picture_count(models, faces, training, len(context.every_trial.sources)) if "trials" in left else 0
        progress = stack.enter_context(tqdm(total=total, unit=" images", smoothing=0.1))
        inception = None
        if feature_space is not None and _needs_inception(left):
            progress.set_description("Inception")
            inception = feature_space()
        context = dataclasses.replace(context, render=render, inception=inception, advance=progress.update)
        return suite.run_experiments(context, names, progress.set_description, done, kept.keep)


def _needs_inception(names: Iterable[str]) -> bool:
    """Return whether one of the experiments computes scores from Inception's features."""
    from avlgan_jax.evaluation.suite import ABLATIONS

    return not {"trials", *ABLATIONS}.isdisjoint(names)


def _options(arguments: Arguments, devices, weights) -> dict:
    """Return the options that the results depend on, if only in their last digits."""
    fields = ("split", "samples", "seed", "trial_seeds", "batch_size", "fid_mode")
    options = {name: getattr(arguments, name) for name in fields}
    return options | {"devices": len(devices), "inception": weights.sha256 if weights is not None else None}


def _experiments(arguments: Arguments):
    """Return the names of the experiments to run, and the ablation runs as keyword arguments of the context.

    What an experiment needs is checked here, before the first one runs.
    """
    from avlgan_jax.evaluation import suite
    from avlgan_jax.evaluation.experiments import fidelity
    from avlgan_jax.training.ablation import comparison, recipe, table_i

    names = [arguments.experiment] if arguments.experiment else list(suite.EXPERIMENTS)
    if not arguments.all and not arguments.experiment:
        names = [name for name in names if name not in suite.ABLATIONS]
    if "fidelity" in names:
        fidelity.installed_models()
    ablation_runs = {}
    loaders = {
        "table_i": ("ablated", table_i.load),
        "recipe": ("recipe", recipe.load),
        "comparison": ("compared", comparison.load),
    }
    for name, (field, load) in loaders.items():
        if name not in names:
            continue
        ablation_runs[field] = load(arguments.workdir)
        if not ablation_runs[field]:
            ablate = f"{command_line('ablate')} --workdir ... --what {name}"
            message = f"{arguments.workdir} has no trained runs of {suite.ABLATIONS[name]}; train them with: {ablate}"
            if arguments.experiment:
                raise UserError(message)
            print(f"note: {message}")
    return names, ablation_runs


def _inception(arguments: Arguments):
    """Return Inception's weights if its features are requested, and warn if there are too few samples for FID."""
    from avlgan_jax.evaluation import inception

    if arguments.features == "regressor":
        return None
    weights = inception.load_weights(arguments.inception or inception.default_path())
    if arguments.samples < FEWEST_FOR_FID:
        print(f"warning: FID of {arguments.samples} samples is biased upwards; use --samples {FEWEST_FOR_FID} or more")
    return weights


def _feature_space(weights, mode, devices, training, data_dir, digest):
    """Return Inception as a feature space; the training images' features come from the cache after the first run."""
    from avlgan_jax.evaluation import fid, inception
    from avlgan_jax.evaluation.trials import FeatureSpace, measure_reference

    extract = inception.extractor(weights.params, mode, devices)
    identity = fid.FeatureCacheKey(weights.sha256, mode, training.resolution, len(training), digest)
    reference = fid.load_or_measure(data_dir, identity, lambda: measure_reference(extract, training, lambda done: None))
    return FeatureSpace(extract, reference)


@command
def main() -> None:
    """Parse the command line, evaluate the models, and write the report."""
    arguments = tyro.cli(Arguments, description=__doc__)
    from avlgan_jax.runtime.devices import set_up_cpu, use_compilation_cache
    from avlgan_jax.training import workdir

    use_compilation_cache(workdir.compiled(arguments.workdir))
    set_up_cpu()
    evaluate(arguments)


if __name__ == "__main__":
    main()

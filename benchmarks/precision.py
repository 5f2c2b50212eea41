"""Effect of bfloat16 on the results of image converters, trained with and without it from several seeds.

    python -m benchmarks.precision --workdir runs/demo --steps 600 --seeds 3

All converters use the faces and the landmark converter of WORKDIR. Its regressor predicts the emotions of their outputs
on the same trials. A difference between the precisions is meaningful if it is larger than the difference between seeds.
The training runs are stored in WORKDIR/ablation/precision; the same command resumes them after an interruption.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import tyro

from avlgan_jax.atomic_files import write_text
from avlgan_jax.config import Config
from avlgan_jax.data import records
from avlgan_jax.data.records import Faces
from avlgan_jax.errors import command
from avlgan_jax.evaluation import ground_truth, metrics
from avlgan_jax.evaluation.trials import Trials, draw_trials, next_pictures
from avlgan_jax.models import inference
from avlgan_jax.runtime import devices
from avlgan_jax.training import loop, metric_writer, states, workdir
from avlgan_jax.training.ablation import runs, table_i

PRECISIONS = ("float32", "bfloat16")
LOSSES = ("g/emotion", "g/reconstruction", "d/emotion", "d/adversarial")
# Number of last steps over which a loss is averaged.
LAST = 100


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train image converters in float32 and in bfloat16 from several seeds, and compare their results."""

    workdir: Path
    """Folder of a trained run; all converters use its landmark converter and regressor."""
    steps: int = 600
    """Steps of each training. The discriminator's warm-up keeps its share of them."""
    seeds: int = 3
    """Number of seeds for each precision."""
    samples: int = 500
    """Number of (face, target emotion) pairs to evaluate each converter on."""
    out: Path = Path("precision.json")
    """JSON file to write."""


def compare(arguments: Arguments) -> dict[str, dict[str, list[float]]]:
    """Train and evaluate all converters.

    Returns:
        The values of all seeds, by measure and precision.

    Raises:
        UserError: If a model of the trained run or its data is missing, or there are too few faces or samples.
    """
    config, weights, steps = states.read(arguments.workdir)
    faces = records.load(
        Path(config.data_dir), config.data, config.resolution, "validation", config.landmark_dimensions
    )
    trials = draw_trials(faces.emotions, arguments.samples, config.seed)
    results: dict[str, dict[str, list[float]]] = {}
    for seed in range(arguments.seeds):
        for precision in PRECISIONS:
            varied = runs.with_value(
                table_i.planned_config(config, table_i.AblationPlan(image_steps=arguments.steps)),
                "image.precision",
                precision,
            )
            varied = dataclasses.replace(varied, seed=config.seed + seed)
            folder = arguments.workdir / runs.FOLDER / "precision" / f"{precision}-{seed}"
            runs.take_landmark_converter(arguments.workdir, folder)
            state = loop.train(varied, "image", folder)
            models = inference.assemble(varied, weights | states.weights_of(state, "image"), steps)
            measured = _scores(models, varied, faces, trials) | _losses(folder / "image")
            for name, value in measured.items():
                results.setdefault(name, {}).setdefault(precision, []).append(value)
    return results


def _scores(models: inference.Trained, config: Config, faces: Faces, trials: Trials) -> dict[str, float]:
    """Return the scores of a converter's outputs, with PSNR to the ground truth if the faces are drawn."""
    output = models.convert["avlandmarkgan"](
        faces.images[trials.sources], faces.landmarks[trials.sources], trials.targets
    )
    predicted, _ = models.regress(output)
    scores = {
        "RMSE": metrics.rmse(predicted, trials.targets),
        "PCC of valence": metrics.pcc(predicted[:, 0], trials.targets[:, 0]),
        "PCC of arousal": metrics.pcc(predicted[:, 1], trials.targets[:, 1]),
    }
    if ground_truth.face_keys(faces) is not None:
        with ground_truth.renderer(config.resolution) as render:
            pictures, _ = next_pictures(
                render(ground_truth.face_keys(faces)[trials.sources], trials.targets), len(output)
            )
        scores["PSNR to the truth, dB"] = float(np.mean(metrics.psnr(output, pictures)))
    return {name: float(value) for name, value in scores.items()}


def _losses(folder: Path) -> dict[str, float]:
    """Return the losses of a training run, averaged over its last steps."""
    lines = [line for line in metric_writer.read_metrics(folder) if "g/emotion" in line]
    last = [line for line in lines if line["step"] > lines[-1]["step"] - LAST]
    return {name: float(np.mean([line[name] for line in last])) for name in LOSSES}


def as_text(results: dict[str, dict[str, list[float]]]) -> str:
    """Return a table with a line for each measure: means, their difference, and the standard deviation over seeds."""
    lines = [f"{'':<24}{'float32':>10}{'bfloat16':>10}{'differ by':>11}{'seeds differ by':>17}"]
    for name, by_precision in results.items():
        means = [float(np.mean(by_precision[precision])) for precision in PRECISIONS]
        spread = float(np.mean([np.std(values, ddof=min(1, len(values) - 1)) for values in by_precision.values()]))
        lines.append(f"{name:<24}{means[0]:>10.4f}{means[1]:>10.4f}{means[1] - means[0]:>11.4f}{spread:>17.4f}")
    return "\n".join(lines)


@command
def main() -> None:
    """Run the comparison that the command line describes, print the table and write the JSON file."""
    arguments = tyro.cli(Arguments, description=__doc__)
    devices.use_compilation_cache(workdir.compiled(arguments.workdir))
    devices.set_up_cpu()
    results = compare(arguments)
    print(as_text(results))
    write_text(arguments.out, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

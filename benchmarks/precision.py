"""Whether bfloat16 changes a result that matters: image converters trained with it and without, from several seeds.

    python -m benchmarks.precision --workdir runs/demo --steps 600 --seeds 3

All see the faces of WORKDIR through its landmark converter, and its regressor judges all of them on the same trials. A
difference between the two precisions means something where it is larger than that between seeds. The trainings are kept
in WORKDIR/ablation/precision, and go on where they were when the same command is given again.
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
# Steps at the end over whose mean a loss is told.
LAST = 100


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Train image converters in float32 and bfloat16 from several seeds and hold what came out side by side."""

    workdir: Path
    """Folder of a trained run, whose landmark converter and regressor serve all."""
    steps: int = 600
    """Steps of each training; the discriminator's time of reading keeps its share of them."""
    seeds: int = 3
    """Trainings of each precision."""
    samples: int = 500
    """How many (face, target emotion) pairs each is judged on."""
    out: Path = Path("precision.json")
    """The JSON file to write."""


def compare(arguments: Arguments) -> dict[str, dict[str, list[float]]]:
    """By measure and precision the values of all seeds."""
    config, weights, steps = states.read(arguments.workdir)
    faces = records.load(
        Path(config.data_dir), config.data, config.resolution, "validation", config.landmark_dimensions
    )
    trials = draw_trials(faces.emotions, arguments.samples, config.seed)
    found: dict[str, dict[str, list[float]]] = {}
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
            own = inference.assemble(varied, weights | states.weights_of(state, "image"), steps)
            measured = _judged(own, varied, faces, trials) | _losses(folder / "image")
            for name, value in measured.items():
                found.setdefault(name, {}).setdefault(precision, []).append(value)
    return found


def _judged(models: inference.Trained, config: Config, faces: Faces, trials: Trials) -> dict[str, float]:
    output = models.convert["avlandmarkgan"](
        faces.images[trials.sources], faces.landmarks[trials.sources], trials.targets
    )
    read, _ = models.regress(output)
    told = {
        "RMSE": metrics.rmse(read, trials.targets),
        "PCC of valence": metrics.pcc(read[:, 0], trials.targets[:, 0]),
        "PCC of arousal": metrics.pcc(read[:, 1], trials.targets[:, 1]),
    }
    if ground_truth.face_keys(faces) is not None:
        with ground_truth.renderer(config.resolution) as render:
            pictures, _ = next_pictures(
                render(ground_truth.face_keys(faces)[trials.sources], trials.targets), len(output)
            )
        told["PSNR to the truth, dB"] = float(np.mean(metrics.psnr(output, pictures)))
    return {name: float(value) for name, value in told.items()}


def _losses(folder: Path) -> dict[str, float]:
    lines = [line for line in metric_writer.read_metrics(folder) if "g/emotion" in line]
    last = [line for line in lines if line["step"] > lines[-1]["step"] - LAST]
    return {name: float(np.mean([line[name] for line in last])) for name in LOSSES}


def as_text(found: dict[str, dict[str, list[float]]]) -> str:
    """A line for each measure: means, the difference of means, and the standard deviation between seeds."""
    lines = [f"{'':<24}{'float32':>10}{'bfloat16':>10}{'differ by':>11}{'seeds differ by':>17}"]
    for name, by_precision in found.items():
        means = [float(np.mean(by_precision[precision])) for precision in PRECISIONS]
        spread = float(np.mean([np.std(values, ddof=min(1, len(values) - 1)) for values in by_precision.values()]))
        lines.append(f"{name:<24}{means[0]:>10.4f}{means[1]:>10.4f}{means[1] - means[0]:>11.4f}{spread:>17.4f}")
    return "\n".join(lines)


@command
def main() -> None:
    """The command line."""
    arguments = tyro.cli(Arguments, description=__doc__)
    devices.use_compilation_cache(workdir.compiled(arguments.workdir))
    devices.set_up_cpu()
    found = compare(arguments)
    print(as_text(found))
    write_text(arguments.out, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

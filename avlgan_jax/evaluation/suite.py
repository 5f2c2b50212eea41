"""Section IV of the paper, experiment by experiment: what each adds to `metrics.json` and to the page, by its name."""

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import examples, scores, trials
from avlgan_jax.evaluation.examples import EmotionGrid
from avlgan_jax.evaluation.experiments import ablation_scores, baby, circumplex, fidelity, table_i, table_ii, transfer
from avlgan_jax.evaluation.ground_truth import Renderer
from avlgan_jax.evaluation.ground_truth import face_keys as truth_keys
from avlgan_jax.evaluation.report import figures
from avlgan_jax.evaluation.report.figures import Figure
from avlgan_jax.evaluation.trials import FeatureSpace, ProgressCallback, Trials
from avlgan_jax.models.inference import Trained
from avlgan_jax.training.ablation.table_i import AblationModels


@dataclass(frozen=True)
class EvaluationContext:
    """What the experiments have to work with; `render` and `inception` as for `evaluation.measure`."""

    models: Trained
    faces: Faces
    """Those asked for other emotions."""
    training: Faces
    frames: Faces
    """Frames of sequences, where the data has any; else anything."""
    trials: Trials
    seed: int
    render: Renderer | None = None
    inception: FeatureSpace | None = None
    advance: ProgressCallback = lambda done: None
    ablated: AblationModels | None = None
    """The runs of Table I, where they have been trained."""
    recipe: dict[str, Callable[[], Trained]] | None = None
    """Those without a part of the recipe each (`recipe.load`), likewise."""


@dataclass(frozen=True)
class ExperimentResult:
    """The numbers of experiments, their figures in the order of the page, and the faces of its interactive plane."""

    numbers: dict = dataclasses.field(default_factory=dict)
    figures: list[Figure] = dataclasses.field(default_factory=list)
    matrices: list[EmotionGrid] = dataclasses.field(default_factory=list)


def run_experiments(
    scene: EvaluationContext, names: Iterable[str], announce: Callable[[str], None] = lambda name: None
) -> ExperimentResult:
    """The experiments named (of EXPERIMENTS) one after another; `announce` is told which one begins."""
    numbers: dict = {"schema_version": scores.SCHEMA_VERSION}
    all_figures, matrices = [], []
    for name in names:
        announce(name)
        told = EXPERIMENTS[name](scene)
        numbers |= told.numbers
        all_figures += told.figures
        matrices += told.matrices
    return ExperimentResult(_add_summary_columns(numbers), all_figures, matrices)


def _add_summary_columns(numbers: dict) -> dict:
    """The numbers with the three in the models' rows that experiments of their own give."""
    if "models" not in numbers:
        return numbers
    seen, around = numbers.get("fidelity", {}), numbers.get("circumplex", {})
    rows = {
        name: {
            **row,
            "response": around.get("response", {}).get(name),
            "landmark_nme": (seen.get("landmark_nme") or {}).get(name),
            "identity_distance": (seen.get("identity_distance") or {}).get(name),
        }
        for name, row in numbers["models"].items()
    }
    return {**numbers, "models": rows}


def _table_ii(scene: EvaluationContext) -> ExperimentResult:
    found = table_ii.to_metrics(scene.training)
    shown = examples.expressions(scene.models, scene.faces, scene.seed, table_ii.means(found))
    return ExperimentResult({"table_ii": found}, [figures.expressions(shown)])


def _faces(scene: EvaluationContext) -> ExperimentResult:
    rows = examples.rows(scene.models, scene.faces, scene.seed, scene.render)
    matrices = examples.matrices(scene.models, scene.faces, scene.seed, scene.render)
    return ExperimentResult({}, [figures.outputs(rows), figures.chain(rows), *figures.matrices(matrices)], matrices)


def _trials(scene: EvaluationContext) -> ExperimentResult:
    measured = trials.measure(
        scene.models, scene.faces, scene.training, scene.trials, scene.render, scene.advance, scene.inception
    )
    numbers = scores.score(measured) | {"intervals": scores.intervals(measured, scene.seed)}
    return ExperimentResult(numbers, [figures.scatter(measured)])


def _circumplex(scene: EvaluationContext) -> ExperimentResult:
    around = circumplex.measure(scene.models, scene.faces, scene.seed, scene.render)
    return ExperimentResult(
        {"circumplex": circumplex.to_metrics(around)}, [*figures.nearness(around), figures.judged(around)]
    )


def _fidelity(scene: EvaluationContext) -> ExperimentResult:
    return ExperimentResult(
        {"fidelity": fidelity.to_metrics(fidelity.measure(scene.models, scene.faces, scene.trials))}
    )


def _baby(scene: EvaluationContext) -> ExperimentResult:
    dyads = baby.measure(scene.models, scene.frames) if baby.has_sequences(scene.frames) else {}
    return ExperimentResult({"baby": baby.to_metrics(dyads, scene.seed)}, [figures.baby(dyads)] if dyads else [])


def _transfer(scene: EvaluationContext) -> ExperimentResult:
    found = transfer.measure(scene.models, scene.frames, scene.faces, scene.seed)
    return ExperimentResult(
        {"transfer": transfer.to_metrics(found)}, [figures.transfer(found)] if found is not None else []
    )


def _table_i(scene: EvaluationContext) -> ExperimentResult:
    if scene.ablated is None:
        return ExperimentResult({"table_i": {}})
    found = table_i.to_metrics(scene.ablated, _setting(scene))
    return ExperimentResult({"table_i": found}, [figures.table_i(found)])


def _recipe(scene: EvaluationContext) -> ExperimentResult:
    if scene.recipe is None:
        return ExperimentResult({"recipe": {}})
    setting, numbers, outputs = _setting(scene), {}, {}
    for name, load in scene.recipe.items():
        models = load()
        numbers[name] = ablation_scores.measure(models, setting)
        outputs[name] = examples.painted(models, scene.faces, scene.seed)
    shown = examples.rows(scene.models, scene.faces, scene.seed, scene.render)
    outputs |= {name: made for name, made in shown.outputs.items() if name == "truth"}
    return ExperimentResult({"recipe": numbers}, [figures.recipe(dataclasses.replace(shown, outputs=outputs))])


def _setting(scene: EvaluationContext) -> ablation_scores.MeasurementSetup:
    """What every run of an ablation is measured by."""
    truth = None
    if scene.render is not None:
        pictures = scene.render(truth_keys(scene.faces)[scene.trials.sources], scene.trials.targets)
        truth = ablation_scores.GroundTruth(*(np.stack(column) for column in zip(*pictures, strict=True)))
    judge = scene.models.regress
    reference = trials.measure_reference(lambda images: judge(images)[1], scene.training, lambda done: None)
    return ablation_scores.MeasurementSetup(scene.faces, scene.trials, reference, scene.inception, truth)


EXPERIMENTS: dict[str, Callable[[EvaluationContext], ExperimentResult]] = {
    "table_ii": _table_ii,
    "faces": _faces,
    "trials": _trials,
    "circumplex": _circumplex,
    "fidelity": _fidelity,
    "baby": _baby,
    "transfer": _transfer,
    "table_i": _table_i,
    "recipe": _recipe,
}

"""The experiments of Section IV of the paper by name; each adds numbers to `metrics.json` and figures to the report."""

import dataclasses
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import examples, scores, trials
from avlgan_jax.evaluation.examples import EmotionGrid
from avlgan_jax.evaluation.experiments import (
    ablation_scores,
    baby,
    circumplex,
    comparison,
    expressions,
    fidelity,
    regions,
    shape,
    sweeps,
    table_i,
    table_ii,
    transfer,
)
from avlgan_jax.evaluation.ground_truth import Renderer
from avlgan_jax.evaluation.ground_truth import face_keys as truth_keys
from avlgan_jax.evaluation.report import figures
from avlgan_jax.evaluation.report.figures import Figure
from avlgan_jax.evaluation.trials import FeatureSpace, ProgressCallback, Trials
from avlgan_jax.models.inference import Trained
from avlgan_jax.training.ablation.comparison import MODELS
from avlgan_jax.training.ablation.table_i import AblationModels


@dataclass(frozen=True)
class EvaluationContext:
    """Inputs of the experiments."""

    models: Trained
    faces: Faces
    """Faces that are converted to other emotions."""
    training: Faces
    """Faces of the training split."""
    frames: Faces
    """Frames of sequences; if the data has none, any faces, and the experiments on sequences have no results."""
    trials: Trials
    seed: int
    render: Renderer | None = None
    """Renderer of the ground truth, or None if there is none (see `trials.measure`)."""
    inception: FeatureSpace | None = None
    """Feature space of FID, or None to omit FID."""
    advance: ProgressCallback = lambda done: None
    """Called with the number of images done since the last call."""
    every_trial: Trials | None = None
    """Trials of all draws of the targets, for the scores of the trials; None for `trials`, the first draw, alone."""
    ablated: AblationModels | None = None
    """The runs of Table I, or None if none are trained."""
    recipe: dict[str, Callable[[], Trained]] | None = None
    """The runs of the recipe ablation (`recipe.load`), or None if none are trained."""
    compared: comparison.Runs | None = None
    """The runs of the comparison (`training.ablation.comparison.load`), or None if none are trained."""


@dataclass(frozen=True)
class ExperimentResult:
    """Results of one or more experiments."""

    numbers: dict = dataclasses.field(default_factory=dict)
    """Entries of `metrics.json`."""
    figures: list[Figure] = dataclasses.field(default_factory=list)
    """Figures in the order of the page."""
    matrices: list[EmotionGrid] = dataclasses.field(default_factory=list)
    """Faces of the page's interactive plane."""


def run_experiments(
    context: EvaluationContext,
    names: Iterable[str],
    announce: Callable[[str], None] = lambda name: None,
    done: Mapping[str, ExperimentResult] = types.MappingProxyType({}),
    keep: Callable[[str, ExperimentResult], None] = lambda name, result: None,
) -> ExperimentResult:
    """Run experiments one after another and combine their results.

    Args:
        context: Inputs of the experiments.
        names: Experiments, keys of EXPERIMENTS.
        announce: Called with the name of each experiment before it runs.
        done: Results that are known already; these experiments are not run.
        keep: Called with the name and the result of each experiment after it has run.
    """
    numbers: dict = {"schema_version": scores.SCHEMA_VERSION}
    all_figures, matrices = [], []
    for name in names:
        result = done.get(name)
        if result is None:
            announce(name)
            result = EXPERIMENTS[name](context)
            keep(name, result)
        numbers |= result.numbers
        all_figures += result.figures
        matrices += result.matrices
    return ExperimentResult(_add_summary_columns(numbers), all_figures, matrices)


def _add_summary_columns(numbers: dict) -> dict:
    """Add to the models' rows the three scores that come from `circumplex` and `fidelity`."""
    if "models" not in numbers:
        return numbers
    dlib, sweep = numbers.get("fidelity", {}), numbers.get("circumplex", {})
    rows = {
        name: {
            **row,
            "response": sweep.get("response", {}).get(name),
            "landmark_nme": (dlib.get("landmark_nme") or {}).get(name),
            "identity_distance": (dlib.get("identity_distance") or {}).get(name),
        }
        for name, row in numbers["models"].items()
    }
    return {**numbers, "models": rows}


def _table_ii(context: EvaluationContext) -> ExperimentResult:
    found = table_ii.to_metrics(context.training)
    means = table_ii.means(found)
    shown = examples.expressions(context.models, context.faces, context.seed, means)
    recognised = expressions.measure(context.models, context.faces, context.seed, means)
    numbers = {"table_ii": found, "expressions": expressions.to_metrics(recognised, context.seed)}
    return ExperimentResult(numbers, [figures.expressions(shown)])


def _faces(context: EvaluationContext) -> ExperimentResult:
    rows = examples.rows(context.models, context.faces, context.seed, context.render)
    matrices = examples.matrices(context.models, context.faces, context.seed, context.render)
    moves = examples.moves(context.models, context.faces, context.seed, context.render)
    shown = [figures.outputs(rows), figures.chain(rows), *figures.moves(moves), *figures.matrices(matrices)]
    return ExperimentResult({}, shown, matrices)


def _trials(context: EvaluationContext) -> ExperimentResult:
    measured = trials.measure(
        context.models,
        context.faces,
        context.training,
        context.trials if context.every_trial is None else context.every_trial,
        context.render,
        context.advance,
        context.inception,
    )
    numbers = scores.score(measured) | {"intervals": scores.intervals(measured, context.seed)}
    return ExperimentResult(numbers, [figures.scatter(measured)])


def _circumplex(context: EvaluationContext) -> ExperimentResult:
    found = circumplex.measure(context.models, context.faces, context.seed, context.render)
    return ExperimentResult(
        {"circumplex": circumplex.to_metrics(found)}, [*figures.nearness(found), figures.predicted_emotions(found)]
    )


def _fidelity(context: EvaluationContext) -> ExperimentResult:
    return ExperimentResult(
        {"fidelity": fidelity.to_metrics(fidelity.measure(context.models, context.faces, context.trials))}
    )


def _shape(context: EvaluationContext) -> ExperimentResult:
    return ExperimentResult({"shape": shape.to_metrics(shape.measure(context.models, context.faces, context.trials))})


def _regions(context: EvaluationContext) -> ExperimentResult:
    found = regions.measure(context.models, context.faces, context.trials, context.render)
    return ExperimentResult({"regions": regions.to_metrics(found)})


def _sweeps(context: EvaluationContext) -> ExperimentResult:
    found = sweeps.measure(context.models, context.faces, context.seed, context.render)
    return ExperimentResult({"sweeps": sweeps.to_metrics(found)})


def _baby(context: EvaluationContext) -> ExperimentResult:
    dyads = baby.measure(context.models, context.frames) if baby.has_sequences(context.frames) else {}
    return ExperimentResult({"baby": baby.to_metrics(dyads, context.seed)}, [figures.baby(dyads)] if dyads else [])


def _transfer(context: EvaluationContext) -> ExperimentResult:
    found = transfer.measure(context.models, context.frames, context.faces, context.seed)
    return ExperimentResult(
        {"transfer": transfer.to_metrics(found, context.seed)}, [figures.transfer(found)] if found is not None else []
    )


def _table_i(context: EvaluationContext) -> ExperimentResult:
    if context.ablated is None:
        return ExperimentResult({"table_i": {}})
    found = table_i.to_metrics(context.ablated, _measurement_setup(context), context.seed)
    return ExperimentResult({"table_i": found}, [figures.table_i(found)])


def _recipe(context: EvaluationContext) -> ExperimentResult:
    if context.recipe is None:
        return ExperimentResult({"recipe": {}})
    setup, numbers, outputs = _measurement_setup(context), {}, {}
    for name, load in context.recipe.items():
        models = load()
        numbers[name] = ablation_scores.measure(models, setup)
        outputs[name] = examples.painted(models, context.faces, context.seed)
    shown = examples.rows(context.models, context.faces, context.seed, context.render)
    outputs |= {name: images for name, images in shown.outputs.items() if name == "truth"}
    return ExperimentResult({"recipe": numbers}, [figures.recipe(dataclasses.replace(shown, outputs=outputs))])


def _comparison(context: EvaluationContext) -> ExperimentResult:
    if not context.compared:
        return ExperimentResult({"comparison": {}})
    samples = len(context.trials.sources)
    rows, found = comparison.measure(
        context.models, context.compared, context.faces, samples, context.seed, context.render
    )
    seeds = {name: list(runs) for name, runs in context.compared.items()}
    shown = examples.rows(context.models, context.faces, context.seed, context.render)
    outputs = {}
    for name, runs in context.compared.items():
        first = next(iter(runs.values()))()
        model = examples.rows(first, context.faces, context.seed, None)
        outputs[name] = model.outputs["avgan" if MODELS[name].kind == "avgan" else "avlandmarkgan"]
    outputs |= {name: images for name, images in shown.outputs.items() if name == "truth"}
    dyads = comparison.measure_baby(context.compared, context.frames)
    return ExperimentResult(
        {
            "comparison": comparison.to_metrics(rows, found, seeds, context.seed),
            "comparison_baby": comparison.baby_to_metrics(dyads, context.seed),
        },
        [figures.comparison(dataclasses.replace(shown, outputs=outputs))],
    )


def _measurement_setup(context: EvaluationContext) -> ablation_scores.MeasurementSetup:
    """Return the trials, reference features and ground truth that all runs of an ablation share."""
    truth = None
    if context.render is not None:
        rendered = context.render(truth_keys(context.faces)[context.trials.sources], context.trials.targets)
        truth = ablation_scores.GroundTruth(*(np.stack(column) for column in zip(*rendered, strict=True)))
    reference = trials.measure_reference(context.models.features, context.training, lambda done: None)
    return ablation_scores.MeasurementSetup(context.faces, context.trials, reference, context.inception, truth)


EXPERIMENTS: dict[str, Callable[[EvaluationContext], ExperimentResult]] = {
    "table_ii": _table_ii,
    "faces": _faces,
    "trials": _trials,
    "circumplex": _circumplex,
    "fidelity": _fidelity,
    "shape": _shape,
    "regions": _regions,
    "sweeps": _sweeps,
    "baby": _baby,
    "transfer": _transfer,
    "table_i": _table_i,
    "recipe": _recipe,
    "comparison": _comparison,
}

# The experiments that need additional training runs, with their names in messages.
ABLATIONS = {"table_i": "Table I", "recipe": "the recipe ablation", "comparison": "the comparison"}

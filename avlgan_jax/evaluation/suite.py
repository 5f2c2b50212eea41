"""Section IV of the paper, experiment by experiment: what each adds to `metrics.json` and to the page, by its name."""

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from avlgan_jax.data.records import Faces
from avlgan_jax.evaluation import examples, scores, trials
from avlgan_jax.evaluation.examples import Matrix
from avlgan_jax.evaluation.experiments import ablation_scores, baby, circumplex, fidelity, table_i, table_ii, transfer
from avlgan_jax.evaluation.ground_truth import Render
from avlgan_jax.evaluation.ground_truth import keys as truth_keys
from avlgan_jax.evaluation.report import figures
from avlgan_jax.evaluation.report.figures import Figure
from avlgan_jax.evaluation.trials import Advance, Lens, Trials
from avlgan_jax.models.inference import Trained
from avlgan_jax.training.ablation.table_i import Runs


@dataclass(frozen=True)
class Scene:
    """What the experiments have to work with; `render` and `inception` as for `evaluation.measure`."""

    models: Trained
    faces: Faces
    """Those asked for other emotions."""
    training: Faces
    frames: Faces
    """Frames of sequences, where the data has any; else anything."""
    trials: Trials
    seed: int
    render: Render | None = None
    inception: Lens | None = None
    advance: Advance = lambda done: None
    ablated: Runs | None = None
    """The runs of Table I, where they have been trained."""
    recipe: dict[str, Callable[[], Trained]] | None = None
    """Those without a part of the recipe each (`recipe.load`), likewise."""


@dataclass(frozen=True)
class Told:
    """The numbers of experiments, their figures in the order of the page, and the faces of its interactive plane."""

    numbers: dict = dataclasses.field(default_factory=dict)
    figures: list[Figure] = dataclasses.field(default_factory=list)
    matrices: list[Matrix] = dataclasses.field(default_factory=list)


def run(scene: Scene, names: Iterable[str], announce: Callable[[str], None] = lambda name: None) -> Told:
    """The experiments named (of EXPERIMENTS) one after another; `announce` is told which one begins."""
    numbers: dict = {"schema_version": scores.SCHEMA_VERSION}
    all_figures, matrices = [], []
    for name in names:
        announce(name)
        told = EXPERIMENTS[name](scene)
        numbers |= told.numbers
        all_figures += told.figures
        matrices += told.matrices
    return Told(_summed_up(numbers), all_figures, matrices)


def _summed_up(numbers: dict) -> dict:
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


def _table_ii(scene: Scene) -> Told:
    found = table_ii.numbers(scene.training)
    shown = examples.expressions(scene.models, scene.faces, scene.seed, table_ii.means(found))
    return Told({"table_ii": found}, [figures.expressions(shown)])


def _faces(scene: Scene) -> Told:
    rows = examples.rows(scene.models, scene.faces, scene.seed, scene.render)
    matrices = examples.matrices(scene.models, scene.faces, scene.seed, scene.render)
    return Told({}, [figures.outputs(rows), figures.chain(rows), *figures.matrices(matrices)], matrices)


def _trials(scene: Scene) -> Told:
    measured = trials.measure(
        scene.models, scene.faces, scene.training, scene.trials, scene.render, scene.advance, scene.inception
    )
    numbers = scores.score(measured) | {"intervals": scores.intervals(measured, scene.seed)}
    return Told(numbers, [figures.scatter(measured)])


def _circumplex(scene: Scene) -> Told:
    around = circumplex.measure(scene.models, scene.faces, scene.seed, scene.render)
    return Told({"circumplex": circumplex.numbers(around)}, [*figures.nearness(around), figures.judged(around)])


def _fidelity(scene: Scene) -> Told:
    return Told({"fidelity": fidelity.numbers(fidelity.measure(scene.models, scene.faces, scene.trials))})


def _baby(scene: Scene) -> Told:
    dyads = baby.measure(scene.models, scene.frames) if baby.are_frames(scene.frames) else {}
    return Told({"baby": baby.numbers(dyads, scene.seed)}, [figures.baby(dyads)] if dyads else [])


def _transfer(scene: Scene) -> Told:
    found = transfer.measure(scene.models, scene.frames, scene.faces, scene.seed)
    return Told({"transfer": transfer.numbers(found)}, [figures.transfer(found)] if found is not None else [])


def _table_i(scene: Scene) -> Told:
    if scene.ablated is None:
        return Told({"table_i": {}})
    found = table_i.numbers(scene.ablated, _setting(scene))
    return Told({"table_i": found}, [figures.table_i(found)])


def _recipe(scene: Scene) -> Told:
    if scene.recipe is None:
        return Told({"recipe": {}})
    setting, numbers, outputs = _setting(scene), {}, {}
    for name, load in scene.recipe.items():
        models = load()
        numbers[name] = ablation_scores.measure(models, setting)
        outputs[name] = examples.painted(models, scene.faces, scene.seed)
    shown = examples.rows(scene.models, scene.faces, scene.seed, scene.render)
    outputs |= {name: made for name, made in shown.outputs.items() if name == "truth"}
    return Told({"recipe": numbers}, [figures.recipe(dataclasses.replace(shown, outputs=outputs))])


def _setting(scene: Scene) -> ablation_scores.Setting:
    """What every run of an ablation is measured by."""
    truth = None
    if scene.render is not None:
        pictures = scene.render(truth_keys(scene.faces)[scene.trials.sources], scene.trials.targets)
        truth = ablation_scores.Truth(*(np.stack(column) for column in zip(*pictures, strict=True)))
    judge = scene.models.regress
    reference = trials.measure_reference(lambda images: judge(images)[1], scene.training, lambda done: None)
    return ablation_scores.Setting(scene.faces, scene.trials, reference, scene.inception, truth)


EXPERIMENTS: dict[str, Callable[[Scene], Told]] = {
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

"""The models of `training.ablation.comparison` on the same trials: scores and differences with their intervals.

Every model is trained with several seeds, and the targets are drawn several times. The intervals are over people, draws
of the targets and trainings (`bootstrap.Crossed`), so a difference whose interval excludes 0 holds for other people,
targets and trainings too. The judge of emotions is one regressor, the workdir's.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from avlgan_jax.data.records import AGE_GROUPS, Faces
from avlgan_jax.evaluation import bootstrap, ground_truth, metrics
from avlgan_jax.evaluation.experiments import baby
from avlgan_jax.evaluation.ground_truth import Renderer
from avlgan_jax.evaluation.trials import PICTURES_PER_CHUNK, by_group, repeated_trials
from avlgan_jax.faces.emotions import AXES
from avlgan_jax.faces.landmarks import normalised_mean_error
from avlgan_jax.models.inference import Trained
from avlgan_jax.training.ablation.comparison import MODELS

# How often the targets are drawn.
TRIAL_SEEDS = 4
# Emotion scores, and means over trials of the similarity to the ground truth.
AFFECT = ("rmse", *(f"pcc_{axis}" for axis in AXES))
SIMILARITY = ("truth_psnr", "truth_landmark_nme")
MEASURES = (*AFFECT, *SIMILARITY)
# The pairs of models whose difference is reported: the first minus the second.
PAIRS = (
    ("recipe", "recipe_avgan"),
    ("recipe", "recipe_without_landmarks"),
    ("paper", "paper_avgan"),
    ("paper_masked", "paper_masked_avgan"),
    ("recipe", "paper"),
    ("recipe", "paper_masked"),
)
DO_NOTHING = "do_nothing"
# The scores of Section IV-B: over all frames, as in the paper, and after subtracting each person's mean.
BABY = ("pcc_valence", "pcc_valence_within")

Runs = dict[str, dict[int, Callable[[], Trained]]]
Draws = dict[str, Float[np.ndarray, "draws"] | None]


class Rows(NamedTuple):
    """All trials of all draws of the targets, one after another."""

    sources: Int[np.ndarray, "n"]
    targets: Float[np.ndarray, "n 2"]
    trial_seed: Int[np.ndarray, "n"]
    people: Shaped[np.ndarray, "n"]
    infants: Bool[np.ndarray, "n"]


class Outputs(NamedTuple):
    """What s trainings of a model did in n trials."""

    predicted: Float[np.ndarray, "s n 2"]
    similarity: dict[str, Float[np.ndarray, "s n"]]
    """By name in SIMILARITY; without the landmark error for avGAN, and empty without a ground truth."""


class BabyOutputs(NamedTuple):
    """What the trainings of all models did in the frames of one age group."""

    expected: Float[np.ndarray, "n"]
    """Annotated valence, the target."""
    people: Shaped[np.ndarray, "n"]
    predicted: dict[str, Float[np.ndarray, "s n"]]
    """By model, the valence that the regressor predicts for the outputs of each of s trainings."""


def draw_rows(faces: Faces, samples: int, seed: int) -> Rows:
    """Return the trials of TRIAL_SEEDS draws, `samples` of each, the first with `seed` itself as in `trials`."""
    trials = repeated_trials(faces.emotions, samples, seed, TRIAL_SEEDS)
    people, infants = np.asarray(faces.subjects)[trials.sources], np.asarray(faces.infants)[trials.sources]
    return Rows(trials.sources, trials.targets, np.repeat(np.arange(TRIAL_SEEDS), samples), people, infants)


def measure(
    models: Trained, runs: Runs, faces: Faces, samples: int, seed: int, render: Renderer | None
) -> tuple[Rows, dict[str, Outputs]]:
    """Run every training on every trial.

    Args:
        models: The workdir's models; its regressor judges all.
        runs: The trainings by model and seed (`training.ablation.comparison.load`).
        faces: The faces to convert.
        samples: Trials of each draw of the targets.
        seed: Seed of the first draw.
        render: Renderer of the ground truth, or None.

    Returns:
        The trials, and the outputs by model; DO_NOTHING is the unchanged input, as one training.
    """
    rows = draw_rows(faces, samples, seed)
    truth = None
    if render is not None:
        drawn = list(render(ground_truth.face_keys(faces)[rows.sources], rows.targets))
        truth = tuple(np.stack(part) for part in zip(*drawn, strict=True))
    found = {DO_NOTHING: _stack([_run(None, models, faces, rows, truth)])}
    for name, seeds in runs.items():
        found[name] = _stack([_run(_converted(load(), name), models, faces, rows, truth) for load in seeds.values()])
    return rows, found


def to_metrics(rows: Rows, found: dict[str, Outputs], seeds: dict[str, list[int]], seed: int) -> dict:
    """Return `comparison` of `metrics.json`.

    Args:
        rows: The trials.
        found: The outputs by model.
        seeds: The seeds of the trainings by model.
        seed: Seed of the bootstrap draws.

    Returns:
        `trial_seeds` and `seeds`; `rows`, by model, group and measure `[value, low, high]`; `differences`, a list of
        the PAIRS of which both models are trained, with the same in each group. A model without the measure has None.
    """
    groups = ("all", *AGE_GROUPS)
    scored: dict[str, dict] = {name: {} for name in found}
    drawn: dict[tuple[str, str], Draws] = {}
    for group in groups:
        members = by_group(rows.infants)[group]
        for name, outputs in found.items():
            values, draws = _scores(outputs, rows, members, seed)
            drawn[name, group] = draws
            scored[name][group] = {key: _with_interval(values[key], draws[key]) for key in MEASURES}
    pairs = [pair for pair in PAIRS if set(pair) <= set(found)]
    differences = [
        {"first": first, "second": second}
        | {
            group: {
                key: _difference(scored[first][group][key], scored[second][group][key], *draws)
                for key in MEASURES
                for draws in [(drawn[first, group][key], drawn[second, group][key])]
            }
            for group in groups
        }
        for first, second in pairs
    ]
    return {"trial_seeds": TRIAL_SEEDS, "seeds": seeds, "rows": scored, "differences": differences}


def measure_baby(runs: Runs, frames: Faces) -> dict[str, BabyOutputs]:
    """Run the protocol of Section IV-B (`experiments.baby`) with every training.

    Args:
        runs: As for `measure`.
        frames: Frames of sequences; without them nothing is measured.

    Returns:
        By age group ("infant", "parent").
    """
    if not baby.has_sequences(frames):
        return {}
    found: dict[str, dict[str, list[baby.FramePredictions]]] = {}
    for name, seeds in runs.items():
        kind = "avgan" if MODELS[name].kind == "avgan" else "avlandmarkgan"
        for load in seeds.values():
            for group, frames_of in baby.measure(load(), frames, [kind]).items():
                found.setdefault(group, {}).setdefault(name, []).append(frames_of)
    return {
        group: BabyOutputs(
            expected=next(iter(by_model.values()))[0].expected,
            people=next(iter(by_model.values()))[0].people,
            predicted={
                name: np.stack([next(iter(one.predicted.values())) for one in trainings])
                for name, trainings in by_model.items()
            },
        )
        for group, by_model in found.items()
    }


def baby_to_metrics(found: dict[str, BabyOutputs], seed: int) -> dict:
    """Return `comparison_baby` of `metrics.json`: by age group the scores BABY of each model, and their differences.

    The intervals are over people and trainings. `paper` is the paper's difference of avLandmarkGAN and avGAN.
    """
    return {group: _baby_group(group, outputs, seed) for group, outputs in found.items()}


def _baby_group(group: str, outputs: BabyOutputs, seed: int) -> dict:
    values: dict[str, dict] = {}
    draws: dict[str, Draws] = {}
    for name, predicted in outputs.predicted.items():
        pairs = {
            "pcc_valence": (predicted, outputs.expected),
            "pcc_valence_within": (
                np.stack([baby.about_own_mean(one, outputs.people) for one in predicted]),
                baby.about_own_mean(outputs.expected, outputs.people),
            ),
        }
        zeros = np.zeros(len(outputs.people), int)
        crossed = bootstrap.draw_crossed(outputs.people, zeros, len(predicted), seed)
        draws[name] = {
            key: bootstrap.crossed_affect_draws(baby.twice(read), baby.twice(expected), crossed)["pcc_valence"]
            for key, (read, expected) in pairs.items()
        }
        values[name] = {
            key: metrics.pcc(read.ravel(), np.tile(expected, len(read))) for key, (read, expected) in pairs.items()
        }
    return {
        "people": len(np.unique(outputs.people)),
        "rows": {
            name: {key: _with_interval(row[key], draws[name][key]) for key in BABY} for name, row in values.items()
        },
        "differences": [
            {"first": first, "second": second}
            | {
                key: _difference([values[first][key]], [values[second][key]], draws[first][key], draws[second][key])
                for key in BABY
            }
            for first, second in PAIRS
            if {first, second} <= set(values)
        ],
        "paper": round(baby.PAPER[group][baby.MODEL] - baby.PAPER[group][baby.BASELINE], 2),
    }


def _converted(run: Trained, name: str) -> Callable:
    """Return (images, landmarks, targets) -> (outputs, converted landmarks or None) of one training."""
    if MODELS[name].kind == "avgan":
        return lambda *inputs: (run.convert["avgan"](*inputs), None)
    return lambda *inputs: (run.convert["avlandmarkgan"](*inputs), run.convert_landmarks(*inputs[1:]))


def _run(convert: Callable | None, models: Trained, faces: Faces, rows: Rows, truth) -> tuple[np.ndarray, dict]:
    """Return the emotions read from the outputs of one training, and their similarity to the ground truth."""
    predicted, similarity = [], {}
    for start in range(0, len(rows.sources), PICTURES_PER_CHUNK):
        chunk = slice(start, start + PICTURES_PER_CHUNK)
        images, points = faces.images[rows.sources[chunk]], faces.landmarks[rows.sources[chunk]]
        output, moved = (images, points) if convert is None else convert(images, points, rows.targets[chunk])
        predicted.append(models.predict(output))
        if truth is not None:
            similarity.setdefault("truth_psnr", []).append(metrics.psnr(output, truth[0][chunk]))
        if truth is not None and moved is not None:
            error = normalised_mean_error(moved, truth[1][chunk])
            similarity.setdefault("truth_landmark_nme", []).append(error)
    return np.concatenate(predicted), {name: np.concatenate(parts) for name, parts in similarity.items()}


def _stack(runs: list[tuple[np.ndarray, dict]]) -> Outputs:
    """Put the trainings of a model side by side."""
    similarity = {name: np.stack([found[name] for _, found in runs]) for name in runs[0][1]}
    return Outputs(np.stack([predicted for predicted, _ in runs]), similarity)


def _scores(outputs: Outputs, rows: Rows, members: np.ndarray, seed: int) -> tuple[dict, Draws]:
    """Return the scores MEASURES of a group over all trials and trainings, and their bootstrap draws.

    The draws of people, targets and trainings depend only on the group and on the number of trainings, so those of two
    models belong together.
    """
    predicted, expected = outputs.predicted[:, members], rows.targets[members]
    crossed = bootstrap.draw_crossed(rows.people[members], rows.trial_seed[members], len(predicted), seed)
    draws: Draws = bootstrap.crossed_affect_draws(predicted, expected, crossed)
    together, repeated = predicted.reshape(-1, 2), np.tile(expected, (len(predicted), 1))
    values: dict[str, float | None] = {"rmse": metrics.rmse(together, repeated) if members.any() else None}
    for place, axis in enumerate(AXES):
        values[f"pcc_{axis}"] = metrics.pcc(together[:, place], repeated[:, place]) if members.any() else None
    for key in SIMILARITY:
        found = outputs.similarity.get(key)
        known = found is not None and members.any()
        values[key] = float(np.mean(found[:, members], dtype=np.float64)) if known else None
        draws[key] = bootstrap.crossed_mean_draws(found[:, members].astype(np.float64), crossed) if known else None
    return values, draws


def _with_interval(value: float | None, draws: np.ndarray | None) -> list[float] | None:
    """Return [value, low, high], [value, None, None] without draws, or None without a value."""
    if value is None:
        return None
    return [value, *(bootstrap.interval(draws) or (None, None))]


def _difference(first, second, first_draws, second_draws) -> list[float] | None:
    """Return the difference of two scores with the interval of the difference of their draws."""
    if first is None or second is None:
        return None
    both = first_draws is not None and second_draws is not None
    return _with_interval(first[0] - second[0], first_draws - second_draws if both else None)

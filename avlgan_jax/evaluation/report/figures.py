"""Figures of the report, each with its title, caption and alt text."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from avlgan_jax.evaluation.examples import EmotionGrid, ExampleRows, ExpressionExamples
from avlgan_jax.evaluation.experiments import circumplex
from avlgan_jax.evaluation.experiments.baby import PAPER, FramePredictions
from avlgan_jax.evaluation.experiments.circumplex import PlaneSweep
from avlgan_jax.evaluation.experiments.transfer import TransferResult
from avlgan_jax.evaluation.report import plots, sheets
from avlgan_jax.evaluation.report.names import SHOWN_NAMES, WEIGHT_SYMBOLS, in_order
from avlgan_jax.evaluation.trials import TrialResults
from avlgan_jax.faces import drawing
from avlgan_jax.faces.emotions import AXES
from avlgan_jax.faces.procedural import FRAMES_PER_SECOND
from avlgan_jax.training.ablation.comparison import MODELS
from avlgan_jax.training.ablation.recipe import FULL_RECIPE, RECIPE_PARTS


@dataclass(frozen=True)
class Figure:
    """A figure of the report.

    Attributes:
        name: Stem of the PNG file in the report's folder, and HTML id of the figure's heading.
        title: Heading above the figure.
        caption: Explanation below the heading.
        alt: Text alternative of the picture.
        png: Content of the PNG file.
        size: Width and height of the picture in pixels.
    """

    name: str
    title: str
    caption: str
    alt: str
    png: bytes
    size: tuple[int, int]


def _figure(name: str, title: str, caption: str, alt: str, picture: Image.Image) -> Figure:
    return Figure(name, title, caption, alt, drawing.png(picture), picture.size)


def expressions(shown: ExpressionExamples) -> Figure:
    """Return Figure 6: faces and their outputs for the eight expressions."""
    return _figure(
        "expressions",
        "The eight expressions",
        "Each row shows an input face and avLandmarkGAN's output for each of the eight expressions. The target of an "
        "expression is its mean valence and arousal in the training data (Table II and Figure 6 of the paper).",
        "Rows of faces: the input and eight generated expressions",
        drawing.expression_sheet(shown.images, shown.outputs),
    )


def outputs(rows: ExampleRows) -> Figure:
    """Return a figure of the models' outputs, and of the ground truth where `rows` has it (drawn faces).

    The figure is named "truth" with the ground truth and "outputs" without it.
    """
    arrow = "The arrow in each plane points from the emotion of the input face to the target emotion. "
    both = "avgan" in rows.outputs
    if "truth" not in rows.outputs:
        return _figure(
            "outputs",
            "The two models" if both else "Inputs and outputs",
            arrow + "For these faces there is no ground truth at the target emotion.",
            f"Rows of faces: input{', avGAN' if both else ''} and avLandmarkGAN",
            sheets.against_truth(rows),
        )
    return _figure(
        "truth",
        "Comparison with the ground truth",
        arrow + "These faces are rendered by the project, so the last column can show the ground truth: the same face, "
        "with the same light and noise, rendered at the target emotion.",
        f"Rows of faces: input{', avGAN' if both else ''}, avLandmarkGAN and the ground truth",
        sheets.against_truth(rows),
    )


def chain(rows: ExampleRows) -> Figure:
    """Return Figure 2: the stages of avLandmarkGAN from the input to the output."""
    return _figure(
        "chain",
        "How avLandmarkGAN works",
        "The landmark converter moves the 68 landmarks to match the target emotion (pale: the input's landmarks). The "
        "image converter then generates the face with the converted landmarks (Figure 2 of the paper).",
        "Rows of four pictures: input, its landmarks, the converted landmarks, the output",
        sheets.chain(rows),
    )


def moves(shown: dict[str, ExampleRows]) -> list[Figure]:
    """Return a sheet of moves (`examples.moves`) of each age group."""
    return [_moves(rows, group) for group, rows in shown.items()]


def _moves(rows: ExampleRows, group: str) -> Figure:
    truth = " The last column is the ground truth." if "truth" in rows.outputs else ""
    return _figure(
        f"moves_{group}",
        f"{group.capitalize()}s smile, cry, are surprised or angry, fall asleep and wake up",
        "Two faces for each move, chosen at random; those that wake up are among the least aroused, those that fall "
        f"asleep among the most aroused. The warp alone moves the pixels and paints nothing.{truth}",
        "Rows of faces: input, warp alone, avLandmarkGAN" + (", ground truth" if truth else ""),
        sheets.moves(rows),
    )


def matrices(shown: list[EmotionGrid]) -> list[Figure]:
    """Return Figure 5 for the first adult and for the first infant in `shown`."""
    return [_matrix(matrix) for matrix in {matrix.infant: matrix for matrix in reversed(shown)}.values()][::-1]


def _matrix(matrix: EmotionGrid) -> Figure:
    who = "an infant" if matrix.infant else "an adult"
    return _figure(
        f"avimage_matrix_{'infant' if matrix.infant else 'adult'}",
        f"avImage matrix of {who}",
        "Outputs of avLandmarkGAN over the valence–arousal plane (Figure 5 of the paper). The corners lie outside the "
        "unit disc: their emotions are stronger than any label in the data.",
        f"A grid of generated faces of {who}, from low to high valence and arousal",
        drawing.avimage_matrix(matrix.image, matrix.grids["avlandmarkgan"]),
    )


def scatter(measured: TrialResults) -> Figure:
    """Return scatter plots of the target against the regressor's prediction, by model and axis of the plane."""
    expected = measured.trials.emotions
    panels = [
        (
            f"{SHOWN_NAMES[name]}: {word}",
            expected[:, axis],
            scored.predicted[:, axis],
            measured.trials.infants,
        )
        for name, scored in measured.models.items()
        for axis, word in enumerate(AXES)
    ]
    return _figure(
        "scatter",
        "Target and predicted emotion",
        "Each dot is one trial: the target, and the regressor's prediction for the generated face. With a perfect "
        "model and a perfect regressor every dot lies on the diagonal.",
        "Scatter plots of predicted against target valence and arousal, one row per model",
        plots.scatter(panels),
    )


def nearness(around: dict[str, PlaneSweep]) -> list[Figure]:
    """Return heat maps of each model's improvement over doing nothing, by target emotion.

    Args:
        around: By age group, the results of `circumplex.measure`.

    Returns:
        One figure per model; an empty list where an age group has no ground truth.
    """
    if not all(sweep.psnr for sweep in around.values()):
        return []
    return [_nearness(around, name) for name in next(iter(around.values())).models]


def _nearness(around: dict[str, PlaneSweep], name: str) -> Figure:
    panels = []
    for group, sweep in around.items():
        if name in sweep.nme:
            less = 1.0 - sweep.nme[name].mean(axis=0) / sweep.nme["do_nothing"].mean(axis=0)
            panels.append((f"NME\n{group}s", 100.0 * less, "% reduction"))
        for title, measure, unit in (("PSNR", sweep.psnr, "dB"), ("SSIM", sweep.ssim, "SSIM gain")):
            gain = measure[name].mean(axis=0) - measure["do_nothing"].mean(axis=0)
            panels.append((f"{title}\n{group}s", gain, unit))
    people = len(next(iter(around.values())).response[name])
    ours = name == "avlandmarkgan"
    return _figure(
        "circumplex_truth" if ours else f"circumplex_truth_{name}",
        f"{SHOWN_NAMES[name]} compared with doing nothing, by target emotion",
        f"Mean over up to {people} people of each age group, at targets all over the plane. Blue: the "
        + ("landmarks (NME, reduction in per cent) or the " if ours else "")
        + "picture (PSNR, SSIM) is nearer to the ground truth than the unchanged input is; red: farther from it.",
        "Discs of the valence-arousal plane coloured by the gain over doing nothing",
        plots.plane_maps(panels, circumplex.RADII, circumplex.ANGLES, columns=3 if ours else 4),
    )


def predicted_emotions(around: dict[str, PlaneSweep]) -> Figure:
    """Return arrow plots from each target emotion to the regressor's mean prediction.

    Args:
        around: By age group, the results of `circumplex.measure`.
    """
    targets = circumplex.targets()
    panels = [
        (f"{SHOWN_NAMES[name]}: {group}s", targets, sweep.predicted[name].mean(axis=0), group == "infant")
        for group, sweep in around.items()
        for name in in_order(sweep.models)
    ]
    return _figure(
        "circumplex_judged",
        "Predicted emotion for each target",
        "Each arrow starts at a target emotion (grey dot) and ends at the regressor's prediction for the outputs, "
        "averaged over people. If a model ignores its target, all its arrows end at one point.",
        "Discs of the valence-arousal plane with an arrow from each target to the predicted emotion",
        plots.plane_arrows(panels, columns=2),
    )


def baby(dyads: dict[str, FramePredictions]) -> Figure:
    """Return Figure 7: target against predicted valence of infants and their parents.

    Args:
        dyads: By age group ("infant", "parent"), the results of `baby.measure`; not empty.
    """
    panels = [
        (
            f"{SHOWN_NAMES[name]}: {group}s",
            frames.expected,
            frames.predicted[name],
            np.full(len(frames.expected), group == "infant"),
        )
        for group, frames in dyads.items()
        for name in in_order(frames.predicted)
    ]
    paper = "; ".join(
        f"{group}s: "
        + ", ".join(f"{SHOWN_NAMES[name]} {PAPER[group][name]:.2f}" for name in in_order(frames.predicted))
        for group, frames in dyads.items()
    )
    return _figure(
        "baby",
        "Infants and their parents",
        "Section IV-B: the input is the first frame of a person, the target the annotated emotion of a later frame; "
        "each dot is one later frame (Figure 7 of the paper). "
        f"The paper's correlations, on frames that are not public: {paper}.",
        "Scatter plots of predicted against target valence for infants and parents",
        plots.scatter(panels),
    )


def transfer(found: TransferResult) -> Figure:
    """Return Figure 8: faces at the chosen moments above curves of both people's valence over the film."""
    seconds = found.frames / FRAMES_PER_SECOND
    panels = [
        (
            role,
            {
                "film": (found.roles[role].predicted[:, 0], colour, "-"),
                "transferred": (found.roles[role].transferred[:, 0], colour, "--"),
            },
        )
        for role, colour in (("parent", plots.ADULT), ("infant", plots.INFANT))
    ]
    marks = {str(place): float(seconds[index]) for place, index in enumerate(found.moments.values(), start=1)}
    return _figure(
        "transfer",
        "Transfer from one pair to another",
        "Section IV-C: avLandmarkGAN's discriminator predicts valence and arousal of the frames of a filmed parent and "
        "infant. These are the targets for two other people, each given by one picture (Figure 8 of the paper). The "
        "curves are the regressor's valence predictions for the film and for the transferred film. Dotted lines mark "
        "the moments shown above, whose headings end with the frame number.",
        "Pairs of faces from a film above the same emotions transferred to another pair, and curves of their valence",
        drawing.stacked([sheets.transfer_sheet(found), plots.curves(seconds, panels, marks, "seconds")]),
    )


def table_i(found: dict) -> Figure:
    """Return Table I as curves: RMSE and distance over each loss weight, this project's and the paper's.

    Args:
        found: `table_i` of `metrics.json`. The distance is FID if a row has one, else the regressor's Fréchet distance.
    """
    distance = "fid" if any(row["fid"] is not None for rows in found.values() for row in rows) else "frechet_regressor"
    measures = {"rmse": "RMSE", distance: "FID" if distance == "fid" else "Fréchet"}
    panels = [
        (f"{name}, {WEIGHT_SYMBOLS[weight]}", found[weight], key, "rmse" if key == "rmse" else "fid")
        for key, name in measures.items()
        for weight in WEIGHT_SYMBOLS
    ]
    return _figure(
        "table_i",
        "Effect of each loss weight",
        "Table I: one loss weight is changed at a time. Coloured, on the left scale: this project's values, with a "
        "line through the means over the seeds, a dot for each seed, and a ring around the workdir's own weight. "
        "Dashed grey, on the right scale: the paper's values.",
        "Curves of the RMSE and of the distance to the training pictures over four loss weights",
        plots.weight_curves(panels, columns=len(WEIGHT_SYMBOLS)),
    )


def recipe(shown: ExampleRows) -> Figure:
    """Return the same faces by the workdir's own models and by the models trained without one part of the recipe.

    Args:
        shown: Its `outputs` are by `FULL_RECIPE`, by names of `RECIPE_PARTS` and, where known, by "truth".
    """
    titles = {FULL_RECIPE: "complete", **{name: f"− {part.title}" for name, part in RECIPE_PARTS.items()}}
    return _figure(
        "recipe",
        "Effect of each part of the recipe",
        "First the workdir's own models, then models trained with one part of the recipe replaced by the paper's "
        "choice.",
        "Rows of faces: the input, the outputs of each training, and the ground truth where it is known",
        sheets.recipe_sheet(shown, titles),
    )


def comparison(shown: ExampleRows) -> Figure:
    """Return the same faces by each model of the comparison, trained with its first seed.

    Args:
        shown: Its `outputs` are by name in `training.ablation.comparison.MODELS` and, where known, by "truth".
    """
    return _figure(
        "comparison",
        "Two recipes, with and without landmarks",
        "Models of equal steps and widths, each with its first seed.",
        "Rows of faces: the input, the outputs of each model, and the ground truth where it is known",
        sheets.recipe_sheet(shown, {name: model.title for name, model in MODELS.items()}),
    )

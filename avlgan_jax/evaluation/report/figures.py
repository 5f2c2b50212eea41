"""The report's figures, each with the words that a reader needs beside it."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from avlgan_jax.evaluation.examples import EmotionGrid, ExampleRows, ExpressionExamples
from avlgan_jax.evaluation.experiments import circumplex
from avlgan_jax.evaluation.experiments.baby import FRAMES_PER_SECOND, PAPER, JudgedFrames
from avlgan_jax.evaluation.experiments.circumplex import PlaneSweep
from avlgan_jax.evaluation.experiments.transfer import TransferResult
from avlgan_jax.evaluation.report import plots, sheets
from avlgan_jax.evaluation.report.names import NAMES, WEIGHT_NAMES
from avlgan_jax.evaluation.trials import MODELS, TrialResults
from avlgan_jax.faces import drawing
from avlgan_jax.training.ablation.recipe import FULL_RECIPE, RECIPE_PARTS


@dataclass(frozen=True)
class Figure:
    """A picture of the page, the PNG file `name`.png beside it, and its words; `alt` for those who cannot see it."""

    name: str
    title: str
    caption: str
    alt: str
    png: bytes
    size: tuple[int, int]


def _figure(name: str, title: str, caption: str, alt: str, picture: Image.Image) -> Figure:
    return Figure(name, title, caption, alt, drawing.png(picture), picture.size)


def expressions(shown: ExpressionExamples) -> Figure:
    """Figure 6."""
    return _figure(
        "expressions",
        "The eight expressions",
        "Each face as it came, then turned by avLandmarkGAN to the mean valence and arousal that the training data "
        "gives to each expression (Table II and Figure 6 of the paper).",
        "Rows of faces: the input and eight generated expressions",
        drawing.expression_sheet(shown.images, shown.outputs),
    )


def outputs(rows: ExampleRows) -> Figure:
    """Both models beside the truth, or, of photographs, without it."""
    arrow = "The arrow in each plane goes from the face's own emotion to the one asked for. "
    if "truth" not in rows.outputs:
        return _figure(
            "outputs",
            "The two models",
            arrow + "What these photographed people would really look like then, nobody knows.",
            "Rows of faces: input, avGAN and avLandmarkGAN",
            sheets.against_truth(rows),
        )
    return _figure(
        "truth",
        "Against the truth",
        arrow + "Because these faces are drawn by the project, the last column can show what the answer should have "
        "been: the same face, light and noise, drawn with that emotion.",
        "Rows of faces: input, avGAN, avLandmarkGAN and the truth",
        sheets.against_truth(rows),
    )


def chain(rows: ExampleRows) -> Figure:
    """Figure 2."""
    return _figure(
        "chain",
        "How avLandmarkGAN works",
        "The landmark converter moves the 68 points to the target emotion (pale: where they were); the image "
        "converter repaints the face to fit them (Figure 2 of the paper).",
        "Rows of four pictures: input, its landmarks, the converted landmarks, the output",
        sheets.chain(rows),
    )


def matrices(shown: list[EmotionGrid]) -> list[Figure]:
    """Figure 5: the first adult and the first infant."""
    return [_matrix(matrix) for matrix in {matrix.infant: matrix for matrix in reversed(shown)}.values()][::-1]


def _matrix(matrix: EmotionGrid) -> Figure:
    who = "an infant" if matrix.infant else "an adult"
    return _figure(
        f"avimage_matrix_{'infant' if matrix.infant else 'adult'}",
        f"avImage matrix of {who}",
        "avLandmarkGAN over the valence–arousal plane (Figure 5 of the paper). Towards the corners the emotion is "
        "stronger than any label of the data.",
        f"A grid of generated faces of {who}, from low to high valence and arousal",
        drawing.avimage_matrix(matrix.image, matrix.grids["avlandmarkgan"]),
    )


def scatter(measured: TrialResults) -> Figure:
    """What was asked for against what the judge sees."""
    expected = measured.trials.emotions
    panels = [
        (f"{NAMES[name]}: {word}", expected[:, axis], measured.models[name].predicted[:, axis], measured.trials.infants)
        for name in MODELS
        for axis, word in enumerate(("valence", "arousal"))
    ]
    return _figure(
        "scatter",
        "Asked and judged",
        "Every trial is a dot: what was asked for, and what the regressor sees in the generated face. A perfect model, "
        "judged perfectly, lies on the diagonal.",
        "Four scatter plots of judged against asked valence and arousal, one row a model",
        plots.scatter(panels),
    )


def nearness(around: dict[str, PlaneSweep]) -> list[Figure]:
    """Heat maps of the gain over doing nothing, a figure for each model; none without a truth."""
    if not all(found.psnr for found in around.values()):
        return []
    return [_nearness(around, name) for name in MODELS]


def _nearness(around: dict[str, PlaneSweep], name: str) -> Figure:
    panels = []
    for group, found in around.items():
        if name in found.nme:
            less = 1.0 - found.nme[name].mean(axis=0) / found.nme["do_nothing"].mean(axis=0)
            panels.append((f"NME\n{group}s", 100.0 * less, "% nearer"))
        for title, measure, unit in (("PSNR", found.psnr, "dB"), ("SSIM", found.ssim, "SSIM gained")):
            gain = measure[name].mean(axis=0) - measure["do_nothing"].mean(axis=0)
            panels.append((f"{title}\n{group}s", gain, unit))
    people = len(next(iter(around.values())).response[name])
    ours = name == "avlandmarkgan"
    return _figure(
        "circumplex_truth" if ours else f"circumplex_truth_{name}",
        f"Where on the plane {NAMES[name]} is near the truth",
        f"Up to {people} people of each age group, asked for every emotion around the plane. Blue: the "
        + ("landmarks (NME, in per cent of their error) or the " if ours else "")
        + "picture (PSNR, SSIM) is nearer to the truth than doing nothing; red: farther.",
        "Discs of the valence-arousal plane coloured by the gain over doing nothing",
        plots.plane_maps(panels, circumplex.RADII, circumplex.ANGLES, columns=3 if ours else 4),
    )


def judged(around: dict[str, PlaneSweep]) -> Figure:
    """Where on the plane the judge finds the outputs."""
    asked = circumplex.targets()
    panels = [
        (f"{NAMES[name]}: {group}s", asked, found.judged[name].mean(axis=0), group == "infant")
        for group, found in around.items()
        for name in reversed(MODELS)
    ]
    return _figure(
        "circumplex_judged",
        "How far the models follow",
        "From each emotion asked for (grey dot) an arrow leads to what the judge reads in the outputs, averaged over "
        "people. A model that ignores its target sends every arrow to one point.",
        "Discs of the valence-arousal plane with an arrow from each asked to the judged emotion",
        plots.plane_arrows(panels, columns=2),
    )


def baby(dyads: dict[str, JudgedFrames]) -> Figure:
    """Figure 7."""
    panels = [
        (
            f"{NAMES[name]}: {group}s",
            frames.expected,
            frames.predicted[name],
            np.full(len(frames.expected), group == "infant"),
        )
        for group, frames in dyads.items()
        for name in reversed(MODELS)
    ]
    told = "; ".join(
        f"{group}s: avGAN {PAPER[group]['avgan']:.2f}, avLandmarkGAN {PAPER[group]['avlandmarkgan']:.2f}"
        for group in dyads
    )
    return _figure(
        "baby",
        "Infants and their parents",
        "Section IV-B: the first frame of a person, asked for the valence of each later frame (Figure 7 of the paper). "
        f"The paper's correlations, on frames that are not public: {told}.",
        "Scatter plots of judged against asked valence for infants and parents",
        plots.scatter(panels),
    )


def transfer(found: TransferResult) -> Figure:
    """Figure 8: the moments chosen, and the valence of both people over the film."""
    seconds = found.frames / FRAMES_PER_SECOND
    panels = [
        (
            role,
            {
                "film": (found.roles[role].judged[:, 0], colour, "-"),
                "transferred": (found.roles[role].transferred[:, 0], colour, "--"),
            },
        )
        for role, colour in (("parent", plots.ADULT), ("infant", plots.INFANT))
    ]
    marks = {str(place): float(seconds[index]) for place, index in enumerate(found.moments.values(), start=1)}
    return _figure(
        "transfer",
        "From one pair to another",
        "Section IV-C: avLandmarkGAN's discriminator read valence and arousal off each frame of a filmed parent and "
        "infant, and two other people, of whom there is one picture each, perform them (Figure 8 of the paper). The "
        "curves are the valence that the regressor sees in the film and in the performance; dotted, the moments shown, "
        "which are named with the number of their frame.",
        "Pairs of faces from a film above the pair that performs it, and curves of their valence",
        drawing.stacked([sheets.transfer_sheet(found), plots.curves(seconds, panels, marks, "seconds")]),
    )


def table_i(found: dict) -> Figure:
    """Table I as curves: our RMSE and distance over each weight, and the paper's."""
    distance = "fid" if any(row["fid"] is not None for rows in found.values() for row in rows) else "frechet_regressor"
    measures = {"rmse": "RMSE", distance: "FID" if distance == "fid" else "Fréchet"}
    panels = [
        (f"{name}, {WEIGHT_NAMES[weight]}", found[weight], key, "rmse" if key == "rmse" else "fid")
        for key, name in measures.items()
        for weight in WEIGHT_NAMES
    ]
    return _figure(
        "table_i",
        "What each loss weight does",
        "Table I: each weight alone changed, ours in colour (a line through the mean of the seeds, a dot for each; the "
        "ring marks the value trained with), the paper's dashed grey on its own scale at the right.",
        "Curves of the RMSE and of the distance to the training pictures over four loss weights",
        plots.weight_curves(panels, columns=len(WEIGHT_NAMES)),
    )


def recipe(shown: ExampleRows) -> Figure:
    """The same faces by the workdir's own models and by those that lack one part of the recipe each."""
    titles = {FULL_RECIPE: "all of it", **{name: f"− {part.title}" for name, part in RECIPE_PARTS.items()}}
    return _figure(
        "recipe",
        "What each part of the recipe is worth",
        "The workdir's own training, then the same again without one part at a time, with the paper's choice in its "
        "place.",
        "Rows of faces: the input, the outputs of each training, and the truth where it is known",
        sheets.recipe_sheet(shown, titles),
    )

"""The report's figures, each with the words that a reader needs beside it."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from avlgan_jax import figures, plots
from avlgan_jax.evaluation import MODELS, Measured
from avlgan_jax.experiments import circumplex
from avlgan_jax.experiments.baby import PAPER, Frames
from avlgan_jax.experiments.circumplex import Around
from avlgan_jax.figures import NAMES
from avlgan_jax.gallery import Gallery, Matrix, Rows


@dataclass(frozen=True)
class Figure:
    """A picture of the page, the PNG file `name`.png beside it, and its words; `alt` for those who cannot see it."""

    name: str
    title: str
    caption: str
    alt: str
    png: bytes
    size: tuple[int, int]


def draw(measured: Measured, gallery: Gallery, around: dict[str, Around], dyads: dict[str, Frames]) -> list[Figure]:
    """All figures of the report, in the order of the page; what was not measured has none."""
    drawn = [_expressions(gallery), _outputs(gallery.rows), _chain(gallery.rows)]
    drawn += [_matrix(matrix) for matrix in _one_of_each_age(gallery.matrices)]
    drawn.append(_scatter(measured))
    if all(nearness.psnr for nearness in around.values()):
        drawn.append(_nearness(around))
    drawn.append(_judged(around))
    return [*drawn, _baby(dyads)] if dyads else drawn


def _figure(name: str, title: str, caption: str, alt: str, picture: Image.Image) -> Figure:
    return Figure(name, title, caption, alt, figures.png(picture), picture.size)


def _expressions(gallery: Gallery) -> Figure:
    return _figure(
        "expressions",
        "The eight expressions",
        "Each face as it came, then turned by avLandmarkGAN to the mean valence and arousal that the training data "
        "gives to each expression (Table II and Figure 6 of the paper).",
        "Rows of faces: the input and eight generated expressions",
        figures.expression_sheet(gallery.rows.images, gallery.expressions),
    )


def _outputs(rows: Rows) -> Figure:
    arrow = "The arrow in each plane goes from the face's own emotion to the one asked for. "
    if "truth" not in rows.outputs:
        return _figure(
            "outputs",
            "The two models",
            arrow + "What these photographed people would really look like then, nobody knows.",
            "Rows of faces: input, avGAN and avLandmarkGAN",
            figures.against_truth(rows),
        )
    return _figure(
        "truth",
        "Against the truth",
        arrow + "Because these faces are drawn by the project, the last column can show what the answer should have "
        "been: the same face, light and noise, drawn with that emotion.",
        "Rows of faces: input, avGAN, avLandmarkGAN and the truth",
        figures.against_truth(rows),
    )


def _chain(rows: Rows) -> Figure:
    return _figure(
        "chain",
        "How avLandmarkGAN works",
        "The landmark converter moves the 68 points to the target emotion (pale: where they were); the image "
        "converter repaints the face to fit them (Figure 2 of the paper).",
        "Rows of four pictures: input, its landmarks, the converted landmarks, the output",
        figures.chain(rows),
    )


def _matrix(matrix: Matrix) -> Figure:
    who = "an infant" if matrix.infant else "an adult"
    return _figure(
        f"avimage_matrix_{'infant' if matrix.infant else 'adult'}",
        f"avImage matrix of {who}",
        "avLandmarkGAN over the valence–arousal plane (Figure 5 of the paper). Towards the corners the emotion is "
        "stronger than any label of the data.",
        f"A grid of generated faces of {who}, from low to high valence and arousal",
        figures.avimage_matrix(matrix.image, matrix.grids["avlandmarkgan"]),
    )


def _one_of_each_age(matrices: list[Matrix]) -> list[Matrix]:
    return list({matrix.infant: matrix for matrix in reversed(matrices)}.values())[::-1]


def _scatter(measured: Measured) -> Figure:
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


def _nearness(around: dict[str, Around]) -> Figure:
    panels = []
    for group, found in around.items():
        nothing = found.psnr["do_nothing"].mean(axis=0)
        for name in reversed(MODELS):
            panels.append((f"{NAMES[name]}\n{group}s", found.psnr[name].mean(axis=0) - nothing, "dB"))
        less = 1.0 - found.nme["avlandmarkgan"].mean(axis=0) / found.nme["do_nothing"].mean(axis=0)
        panels.append((f"landmarks\n{group}s", 100.0 * less, "% nearer"))
    people = len(next(iter(around.values())).response["avgan"])
    return _figure(
        "circumplex_truth",
        "Where on the plane the models are near the truth",
        f"Up to {people} people of each age group, asked for every emotion around the plane. Blue: the picture (in "
        "decibels of PSNR) or the landmarks (in per cent of their error) are nearer to the truth than doing nothing; "
        "red: farther.",
        "Discs of the valence-arousal plane coloured by the gain over doing nothing",
        plots.plane_maps(panels, circumplex.RADII, circumplex.ANGLES, columns=3),
    )


def _judged(around: dict[str, Around]) -> Figure:
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


def _all(rows: np.ndarray, value: bool) -> np.ndarray:
    return np.full(len(rows), value)


def _baby(dyads: dict[str, Frames]) -> Figure:
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

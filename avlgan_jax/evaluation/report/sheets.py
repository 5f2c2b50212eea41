"""Sheets of faces for the report: arrays in, Pillow pictures out.

The background is transparent and the text is a grey that is readable on white and on near-black, so one file serves
light and dark pages.
"""

import numpy as np
from PIL import Image, ImageDraw

from avlgan_jax.evaluation.baselines import WARP
from avlgan_jax.evaluation.examples import ExampleRows
from avlgan_jax.evaluation.experiments.transfer import TransferResult
from avlgan_jax.evaluation.report.names import PICTURE_NAMES, SHOWN_NAMES, in_order
from avlgan_jax.faces.drawing import GAP, blank_canvas, framed_face, landmark_face, sheet, write


def chain(shown: ExampleRows) -> Image.Image:
    """Draw Figure 2: a row per face with its target, input, landmarks, converted landmarks and output."""
    side, resolution = 168, shown.images.shape[1]
    rows = [
        [
            framed_face(shown.images[k], side),
            landmark_face(shown.landmarks[k], resolution, side),
            landmark_face(shown.moved[k], resolution, side, before=shown.landmarks[k]),
            framed_face(shown.outputs["avlandmarkgan"][k], side),
        ]
        for k in range(len(shown.images))
    ]
    return sheet(["input", "landmarks", "converted", "output"], rows, side, _targets(shown))


def against_truth(shown: ExampleRows) -> Image.Image:
    """Draw a row per face: target, input and, as far as `shown` has them, avGAN, avLandmarkGAN and the ground truth."""
    side = 168
    names = in_order(shown.outputs)
    columns = ["input", *(SHOWN_NAMES[name] for name in names)]
    pictures = [shown.images, *(shown.outputs[name] for name in names)]
    rows = [[framed_face(picture[k], side) for picture in pictures] for k in range(len(shown.images))]
    return sheet(columns, rows, side, _targets(shown))


def moves(shown: ExampleRows) -> Image.Image:
    """Draw a row per face: target, input, the warp alone, avLandmarkGAN and, where `shown` has it, the ground truth."""
    side = 168
    names = [name for name in (WARP, "avlandmarkgan", "truth") if name in shown.outputs]
    pictures = [shown.images, *(shown.outputs[name] for name in names)]
    rows = [[framed_face(picture[k], side) for picture in pictures] for k in range(len(shown.images))]
    return sheet(["input", *(PICTURE_NAMES[name] for name in names)], rows, side, _targets(shown))


def recipe_sheet(shown: ExampleRows, titles: dict[str, str]) -> Image.Image:
    """Draw a row per face: target, input, and a column for each of `shown.outputs`.

    Args:
        shown: Faces and their outputs by name of the run, and "truth" where it is known.
        titles: Column headings by name of the run; a name without a heading is its own heading.
    """
    side = 108
    columns = {"input": shown.images} | {titles.get(name, name): made for name, made in shown.outputs.items()}
    rows = [[framed_face(pictures[k], side) for pictures in columns.values()] for k in range(len(shown.images))]
    return sheet(list(columns), rows, side, _targets(shown))


def transfer_sheet(found: TransferResult) -> Image.Image:
    """Draw the faces of Figure 8: for each moment the filmed pair, and below it the pair it is transferred to."""
    side, gap = 108, 26
    count = len(found.moments)
    canvas = blank_canvas(150 + count * (2 * side + GAP + gap) - gap, 34 + 2 * (side + GAP) - GAP)
    draw = ImageDraw.Draw(canvas)
    for row, title in enumerate(("film", "transferred")):
        write(draw, (134, 34 + row * (side + GAP) + side / 2), title, anchor="rm")
    for column, (moment, index) in enumerate(found.moments.items()):
        left = 150 + column * (2 * side + GAP + gap)
        write(draw, (left + side + GAP / 2, 14), f"{column + 1}: {moment}, {found.frames[index]}", size=17)
        for place, role in enumerate(found.shown.values()):
            for row, pictures in enumerate((role.film, role.performance)):
                canvas.paste(
                    framed_face(pictures[column], side), (left + place * (side + GAP), 34 + row * (side + GAP))
                )
    return canvas


def _targets(shown: ExampleRows) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return for each row the face's own emotion and its target."""
    return list(zip(shown.emotions, shown.targets, strict=True))

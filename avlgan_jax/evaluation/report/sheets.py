"""The report's sheets of faces: arrays in, Pillow pictures out.

They have no background of their own and their writing is a grey that reads on white and on near-black alike, so one
file serves a page in light and in dark.
"""

import numpy as np
from PIL import Image, ImageDraw

from avlgan_jax.evaluation.examples import ExampleRows
from avlgan_jax.evaluation.experiments.transfer import TransferResult
from avlgan_jax.evaluation.report.names import NAMES
from avlgan_jax.faces.drawing import GAP, blank_canvas, framed_face, landmark_face, sheet, write


def chain(shown: ExampleRows) -> Image.Image:
    """Figure 2: input, its landmarks, the converted landmarks and the output, one face a row with its target."""
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
    """Each row: input, avGAN, avLandmarkGAN and (where it is known) the true face at the same target."""
    side = 168
    names = [name for name in ("avgan", "avlandmarkgan", "truth") if name in shown.outputs]
    columns = ["input", *(NAMES[name] for name in names)]
    pictures = [shown.images, *(shown.outputs[name] for name in names)]
    rows = [[framed_face(picture[k], side) for picture in pictures] for k in range(len(shown.images))]
    return sheet(columns, rows, side, _targets(shown))


def recipe_sheet(shown: ExampleRows, titles: dict[str, str]) -> Image.Image:
    """Each row: input, what each run of `titles` made of it, and (where it is known) the true face."""
    side = 108
    columns = {"input": shown.images} | {titles.get(name, name): made for name, made in shown.outputs.items()}
    rows = [[framed_face(pictures[k], side) for pictures in columns.values()] for k in range(len(shown.images))]
    return sheet(list(columns), rows, side, _targets(shown))


def transfer_sheet(found: TransferResult) -> Image.Image:
    """Figure 8 above its curves: for each moment the filmed pair, and below it the pair that performs."""
    side, gap = 108, 26
    count = len(found.moments)
    canvas = blank_canvas(150 + count * (2 * side + GAP + gap) - gap, 34 + 2 * (side + GAP) - GAP)
    draw = ImageDraw.Draw(canvas)
    for row, title in enumerate(("film", "transferred")):
        write(draw, (134, 34 + row * (side + GAP) + side / 2), title, anchor="rm")
    for column, (moment, index) in enumerate(found.moments.items()):
        left = 150 + column * (2 * side + GAP + gap)
        write(draw, (left + side + GAP / 2, 14), f"{column + 1}: {moment}, {found.frames[index]}", size=17)
        for place, role in enumerate(found.roles.values()):
            for row, pictures in enumerate((role.film, role.performance)):
                canvas.paste(
                    framed_face(pictures[column], side), (left + place * (side + GAP), 34 + row * (side + GAP))
                )
    return canvas


def _targets(shown: ExampleRows) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(shown.emotions, shown.targets, strict=True))

"""The report's sheets of faces: arrays in, Pillow pictures out.

They have no background of their own and their writing is a grey that reads on white and on near-black alike, so one
file serves a page in light and in dark.
"""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from avlgan_jax import affect
from avlgan_jax.experiments.transfer import Transferred
from avlgan_jax.gallery import MATRIX_STEPS, Rows

GREY = (128, 128, 134, 255)
FAINT = (128, 128, 134, 110)
INK = (34, 36, 44, 255)
ACCENT = (224, 123, 57, 255)
NAMES = {"avlandmarkgan": "avLandmarkGAN", "avgan": "avGAN", "truth": "truth"}

GAP = 6
SUPERSAMPLE = 3
TEXT = 21

# The lines of a drawn landmark face: (first, last point, is it closed).
CONTOURS = (
    (0, 16, False),
    (17, 21, False),
    (22, 26, False),
    (27, 30, False),
    (31, 35, False),
    (36, 41, True),
    (42, 47, True),
    (48, 59, True),
    (60, 67, True),
)


def png(picture: Image.Image) -> bytes:
    """The PNG file of a picture, the same bytes for the same picture."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def avimage_matrix(
    image: UInt8[np.ndarray, "h w 3"],
    grid: UInt8[np.ndarray, "n n h w 3"],
    values: Float[np.ndarray, "n"] = MATRIX_STEPS,
) -> Image.Image:
    """Figure 5: the input at the top left, then its grid of outputs, valence across and arousal upwards by `values`."""
    side, steps = 92, len(values)
    left, top = side + 84, 4
    canvas = _canvas(left + steps * (side + GAP), top + steps * (side + GAP) + 64)
    draw = ImageDraw.Draw(canvas)
    canvas.paste(_face(image, side), (0, top))
    _write(draw, (side / 2, top + side + 16), "input")
    for row in range(steps):
        y = top + row * (side + GAP)
        _write(draw, (left - 12, y + side / 2), signed(values[::-1][row], 1), anchor="rm")
        for column in range(steps):
            canvas.paste(_face(grid[row, column], side), (left + column * (side + GAP), y))
    bottom = top + steps * (side + GAP)
    for column in range(steps):
        _write(draw, (left + column * (side + GAP) + side / 2, bottom + 14), signed(values[column], 1))
    _write(draw, (left + steps * (side + GAP) / 2, bottom + 44), "valence →")
    _write(draw, (side / 2, top + steps * (side + GAP) / 2), "arousal ↑", size=18)
    return canvas


def expression_sheet(images: UInt8[np.ndarray, "n h w 3"], outputs: UInt8[np.ndarray, "n 8 h w 3"]) -> Image.Image:
    """Figure 6: each row a face as it came, then at the eight expressions of Table II."""
    side = 108
    columns = ["input", *affect.EXPRESSIONS]
    pictures = [[image, *row] for image, row in zip(images, outputs, strict=True)]
    return _sheet(columns, [[_face(picture, side) for picture in row] for row in pictures], side, [None] * len(images))


def chain(shown: Rows) -> Image.Image:
    """Figure 2: input, its landmarks, the converted landmarks and the output, one face a row with its target."""
    side, resolution = 168, shown.images.shape[1]
    rows = [
        [
            _face(shown.images[k], side),
            _landmark_face(shown.landmarks[k], resolution, side),
            _landmark_face(shown.moved[k], resolution, side, before=shown.landmarks[k]),
            _face(shown.outputs["avlandmarkgan"][k], side),
        ]
        for k in range(len(shown.images))
    ]
    return _sheet(["input", "landmarks", "converted", "output"], rows, side, _targets(shown))


def against_truth(shown: Rows) -> Image.Image:
    """Each row: input, avGAN, avLandmarkGAN and (where it is known) the true face at the same target."""
    side = 168
    names = [name for name in ("avgan", "avlandmarkgan", "truth") if name in shown.outputs]
    columns = ["input", *(NAMES[name] for name in names)]
    pictures = [shown.images, *(shown.outputs[name] for name in names)]
    rows = [[_face(picture[k], side) for picture in pictures] for k in range(len(shown.images))]
    return _sheet(columns, rows, side, _targets(shown))


def recipe_sheet(shown: Rows, titles: dict[str, str]) -> Image.Image:
    """Each row: input, what each run of `titles` made of it, and (where it is known) the true face."""
    side = 108
    columns = {"input": shown.images} | {titles.get(name, name): made for name, made in shown.outputs.items()}
    rows = [[_face(pictures[k], side) for pictures in columns.values()] for k in range(len(shown.images))]
    return _sheet(list(columns), rows, side, _targets(shown))


def transfer_sheet(found: Transferred) -> Image.Image:
    """Figure 8 above its curves: for each moment the filmed pair, and below it the pair that performs."""
    side, gap = 108, 26
    count = len(found.moments)
    canvas = _canvas(150 + count * (2 * side + GAP + gap) - gap, 34 + 2 * (side + GAP) - GAP)
    draw = ImageDraw.Draw(canvas)
    for row, title in enumerate(("film", "transferred")):
        _write(draw, (134, 34 + row * (side + GAP) + side / 2), title, anchor="rm")
    for column, (moment, index) in enumerate(found.moments.items()):
        left = 150 + column * (2 * side + GAP + gap)
        _write(draw, (left + side + GAP / 2, 14), f"{column + 1}: {moment}, {found.frames[index]}", size=17)
        for place, role in enumerate(found.roles.values()):
            for row, pictures in enumerate((role.film, role.performance)):
                canvas.paste(_face(pictures[column], side), (left + place * (side + GAP), 34 + row * (side + GAP)))
    return canvas


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures below one another, each in the middle."""
    canvas = _canvas(max(p.width for p in pictures), sum(p.height for p in pictures) + 3 * GAP * (len(pictures) - 1))
    top = 0
    for picture in pictures:
        canvas.paste(picture, ((canvas.width - picture.width) // 2, top))
        top += picture.height + 3 * GAP
    return canvas


def _sheet(
    columns: Sequence[str],
    rows: Sequence[Sequence[Image.Image]],
    side: int,
    targets: Sequence[tuple[np.ndarray, np.ndarray] | None],
) -> Image.Image:
    """Pictures in rows under their column titles; a row with (emotion, target) is led by a small plane showing both."""
    left = 150 if any(target is not None for target in targets) else 0
    top = 34
    canvas = _canvas(left + len(columns) * (side + GAP) - GAP, top + len(rows) * (side + GAP) - GAP)
    draw = ImageDraw.Draw(canvas)
    for column, title in enumerate(columns):
        _write(draw, (left + column * (side + GAP) + side / 2, 14), title, size=min(TEXT, side // 6))
    for row, pictures in enumerate(rows):
        y = top + row * (side + GAP)
        if targets[row] is not None:
            canvas.alpha_composite(_target(*targets[row], (left - 16, side)), (0, y))
        for column, picture in enumerate(pictures):
            canvas.paste(picture, (left + column * (side + GAP), y))
    return canvas


def _targets(shown: Rows) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(shown.emotions, shown.targets, strict=True))


def _target(emotion: Float[np.ndarray, "2"], target: Float[np.ndarray, "2"], size: tuple[int, int]) -> Image.Image:
    """A small valence-arousal plane with an arrow from the face's own emotion to the target, named below."""
    width, height = size
    scale = SUPERSAMPLE
    panel = _canvas(width * scale, height * scale)
    draw = ImageDraw.Draw(panel)
    radius = min(width, height - 56) * scale / 2 - scale
    centre = np.array([width * scale / 2, radius + scale])

    def place(point: np.ndarray) -> np.ndarray:
        return centre + np.array([point[0], -point[1]]) * radius

    draw.ellipse([*(centre - radius), *(centre + radius)], outline=FAINT, width=scale)
    draw.line([*place(np.array([-1, 0])), *place(np.array([1, 0]))], fill=FAINT, width=scale)
    draw.line([*place(np.array([0, -1])), *place(np.array([0, 1]))], fill=FAINT, width=scale)
    draw.line([*place(emotion), *place(target)], fill=ACCENT, width=2 * scale)
    _dot(draw, place(emotion), 4 * scale, GREY)
    _dot(draw, place(target), 6 * scale, ACCENT)
    panel = panel.resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(panel)
    _write(draw, (width / 2, height - 40), affect.EXPRESSIONS[int(affect.nearest_expression(target))], size=20)
    _write(draw, (width / 2, height - 15), f"{signed(target[0])}  {signed(target[1])}", size=18)
    return panel


def _landmark_face(
    landmarks: Float[np.ndarray, "68 2"],
    resolution: int,
    side: int,
    before: Float[np.ndarray, "68 2"] | None = None,
) -> Image.Image:
    """The 68 points on white, joined along the features; `before` lies pale beneath them."""
    scale = SUPERSAMPLE
    panel = Image.new("RGB", (side * scale, side * scale), "white")
    draw = ImageDraw.Draw(panel)
    for points, line, dot in ((before, (214, 216, 222), (214, 216, 222)), (landmarks, (150, 156, 170), INK)):
        if points is None:
            continue
        places = points * (side * scale / resolution)
        for first, last, closed in CONTOURS:
            run = [tuple(place) for place in places[first : last + 1]]
            draw.line([*run, run[0]] if closed else run, fill=line, width=scale)
        for place in places:
            _dot(draw, place, 1.7 * scale, dot)
    return panel.resize((side, side), Image.Resampling.LANCZOS)


def _face(image: UInt8[np.ndarray, "h w 3"], side: int) -> Image.Image:
    return Image.fromarray(np.asarray(image)).resize((side, side), Image.Resampling.BICUBIC)


def _canvas(width: float, height: float) -> Image.Image:
    return Image.new("RGBA", (int(width), int(height)), (0, 0, 0, 0))


def _dot(draw: ImageDraw.ImageDraw, place: np.ndarray, radius: float, colour: tuple) -> None:
    draw.ellipse([*(place - radius), *(place + radius)], fill=colour)


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int = TEXT, anchor: str = "mm"
) -> None:
    draw.text(place, text, fill=GREY, font=_font(size), anchor=anchor)


def _font(size: int) -> ImageFont.FreeTypeFont:
    # Matplotlib brings DejaVu Sans, which has the minus sign and the arrows that Pillow's own face lacks.
    import matplotlib

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)


def signed(value: float, decimals: int = 2) -> str:
    """A number with its sign, a typographic minus, and a plain 0 where it rounds to nothing."""
    return f"{value:+.{decimals}f}".replace("-", "−") if round(float(value), decimals) else "0"

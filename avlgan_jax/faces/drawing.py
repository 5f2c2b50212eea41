"""Pictures that the report and the editor share: faces side by side, landmark faces, targets on the plane."""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from avlgan_jax.faces import emotions
from avlgan_jax.faces.landmarks import CONTOURS

GREY = (128, 128, 134, 255)
FAINT = (128, 128, 134, 110)
INK = (34, 36, 44, 255)
ACCENT = (224, 123, 57, 255)
GAP = 6
SUPERSAMPLE = 3
TEXT = 21


def png(picture: Image.Image) -> bytes:
    """The PNG file of a picture, the same bytes for the same picture."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def avimage_matrix(image: UInt8[np.ndarray, "h w 3"], grid: UInt8[np.ndarray, "n n h w 3"]) -> Image.Image:
    """Figure 5: the input at the top left, then its grid of outputs, valence across and arousal upwards."""
    side, steps, values = 92, len(grid), emotions.matrix_axis(len(grid))
    left, top = side + 84, 4
    canvas = blank_canvas(left + steps * (side + GAP), top + steps * (side + GAP) + 64)
    draw = ImageDraw.Draw(canvas)
    canvas.paste(framed_face(image, side), (0, top))
    write(draw, (side / 2, top + side + 16), "input")
    for row in range(steps):
        y = top + row * (side + GAP)
        write(draw, (left - 12, y + side / 2), signed(values[::-1][row], 1), anchor="rm")
        for column in range(steps):
            canvas.paste(framed_face(grid[row, column], side), (left + column * (side + GAP), y))
    bottom = top + steps * (side + GAP)
    for column in range(steps):
        write(draw, (left + column * (side + GAP) + side / 2, bottom + 14), signed(values[column], 1))
    write(draw, (left + steps * (side + GAP) / 2, bottom + 44), "valence →")
    write(draw, (side / 2, top + steps * (side + GAP) / 2), "arousal ↑", size=18)
    return canvas


def expression_sheet(images: UInt8[np.ndarray, "n h w 3"], outputs: UInt8[np.ndarray, "n 8 h w 3"]) -> Image.Image:
    """Figure 6: each row a face as it came, then at the eight expressions of Table II."""
    side = 108
    columns = ["input", *emotions.EXPRESSIONS]
    pictures = [[image, *row] for image, row in zip(images, outputs, strict=True)]
    return sheet(
        columns, [[framed_face(picture, side) for picture in row] for row in pictures], side, [None] * len(images)
    )


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures below one another, each in the middle."""
    canvas = blank_canvas(
        max(p.width for p in pictures), sum(p.height for p in pictures) + 3 * GAP * (len(pictures) - 1)
    )
    top = 0
    for picture in pictures:
        canvas.paste(picture, ((canvas.width - picture.width) // 2, top))
        top += picture.height + 3 * GAP
    return canvas


def sheet(
    columns: Sequence[str],
    rows: Sequence[Sequence[Image.Image]],
    side: int,
    targets: Sequence[tuple[np.ndarray, np.ndarray] | None],
) -> Image.Image:
    """Pictures in rows under their column titles; a row with (emotion, target) is led by a small plane showing both."""
    left = 150 if any(target is not None for target in targets) else 0
    top = 34
    canvas = blank_canvas(left + len(columns) * (side + GAP) - GAP, top + len(rows) * (side + GAP) - GAP)
    draw = ImageDraw.Draw(canvas)
    for column, title in enumerate(columns):
        write(draw, (left + column * (side + GAP) + side / 2, 14), title, size=min(TEXT, side // 6))
    for row, pictures in enumerate(rows):
        y = top + row * (side + GAP)
        if targets[row] is not None:
            canvas.alpha_composite(target_arrow(*targets[row], (left - 16, side)), (0, y))
        for column, picture in enumerate(pictures):
            canvas.paste(picture, (left + column * (side + GAP), y))
    return canvas


def target_arrow(emotion: Float[np.ndarray, "2"], target: Float[np.ndarray, "2"], size: tuple[int, int]) -> Image.Image:
    """A small valence-arousal plane with an arrow from the face's own emotion to the target, named below."""
    width, height = size
    scale = SUPERSAMPLE
    panel = blank_canvas(width * scale, height * scale)
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
    write(draw, (width / 2, height - 40), emotions.EXPRESSIONS[int(emotions.nearest_expression(target))], size=20)
    write(draw, (width / 2, height - 15), f"{signed(target[0])}  {signed(target[1])}", size=18)
    return panel


def landmark_face(
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


def framed_face(image: UInt8[np.ndarray, "h w 3"], side: int) -> Image.Image:
    return Image.fromarray(np.asarray(image)).resize((side, side), Image.Resampling.BICUBIC)


def blank_canvas(width: float, height: float) -> Image.Image:
    return Image.new("RGBA", (int(width), int(height)), (0, 0, 0, 0))


def _dot(draw: ImageDraw.ImageDraw, place: np.ndarray, radius: float, colour: tuple) -> None:
    draw.ellipse([*(place - radius), *(place + radius)], fill=colour)


def write(
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

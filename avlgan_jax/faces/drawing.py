"""Figures for the report and the editor: grids of faces, drawn landmarks, and targets on the valence-arousal plane."""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from avlgan_jax.faces import emotions
from avlgan_jax.faces.landmarks import CONTOURS

# Colours are RGBA, sizes are in pixels.
GREY = (128, 128, 134, 255)
FAINT = (128, 128, 134, 110)
INK = (34, 36, 44, 255)
ACCENT = (224, 123, 57, 255)
GAP = 6
SUPERSAMPLE = 3  # lines are drawn at this scale and then reduced
TEXT = 21


def png(image: Image.Image) -> bytes:
    """Return the image as a PNG file. Equal images give equal bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def avimage_matrix(
    image: UInt8[np.ndarray, "h w 3"], grid: UInt8[np.ndarray, "n n h w 3"], side: int = 92
) -> Image.Image:
    """Draw Figure 5: the input image and its outputs at a grid of emotions.

    Args:
        image: The input.
        grid: The outputs at the emotions of `emotions.matrix_axis(n)`. Row 0 has the highest arousal, column 0 the
            lowest valence.
        side: Side in pixels at which each face is drawn.
    """
    steps, values = len(grid), emotions.matrix_axis(len(grid))
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


def expression_sheet(
    images: UInt8[np.ndarray, "n h w 3"], outputs: UInt8[np.ndarray, "n 8 h w 3"], side: int = 108
) -> Image.Image:
    """Draw Figure 6: one row per face, with the input and the outputs for the eight expressions of Table II.

    Each face is drawn `side` pixels square.
    """
    columns = ["input", *emotions.EXPRESSIONS]
    rows = [[image, *row] for image, row in zip(images, outputs, strict=True)]
    return sheet(columns, [[framed_face(face, side) for face in row] for row in rows], side, [None] * len(images))


def stacked(images: Sequence[Image.Image]) -> Image.Image:
    """Stack images from top to bottom, centred horizontally."""
    canvas = blank_canvas(max(p.width for p in images), sum(p.height for p in images) + 3 * GAP * (len(images) - 1))
    top = 0
    for image in images:
        canvas.paste(image, ((canvas.width - image.width) // 2, top))
        top += image.height + 3 * GAP
    return canvas


def sheet(
    columns: Sequence[str],
    rows: Sequence[Sequence[Image.Image]],
    side: int,
    targets: Sequence[tuple[np.ndarray, np.ndarray] | None],
) -> Image.Image:
    """Draw a table of images with column titles.

    Args:
        columns: The titles.
        rows: The images of each row, of `side` x `side` pixels.
        side: The side of the images in pixels.
        targets: For each row (emotion, target emotion), drawn by `target_arrow` at the left of the row, or None.
    """
    left = 150 if any(target is not None for target in targets) else 0
    top = 34
    canvas = blank_canvas(left + len(columns) * (side + GAP) - GAP, top + len(rows) * (side + GAP) - GAP)
    draw = ImageDraw.Draw(canvas)
    size = _fitting(columns, side)
    for column, title in enumerate(columns):
        write(draw, (left + column * (side + GAP) + side / 2, 14), title, size)
    for row, images in enumerate(rows):
        y = top + row * (side + GAP)
        if targets[row] is not None:
            canvas.alpha_composite(target_arrow(*targets[row], (left - 16, side)), (0, y))
        for column, image in enumerate(images):
            canvas.paste(image, (left + column * (side + GAP), y))
    return canvas


def target_arrow(emotion: Float[np.ndarray, "2"], target: Float[np.ndarray, "2"], size: tuple[int, int]) -> Image.Image:
    """Draw the valence-arousal plane with a line from the face's emotion to the target, and the target's name below.

    Args:
        emotion: Valence and arousal of the face; where one is not known (NaN), there is no line.
        target: Valence and arousal of the target. Its name is that of the nearest expression of Table II.
        size: Width and height in pixels.
    """
    width, height = size
    scale = SUPERSAMPLE
    panel = blank_canvas(width * scale, height * scale)
    draw = ImageDraw.Draw(panel)
    radius = min(width, height - 56) * scale / 2 - scale
    centre = np.array([width * scale / 2, radius + scale])

    def to_panel(point: np.ndarray) -> np.ndarray:
        return centre + np.array([point[0], -point[1]]) * radius

    draw.ellipse([*(centre - radius), *(centre + radius)], outline=FAINT, width=scale)
    draw.line([*to_panel(np.array([-1, 0])), *to_panel(np.array([1, 0]))], fill=FAINT, width=scale)
    draw.line([*to_panel(np.array([0, -1])), *to_panel(np.array([0, 1]))], fill=FAINT, width=scale)
    if not np.isnan(emotion).any():
        draw.line([*to_panel(emotion), *to_panel(target)], fill=ACCENT, width=2 * scale)
        _dot(draw, to_panel(emotion), 4 * scale, GREY)
    _dot(draw, to_panel(target), 6 * scale, ACCENT)
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
    """Draw landmarks on white, joined along the facial features.

    Args:
        landmarks: The landmarks in pixels of an image of side `resolution`.
        resolution: The side of that image.
        side: The side of the drawing in pixels.
        before: Landmarks to draw in a pale colour behind the others.
    """
    scale = SUPERSAMPLE
    panel = Image.new("RGB", (side * scale, side * scale), "white")
    draw = ImageDraw.Draw(panel)
    for points, line, dot in ((before, (214, 216, 222), (214, 216, 222)), (landmarks, (150, 156, 170), INK)):
        if points is None:
            continue
        scaled = points * (side * scale / resolution)
        for first, last, closed in CONTOURS:
            line_points = [tuple(point) for point in scaled[first : last + 1]]
            draw.line([*line_points, line_points[0]] if closed else line_points, fill=line, width=scale)
        for point in scaled:
            _dot(draw, point, 1.7 * scale, dot)
    return panel.resize((side, side), Image.Resampling.LANCZOS)


def framed_face(image: UInt8[np.ndarray, "h w 3"], side: int) -> Image.Image:
    """Return a face resized to `side` x `side` pixels."""
    return Image.fromarray(np.asarray(image)).resize((side, side), Image.Resampling.BICUBIC)


def blank_canvas(width: float, height: float) -> Image.Image:
    """Return a transparent RGBA image. Width and height in pixels are rounded down."""
    return Image.new("RGBA", (int(width), int(height)), (0, 0, 0, 0))


def _dot(draw: ImageDraw.ImageDraw, centre: np.ndarray, radius: float, colour: tuple) -> None:
    """Draw a filled circle."""
    draw.ellipse([*(centre - radius), *(centre + radius)], fill=colour)


def write(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int = TEXT, anchor: str = "mm"
) -> None:
    """Draw grey text.

    Args:
        draw: The canvas.
        place: Position (x, y) of the anchor in pixels.
        text: The text.
        size: Font size in pixels.
        anchor: Pillow's text anchor; "mm" centres the text at `place`.
    """
    draw.text(place, text, fill=GREY, font=_font(size), anchor=anchor)


def _fitting(titles: Sequence[str], side: int) -> int:
    """Return the largest font size, up to a sixth of `side`, at which no title is wider than `side`; at least 8."""
    sizes = range(min(TEXT, side // 6), 8, -1)
    return next((size for size in sizes if all(_font(size).getlength(title) <= side for title in titles)), 8)


def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans from Matplotlib's package: Pillow's default font lacks the minus sign and the arrows."""
    import matplotlib

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)


def signed(value: float, decimals: int = 2, zero: str | None = "0") -> str:
    """Format a number with its sign and a typographic minus; return `zero`, if given, where it rounds to zero."""
    if zero is not None and not round(float(value), decimals):
        return zero
    return f"{value:+.{decimals}f}".replace("-", "−")

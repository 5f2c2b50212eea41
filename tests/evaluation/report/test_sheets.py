"""Sheets of faces: positions of the faces and transparent backgrounds."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from avlgan_jax.evaluation.examples import MATRIX_STEPS, ExampleRows
from avlgan_jax.evaluation.report import sheets
from avlgan_jax.faces import drawing, emotions


def plain(*shape_and_colour):
    """Return images of one colour each, from an array of colours (..., 3)."""
    colours = np.asarray(shape_and_colour[-1], np.uint8)
    return np.broadcast_to(colours[..., None, None, :], (*colours.shape[:-1], 16, 16, 3)).copy()


def shown_rows(count, with_truth=True):
    names = ("avgan", "avlandmarkgan", "truth") if with_truth else ("avgan", "avlandmarkgan")
    outputs = {name: plain(np.full((count, 3), 60 * (k + 1))) for k, name in enumerate(names)}
    grid = np.stack(np.meshgrid(np.linspace(3, 13, 17), np.linspace(3, 13, 4)), axis=-1).reshape(1, 68, 2)
    return ExampleRows(
        images=plain(np.zeros((count, 3))),
        landmarks=np.repeat(grid, count, axis=0).astype(np.float32),
        emotions=np.zeros((count, 2), np.float32),
        targets=emotions.TABLE_II[:count],
        moved=np.repeat(grid + 1.0, count, axis=0).astype(np.float32),
        outputs=outputs,
    )


def test_in_a_matrix_valence_increases_to_the_right_and_arousal_upwards():
    steps = len(MATRIX_STEPS)
    colours = np.zeros((steps, steps, 3))
    colours[..., 0] = 20 * np.arange(steps)[:, None]
    colours[..., 1] = 20 * np.arange(steps)
    image = np.asarray(drawing.avimage_matrix(plain(np.array([0, 0, 255])), plain(colours)).convert("RGBA"))
    assert tuple(image[20, 20]) == (0, 0, 255, 255)
    red, green = (np.where(image[..., 3] == 255, image[..., k], 0) for k in (0, 1))
    blueless = image[..., 2] == 0
    # Row 0 of the grid (the highest arousal) is at the top, column 0 (the lowest valence) at the left.
    assert np.argwhere(blueless & (red == 160))[:, 0].min() > np.argwhere(blueless & (red == 20))[:, 0].max()
    assert np.argwhere(blueless & (green == 160))[:, 1].min() > np.argwhere(blueless & (green == 20))[:, 1].max()


def test_sheets_have_a_transparent_background():
    for image in (sheets.against_truth(shown_rows(3)), sheets.chain(shown_rows(2))):
        alpha = np.asarray(image)[..., 3]
        assert image.mode == "RGBA"
        assert alpha[0, 0] == 0
        assert (alpha == 255).mean() > 0.5


def test_the_ground_truth_has_a_column_if_there_is_one():
    with_truth, without_truth = (
        sheets.against_truth(shown_rows(2)),
        sheets.against_truth(shown_rows(2, with_truth=False)),
    )
    assert with_truth.height == without_truth.height
    assert with_truth.width > without_truth.width
    assert (np.asarray(with_truth)[..., :3] == 180).all(axis=-1).sum() > 2 * 160 * 160
    assert not (np.asarray(without_truth)[..., :3] == 180).all(axis=-1).any()


def test_the_expression_sheet_has_a_column_for_the_input_and_for_each_expression():
    colours = np.arange(16).reshape(2, 8)[..., None].repeat(3, axis=-1) * 10
    sheet = np.asarray(drawing.expression_sheet(plain(np.full((2, 3), 255)), plain(colours)))
    for colour in (*range(0, 160, 10), 255):
        assert (sheet == (colour, colour, colour, 255)).all(axis=-1).sum() >= 100 * 100


@pytest.mark.parametrize("draw", [sheets.chain, sheets.against_truth])
def test_the_same_arrays_give_the_same_file(draw):
    first, again = drawing.png(draw(shown_rows(1))), drawing.png(draw(shown_rows(1)))
    assert first == again
    assert Image.open(io.BytesIO(first)).format == "PNG"


def test_signed_numbers_have_a_typographic_minus():
    assert [drawing.signed(v) for v in (0.5, -0.25, 0.001, -0.004)] == ["+0.50", "−0.25", "0", "0"]
    assert drawing.signed(-0.8, 1) == "−0.8"


@pytest.mark.parametrize("titles", [{"one": "no landmarks", "two": "paper, masked, avGAN"}, {"one": "short"}])
def test_headings_do_not_overlap(titles):
    """Below the headings are faces; between two of them lies an empty gap from top to bottom."""
    shown = dataclasses.replace(shown_rows(1), outputs={name: plain(np.full((1, 3), 60)) for name in titles})
    alpha = np.asarray(sheets.recipe_sheet(shown, titles))[:28, :, 3]
    written = alpha.any(axis=0)[150:]
    for column in range(1, len(titles) + 1):
        gap = slice(column * (108 + drawing.GAP) - drawing.GAP, column * (108 + drawing.GAP))
        assert not written[gap].any()
    assert written.any()

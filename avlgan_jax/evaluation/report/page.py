"""Report of an evaluation: `metrics.json`, the figures, and one self-contained HTML page that shows both."""

import base64
import io
import json
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from avlgan_jax import atomic_files
from avlgan_jax.evaluation.examples import MATRIX_STEPS, EmotionGrid
from avlgan_jax.evaluation.report import comparison_table
from avlgan_jax.evaluation.report.figures import Figure
from avlgan_jax.evaluation.report.names import (
    PICTURE_NAMES,
    SHAPE_NAMES,
    SHOWN_NAMES,
    WEIGHT_WORDS,
    in_order,
)
from avlgan_jax.evaluation.report.tables import (
    comparisons,
    left_out,
    nearer_to_truth,
    number,
    percent,
    plane_table,
    spread,
    table,
    table_columns,
    value_range,
)
from avlgan_jax.faces import emotions
from avlgan_jax.faces.drawing import signed
from avlgan_jax.faces.region_labels import REGIONS
from avlgan_jax.training.ablation.recipe import RECIPE_PARTS
from avlgan_jax.training.workdir import METRICS

# The figures at the top of the page: a reader looks at faces before numbers. All others follow the tables.
OPENING = ("truth", "outputs", "chain")


def template(name: str) -> jinja2.Template:
    """Return the template `name`, with the filters that format numbers. In HTML, values from the data are escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("avlgan_jax.evaluation.report"),
        autoescape=jinja2.select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    filters = (number, percent, signed, spread)
    environment.filters |= {function.__name__: function for function in filters} | {"range": value_range}
    return environment.get_template(name)


def render_page(scores: dict, shown: list[Figure], matrices: list[EmotionGrid]) -> str:
    """Return the report as one HTML document without references to other files.

    Args:
        scores: Content of `metrics.json`. Sections of experiments that it lacks are left out.
        shown: Figures in the order of the page.
        matrices: Faces of the interactive plane; it is left out where there are none.
    """
    outputs = [name for matrix in matrices for name in matrix.grids]
    return template("report.html").render(
        scores=scores,
        weight_names=WEIGHT_WORDS,
        shape_names=SHAPE_NAMES,
        picture_names=PICTURE_NAMES,
        regions=REGIONS,
        parts=RECIPE_PARTS,
        comparison_headings=comparison_table.headings(),
        baby_headings=list(comparison_table.BABY.values()),
        baby_tables=comparison_table.baby_tables(scores),
        comparison_tables=comparison_table.tables(scores.get("comparison", {})),
        **_tables(scores),
        left_out=left_out(scores),
        opening=[(figure, _webp(figure.png)) for figure in shown if figure.name in OPENING],
        figures=[(figure, _webp(figure.png)) for figure in shown if figure.name not in OPENING],
        pad={
            "steps": [float(step) for step in MATRIX_STEPS],
            "pins": [[name, *map(float, at)] for name, at in zip(emotions.EXPRESSIONS, emotions.TABLE_II, strict=True)],
            "columns": [("input", "input"), *((name, SHOWN_NAMES[name]) for name in in_order(outputs))],
            "faces": [_pad_face(matrix) for matrix in matrices],
        },
    )


def _tables(scores: dict) -> dict:
    """Return the content of the page's tables, without those whose experiments `scores` lacks."""
    tables: dict = {}
    if "models" in scores:
        tables |= {"table": table(scores), "columns": table_columns(scores), "compared": comparisons(scores)}
        tables["nearer"] = nearer_to_truth(scores)
    if "circumplex" in scores:
        tables["plane"] = plane_table(scores["circumplex"])
    if "table_ii" in scores:
        paper = emotions.TABLE_II.tolist()
        tables["means"] = list(zip(emotions.EXPRESSIONS, scores["table_ii"].values(), paper, strict=True))
    return tables


def _pad_face(matrix: EmotionGrid) -> dict:
    """Return a face of the interactive plane: the input, and for each model one sheet of all outputs, as JPEG."""
    sheets = {
        name: _jpeg(grid.transpose(0, 2, 1, 3, 4).reshape(grid.shape[0] * grid.shape[2], -1, 3))
        for name, grid in matrix.grids.items()
    }
    return {"name": matrix.name, "infant": matrix.infant, "input": _jpeg(matrix.image), "sheets": sheets}


def _jpeg(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, subsampling=0)
    return _data_uri(buffer.getvalue(), "jpeg")


def _webp(png: bytes) -> str:
    """Return a figure as WebP: a fifth of the size, as with JPEG, but with transparency, which JPEG lacks."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).save(buffer, "WEBP", quality=90)
    return _data_uri(buffer.getvalue(), "webp")


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def write_report(directory: Path, scores: dict, shown: list[Figure], matrices: list[EmotionGrid]) -> Path:
    """Write `metrics.json`, `index.html` and a PNG file for each figure to `directory`.

    The write is atomic: an older report is replaced by the complete new one, or stays unchanged after an error.

    Args:
        directory: Folder of the report; its content is replaced.
        scores: Content of `metrics.json`.
        shown: Figures in the order of the page.
        matrices: Faces of the interactive plane.

    Returns:
        The path of `index.html`.

    Raises:
        ValueError: `scores` holds NaN or infinity, which JSON cannot represent.
    """
    with atomic_files.atomic_folder(directory) as fresh:
        (fresh / METRICS).write_text(json.dumps(scores, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        for figure in shown:
            (fresh / f"{figure.name}.png").write_bytes(figure.png)
        (fresh / "index.html").write_text(render_page(scores, shown, matrices), encoding="utf-8")
    return directory / "index.html"

"""The report: `metrics.json`, the figures, and one self-contained page that shows both to a person."""

import base64
import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

from avlgan_jax import affect, figures
from avlgan_jax.evaluation import GROUPS, MODELS, Measured
from avlgan_jax.gallery import MATRIX_STEPS, Gallery, Matrix

# The columns of the result table: key in metrics.json, heading, decimals, and whether more is better.
COLUMNS = (
    ("rmse", "RMSE", 3, False),
    ("rmse_valence", "V", 3, False),
    ("rmse_arousal", "A", 3, False),
    ("pcc_valence", "PCC V", 2, True),
    ("pcc_arousal", "PCC A", 2, True),
    ("ccc_valence", "CCC V", 2, True),
    ("ccc_arousal", "CCC A", 2, True),
    ("frechet_regressor", "Fréchet", 2, False),
    ("truth_landmark_nme", "NME", 4, False),
    ("truth_psnr", "PSNR", 2, True),
    ("truth_ssim", "SSIM", 3, True),
)
ROW_NAMES = {
    "avlandmarkgan": "avLandmarkGAN",
    "avgan": "avGAN",
    "do_nothing": "doing nothing",
    "regressor": "real faces",
}
EMPTY = "–"


@dataclass(frozen=True)
class Cell:
    """One number of the result table; `best` marks the better of the two models."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Figure:
    """A picture of the page with what a reader needs to know of it."""

    name: str
    title: str
    caption: str
    alt: str
    png: bytes
    size: tuple[int, int]


def _figure(name: str, title: str, caption: str, alt: str, picture: Image.Image) -> Figure:
    return Figure(name, title, caption, alt, figures.png(picture), picture.size)


def draw(measured: Measured, gallery: Gallery) -> list[Figure]:
    """All figures of the report, in the order of the page."""
    rows = gallery.rows
    drawn = [
        _figure(
            "expressions",
            "The eight expressions",
            "Each face as it came, then turned by avLandmarkGAN to the mean valence and arousal of eight expressions "
            "(Table II and Figure 6 of the paper).",
            "Rows of faces: the input and eight generated expressions",
            figures.expression_sheet(rows.images, gallery.expressions),
        ),
        _figure(
            "truth" if "truth" in rows.outputs else "outputs",
            "Against the truth" if "truth" in rows.outputs else "The two models",
            "The arrow in each plane goes from the face's own emotion to the one asked for. "
            + (
                "Because these faces are drawn by the project, the last column can show what the answer should have "
                "been: the same face, light and noise, drawn with that emotion."
                if "truth" in rows.outputs
                else "The true face at the target is not known for photographs."
            ),
            "Rows of faces: input, avGAN, avLandmarkGAN and the truth where it is known",
            figures.against_truth(rows),
        ),
        _figure(
            "chain",
            "How avLandmarkGAN works",
            "The landmark converter moves the 68 points to the target emotion (pale: where they were); the image "
            "converter repaints the face to fit them (Figure 2 of the paper).",
            "Rows of four pictures: input, its landmarks, the converted landmarks, the output",
            figures.chain(rows),
        ),
    ]
    drawn += [_matrix_figure(matrix) for matrix in _one_of_each_age(gallery.matrices)]
    return [*drawn, _scatter_figure(measured)]


def _matrix_figure(matrix: Matrix) -> Figure:
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


def _scatter_figure(measured: Measured) -> Figure:
    panels = [
        (
            f"{figures.NAMES[name]}: {axis_name}",
            measured.trials.emotions[:, axis],
            measured.models[name].predicted[:, axis],
            measured.trials.infants,
        )
        for name in MODELS
        for axis, axis_name in enumerate(("valence", "arousal"))
    ]
    return _figure(
        "scatter",
        "Asked and judged",
        "Every trial is a dot: what was asked for, and what the regressor sees in the generated face. A perfect model, "
        "judged perfectly, lies on the diagonal.",
        "Four scatter plots of judged against asked valence and arousal, one row a model",
        figures.scatter(panels),
    )


def table(scores: dict) -> list[tuple[str, list[tuple[str, list[Cell]]]]]:
    """The result table: for everyone, adults and infants, the rows by name with a Cell for each of COLUMNS."""
    blocks = [("everyone", {**scores["models"], "do_nothing": scores["do_nothing"], "regressor": scores["regressor"]})]
    blocks += [(f"{group}s", scores["groups"][group]) for group in GROUPS if scores["groups"][group]["samples"]]
    return [(title, [(ROW_NAMES[row], _cells(rows, row)) for row in ROW_NAMES]) for title, rows in blocks]


def _cells(rows: dict, row: str) -> list[Cell]:
    cells = []
    for key, _, decimals, more in COLUMNS:
        value = rows[row].get(key)
        rivals = [rows[name][key] for name in MODELS if rows[name][key] is not None]
        best = row in MODELS and len(rivals) == 2 and value == (max if more else min)(rivals)
        cells.append(Cell(EMPTY if value is None else f"{value:.{decimals}f}", best))
    return cells


def text_table(scores: dict) -> str:
    """The result table in plain text, for a terminal."""
    lines = []
    for title, rows in table(scores):
        lines.append(f"{title:<16}" + "".join(f"{heading:>9}" for _, heading, _, _ in COLUMNS))
        lines += [f"  {name:<14}" + "".join(f"{cell.text:>9}" for cell in cells) for name, cells in rows]
        lines.append("")
    return "\n".join(lines).rstrip()


def page(scores: dict, shown: list[Figure], matrices: list[Matrix]) -> str:
    """The whole report as one HTML document without a single outside reference."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("avlgan_jax"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = lambda value, decimals=2: EMPTY if value is None else f"{value:.{decimals}f}"
    return environment.get_template("report.html").render(
        scores=scores,
        table=table(scores),
        columns=COLUMNS,
        nearer=_nearer_to_truth(scores),
        figures=[(figure, _data_uri(figure.png, "png")) for figure in shown],
        pad={
            "steps": [float(step) for step in MATRIX_STEPS],
            "pins": [[name, *map(float, at)] for name, at in zip(affect.EXPRESSIONS, affect.TABLE_II, strict=True)],
            "faces": [_pad_face(matrix) for matrix in matrices],
        },
    )


def _nearer_to_truth(scores: dict) -> float | None:
    """By what share the converted landmarks are nearer to the truth than the landmarks left as they were."""
    nothing = scores["do_nothing"]["truth_landmark_nme"]
    return 1.0 - scores["models"]["avlandmarkgan"]["truth_landmark_nme"] / nothing if nothing else None


def _pad_face(matrix: Matrix) -> dict:
    """A face for the page's interactive plane: its input and one sheet of all its outputs for each model, as JPEG."""
    sheets = {
        name: _jpeg(grid.transpose(0, 2, 1, 3, 4).reshape(grid.shape[0] * grid.shape[2], -1, 3))
        for name, grid in matrix.grids.items()
    }
    return {"name": matrix.name, "infant": matrix.infant, "input": _jpeg(matrix.image), "sheets": sheets}


def _jpeg(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, subsampling=0)
    return _data_uri(buffer.getvalue(), "jpeg")


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def write(directory: Path, scores: dict, shown: list[Figure], matrices: list[Matrix]) -> Path:
    """Write `metrics.json`, `index.html` and one PNG a figure to `directory`; returns the path of the page.

    An older report there is replaced by the whole new one or not touched at all.
    """
    with _replacing(directory) as fresh:
        (fresh / "metrics.json").write_text(json.dumps(scores, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        for figure in shown:
            (fresh / f"{figure.name}.png").write_bytes(figure.png)
        (fresh / "index.html").write_text(page(scores, shown, matrices), encoding="utf-8")
    return directory / "index.html"


@contextlib.contextmanager
def _replacing(directory: Path) -> Iterator[Path]:
    """A new directory to fill; it takes the place of `directory` when the block ends well, and else disappears."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = (directory.with_name(f".{directory.name}.{word}.{os.getpid()}") for word in ("new", "old"))
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
        if directory.exists():
            directory.rename(old)
        fresh.rename(directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)

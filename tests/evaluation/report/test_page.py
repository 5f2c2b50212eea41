"""The report: one page with everything in it, a table that says what metrics.json says, and no half of a report."""

import copy
import dataclasses
import io
import json
import re

import numpy as np
import oracle
import pytest
from PIL import Image

from avlgan_jax.evaluation import examples, suite
from avlgan_jax.evaluation.experiments import baby, circumplex
from avlgan_jax.evaluation.report import figures as report_figures
from avlgan_jax.evaluation.report import tables
from avlgan_jax.evaluation.report.names import WEIGHTS
from avlgan_jax.evaluation.report.page import render_page, write_report
from avlgan_jax.evaluation.trials import MODELS, draw_trials


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    faces, training = oracle.draw_faces(8, seed=2), oracle.draw_faces(12, seed=1)
    models = oracle.oracle(faces, training)
    trials = draw_trials(faces.emotions, 16, seed=0)
    scene = suite.EvaluationContext(models, faces, training, faces, trials, seed=0, render=oracle.render_all)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "FACES", 2)
        patch.setattr(examples, "MATRICES", 2)
        patch.setattr(circumplex, "FACES", 1)
        told = suite.run_experiments(
            scene, [name for name in suite.EXPERIMENTS if name not in ("fidelity", "transfer")]
        )
    line = np.linspace(-1, 1, 9)
    judged = {"avgan": line / 2, "avlandmarkgan": line, "real": line}
    dyads = baby.FramePredictions(line, judged, np.full(9, "one"), np.arange(9).astype(str))
    numbers = told.numbers | {
        "baby": baby.to_metrics({"infant": dyads}, seed=0),
        "fidelity": {
            "samples": 3,
            "landmark_nme": {"avlandmarkgan": 0.041, "real": 0.032},
            "identity_distance": {"avlandmarkgan": 0.11, "avgan": 0.22, "others": 0.87},
        },
        "protocol": {
            "data": "procedural_faces",
            "split": "validation",
            "resolution": oracle.RESOLUTION,
            "landmark_dimensions": 2,
            "faces": 8,
            "training_faces": 12,
            "samples": 16,
            "seed": 0,
            "experiments": ["trials"],
            "fid_mode": None,
        },
        "provenance": {
            "steps": models.steps,
            "config_digest": "c0ffee",
            "data_digest": "da7a",
            "versions": {"python": "3"},
        },
    }
    figures = [*told.figures, report_figures.baby({"infant": dyads})]
    directory = tmp_path_factory.mktemp("run") / "report"
    write_report(directory, numbers, figures, told.matrices)
    return directory, numbers, figures, told


def test_the_directory_holds_the_page_the_numbers_and_each_figure(written):
    directory, numbers, figures, _ = written
    names = {f"{figure.name}.png" for figure in figures} | {"metrics.json", "index.html"}
    assert {path.name for path in directory.iterdir()} == names
    assert json.loads((directory / "metrics.json").read_text()) == numbers
    assert [path.name for path in directory.parent.iterdir()] == ["report"]


def test_the_page_needs_nothing_but_itself(written):
    directory, _, figures, _ = written
    page = (directory / "index.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == len(figures)
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    for figure in figures:
        assert figure.title in page
        assert figure.alt in page


def test_the_page_tells_the_numbers_of_the_file(written):
    directory, numbers, _, _ = written
    page = (directory / "index.html").read_text()
    for name in MODELS:
        assert f"{numbers['models'][name]['frechet_regressor']:.2f}" in page
    assert f"{numbers['groups']['infant']['do_nothing']['truth_psnr']:.2f}" in page
    assert "c0ffee" in page
    assert "0.87" in page and "4.1 %" in page


def test_the_table_marks_the_better_model_and_leaves_gaps(written):
    _, numbers, _, _ = written
    blocks = dict(tables.table(numbers))
    assert list(blocks) == ["everyone", "adults", "infants"]
    rows = dict(blocks["everyone"])
    columns = [key for key, *_ in tables.table_columns(numbers)]
    assert "fid" not in columns
    ours, rival = (dict(zip(columns, rows[name], strict=True)) for name in ("avLandmarkGAN", "avGAN"))
    assert (ours["rmse"].best, rival["rmse"].best) == (True, False)
    assert (ours["truth_psnr"].best, rival["truth_psnr"].best) == (True, False)
    assert rival["truth_landmark_nme"].text == tables.EMPTY
    assert not ours["truth_landmark_nme"].best
    assert "avLandmarkGAN" in tables.text_table(numbers)


def test_the_comparison_says_what_the_intervals_allow(written):
    _, numbers, _, _ = written
    groups, rows = tables.comparisons(numbers)
    assert groups == ["everyone", "adults", "infants"]
    by_name = {row.name: dict(zip(groups, row.cells, strict=True)) for row in rows}
    difference, interval, verdict = by_name["RMSE"]["everyone"]
    assert difference == f"−{numbers['models']['avgan']['rmse']:.3f}"
    assert interval.startswith("−")
    assert verdict == "better"


@pytest.mark.parametrize(
    ("interval", "more", "verdict"),
    [
        ([0.1, 0.2], True, "better"),
        ([0.1, 0.2], False, "worse"),
        ([-0.2, -0.1], False, "better"),
        ([-0.1, 0.1], True, "undecided"),
        (None, True, "undecided"),
    ],
)
def test_a_model_is_better_only_where_the_interval_leaves_no_doubt(written, interval, more, verdict):
    _, numbers, _, _ = written
    key = "pcc_valence" if more else "rmse"
    name = next(name for column, name, _ in tables.COMPARED if column == key)
    numbers = copy.deepcopy(numbers)
    numbers["intervals"]["difference"][key] = interval
    _, rows = tables.comparisons(numbers)
    assert {row.name: row.cells[0][2] for row in rows}[name] == verdict


def test_the_pad_holds_every_output_of_every_model(written):
    _, _, _, shown = written
    steps = len(examples.MATRIX_STEPS)
    assert {matrix.infant for matrix in shown.matrices} == {True, False}
    for matrix in shown.matrices:
        assert set(matrix.grids) == {"avlandmarkgan", "avgan", "truth"}
        assert all(grid.shape == (steps, steps, 32, 32, 3) for grid in matrix.grids.values())
        np.testing.assert_array_equal(matrix.grids["avlandmarkgan"], matrix.grids["truth"])
        np.testing.assert_array_equal(matrix.grids["avgan"][3, 5], matrix.image)


def test_writing_again_gives_the_same_bytes(written, tmp_path):
    directory, numbers, figures, shown = written
    write_report(tmp_path / "report", numbers, figures, shown.matrices)
    for path in directory.iterdir():
        assert (tmp_path / "report" / path.name).read_bytes() == path.read_bytes()


def test_a_report_that_fails_half_way_leaves_the_old_one(written, tmp_path):
    _, numbers, figures, shown = written
    old = write_report(tmp_path / "report", numbers, figures, shown.matrices).read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_report(tmp_path / "report", numbers | {"broken": float("nan")}, figures, shown.matrices)
    assert (tmp_path / "report" / "index.html").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_new_report_takes_the_place_of_the_old_one(written, tmp_path):
    _, numbers, figures, shown = written
    write_report(tmp_path / "report", numbers, figures, shown.matrices)
    write_report(tmp_path / "report", numbers, figures[:1], shown.matrices)
    assert len(list((tmp_path / "report").glob("*.png"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_page_of_one_experiment_tells_that_alone(written, tmp_path):
    _, numbers, figures, _ = written
    alone = {name: numbers[name] for name in ("schema_version", "baby", "protocol", "provenance")}
    page = write_report(tmp_path / "baby", alone, [figures[-1]], []).read_text()
    assert "Infants and their parents" in page and "within people" in page
    assert "<h2>Scores" not in page and "Try it" not in page and "<script>" not in page
    assert tables.text_table(alone) == ""


def test_table_i_stands_beside_the_papers(written, tmp_path):
    _, numbers, _, _ = written
    rows = [
        {
            "value": value,
            "own": value == 1.0,
            "rmse": rmse,
            "frechet_regressor": 3.0,
            "fid": None,
            "truth_landmark_nme": 0.02,
            "seeds": {"rmse": [rmse - 0.01, rmse + 0.01], "frechet_regressor": [2.0, 4.0]},
            "paper": None if value == 3.0 else {"fid": 24.24, "rmse": 0.193},
        }
        for value, rmse in ((1.0, 0.345), (3.0, 0.456))
    ]
    found = dict.fromkeys(WEIGHTS, rows)
    alone = {name: numbers[name] for name in ("schema_version", "protocol", "provenance")} | {"table_i": found}
    figure = report_figures.table_i(found)
    page = write_report(tmp_path / "table_i", alone, [figure], []).read_text()
    assert "0.345 ± 0.014" in page and "0.193" in page and "24.24" in page and "3.00 ± 1.41" in page
    assert page.count("face feature centres") == 1
    pixels = np.asarray(Image.open(io.BytesIO(figure.png))).astype(int)
    assert (pixels[..., 2] > pixels[..., 0] + 60).sum() > 500  # our curves are blue


def test_names_that_came_with_the_data_are_text_and_nothing_else(written):
    _, numbers, figures, shown = written
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'"
    numbers = copy.deepcopy(numbers)
    for key in ("data", "split"):
        numbers["protocol"][key] = hostile
    numbers["provenance"]["versions"] = {hostile: hostile}
    matrices = [dataclasses.replace(matrix, name=hostile) for matrix in shown.matrices]
    page = render_page(numbers, figures, matrices)
    assert hostile not in page and "<script>alert" not in page and "<img src=x" not in page
    assert page.count("</script>") == render_page(*written[1:3], shown.matrices).count("</script>")
    assert "alert(1)" in page  # it is there, as text

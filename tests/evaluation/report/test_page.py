"""The report: a self-contained page, tables with the numbers of metrics.json, and atomic replacement of old reports."""

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
from avlgan_jax.evaluation.report import comparison_table, tables
from avlgan_jax.evaluation.report import figures as report_figures
from avlgan_jax.evaluation.report.names import WEIGHT_WORDS
from avlgan_jax.evaluation.report.page import render_page, write_report
from avlgan_jax.evaluation.trials import draw_trials

pytest_plugins = ("app_fixtures",)
PROTOCOL = {
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
}
PROVENANCE = {
    "config_digest": "c0ffee",
    "processor": "a processor",
    "data_digest": "da7a",
    "versions": {"python": "3"},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    faces, training = oracle.draw_faces(8, seed=2), oracle.draw_faces(12, seed=1)
    models = oracle.oracle(faces, training)
    trials = draw_trials(faces.emotions, 16, seed=0)
    context = suite.EvaluationContext(models, faces, training, faces, trials, seed=0, render=oracle.render_all)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examples, "FACES", 2)
        patch.setattr(examples, "MATRICES", 2)
        patch.setattr(circumplex, "FACES", 1)
        result = suite.run_experiments(
            context, [name for name in suite.EXPERIMENTS if name not in ("fidelity", "transfer")]
        )
    line = np.linspace(-1, 1, 9)
    predicted = {"avgan": line / 2, "avlandmarkgan": line, "real": line}
    dyads = baby.FramePredictions(line, predicted, np.arange(9).astype(str))
    numbers = result.numbers | {
        "baby": baby.to_metrics({"infant": dyads}, seed=0),
        "fidelity": {
            "samples": 3,
            "landmark_nme": {"avlandmarkgan": 0.041, "do_nothing": 0.057, "real": 0.032},
            "identity_distance": {"avlandmarkgan": 0.11, "avgan": 0.22, "others": 0.87},
        },
        "protocol": PROTOCOL,
        "provenance": PROVENANCE | {"steps": models.steps},
    }
    figures = [*result.figures, report_figures.baby({"infant": dyads})]
    directory = tmp_path_factory.mktemp("run") / "report"
    write_report(directory, numbers, figures, result.matrices)
    return directory, numbers, figures, result


def test_the_report_has_the_page_the_numbers_and_all_figures(written):
    directory, numbers, figures, _ = written
    names = {f"{figure.name}.png" for figure in figures} | {"metrics.json", "index.html"}
    assert {path.name for path in directory.iterdir()} == names
    assert json.loads((directory / "metrics.json").read_text()) == numbers
    assert [path.name for path in directory.parent.iterdir()] == ["report"]


def test_the_page_opens_with_faces_and_tables_follow(written):
    page = (written[0] / "index.html").read_text()
    order = [
        "<h1>",
        '<h2 id="truth">',
        '<h2 id="chain">',
        "<h2>Try it",
        "<h2>Scores",
        "<table>",
        '<h2 id="expressions">',
    ]
    positions = [page.index(text) for text in order]
    assert positions == sorted(positions)
    assert all(page.count(f'<h2 id="{figure.name}">') == 1 for figure in written[2])


def test_a_report_without_avgan_says_so_once_and_shows_nothing_of_it(written):
    _, every, figures, result = written
    numbers = oracle.leave_out_avgan(every)
    matrices = [dataclasses.replace(m, grids=oracle.leave_out_avgan(m.grids)) for m in result.matrices]
    page = render_page(numbers, [figure for figure in figures if figure.name in ("chain", "expressions")], matrices)
    assert page.count("avGAN") == 1 and tables.left_out(numbers) in page and "avgan" not in page
    assert "Is the identity preserved?" in page and "Do landmarks help?" not in page
    assert tables.text_table(numbers).count("avGAN") == 1
    rows = dict(tables.table(numbers))["everyone"]
    assert [name for name, _ in rows] == ["avLandmarkGAN", "doing nothing", "real faces"]
    assert not any(cell.best for _, cells in rows for cell in cells)
    assert tables.left_out(every) == ""


def test_the_page_refers_to_no_other_files(written):
    directory, _, figures, _ = written
    page = (directory / "index.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(sources) == len(figures)
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    for figure in figures:
        assert figure.title in page
        assert figure.alt in page


def test_the_page_shows_the_numbers_of_metrics_json(written):
    directory, numbers, _, _ = written
    page = (directory / "index.html").read_text()
    for name in ("avlandmarkgan", "avgan"):
        assert f"{numbers['models'][name]['frechet_regressor']:.2f}" in page
    assert f"{numbers['groups']['infant']['do_nothing']['truth_psnr']:.2f}" in page
    assert "c0ffee" in page
    assert "0.87" in page and "4.1 %" in page and "5.7 %" in page


def test_the_page_shows_regions_flaws_and_sweeps(written):
    directory, numbers, _, _ = written
    page = (directory / "index.html").read_text()
    regions, sweeps = numbers["regions"]["infant"], numbers["sweeps"]["adult"]
    assert f">{regions['psnr']['warp']['mouth']:.2f} <" in page
    assert f">{regions['ssim']['do_nothing']['eyes']:.3f}<" in page
    assert f">{100 * regions['specks']['warp']:.1f} %<" in page
    assert f">{sweeps['valence']['avlandmarkgan']['gain']:.2f}<" in page
    titles = ("Which parts of the face are right?", "Are there specks or blur?", "Does the face follow a slider?")
    for title in titles:
        assert page.count(title) == 1
    for words in ("warp alone", "doing nothing", "ground truth", "90° excited"):
        assert f">{words}<" in page
    without = {key: value for key, value in numbers.items() if key not in ("regions", "sweeps", "circumplex")}
    shorter = render_page(without, written[2], [])
    assert not any(title in shorter for title in titles) and "90° excited" not in shorter


def test_photographs_have_the_sweeps_and_no_regions_on_the_page(written):
    _, numbers, figures, _ = written
    numbers = copy.deepcopy(numbers)
    numbers["regions"] = {}
    for group in ("adult", "infant"):
        numbers["circumplex"][group] |= {"psnr": {}, "ssim": {}, "nme": {}}
        for axis in ("valence", "arousal"):
            del numbers["sweeps"][group][axis]["truth"]
    page = render_page(numbers, figures, [])
    assert "Which parts" not in page and "Does the face follow" in page
    assert "gain in PSNR" not in page and "90° excited" in page


def test_a_score_without_a_value_is_shown_as_empty(written):
    _, numbers, figures, _ = written
    numbers = copy.deepcopy(numbers)
    adult = numbers["regions"]["adult"]
    adult["psnr"]["warp"]["mouth"] = adult["nearer"]["warp"]["mouth"] = adult["specks"]["warp"] = None
    page = render_page(numbers, figures, [])
    assert f">{tables.EMPTY} <span" in page and f">{tables.EMPTY}<" in page


def test_the_table_of_the_plane_by_hand():
    targets = 1 + len(circumplex.RADII) * circumplex.ANGLES
    rmse, psnr = np.arange(targets) / 100, np.arange(targets) / 10
    adult = {
        "rmse": {"avlandmarkgan": rmse.tolist()},
        "psnr": {"avlandmarkgan": (20 + psnr).tolist(), "do_nothing": [20.0] * targets},
    }
    found = tables.plane_table({"targets": [], "response": {}, "adult": adult})
    assert found.groups == ["adult"] and found.radii == circumplex.RADII and found.drawn
    rows = dict(found.rows)
    assert list(rows)[:4] == ["0° pleasant", "30°", "60°", "90° excited"] and len(rows) == circumplex.ANGLES
    # The centre is target 0. On the rings, a quarter turn is the fourth of 12 targets.
    assert [cell[0] for cell in rows["90° excited"]] == pytest.approx([0.04, 0.16, 0.28])
    assert [cell[1] for cell in rows["90° excited"]] == pytest.approx([0.4, 1.6, 2.8])
    photographs = tables.plane_table({"adult": adult | {"psnr": {}}})
    assert not photographs.drawn and photographs.rows[0][1][0] == (0.01, None)


def test_the_table_marks_the_better_model_and_shows_missing_scores_as_empty(written):
    _, numbers, _, _ = written
    blocks = dict(tables.table(numbers))
    assert list(blocks) == ["everyone", "adults", "infants"]
    rows = dict(blocks["everyone"])
    columns = [key for key, *_ in tables.table_columns(numbers)]
    assert "fid" not in columns
    avlandmarkgan, avgan = (dict(zip(columns, rows[name], strict=True)) for name in ("avLandmarkGAN", "avGAN"))
    assert (avlandmarkgan["rmse"].best, avgan["rmse"].best) == (True, False)
    assert (avlandmarkgan["truth_psnr"].best, avgan["truth_psnr"].best) == (True, False)
    assert avgan["truth_landmark_nme"].text == tables.EMPTY
    assert not avlandmarkgan["truth_landmark_nme"].best
    assert "avLandmarkGAN" in tables.text_table(numbers)


def test_the_comparison_shows_difference_interval_and_outcome(written):
    _, numbers, _, _ = written
    groups, rows = tables.comparisons(numbers)
    assert groups == ["everyone", "adults", "infants"]
    by_name = {row.name: dict(zip(groups, row.cells, strict=True)) for row in rows}
    difference, interval, outcome = by_name["RMSE"]["everyone"]
    assert difference == f"−{numbers['models']['avgan']['rmse']:.3f}"
    assert interval.startswith("−")
    assert outcome == "better"


@pytest.mark.parametrize(
    ("interval", "more", "outcome"),
    [
        ([0.1, 0.2], True, "better"),
        ([0.1, 0.2], False, "worse"),
        ([-0.2, -0.1], False, "better"),
        ([-0.1, 0.1], True, "undecided"),
        (None, True, "undecided"),
    ],
)
def test_the_outcome_is_undecided_if_the_interval_contains_zero(written, interval, more, outcome):
    _, numbers, _, _ = written
    key = "pcc_valence" if more else "rmse"
    name = next(name for column, name, _ in tables.COMPARED if column == key)
    numbers = copy.deepcopy(numbers)
    numbers["intervals"]["difference"][key] = interval
    _, rows = tables.comparisons(numbers)
    assert {row.name: row.cells[0][2] for row in rows}[name] == outcome


def test_the_interactive_plane_has_all_outputs_of_all_models(written):
    _, _, _, result = written
    steps = len(examples.MATRIX_STEPS)
    assert {matrix.infant for matrix in result.matrices} == {True, False}
    for matrix in result.matrices:
        assert set(matrix.grids) == {"avlandmarkgan", "avgan", "truth"}
        assert all(grid.shape == (steps, steps, 32, 32, 3) for grid in matrix.grids.values())
        np.testing.assert_array_equal(matrix.grids["avlandmarkgan"], matrix.grids["truth"])
        np.testing.assert_array_equal(matrix.grids["avgan"][3, 5], matrix.image)


def test_writing_again_gives_the_same_bytes(written, tmp_path):
    directory, numbers, figures, result = written
    write_report(tmp_path / "report", numbers, figures, result.matrices)
    for path in directory.iterdir():
        assert (tmp_path / "report" / path.name).read_bytes() == path.read_bytes()


def test_a_failed_report_does_not_change_the_old_one(written, tmp_path):
    _, numbers, figures, result = written
    old = write_report(tmp_path / "report", numbers, figures, result.matrices).read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_report(tmp_path / "report", numbers | {"broken": float("nan")}, figures, result.matrices)
    assert (tmp_path / "report" / "index.html").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_new_report_replaces_the_old_one(written, tmp_path):
    _, numbers, figures, result = written
    write_report(tmp_path / "report", numbers, figures, result.matrices)
    write_report(tmp_path / "report", numbers, figures[:1], result.matrices)
    assert len(list((tmp_path / "report").glob("*.png"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_the_page_of_one_experiment_shows_only_this_experiment(written, tmp_path):
    _, numbers, figures, _ = written
    selected = {name: numbers[name] for name in ("schema_version", "baby", "protocol", "provenance")}
    page = write_report(tmp_path / "baby", selected, [figures[-1]], []).read_text()
    assert "Infants and their parents" in page and "within people" in page
    assert "<h2>Scores" not in page and "Try it" not in page and "<script>" not in page
    assert tables.text_table(selected) == ""


def test_table_i_is_shown_with_the_papers_numbers(written, tmp_path):
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
    found = dict.fromkeys(WEIGHT_WORDS, rows)
    selected = {name: numbers[name] for name in ("schema_version", "protocol", "provenance")} | {"table_i": found}
    figure = report_figures.table_i(found)
    page = write_report(tmp_path / "table_i", selected, [figure], []).read_text()
    assert "0.345 ± 0.014" in page and "0.193" in page and "24.24" in page and "3.00 ± 1.41" in page
    assert page.count("face feature centres") == 1
    pixels = np.asarray(Image.open(io.BytesIO(figure.png))).astype(int)
    assert (pixels[..., 2] > pixels[..., 0] + 60).sum() > 500  # this project's curves are blue


def test_tables_and_headings_fit_the_window(browser, tmp_path):
    row = {key: [-0.238, -0.280, -0.207] for key in comparison_table.MEASURES}
    groups = {"all": row, "adult": row, "infant": row}
    comparison = {
        "trial_seeds": 4,
        "seeds": {"recipe": [0]},
        "rows": {"do_nothing": groups, "recipe": groups},
        "differences": [{"first": "recipe", "second": "paper", **groups}],
    }
    report = {"protocol": PROTOCOL, "provenance": PROVENANCE | {"steps": {}}, "comparison": comparison}
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    shown = [report_figures.Figure("comparison", "A figure", "A caption", "A picture", picture.getvalue(), (8, 8))]
    (tmp_path / "index.html").write_text(render_page(report, shown, []), encoding="utf-8")
    for width in (1280, 360):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto((tmp_path / "index.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width
        panels = page.locator(".panel:has(table)")
        assert panels.count() == 3
        first, second = (panels.nth(k).bounding_box() for k in range(2))
        assert second["y"] > first["y"] + first["height"]  # panels do not touch
        # On a wide window no table is cut off; on a phone the names of the rows leave room for numbers.
        cut_off = page.evaluate("[...document.querySelectorAll('.scroll')].map((e) => e.scrollWidth > e.clientWidth)")
        assert width < 1280 or not any(cut_off)
        assert panels.nth(0).locator("th[scope=row]").last.bounding_box()["width"] < first["width"] / 2
        page.close()


def test_names_from_the_data_are_escaped(written):
    _, numbers, figures, result = written
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'"
    numbers = copy.deepcopy(numbers)
    for key in ("data", "split"):
        numbers["protocol"][key] = hostile
    numbers["provenance"]["versions"] = {hostile: hostile}
    matrices = [dataclasses.replace(matrix, name=hostile) for matrix in result.matrices]
    page = render_page(numbers, figures, matrices)
    assert hostile not in page and "<script>alert" not in page and "<img src=x" not in page
    assert page.count("</script>") == render_page(*written[1:3], result.matrices).count("</script>")
    assert "alert(1)" in page  # shown as text

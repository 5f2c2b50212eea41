"""The results page: numbers come from stored reports, and the hand-written text is kept."""

import copy
import json

import oracle
import pytest

from avlgan_jax.errors import UserError
from avlgan_jax.evaluation.report import comparison_table, results_page, tables
from avlgan_jax.evaluation.report.results_page import Arguments
from avlgan_jax.faces import emotions

ROW = {
    "rmse": 0.31,
    "rmse_valence": 0.32,
    "rmse_arousal": 0.30,
    "pcc_valence": 0.81,
    "pcc_arousal": 0.68,
    "ccc_valence": 0.8,
    "ccc_arousal": 0.6,
    "frechet_regressor": 12.34,
    "fid": None,
    "truth_landmark_nme": 0.0184,
    "truth_psnr": 30.94,
    "truth_ssim": 0.9,
    "response": 0.05,
}
BOUNDS = {name: [value - 0.1, value + 0.1] for name, value in ROW.items() if value is not None}
ROWS = {
    "avlandmarkgan": ROW,
    "avgan": ROW | {"rmse": 0.57, "truth_landmark_nme": None},
    "do_nothing": ROW | {"rmse": 0.64},
    "regressor": ROW | {"rmse": 0.16},
}
INTERVALS = {**dict.fromkeys(ROWS, BOUNDS), "difference": BOUNDS}


def correlation(value):
    scores = {"pcc_valence": value, "interval": [value - 0.05, value + 0.05], "pcc_valence_within": value / 2}
    return {**scores, "interval_within": None, "ccc_valence": 0.4, "paper": None}


def weight_rows(own, rmse):
    """Return the rows of one weight of Table I, with the RMSE `rmse(value)` at each value."""
    return [
        {
            "value": value,
            "own": value == own,
            "rmse": rmse(value),
            "frechet_regressor": 2.0 + value,
            "fid": None,
            "truth_landmark_nme": 0.02,
            "seeds": {"rmse": [rmse(value)], "frechet_regressor": [2.0 + value]},
            "rmse_ratio": [rmse(value) / rmse(5.0), rmse(value) / rmse(5.0) - 0.02, rmse(value) / rmse(5.0) + 0.02],
            "paper": {"fid": 22.13, "rmse": 0.2},
        }
        for value in (0.0, 0.1, 1.0, 5.0, 10.0, 100.0)
    ]


REPORT = {
    "schema_version": 1,
    "models": {name: ROWS[name] for name in ("avlandmarkgan", "avgan")},
    "do_nothing": ROWS["do_nothing"],
    "regressor": ROWS["regressor"],
    "groups": {"adult": ROWS | {"samples": 750}, "infant": ROWS | {"samples": 0}},
    "intervals": {
        "models": dict.fromkeys(("avlandmarkgan", "avgan"), BOUNDS),
        **dict.fromkeys(("do_nothing", "regressor", "difference"), BOUNDS),
        "groups": {"adult": INTERVALS, "infant": INTERVALS},
    },
    "circumplex": {"response": {"avlandmarkgan": 0.05, "avgan": 0.04, "truth": 0.0625}},
    "fidelity": {"samples": 0, "landmark_nme": None, "identity_distance": None},
    "baby": {
        "infant": {
            "frames": 90,
            "people": 2,
            "interval_over": "people",
            "avgan": correlation(0.41),
            "avlandmarkgan": correlation(0.73),
        }
        | {"real": correlation(0.95), "difference": correlation(0.32) | {"paper": 0.21}},
        "parent": {
            "frames": 90,
            "people": 2,
            "interval_over": "people",
            "avgan": correlation(0.4),
            "avlandmarkgan": correlation(0.77),
        }
        | {"real": correlation(0.95), "difference": correlation(0.37) | {"paper": 0.01}},
    },
    "transfer": {},
    "table_ii": {name: {"count": 1000, "valence": 0.123, "arousal": None} for name in emotions.EXPRESSIONS},
    "table_i": {
        "landmark.emotion_weight": weight_rows(5.0, lambda value: 0.3),
        "landmark.centre_weight": weight_rows(5.0, lambda value: 0.3 + value / 100),
        "image.emotion_weight": weight_rows(5.0, lambda value: 0.6 if value == 0.0 else 0.3),
        "image.landmark_weight": [],
    },
    "protocol": {
        "data": "procedural_faces",
        "split": "validation",
        "resolution": 48,
        "faces": 1000,
        "seed": 0,
        "training_faces": 8000,
        "samples": 10000,
        "fid_mode": None,
    },
    "provenance": {"steps": {"regressor": 2800, "landmark": 4000, "image": 2200, "avgan": 2200}, "data_digest": "da7a"},
}


@pytest.fixture
def stored(tmp_path):
    """Return the page written from the report of a workdir."""
    return stored_report(tmp_path, REPORT)


def stored_report(tmp_path, found):
    report = tmp_path / "runs" / "demo" / "report"
    report.mkdir(parents=True)
    (report / "metrics.json").write_text(json.dumps(found))
    (report / "baby.png").write_bytes(b"png")
    (report / "scatter.png").write_bytes(b"not shown")
    return results_page.write(Arguments((tmp_path / "runs" / "demo",), tmp_path / "docs" / "results.md"))


def test_the_page_shows_the_numbers_of_the_report(stored):
    page = stored.read_text()
    assert "## demo: procedural_faces at 48 px" in page
    assert "python evaluate.py --workdir runs/demo --all --samples 10000 --seed 0" in page
    assert "| avLandmarkGAN | 0.310 | 0.320 | 0.300 | 0.81 |" in page
    assert "| doing nothing, adults | 0.640 |" in page and "infants |" not in page.split("Section IV-B")[0]
    assert "| infants, avLandmarkGAN | 90 | 2 | 0.73 [0.68 to 0.78] |" in page
    assert "| infants, avLandmarkGAN minus avGAN | 90 | 2 | +0.32 [0.27 to 0.37] | +0.16 [] | – | +0.21 |" in page
    assert "agree by construction" in page and "The two halves" not in page.split("Table I")[0]
    assert "ground truth 0.062" in page or "ground truth 0.063" in page
    assert "| emotion, image converter | 5 (own) | 0.300 | 1.00 [0.98 to 1.02] | 0.200 | 7.00 | 22.13 |" in page
    assert "| fear | 1,000 | 0.12 | – | −0.12 | 0.77 |" in page


def test_all_rows_of_a_table_have_the_same_number_of_columns(stored):
    tables = [block for block in stored.read_text().split("\n\n") if block.startswith("|")]
    assert len(tables) >= 6
    for table in tables:
        widths = {line.count("|") for line in table.strip().splitlines()}
        assert len(widths) == 1, table


def test_only_figures_on_the_page_are_stored(stored):
    folder = stored.with_suffix("") / "demo"
    assert {path.name for path in folder.iterdir()} == {"metrics.json", "baby.png"}
    assert "](results/demo/baby.png)" in stored.read_text()


def test_no_figures_of_photographs_are_stored(tmp_path):
    page = stored_report(tmp_path, REPORT | {"protocol": REPORT["protocol"] | {"data": "affectnet"}})
    assert [path.name for path in (page.with_suffix("") / "demo").iterdir()] == ["metrics.json"]
    assert "## demo: affectnet at 48 px" in page.read_text() and "](results/" not in page.read_text()


def test_the_hand_written_text_is_kept(stored):
    text = stored.read_text().replace(results_page.BEGIN + "\n", results_page.BEGIN + "\nInfants are few.\n")
    stored.write_text(text)
    results_page.write(Arguments(page=stored))
    assert stored.read_text() == text
    assert "Infants are few." in text


def test_a_report_without_avgan_says_so_once_and_has_no_row_of_it(tmp_path):
    name = "truth.png"
    pages = []
    report_without = oracle.leave_out_avgan(REPORT)
    for number, report in enumerate((REPORT, report_without)):
        page = stored_report(tmp_path / str(number), report)
        (page.with_suffix("") / "demo" / name).write_bytes(b"png")
        pages.append(results_page.write(Arguments(page=page)).read_text())
    every, some = pages
    assert some.count("avGAN") == 1 and tables.left_out(report_without) in some
    assert "Response to the target: avLandmarkGAN 0.050, ground truth" in some
    assert f"![input, avLandmarkGAN and ground truth](results/demo/{name})" in some
    assert f"![input, avGAN, avLandmarkGAN and ground truth](results/demo/{name})" in every
    # Besides the findings, headings and sentences, only the rows of avGAN and of the differences are gone.
    (every_rows, every_findings), (some_rows, some_findings) = map(table_rows, pages)
    gone = [line for line in every_rows if line not in some_rows]
    assert len(gone) == 2 + 2 + len(tables.COMPARED) + 2 + 2
    assert all(line in every_rows for line in some_rows)
    assert len(some_findings) == len(every_findings)  # every claim keeps its row
    not_measured = [line for line in some_findings if line.endswith("| not measured |") and line not in every_findings]
    assert len(not_measured) == 5


def table_rows(page):
    """Return the lines of all tables but the findings, and those of the findings."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    places = tuple(f"| {place} |" for place in ("Table I", "Table II", "Figure", "Section", "Abstract"))
    places += (
        "| Figure 5 |",
        "| Figure 6 |",
        "| Figure 7 |",
        "| Section IV-A |",
        "| Section IV-B |",
        "| Section IV-C |",
    )
    found = [line for line in lines if line.startswith(places)]
    return [line for line in lines if line not in found], found


def test_a_3d_report_is_compared_with_its_2d_counterpart_and_the_paper():
    report_3d = copy.deepcopy(REPORT)
    report_3d["protocol"]["landmark_dimensions"] = 3
    page = results_page.render({"demo": REPORT, "demo3d": report_3d}, {"demo": {}, "demo3d": {}}, "")
    assert "## demo: procedural_faces at 48 px\n" in page
    assert "## demo3d: procedural_faces at 48 px, 3-D landmarks\n" in page
    assert page.count("RMSE 0.211 and FID 26.7 with 3-D landmarks") == 1
    claim = "the RMSE is not lower with 3-D than with 2-D landmarks (difference of at least 0)"
    row = f"| Section IV-A | {claim} | +0.011 | {{}} |"
    assert page.count("not lower with 3-D") == 1
    assert row.format("+0.000 [−0.141 to 0.141] | undecided") in page
    other = copy.deepcopy(REPORT) | {"provenance": REPORT["provenance"] | {"data_digest": "other"}}
    without_counterpart = results_page.render({"demo": other, "demo3d": report_3d}, {"demo": {}, "demo3d": {}}, "")
    assert row.format("– | not measured") in without_counterpart


def test_a_report_of_before_people_were_the_unit_says_so(tmp_path):
    old = copy.deepcopy(REPORT)
    for row in old["baby"].values():
        del row["difference"], row["interval_over"]
    for rows in old["table_i"].values():
        for row in rows:
            del row["rmse_ratio"]
    page = stored_report(tmp_path, old).read_text()
    assert "intervals of this section were over seconds of video" in page
    assert "intervals of this section were" not in stored_report(tmp_path / "new", REPORT).read_text()
    rows = [line for line in page.splitlines() if line.startswith(("| Section IV-B |", "| Figure 7 |"))]
    assert len(rows) == 4 and all(line.endswith("| – | not measured |") for line in rows)
    assert "| 2.80 | 2.00 | undecided |" in page  # Table I has the ratio, and no interval of it


def test_a_workdir_without_a_report_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="evaluate.py --workdir"):
        results_page.write(Arguments((tmp_path,), tmp_path / "results.md"))


def test_without_reports_the_page_shows_how_to_create_one(tmp_path):
    page = results_page.write(Arguments(page=tmp_path / "results.md")).read_text()
    assert "python ablate.py --workdir runs/NAME" in page


@pytest.mark.parametrize("groups", [{"infant": 0.21}, {"infant": 0.21, "parent": 0.01}])
def test_the_comparison_on_sequences_names_the_measured_groups(groups):
    row = {key: [0.5, 0.4, 0.6] for key in comparison_table.MEASURES}
    rows = {"do_nothing": {"all": row, "adult": row, "infant": dict.fromkeys(row)}}
    score = {"pcc_valence": [0.5, 0.4, 0.6], "pcc_valence_within": [0.5, None, None]}
    part = {"people": 3, "rows": {"recipe": score}, "differences": []}
    report = REPORT | {
        "comparison": {"trial_seeds": 4, "seeds": {"recipe": [0, 1]}, "rows": rows, "differences": []},
        "comparison_baby": {group: part | {"paper": paper} for group, paper in groups.items()},
    }
    text = results_page.render({"mine": report}, {"mine": {}}, "")
    shown = " and ".join(f"+{paper} for {group}s" for group, paper in groups.items())
    assert f"The paper's difference is\n{shown}.\n" in text
    assert "| avLandmarkGAN, this recipe (2 trainings) | 0.50 [0.40, 0.60] | 0.50 [–, –] |" in text


def test_experiments_that_were_run_alone_are_stored_with_the_report(tmp_path):
    alone = tmp_path / "runs" / "demo" / "experiments" / "baby"
    alone.mkdir(parents=True)
    protocol = REPORT["protocol"] | {"split": "test"}
    baby = {"infant": REPORT["baby"]["infant"] | {"people": 60}, "parent": REPORT["baby"]["parent"]}
    numbers = {"schema_version": 1, "baby": baby, "protocol": protocol, "provenance": {"data_digest": "0ther"}}
    (alone / "metrics.json").write_text(json.dumps(numbers))
    (alone / "baby.png").write_bytes(b"newer")
    page = stored_report(tmp_path, REPORT)
    kept = json.loads((page.with_suffix("") / "demo" / "metrics.json").read_text())
    assert kept["baby"]["infant"]["people"] == 60
    assert kept["protocol"]["split"] == "validation" and kept["models"] == REPORT["models"]
    assert kept["alone"] == {"baby": {"protocol": protocol, "provenance": {"data_digest": "0ther"}}}
    assert (page.with_suffix("") / "demo" / "baby.png").read_bytes() == b"newer"

"""The rule that turns an interval into a verdict, and the rows of the findings by hand."""

import copy

import pytest
from test_results_page import REPORT, correlation

from avlgan_jax.evaluation.report import findings
from avlgan_jax.evaluation.report.findings import verdict


@pytest.mark.parametrize(
    ("bounds", "above_zero", "within", "below_zero"),
    [
        ((0.01, 0.2), "agrees", "undecided", "contradicts"),
        ((-0.01, 0.2), "undecided", "undecided", "undecided"),
        ((-0.2, -0.01), "contradicts", "undecided", "agrees"),
        ((-0.04, 0.05), "undecided", "agrees", "undecided"),
        ((0.06, 0.2), "agrees", "contradicts", "contradicts"),
        ((-0.2, -0.06), "contradicts", "contradicts", "agrees"),
        ((None, None), "undecided", "undecided", "undecided"),
    ],
)
def test_the_verdict_is_by_where_the_whole_interval_lies(bounds, above_zero, within, below_zero):
    estimate = (0.1, *bounds)
    assert verdict(estimate, low=0.0) == above_zero
    assert verdict(estimate, low=-0.05, high=0.05) == within
    assert verdict(estimate, high=0.0) == below_zero
    assert verdict(None, low=0.0) == findings.NOT_MEASURED


def rows_of(report, place):
    return [row for row in findings.findings(report) if row.place == place]


def test_every_part_of_the_paper_has_its_rows():
    places = [row.place for row in findings.findings(REPORT)]
    for place in (
        "Table I",
        "Table II",
        "Figure 5",
        "Figure 6",
        "Figure 7",
        "Abstract",
        "Section IV-B",
        "Section IV-C",
    ):
        assert place in places
    bare = {name: REPORT[name] for name in ("protocol", "provenance")}
    assert [row.place for row in findings.findings(bare)] == places
    assert {row.verdict for row in findings.findings(bare)} == {findings.NOT_MEASURED}
    assert {row.here for row in findings.findings(bare)} == {"–"}


def test_section_iv_b_by_hand():
    infants, parents = rows_of(REPORT, "Section IV-B")
    assert (infants.paper, infants.here, infants.verdict) == ("+0.21", "+0.32 [0.27 to 0.37]", "agrees")
    assert (parents.paper, parents.here, parents.verdict) == ("+0.01", "+0.37 [0.32 to 0.42]", "contradicts")
    alike = copy.deepcopy(REPORT)
    alike["baby"]["parent"]["difference"] = correlation(0.0)
    alike["baby"]["infant"]["difference"] = correlation(0.02)
    infants, parents = rows_of(alike, "Section IV-B")
    assert (infants.verdict, parents.verdict) == ("undecided", "agrees")
    follows = [row.verdict for row in rows_of(REPORT, "Figure 7")]
    assert follows == ["agrees", "agrees"]


def test_section_iv_c_by_hand():
    report = copy.deepcopy(REPORT)
    over = {
        "arrived_arousal": {"mean": 0.62, "interval": [0.41, 0.8]},
        "arrived_valence": {"mean": 0.9, "interval": [0.85, 0.94]},
    }
    report["transfer"] = {"dyads": {"count": 60, "infant": over}}
    arousal, valence = rows_of(report, "Section IV-C")
    assert (arousal.here, arousal.verdict) == ("0.62 [0.41 to 0.80]", "undecided")
    assert (valence.here, valence.verdict) == ("0.90 [0.85 to 0.94]", "agrees")
    assert "arousal" in arousal.claim and "valence" in valence.claim


def test_table_i_by_hand():
    rows = {row.claim: row for row in rows_of(REPORT, "Table I")}
    rises = next(row for claim, row in rows.items() if "RMSE rises" in claim)
    assert (rises.paper, rises.here, rises.verdict) == ("2.80", "2.00 [1.98 to 2.02]", "agrees")
    farther = next(row for claim, row in rows.items() if "distance to the training pictures rises" in claim)
    assert (farther.paper, farther.here, farther.verdict) == ("2.93", "14.57", "undecided")  # one training
    hardly = [row for claim, row in rows.items() if "hardly depends" in claim]
    assert [row.verdict for row in hardly] == ["agrees", "contradicts", "not measured"]
    assert hardly[0].here == "1.00 [0.98 to 1.02] farthest" and hardly[0].paper == "0.94 to 1.02"
    assert "within 10% of 1" in hardly[0].claim


def test_the_distance_has_a_verdict_where_it_has_an_interval():
    report = copy.deepcopy(REPORT)
    for row in report["table_i"]["image.emotion_weight"]:
        row["distance_ratio"] = [14.57, 13.0, 16.0] if row["value"] == 100.0 else None
    (farther,) = (row for row in rows_of(report, "Table I") if "distance to the training pictures rises" in row.claim)
    assert (farther.here, farther.verdict) == ("14.57 [13.00 to 16.00]", "agrees")
    report["models"]["avlandmarkgan"] = report["models"]["avlandmarkgan"] | {"fid": 25.0}
    bounds = report["intervals"]["models"]["avlandmarkgan"]
    for interval, outcome in (([24.0, 26.0], "contradicts"), ([21.0, 29.0], "undecided"), (None, "undecided")):
        report["intervals"]["models"]["avlandmarkgan"] = bounds | {"fid": interval}
        (fid,) = (row for row in rows_of(report, "Table I") if "FID of the outputs" in row.claim)
        assert fid.verdict == outcome


def test_drawn_faces_agree_with_table_ii_by_construction():
    (row,) = rows_of(REPORT, "Table II")
    assert row.verdict == "by construction"
    photographs = REPORT | {"protocol": REPORT["protocol"] | {"data": "affectnet"}}
    (row,) = rows_of(photographs, "Table II")
    assert row.verdict == "contradicts" and row.here == "0.85"  # sad: 0.12 here, -0.69 there


@pytest.mark.parametrize(("avgan", "fair"), [(2200, True), (1840, True), (1830, False), (2640, True), (2650, False)])
def test_models_trained_for_different_numbers_of_steps_are_not_comparable(avgan, fair):
    report = copy.deepcopy(REPORT)
    report["provenance"]["steps"]["avgan"] = avgan
    outcomes = [row.verdict for row in rows_of(report, "Section IV-B")]
    unfair = f"not comparable: avGAN was trained for {avgan:,} steps, the image converter for 2,200"
    assert outcomes == (["agrees", "contradicts"] if fair else [unfair, unfair])
    assert "agrees" in [row.verdict for row in findings.findings(report)]  # claims about one model are unaffected


def test_the_comparison_over_trainings_has_its_rows():
    bounds = {"pcc_valence": [0.03, -0.01, 0.07]}
    compared = {"differences": [{"first": "recipe", "second": "recipe_avgan", "infant": bounds}]}
    row = rows_of(REPORT | {"comparison": compared}, "Abstract")[-1]
    assert "avLandmarkGAN, this recipe, minus avGAN, this recipe" in row.claim
    assert (row.here, row.verdict) == ("+0.030 [−0.010 to 0.070]", "undecided")

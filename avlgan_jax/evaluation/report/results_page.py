"""The page of results, written from stored reports and from nothing else.

    python -m avlgan_jax.evaluation.report.results_page  # docs/results.md again from docs/results/*/metrics.json
    python -m avlgan_jax.evaluation.report.results_page --add runs/demo  # after storing the report of a workdir there

Every number on the page stands in a stored `metrics.json`. A person's words, between the two marks at its end, stay.
"""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import tyro

from avlgan_jax import atomic_files
from avlgan_jax.errors import UserError, command, command_line
from avlgan_jax.evaluation.experiments.table_i import PAPER as TABLE_I
from avlgan_jax.evaluation.experiments.table_i import PAPER_2D, PAPER_3D
from avlgan_jax.evaluation.report.names import WEIGHTS
from avlgan_jax.evaluation.report.page import template
from avlgan_jax.evaluation.report.tables import comparisons, table_columns
from avlgan_jax.faces import emotions
from avlgan_jax.training.ablation.recipe import RECIPE_PARTS

METRICS = "metrics.json"

# The figures that are stored with a report and shown on the page.
FIGURES = {
    "truth": "input, avGAN, avLandmarkGAN and truth",
    "outputs": "input, avGAN and avLandmarkGAN",
    "expressions": "the eight expressions (Figure 6)",
    "avimage_matrix_infant": "an avImage matrix (Figure 5)",
    "circumplex_truth": "gain over doing nothing around the plane",
    "baby": "asked and judged valence of infants and parents (Figure 7)",
    "transfer": "a dyad's expressions on another pair (Figure 8)",
    "table_i": "RMSE and distance over each loss weight (Table I)",
    "recipe": "the same faces without each part of the recipe",
}

# What a person writes is kept between these.
BEGIN, END = "<!-- words -->", "<!-- end of words -->"


@dataclass(frozen=True)
class Arguments:
    """Write the page of results from stored reports."""

    add: tuple[Path, ...] = ()
    """Workdirs whose reports (evaluate.py --all) are stored beside the page first, under their folders' names."""
    page: Path = Path("docs/results.md")
    """The page; reports are stored in the folder of the same name beside it."""


@dataclass(frozen=True)
class Claim:
    """Something the paper found, as numbers: the paper's, ours, and whether they agree (None: not measured)."""

    text: str
    paper: str
    here: str
    agrees: bool | None
    unfair: str = ""
    """Why the numbers cannot tell whether they agree, if they cannot."""

    @property
    def verdict(self) -> str:
        """The last column."""
        if self.agrees is None:
            return "not measured"
        return self.unfair or ("agrees" if self.agrees else "**differs**")


def write(arguments: Arguments) -> Path:
    """Store what is to be added and write the page. Raises UserError where a workdir has no report."""
    store = arguments.page.with_suffix("")
    for directory in arguments.add:
        _store(directory, store)
    reports = {path.parent.name: json.loads(path.read_text()) for path in sorted(store.glob(f"*/{METRICS}"))}
    page = render(reports, {name: _pictures(store / name) for name in reports}, _words(arguments.page))
    arguments.page.parent.mkdir(parents=True, exist_ok=True)
    atomic_files.write_text(arguments.page, page)
    return arguments.page


def render(reports: dict[str, dict], pictures: dict[str, dict[str, str]], words: str) -> str:
    """The page of these reports by name, with the `pictures` (file name to words) stored with each."""
    return template("results.md").render(
        reports=reports,
        pictures=pictures,
        words=words,
        begin=BEGIN,
        end=END,
        columns={name: table_columns(found) for name, found in reports.items()},
        compared={name: comparisons(found) for name, found in reports.items()},
        claims={name: claims(found, _in_two_dimensions(found, reports)) for name, found in reports.items()},
        weight_names=WEIGHTS,
        parts=RECIPE_PARTS,
        table_ii=list(zip(emotions.EXPRESSIONS, emotions.TABLE_II.tolist(), strict=True)),
    )


def claims(found: dict, flat: dict | None = None) -> list[Claim]:
    """The paper's findings beside those of one report; of 3-D landmarks, `flat` is its counterpart with 2-D ones."""
    told = [_no_better(found, flat)] if _dimensions(found) == 3 else []
    for group, paper in (("infant", 0.70 - 0.49), ("parent", 0.65 - 0.64)):
        row = found.get("baby", {}).get(group)
        gain = row["avlandmarkgan"]["pcc_valence"] - row["avgan"]["pcc_valence"] if row else None
        agrees = None if gain is None else (gain > 0.05) == (paper > 0.05)
        text = f"landmarks raise the correlation of valence on {group}s ({'much' if paper > 0.05 else 'hardly'})"
        told.append(Claim(text, _signed(paper), _signed(gain), agrees, _head_start(found["provenance"]["steps"])))
    rows = {weight: {row["value"]: row for row in rows} for weight, rows in found.get("table_i", {}).items()}
    emotion = rows.get("image.emotion_weight", {})
    paper = TABLE_I["image.emotion_weight"]
    told.append(
        _ratio("without an emotion loss in the image converter the RMSE rises", emotion, paper, "rmse", 1, (0.0, 5.0))
    )
    told.append(
        _ratio("with too much of it the pictures suffer (distance)", emotion, paper, _distance(found), 0, (100.0, 5.0))
    )
    for weight in WEIGHTS:
        if weight != "image.emotion_weight":
            told.append(_insensitive(weight, rows.get(weight, {})))
    return told


def _head_start(steps: dict[str, int]) -> str:
    """That one of the two models had more than a fifth more training than the other, if it had."""
    image, avgan = steps["image"], steps["avgan"]
    if 5 * max(image, avgan) <= 6 * min(image, avgan):
        return ""
    return f"cannot tell: avGAN had {avgan:,} steps, the image converter {image:,}"


def _ratio(text: str, rows: dict, paper: dict, measure: str, place: int, at: tuple[float, float]) -> Claim:
    theirs = paper[at[0]][place] / paper[at[1]][place]
    if any(value not in rows for value in at):
        return Claim(text, f"{theirs:.1f}-fold", "–", None)
    ours = rows[at[0]][measure] / rows[at[1]][measure]
    return Claim(text, f"{theirs:.1f}-fold", f"{ours:.1f}-fold", ours > 1.25)


def _insensitive(weight: str, rows: dict) -> Claim:
    """Whether the RMSE hardly depends on a weight: its range over the grid, as a share of its mean."""

    def width(values: list[float]) -> float:
        return (max(values) - min(values)) / (sum(values) / len(values))

    theirs = width([rmse for _, rmse in TABLE_I[weight].values()])
    text = f"the RMSE hardly depends on the weight of {WEIGHTS[weight]} (range over mean)"
    if len(rows) < 2:
        return Claim(text, f"{theirs:.0%}", "–", None)
    ours = width([row["rmse"] for row in rows.values()])
    return Claim(text, f"{theirs:.0%}", f"{ours:.0%}", ours < 0.25)


def _dimensions(found: dict) -> int:
    return found["protocol"].get("landmark_dimensions", 2)


def _in_two_dimensions(found: dict, reports: dict[str, dict]) -> dict | None:
    """A 3-D report's counterpart: the same trials, as long a training, but 2-D landmarks. None where there is none."""
    if _dimensions(found) == 2:
        return None

    def setting(report: dict) -> tuple:
        kept = {k: v for k, v in report["protocol"].items() if k not in ("landmark_dimensions", "experiments")}
        return kept, report["provenance"]["steps"], report["provenance"]["data_digest"]

    same = (report for report in reports.values() if _dimensions(report) == 2 and setting(report) == setting(found))
    return next(same, None)


def _no_better(found: dict, flat: dict | None) -> Claim:
    """Whether 3-D landmarks leave the RMSE as it is or raise it, as far as the interval of the 2-D run can tell."""
    text, theirs = "3-D landmarks do not lower the RMSE of 2-D ones", f"{PAPER_3D[1]:.3f} against {PAPER_2D[1]:.3f}"
    ours = found["models"]["avlandmarkgan"]["rmse"]
    if flat is None:
        return Claim(text, theirs, f"{ours:.3f} against –", None)
    rival = flat["models"]["avlandmarkgan"]["rmse"]
    low, _ = flat["intervals"]["models"]["avlandmarkgan"]["rmse"] or (rival, rival)
    return Claim(text, theirs, f"{ours:.3f} against {rival:.3f}", ours >= low)


def _distance(found: dict) -> str:
    return "fid" if found["protocol"].get("fid_mode") else "frechet_regressor"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")


def _store(directory: Path, store: Path) -> None:
    """Keep a workdir's report. Faces from elsewhere stay where they are: of photographs the numbers alone are kept."""
    report = directory / "report"
    if not (report / METRICS).is_file():
        raise UserError(
            f"no report in {directory}; write it first: {command_line('evaluate')} --workdir {directory} --all"
        )
    drawn = json.loads((report / METRICS).read_text())["protocol"]["data"] == "procedural_faces"
    figures = FIGURES if drawn else ()
    with atomic_files.atomic_folder(store / directory.resolve().name) as fresh:
        for name in (METRICS, *(f"{name}.png" for name in figures)):
            if (report / name).is_file():
                shutil.copyfile(report / name, fresh / name)


def _pictures(folder: Path) -> dict[str, str]:
    found = {f"{folder.parent.name}/{folder.name}/{name}.png": words for name, words in FIGURES.items()}
    return {path: words for path, words in found.items() if (folder.parent.parent / path).is_file()}


def _words(page: Path) -> str:
    """What a person has written on the page, or the place for it."""
    if not page.is_file():
        return "\n"
    found = re.search(f"{re.escape(BEGIN)}(.*){re.escape(END)}", page.read_text(), re.DOTALL)
    return found.group(1) if found else "\n"


@command
def main() -> None:
    """The command line."""
    print(write(tyro.cli(Arguments, description=__doc__)))


if __name__ == "__main__":
    main()

"""Write the results page from the stored reports.

    python -m avlgan_jax.evaluation.report.results_page                  # docs/results.md from docs/results/
    python -m avlgan_jax.evaluation.report.results_page --add runs/demo  # store the report of a workdir first

Every score of this project in the tables comes from a stored `metrics.json`. The hand-written text between the two
marks at the end of the page is kept.
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
from avlgan_jax.evaluation.report import comparison_table
from avlgan_jax.evaluation.report.names import WEIGHT_WORDS
from avlgan_jax.evaluation.report.page import template
from avlgan_jax.evaluation.report.tables import comparisons, left_out, table_columns
from avlgan_jax.faces import emotions
from avlgan_jax.faces.drawing import signed
from avlgan_jax.training import workdir
from avlgan_jax.training.ablation.recipe import RECIPE_PARTS
from avlgan_jax.training.workdir import METRICS

# The figures that are stored with a report and shown on the page: stem of the PNG file, and alt text. {avgan} is the
# column of avGAN's outputs, for a run that trained it.
FIGURES = {
    "truth": "input{avgan}, avLandmarkGAN and ground truth",
    "outputs": "input{avgan} and avLandmarkGAN",
    "expressions": "the eight expressions (Figure 6)",
    "avimage_matrix_infant": "an avImage matrix (Figure 5)",
    "circumplex_truth": "gain over doing nothing at targets all over the plane",
    "baby": "target and predicted valence of infants and parents (Figure 7)",
    "transfer": "a dyad's expressions transferred to another pair (Figure 8)",
    "table_i": "RMSE and distance over each loss weight (Table I)",
    "recipe": "the same faces by models without one part of the recipe",
    "comparison": "the same faces by the models of the comparison",
}

# The marks around the hand-written text.
BEGIN, END = "<!-- words -->", "<!-- end of words -->"


@dataclass(frozen=True)
class Arguments:
    """Write the results page from the stored reports."""

    add: tuple[Path, ...] = ()
    """Workdirs whose reports (evaluate.py --all) are stored first, each under the name of its workdir."""
    page: Path = Path("docs/results.md")
    """Markdown file to write. Reports are stored in the folder of the same name without .md, next to it."""


@dataclass(frozen=True)
class Claim:
    """A finding of the paper, compared with a report of this project.

    Attributes:
        text: The finding in words.
        paper: The paper's number, formatted.
        here: The report's number, formatted.
        agrees: Whether the report agrees with the paper; None if it was not measured.
        unfair: Why the two numbers are not comparable, or "" if they are.
    """

    text: str
    paper: str
    here: str
    agrees: bool | None
    unfair: str = ""

    @property
    def verdict(self) -> str:
        """Text of the last column: "agrees", "**differs**", "not measured", or why it is not comparable."""
        if self.agrees is None:
            return "not measured"
        return self.unfair or ("agrees" if self.agrees else "**differs**")


def write(arguments: Arguments) -> Path:
    """Store the reports to add, and write the page.

    Returns:
        The path of the page.

    Raises:
        UserError: A workdir to add has no report.
    """
    store = arguments.page.with_suffix("")
    for directory in arguments.add:
        _store(directory, store)
    reports = {path.parent.name: json.loads(path.read_text()) for path in sorted(store.glob(f"*/{METRICS}"))}
    pictures = {name: _pictures(store / name, report) for name, report in reports.items()}
    page = render(reports, pictures, _words(arguments.page))
    arguments.page.parent.mkdir(parents=True, exist_ok=True)
    atomic_files.write_text(arguments.page, page)
    return arguments.page


def render(reports: dict[str, dict], pictures: dict[str, dict[str, str]], words: str) -> str:
    """Return the page as Markdown.

    Args:
        reports: Content of `metrics.json` by name of the report.
        pictures: By name of the report, the alt text of each figure by its path relative to the page.
        words: The hand-written text between the two marks.
    """
    return template("results.md").render(
        reports=reports,
        pictures=pictures,
        words=words,
        begin=BEGIN,
        end=END,
        columns={name: table_columns(report) for name, report in reports.items()},
        compared={name: comparisons(report) for name, report in reports.items()},
        left_out={name: left_out(report) for name, report in reports.items()},
        claims={name: claims(report, _in_two_dimensions(report, reports)) for name, report in reports.items()},
        weight_names=WEIGHT_WORDS,
        parts=RECIPE_PARTS,
        comparison_headings=comparison_table.headings(),
        comparison_tables={n: comparison_table.tables(report.get("comparison", {})) for n, report in reports.items()},
        table_ii=list(zip(emotions.EXPRESSIONS, emotions.TABLE_II.tolist(), strict=True)),
    )


def claims(report: dict, in_2d: dict | None = None) -> list[Claim]:
    """Return the paper's findings, each compared with one report; those about avGAN only where it was trained.

    Args:
        report: Content of `metrics.json`.
        in_2d: For a report with 3-D landmarks, its counterpart with 2-D landmarks if there is one.
    """
    result = [_no_better(report, in_2d)] if _dimensions(report) == 3 else []
    gains = (("infant", 0.70 - 0.49), ("parent", 0.65 - 0.64))
    for group, paper in () if left_out(report) else gains:
        row = report.get("baby", {}).get(group)
        gain = row["avlandmarkgan"]["pcc_valence"] - row["avgan"]["pcc_valence"] if row else None
        agrees = None if gain is None else (gain > 0.05) == (paper > 0.05)
        size = "more than" if paper > 0.05 else "at most"
        text = f"landmarks raise the correlation of valence on {group}s by {size} 0.05"
        result.append(Claim(text, _signed(paper), _signed(gain), agrees, _head_start(report["provenance"]["steps"])))
    rows = {weight: {row["value"]: row for row in rows} for weight, rows in report.get("table_i", {}).items()}
    emotion = rows.get("image.emotion_weight", {})
    paper = TABLE_I["image.emotion_weight"]
    result.append(
        _ratio(
            "without the emotion loss of the image converter the RMSE rises (weight 0 against 5)",
            emotion,
            paper,
            "rmse",
            1,
            (0.0, 5.0),
        )
    )
    result.append(
        _ratio(
            "with too large a weight of that loss the distance to the training pictures rises (100 against 5)",
            emotion,
            paper,
            _distance(report),
            0,
            (100.0, 5.0),
        )
    )
    for weight in WEIGHT_WORDS:
        if weight != "image.emotion_weight":
            result.append(_insensitive(weight, rows.get(weight, {})))
    return result


def _head_start(steps: dict[str, int]) -> str:
    """Return why avGAN and the image converter are not comparable, if one had over a fifth more steps; else ""."""
    image, avgan = steps["image"], steps["avgan"]
    if 5 * max(image, avgan) <= 6 * min(image, avgan):
        return ""
    return f"not comparable: avGAN was trained for {avgan:,} steps, the image converter for {image:,}"


def _ratio(text: str, rows: dict, paper: dict, measure: str, place: int, at: tuple[float, float]) -> Claim:
    """Compare the ratio of a measure at two values of a weight; the report agrees if it is above 1.25."""
    theirs = paper[at[0]][place] / paper[at[1]][place]
    if any(value not in rows for value in at):
        return Claim(text, f"{theirs:.1f}-fold", "–", None)
    ours = rows[at[0]][measure] / rows[at[1]][measure]
    return Claim(text, f"{theirs:.1f}-fold", f"{ours:.1f}-fold", ours > 1.25)


def _insensitive(weight: str, rows: dict) -> Claim:
    """Compare the range of the RMSE over a weight's values, as a share of its mean; below 0.25 the report agrees."""

    def width(values: list[float]) -> float:
        return (max(values) - min(values)) / (sum(values) / len(values))

    theirs = width([rmse for _, rmse in TABLE_I[weight].values()])
    text = f'the RMSE hardly depends on the loss weight "{WEIGHT_WORDS[weight]}" (range over mean)'
    if len(rows) < 2:
        return Claim(text, f"{theirs:.0%}", "–", None)
    ours = width([row["rmse"] for row in rows.values()])
    return Claim(text, f"{theirs:.0%}", f"{ours:.0%}", ours < 0.25)


def _dimensions(report: dict) -> int:
    return report["protocol"].get("landmark_dimensions", 2)


def _in_two_dimensions(report: dict, reports: dict[str, dict]) -> dict | None:
    """Return the 2-D counterpart of a 3-D report (same protocol, steps and data), or None if there is none."""
    if _dimensions(report) == 2:
        return None

    def setting(candidate: dict) -> tuple:
        kept = {k: v for k, v in candidate["protocol"].items() if k not in ("landmark_dimensions", "experiments")}
        return kept, candidate["provenance"]["steps"], candidate["provenance"]["data_digest"]

    same = (other for other in reports.values() if _dimensions(other) == 2 and setting(other) == setting(report))
    return next(same, None)


def _no_better(report: dict, in_2d: dict | None) -> Claim:
    """Compare the RMSE with 3-D and 2-D landmarks; 3-D agrees if not below the 95 % interval of the 2-D run."""
    text, theirs = (
        "the RMSE is not lower with 3-D than with 2-D landmarks",
        f"{PAPER_3D[1]:.3f} against {PAPER_2D[1]:.3f}",
    )
    ours = report["models"]["avlandmarkgan"]["rmse"]
    if in_2d is None:
        return Claim(text, theirs, f"{ours:.3f} against –", None)
    rival = in_2d["models"]["avlandmarkgan"]["rmse"]
    low, _ = in_2d["intervals"]["models"]["avlandmarkgan"]["rmse"] or (rival, rival)
    return Claim(text, theirs, f"{ours:.3f} against {rival:.3f}", ours >= low)


def _distance(report: dict) -> str:
    return "fid" if report["protocol"].get("fid_mode") else "frechet_regressor"


def _signed(value: float | None) -> str:
    return "–" if value is None else signed(value, zero=None)


def _store(directory: Path, store: Path) -> None:
    """Store a workdir's report: the scores, and for procedural faces the FIGURES. No photographs are copied."""
    report = workdir.report(directory)
    if not (report / METRICS).is_file():
        raise UserError(
            f"{directory} has no report ({report / METRICS} is missing); "
            f"write it with: {command_line('evaluate')} --workdir {directory} --all"
        )
    drawn = json.loads((report / METRICS).read_text())["protocol"]["data"] == "procedural_faces"
    figures = FIGURES if drawn else ()
    with atomic_files.atomic_folder(store / directory.resolve().name) as fresh:
        for name in (METRICS, *(f"{name}.png" for name in figures)):
            if (report / name).is_file():
                shutil.copyfile(report / name, fresh / name)


def _pictures(folder: Path, report: dict) -> dict[str, str]:
    """Return the alt text of each stored figure of `report` in `folder`, by its path relative to the page."""
    avgan = "" if left_out(report) else ", avGAN"
    paths = {f"{folder.parent.name}/{folder.name}/{name}.png": alt.format(avgan=avgan) for name, alt in FIGURES.items()}
    return {path: alt for path, alt in paths.items() if (folder.parent.parent / path).is_file()}


def _words(page: Path) -> str:
    """Return the hand-written text of the page, or a line break where it has none."""
    if not page.is_file():
        return "\n"
    found = re.search(f"{re.escape(BEGIN)}(.*){re.escape(END)}", page.read_text(), re.DOTALL)
    return found.group(1) if found else "\n"


@command
def main() -> None:
    """Run the command line."""
    print(write(tyro.cli(Arguments, description=__doc__)))


if __name__ == "__main__":
    main()

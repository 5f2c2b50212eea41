"""Write the results page from the stored reports.

    python -m avlgan_jax.evaluation.report.results_page                  # docs/results.md from docs/results/
    python -m avlgan_jax.evaluation.report.results_page --add runs/demo  # store the report of a workdir first

With the report of a workdir, those of experiments that were run alone (`evaluate.py --experiment`) are stored too.

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
from avlgan_jax.evaluation.report import comparison_table
from avlgan_jax.evaluation.report.findings import findings
from avlgan_jax.evaluation.report.names import WEIGHT_WORDS
from avlgan_jax.evaluation.report.page import template
from avlgan_jax.evaluation.report.tables import comparisons, left_out, table_columns
from avlgan_jax.faces import emotions
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
        found={name: findings(report, _in_two_dimensions(report, reports)) for name, report in reports.items()},
        weight_names=WEIGHT_WORDS,
        parts=RECIPE_PARTS,
        comparison_headings=comparison_table.headings(),
        baby_headings=list(comparison_table.BABY.values()),
        baby_tables={n: comparison_table.baby_tables(report) for n, report in reports.items()},
        comparison_tables={n: comparison_table.tables(report.get("comparison", {})) for n, report in reports.items()},
        table_ii=list(zip(emotions.EXPRESSIONS, emotions.TABLE_II.tolist(), strict=True)),
    )


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


def _store(directory: Path, store: Path) -> None:
    """Store a workdir's report: the scores, and for procedural faces the FIGURES. No photographs are copied.

    Experiments that were run alone replace those of the report. `alone` says with which protocol and data.
    """
    report = workdir.report(directory)
    if not (report / METRICS).is_file():
        raise UserError(
            f"{directory} has no report ({report / METRICS} is missing); "
            f"write it with: {command_line('evaluate')} --workdir {directory} --all"
        )
    numbers = json.loads((report / METRICS).read_text())
    sources, alone = [report], {}
    for path in sorted(workdir.report(directory, "*").parent.glob(f"*/{METRICS}")):
        found = json.loads(path.read_text())
        alone[path.parent.name] = {key: found.pop(key) for key in ("protocol", "provenance")}
        numbers |= found
        sources.append(path.parent)
    if alone:
        numbers["alone"] = alone
    figures = FIGURES if numbers["protocol"]["data"] == "procedural_faces" else ()
    with atomic_files.atomic_folder(store / directory.resolve().name) as fresh:
        (fresh / METRICS).write_text(json.dumps(numbers, indent=2) + "\n")
        for source in sources:
            for name in figures:
                if (source / f"{name}.png").is_file():
                    shutil.copyfile(source / f"{name}.png", fresh / f"{name}.png")


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

"""The direction of imports in `docs/architecture.md`, checked on every import in the sources, at any depth."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT

# Groups of modules by rank. A module imports from its own group and from groups of lower rank.
RANKS = (
    ("root files",),
    ("faces",),
    ("data", "photographs"),
    ("runtime", "datasets"),
    ("models",),
    ("training",),
    ("evaluation", "editing"),
    ("app", "avlgan_jax"),  # `avlgan_jax/__init__.py`, which exports `load` and `Editor`
    ("scripts", "benchmarks", "top-level datasets"),
)
RANK = {group: rank for rank, groups in enumerate(RANKS) for group in groups}
ROOT_FILES = ("atomic_files", "config", "errors", "presets", "processes")
# Packages whose `__init__.py` contains more than a docstring.
WITH_CONTENT = (
    "avlgan_jax",
    "avlgan_jax/datasets",
    "avlgan_jax/faces/detectors",
    "avlgan_jax/faces/procedural",
    "datasets",
)
# Modules that do not import JAX.
WITHOUT_JAX = (*ROOT_FILES, "runtime/cluster", "runtime/signals")


class Edge(NamedTuple):
    """One import: the importing and the imported module by dotted names, and the line."""

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} -> {self.imported}"


def sources() -> dict[str, Path]:
    """Return the path of every module by its dotted name. The name of a package denotes its `__init__.py`."""
    paths = [*ROOT.glob("*.py")]
    for folder in ("avlgan_jax", "benchmarks", "datasets"):
        paths += (ROOT / folder).rglob("*.py")
    found = {}
    for path in paths:
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = sources()


def edges(importer: str, tree: ast.AST) -> Iterator[Edge]:
    """Yield the imports of this project's modules in `tree`, including those in functions and for type checkers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{importer}:{node.lineno} is a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            # Find the longest name that is a module: `from a import b` imports a.b if that is a module, else a.
            while name and name not in MODULES:
                name = name.rpartition(".")[0]
            if name and name != importer:
                yield Edge(importer, name, node.lineno)


def group_of(module: str) -> str:
    """Return the group of RANKS that contains a module."""
    first, *rest = module.split(".")
    if first == "datasets":
        return "top-level datasets"
    if first != "avlgan_jax":
        return "benchmarks" if first == "benchmarks" else "scripts"
    if not rest:
        return "avlgan_jax"
    return "root files" if rest[0] in ROOT_FILES else rest[0]


def violations(found: list[Edge]) -> list[Edge]:
    """Return the imports against the direction."""
    wrong = []
    for edge in found:
        here, there = group_of(edge.importer), group_of(edge.imported)
        upward = RANK[there] > RANK[here] or (RANK[there] == RANK[here] and here != there)
        # Only data preparation needs the builders. Any other package that imports them would import TensorFlow.
        foreign_builder = there == "datasets" and here not in (
            "datasets",
            "scripts",
            "benchmarks",
            "top-level datasets",
        )
        outside = edge.importer.startswith("avlgan_jax") and RANK[there] == RANK["scripts"]
        if upward or foreign_builder or outside:
            wrong.append(edge)
    return wrong


ALL = [edge for name, path in MODULES.items() for edge in edges(name, ast.parse(path.read_text()))]


def test_every_import_follows_the_direction():
    assert len(MODULES) > 100 and len(ALL) > 300
    assert not (wrong := violations(ALL)), "\n".join(map(str, wrong))


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("avlgan_jax.faces.crop", "import avlgan_jax.app.session"),
        ("avlgan_jax.faces.crop", "def late():\n    from avlgan_jax.data import records"),
        ("avlgan_jax.editing.editor", "from avlgan_jax.evaluation.metrics import rmse"),
        ("avlgan_jax.models.build", "from avlgan_jax.datasets import labels"),
        ("avlgan_jax.datasets.labels", "from avlgan_jax.runtime import devices"),
        ("avlgan_jax.training.run", "import datasets"),
        ("avlgan_jax.config", "from avlgan_jax.faces import landmarks"),
        ("avlgan_jax.evaluation.run", "import train"),
    ],
)
def test_an_import_against_the_direction_is_found(importer, line):
    assert violations(list(edges(importer, ast.parse(line))))


def cycles(found: list[Edge]) -> list[str]:
    """Return one import cycle of each group that has any."""
    graphs: dict[str, dict[str, set[str]]] = {}
    for edge in found:
        if group_of(edge.importer) == group_of(edge.imported):
            graphs.setdefault(group_of(edge.importer), {}).setdefault(edge.importer, set()).add(edge.imported)
    wrong = []
    for graph in graphs.values():
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            wrong.append(" -> ".join(error.args[1]))
    return wrong


def test_modules_of_a_group_have_no_import_cycle():
    assert cycles(ALL) == []
    mutual = [("avlgan_jax.data.records", "manifest"), ("avlgan_jax.data.manifest", "records")]
    planted = [Edge(importer, f"avlgan_jax.data.{imported}", 1) for importer, imported in mutual]
    assert len(cycles(planted)) == 1


def test_the_root_has_five_files_and_each_package_at_most_16_modules():
    assert {path.stem for path in (ROOT / "avlgan_jax").glob("*.py")} == {"__init__", *ROOT_FILES}
    packages = {group for groups in RANKS[1:-1] for group in groups if group != "avlgan_jax"}
    folders = {path.name for path in (ROOT / "avlgan_jax").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == packages | {"weights"}
    for folder in {path.parent for path in MODULES.values()} - {ROOT, ROOT / "benchmarks"}:
        modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
        assert len(modules) <= 16, f"{folder} has {len(modules)} modules"


def test_every_init_file_has_a_docstring_and_only_listed_ones_have_more():
    folders = {path.parent for path in MODULES.values() if path.parent != ROOT}
    for folder in folders:
        body = ast.parse((folder / "__init__.py").read_text()).body
        name = str(folder.relative_to(ROOT))
        assert ast.get_docstring(ast.Module(body, [])), f"{name}/__init__.py has no docstring"
        assert len(body) == 1 or name in WITH_CONTENT, f"{name}/__init__.py contains more than its docstring"


def test_modules_that_scripts_import_first_do_not_import_jax():
    for name in WITHOUT_JAX:
        tree = ast.parse((ROOT / "avlgan_jax" / f"{name}.py").read_text())
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not [node for node in top if "jax" in {word.split(".")[0] for word in imported_names(node)}], name
    code = "import sys, train, evaluate, synthesize; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def imported_names(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the dotted names of the modules in an import statement."""
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]

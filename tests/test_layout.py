"""The direction of imports that `docs/architecture.md` draws: read from the sources, at any depth of a file."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT

# Packages from the ground up. Packages of one rank do not know each other.
RANKS = (
    ("root files",),
    ("faces",),
    ("data",),
    ("runtime", "datasets"),
    ("models",),
    ("training",),
    ("evaluation", "editing"),
    ("app", "avlgan_jax"),  # the package itself offers `load` and `Editor`
    ("scripts", "benchmarks", "top-level datasets"),
)
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}
ROOT_FILES = ("atomic_files", "config", "errors", "presets", "processes")
# Packages whose `__init__.py` holds more than a docstring.
WITH_CONTENT = (
    "avlgan_jax",
    "avlgan_jax/datasets",
    "avlgan_jax/faces/detectors",
    "avlgan_jax/faces/procedural",
    "datasets",
)
WITHOUT_JAX = (*ROOT_FILES, "runtime/cluster", "runtime/signals")


class Edge(NamedTuple):
    """One import: the importing and the imported module by dotted names, and the line."""

    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} -> {self.imported}"


def sources() -> dict[str, Path]:
    """Return the path of every module by its dotted name; a package's name stands for its `__init__.py`."""
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
    """Yield the imports of this project's modules in `tree`: late ones and those for type checkers count too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{importer}:{node.lineno} is a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            # The longest name that is a module: `from a import b` is a.b where that is a file, else a.
            while name and name not in MODULES:
                name = name.rpartition(".")[0]
            if name and name != importer:
                yield Edge(importer, name, node.lineno)


def room(module: str) -> str:
    """Return the room of RANKS in which a module stands."""
    first, *rest = module.split(".")
    if first == "datasets":
        return "top-level datasets"
    if first != "avlgan_jax":
        return "benchmarks" if first == "benchmarks" else "scripts"
    if not rest:
        return "avlgan_jax"
    return "root files" if rest[0] in ROOT_FILES else rest[0]


def violations(found: list[Edge]) -> list[Edge]:
    """Return the edges that run against the direction."""
    wrong = []
    for edge in found:
        here, there = room(edge.importer), room(edge.imported)
        upward = RANK[there] > RANK[here] or (RANK[there] == RANK[here] and here != there)
        # Builders are for preparing data: no package needs them, or TensorFlow would start with it.
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
def test_a_planted_edge_is_found(importer, line):
    assert violations(list(edges(importer, ast.parse(line))))


def circles(found: list[Edge]) -> list[str]:
    """Return a circle of imports within each room that has one."""
    graphs: dict[str, dict[str, set[str]]] = {}
    for edge in found:
        # A package's __init__ hands on names of its modules; modules that import it take those names.
        if room(edge.importer) == room(edge.imported):
            graphs.setdefault(room(edge.importer), {}).setdefault(edge.importer, set()).add(edge.imported)
    wrong = []
    for graph in graphs.values():
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            wrong.append(" -> ".join(error.args[1]))
    return wrong


def test_modules_of_a_room_form_no_circle():
    assert circles(ALL) == []
    there_and_back = [("avlgan_jax.data.records", "manifest"), ("avlgan_jax.data.manifest", "records")]
    planted = [Edge(importer, f"avlgan_jax.data.{imported}", 1) for importer, imported in there_and_back]
    assert len(circles(planted)) == 1


def test_the_root_has_five_files_and_no_package_is_crowded():
    assert {path.stem for path in (ROOT / "avlgan_jax").glob("*.py")} == {"__init__", *ROOT_FILES}
    packages = {room for rooms in RANKS[1:-1] for room in rooms if room != "avlgan_jax"}
    folders = {path.name for path in (ROOT / "avlgan_jax").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == packages | {"weights"}
    for folder in {path.parent for path in MODULES.values()} - {ROOT, ROOT / "benchmarks"}:
        modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
        assert len(modules) <= 16, f"{folder} has {len(modules)} modules"


def test_every_package_says_what_it_is_and_imports_nothing_else():
    folders = {path.parent for path in MODULES.values() if path.parent != ROOT}
    for folder in folders:
        body = ast.parse((folder / "__init__.py").read_text()).body
        name = str(folder.relative_to(ROOT))
        assert ast.get_docstring(ast.Module(body, [])), f"{name}/__init__.py has no docstring"
        assert len(body) == 1 or name in WITH_CONTENT, f"{name}/__init__.py holds more than its docstring"


def test_what_scripts_read_first_loads_no_jax():
    for name in WITHOUT_JAX:
        tree = ast.parse((ROOT / "avlgan_jax" / f"{name}.py").read_text())
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert not [node for node in top if "jax" in {word.split(".")[0] for word in imported_names(node)}], name
    code = "import sys, train, evaluate, synthesize; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def imported_names(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]

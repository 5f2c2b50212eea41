"""Commands in the README and docs: each exists with its options. Slow tests run those of the tutorial and README."""

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import drawn_photographs as drawn
import pytest
from conftest import ROOT, run_here
from PIL import Image
from sounding_films import write_film

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^```[a-z]*\n(.*?)^```", re.M | re.S)
SPAN = re.compile(r"`((?:python|make) [^`]+)`")


def commands(page: Path) -> list[str]:
    """Return the distinct commands of a page in their order, without comments."""
    text = page.read_text()
    found = []
    for match in sorted([*FENCED.finditer(text), *SPAN.finditer(text)], key=lambda match: match.start()):
        block = match.group(1).replace("\\\n", " ").replace("\n", " " if match.re is SPAN else "\n")
        lines = (line.split("  #")[0].split(" # ")[0].strip() for line in block.splitlines())
        found += [line for line in lines if line.startswith(("python ", "make "))]
    return list(dict.fromkeys(found))


ALL = [(page.name, command) for page in PAGES for command in commands(page)]


@functools.cache
def help_of(*command: str) -> str:
    """Return the --help text of a command with single spaces."""
    done = run_here(*command, "--help")
    assert done.returncode == 0, done.stderr
    return re.sub(r"\s+", " ", done.stdout)


@pytest.mark.parametrize(("page", "command"), ALL, ids=[f"{page}: {command}"[:90] for page, command in ALL])
def test_the_command_exists_and_has_its_options(page, command):
    program, *words = shlex.split(command)
    if program == "make":
        assert re.search(rf"^{words[-1]}:", (ROOT / "Makefile").read_text(), re.M)
        return
    if words[0] == "-m":
        module = ROOT / words[1].replace(".", "/")
        assert module.with_suffix(".py").exists() or (module / "__main__.py").exists()
        script, rest = words[1], words[2:]
    else:
        assert (ROOT / words[0]).exists()
        script, rest = words[0], words[1:]
    options = [word for word in rest if word.startswith("--") and word != "--help"]
    if not options:
        return
    # Scripts with subcommands list the options in the help of the subcommand.
    subcommand = [rest[0]] if words[0] in ("prepare.py", "synthesize.py") else []
    subcommand = ["face_folder" if word == "NAME" else word for word in subcommand]
    help_text = help_of(script, *subcommand)
    for option in options:
        assert option.split("=")[0] in help_text, f"{page}: {command}"


def test_the_pages_have_commands():
    assert len(ALL) > 20 and {"README.md", "tutorial.md"} <= {page for page, _ in ALL}


# Replacements that shorten a command's run: fewer steps and samples, lower resolution, shorter videos.
SMALLER = (
    (r"--preset \w+", "--preset debug"),
    (r"--[a-z]+\.(steps|d-warmup) \d+", ""),
    (r"--samples [\d,]+", "--samples 8"),
    (r"--resolution \d+", "--resolution 32"),
    (r"--seconds \d+", "--seconds 0.3"),
    (r"^(python synthesize.py transfer)(?!.*--seconds)", r"\1 --seconds 0.3"),
    (r"^python ", f"{sys.executable} "),
    (r"(\S+/)?(synthesize|train|prepare|evaluate)\.py", rf"{ROOT}/\2.py"),
)


def small(command: str) -> list[str]:
    """Return the arguments of a command after the replacements in SMALLER."""
    for pattern, instead in SMALLER:
        command = re.sub(pattern, instead, command)
    return shlex.split(command)


@pytest.mark.slow
def test_the_tutorial_from_a_folder_of_faces_to_a_bundle(tmp_path):
    """Run every command of the tutorial in order, with twelve people and four steps per model."""
    rows = []
    for subject in range(12):
        drawn.save_face(tmp_path / "faces" / f"{subject}.jpg", subject, quality=95)
        split = "train" if subject < 8 else "validation" if subject < 11 else "test"
        rows.append([f"{subject}.jpg", 0.5 - subject / 12, 0.1, f"person{subject}", split])
    drawn.write_csv(tmp_path / "faces" / "labels.csv", ["path", "valence", "arousal", "person", "split"], rows)
    Image.fromarray(drawn.drawn_face(3).image).save(tmp_path / "me.jpg", quality=95)
    write_film(tmp_path / "me.mp4", frames=[drawn.drawn_face(3).image] * 3)
    listed = [command for command in commands(ROOT / "docs" / "tutorial.md") if "avlgan_jax.app" not in command]
    run_all(listed, tmp_path)
    assert (tmp_path / "me_edited.png").exists() and (tmp_path / "mine" / "weights.safetensors").exists()
    assert (tmp_path / "runs" / "mine" / "report" / "index.html").exists()


@pytest.mark.slow
def test_the_readme_commands_for_packaged_weights_and_for_exporting_a_run(tmp_path, trained_run):
    shutil.copytree(trained_run[0], tmp_path / "runs" / "demo")
    (tmp_path / "docs" / "figures").mkdir(parents=True)
    write_film(tmp_path / "me.mp4", frames=[drawn.drawn_face(3).image] * 3)
    programs = ("synthesize.py", "avlgan_jax.editing.export", "benchmarks.photograph ")
    listed = [command for command in commands(ROOT / "README.md") if any(word in command for word in programs)]
    # The packaged weights come from hours of training.
    run_all([command for command in listed if "--out avlgan_jax/weights" not in command], tmp_path)
    for name in ("procedural-3_edited.png", "matrix.png", "procedural-infant-5_emotions.png", "walk.gif", "dyad.mp4"):
        assert (tmp_path / name).stat().st_size > 1000
    assert (tmp_path / "docs" / "figures" / "astronaut.png").exists()


def test_the_python_example_of_the_readme_runs(tmp_path):
    (block,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    names = {}
    exec(block, names)
    side = names["image"].shape[0]
    assert names["smiling"].shape == (side, side, 3) and names["grid"].shape == (9, 9, side, side, 3)
    # The shapes in the comments are those of the packaged weights.
    assert f"({side}, {side}, 3)" in block


def run_all(listed: list[str], folder: Path) -> None:
    """Run commands in a folder one after another, as in a clone; fail at the first that fails."""
    assert listed
    # The commands assume the clone as working directory. Another folder keeps their output out of it.
    for command in listed:
        path = {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(small(command), cwd=folder, capture_output=True, text=True, env=os.environ | path)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"

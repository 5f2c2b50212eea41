"""Safety: nothing is unpickled, and dependencies are locked by their hashes."""

import re
import subprocess
import sys

import pytest
from conftest import ROOT

SOURCES = [path for folder in ("avlgan_jax", "datasets", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
SOURCES += list(ROOT.glob("*.py"))
# Calls that can run code from a file. With `weights_only=True`, torch.load reads tensors only.
UNPICKLING = re.compile(
    r"pickle\.loads?\(|Unpickler\(|import (?:dill|cloudpickle|joblib|shelve|marshal)|allow_pickle=True|read_pickle|"
    r"torch\.load\((?!.*weights_only=True)|(?<![.\w])(?:eval|exec)\("
)


def test_nothing_in_the_sources_unpickles():
    assert len(SOURCES) > 80
    found = [f"{path}: {match.group()}" for path in SOURCES for match in UNPICKLING.finditer(path.read_text())]
    assert found == []


def test_the_pattern_matches_calls_that_unpickle():
    for text in ("pickle.load(f)", "torch.load(path)", "np.load(p, allow_pickle=True)", "import joblib"):
        assert UNPICKLING.search(text)
    assert not UNPICKLING.search('torch.load(path, map_location="cpu", weights_only=True)')


def test_training_and_restoring_unpickle_nothing(data_dir, tmp_path):
    """Python calls audit hooks for every class that an unpickler looks up."""
    code = (
        "import sys\n"
        "def hook(event, arguments):\n"
        "    if event == 'pickle.find_class':\n"
        "        print('UNPICKLED', arguments, flush=True)\n"
        "sys.addaudithook(hook)\n"
        f"sys.argv = ['train.py', 'landmark', '--preset', 'debug', '--data-dir', {str(data_dir)!r},"
        f" '--workdir', {str(tmp_path)!r}]\n"
        "import train\n"
        "train.main()\n"
        "from pathlib import Path\n"
        "from avlgan_jax.training import states, workdir\n"
        "run = Path(sys.argv[-1])\n"
        "print(int(states.restore(run, workdir.read_config(run), 'landmark').step), 'steps restored')\n"
        "import pickle\n"
        "pickle.loads(pickle.dumps(Path))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "4 steps restored" in done.stdout
    unpickled = {line for line in done.stdout.splitlines() if line.startswith("UNPICKLED")}
    # tensorboardX passes its events, and finally a bare object, from one thread to another through a pipe. The code
    # above unpickles the class Path to show that the hook works.
    events = {"UNPICKLED ('tensorboardX.proto.event_pb2', 'Event')", "UNPICKLED ('builtins', 'object')"}
    assert len(unpickled - events) == 1 and "'pathlib" in (unpickled - events).pop(), unpickled


def test_every_pinned_version_is_in_the_lock_with_hashes():
    pinned = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if found := re.match(r"([\w.\[\]-]+)==([\w.]+)", line):
            pinned.setdefault(_canonical(found[1]), set()).add(found[2])
    locked = {}
    for entry in re.split(r"\n(?=\w)", (ROOT / "requirements.lock").read_text()):
        if found := re.match(r"([\w.\[\]-]+)==([^\s;]+)", entry):
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
            locked.setdefault(_canonical(found[1]), set()).add(found[2])
    assert len(pinned) > 20 and len(locked) > len(pinned)
    missing = {name: versions - locked.get(name, set()) for name, versions in pinned.items()}
    assert not any(missing.values()), f"not in requirements.lock: {missing}; run `make lock`"


def _canonical(name: str) -> str:
    """Return the normalised name of a distribution, without extras."""
    return re.sub(r"\[.*", "", re.sub(r"[-_.]+", "-", name.lower()))


@pytest.mark.parametrize("requirements", ["requirements-cuda.txt", "requirements-tpu.txt"])
def test_requirements_of_accelerators_differ_in_jax_only(requirements):
    def others(path):
        return {line for line in path.read_text().splitlines() if line and not line.startswith(("#", "jax"))}

    assert others(ROOT / requirements) == others(ROOT / "requirements.txt")

"""Shared settings and fixtures: four CPU devices, shape checks at run time, and records of a few drawn faces."""

import os

# Set before JAX starts. Parallel updates are compared over four devices. Without optimisation, programs compile in a
# third of the time, and in tests they run only briefly.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
os.environ["XLA_FLAGS"] += " --xla_backend_optimization_level=0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The suite runs one process per core, and NumPy's BLAS would start one thread per core in each of them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import collections
import contextlib
import fcntl
import io
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

# Modules whose jaxtyping signatures are checked on every call or trace.
CHECKED_MODULES = (
    "faces.landmarks",
    "faces.region_labels",
    "data.augmentation",
    "data.batches",
    "models.convolutions",
    "models.layers",
    "models.losses",
    "models.networks",
    "models.optimizers",
    "evaluation.detail",
    "evaluation.metrics",
)
for module in CHECKED_MODULES:
    install_import_hook(f"avlgan_jax.{module}", "beartype.beartype")

from avlgan_jax import atomic_files
from avlgan_jax.data import records
from avlgan_jax.training import workdir

FAST_COMPILATION_FLAG = os.environ["XLA_FLAGS"].split()[-1]
ROOT = Path(__file__).resolve().parents[1]
RESOLUTION = 32
_CACHING = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


def pytest_collection_modifyitems(items):
    """Run test_train.py first, whose models other files use, then files with many tests, to keep all processes busy."""
    sizes = collections.Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.name != "test_train.py", -sizes[item.path]))


def _place(tmp_path_factory) -> Path:
    """Return the temporary folder that all processes of this test run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def _made_once(tmp_path_factory, name, make) -> Path:
    """Return a shared folder, which `make` fills in the first process that needs it."""
    folder = _place(tmp_path_factory) / name
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with atomic_files.atomic_folder(folder) as unfinished:
                make(unfinished)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _compile_once(tmp_path_factory):
    """Share one compilation cache among all tests and the commands they run."""
    cache = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_place(tmp_path_factory) / "compiled"))
    least = os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.05")
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", float(least))


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """Return the data directory: procedural_faces at 32 px, prepared with the command that a user would run."""
    few = ["--faces", "64", "--held-out", "160", "--dyads", "1", "--dyad-seconds", "1"]

    def make(folder):
        run("prepare.py", "procedural_faces", "--resolution", str(RESOLUTION), *few, "--data-dir", str(folder))

    return _made_once(tmp_path_factory, "data", make)


@pytest.fixture(scope="session")
def trained_run(data_dir, tmp_path_factory):
    """Train the four models of preset `debug`; return the workdir, its config and the validation faces."""
    return _trained(tmp_path_factory, data_dir, "trained")


@pytest.fixture(scope="session")
def trained_run_3d(data_dir, tmp_path_factory):
    """Train as `trained_run`, with 3-D landmarks on one device."""
    return _trained(tmp_path_factory, data_dir, "trained_3d", "--landmark-dimensions", "3", "--devices", "1")


@pytest.fixture(scope="session")
def run_without_avgan(data_dir, trained_run, tmp_path_factory):
    """Train with `--avgan.steps 0`, continuing the other three models of `trained_run`; return the workdir.

    The output of the command is in the file output.txt.
    """
    trained, _, _ = trained_run

    def make(folder):
        without = shutil.ignore_patterns("avgan", "config.json")
        shutil.copytree(trained, folder, ignore=without, dirs_exist_ok=True)
        fixed = ["all", "--preset", "debug", "--data-dir", str(data_dir), "--workdir", str(folder)]
        done = run("train.py", *fixed, "--avgan.steps", "0")
        (folder / "output.txt").write_text(done.stdout)

    return _made_once(tmp_path_factory, "without_avgan", make)


def _trained(tmp_path_factory, data_dir, name, *options):
    """Train with train.py in the shared folder `name`; return the workdir, its config and the validation faces."""

    def make(folder):
        fixed = ["all", "--preset", "debug", "--data-dir", str(data_dir), "--workdir", str(folder)]
        done = run("train.py", *fixed, *options)
        (folder / "output.txt").write_text(done.stdout + done.stderr)

    folder = _made_once(tmp_path_factory, name, make)
    config = workdir.read_config(folder)
    faces = records.load(data_dir, config.data, config.resolution, "validation", config.landmark_dimensions)
    return folder, config, faces


def run(script: str, *arguments: str, check: bool = True, **options) -> subprocess.CompletedProcess:
    """Run an entry script as a user would.

    Args:
        script: Path from the root of the repository, or "-m" to run the module named by the first argument.
        *arguments: Command-line arguments.
        check: Whether to fail the test and show the output if the exit status is not 0.
        **options: Options of `subprocess.run`; `cwd` is the root of the repository by default.
    """
    command = [sys.executable, *([script] if script == "-m" else [str(ROOT / script)]), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=options.pop("cwd", ROOT), **options)
    if check:
        assert done.returncode == 0, f"{script} {arguments} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def run_here(script: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run an entry script (or a module, by its dotted name) in this process, if it only reads or reports an error.

    A separate process would spend seconds on imports. The script's settings of JAX's compilation cache are undone
    afterwards, because the tests have their own cache.
    """
    caching = {name: getattr(jax.config, name) for name in _CACHING}
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", [script, *map(str, arguments)])
        try:
            if script.endswith(".py"):
                runpy.run_path(str(ROOT / script), run_name="__main__")
            else:
                runpy.run_module(script, run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code or 0
        finally:
            for name, value in caching.items():
                jax.config.update(name, value)
    return subprocess.CompletedProcess([script, *arguments], code, out.getvalue(), err.getvalue())

"""What the tests share: four CPU devices, shapes checked at run time, and one small set of drawn faces in records."""

import os

# Before JAX starts: the devices over which parallel updates are compared.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import dataclasses
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

# Every jaxtyping signature of these modules is checked whenever a test calls (or JAX traces) it.
for module in ("landmarks", "layers", "losses", "networks", "batches", "metrics", "optimisation"):
    install_import_hook(f"avlgan_jax.{module}", "beartype.beartype")

ROOT = Path(__file__).resolve().parents[1]
RESOLUTION = 32


@pytest.fixture(scope="session", autouse=True)
def _compile_once(tmp_path_factory):
    """Programs compiled by one test (or by a command that a test runs) are not compiled again by the next."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own  # all processes of one run of the suite
    cache = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(shared / "compiled"))
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """Prepared records: procedural_faces at 32 px, made by the command a user would give."""
    folder = tmp_path_factory.mktemp("data")
    few = ["--held-out", "160", "--dyads", "1", "--dyad-seconds", "1", "--data-dir", str(folder)]
    run("prepare.py", "procedural_faces", "--resolution", str(RESOLUTION), "--faces", "64", *few)
    return folder


@pytest.fixture(scope="session")
def trained_run(data_dir, tmp_path_factory):
    """The four models of preset `debug`, trained: the workdir, its config and the validation faces."""
    return _trained(tmp_path_factory.mktemp("trained"), data_dir)


@pytest.fixture(scope="session")
def trained_run_3d(data_dir, tmp_path_factory):
    """The same with 3-D landmarks."""
    return _trained(tmp_path_factory.mktemp("trained_3d"), data_dir, landmark_dimensions=3)


def _trained(folder, data_dir, **changes):
    from avlgan_jax import loop, records
    from avlgan_jax.config import MODEL_NAMES
    from avlgan_jax.presets import debug

    config = dataclasses.replace(debug(), data_dir=str(data_dir), devices=1, **changes)
    for name in MODEL_NAMES:
        loop.train(config, name, folder)
    faces = records.load(data_dir, config.data, config.resolution, "validation", config.landmark_dimensions)
    return folder, config, faces


def run(script: str, *arguments: str, check: bool = True, **options) -> subprocess.CompletedProcess:
    """Run an entry script as a user would; with `check`, its failure fails the test and shows what it printed."""
    command = [sys.executable, *([script] if script == "-m" else [str(ROOT / script)]), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=options.pop("cwd", ROOT), **options)
    if check:
        assert done.returncode == 0, f"{script} {arguments} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done

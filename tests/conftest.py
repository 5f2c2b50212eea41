"""What the tests share: four CPU devices, shapes checked at run time, and one small set of drawn faces in records."""

import os

# Before JAX starts: the devices over which parallel updates are compared.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

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
    cache = os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(tmp_path_factory.mktemp("compiled")))
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """Prepared records: procedural_faces at 32 px, made by the command a user would give."""
    folder = tmp_path_factory.mktemp("data")
    few = ["--held-out", "160", "--dyads", "1", "--dyad-seconds", "1", "--data-dir", str(folder)]
    run("prepare.py", "procedural_faces", "--resolution", str(RESOLUTION), "--faces", "64", *few)
    return folder


def run(script: str, *arguments: str, check: bool = True, **options) -> subprocess.CompletedProcess:
    """Run an entry script as a user would; with `check`, its failure fails the test and shows what it printed."""
    command = [sys.executable, str(ROOT / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=options.pop("cwd", ROOT), **options)
    if check:
        assert done.returncode == 0, f"{script} {arguments} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done

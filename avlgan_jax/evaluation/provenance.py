"""Where the scores of a report come from: models, data, programs and processor."""

import contextlib
import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path

import jax

from avlgan_jax import config
from avlgan_jax.atomic_files import file_sha256
from avlgan_jax.data.manifest import Manifest
from avlgan_jax.models.inference import Trained

PACKAGE = Path(__file__).parents[1]


def describe(models: Trained, manifest: Manifest, devices: list[jax.Device]) -> dict:
    """Return `provenance` of metrics.json."""
    return {
        "steps": dict(models.steps),
        "config_digest": config.digest(models.config),
        "data_digest": manifest.digest,
        "versions": _versions(),
        "processor": _processor(devices),
    }


def code_digest() -> str:
    """Return a digest of this package's source files and of the versions of all installed packages."""
    files = [[str(path.relative_to(PACKAGE)), file_sha256(path)] for path in sorted(PACKAGE.rglob("*.py"))]
    versions = sorted(f"{found.name} {found.version}" for found in importlib.metadata.distributions())
    return hashlib.sha256(json.dumps([platform.python_version(), files, versions]).encode()).hexdigest()


def _versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that determine the scores."""
    found = {"python": platform.python_version()}
    for package in ("avlgan_jax", "jax", "flax", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def _processor(devices: list[jax.Device]) -> str:
    """Return the name of the processor, and of the accelerator if the models ran on one.

    The order of a sum, and so the last digits of every score, depend on it.
    """
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    kinds = sorted({device.device_kind for device in devices if device.platform != "cpu"})
    return ", ".join([processor, *kinds])

"""Measurements for docs/performance.md, printed as a table and written as JSON.

    python -m benchmarks.run                             all parts, on the device that JAX finds
    python -m benchmarks.run --what image generation     some parts
    python -m benchmarks.run --device cpu --out cpu.json

JAX ("ours") and PyTorch are timed alternately in one process, after a warm-up. The table shows the median, the lowest
and the highest value, and the speed-up of JAX over PyTorch. Times are meaningful only on an otherwise idle machine; the
JSON contains the machine's load at the start.
"""

import dataclasses
import json
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import tyro

from avlgan_jax import errors
from avlgan_jax.atomic_files import write_text
from avlgan_jax.errors import UserError
from benchmarks.timing import Case, Measurement, Setting, ratio

# Module and function of each part. Modules are imported when they run, so that parts without PyTorch do not need it.
PARTS = {
    "peaks": ("training", "peaks"),
    "work": ("training", "work"),
    "image": ("training", "image_step"),
    "modern": ("modern", "step"),
    "landmark": ("training", "landmark_step"),
    "memory": ("training", "memory"),
    "generation": ("evaluating", "generation"),
    "frechet": ("evaluating", "frechet"),
    "data": ("running", "data"),
    "start": ("running", "start"),
    "scaling": ("running", "scaling"),
    "processes": ("scale", "processes"),
    "curve": ("scale", "curve"),
    "operations": ("operations", "operations"),
    "choices": ("choices", "choices"),
}
Part = Literal[tuple(PARTS)]


@dataclasses.dataclass(frozen=True)
class Request:
    """Time training, generation, scoring, reading and starting, and compare with PyTorch if there is a reference."""

    what: Annotated[tuple[Part, ...], tyro.conf.arg(metavar="PART...")] = tuple(PARTS)
    """Parts to measure."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Device to measure on; auto uses the one that JAX finds."""
    out: Path = Path("performance.json")
    """JSON file to write."""
    tiny: bool = False
    """Use the smallest sizes and one round, to check that everything runs. The figures are then meaningless."""


@errors.command
def main() -> None:
    """Measure the parts that the command line names, print the tables and write the JSON file."""
    request = tyro.cli(Request, description=__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    setting = Setting(find_device(request.device), request.tiny)
    document = {"machine": machine(), "parts": {}}
    for part in request.what:
        print(f"\n{part}\n{'-' * len(part)}", flush=True)
        cases = document["parts"][part] = {}
        for case in measure(part, setting):
            print(as_text(case), flush=True)
            cases[case.name] = as_json(case)
            _write(request.out, document)
    print(f"\nwritten to {request.out}")


def find_device(wanted: Literal["auto", "cpu", "gpu"]) -> Literal["cpu", "gpu"]:
    """Set JAX up for the wanted device and return the kind of device that it finds. Call it before JAX is used.

    Raises:
        UserError: JAX does not find the wanted device.
    """
    if wanted == "cpu":
        os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    from avlgan_jax.runtime import devices

    devices.set_up_cpu()
    found = "cpu" if jax.default_backend() == "cpu" else "gpu"
    if wanted not in ("auto", found):
        raise UserError(f"--device {wanted}: JAX finds {found} only; install requirements-cuda.txt for a GPU")
    return found


def measure(part: str, setting: Setting) -> Iterator[Case]:
    """Run a part and yield its cases as they are measured.

    Args:
        part: Name of the part, a key of PARTS.
        setting: Device and sizes.
    """
    import importlib

    module, function = PARTS[part]
    run: Callable[[Setting], Iterator[Case]] = getattr(importlib.import_module(f"benchmarks.{module}"), function)
    return run(setting)


def machine() -> dict:
    """Return a description of the machine: devices, versions, and its load before the measurement."""
    import importlib.metadata

    import jax

    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "device": jax.devices()[0].device_kind,
        "devices": len(jax.devices()),
        "cores": len(os.sched_getaffinity(0)),
        "processor": names[0] if names else platform.processor(),
        "load before": os.getloadavg()[0],
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "flax", "torch", "numpy", "scipy")},
    }


def as_text(case: Case) -> str:
    """Return a case as lines of the table: median, lowest and highest value of each contender, and the speed-up."""
    lines = [f"  {case.name}"]
    ours = case.measured.get("ours")
    for name, found in case.measured.items():
        faster = f"   ours is {ratio(ours, found):.2f} x" if ours is not None and "ours" not in name else ""
        spread = f"({found.low:.4g} to {found.high:.4g})" if found.rounds > 1 else ""
        lines.append(f"    {name:<24}{found.median:>11.4g} {found.unit:<9} {spread:<24}{faster}")
    lines += [f"    {name:<32}{value:>11.4g}" for name, value in case.facts.items()]
    return "\n".join(lines)


def as_json(case: Case) -> dict:
    """Return a case in the form of the JSON file; `faster` holds the speed-up of "ours" over each other contender."""
    ours: Measurement | None = case.measured.get("ours")
    faster = {
        name: ratio(ours, found) for name, found in case.measured.items() if ours is not None and "ours" not in name
    }
    measured = {name: dataclasses.asdict(found) for name, found in case.measured.items()}
    return {"measured": measured, "faster": faster, "facts": case.facts}


def _write(path: Path, document: dict) -> None:
    """Write the results measured so far, so that an interrupted run keeps them."""
    write_text(path, json.dumps(document, indent=1) + "\n")


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


if __name__ == "__main__":
    main()

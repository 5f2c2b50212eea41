"""Measure training on a GPU within minutes, part by part, and print a row for docs/performance.md.

    bash benchmarks/gpu.sh                               a machine with a GPU and pip: install, then measure all parts
    python -m benchmarks.gpu                             where the packages are installed already
    python -m benchmarks.gpu --what bfloat16 --minutes 4

First all parts compile at the same time, as XLA's search for the fastest kernels and PyTorch's compiler take minutes.
Then each part is measured alone, in a process with a limit of time, and all parts together end after `--minutes`. A
part that takes longer, fails, or finds no time left is left out: the output and the JSON file say why. Its cases that
were measured before that are kept.
"""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import tyro

from avlgan_jax import errors
from avlgan_jax.atomic_files import write_text
from benchmarks.run import as_json, as_text, find_device, machine
from benchmarks.timing import Case, Measurement, Setting

ROOT = Path(__file__).parents[1]
# Seconds that each part may take, in the order in which they are measured.
LIMITS = {
    "peaks": 40,
    "bfloat16": 90,
    "modern": 90,
    "grid": 60,
    "TF32": 90,
    "float32": 90,
    "dispatches": 80,
    "memory": 80,
    "determinism": 90,
    "bfloat16 of 64": 90,
    "modern of 64": 90,
    "TF32 of 64": 90,
    "float32 of 64": 90,
}
COMPILING = 0.6  # share of the time for compiling all parts
AT_ONCE = 4  # parts that compile at the same time: more would not fit the memory of a GPU
Part = Literal[tuple(LIMITS)]
COLUMNS = (
    "device",
    "float32",
    "TF32",
    "bfloat16",
    "`modern`, bfloat16",
    "1, 5, 20 steps a dispatch",
    "24 landmark runs",
    "deterministic",
    "memory",
)
_MISSING = "not measured"


@dataclasses.dataclass(frozen=True)
class Request:
    """Measure training on a GPU, compare it with PyTorch, and print a row for docs/performance.md."""

    what: Annotated[tuple[Part, ...], tyro.conf.arg(metavar="PART...")] = tuple(LIMITS)
    """Parts to measure."""
    minutes: float = 9.0
    """Time for all parts together."""
    device: Literal["gpu", "cpu"] = "gpu"
    """Device to measure on. The sizes are those for a GPU; on a CPU use `--tiny`."""
    out: Path = Path("performance-gpu.json")
    """JSON file to write."""
    tiny: bool = False
    """Use the smallest sizes and one round, to check that everything runs. The figures are then meaningless."""


@errors.command
def main() -> None:
    """Measure the parts that the command line names, write the JSON file and print the row."""
    request = tyro.cli(Request, description=__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    end = time.monotonic() + 60 * request.minutes
    # PyTorch shares the GPU with JAX, which would take three quarters of its memory at once.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    find_device(request.device)
    with tempfile.TemporaryDirectory() as programs:
        # The processes share compiled programs.
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{programs}/jax")
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", f"{programs}/torch")
        document = {"machine": machine(), "parts": {}, "left out": {}}
        compile_parts(request, COMPILING * (end - time.monotonic()))
        for part in request.what:
            print(f"\n{part}\n{'-' * len(part)}", flush=True)
            left = end - time.monotonic()
            limit = left if request.tiny else min(LIMITS[part], left)
            document["parts"][part], reason = run_part(_command(part, request), limit)
            if reason:
                document["left out"][part] = reason
                print(f"  left out: {reason}", flush=True)
            write_text(request.out, json.dumps(document, indent=1) + "\n")
    print(f"\nwritten to {request.out}\n\n{table(document)}")


def compile_parts(request: Request, limit: float) -> None:
    """Fill the caches of compiled programs, some parts at a time; after `limit` seconds stop and print what is left."""
    end, waiting, running = time.monotonic() + limit, list(request.what), {}
    print(f"compiling {len(waiting)} parts, at most {limit:.0f} s", flush=True)
    try:
        while (waiting or running) and time.monotonic() < end:
            while waiting and len(running) < AT_ONCE:
                part = waiting.pop(0)
                command = _command(part, request, compiles=True)
                running[part] = subprocess.Popen(
                    command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
                )
            time.sleep(0.2)
            running = {part: process for part, process in running.items() if process.poll() is None}
    finally:
        for process in running.values():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if unfinished := [*running, *waiting]:
        print(f"  not finished, compiled when measured: {', '.join(unfinished)}", flush=True)


def _command(part: Part, request: Request, compiles: bool = False) -> list[str]:
    """Return the command of the process that measures or only compiles a part."""
    code = f"from benchmarks import gpu; gpu.report({part!r}, {request.device!r}, {request.tiny}, {compiles})"
    return [sys.executable, "-c", code]


def run_part(command: list[str], limit: float) -> tuple[dict[str, dict], str]:
    """Run the process of a part, print each of its cases, and end it and its children after `limit` seconds.

    Returns:
        The cases by name, as in the JSON file, and why others are left out ("" if the part is complete).
    """
    if limit <= 0:
        return {}, "no time was left"
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=log, start_new_session=True)
        try:
            reason = f"its process exited {code}" if (code := process.wait(limit)) else ""
        except subprocess.TimeoutExpired:
            reason = f"it took longer than {limit:.0f} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        log.seek(0)
        told = [line for line in log.read().splitlines() if line.strip()]
        cases = {}
        for line in output:
            if line.startswith("{") and line.endswith("}\n"):
                case = json.loads(line)
                print(case.pop("text"), flush=True)
                cases[case.pop("name")] = case
    return cases, f"{reason}: {told[-1].strip()}" if reason.startswith("its process") and told else reason


def report(part: Part, device: Literal["gpu", "cpu"], tiny: bool, compiles: bool = False) -> None:
    """Measure or only compile a part in this process, and print each case as a line of JSON."""
    find_device(device)
    for case in measure(part, Setting(device, tiny, compiles)):
        print(json.dumps({"name": case.name, "text": as_text(case)} | as_json(case)), flush=True)


def measure(part: Part, setting: Setting) -> Iterator[Case]:
    """Yield the cases of a part as they are measured."""
    from benchmarks import modern, training

    parts: dict[str, Callable[[Setting], Iterator[Case]]] = {
        "peaks": training.peaks,
        "grid": training.landmark_step,
        "dispatches": training.dispatches,
        "memory": training.memory,
        "determinism": determinism,
    }
    if part in parts:
        return parts[part](setting)
    name, _, batch_size = part.partition(" of ")
    precision, configure = ("bfloat16", modern.configured) if name == "modern" else (name, training.configured)
    return training.image_step_at(precision, setting, int(batch_size or 16), configure)


def determinism(setting: Setting) -> Iterator[Case]:
    """Yield the rate of the paper's image converter in bfloat16 without and with `--deterministic`.

    XLA reads its flags once, so each runs in a process of its own.
    """
    from benchmarks.choices import output

    measured = {}
    for name, flag in (("ours", False), ("ours, deterministic", True)):
        arguments = f"{setting.device!r}, {setting.tiny}, {flag}, {setting.compiles}"
        code = f"from benchmarks import gpu; gpu.report_rate({arguments})"
        measured[name] = Measurement(**json.loads(output([sys.executable, "-c", code]).splitlines()[-1]))
    share = measured["ours, deterministic"].median / measured["ours"].median
    yield Case("batch 16, bfloat16", measured, {"deterministic over not": share})


def report_rate(device: Literal["gpu", "cpu"], tiny: bool, deterministic: bool, compiles: bool) -> None:
    """Print, as JSON, the rate of the paper's image converter in bfloat16."""
    from avlgan_jax.runtime import devices

    if deterministic:
        devices.deterministic()
    setting = Setting(device, tiny, compiles)
    find_device(device)

    from benchmarks import training
    from benchmarks.timing import alternate

    side, width, batch_size = training.TINY if tiny else (training.PAPER_SIDE, training.PAPER_WIDTH, 16)
    run = training.OurRun(training.configured(side, width, batch_size), "image", 0, "bfloat16")
    measured = alternate({"ours": run}, rounds=setting.rounds, unit="images/s", items=run.steps * batch_size)
    print(json.dumps(dataclasses.asdict(measured["ours"])))


def table(document: dict) -> str:
    """Return the table of docs/performance.md with the row of these measurements."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), row(document)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def row(document: dict) -> list[str]:
    """Return the cells of these measurements in the order of COLUMNS."""
    parts = document["parts"]
    peak = parts.get("peaks", {}).get("matrix product", {}).get("measured", {})
    runs = _rates(parts, "dispatches")
    return [
        f"{document['machine']['device']}, jax {document['machine']['versions']['jax']}",
        *(_precision(parts, name, peak.get(name)) for name in ("float32", "TF32", "bfloat16")),
        _precision(parts, "modern", peak.get("bfloat16")),
        ", ".join(f"{rate:,.0f}" for rate in runs) or _MISSING,
        _facts(parts, "grid", "{:.1f} times one"),
        _facts(parts, "determinism", "{:.2f}"),
        _facts(parts, "memory", "{:.1f} and {:.1f} GB"),
    ]


def _precision(parts: dict, name: str, peak: dict | None) -> str:
    """Return images/s of each batch, and in brackets the ratios to PyTorch and the share of the peak."""
    cells = []
    for case in (parts.get(name, {}) | parts.get(f"{name} of 64", {})).values():
        ratios = [f"{case['faster'][name]:.2f}" for name in ("pytorch eager", "pytorch best")]
        share = f"; {case['facts']['GFLOP/s'] / peak['median']:.0%}" if peak else ""
        cells.append(f"{case['measured']['ours']['median']:,.0f} ({', '.join(ratios)}{share})")
    return "; ".join(cells) or _MISSING


def _rates(parts: dict, part: str) -> list[float]:
    """Return the medians of all contenders of a part."""
    return [found["median"] for case in parts.get(part, {}).values() for found in case["measured"].values()]


def _facts(parts: dict, part: str, words: str) -> str:
    """Return the facts of a part in words."""
    found = [value for case in parts.get(part, {}).values() for value in case["facts"].values()]
    return words.format(*found) if found else _MISSING


if __name__ == "__main__":
    main()

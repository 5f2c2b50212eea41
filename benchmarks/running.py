"""Costs of a run other than its steps: preparing, reading, batches, start, memory, and scaling over devices."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from avlgan_jax.data import batches, records
from avlgan_jax.presets import PRESETS
from avlgan_jax.training import metric_writer
from benchmarks.timing import Case, Setting, alternate, single

ROOT = Path(__file__).parents[1]


def data(setting: Setting) -> Iterator[Case]:
    """Yield the rates of drawing faces into records, reading records into arrays, and assembling batches."""
    faces, side = (16, 32) if setting.tiny else (2_000, 128)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        _prepare(folder, faces, side)
        yield Case("prepare.py procedural_faces", {"ours": _since(started, "images/s", faces + 8 + 6)})
        for name in ("records to arrays, once", "arrays, checked and mapped"):
            started = time.perf_counter()
            loaded = records.load(Path(folder), "procedural_faces", side, "train")
            yield Case(name, {"ours": _since(started, "images/s", len(loaded))})
        for size in (4,) if setting.tiny else (16, 64):

            def make(size: int = size) -> None:
                for step in range(20):
                    batches.assemble_batch(loaded, batches.plan_batch(0, step, size, loaded.emotions, "uniform"), True)

            measured = alternate({"ours": make}, rounds=setting.rounds, unit="images/s", items=20 * size)
            yield Case(f"batches of {size} at {side} px", measured)


def start(setting: Setting) -> Iterator[Case]:
    """Yield the time from the command to the first step in metrics.jsonl, and the peak memory until then.

    Both are of the image converter of preset `demo`, without compiled programs and then with those of the first start.
    """
    preset = "debug" if setting.tiny else "demo"
    side = PRESETS[preset]().resolution
    with tempfile.TemporaryDirectory() as folder:
        _prepare(folder, 64, side)
        common = ["--preset", preset, "--data-dir", folder, "--workdir", f"{folder}/run", "--log-every", "1"]
        common += ["--landmark.steps", "1", "--image.d-warmup", "0"]
        _run("train.py", "landmark", *common, environment=_environment(setting))
        for name in ("first start", "second start"):
            command = ["train.py", "image", *common]
            seconds, peak = _to_first_step(command, Path(folder, "run/image"), _environment(setting))
            yield Case(name, {"ours": single(seconds, "s")}, {"peak memory, GB": peak})


def scaling(setting: Setting) -> Iterator[Case]:
    """Yield the rate of the same global batch on 1, 2 and 4 CPU devices, each number in a separate process."""
    for devices in (1, 2) if setting.tiny else (1, 2, 4):
        flags = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_PLATFORMS": "cpu"}
        code = f"from benchmarks import running; running.report_steps({setting.tiny})"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=os.environ | flags, capture_output=True, text=True, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
        yield Case(f"{devices} devices", {"ours": single(1.0, "images/s", found["images/s"])}, found)


def report_steps(tiny: bool) -> None:
    """Print, as JSON, the rate of the image converter on all devices of this process."""
    from benchmarks.training import TINY, OurRun, configured

    setting = Setting("cpu", tiny)
    side, width, batch_size = TINY if tiny else (48, 16, 16)
    run = OurRun(configured(side, width, batch_size), "image")
    found = alternate({"ours": run}, rounds=setting.rounds, unit="images/s", items=batch_size * run.steps)["ours"]
    print(json.dumps({"images/s": found.median, "low": found.low, "high": found.high, "compiling, s": found.first}))


def _prepare(folder: str, faces: int, side: int) -> None:
    """Prepare drawn faces, 8 in each held-out split and one short dyad."""
    few = ["--held-out", "8", "--dyads", "1", "--dyad-seconds", "0.1"]
    options = ["--faces", str(faces), "--resolution", str(side), "--data-dir", folder]
    _run("prepare.py", "procedural_faces", *few, *options)


def _run(script: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
    """Run a script of this repository, with its output in the error if it fails."""
    command = [sys.executable, str(ROOT / script), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} exited {done.returncode}: {done.stderr}")


def _environment(setting: Setting) -> dict[str, str]:
    """Return environment variables with which a run keeps compiled programs in its workdir, as for a user."""
    kept = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    return kept | ({"JAX_PLATFORMS": "cpu"} if setting.device == "cpu" else {})


def _to_first_step(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Return the seconds until the metrics in `folder` contain a step, and the peak memory in GB; kill the process."""
    (folder / metric_writer.METRICS).unlink(missing_ok=True)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not metric_writer.has_metric(folder, 1, "g/loss") and process.poll() is None:
        time.sleep(0.01)
    seconds = time.perf_counter() - started
    if process.poll() is not None:
        raise RuntimeError(f"{' '.join(command)} exited {process.returncode} before its first step")
    peak = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmHWM" in line)
    process.send_signal(signal.SIGKILL)  # nothing is saved, so the second start also begins at step 0
    process.wait()
    return seconds, int(peak.split()[1]) / 1e6


def _since(started: float, unit: str, items: int):
    """Return the time since `started` as a single measurement."""
    return single(time.perf_counter() - started, unit, items)

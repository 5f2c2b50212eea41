"""Running training commands as processes that are started, watched and broken for real."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
from conftest import IN_HASTE, ROOT

from avlgan_jax.training import states, workdir


def start(data_dir, folder, model="landmark", *options, devices=None, processes=1) -> subprocess.Popen:
    """`train.py MODEL --preset debug` in a process of its own (of so many), with so many CPU devices."""
    command = [sys.executable, str(ROOT / "train.py"), model, "--preset", "debug", "--workdir", str(folder)]
    command += ["--data-dir", str(data_dir), *map(str, options)]
    if devices is not None:
        command += ["--devices", str(devices * processes)]
    flags = [IN_HASTE] + [f"--xla_force_host_platform_device_count={devices}"] * (devices is not None)
    environment = os.environ | {"XLA_FLAGS": " ".join(flags)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def start_job(data_dir, folder, model, *options, processes, devices) -> list[subprocess.Popen]:
    """One run of several processes with so many devices each, which meet at a free port of this machine."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    meeting = ("--coordinator", f"localhost:{port}", "--processes", processes)
    return [
        start(data_dir, folder, model, *options, *meeting, "--process", index, devices=devices, processes=processes)
        for index in range(processes)
    ]


def wait_for(condition, *processes, seconds=300) -> None:
    """Until `condition()` holds; fails when a process ends before."""
    until = time.monotonic() + seconds
    while not condition():
        for process in processes:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def ended(*processes, seconds=300) -> list[tuple[int, str]]:
    """(exit status, all it printed) of each process; none may take longer."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=seconds)
        found.append((process.returncode, out + err))
    return found


def steps_saved(run: Path, model="landmark") -> list[int]:
    """The steps of the whole checkpoints of a model."""
    folder = run / model / "checkpoints"
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(int(p.name) for p in found if p.name.isdigit() and (p / "sha256.json").exists())


def leaves(run: Path, model="landmark") -> list[np.ndarray]:
    """Every leaf of the newest checkpoint."""
    state = states.restore(run, workdir.read_config(run), model)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state.replace(key=jax.random.key_data(state.key)))]

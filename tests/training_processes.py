"""Training commands in separate processes, which tests start, watch and kill."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
from conftest import FAST_COMPILATION_FLAG, ROOT

from avlgan_jax.training import states, workdir


def start(data_dir, folder, model="landmark", *options, devices=None, processes=1) -> subprocess.Popen:
    """Start `train.py MODEL --preset debug` in a separate process.

    Args:
        data_dir: Folder of the records.
        folder: Workdir of the run.
        model: Model to train.
        *options: Further arguments of train.py.
        devices: Number of CPU devices of the process; None for the default.
        processes: Number of processes in the run.
    """
    command = [sys.executable, str(ROOT / "train.py"), model, "--preset", "debug", "--workdir", str(folder)]
    command += ["--data-dir", str(data_dir), *map(str, options)]
    if devices is not None:
        command += ["--devices", str(devices * processes)]
    flags = [FAST_COMPILATION_FLAG] + [f"--xla_force_host_platform_device_count={devices}"] * (devices is not None)
    environment = os.environ | {"XLA_FLAGS": " ".join(flags)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def start_job(data_dir, folder, model, *options, processes, devices) -> list[subprocess.Popen]:
    """Start a run of several processes with `devices` devices each; their coordinator gets a free port."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    cluster = ("--coordinator", f"localhost:{port}", "--processes", processes)
    return [
        start(data_dir, folder, model, *options, *cluster, "--process", index, devices=devices, processes=processes)
        for index in range(processes)
    ]


def wait_for(condition, *processes, seconds=300) -> None:
    """Wait until `condition()` holds. Fail after `seconds`, or if one of the processes ends first."""
    until = time.monotonic() + seconds
    while not condition():
        for process in processes:
            assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)


def ended(*processes, seconds=300) -> list[tuple[int, str]]:
    """Return (exit status, output) of each process after its end; fail if one takes longer than `seconds`."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=seconds)
        found.append((process.returncode, out + err))
    return found


def steps_saved(run: Path, model="landmark") -> list[int]:
    """Return the steps of the complete checkpoints of a model, in ascending order."""
    folder = run / model / "checkpoints"
    found = folder.iterdir() if folder.is_dir() else []
    return sorted(int(p.name) for p in found if p.name.isdigit() and (p / "sha256.json").exists())


def leaves(run: Path, model="landmark") -> list[np.ndarray]:
    """Return every leaf of the newest checkpoint."""
    state = states.restore(run, workdir.read_config(run), model)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state.replace(key=jax.random.key_data(state.key)))]

"""The GPU benchmark at its smallest sizes on a CPU: limits of time, what is left out, and the row of the table."""

import json
import os
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from benchmarks import gpu

CASE = '{"name": "batch 16", "text": "  batch 16", "measured": {}, "faster": {}, "facts": {"GB": 1.5}}'


def _script(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_slow_part_keeps_its_cases_and_ends_with_its_children(tmp_path, capsys):
    """The child would write a file after the limit if it were not ended too."""
    child = f"import time; time.sleep(6); open({str(tmp_path / 'late')!r}, 'w')"
    code = f"import subprocess, sys; print({CASE!r}, flush=True); subprocess.run([sys.executable, '-c', {child!r}])"
    cases, reason = gpu.run_part(_script(code), 3.0)
    assert cases == {"batch 16": {"measured": {}, "faster": {}, "facts": {"GB": 1.5}}}
    assert reason == "it took longer than 3 s" and capsys.readouterr().out == "  batch 16\n"
    time.sleep(6)
    assert not (tmp_path / "late").exists()


def test_a_part_that_fails_or_has_no_time_is_told():
    cases, reason = gpu.run_part(_script("raise MemoryError('no room on the device')"), 60.0)
    assert cases == {} and reason == "its process exited 1: MemoryError: no room on the device"
    assert gpu.run_part(_script("raise AssertionError"), 0.0) == ({}, "no time was left")


def test_parts_compile_at_the_same_time_until_the_limit(monkeypatch, tmp_path, capsys):
    """Two sleep for longer than the limit, one ends at once; two more would have to wait."""
    codes = {"peaks": f"open({str(tmp_path / 'peaks')!r}, 'w')"}
    slow = f"import time; time.sleep(8); open({str(tmp_path / 'late')!r}, 'w')"
    monkeypatch.setattr(gpu, "AT_ONCE", 2)
    monkeypatch.setattr(gpu, "_command", lambda part, request, compiles: _script(codes.get(part, slow)))
    started = time.monotonic()
    gpu.compile_parts(gpu.Request(what=("peaks", "grid", "modern", "memory")), 3.0)
    assert time.monotonic() - started < 6 and (tmp_path / "peaks").exists()
    assert "not finished, compiled when measured: grid, modern, memory" in capsys.readouterr().out
    time.sleep(6)
    assert not (tmp_path / "late").exists()


def _measured(**rates):
    return {name.replace("_", " "): {"median": rate} for name, rate in rates.items()}


def test_the_row_names_rates_ratios_and_shares_and_says_what_is_missing():
    faster = {"pytorch eager": 2.0, "pytorch best": 1.25}
    cases = {
        f"128 px, width 64, batch {batch}": {
            "measured": _measured(ours=rate),
            "faster": faster,
            "facts": {"GFLOP/image": 100.0, "GFLOP/s": 100.0 * rate},
        }
        for batch, rate in ((16, 1500.0), (64, 2000.0))
    }
    parts = {
        "peaks": {"matrix product": {"measured": _measured(bfloat16=500_000.0)}},
        "bfloat16": {"128 px, width 64, batch 16": cases["128 px, width 64, batch 16"]},
        "bfloat16 of 64": {"128 px, width 64, batch 64": cases["128 px, width 64, batch 64"]},
        "dispatches": {"batch 16": {"measured": _measured(one=900.0, five=1200.0, twenty=1500.0), "facts": {}}},
        "memory": {"batch 16": {"measured": {}, "facts": {"kept": 8.35, "again": 4.2}}},
        "grid": {},
    }
    machine = {"device": "a GPU", "versions": {"jax": "0.10.2"}}
    head, line, row = gpu.table({"machine": machine, "parts": parts}).splitlines()
    assert head.count("|") == line.count("|") == row.count("|")
    assert row == (
        "| a GPU, jax 0.10.2 | not measured | not measured | 1,500 (2.00, 1.25; 30%); 2,000 (2.00, 1.25; 40%) | "
        "not measured | 900, 1,200, 1,500 | not measured | not measured | 8.3 and 4.2 GB |"
    )


def test_the_documentation_has_the_columns_of_the_table():
    text = (ROOT / "docs" / "performance.md").read_text()
    assert f"| {' | '.join(gpu.COLUMNS)} |" in text and "bash benchmarks/gpu.sh" in text


def _run(tmp_path, *options: str) -> tuple[dict, str]:
    """Run gpu.sh in this environment at the smallest sizes; return the content of its JSON file and its output."""
    environment = os.environ | {"PYTHON": sys.executable}
    command = ["bash", "benchmarks/gpu.sh", "--tiny", "--device", "cpu", "--minutes", "30", *options]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "gpu.json")], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((tmp_path / "gpu.json").read_text()), done.stdout


def test_the_script_measures_parts_and_prints_a_row(tmp_path):
    found, output = _run(tmp_path, "--what", "peaks", "grid")
    assert found["left out"] == {} and set(found["parts"]) == {"peaks", "grid"}
    assert found["parts"]["peaks"]["matrix product"]["measured"].keys() == {"float32", "bfloat16"}
    (grid,) = found["parts"]["grid"].values()
    assert grid["measured"].keys() == {"ours", "ours, 2 runs at once", "pytorch eager", "pytorch best"}
    assert output.splitlines()[-1].count(gpu._MISSING) == 7 and "times one" in output.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("part", sorted(set(gpu.LIMITS) - {"peaks", "grid"}))
def test_every_part_runs(tmp_path, part):
    found, output = _run(tmp_path, "--what", part)
    assert found["left out"] == {} and output.splitlines()[-1].count(gpu._MISSING) == 7
    for case in found["parts"][part].values():
        assert all(measured["median"] > 0 for measured in case["measured"].values())
        assert all(value > 0 for value in case["facts"].values())


def test_without_a_gpu_the_command_ends_in_one_line(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(tmp_path / "gpu.json")]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "--device gpu: JAX finds cpu only" in done.stderr
    assert not list(tmp_path.iterdir())

import subprocess
import sys
from pathlib import Path

import drawn_photographs as drawn
import pytest
from building import build, rejected

ROOT = Path(__file__).parents[2]

pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install -r requirements-beam.txt")

RUNNER = ["--", "--runner=DirectRunner", "--direct_num_workers=2", "--direct_running_mode=multi_processing"]


def _run(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "avlgan_jax.datasets.beam", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_records_with_detections_from_two_beam_workers_equal_those_without_beam(tmp_path, capfd):
    manual_dir = tmp_path / "manual"
    rows = drawn.diffusion_fer(manual_dir)
    drawn.save_face(manual_dir / "short_0.jpg", 3)
    drawn.cut_short(manual_dir / "short_0.jpg")
    drawn.write_sheet(manual_dir, [*rows, ["short_0.jpg", 0, 0, 0], ["../private.jpg", 0, 0, 0]])
    data_dir = tmp_path / "beam"
    done = _run("diffusion_fer", "--manual-dir", manual_dir, "--data-dir", data_dir, "--landmarks", "dlib", *RUNNER)
    assert done.returncode == 0, done.stderr
    assert "detector run on 12 of 14 photographs" in done.stdout

    options = {"landmarks": "dlib", "max_damaged": 0.5}
    with_beam = build("diffusion_fer", manual_dir, data_dir, **options)
    assert "12 of 14 detections reused" in capfd.readouterr().err
    without_beam = build("diffusion_fer", manual_dir, tmp_path / "without_beam", **options)
    assert with_beam.digest == without_beam.digest
    assert rejected(data_dir) == rejected(tmp_path / "without_beam")


def test_invalid_arguments_are_user_errors(tmp_path):
    done = _run("procedural_faces", "--manual-dir", tmp_path)
    assert done.returncode == 2 and "'procedural_faces' is not a data set of photographs" in done.stderr
    done = _run("affectnet", "--manual-dir", tmp_path / "nothing")
    assert done.returncode == 2 and "no such folder" in done.stderr
    assert "Traceback" not in done.stderr

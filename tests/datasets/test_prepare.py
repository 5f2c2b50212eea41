import contextlib
import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import drawn_photographs as drawn
import pytest
from conftest import ROOT, run_here
from PIL import Image

from avlgan_jax.data import records
from avlgan_jax.data.manifest import find_manifest, records_digest, verify_records
from avlgan_jax.datasets import prepare as preparing

SMALL = ["--faces", "24", "--held-out", "8", "--dyads", "1", "--dyad-seconds", "0.1", "--resolution", "32"]


def prepare(*arguments, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "prepare.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, **options)


def _assert_one_line(done: subprocess.CompletedProcess, *words: str) -> None:
    """Check that a command ended as after a user error: exit status 2, no traceback, the words in the last line."""
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert last.startswith("error: ")
    for word in words:
        assert word in last


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    done = prepare("procedural_faces", *SMALL, "--data-dir", data_dir, "--workers", 1)
    assert done.returncode == 0, done.stderr
    return data_dir, done


def test_the_first_run_prints_progress_and_the_number_of_faces(prepared):
    data_dir, done = prepared
    assert "train faces" in done.stdout and "24" in done.stdout
    assert "faces/s" in done.stderr and "train: 100%" in done.stderr
    assert len(done.stderr.splitlines()) < 30  # TensorFlow's log is not shown
    assert "tensorflow" not in (done.stdout + done.stderr).lower()
    manifest = json.loads((data_dir / "procedural_faces/32px/2.0.0/manifest.json").read_text())
    assert manifest["command"].startswith("python prepare.py procedural_faces --faces 24")
    assert sorted(path.name for path in data_dir.iterdir()) == ["procedural_faces"]


def test_the_second_run_does_nothing_and_does_not_import_tensorflow(prepared):
    data_dir, _ = prepared
    code = (
        "import sys, prepare; sys.argv = ['prepare.py', *sys.argv[1:]]; prepare.main();"
        "print('tensorflow' in sys.modules)"
    )
    arguments = ["procedural_faces", *SMALL, "--data-dir", str(data_dir)]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "is already prepared and intact" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"


def test_other_options_than_those_of_the_existing_records_are_an_error(prepared):
    data_dir, _ = prepared
    done = run_here("prepare.py", "procedural_faces", *SMALL, "--seed", 9, "--data-dir", data_dir)
    _assert_one_line(done, "seed=0 (requested: 9)", "--again")


def test_records_with_a_flipped_byte_are_prepared_again(prepared, tmp_path):
    data_dir = shutil.copytree(prepared[0], tmp_path / "data")
    digest = records_digest(data_dir, "procedural_faces", 32)
    damaged = next(data_dir.rglob("*-train.tfrecord*"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 3] ^= 1
    damaged.write_bytes(bytes(content))
    done = prepare("procedural_faces", *SMALL, "--data-dir", data_dir)
    assert done.returncode == 0
    assert f"{damaged.name} is damaged" in done.stderr and "preparing procedural_faces again" in done.stderr
    assert verify_records(data_dir, "procedural_faces", 32).digest == digest


def test_replaced_records_take_their_decoded_arrays_along_and_no_others(prepared, tmp_path):
    data_dir = shutil.copytree(prepared[0], tmp_path / "data")
    other = shutil.copytree(data_dir / "procedural_faces/32px", data_dir / "another/32px") / "2.0.0" / "manifest.json"
    other.write_text(json.dumps(json.loads(other.read_text()) | {"name": "another"}))
    for name in ("procedural_faces", "another"):
        records.load(data_dir, name, 32, "validation")
    (data_dir / ".cache" / "notes").mkdir()
    replaced, kept = (records_digest(data_dir, name, 32) for name in ("procedural_faces", "another"))
    done = prepare("procedural_faces", *SMALL, "--seed", 9, "--again", "--data-dir", data_dir)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if "decoded arrays" in line]
    assert len(told) == 1 and told[0].startswith("removed decoded arrays of records that are replaced: 0.")
    assert replaced != kept and sorted(p.name for p in (data_dir / ".cache").iterdir()) == sorted([kept, "notes"])
    records.load(data_dir, "procedural_faces", 32, "validation")
    done = prepare("procedural_faces", *SMALL, "--seed", 9, "--again", "--data-dir", data_dir)  # the same records
    new = records_digest(data_dir, "procedural_faces", 32)
    assert "decoded arrays" not in done.stdout and (data_dir / ".cache" / new).is_dir()


def test_no_decoded_arrays_are_removed_while_a_manifest_is_damaged(prepared, tmp_path):
    data_dir = shutil.copytree(prepared[0], tmp_path / "data")
    unused = data_dir / ".cache" / ("0" * 32)
    (unused / "train").mkdir(parents=True)
    (unused / "train" / "images.npy").write_bytes(b"12345")
    damaged = data_dir / "another" / "48px" / "2.0.0" / "manifest.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text('{"name": "another"')
    assert records.drop_unused_caches(data_dir) == (0, 0) and unused.is_dir()
    damaged.unlink()
    assert records.drop_unused_caches(data_dir) == (1, 5) and not unused.exists()


def test_a_killed_run_leaves_only_incomplete_folders(prepared, tmp_path):
    command = [sys.executable, str(ROOT / "prepare.py"), "procedural_faces", *SMALL[2:], "--faces", "100000"]
    process = subprocess.Popen(
        [*command, "--data-dir", str(tmp_path), "--workers", "1"], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("incomplete.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(tmp_path.rglob("incomplete.*"))
    assert find_manifest(tmp_path, "procedural_faces", 32) is None
    done = prepare("procedural_faces", *SMALL, "--data-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("incomplete.*"))
    expected = records_digest(prepared[0], "procedural_faces", 32)
    assert verify_records(tmp_path, "procedural_faces", 32).digest == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["difusion_fer"], ["unknown data set 'difusion_fer'", "did you mean diffusion_fer?"]),
        (["diffusion_fer"], ["--manual-dir"]),
        (["diffusion_fer", "--manual-dir", "/no/such"], ["/no/such", "no such folder"]),
        (["procedural_faces", "--faces", "0"], ["--faces 0"]),
        (["procedural_faces", "--workers", "0"], ["--workers 0"]),
        (["procedural_faces", "--data-dir", __file__], ["test_prepare.py is not a folder"]),
        (["diffusion_fer", "--manual-dir", ".", "--landmarks", "openface"], ["openface", "fan, fan3d, dlib"]),
    ],
)
def test_invalid_arguments_are_user_errors(arguments, words):
    _assert_one_line(run_here("prepare.py", *arguments), *words)


def test_unknown_options_and_resolutions_are_refused():
    for arguments in (["--speed", "3"], ["--resolution", "100"]):
        done = run_here("prepare.py", "procedural_faces", *arguments)
        assert done.returncode != 0
        assert arguments[0] in done.stderr and "Traceback" not in done.stderr


def test_help_describes_every_option():
    done = run_here("prepare.py", "diffusion_fer", "--help")
    assert done.returncode == 0
    for words in ("--manual-dir", "--landmarks", "--resolution", "--workers", "in pixels", "Largest share of damaged"):
        assert words in done.stdout


def test_photographs_are_prepared_and_rejections_reported(tmp_path):
    manual_dir = tmp_path / "manual"
    rows = drawn.diffusion_fer(manual_dir, 6)
    drawn.save_face(manual_dir / "short_0.jpg", 7)
    drawn.cut_short(manual_dir / "short_0.jpg")
    drawn.write_sheet(manual_dir, [*rows, ["short_0.jpg", 0, 0, 0]])
    arguments = ["diffusion_fer", "--manual-dir", manual_dir, "--data-dir", tmp_path / "data", "--resolution", 32]
    _assert_one_line(prepare(*arguments), "1 of 7 images", "short_0.jpg: unreadable", "--max-damaged")
    assert not list(tmp_path.rglob("*.tfrecord*")) and not list(tmp_path.rglob("incomplete.*"))
    done = prepare(*arguments, "--max-damaged", 0.2)
    assert done.returncode == 0, done.stderr
    assert "6 of 7 detections reused" in done.stderr
    assert done.stdout.split()[-5:] == ["accepted", "6", "rejected:", "unreadable", "1"]
    assert "the split 'validation' has no faces" in done.stderr
    done = prepare(*arguments, "--max-damaged", 0.2)
    assert "is already prepared and intact" in done.stdout and "rejected: unreadable" in done.stdout


def _detected(data_dir: Path) -> int:
    """Return the number of detections in the sidecar."""
    try:
        with contextlib.closing(sqlite3.connect(data_dir / ".landmarks" / "dlib-1.sqlite")) as database:
            return database.execute("SELECT COUNT(*) FROM found").fetchone()[0]
    except sqlite3.Error:
        return 0


@pytest.mark.slow
def test_a_run_killed_during_detection_reuses_its_detections(tmp_path):
    manual_dir = tmp_path / "manual"
    rows = []
    for number in range(160):  # 12 faces, made different by one pixel
        path = f"cropped/{number}_0.png"
        image = drawn.drawn_face(number % 12).image.copy()
        image[0, 0] = number
        (manual_dir / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(manual_dir / path)
        rows.append([path, 0, 0, 0])
    drawn.write_sheet(manual_dir, rows)
    arguments = ["diffusion_fer", "--manual-dir", manual_dir, "--resolution", 32, "--workers", 2, "--data-dir"]
    command = [sys.executable, str(ROOT / "prepare.py"), *map(str, arguments), str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    deadline = time.monotonic() + 60
    while not _detected(tmp_path / "killed") and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = _detected(tmp_path / "killed")
    assert 0 < kept < 160
    time.sleep(1.0)
    assert not any(_is_running(worker) for worker in workers)  # workers end with their parent process
    done = prepare(*arguments, tmp_path / "killed")
    assert done.returncode == 0, done.stderr
    assert f"{kept} of 160 detections reused" in done.stderr
    assert prepare(*arguments, tmp_path / "uninterrupted").returncode == 0
    digests = {records_digest(tmp_path / name, "diffusion_fer", 32) for name in ("killed", "uninterrupted")}
    assert len(digests) == 1


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which needs root")
def test_a_full_disk_is_a_user_error(tmp_path):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", tmp_path], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a file system is not permitted")
    try:
        done = prepare("procedural_faces", *SMALL[2:], "--faces", 200, "--data-dir", tmp_path, "--workers", 1)
        _assert_one_line(done, "No space left on device")
        assert find_manifest(tmp_path, "procedural_faces", 32) is None
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_an_error_of_the_file_system_keeps_its_number_inside_the_copy_of_tfds():
    """By its number `errors.command` knows a full disk; TFDS's copy, an OSError too, has the text only."""
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError) as raised, preparing._unwrapped_tfds_errors():
        try:
            raise full
        except OSError as error:
            raise type(error)(f"Failed to write records. {error}") from error
    assert raised.value is full

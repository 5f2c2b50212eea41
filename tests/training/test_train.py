"""The command line of train.py, as a user calls it."""

import json
import shutil

import pytest
from conftest import run
from training_processes import start, wait_for


def refused(*arguments):
    done = run("train.py", *arguments, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return " ".join((done.stdout + done.stderr).split())


def test_help_describes_every_section():
    text = run("train.py", "--help").stdout
    for words in ("--preset", "--image.emotion-weight", "lambda_e of the emotion loss", "--landmark.body"):
        assert words in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["image", "--workdir", "{tmp}", "--preset", "huge"], "huge"),
        (["poetry", "--workdir", "{tmp}"], "poetry"),
        (["image", "--workdir", "{tmp}", "--image.colour", "3"], "image.colour"),
        (["image", "--workdir", "{tmp}", "--image.learning-rate", "fast"], "fast"),
        (["image", "--workdir", "{tmp}", "--resolution", "50"], "resolution is 50"),
        (["image", "--workdir", "{tmp}", "--data-dir", "{tmp}", "--preset", "debug"], "python prepare.py"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(arguments, told, tmp_path):
    place = tmp_path / "run"
    assert told in refused(*[a.format(tmp=place) for a in arguments])
    assert not place.exists()


def test_3d_landmarks_that_the_data_does_not_have(data_dir, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(data_dir, copy, ignore=shutil.ignore_patterns(".cache"))
    for manifest in copy.rglob("manifest.json"):
        told = json.loads(manifest.read_text())
        del told["features"]["landmarks_3d"]
        manifest.write_text(json.dumps(told))
    options = ["--preset", "debug", "--data-dir", str(copy), "--workdir", str(tmp_path / "run")]
    told = refused("all", *options, "--landmark-dimensions", "3")
    assert "has no 3-D landmarks (landmarks_3d)" in told and "--landmarks fan3d" in told
    assert not (tmp_path / "run").exists() and not (copy / ".cache").exists()


def test_all_four_models_in_one_command(trained_run):
    folder, config, _ = trained_run
    told = (folder / "told.txt").read_text()
    for name in ("regressor", "landmark", "image", "avgan"):
        assert (folder / name / "checkpoints" / "4" / "sha256.json").is_file(), told
    assert config.resolution == 32
    assert "4/4" in told  # the progress line reached its end


def test_compiled_programs_are_kept_in_the_workdir(data_dir, tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)  # set, it would hold what the workdir shall keep
    process = start(data_dir, tmp_path)
    wait_for(lambda: any(tmp_path.glob(".compiled/*")), process)
    process.kill()
    process.communicate()


def test_a_flipped_byte_in_a_record_file_stops_training(data_dir, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(data_dir, copy, ignore=shutil.ignore_patterns(".cache"))
    record = next(path for path in copy.rglob("*train*.tfrecord*"))
    content = bytearray(record.read_bytes())
    content[len(content) // 2] ^= 1
    record.write_bytes(content)
    told = refused("landmark", "--preset", "debug", "--data-dir", str(copy), "--workdir", str(tmp_path / "run"))
    assert record.name in told and "python prepare.py" in told
    assert not (tmp_path / "run").exists()

"""The command line of train.py, run as a user runs it."""

import json
import shutil

import pytest
from conftest import run
from training_processes import start, wait_for

from avlgan_jax.training.run import LEFT_OUT
from avlgan_jax.training.workdir import read_config


def error_of(*arguments):
    done = run("train.py", *arguments, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return " ".join((done.stdout + done.stderr).split())


def test_help_describes_the_fields_of_all_sections():
    text = run("train.py", "--help").stdout
    for words in ("--preset", "--image.emotion-weight", "lambda_e of the emotion loss", "--landmark.body"):
        assert words in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["image", "--workdir", "{tmp}", "--preset", "huge"], "huge"),
        (["poetry", "--workdir", "{tmp}"], "poetry"),
        (["image", "--workdir", "{tmp}", "--image.colour", "3"], "image.colour"),
        (["image", "--workdir", "{tmp}", "--image.learning-rate", "fast"], "fast"),
        (["image", "--workdir", "{tmp}", "--resolution", "50"], "resolution is 50"),
        (["avgan", "--workdir", "{tmp}", "--avgan.steps", "0"], "error: " + LEFT_OUT),
        (["all", "--workdir", "{tmp}", "--image.steps", "0"], "steps is 0 in ImageTraining"),
        (["image", "--workdir", "{tmp}", "--data-dir", "{tmp}", "--preset", "debug"], "python prepare.py"),
    ],
)
def test_invalid_arguments_are_refused_before_anything_is_created(arguments, message, tmp_path):
    workdir = tmp_path / "run"
    assert message in error_of(*[a.format(tmp=workdir) for a in arguments])
    assert not workdir.exists()


def test_missing_3d_landmarks_in_the_data_are_a_user_error(data_dir, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(data_dir, copy, ignore=shutil.ignore_patterns(".cache"))
    for manifest in copy.rglob("manifest.json"):
        content = json.loads(manifest.read_text())
        del content["features"]["landmarks_3d"]
        manifest.write_text(json.dumps(content))
    options = ["--preset", "debug", "--data-dir", str(copy), "--workdir", str(tmp_path / "run")]
    message = error_of("all", *options, "--landmark-dimensions", "3")
    assert "has no 3-D landmarks (landmarks_3d)" in message and "--landmarks fan3d" in message
    assert not (tmp_path / "run").exists() and not (copy / ".cache").exists()


def test_one_command_trains_all_four_models(trained_run):
    folder, config, _ = trained_run
    output = (folder / "output.txt").read_text()
    for name in ("regressor", "landmark", "image", "avgan"):
        assert (folder / name / "checkpoints" / "4" / "sha256.json").is_file(), output
    assert config.resolution == 32
    assert "4/4" in output  # the progress bar reached the last step


def test_all_trains_three_models_if_avgan_has_no_steps(run_without_avgan):
    assert (run_without_avgan / "output.txt").read_text().splitlines().count(LEFT_OUT) == 1
    trained = {path.parent.name for path in run_without_avgan.glob("*/checkpoints")}
    assert trained == {"regressor", "landmark", "image"}
    assert read_config(run_without_avgan).avgan.steps == 0


def test_compiled_programs_are_kept_in_the_workdir(data_dir, tmp_path, monkeypatch):
    # If the variable is set, programs are cached there instead of in the workdir.
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
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
    message = error_of("landmark", "--preset", "debug", "--data-dir", str(copy), "--workdir", str(tmp_path / "run"))
    assert record.name in message and "python prepare.py" in message
    assert not (tmp_path / "run").exists()

import errno
import importlib
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import jax
import pytest
from conftest import ROOT, run_here

from avlgan_jax import errors


def failing(error):
    """Return a command that raises `error`."""

    def main():
        raise error

    return errors.command(main)


def test_a_user_error_prints_one_line_and_exits_with_2(capsys):
    with pytest.raises(SystemExit) as ended:
        failing(errors.UserError("the file x\n is broken"))()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: the file x is broken\n"


def test_a_full_disk_prints_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        failing(OSError(errno.ENOSPC, "No space left on device", "/data/x"))()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: cannot write to /data/x: No space left on device")


def test_a_file_that_may_not_be_read_or_written_prints_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        failing(OSError(errno.EACCES, "Permission denied", "labels.csv"))()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: cannot open labels.csv: Permission denied; change its")


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())()
    with pytest.raises(OSError, match="weird"):
        failing(OSError(errno.EIO, "weird"))()


@pytest.mark.parametrize(("module", "extra"), [("tensorflow_datasets", "prepare"), ("uvicorn.config", "app")])
def test_a_missing_package_of_an_extra_prints_how_to_install_it(module, extra, capsys):
    with pytest.raises(SystemExit) as ended:
        failing(ModuleNotFoundError(f"No module named {module!r}", name=module))()
    assert ended.value.code == 2
    expected = f"error: the package {module} is not installed; get it with: pip install 'avlgan_jax[{extra}]'\n"
    assert capsys.readouterr().err == expected
    with pytest.raises(ModuleNotFoundError):
        failing(ModuleNotFoundError("No module named 'avlgan_jax.nowhere'", name="avlgan_jax.nowhere"))()


def test_a_closed_output_pipe_is_no_error():
    command = f"{sys.executable} train.py --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "" and done.returncode in (0, 1)


def test_commands_are_named_by_script_in_a_clone_and_by_program_when_installed(monkeypatch, tmp_path):
    assert errors.command_line("train") == "python train.py"
    assert errors.command_line("edit") == "python synthesize.py"
    monkeypatch.setattr(errors, "_CLONE", tmp_path)
    assert errors.command_line("train") == "avlgan-train"
    (tmp_path / "train.py").touch()  # another project's script among the installed packages
    assert errors.command_line("train") == "avlgan-train"


@pytest.mark.parametrize("script", ["train.py", "synthesize.py", "evaluate.py"])
def test_help_ends_quietly_when_its_reader_has_gone(script):
    command = f"{sys.executable} {script} --help | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "" and done.returncode in (0, 1) and done.stdout.count("\n") == 1


def test_characters_that_the_terminal_lacks_are_escaped(tmp_path):
    plain = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    missing = tmp_path / "Jörg.jpg"
    for arguments, code in ((["--help"], 0), (["edit", str(missing), "--emotion", "happy"], 2)):
        command = [sys.executable, "synthesize.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | plain)
        assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    assert "rg.jpg" in done.stderr and done.stderr.isascii()


@pytest.mark.parametrize("seconds", [0.0, 0.5, 2.0])
def test_an_early_interrupt_ends_quietly(seconds, tmp_path):
    """Ctrl-C some seconds after the import of NumPy began. Before, only Python itself starts."""
    command = [sys.executable, "synthesize.py", "matrix", "procedural:1", "--out", str(tmp_path / "matrix.png")]
    # A shell starts its background jobs, such as this test suite, with the signal ignored, and programs inherit that.
    program = subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until = time.monotonic() + 60
    while "numpy" not in Path(f"/proc/{program.pid}/maps").read_text() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(seconds)
    program.send_signal(signal.SIGINT)
    _, printed = program.communicate(timeout=60)
    assert program.returncode == 130 and "Traceback" not in printed, printed


def test_an_interrupt_within_a_library_ends_quietly_too(capsys):
    def main():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:
            raise ImportError("the extension could not be initialised") from None

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as ended:
            errors.command(main)()
        assert ended.value.code == 130 and capsys.readouterr().err == ""
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_a_callback_swallows_is_not_lost(capsys):
    def main():
        class Collected:
            def __del__(self):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)

        Collected()
        time.sleep(5)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as ended:
            errors.command(main)()
        assert ended.value.code == 130 and capsys.readouterr().err == ""
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_waits_for_an_import(tmp_path, monkeypatch, capsys):
    """An exception in the middle of loading an extension module can crash it."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "interrupted_module.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.2)\nloaded = True\n"
    )
    found = []

    def main():
        found.append(importlib.import_module("interrupted_module").loaded)
        time.sleep(5)
        found.append("not interrupted")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as ended:
            errors.command(main)()
        assert ended.value.code == 130 and capsys.readouterr().err == "" and found == [True]
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG])
def test_a_file_where_a_folder_is_expected_is_one_line(number, capsys):
    with pytest.raises(SystemExit) as ended:
        failing(OSError(number, os.strerror(number), "runs/mine"))()
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert (
        printed.startswith(f"error: cannot use runs/mine: {os.strerror(number)}; expected a")
        and printed.count("\n") == 1
    )


@pytest.mark.parametrize("command", [["evaluate.py"], ["ablate.py"]])
def test_a_workdir_that_is_a_file_is_named_as_such(tmp_path, command):
    (tmp_path / "file").touch()
    done = run_here(*command, "--workdir", str(tmp_path / "file"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: the workdir {tmp_path / 'file'} is a file; expected a folder")


def test_every_program_and_script_goes_through_the_wrapper():
    for name, target in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"].items():
        function = getattr(errors, target.removeprefix("avlgan_jax.errors:"))
        assert function.__closure__ and function.__name__ == "run", name
    mains = [
        path for path in [*ROOT.glob("*.py"), *(ROOT / "avlgan_jax").rglob("*.py")] if "__main__" in path.read_text()
    ]
    for path in mains:
        text = path.read_text()
        if '__name__ == "__main__"' in text:
            assert "command\ndef main" in text or "from avlgan_jax.errors import" in text, path


def test_a_device_without_memory_is_told_in_one_line(capsys):
    error = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes.\n[at op]")
    assert errors.report_error(error) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: the device has no memory left (RESOURCE_EXHAUSTED: Out of memory")
    assert printed.count("\n") == 1 and "--image.rematerialise" in printed
    assert errors.report_error(jax.errors.JaxRuntimeError("INTERNAL: a bug")) is None

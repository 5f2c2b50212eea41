import errno
import subprocess
import sys

import pytest
from conftest import ROOT

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

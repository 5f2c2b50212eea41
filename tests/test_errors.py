import errno

import pytest

from avlgan_jax import errors


def failing(error):
    def main():
        raise error

    return errors.command(main)


def test_a_persons_mistake_is_one_line_and_exit_2(capsys):
    with pytest.raises(SystemExit) as ended:
        failing(errors.UserError("the file x\n is broken"))()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: the file x is broken\n"


def test_a_full_disk_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        failing(OSError(errno.ENOSPC, "No space left on device", "/data/x"))()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: cannot write to /data/x: No space left on device")


def test_our_own_faults_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())()
    with pytest.raises(OSError, match="weird"):
        failing(OSError(errno.EIO, "weird"))()

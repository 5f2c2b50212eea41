import signal
import subprocess
import sys
import time

import pytest

from avlgan_jax import signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_request_sets_the_event_and_handlers_come_back(number, capsys):
    before = signal.getsignal(number)
    with signals.stop_requests() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
    assert signal.getsignal(number) == before
    assert "stopping after this step" in capsys.readouterr().err


def test_the_second_request_ends_the_process():
    code = (
        "import time\nfrom avlgan_jax import signals\n"
        "with signals.stop_requests():\n    print('ready', flush=True)\n    time.sleep(30)\n    time.sleep(30)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert "stopping after this step" in process.stderr.readline() + process.stderr.readline()
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM and time.monotonic() - started < 5


def test_the_exit_code_says_start_me_again():
    with pytest.raises(SystemExit) as ended:
        raise signals.Interrupted
    assert ended.value.code == 75

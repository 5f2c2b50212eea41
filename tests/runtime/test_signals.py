import signal
import subprocess
import sys
import time

import pytest

from avlgan_jax.runtime import signals

# A background process of a shell ignores SIGINT, and child processes inherit this: set the handler again.
HEAD = """import signal, sys, time
from avlgan_jax.runtime import signals
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


def program(body, options=""):
    """Start a process that runs `body` while it listens for stop requests; return it after it has printed "ready"."""
    code = f"{HEAD}with signals.stop_requests({options}) as stop:\n{body}"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def ended(process, within):
    """Return (exit status, stdout, stderr) of a process that ends within so many seconds and without a traceback."""
    started = time.monotonic()
    out, err = process.communicate(timeout=within)
    assert time.monotonic() - started < within and "Traceback" not in err
    return process.returncode, out, err


TRAINING = """    with stop.deferred_to_steps():
        print('ready', flush=True)
        while not stop.is_set():
            time.sleep(0.01)
        print('step done', flush=True)
        time.sleep(60 if 'slow' in sys.argv else 0)
    raise signals.Interrupted
"""
# Runs in C without returning to Python's interpreter loop, as compilation does, so that no Python signal handler runs.
COMPILING = """    with stop.deferred_to_steps(), stop.saving_immediately(lambda: print('saved', flush=True)):
        print('ready', flush=True)
        __import__('hashlib').pbkdf2_hmac('sha256', b'', b'', 10**8)
"""
STARTING = "    print('ready', flush=True)\n    time.sleep(60)\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_during_training_waits_for_the_end_of_the_step(number):
    process = program(TRAINING)
    process.send_signal(number)
    code, out, err = ended(process, 5)
    assert (code, out) == (75, "step done\n") and "stopping after this step" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_during_compilation_saves_at_once_and_ends_the_process(number):
    process = program(COMPILING)
    process.send_signal(number)
    code, out, _ = ended(process, 5)
    assert (code, out) == (75, "saved\n")


def test_a_request_before_there_is_a_state_to_save_ends_the_process_at_once():
    process = program(STARTING)
    process.send_signal(signal.SIGTERM)
    assert ended(process, 5)[0] == 75


def test_a_second_request_ends_the_process_at_once():
    process = program(TRAINING.replace("'slow' in sys.argv", "True"))
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "step done\n"
    time.sleep(signals.ONE_REQUEST + 0.1)
    process.send_signal(signal.SIGTERM)
    assert ended(process, 5)[0] == 128 + signal.SIGTERM


def test_a_signal_that_arrives_twice_is_one_request():
    """`timeout` sends its signal to the process and then to the group, and the state must still be saved."""
    process = program(TRAINING.replace("60 if 'slow' in sys.argv else 0", "0.5"))
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "step done\n"  # the first has been received
    process.send_signal(signal.SIGINT)
    assert ended(process, 5)[0] == 75


def test_a_failed_save_is_reported_and_requests_no_restart():
    process = program(COMPILING.replace("print('saved', flush=True)", "open('/nowhere/at/all')"))
    process.send_signal(signal.SIGTERM)
    code, _, err = ended(process, 5)
    assert code == 1 and "could not save" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("options", "ignored"), [("last=True", True), ("", False)])
def test_a_request_after_the_context_is_ignored_if_it_was_the_last(number, options, ignored):
    process = program("    pass\nprint('ready', flush=True)\ntime.sleep(1)\n", options)
    process.send_signal(number)
    process.communicate(timeout=10)
    assert (process.returncode == 0) == ignored


def test_handlers_are_restored_and_an_inner_context_yields_the_outer_requests():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with signals.stop_requests() as outer, signals.stop_requests() as inner:
        assert inner is outer and not outer.is_set()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_interrupted_exits_with_the_status_that_requests_a_restart():
    with pytest.raises(SystemExit) as ended:
        raise signals.Interrupted
    assert ended.value.code == 75

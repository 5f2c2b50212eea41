import signal
import subprocess
import sys
import time

import pytest

from avlgan_jax.runtime import signals

# What a shell starts in the background has SIGINT ignored, and hands that on.
HEAD = """import signal, sys, time
from avlgan_jax.runtime import signals
signal.signal(signal.SIGINT, signal.default_int_handler)
"""


def program(body, options=""):
    """A process that listens for requests, runs `body`, and has printed "ready"."""
    code = f"{HEAD}with signals.stop_requests({options}) as stop:\n{body}"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def ended(process, within):
    started = time.monotonic()
    out, err = process.communicate(timeout=within)
    assert time.monotonic() - started < within and "Traceback" not in err
    return process.returncode, out, err


POLITE = """    with stop.deferred_to_steps():
        print('ready', flush=True)
        while not stop.is_set():
            time.sleep(0.01)
        print('step done', flush=True)
        time.sleep(60 if 'slow' in sys.argv else 0)
    raise signals.Interrupted
"""
# Busy inside C without once coming back to Python's interpreter loop, as a compiler is: no handler of Python's runs.
COMPILING = """    with stop.deferred_to_steps(), stop.saving_immediately(lambda: print('saved', flush=True)):
        print('ready', flush=True)
        __import__('hashlib').pbkdf2_hmac('sha256', b'', b'', 10**8)
"""
STARTING = "    print('ready', flush=True)\n    time.sleep(60)\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_between_steps_a_request_waits_for_the_step(number):
    process = program(POLITE)
    process.send_signal(number)
    code, out, err = ended(process, 5)
    assert (code, out) == (75, "step done\n") and "stopping after this step" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_while_compiling_the_listener_saves_and_ends_the_process(number):
    process = program(COMPILING)
    process.send_signal(number)
    code, out, _ = ended(process, 5)
    assert (code, out) == (75, "saved\n")


def test_before_there_is_anything_to_save_the_end_comes_at_once():
    process = program(STARTING)
    process.send_signal(signal.SIGTERM)
    assert ended(process, 5)[0] == 75


def test_the_second_request_ends_the_process_there_and_then():
    process = program(POLITE.replace("'slow' in sys.argv", "True"))
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "step done\n"
    process.send_signal(signal.SIGTERM)
    assert ended(process, 5)[0] == 128 + signal.SIGTERM


def test_a_save_that_fails_is_told_and_asks_for_no_restart():
    process = program(COMPILING.replace("print('saved', flush=True)", "open('/nowhere/at/all')"))
    process.send_signal(signal.SIGTERM)
    code, _, err = ended(process, 5)
    assert code == 1 and "could not save" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("options", "passed_over"), [("last=True", True), ("", False)])
def test_a_request_after_the_last_work_is_passed_over(number, options, passed_over):
    process = program("    pass\nprint('ready', flush=True)\ntime.sleep(1)\n", options)
    process.send_signal(number)
    process.communicate(timeout=10)
    assert (process.returncode == 0) == passed_over


def test_handlers_come_back_and_an_inner_context_is_the_outer_one():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with signals.stop_requests() as outer, signals.stop_requests() as inner:
        assert inner is outer and not outer.is_set()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_the_exit_code_says_start_me_again():
    with pytest.raises(SystemExit) as ended:
        raise signals.Interrupted
    assert ended.value.code == 75

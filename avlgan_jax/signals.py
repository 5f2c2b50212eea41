"""Stopping on request: SIGTERM and SIGINT ask for a stop at the next step, a second one stops at once."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

# sysexits.h EX_TEMPFAIL: schedulers read it as "start me again".
RESTART_EXIT_CODE = 75


class Interrupted(SystemExit):
    """The run has saved its state and wants to be started again."""

    def __init__(self) -> None:
        super().__init__(RESTART_EXIT_CODE)


@contextlib.contextmanager
def stop_requests() -> Iterator[threading.Event]:
    """An event that is set when somebody asks the process to stop; the second request ends it there and then."""
    asked = threading.Event()

    def on_signal(number: int, frame: object) -> None:
        if asked.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        asked.set()
        print("\nstopping after this step; once more stops at once", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

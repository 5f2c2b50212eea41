"""Stop requests: SIGTERM or SIGINT ends a run after its state is saved, and a later signal ends it immediately.

Python runs signal handlers between two instructions of the main thread, which executes none for minutes while XLA
compiles. A separate thread therefore receives each signal at once (`signal.set_wakeup_fd`). If the run has set a save
function, this thread starts another one that saves and ends the process.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

# EX_TEMPFAIL of sysexits.h, which makes schedulers start the run again.
RESTART_EXIT_CODE = 75
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Signals within so many seconds are one request: `timeout` and schedulers send theirs to a process and to its group.
ONE_REQUEST = 1.0

Save = Callable[[], None]


class Interrupted(SystemExit):
    """Exit of a run that has saved its state and is to be started again. The status is RESTART_EXIT_CODE."""

    def __init__(self) -> None:
        super().__init__(RESTART_EXIT_CODE)


class StopRequests:
    """The stop request of a process, and the reaction to it.

    Initially a request ends the process at once with RESTART_EXIT_CODE, since there is nothing to save yet.
    `deferred_to_steps` and `saving_immediately` change this for the duration of a context.
    """

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._first = 0.0
        self._lock = threading.Lock()
        self._save: Save | None = lambda: None

    def is_set(self) -> bool:
        """Return whether a stop request has been received."""
        return self._requested.is_set()

    @contextlib.contextmanager
    def deferred_to_steps(self) -> Iterator[None]:
        """Within the context, let a request only set `is_set`, which the run checks after each dispatch."""
        with self._with_save(None):
            yield

    @contextlib.contextmanager
    def saving_immediately(self, save: Save) -> Iterator[None]:
        """Within the context, let a request call `save` in another thread and then end the process.

        Use it around work that takes long and does not change the state, such as compiling or validation.

        Args:
            save: Saves the state and returns when it is written. If it fails, the process exits with status 1, else
                with RESTART_EXIT_CODE.

        Raises:
            Interrupted: A request was received before the context was entered; `save` has been called.
        """
        with self._with_save(save):
            if self.is_set():  # the request came just before
                save()
                raise Interrupted
            yield

    @contextlib.contextmanager
    def _with_save(self, save: Save | None) -> Iterator[None]:
        """Within the context, use `save` for a request; None leaves the request to the steps."""
        with self._lock:  # while another thread saves, this blocks until the process ends
            before, self._save = self._save, save
        try:
            yield
        finally:
            with self._lock:
                self._save = before

    def _handle(self, number: int) -> None:
        """React to a signal, in the listener thread."""
        if self._requested.is_set():
            if time.monotonic() - self._first < ONE_REQUEST:
                return
            os._exit(128 + number)
        self._first = time.monotonic()
        self._requested.set()
        if self._save is None:
            return _print("stopping after this step; send the signal again to stop immediately")
        _print("stopping; send the signal again to stop immediately")
        # In another thread, so that the listener can receive a second signal.
        threading.Thread(target=self._save_and_exit, daemon=True).start()

    def _save_and_exit(self) -> None:
        """Save the state and end the process, unless `deferred_to_steps` has been entered in the meantime."""
        code = 1
        with self._lock:
            if self._save is None:
                return  # the steps check `is_set` themselves
            try:
                self._save()
                code = RESTART_EXIT_CODE
            except BaseException as error:
                _print(f"error: could not save the state: {error}")
            finally:
                sys.stdout.flush()
                os._exit(code)


_installed: StopRequests | None = None


@contextlib.contextmanager
def stop_requests(last: bool = False) -> Iterator[StopRequests]:
    """Listen for stop requests within the context, and yield the `StopRequests` of the process.

    Enter it in the main thread. Inside another such context it yields the outer one's `StopRequests`.

    Args:
        last: Whether the process ends after this context. If so, SIGTERM and SIGINT are ignored from then on, so that
            a late request does not turn a successful run into a failed one. Otherwise the previous handlers return.
    """
    global _installed
    if _installed is not None:
        yield _installed
        return
    _installed = requests = StopRequests()
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    listener = threading.Thread(target=_listen, args=(read_end, requests), daemon=True)
    listener.start()
    handlers = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    wakeup = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    try:
        yield requests
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_IGN if last else handler)
        os.close(write_end)  # the listener reads the end of the pipe and returns
        listener.join()
        os.close(read_end)
        _installed = None


def _listen(read_end: int, requests: StopRequests) -> None:
    """Pass each stop signal to `requests` until the pipe is closed."""
    while number := os.read(read_end, 1):
        if number[0] in _SIGNALS:
            requests._handle(number[0])


def _print(text: str) -> None:
    print(f"\n{text}", file=sys.stderr, flush=True)

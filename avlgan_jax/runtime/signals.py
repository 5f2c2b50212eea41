"""Stopping on request: SIGTERM and SIGINT end a run with its work saved, a second one ends it there and then.

Python runs a signal's handler between two instructions of the main thread, and while XLA compiles there are none for
minutes. So a thread of its own hears of signals the moment they come (`signal.set_wakeup_fd`) and, where the run has
said how, saves and ends the process itself.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

# sysexits.h EX_TEMPFAIL: schedulers read it as "start me again".
RESTART_EXIT_CODE = 75
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Save = Callable[[], None]


class Interrupted(SystemExit):
    """The run has saved its state and wants to be started again."""

    def __init__(self) -> None:
        super().__init__(RESTART_EXIT_CODE)


class StopRequests:
    """Whether somebody asked the process to stop, and what happens when somebody does.

    At first a request ends the process at once with RESTART_EXIT_CODE: there is nothing to save yet.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._save: Save | None = lambda: None

    def is_set(self) -> bool:
        """Whether a request has come."""
        return self._asked.is_set()

    @contextlib.contextmanager
    def deferred_to_steps(self) -> Iterator[None]:
        """Within, a request only sets `is_set`: the run looks at every step boundary, saves and leaves."""
        with self._answered_by(None):
            yield

    @contextlib.contextmanager
    def saving_immediately(self, save: Save) -> Iterator[None]:
        """Within, a request is answered by another thread, whatever this one is busy with: `save()`, then the end.

        For work that takes long and leaves the state alone, such as compiling or looking at validation faces.
        """
        with self._answered_by(save):
            if self.is_set():  # it came just before
                save()
                raise Interrupted
            yield

    @contextlib.contextmanager
    def _answered_by(self, save: Save | None) -> Iterator[None]:
        with self._lock:  # while an answer is under way, this waits for the end of the process
            before, self._save = self._save, save
        try:
            yield
        finally:
            with self._lock:
                self._save = before

    def _hear(self, number: int) -> None:
        """Answer a signal, in the thread that listens."""
        if self._asked.is_set():
            os._exit(128 + number)
        self._asked.set()
        if self._save is None:
            return _tell("stopping after this step; once more stops at once")
        _tell("stopping; once more stops at once")
        threading.Thread(target=self._answer, daemon=True).start()  # this one goes on listening

    def _answer(self) -> None:
        code = 1
        with self._lock:
            if self._save is None:
                return  # steps have begun meanwhile: they look for themselves
            try:
                self._save()
                code = RESTART_EXIT_CODE
            except BaseException as error:
                _tell(f"error: could not save: {error}")
            finally:
                sys.stdout.flush()
                os._exit(code)


_installed: StopRequests | None = None


@contextlib.contextmanager
def stop_requests(last: bool = False) -> Iterator[StopRequests]:
    """The process's stop requests, listened to within; inside another such context, that one's.

    To be entered in the main thread. With `last` nothing comes after it: a request while the process ends finds
    everything done and is passed over, instead of turning a success into a death by a signal.
    """
    global _installed
    if _installed is not None:
        yield _installed
        return
    _installed = requests = StopRequests()
    hearing, telling = os.pipe()
    os.set_blocking(telling, False)
    listener = threading.Thread(target=_listen, args=(hearing, requests), daemon=True)
    listener.start()
    handlers = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    wakeup = signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
    try:
        yield requests
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_IGN if last else handler)
        os.close(telling)  # the listener reads the end
        listener.join()
        os.close(hearing)
        _installed = None


def _listen(hearing: int, requests: StopRequests) -> None:
    while number := os.read(hearing, 1):
        if number[0] in _SIGNALS:
            requests._hear(number[0])


def _tell(text: str) -> None:
    print(f"\n{text}", file=sys.stderr, flush=True)

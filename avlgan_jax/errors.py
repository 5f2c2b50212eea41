"""User-facing errors: print one line to stderr and exit with a non-zero status, without a traceback."""

import contextlib
import errno
import functools
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

USAGE_EXIT_CODE = 2
_INTERRUPTED = 130  # as a shell reports a program that Ctrl-C ended
_PAUSE = 0.05  # seconds until an interrupt that came at a bad moment is sent again
# The extra of the package (`pip install 'avlgan_jax[EXTRA]'`) that installs a module which only some commands need.
EXTRAS = {
    "tensorflow": "prepare",
    "google_crc32c": "prepare",
    "tensorflow_datasets": "prepare",
    "dlib": "dlib",
    "face_recognition_models": "dlib",
    "face_alignment": "fan",
    "ai_edge_litert": "mediapipe",
    "torch": "inception",
    "starlette": "app",
    "uvicorn": "app",
    "websockets": "app",
}
_CLONE = Path(__file__).parents[1]


class UserError(Exception):
    """An error that the person can correct.

    Its text is one line: what was found, where, what was expected and what to do.
    """


def one_line(error: BaseException) -> str:
    """Return the text of `error` on one line, or the name of its type where it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


def command_line(name: str) -> str:
    """Return how a person starts a command here, for messages that say what to do next.

    Args:
        name: "prepare", "train", "evaluate", "ablate" or "edit".

    Returns:
        The clone's script ("python train.py") where this package lies in a clone, else the installed program
        ("avlgan-train").
    """
    script = _CLONE / f"{'synthesize' if name == 'edit' else name}.py"
    return f"python {script.name}" if (_CLONE / "pyproject.toml").is_file() and script.is_file() else f"avlgan-{name}"


def command(main: Callable[[], None]) -> Callable[[], None]:
    """Wrap the `main` of a command so that it ends quietly or in one line.

    A `UserError`, a disk that is full or read-only, a file that may not be opened or is where a folder is expected, and
    a missing package that an extra installs exit with status 2. A closed pipe ends the command silently with status 1,
    Ctrl-C with status 130. Characters that the terminal cannot show are printed as escapes. Any other exception is a
    bug of this project and keeps its traceback.
    """

    @functools.wraps(main)
    def run() -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # not where a test or a notebook replaces it
                stream.reconfigure(errors="backslashreplace")
        with _interrupts() as interrupted:
            try:
                try:
                    main()
                finally:
                    sys.stdout.flush()  # Python's own flush at exit would print a traceback for a closed pipe
            except BaseException as error:
                code = _INTERRUPTED if interrupted else _exit_code(error)
                if code is None:
                    raise
                sys.exit(code)

    return run


def program(module: str) -> Callable[[], None]:
    """Return the command whose `main` is in a module of this package. The module is imported within the wrapper.

    Importing it takes a second, in which Ctrl-C would otherwise print a traceback.
    """

    def run() -> None:
        importlib.import_module(module).main()

    return command(run)


# The installed programs (`pyproject.toml`), and the scripts of a clone.
prepare = program("avlgan_jax.datasets.prepare")
train = program("avlgan_jax.training.run")
evaluate = program("avlgan_jax.evaluation.run")
ablate = program("avlgan_jax.evaluation.ablate")
edit = program("avlgan_jax.editing.commands")
app = program("avlgan_jax.app.__main__")
export = program("avlgan_jax.editing.export")


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Yield a list that is not empty after Ctrl-C.

    KeyboardInterrupt alone does not tell: a library in whose import or callback it is raised may raise another
    exception instead. Where something else handles the signal, or ignores it, it stays so.
    """
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        if _is_importing(frame):
            # An exception in the middle of loading an extension module can crash it. Wait for the import. A timer of
            # the system, not a thread: the import may hold the locks that starting a thread needs.
            signal.setitimer(signal.ITIMER_REAL, _PAUSE)
            return
        received.append(number)
        raise KeyboardInterrupt

    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield received
        return

    def lost(unraisable) -> None:
        # Python prints and forgets what a callback of the garbage collector raises. Send it again, a little later.
        if unraisable.exc_type is KeyboardInterrupt:
            threading.Timer(_PAUSE, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            hook(unraisable)

    hook, sys.unraisablehook = sys.unraisablehook, lost
    signal.signal(signal.SIGINT, interrupt)
    alarm = signal.signal(signal.SIGALRM, interrupt)
    try:
        yield received
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, alarm)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = hook


def _is_importing(frame: FrameType | None) -> bool:
    """Return whether the code of a frame runs within an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _exit_code(error: BaseException) -> int | None:
    """Report the exception that ended a command; return its exit status, or None if it is a bug or no error at all."""
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone, as `head` does. Python flushes once more at exit: into nothing.
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        return 1
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED
    return report_error(error)


def report_error(error: BaseException) -> int | None:
    """Print a user error as one line and return its exit status. Return None for any other exception (a bug)."""
    if isinstance(error, OSError) and error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG):
        expected = {errno.EISDIR: "a file", errno.ENAMETOOLONG: "a shorter name"}.get(error.errno, "a folder")
        error = UserError(f"cannot use {error.filename}: {error.strerror}; expected {expected}: choose another place")
    if isinstance(error, OSError) and error.errno == errno.EACCES:
        where = error.filename or "a file"
        error = UserError(f"cannot open {where}: {error.strerror}; change its permissions or choose another place")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        where = error.filename or "the output directory"
        error = UserError(f"cannot write to {where}: {error.strerror}; free some space or choose another place")
    if isinstance(error, ModuleNotFoundError) and (extra := EXTRAS.get((error.name or "").partition(".")[0])):
        error = UserError(f"the package {error.name} is not installed; get it with: pip install 'avlgan_jax[{extra}]'")
    if type(error).__name__ == "JaxRuntimeError" and str(error).startswith("RESOURCE_EXHAUSTED"):
        error = UserError(
            f"the device has no memory left ({one_line(error)[:150]}); use a smaller batch or resolution, more "
            "devices, or in training --image.rematerialise"
        )
    if not isinstance(error, UserError):
        return None
    print(f"error: {one_line(error)}", file=sys.stderr)
    return USAGE_EXIT_CODE

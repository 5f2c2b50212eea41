"""User-facing errors: print one line to stderr and exit with a non-zero status, without a traceback."""

import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

USAGE_EXIT_CODE = 2
# The extra of the package (`pip install 'avlgan_jax[EXTRA]'`) that installs a module which only some commands need.
EXTRAS = {
    "tensorflow": "prepare",
    "tensorflow_datasets": "prepare",
    "dlib": "dlib",
    "face_recognition_models": "dlib",
    "face_alignment": "fan",
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
    """Wrap the `main` of a command so that user errors end in one line.

    A `UserError`, a disk that is full or read-only, and a missing package that an extra installs exit with status 2.
    A closed pipe ends the command silently with status 1. Any other exception is a bug of this project and keeps its
    traceback.
    """

    @functools.wraps(main)
    def run() -> None:
        try:
            main()
        except BrokenPipeError:
            # The reader of our output has gone, as `head` does. Python flushes stdout once more at exit: into nothing.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except (UserError, OSError, ModuleNotFoundError) as error:
            code = report_error(error)
            if code is None:
                raise
            sys.exit(code)

    return run


def report_error(error: BaseException) -> int | None:
    """Print a user error as one line and return its exit status. Return None for any other exception (a bug)."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
        where = error.filename or "the output directory"
        error = UserError(f"cannot write to {where}: {error.strerror}; free some space or choose another place")
    if isinstance(error, ModuleNotFoundError) and (extra := EXTRAS.get((error.name or "").partition(".")[0])):
        error = UserError(f"the package {error.name} is not installed; get it with: pip install 'avlgan_jax[{extra}]'")
    if not isinstance(error, UserError):
        return None
    print(f"error: {one_line(error)}", file=sys.stderr)
    return USAGE_EXIT_CODE

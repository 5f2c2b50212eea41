"""How the project speaks to a person when something is wrong: one line, a non-zero exit, no traceback."""

import errno
import functools
import sys
from collections.abc import Callable

USAGE_EXIT_CODE = 2


class UserError(Exception):
    """Something the person can put right: what was found, where, what was expected and what to do, in one line."""


def one_line(error: BaseException) -> str:
    """The text of `error` with its line breaks folded, for a message of one line."""
    return " ".join(str(error).split()) or type(error).__name__


def command(main: Callable[[], None]) -> Callable[[], None]:
    """Wrap the `main` of an entry script so that a person's mistakes end in one line.

    A `UserError` exits with status 2, a full or read-only disk with status 2 and the path that failed. Anything
    else is a fault of this project and keeps its traceback.
    """

    @functools.wraps(main)
    def run() -> None:
        try:
            main()
        except (UserError, OSError) as error:
            code = report_error(error)
            if code is None:
                raise
            sys.exit(code)

    return run


def report_error(error: BaseException) -> int | None:
    """Tell a person's mistake in one line; the exit status, or None for a fault of this project."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
        where = error.filename or "the output directory"
        error = UserError(f"cannot write to {where}: {error.strerror}; free some space or choose another place")
    if not isinstance(error, UserError):
        return None
    print(f"error: {one_line(error)}", file=sys.stderr)
    return USAGE_EXIT_CODE

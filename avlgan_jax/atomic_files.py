"""Atomic writes: content goes to a temporary sibling, which is then renamed into place."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; the file written there replaces `path` when the block ends without an exception.

    If the block raises, the temporary file is deleted and `path` stays unchanged. The temporary path has the suffix of
    `path`, because some writers infer the format from it.
    """
    partial = _sibling(path, "new")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path, keep: Callable[[Path], bool] = lambda path: False) -> Iterator[Path]:
    """Yield a new empty folder, which replaces `path` when the block ends without an exception.

    If the block raises, the new folder is deleted and `path` stays unchanged. Missing parent folders of `path` are
    created. An existing `path` is renamed first, so for a moment neither folder is at `path`.

    Args:
        path: The folder.
        keep: Called with `path` when the block has ended. If it returns True, another process has written the same
            folder meanwhile and may read it: that folder stays, and the new one is deleted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = _sibling(path, "new"), _sibling(path, "old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
        if keep(path):
            return
        if path.exists():
            path.rename(old)
        try:
            fresh.rename(path)
        except OSError:
            if keep(path):
                return
            if old.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def user_cache() -> Path:
    """Return this project's folder in the user's cache: `$XDG_CACHE_HOME/avlgan_jax`, else `~/.cache/avlgan_jax`.

    As its specification says, a variable that is empty or no absolute path is ignored: it would lead to the current
    folder.
    """
    stated = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (stated if stated.is_absolute() else Path.home() / ".cache") / "avlgan_jax"


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_file(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, in UTF-8."""
    write_bytes(path, text.encode())


def _sibling(path: Path, label: str) -> Path:
    """Return a hidden path next to `path`. The process id separates two processes that write the same `path`."""
    return path.with_name(f".{label}.{os.getpid()}.{path.name}")


def file_sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file in hexadecimal, or None if the file does not exist."""
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return None

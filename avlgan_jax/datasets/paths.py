"""Paths of pictures in tables of labels: written on any system, and never out of the data set's folder."""

import functools
import os
import re
import unicodedata
from pathlib import Path, PureWindowsPath

_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def relative(text: str, folder: Path) -> str:
    """Return the path of a picture relative to `folder`, with slashes.

    Tables are written on other systems too: a path may have backslashes, and it may be absolute as long as it leads
    into the folder, or through a folder of the same name. A name with accents is found in either Unicode form. A path
    that fits none of this is returned unchanged, and is then missing or refused by `inside`.
    """
    text = text.strip()
    if _DRIVE.match(text):
        return _after_name(PureWindowsPath(text).parts, folder) or text
    if "\\" in text and not _exists(folder, text):
        text = text.replace("\\", "/")
    if os.path.isabs(text):
        return _under(text, folder) or _after_name(Path(text).parts, folder) or text
    if text.isascii() or _exists(folder, text):
        return text
    forms = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    return next((form for form in forms if _exists(folder, form)), text)


def inside(folder: Path, path: str) -> Path:
    """Return the file at a relative path in `folder`, which may itself be a symbolic link.

    Lists of images and unpacked archives are not trusted: they must not name files outside the folder.

    Raises:
        ValueError: If `path` is absolute, climbs out of `folder`, or follows a symbolic link that leads out of it.
    """
    normal = os.path.normpath(path)
    absolute = os.path.isabs(normal) or _DRIVE.match(path)
    if absolute or normal.split(os.sep)[0] == os.pardir or "\0" in path:
        raise ValueError(f"{path} leads out of {folder}")
    file = folder / normal
    if not os.path.realpath(file).startswith(_real_path(folder) + os.sep):
        raise ValueError(f"{path} is a link that leads out of {folder}")
    return file


def _under(path: str, folder: Path) -> str | None:
    """Return an absolute path relative to the folder, without its links if need be, or None if it is not in it."""
    if "\0" in path:
        return None
    for found, start in (
        (os.path.normpath(path), os.path.abspath(folder)),
        (os.path.realpath(path), _real_path(folder)),
    ):
        if found.startswith(start + os.sep):
            return found[len(start) + 1 :]
    return None


def _after_name(parts: tuple[str, ...], folder: Path) -> str | None:
    """Return what follows the folder's name in an absolute path of another machine, or None if no file is there."""
    names = [k for k, part in enumerate(parts) if part == os.path.basename(os.path.abspath(folder))]
    found = "/".join(parts[names[-1] + 1 :]) if names else ""
    return found if found and _exists(folder, found) else None


def _exists(folder: Path, path: str) -> bool:
    """Return whether there is a file at a path in the folder; a path that is not valid for a file has none."""
    try:
        return (folder / path).exists()
    except (OSError, ValueError):
        return False


@functools.cache
def _real_path(folder: Path) -> str:
    return os.path.realpath(folder).rstrip(os.sep)

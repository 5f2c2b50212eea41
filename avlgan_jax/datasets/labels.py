"""Labels as they stand in CSV files and arrays. A bad one never fails here: it is one image's rejection."""

import csv
import io
import math
from collections.abc import Iterable, Iterator

import numpy as np
from etils import epath

from avlgan_jax.errors import UserError

# The landmarks of a film of hours take a tenth of it.
_LARGEST_ARRAY = 2**30
ABSENT = ("", "null", "none", "nan", "n/a")


def number(text: str | None) -> float | None:
    """The number, None where nothing is written, NaN (which no range contains) where something else is."""
    text = (text or "").strip()
    if text.lower() in ABSENT:
        return None
    try:
        return float(text)
    except ValueError:
        return math.nan


def emotion(valence: str | None, arousal: str | None) -> tuple[float, float] | None:
    """(valence, arousal) as written, None where either is absent. The range is checked when faces are located."""
    pair = (number(valence), number(arousal))
    return None if None in pair else pair


def expression(text: str | None) -> int | None:
    """A class index, None where nothing is written, -1 (which is no class) where it is not a whole number."""
    value = number(text)
    if value is None:
        return None
    return int(value) if math.isfinite(value) and value == int(value) else -1


def table(path: epath.Path, required: Iterable[str], delimiter: str | None = None) -> Iterator[dict[str, str]]:
    """The rows of a CSV file with a header, as column -> text; its delimiter is found unless it is given.

    Raises UserError when a required column is missing, or when it is no CSV file.
    """
    lines = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    delimiter = delimiter or (max(",;\t", key=lines[0].count) if lines else ",")
    reader = csv.DictReader(lines, delimiter=delimiter, restval="")
    try:
        found = reader.fieldnames or ()
    except csv.Error as error:
        raise UserError(f"{path} is no CSV file: {error}") from None
    if missing := sorted(set(required) - set(found)):
        raise UserError(f"{path} has no column {', '.join(missing)}; it has {', '.join(found) or 'none'}")
    return _rows(path, reader)


def _rows(path: epath.Path, reader: csv.DictReader) -> Iterator[dict[str, str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num} is no line of a CSV file: {error}") from None


def array(path: epath.Path) -> np.ndarray:
    """The array in a .npy file; nothing in it is ever run (no pickles).

    Raises FileNotFoundError, or ValueError when it is no such file.
    """
    with path.open("rb") as stream:
        data = stream.read(_LARGEST_ARRAY + 1)
    if len(data) > _LARGEST_ARRAY:
        raise ValueError(f"{path} is larger than {_LARGEST_ARRAY:,} bytes")
    try:
        found = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # a damaged header may ask for more memory than there is, or be no Python at all
        raise ValueError(f"{path} is no array: {type(error).__name__}") from None
    if not isinstance(found, np.ndarray):
        raise ValueError(f"{path} is an archive of arrays")
    return found

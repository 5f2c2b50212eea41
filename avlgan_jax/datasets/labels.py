"""Readers of labels in CSV files and .npy arrays.

A label that cannot be parsed raises no error here. It becomes a value that makes `locating` reject the image.
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator

import numpy as np
from etils import epath

from avlgan_jax.errors import UserError

# Limit on the bytes of a .npy file. The landmarks of an hours-long video take about a tenth of it.
_LARGEST_ARRAY = 2**30
# Texts, in lower case, that mean "no value".
ABSENT = ("", "null", "none", "nan", "n/a")


def number(text: str | None) -> float | None:
    """Return the number in `text`.

    Returns:
        None if `text` is None or one of `ABSENT`, and NaN, which is outside every range, if it is not a number.
    """
    text = (text or "").strip()
    if text.lower() in ABSENT:
        return None
    try:
        return float(text)
    except ValueError:
        return math.nan


def emotion(valence: str | None, arousal: str | None) -> tuple[float, float] | None:
    """Return (valence, arousal), or None if either is absent.

    Numbers are not limited to [-1, 1] here: `locating` rejects images whose label is out of range.
    """
    pair = (number(valence), number(arousal))
    return None if None in pair else pair


def expression(text: str | None) -> int | None:
    """Return a class index: None if it is absent, or -1 (not a class) if it is not an integer."""
    value = number(text)
    if value is None:
        return None
    return int(value) if math.isfinite(value) and value == int(value) else -1


def table(path: epath.Path, required: Iterable[str], delimiter: str | None = None) -> Iterator[dict[str, str]]:
    """Return the rows of a CSV file with a header, each as a mapping from column to text.

    Args:
        path: The file, in UTF-8; bytes that are not UTF-8 are replaced.
        required: Columns that the header must have.
        delimiter: Character between the columns; by default the comma, semicolon or tab that is most frequent in the
            header.

    Raises:
        UserError: If a required column is missing, or if the file is not CSV (for a bad row: when the row is read).
    """
    lines = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    delimiter = delimiter or (max(",;\t", key=lines[0].count) if lines else ",")
    reader = csv.DictReader(lines, delimiter=delimiter, restval="")
    try:
        found = reader.fieldnames or ()
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file ({error}); expected a header and one row for each image") from None
    if missing := sorted(set(required) - set(found)):
        raise UserError(f"{path} has no column {', '.join(missing)}; it has {', '.join(found) or 'none'}")
    return _rows(path, reader)


def _rows(path: epath.Path, reader: csv.DictReader) -> Iterator[dict[str, str]]:
    """Yield the rows of `reader`, with a malformed row as a UserError."""
    try:
        yield from reader
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num} is not CSV ({error}); correct or remove the line") from None


def array(path: epath.Path) -> np.ndarray:
    """Return the array in a .npy file. Pickled objects are refused, because loading them could run code.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a .npy file, holds pickled objects, or is larger than 1 GiB.
    """
    with path.open("rb") as stream:
        data = stream.read(_LARGEST_ARRAY + 1)
    if len(data) > _LARGEST_ARRAY:
        raise ValueError(f"{path} is larger than the limit of {_LARGEST_ARRAY:,} bytes")
    try:
        found = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:  # a damaged header can be invalid Python or request more memory than exists
        raise ValueError(f"{path} cannot be read as a .npy array ({type(error).__name__})") from None
    if not isinstance(found, np.ndarray):
        raise ValueError(f"{path} is an archive of arrays; expected a single .npy array")
    return found

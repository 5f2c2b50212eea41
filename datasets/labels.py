"""Labels as they stand in CSV files and arrays. A bad one never fails here: it is one image's rejection."""

import csv
import math
from collections.abc import Iterable, Iterator

from etils import epath

from avlgan_jax.errors import UserError

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

    Raises UserError when a required column is missing.
    """
    lines = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    delimiter = delimiter or (max(",;\t", key=lines[0].count) if lines else ",")
    reader = csv.DictReader(lines, delimiter=delimiter, restval="")
    found = reader.fieldnames or ()
    if missing := sorted(set(required) - set(found)):
        raise UserError(f"{path} has no column {', '.join(missing)}; it has {', '.join(found) or 'none'}")
    return iter(reader)

"""Labels as they stand in CSV files and arrays, parsed without ever failing: a bad label is one image's rejection."""

import math

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

"""Labels in the cells of tables and in .npy arrays.

A label that cannot be parsed raises no error here. It becomes a value that makes `locating` reject the image.
"""

import io
import math

import numpy as np
from etils import epath

from avlgan_jax.faces.emotions import EXPRESSIONS

# Limit on the bytes of a .npy file. The landmarks of an hours-long video take about a tenth of it.
_LARGEST_ARRAY = 2**30
# Texts, in lower case, that mean "no value".
ABSENT = ("", "null", "none", "nan", "n/a")
# AffectNet's index by the words that data sets use for the expressions.
WORDS = {name: index for index, name in enumerate(EXPRESSIONS)} | {
    word: EXPRESSIONS.index(name)
    for name, words in {
        "neutral": ("neutrality",),
        "happy": ("happiness", "happily"),
        "sad": ("sadness",),
        "surprise": ("surprised",),
        "fear": ("fearful", "afraid"),
        "disgust": ("disgusted",),
        "anger": ("angry",),
        "contempt": ("contemptuous",),
    }.items()
    for word in words
}
WORDS |= {"uncertain": 9, "no-face": 10, "non-face": 10}


def number(text: str | None) -> float | None:
    """Return the number in `text`, which may have a minus sign of typography.

    Returns:
        None if `text` is None or one of `ABSENT`, and NaN, which is outside every range, if it is not a number.
    """
    text = (text or "").strip()
    if text.lower() in ABSENT:
        return None
    try:
        return float(text.replace("−", "-"))
    except ValueError:
        return math.nan


def emotion(valence: str | None, arousal: str | None) -> tuple[float, float] | None:
    """Return (valence, arousal), or None if either is absent.

    Numbers are not limited to [-1, 1] here: `locating` rejects images whose label is out of range.
    """
    pair = (number(valence), number(arousal))
    return None if None in pair else pair


def expression(text: str | None) -> int | None:
    """Return AffectNet's index of an expression, given as the index or as a word: None if absent, -1 if neither."""
    word = (text or "").strip().lower()
    if word in WORDS:
        return WORDS[word]
    return integer(text)


def integer(text: str | None) -> int | None:
    """Return the integer in `text`: None if it is absent, or -1 if it is not an integer."""
    value = number(text)
    if value is None:
        return None
    return int(value) if math.isfinite(value) and value == int(value) else -1


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

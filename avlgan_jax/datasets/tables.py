"""The one reader of CSV files with labels, for AffectNet, folders of faces and dyads.

    table = tables.read(path, {"path": ("path",), "subject": ("subject", "person")}, required=["path"])
    for row in table.rows:
        row["path"], row.number("valence")

Spreadsheets of any country are read: comma, semicolon or tab, with or without a byte order mark, with blank lines, and
with names of columns in any case. What cannot be read is refused with the file, the line, the column and the cause.
"""

import csv
import dataclasses
import io
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from etils import epath

from avlgan_jax.datasets import labels
from avlgan_jax.errors import UserError

_DELIMITERS = ",;\t"
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[-+−]?[\d.]*,\d+")
# The first bytes of files that are no text in UTF-8, and what to call them.
_OTHERS = (
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
    (b"PK\x03\x04", "a workbook or an archive"),
)
_SAVE_AS = "save it as CSV in UTF-8"


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table: its cells, without surrounding spaces, by the names of `read`."""

    table: epath.Path
    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        """Return a cell, or "" if the table has no such column."""
        return self.cells.get(column, "")

    def number(self, column: str) -> float | None:
        """Return the number in a cell as `labels.number` does. Raises UserError if it has a decimal comma."""
        if _DECIMAL_COMMA.fullmatch(self[column]):
            raise self.fault(column, f"{self[column]!r} has a decimal comma; expected a decimal point")
        return labels.number(self[column])

    def emotion(self) -> tuple[float, float] | None:
        """Return the cells `valence` and `arousal`, or None if either is empty. Raises UserError as `number` does."""
        pair = (self.number("valence"), self.number("arousal"))
        return None if None in pair else pair

    def one_of(self, column: str, names: Sequence[str]) -> str | None:
        """Return the name in a cell, in lower case, or None if it is empty. Raises UserError for any other name."""
        name = self[column].lower()
        if name and name not in names:
            raise self.fault(column, f"{name!r} is not one of {', '.join(names)}")
        return name or None

    def fault(self, column: str, cause: str) -> UserError:
        """Return the error for a cell."""
        return UserError(f"{self.table}, line {self.line}, column {column}: {cause}")


@dataclasses.dataclass(frozen=True)
class Table:
    """A table whose header has been read.

    Attributes:
        path: The file.
        columns: Names of the columns: those of `read` where it names them, else as in the header, in lower case.
        rows: The rows, read one after the other, without blank ones.
    """

    path: epath.Path
    columns: tuple[str, ...]
    rows: Iterator[Row]

    def warn_of_unread(self, read: Iterable[str], prefixes: tuple[str, ...] = ()) -> None:
        """Print the columns that nothing reads: neither named in `read` nor beginning with one of `prefixes`."""
        read = set(read)
        unread = [name for name in self.columns if name and name not in read and not name.startswith(prefixes)]
        if unread:
            print(
                f"warning: {self.path}: nothing reads the column {', '.join(unread)}; the columns that are read are "
                f"{', '.join(sorted(read | {f'{prefix}...' for prefix in prefixes}))}",
                file=sys.stderr,
            )


def read(
    path: epath.Path,
    names: Mapping[str, Sequence[str]],
    required: Iterable[str] = (),
    without_header: Sequence[str] = (),
) -> Table:
    """Read the header of a table, and prepare to read its rows.

    Args:
        path: The file, in UTF-8.
        names: For each column, by the name that rows use, the names that the header may have, the first one preferred.
            Case, spaces around a name, and spaces instead of underscores are ignored.
        required: Columns that the header must have.
        without_header: Columns of a file that may lack a header line; () if it has one.

    Raises:
        UserError: If the file is no text in UTF-8, or the header lacks a column or has one twice. While the rows are
            read: if one has another number of cells than the header, or is not CSV.
    """
    path = epath.Path(path)
    known = {_plain(other) for accepted in names.values() for other in accepted}
    lines = _lines(path)
    first, skipped, declared = _first_line(lines)
    delimiter = declared or max(_DELIMITERS, key=lambda delimiter: _fit(first, delimiter, known))
    reader = csv.reader(itertools.chain([first] if first else [], lines), delimiter=delimiter, strict=True)
    cells = _cells(path, reader, skipped)
    _, header = next(cells, (0, []))
    if without_header and known.isdisjoint(map(_plain, header)):
        cells, columns = itertools.chain([(skipped + 1, header)], cells), tuple(without_header)
    else:
        columns = _columns(path, header, names)
    if missing := sorted(names[name][0] for name in required if name not in columns):
        found = ", ".join(name.strip() for name in header) or "none"
        raise UserError(f"{path} has no column {', '.join(missing)}; it has {found}")
    return Table(path, columns, _rows(path, cells, columns, delimiter))


def _lines(path: epath.Path) -> Iterator[str]:
    """Yield the lines of a file with their ends. Raises UserError, which names the line, if it is not UTF-8."""
    with path.open("rb") as stream:
        start = stream.read(64)
        kind = next((kind for magic, kind in _OTHERS if start.startswith(magic)), "no text" if b"\0" in start else None)
        if kind:
            raise UserError(f"{path} is {kind}, expected a CSV file in UTF-8; {_SAVE_AS}")
        stream.seek(0)
        try:
            with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
                yield from text
        except UnicodeDecodeError:
            raise UserError(f"{path}, {_first_fault(path)}; {_SAVE_AS}") from None


def _first_fault(path: epath.Path) -> str:
    """Return where a file is not UTF-8."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return f"line {number}: the byte 0x{line[error.start]:02x} at position {error.start + 1} is not UTF-8"
    return "the end of the file is not UTF-8"


def _first_line(lines: Iterator[str]) -> tuple[str, int, str | None]:
    """Return the first line that is not blank, the number of lines before it, and the delimiter if it is declared."""
    declared = None
    for number, line in enumerate(lines):
        if declaration := _SEPARATOR.fullmatch(line):
            declared = declaration[1]
        elif line.strip(_DELIMITERS + " \r\n"):
            return line, number, declared
    return "", 0, declared


def _fit(header: str, delimiter: str, known: set[str]) -> tuple[int, int]:
    """Return how well a delimiter fits a header: by the names that it separates, then by how often it occurs.

    A first line without any name is a row of a table without a header: it may have more of another delimiter in a cell.
    """
    cells = header.split(delimiter)
    fitting = len(known.intersection(_plain(cell.strip('" \r\n')) for cell in cells))
    return fitting, len(cells) if fitting else delimiter == _DELIMITERS[0]


def _cells(path: epath.Path, reader, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the cells of every row that is not blank. Raises UserError for a row that is not CSV."""
    while True:
        line = skipped + reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            unclosed = any(part in str(error) for part in ("field larger", "unexpected end"))
            cause = "a quotation mark is opened and not closed" if unclosed else f"it is not CSV ({error})"
            raise UserError(f"{path}, line {line}: {cause}; correct or remove the line") from None
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield line, row


def _columns(path: epath.Path, header: list[str], names: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the names of the columns of `header`; a second synonym of a column keeps its own name.

    Where `names` looks for a column under a name of its own, another one that has its usual name is renamed.
    """
    found = [_plain(name) for name in header]
    for name in filter(None, found):
        if found.count(name) > 1:
            raise UserError(f"{path} has the column {name} {found.count(name)} times; expected it once")
    chosen = {}
    for name, accepted in names.items():
        place = next((found.index(_plain(other)) for other in accepted if _plain(other) in found), None)
        if place is not None:
            chosen[place] = name
    taken = set(chosen.values())
    return tuple(
        chosen.get(place) or (f"{name} (of the header)" if name in taken else name) for place, name in enumerate(found)
    )


def _plain(name: str) -> str:
    return "_".join(name.split()).lower()


def _rows(
    path: epath.Path, cells: Iterable[tuple[int, list[str]]], columns: tuple[str, ...], delimiter: str
) -> Iterator[Row]:
    """Yield the rows. Raises UserError for one with another number of cells than the header has."""
    for line, row in cells:
        while len(row) > len(columns) and not row[-1].strip():
            row.pop()  # spreadsheets end rows with delimiters
        if len(row) != len(columns):
            hint = (
                "; is there a decimal comma, or a comma in a name without quotation marks?" if delimiter == "," else ""
            )
            raise UserError(
                f"{path}, line {line}: {len(row)} columns, expected {len(columns)}: {', '.join(columns)}"
                + (hint if len(row) > len(columns) else "")
            )
        yield Row(path, line, {name: cell.strip() for name, cell in zip(columns, row, strict=True)})

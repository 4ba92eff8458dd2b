"""CSV as the Bulk API reads and writes it: six delimiters, two line ends.

Source: "Prepare CSV Files" in the Bulk API 2.0 guide, and recorded results: every value is
quoted, while the header repeats the uploaded header line as it was sent.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from sqlite3 import Row
from typing import overload

DELIMITERS = {
    "BACKQUOTE": "`",
    "CARET": "^",
    "COMMA": ",",
    "PIPE": "|",
    "SEMICOLON": ";",
    "TAB": "\t",
}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}

_BLANK = frozenset({"\n", "\r", "\r\n"})
_LONGEST_CELL = 150 * 1024 * 1024


def delimiter(job: Row) -> str:
    """Return the character between the values of a job's data."""
    return DELIMITERS[job["delimiter"]]


class Lines(Sequence[list[str]]):
    """Rows without quotes, one a line, split when they are asked for.

    Text weighs less than lists, and the garbage collector does not walk through it.
    """

    def __init__(self, lines: list[str], delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[list[str]]:
        return (line.split(self._delimiter) for line in self._lines)

    @overload
    def __getitem__(self, index: int) -> list[str]: ...

    @overload
    def __getitem__(self, index: slice) -> "Lines": ...

    def __getitem__(self, index: int | slice) -> "list[str] | Lines":
        if isinstance(index, slice):
            return Lines(self._lines[index], self._delimiter)
        return self._lines[index].split(self._delimiter)


def rows(text: str, delimiter: str = ",") -> Sequence[list[str]]:
    """Return the rows of a CSV text, without blank lines."""
    if '"' in text:
        return list(_parsed(lines([text]), delimiter))
    plain = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return Lines([line for line in plain if line], delimiter)


def _parsed(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(_LONGEST_CELL)
    return (row for row in csv.reader(lines, delimiter=delimiter) if row)


def lines(parts: Iterable[str]) -> Iterator[str]:
    """Yield the lines of a text that comes in parts, with their ends."""
    rest = ""
    for part in parts:
        whole, newline, end = part.rpartition("\n")
        if newline:
            yield from io.StringIO(rest + whole + newline, newline="")
            rest = ""
        rest += end
    yield from io.StringIO(rest, newline="")


def split(parts: Iterable[str], delimiter: str, size: int) -> Iterator[str]:
    """Yield the header line, then the rows in pieces of `size`; nothing of an empty text.

    The pieces are cut out of the text, which comes in parts, as it stands, quotes and all.
    """
    whole = _whole_rows(lines(parts), delimiter)
    if header := next(whole, ""):
        yield header.strip("\r\n")
    while piece := "".join(islice(whole, size)):
        yield piece


def _whole_rows(lines: Iterator[str], delimiter: str) -> Iterator[str]:
    """Yield each row as it stands: a line or, if a quoted value goes on, several."""
    for line in lines:
        if '"' in line:
            yield from _quoted_rows(chain([line], lines), delimiter)
        elif line not in _BLANK:
            yield line


def _quoted_rows(lines: Iterable[str], delimiter: str) -> Iterator[str]:
    taken: list[str] = []
    # csv.reader takes no line before it needs it.
    for _ in _parsed(_noted(lines, taken), delimiter):
        yield "".join(taken)
        taken.clear()


def _noted(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    """Yield lines, and note each one that somebody takes."""
    for line in lines:
        taken.append(line)
        yield line


def quoted(cells: Iterable[str], delimiter: str = ",") -> str:
    """Return one row, every value quoted, without its line end."""
    return '"' + f'"{delimiter}"'.join(cell.replace('"', '""') for cell in cells) + '"'


def all_quoted(columns: Iterable[Iterable[object]], delimiter: str = ",") -> list[str]:
    """Return what `quoted` makes of the rows of a table that is given by columns; None is empty."""
    between = f'"{delimiter}"'
    rows = zip(*map(_escaped, columns), strict=True)
    return [f'"{row}"' for row in map(between.join, rows)]


def _escaped(column: Iterable[object]) -> list[str]:
    """Return the texts that stand between the quotes of a column's cells."""
    cells = ["" if value is None else str(value) for value in column]
    # `in` is many times as fast as `replace`, and hardly a column needs that.
    return [cell.replace('"', '""') for cell in cells] if '"' in "".join(cells) else cells


def document(header: str, lines: Sequence[str], line_ending: str = "\n") -> str:
    """Return a whole CSV text; the last line has its line end too."""
    return line_ending.join([header, *lines, ""])

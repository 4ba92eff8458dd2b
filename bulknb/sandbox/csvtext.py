"""CSV as the Bulk API reads and writes it: six delimiters, two line ends.

Source: "Prepare CSV Files" in the Bulk API 2.0 guide, and recorded results: every value is
quoted, while the header repeats the uploaded header line as it was sent.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from sqlite3 import Row

DELIMITERS = {
    "BACKQUOTE": "`",
    "CARET": "^",
    "COMMA": ",",
    "PIPE": "|",
    "SEMICOLON": ";",
    "TAB": "\t",
}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}

_LONGEST_CELL = 150 * 1024 * 1024


def delimiter(job: Row) -> str:
    """Return the character between the values of a job's data."""
    return DELIMITERS[job["delimiter"]]


def rows(text: str, delimiter: str = ",") -> Iterator[list[str]]:
    """Yield the rows of a CSV text, without blank lines."""
    return _rows(_lines(text), delimiter)


def _lines(text: str) -> Iterable[str]:
    # io.StringIO does the same, but takes four bytes for each character.
    return io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8", newline="")


def _rows(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(_LONGEST_CELL)
    return (row for row in csv.reader(lines, delimiter=delimiter) if row)


def split(text: str, delimiter: str, size: int) -> Iterator[str]:
    """Yield the header line, then the rows in pieces of `size`; nothing of an empty text.

    The pieces are cut out of the text as it stands, quotes and all.
    """
    if '"' not in text:  # then a line is a row
        lines = (line for line in _lines(text) if line.strip("\r\n"))
        if header := next(lines, ""):
            yield header.strip("\r\n")
        while piece := "".join(islice(lines, size)):
            yield piece
        return
    position = 0

    def counted() -> Iterator[str]:
        nonlocal position
        for line in _lines(text):
            position += len(line)
            yield line

    # csv.reader takes no line before it needs it, so that `position` is the end of a row.
    reader = _rows(counted(), delimiter)
    if next(reader, None) is None:
        return
    yield text[:position].strip("\r\n")
    start, count = position, 0
    for _ in reader:
        count += 1
        if count == size:
            yield text[start:position]
            start, count = position, 0
    if count:
        yield text[start:]


def quoted(cells: Iterable[str], delimiter: str = ",") -> str:
    """Return one row, every value quoted, without its line end."""
    return '"' + f'"{delimiter}"'.join(cell.replace('"', '""') for cell in cells) + '"'


class _Lines(list[str]):
    """What `csv.writer` writes into: a line each time."""

    write = list.append


def all_quoted(columns: Iterable[Iterable[object]], delimiter: str = ",") -> list[str]:
    """Return what `quoted` makes of the rows of a table that is given by columns; None is empty."""
    lines = _Lines()
    writer = csv.writer(lines, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="")
    writer.writerows(zip(*columns, strict=True))
    return lines


def document(header: str, lines: Sequence[str], line_ending: str = "\n") -> str:
    """Return a whole CSV text; the last line has its line end too."""
    return line_ending.join([header, *lines, ""])

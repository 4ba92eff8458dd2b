"""Encoded columns <-> the CSV of the Bulk API, by Arrow, in exact bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
from pyarrow import csv as pacsv

from ._encode import Nulls, encode
from ._machine import later
from .errors import UnexpectedAnswerError

__all__ = [
    "Chunk",
    "Nulls",
    "decode",
    "encode",
    "header",
    "parse_options",
    "write",
    "write_into",
]

T = TypeVar("T")

DELIMITERS = {
    "BACKQUOTE": "`",
    "CARET": "^",
    "COMMA": ",",
    "PIPE": "|",
    "SEMICOLON": ";",
    "TAB": "\t",
}

#: So much of a result file is read at once.
_READ_BYTES = 2 << 20
_AT_ONCE = 2  # such pieces
_QUOTE = ord('"')
_ROWS_ONLY = pacsv.WriteOptions(include_header=False)


@dataclass(frozen=True)
class Chunk:
    """Rows ``start`` to ``stop`` of a frame as one CSV file."""

    start: int
    stop: int
    data: bytes


def write(table: pa.Table) -> bytes:
    """Return an encoded table as one CSV file with its header."""
    sink = pa.BufferOutputStream()
    pacsv.write_csv(table, sink)
    return bytes(sink.getvalue())


def header(table: pa.Table) -> bytes:
    """Return the header line of an encoded table."""
    return write(table.slice(0, 0))


def write_into(room: memoryview, table: pa.Table) -> int | None:
    """Write the rows of an encoded table, without header; return their bytes, None if too many."""
    # Not into a Python file: each batch would wait for the interpreter.
    with pa.FixedSizeBufferWriter(pa.py_buffer(room)) as sink:
        try:
            pacsv.write_csv(table, sink, _ROWS_ONLY)
        except OSError:
            return None
        size: int = sink.tell()
        return size


def size(table: pa.Table) -> int:
    """Return how many bytes of CSV the rows of an encoded table make."""
    sink = pa.MockOutputStream()
    pacsv.write_csv(table, sink, _ROWS_ONLY)
    return int(sink.size())


def decode(data: bytes, delimiter: str = "COMMA", columns: Sequence[str] | None = None) -> pa.Table:
    """Return a result file as text columns: no value is guessed at, empty is ``""``.

    With ``columns`` only these, in this order; one that the file lacks is null throughout.

    Raises
    ------
    UnexpectedAnswerError
        It is not CSV, or not UTF-8.
    """
    reader = Reader(delimiter, columns)
    reader.write(data)
    return reader.table()


class Reader:
    """Reads a result file that comes piece by piece, and holds little of what is not asked for.

    Parameters
    ----------
    delimiter : str
        The job's columnDelimiter.
    columns : sequence of str, optional
        Only these, in this order; one that the file lacks is null throughout.
    each : callable, optional
        What becomes of some rows as soon as they have come, from text columns to what is kept.

    Raises
    ------
    UnexpectedAnswerError
        From `write` and `table`: it is not CSV, or not UTF-8.
    """

    def __init__(
        self,
        delimiter: str = "COMMA",
        columns: Sequence[str] | None = None,
        each: Callable[[pa.Table], pa.Table] | None = None,
    ) -> None:
        self._sign = DELIMITERS[delimiter]
        self._columns = columns
        self._each = each or (lambda rows: rows)
        self.restart()

    def restart(self) -> None:
        """Forget what has come: the file comes anew."""
        self._rest = b""
        self._names: list[str] | None = None
        self._tables: list[Future[pa.Table]] = []

    def write(self, piece: bytes) -> None:
        """Take the next bytes of the file."""
        for at in range(0, len(piece), _READ_BYTES):
            self._rest += piece[at : at + _READ_BYTES]
            if len(self._rest) >= _READ_BYTES and (end := _last_row_end(self._rest)):
                if len(self._tables) >= _AT_ONCE:
                    self._tables[-_AT_ONCE].result()  # else what comes fast would fill the memory
                self._tables.append(later(self._reading(self._rest[:end])))
                self._rest = self._rest[end:]

    def table(self) -> pa.Table:
        """Return all rows, now that the file has come to its end."""
        if self._rest or not self._tables:
            self._tables.append(later(self._reading(self._rest)))
        self._rest = b""
        return pa.concat_tables([table.result() for table in self._tables])

    def _reading(self, rows: bytes) -> Callable[[], pa.Table]:
        """Return what reads some rows; the first ones begin with the header."""
        first = self._names is None
        if self._names is None:
            self._names = _told(lambda: _header(rows, self._sign))
        names = self._names
        return lambda: self._each(_told(lambda: self._parsed(rows, names, has_header=first)))

    def _parsed(self, rows: bytes, names: list[str], *, has_header: bool) -> pa.Table:
        if not names:
            return pa.table({name: pa.array([], pa.string()) for name in self._columns or ()})
        return pacsv.read_csv(
            pa.BufferReader(rows),
            # One block, one thread: more of either cost more than they bring.
            read_options=pacsv.ReadOptions(
                block_size=len(rows) + 1,
                use_threads=False,
                column_names=None if has_header else names,
            ),
            parse_options=parse_options(names, self._sign),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys([*names, *(self._columns or ())], pa.string()),
                strings_can_be_null=False,
                include_columns=self._columns,
                include_missing_columns=True,
            ),
        )


def _told(read: Callable[[], T]) -> T:
    """Return what is read; tell trouble without the text of Arrow's, which may quote a row."""
    try:
        return read()
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        trouble = type(error).__name__
    raise UnexpectedAnswerError(f"The server's CSV cannot be read ({trouble})")


def _last_row_end(text: bytes) -> int:
    """Return where the last whole row of a text ends that begins with one; 0 if there is none."""
    is_quote = np.frombuffer(text, np.uint8) == _QUOTE
    end = len(text)
    quotes = int(np.count_nonzero(is_quote))
    # A row ends with a line outside of quotes: where these have come in pairs.
    while begin := text.rfind(b"\n", 0, end) + 1:
        quotes -= int(np.count_nonzero(is_quote[begin:end]))
        if quotes % 2 == 0:
            return begin
        end = begin - 1
    return 0


def parse_options(names: Sequence[str], sign: str) -> pacsv.ParseOptions:
    """Return how Arrow finds the cells of a result file with these columns."""
    return pacsv.ParseOptions(
        delimiter=sign,
        newlines_in_values=True,
        # In a file of one column an empty line is a row whose value is empty.
        ignore_empty_lines=len(names) > 1,
    )


def _header(data: bytes, delimiter: str) -> list[str]:
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    return next(csv.reader(text, delimiter=delimiter), [])

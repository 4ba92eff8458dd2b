"""Encoded columns <-> the CSV of the Bulk API, by Arrow, in exact bytes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import csv as pacsv

from ._cuts import Cutter, Run
from ._encode import Nulls, encode
from .errors import UnexpectedAnswerError

__all__ = [
    "Chunk",
    "Nulls",
    "decode",
    "encode",
    "header",
    "read",
    "write",
    "write_into",
]

DELIMITERS = {
    "BACKQUOTE": "`",
    "CARET": "^",
    "COMMA": ",",
    "PIPE": "|",
    "SEMICOLON": ";",
    "TAB": "\t",
}

_TEXT = pa.large_string()  # as frames have it
_ROWS_ONLY = pacsv.WriteOptions(include_header=False)


@dataclass(frozen=True)
class Chunk:
    """Rows ``start`` to ``stop`` of a frame as one CSV file."""

    start: int
    stop: int
    data: bytes
    hashed: Future[str]

    @property
    def sha256(self) -> str:
        """The hash that the file is known by."""
        return self.hashed.result()


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
        self._cutter = Cutter(self._read, self._sign)

    def restart(self) -> None:
        """Forget what has come: the file comes anew."""
        self._cutter.restart()

    def write(self, piece: bytes) -> None:
        """Take the next bytes of the file."""
        self._cutter.write(piece)

    def table(self) -> pa.Table:
        """Return all rows, now that the file has come to its end.

        Raises
        ------
        UnexpectedAnswerError
            It is not CSV, or not UTF-8.
        """
        return pa.concat_tables(self._cutter.rest())

    def _read(self, run: Run) -> pa.Table:
        try:
            return self._each(self._parsed(run))
        except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
            trouble = type(error).__name__
        # Without the text of Arrow's, which may quote a row.
        raise UnexpectedAnswerError(f"The server's CSV cannot be read ({trouble})")

    def _parsed(self, run: Run) -> pa.Table:
        if not run.names:
            return pa.table({name: pa.array([], _TEXT) for name in self._columns or ()})
        wanted = dict.fromkeys([*run.names, *(self._columns or ())], _TEXT)
        return read(
            run,
            self._sign,
            column_types=wanted,
            strings_can_be_null=False,
            include_columns=self._columns,
            include_missing_columns=True,
        )


def read(run: Run, sign: str, **convert: Any) -> pa.Table:
    """Return rows as a table; `convert` has the options of Arrow's ``ConvertOptions``."""
    return pacsv.read_csv(
        pa.BufferReader(pa.py_buffer(run.data)),
        # One block, one thread: more of either cost more than they bring.
        read_options=pacsv.ReadOptions(
            block_size=len(run.data) + 1,
            use_threads=False,
            column_names=run.names if run.at else None,
        ),
        parse_options=pacsv.ParseOptions(
            delimiter=sign,
            newlines_in_values=True,
            # In a file of one column an empty line is a row whose value is empty.
            ignore_empty_lines=len(run.names) > 1,
        ),
        convert_options=pacsv.ConvertOptions(**convert),
    )

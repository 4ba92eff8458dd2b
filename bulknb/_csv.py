"""Encoded columns <-> the CSV of the Bulk API, by Arrow, in exact bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import csv as pacsv

from ._encode import Nulls, encode
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

DELIMITERS = {
    "BACKQUOTE": "`",
    "CARET": "^",
    "COMMA": ",",
    "PIPE": "|",
    "SEMICOLON": ";",
    "TAB": "\t",
}

_BLOCK_BYTES = 8 << 20
# Large batches: each is one call into Python when the sink is a Python file.
_ROWS_ONLY = pacsv.WriteOptions(include_header=False, batch_size=8_192)


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


def write_into(sink: Any, table: pa.Table) -> None:
    """Write the rows of an encoded table, without header, into a binary file."""
    pacsv.write_csv(table, sink, _ROWS_ONLY)


def size(table: pa.Table) -> int:
    """Return how many bytes of CSV the rows of an encoded table make."""
    sink = pa.MockOutputStream()
    write_into(sink, table)
    return int(sink.size())


def decode(data: bytes, delimiter: str = "COMMA", columns: Sequence[str] | None = None) -> pa.Table:
    """Return a result file as text columns: no value is guessed at, empty is ``""``.

    With ``columns`` only these, in this order; one that the file lacks is null throughout.

    Raises
    ------
    UnexpectedAnswerError
        It is not CSV, or not UTF-8.
    """
    sign = DELIMITERS[delimiter]
    try:
        names = _header(data, sign)
        if not names:
            return pa.table({name: pa.array([], pa.string()) for name in columns or ()})
        return pacsv.read_csv(
            pa.BufferReader(data),
            read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=parse_options(names, sign),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys([*names, *(columns or ())], pa.string()),
                strings_can_be_null=False,
                include_columns=columns,
                include_missing_columns=True,
            ),
        )
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        trouble = type(error).__name__  # its text may quote a row
    raise UnexpectedAnswerError(f"The server's CSV cannot be read ({trouble})")


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

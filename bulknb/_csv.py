"""A frame <-> the CSV of the Bulk API, by Arrow.

What a value becomes (Bulk API 2.0 Developer Guide, "Prepare CSV Files", "Valid Date Format in
Records"):

========================  =======================================================
string, category          itself; a NUL byte and the text ``#N/A`` are refused
integer, Decimal          all its digits
float                     shortest exact decimal, never an exponent; inf is refused
boolean                   ``true``, ``false``
date                      ``2013-01-31``
datetime with a zone      UTC, ``2013-01-31T17:05:00.000Z``
datetime without a zone   needs ``tz=``; without time of day it may fill a date field
time                      ``17:05:00.000Z``
None, NaN, NaT, NA        empty (the field is left alone), or ``#N/A`` (it is cleared)
========================  =======================================================

Anything else (bytes, lists, dicts, durations) is refused, naming row and column.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from .errors import InputError, UnexpectedAnswerError

__all__ = ["Chunk", "chunks", "decode", "encode", "parse_options", "write"]

Nulls = Literal["keep", "clear"]

DELIMITERS = {
    "BACKQUOTE": "`",
    "CARET": "^",
    "COMMA": ",",
    "PIPE": "|",
    "SEMICOLON": ";",
    "TAB": "\t",
}

#: The text that clears a field.
_CLEAR = "#N/A"
_SLAB_ROWS = 2_000
_BLOCK_BYTES = 8 << 20
_EXACT_IN_FLOAT = 2**53


@dataclass(frozen=True)
class Chunk:
    """Rows ``start`` to ``stop`` of a frame as one CSV file."""

    start: int
    stop: int
    data: bytes


def encode(
    frame: pd.DataFrame,
    *,
    types: Mapping[str, str] | None = None,
    tz: str | None = None,
    nulls: Nulls = "keep",
) -> pa.Table:
    """Return the frame as a table whose values print as Salesforce reads them.

    Parameters
    ----------
    frame : DataFrame
        Columns are field API names, each once.
    types : mapping, optional
        Column -> field type of the object's describe; "date" and "int" have rules of their own.
    tz : str, optional
        The zone that datetimes without one are in, such as "Europe/Paris".
    nulls : {"keep", "clear"}
        Whether a missing value leaves the field alone or clears it.

    Raises
    ------
    InputError
        A value that cannot be sent; the message names row and column.
    """
    if nulls not in ("keep", "clear"):
        raise InputError('nulls is "keep" (leave the field alone) or "clear" (empty it)')
    known = types or {}
    columns = [
        _nulls(_column(frame[name], known.get(name, ""), tz), nulls) for name in frame.columns
    ]
    return pa.Table.from_arrays(columns, names=list(frame.columns))


def chunks(table: pa.Table, limit: int) -> Iterator[Chunk]:
    """Yield CSV files of at most ``limit`` bytes, header included, cut between records.

    Raises
    ------
    InputError
        A single row is larger than that.
    """
    header = _write(table.slice(0, 0), header=True)
    start, pieces, size = 0, [header], len(header)
    for at, rows, data in _slabs(table, limit - len(header)):
        if size + len(data) > limit:
            yield Chunk(start, at, b"".join(pieces))
            start, pieces, size = at, [header], len(header)
        pieces.append(data)
        size += len(data)
        if at + rows == len(table):
            yield Chunk(start, len(table), b"".join(pieces))


def write(table: pa.Table) -> bytes:
    """Return an encoded table as one CSV file with its header."""
    return _write(table, header=True)


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
            return pa.table({})
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


def _slabs(table: pa.Table, limit: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield (first row, rows, CSV) of pieces of at most ``limit`` bytes, halving what is larger."""
    todo = [(at, min(_SLAB_ROWS, len(table) - at)) for at in range(0, len(table), _SLAB_ROWS)]
    todo.reverse()
    while todo:
        at, rows = todo.pop()
        data = _write(table.slice(at, rows))
        if len(data) <= limit:
            yield at, rows, data
        elif rows == 1:
            raise InputError(f"Row {at} (counted from 0) alone is larger than {limit:,} bytes")
        else:
            half = rows // 2
            todo += [(at + half, rows - half), (at, half)]


def _write(table: pa.Table, *, header: bool = False) -> bytes:
    sink = pa.BufferOutputStream()
    pacsv.write_csv(table, sink, pacsv.WriteOptions(include_header=header))
    return bytes(sink.getvalue())


def _nulls(column: pa.ChunkedArray, nulls: Nulls) -> pa.ChunkedArray:
    if column.null_count == 0 or (nulls == "keep" and not pa.types.is_string(column.type)):
        return column
    return pc.fill_null(column.cast(pa.string()), _CLEAR if nulls == "clear" else "")


def _column(values: pd.Series, field_type: str, tz: str | None) -> pa.ChunkedArray:
    """Return one column in a type that Arrow prints as Salesforce reads it."""
    column = _arrow(values)
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _strings(values, column.cast(pa.string()))
    if pa.types.is_boolean(kind) or pa.types.is_null(kind) or pa.types.is_date32(kind):
        return column
    if pa.types.is_integer(kind):
        return column
    if pa.types.is_floating(kind):
        return _floats(values, column, whole=field_type == "int")
    if pa.types.is_decimal(kind):
        return _texts(column, lambda number: format(number, "f"))
    if pa.types.is_timestamp(kind):
        return _datetimes(values, column, field_type, tz)
    if pa.types.is_date64(kind):
        return column.cast(pa.date32())
    if pa.types.is_time(kind):
        return _texts(column, lambda time: f"{time.isoformat('milliseconds')}Z")
    raise _refused(values, values.notna(), f"cannot be sent as it is ({kind})")


def _arrow(values: pd.Series) -> pa.ChunkedArray:
    """Return the values as Arrow holds them, with a category as its text."""
    trouble = ""
    try:
        array = pa.array(values, from_pandas=True)
        column = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
        kind = column.type
        return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        trouble = type(error).__name__
    names = values.map(lambda value: type(value).__name__)
    first = names[values.notna()].iloc[0]
    odd = (names != first) & values.notna()
    if odd.any():
        raise _refused(values, odd, f"is a {names[odd].iloc[0]} among {first} values")
    raise _refused(values, values.notna(), f"cannot be sent as it is ({trouble})")


def _strings(values: pd.Series, column: pa.ChunkedArray) -> pa.ChunkedArray:
    for text, problem in (
        (pc.match_substring(column, "\0"), "holds a NUL character, which CSV cannot carry"),
        (pc.equal(column, _CLEAR), f'is the text "{_CLEAR}", which clears the field'),
    ):
        if pc.any(text).as_py():
            raise _refused(values, text.fill_null(False).to_numpy(), problem)
    return column


def _floats(values: pd.Series, column: pa.ChunkedArray, *, whole: bool) -> pa.ChunkedArray:
    numbers = column.fill_null(0.0).to_numpy()
    _refuse_any(values, np.isinf(numbers), "is infinite")
    if whole:
        fraction = numbers != np.trunc(numbers)
        _refuse_any(values, fraction, "has a fraction, and the field holds integers")
        inexact = np.abs(numbers) > _EXACT_IN_FLOAT
        _refuse_any(values, inexact, "is beyond 2**53, where a float is no exact integer")
        return column.cast(pa.int64())
    size = np.abs(numbers)
    if not np.any((size >= 1e10) | ((size > 0) & (size < 1e-4))):
        return column
    # Arrow would print such numbers with an exponent.
    return _texts(column, lambda number: format(Decimal(repr(number)), "f"))


def _datetimes(
    values: pd.Series, column: pa.ChunkedArray, field_type: str, tz: str | None
) -> pa.ChunkedArray:
    if field_type == "date":
        return _dates(values, column)
    if column.type.tz is None:
        naive = column.to_pandas().set_axis(values.index)
        if tz is None:
            raise _refused(values, values.notna(), 'has no time zone: pass tz=, such as tz="UTC"')
        aware = naive.dt.tz_localize(tz, ambiguous="NaT", nonexistent="NaT")
        lost = aware.isna() & naive.notna()
        _refuse_any(values, lost, f"is skipped or doubled by a clock change in {tz}")
        column = pa.chunked_array([pa.array(aware, from_pandas=True)])
    # Through integers, for Arrow would look for a time zone database that a machine may lack.
    utc = column.cast(pa.int64()).cast(pa.timestamp(column.type.unit))
    return pc.strftime(utc.cast(pa.timestamp("ms"), safe=False), "%Y-%m-%dT%H:%M:%SZ")


def _dates(values: pd.Series, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the days of midnights, each in the zone that it is written in."""
    local = column.to_pandas().set_axis(values.index)
    if local.dt.tz is not None:
        local = local.dt.tz_localize(None)
    late = local.notna() & (local != local.dt.normalize())
    _refuse_any(values, late, "has a time of day, which a date field would lose")
    return pa.chunked_array([pa.array(local, from_pandas=True).cast(pa.date32())])


def _texts(column: pa.ChunkedArray, write: Callable[[Any], str]) -> pa.ChunkedArray:
    texts = [None if value is None else write(value) for value in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _refuse_any(values: pd.Series, bad: Any, problem: str) -> None:
    if np.any(bad):
        raise _refused(values, bad, problem)


def _refused(values: pd.Series, bad: Any, problem: str) -> InputError:
    """Return the error for a column's first bad value; the value itself is not for a message."""
    label = values.index[int(np.argmax(np.asarray(bad)))]
    return InputError(f"Row {label!r}, column {values.name!r}: the value {problem}")

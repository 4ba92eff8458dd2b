"""Rows of a query's results, CSV -> typed columns, by Arrow.

What a field becomes (Object Reference, "Field Types"):

=========================  ===================  ======================
type in the describe       in Arrow             in a frame
=========================  ===================  ======================
boolean                    bool                 boolean
int, long                  int64                Int64
double, currency, percent  double               Float64
date                       date32               datetime64[us]
datetime                   timestamp[us, UTC]   datetime64[us, UTC]
time                       time64[us]           object (datetime.time)
all others                 large_string         string
=========================  ===================  ======================

An empty cell is missing: Salesforce keeps no empty texts, and its CSV writes null as one. Without
types every cell is the text that was sent, an empty one ``""``. The words NA, None and null, zeros
in front, newlines, quotes and NUL characters are values like others.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ._csv import DELIMITERS, read
from ._cuts import Run

__all__ = ["Types", "UnreadableError", "read_rows", "to_column"]

#: Lower-cased column -> type in the describe; None: every cell as the text that was sent.
Types = Mapping[str, str] | None

_TEXT = pa.large_string()  # as frames have it
_TIME = pa.time64("us")
_ARROW = {
    "boolean": pa.bool_(),
    "int": pa.int64(),
    "long": pa.int64(),
    "double": pa.float64(),
    "currency": pa.float64(),
    "percent": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", tz="UTC"),
    "time": _TIME,
}
_DATE = pa.timestamp("us")
_MOMENT = pd.DatetimeTZDtype("us", "UTC")
#: What pandas holds values in beside a mask, and what stands there for a missing one.
_MASKED: dict[pa.DataType, tuple[Any, object]] = {
    pa.int64(): (pd.arrays.IntegerArray, 0),
    pa.float64(): (pd.arrays.FloatingArray, 0.0),
    pa.bool_(): (pd.arrays.BooleanArray, False),
}


class UnreadableError(Exception):
    """What is wrong with a page, without a word of its content."""


def read_rows(run: Run, *, types: Types, delimiter: str = "COMMA") -> pa.Table:
    """Return rows of a page in the types of their columns.

    Raises
    ------
    UnreadableError
        They are not CSV, not UTF-8 (the message has the offset), or a cell is not of its column's
        type.
    """
    try:
        return _table(run, types, DELIMITERS[delimiter])
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        problem = _problem(run, str(error))  # the error's own text may quote a row
    raise UnreadableError(problem)


def to_column(values: pa.ChunkedArray) -> Any:
    """Return a column as a frame has it; texts stay in Arrow's memory."""
    kind = values.type
    if kind in _MASKED:  # as pandas does it, but with one copy of each value
        array, blank = _MASKED[kind]
        return array(_own(values.fill_null(blank)), _own(values.is_null()))
    if pa.types.is_date32(kind):
        return _own(values.cast(_DATE))
    if pa.types.is_timestamp(kind):
        return pd.array(_own(values), dtype=_MOMENT, copy=False)
    return values.to_pandas(types_mapper={_TEXT: pd.StringDtype("pyarrow")}.get).array


def _own(values: pa.ChunkedArray) -> Any:
    """Return values in memory that pandas may write to; of one piece, Arrow lends its own."""
    found = values.to_numpy()
    return found if found.flags.writeable else found.copy()


def _table(run: Run, types: Types, sign: str) -> pa.Table:
    wanted = {name: _ARROW.get((types or {}).get(name.lower(), ""), _TEXT) for name in run.names}
    empty = types is not None
    table = read(
        run,
        sign,
        # Times bear a Z, which Arrow reads in datetimes only.
        column_types={n: pa.string() if kind == _TIME else kind for n, kind in wanted.items()},
        null_values=[""],
        strings_can_be_null=empty,
        quoted_strings_can_be_null=empty,
        true_values=["true"],
        false_values=["false"],
    )
    for at, (name, kind) in enumerate(wanted.items()):
        if kind == _TIME:
            table = table.set_column(at, name, _times(table.column(at)))
    return table


def _times(texts: Any) -> Any:
    # Arrow reads no times out of texts, but moments.
    clock = pc.utf8_rtrim(texts, "Z")
    return pc.binary_join_element_wise("1970-01-01T", clock, "").cast(_DATE).cast(_TIME)


def _problem(run: Run, said: str) -> str:
    try:
        codecs.decode(run.data.data, "utf-8")
    except UnicodeDecodeError as error:
        return f"is not UTF-8 at byte {run.at + error.start:,}"
    if column := re.match(r"In CSV column #(\d+): .* to (\w+)", said):
        number, kind = int(column[1]) + 1, column[2]
        return f"column {number} holds a value that is no {kind}; types=False gives its text"
    return "is no CSV that can be read"

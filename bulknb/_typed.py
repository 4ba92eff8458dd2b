"""A page of a query's results, CSV -> typed record batches, by Arrow.

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
all others                 string               string
=========================  ===================  ======================

An empty cell is missing: Salesforce keeps no empty texts, and its CSV writes null as one. Without
types every cell is the text that was sent, an empty one ``""``. The words NA, None and null, zeros
in front, newlines, quotes and NUL characters are values like others.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from ._csv import DELIMITERS, parse_options
from .errors import UnexpectedAnswerError

__all__ = ["read_page", "to_frame"]

#: Lower-cased column -> type in the describe; None: every cell as the text that was sent.
Types = Mapping[str, str] | None

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
_DTYPES = {
    pa.string(): pd.StringDtype("pyarrow"),
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}
#: No row may be larger than a block; the texts of one object may add up to 1.6 million characters.
_BLOCK_BYTES = 8 << 20
_READ_BYTES = 1 << 20


def read_page(
    file: pa.NativeFile, *, types: Types, delimiter: str = "COMMA"
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a CSV file as record batches, at least one.

    Raises
    ------
    UnexpectedAnswerError
        It is not CSV, not UTF-8 (the message has the offset), or a cell is not of its column's
        type.
    """
    problem = ""
    try:
        yield from _batches(file, types, DELIMITERS[delimiter])
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        problem = _problem(file, str(error))  # the error's own text may quote a row
    if problem:
        raise UnexpectedAnswerError(problem)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table as a frame, and use the table up; texts stay in Arrow's memory."""
    for at, field in enumerate(table.schema):
        if pa.types.is_date32(field.type):
            table = table.set_column(at, field.name, table.column(at).cast(_DATE))
    # Of moments in one piece Arrow lends its own memory, in which pandas cannot change a cell.
    lent = [
        field.name
        for field in table.schema
        if pa.types.is_timestamp(field.type) and table.column(field.name).num_chunks == 1
    ]
    frame: pd.DataFrame = table.to_pandas(
        types_mapper=_DTYPES.get, split_blocks=True, self_destruct=True
    )
    return frame.assign(**{name: frame[name].copy() for name in lent})


def _batches(file: pa.NativeFile, types: Types, delimiter: str) -> Iterator[pa.RecordBatch]:
    names = _header(file, delimiter)
    wanted = {name: _ARROW.get((types or {}).get(name.lower(), ""), pa.string()) for name in names}
    schema = pa.schema(list(wanted.items()))
    # Times bear a Z, which Arrow reads in datetimes only.
    read_as = {name: pa.string() if kind == _TIME else kind for name, kind in wanted.items()}
    empty = types is not None
    file.seek(0)
    reader = pacsv.open_csv(
        file,
        read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=parse_options(names, delimiter),
        convert_options=pacsv.ConvertOptions(
            column_types=read_as,
            null_values=[""],
            strings_can_be_null=empty,
            quoted_strings_can_be_null=empty,
            true_values=["true"],
            false_values=["false"],
        ),
    )
    yield pa.RecordBatch.from_pylist([], schema=schema)  # a page without rows has columns, too
    with reader:
        for batch in reader:
            columns = [
                _times(column) if kind == _TIME else column
                for column, kind in zip(batch.columns, schema.types, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _header(file: pa.NativeFile, delimiter: str) -> list[str]:
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        return next(csv.reader(text, delimiter=delimiter), [])
    finally:
        text.detach()  # or the file would be closed with it


def _times(texts: Any) -> Any:
    # Arrow reads no times out of texts, but moments.
    clock = pc.utf8_rtrim(texts, "Z")
    return pc.binary_join_element_wise("1970-01-01T", clock, "").cast(_DATE).cast(_TIME)


def _problem(file: pa.NativeFile, said: str) -> str:
    """Say what is wrong with a page, without a word of its content."""
    offset = _first_wrong_byte(file)
    if offset is not None:
        return f"is not UTF-8 at byte {offset:,}"
    if column := re.match(r"In CSV column #(\d+): .* to (\w+)", said):
        number, kind = int(column[1]) + 1, column[2]
        return f"column {number} holds a value that is no {kind}; types=False gives its text"
    return "is no CSV that can be read"


def _first_wrong_byte(file: pa.NativeFile) -> int | None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    at = 0
    file.seek(at)
    while True:
        piece = file.read(_READ_BYTES)
        kept = len(decoder.getstate()[0])
        try:
            decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            return at - kept + error.start
        if not piece:
            return None
        at += len(piece)

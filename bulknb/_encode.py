"""A frame's values -> columns whose CSV text is what Salesforce reads: the encoding table.

What a value becomes (Bulk API 2.0 Developer Guide, "Prepare CSV Files", "Valid Date Format in
Records"):

========================  =======================================================
string, category          itself: ``007``, ``NA``, all line ends; a NUL, half a
                          surrogate pair and the text ``#N/A`` are refused
integer, Decimal          all its digits, never an exponent
float                     shortest text that is this float, ``100`` rather than
                          ``100.0``, never an exponent; infinity is refused, and
                          so is what lies beyond 2**53, where integers have gaps
float, integer field      whole numbers only
boolean                   ``true``, ``false``
date                      ``2013-01-31``
datetime with a zone      UTC, ``2013-01-31T17:05:00.000Z``, to the millisecond
datetime without a zone   the same after ``tz=``; an hour that a clock change
                          skips or doubles is refused
datetime, date field      ``2013-01-31``, its own day; a time of day is refused
time                      ``17:05:00.000Z``
None, NaN, NaT, NA        empty (the field is left alone), or ``#N/A`` (it is
                          cleared): ``nulls="keep"`` or ``nulls="clear"``
========================  =======================================================

In a column of mixed objects each cell goes by its own type. Anything else (bytes, lists, dicts,
durations, intervals) is refused, naming row and column, never the value.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ._marks import letters
from .errors import InputError

__all__ = ["CellError", "Encoding", "Nulls", "encode"]

Nulls = Literal["keep", "clear"]

#: The text that clears a field.
CLEAR = "#N/A"

_EXACT_IN_FLOAT = 2**53
_BEYOND = "is a float beyond 2**53, where integers have gaps: use integers or Decimal"
_INFINITE = "is infinite"
_NUL = "holds a NUL character, which CSV cannot carry"
_CLEARS = f'is the text "{CLEAR}", which clears the field'
_NO_ZONE = 'has no time zone: pass tz=, such as tz="UTC"'
_FRACTION = "has a fraction, and the field holds integers"
_TIME_OF_DAY = "has a time of day, which a date field would lose"
_YEAR = "is in a year that Salesforce cannot read: 1 to 9999"

#: Objects of these kinds (``pandas.api.types.infer_dtype``) are all of one type that Arrow takes.
_UNIFORM = frozenset({"string", "integer", "boolean", "floating", "date", "empty"})

_DAY_MS = 86_400_000
_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # the years 1 and 9999, in days since 1970
_ISO = np.dtype([("day", "S10"), ("time", "S10"), ("ms", "S4")])
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_PER_MS = {"s": 1000, "ms": 1, "us": -1000, "ns": -1_000_000}


class CellError(InputError):
    """A value that cannot be sent: the label of its row, its column, and what is wrong with it."""

    def __init__(self, row: object, column: str, problem: str) -> None:
        super().__init__(f"Row {row!r}, column {column!r}: the value {problem}")
        self.row = row
        self.column = column
        self.problem = problem


class _RefusedError(Exception):
    """Cells that cannot be sent: which, by position or as a mask, and why."""

    def __init__(self, cells: Any, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.at = cells if isinstance(cells, int) else int(np.argmax(np.asarray(cells)))


@dataclass(frozen=True)
class Encoding:
    """How the values of a load become text.

    Attributes
    ----------
    types : mapping
        Column -> field type of the object's describe; "date" and "int" have rules of their own.
    header : mapping
        Column -> its name in the CSV; a column that is not in it keeps its own.
    tz : str, optional
        The zone that datetimes without one are in, such as "Europe/Paris".
    nulls : {"keep", "clear"}
        Whether a missing value leaves the field alone or clears it.
    clear_text : bool
        Whether the text ``#N/A`` may be a value: in a CSV file it says what it means.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    header: Mapping[str, str] = field(default_factory=dict)
    tz: str | None = None
    nulls: Nulls = "keep"
    clear_text: bool = False

    def __post_init__(self) -> None:
        if self.nulls not in ("keep", "clear"):
            raise InputError('nulls is "keep" (leave the field alone) or "clear" (empty it)')
        if self.tz is not None and not _known_zone(self.tz):
            raise InputError(f'tz={self.tz!r} is no time zone; "Europe/Paris" would be one')

    def table(self, rows: pd.DataFrame | pa.Table, labels: pd.Index | None = None) -> pa.Table:
        """Return the rows as a table whose values print as Salesforce reads them.

        Parameters
        ----------
        rows : DataFrame or Table
            Columns are field API names, each once.
        labels : Index, optional
            What the rows are called in an error; by default the index of the frame.

        Raises
        ------
        InputError
            A value that cannot be sent; the message names row and column.
        """
        if isinstance(rows, pd.DataFrame):
            names, default = [str(name) for name in rows], rows.index
        else:
            names, default = rows.column_names, pd.RangeIndex(len(rows))
        labels = default if labels is None else labels
        alone = len(names) == 1
        columns = [self._column(name, rows[name], labels, alone=alone) for name in names]
        return pa.Table.from_arrays(columns, names=[self.header.get(name, name) for name in names])

    def texts(self, rows: pd.DataFrame | pa.Table, labels: pd.Index | None = None) -> pa.Table:
        """Return what `table` does, all as the text that its CSV says."""
        table = self.table(rows, labels)
        columns = [pc.fill_null(column.cast(pa.large_string()), "") for column in table.columns]
        return pa.Table.from_arrays(columns, names=table.column_names)

    def check(self, rows: pd.DataFrame | pa.Table, labels: pd.Index) -> None:
        """Raise what `table` would, at less cost: columns that hold numbers or days are fine."""
        for name in rows.columns if isinstance(rows, pd.DataFrame) else rows.column_names:
            if not self._surely_fine(rows[name], self.types.get(name, "")):
                self._column(name, rows[name], labels, alone=False)

    def _surely_fine(self, values: Any, field_type: str) -> bool:
        if not isinstance(values, pd.Series):
            return bool(pa.types.is_integer(values.type) or pa.types.is_boolean(values.type))
        if isinstance(values.dtype, pd.DatetimeTZDtype) and field_type != "date":
            return not (values.min().year < 1 or values.max().year > 9999)
        return values.dtype.kind in "iub"

    def _column(self, name: str, values: Any, labels: pd.Index, *, alone: bool) -> pa.ChunkedArray:
        try:
            return self._nulls(self._values(values, self.types.get(name, "")), alone=alone)
        except _RefusedError as error:
            at, problem = error.at, error.problem
        # Outside the except block: a traceback shall not lead to the values.
        raise CellError(labels[at], name, problem)

    def _values(self, values: Any, field_type: str) -> pa.ChunkedArray:
        """Return one column in a type that Arrow prints as Salesforce reads it."""
        column = self._arrow(values, field_type)
        kind = column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return column if self.clear_text else _refuse_clear(_refuse_nul(column))
        if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date32(kind):
            return column
        if pa.types.is_null(kind):
            return column.cast(pa.string())
        if pa.types.is_floating(kind):
            return _floats(column, whole=field_type == "int")
        if pa.types.is_timestamp(kind):
            return self._datetimes(column, field_type)
        if pa.types.is_date64(kind):
            return column.cast(pa.date32())
        if pa.types.is_decimal(kind):
            return _decimals(column)
        if pa.types.is_time(kind):
            return pc.binary_join_element_wise(
                column.cast(pa.time64("ns")).cast(pa.time32("ms"), safe=False).cast(pa.string()),
                "Z",
                "",
            )
        raise _RefusedError(column.is_valid(), f"cannot be sent as it is ({kind})")

    def _arrow(self, values: Any, field_type: str) -> pa.ChunkedArray:
        """Return the values as Arrow holds them, a category as its value."""
        if isinstance(values, pd.Series):
            if values.dtype == object and not _uniform(values):
                return self._cells(values, field_type)
            try:
                values = pa.array(values, from_pandas=True)
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                return self._cells(values, field_type)
        column = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if column.type == pa.string_view():
            return column.cast(pa.string())
        return column.cast(pa.float32()) if pa.types.is_float16(column.type) else column

    def _cells(self, values: pd.Series, field_type: str) -> pa.ChunkedArray:
        """Return objects as text, each by its own type."""
        texts: list[str | None] = []
        try:
            for value in values:
                texts.append(self._cell(value, field_type))
        except _RefusedError as error:
            problem = error.problem
        else:
            return pa.chunked_array([pa.array(texts, pa.string())])
        raise _RefusedError(len(texts), problem)

    def _cell(self, value: Any, field_type: str) -> str | None:
        if isinstance(value, str):
            return _whole_text(value)
        if pd.api.types.is_scalar(value) and pd.isna(value):
            return None
        if isinstance(value, bool | np.bool_):
            return "true" if value else "false"
        if isinstance(value, int | np.integer):
            return str(int(value))
        if isinstance(value, Decimal):
            if not value.is_finite():
                raise _RefusedError(0, _INFINITE)
            return format(value, "f")
        if isinstance(value, dt.time):
            if value.tzinfo is not None:
                raise _RefusedError(0, "is a time with a zone; a time field is in UTC")
            return f"{value.isoformat('milliseconds')}Z"
        if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
            return value.isoformat()
        if isinstance(value, float | np.floating):
            return _float(value, whole=field_type == "int")
        if isinstance(value, dt.datetime | np.datetime64):
            one: str = self._values(pd.Series([value]), field_type).cast(pa.string())[0].as_py()
            return one
        raise _RefusedError(0, f"is a {type(value).__name__}, which no field takes")

    def _datetimes(self, column: pa.ChunkedArray, field_type: str) -> pa.ChunkedArray:
        if field_type == "date":
            return _days(column)
        if column.type.tz is None:
            naive = column.to_pandas()
            if self.tz is None:
                raise _RefusedError(column.is_valid(), _NO_ZONE)
            aware = naive.dt.tz_localize(self.tz, ambiguous="NaT", nonexistent="NaT")
            lost = aware.isna() & naive.notna()
            _refuse_any(lost, f"is skipped or doubled by a clock change in {self.tz}")
            column = pa.chunked_array([pa.array(aware, from_pandas=True)])
        return _iso(column)

    def _nulls(self, column: pa.ChunkedArray, *, alone: bool) -> pa.ChunkedArray:
        # An empty value that stands alone in its line must be "": an empty line is no row.
        if column.null_count == 0 or (self.nulls == "keep" and not alone):
            return column
        return pc.fill_null(column.cast(pa.string()), CLEAR if self.nulls == "clear" else "")


def encode(
    frame: pd.DataFrame,
    *,
    types: Mapping[str, str] | None = None,
    header: Mapping[str, str] | None = None,
    tz: str | None = None,
    nulls: Nulls = "keep",
) -> pa.Table:
    """Return a frame as a table whose values print as Salesforce reads them: see `Encoding`."""
    return Encoding(types or {}, header or {}, tz=tz, nulls=nulls).table(frame)


def _uniform(values: pd.Series) -> bool:
    """Return whether Arrow may take these objects as a whole, and loses nothing."""
    kind = pd.api.types.infer_dtype(values)
    if kind == "datetime":
        return len({value.tzinfo for value in values.dropna()}) <= 1
    return kind in _UNIFORM


def _known_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return False
    return True


def _whole_text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        pass
    else:
        return str.__str__(text)
    raise _RefusedError(0, "holds half of a surrogate pair, which UTF-8 cannot carry")


def _refuse_nul(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not all(map(_without_nul, column.chunks)):
        _refuse_any(pc.match_substring(column, "\0").fill_null(False), _NUL)
    return column


def _without_nul(texts: pa.Array) -> bool:
    """Return whether no byte is 0, looking at all texts as one."""
    ends, data = letters(texts)
    return bool(data[ends[0] : ends[-1]].view(np.bool_).all())


def _refuse_clear(column: pa.ChunkedArray) -> pa.ChunkedArray:
    _refuse_any(pc.equal(column, CLEAR).fill_null(False), _CLEARS)
    return column


def _floats(column: pa.ChunkedArray, *, whole: bool) -> pa.ChunkedArray:
    numbers = column.fill_null(0.0).to_numpy()
    numbers = np.where(np.isnan(numbers), 0.0, numbers)
    size = np.abs(numbers)
    _refuse_any(np.isinf(numbers), _INFINITE)
    if whole:
        _refuse_any(numbers != np.trunc(numbers), _FRACTION)
    _refuse_any(size > _EXACT_IN_FLOAT, _BEYOND)
    column = pc.if_else(pc.is_nan(column), None, column)
    if whole:
        return column.cast(pa.int64())
    # Arrow would print these with an exponent, or as -0.
    odd = (size >= 1e10) | ((size < 1e-4) & ((size > 0) | np.signbit(numbers)))
    return _with_texts(column, odd, numbers, _plain)


def _float(number: Any, *, whole: bool) -> str:
    """Return one float as `_floats` does a column of them."""
    if np.isinf(number):
        raise _RefusedError(0, _INFINITE)
    if whole and number != np.trunc(number):
        raise _RefusedError(0, _FRACTION)
    if abs(number) > _EXACT_IN_FLOAT:
        raise _RefusedError(0, _BEYOND)
    return _plain(number)


def _plain(number: Any) -> str:
    return np.format_float_positional(number + 0.0, trim="-")


def _decimals(column: pa.ChunkedArray) -> pa.ChunkedArray:
    texts = column.cast(pa.string())
    odd = pc.match_substring(texts, "E").fill_null(False).to_numpy()
    return _with_texts(texts, odd, column, lambda number: format(number.as_py(), "f"))


def _with_texts(
    column: pa.ChunkedArray, odd: Any, values: Any, write: Callable[[Any], str]
) -> pa.ChunkedArray:
    """Return the column, as text written by hand where it is odd."""
    if not np.any(odd):
        return column
    texts = [write(values[int(at)]) for at in np.flatnonzero(odd)]
    whole = pc.replace_with_mask(
        column.cast(pa.string()).combine_chunks(), pa.array(odd), pa.array(texts, pa.string())
    )
    return pa.chunked_array([whole])


def _days(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the days of midnights, each in the zone that it is written in."""
    if column.type.tz is not None:
        local = column.to_pandas().dt.tz_localize(None)
        column = pa.chunked_array([pa.array(local, from_pandas=True)])
    lost = column.is_null().to_numpy()
    moments = column.cast(pa.int64()).fill_null(0).to_numpy()
    in_day = _PER_DAY[column.type.unit]
    days = moments // in_day
    _refuse_any(days * in_day != moments, _TIME_OF_DAY)
    return pa.chunked_array([pa.array(days.astype("datetime64[D]"), pa.date32(), mask=lost)])


def _iso(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return moments as ``2013-01-31T17:05:00.000Z``, put together from look-up tables."""
    lost = column.is_null().to_numpy()
    # Through integers, for Arrow would look for a time zone database that a machine may lack.
    moments = column.cast(pa.int64()).fill_null(0).to_numpy()
    factor = _PER_MS[column.type.unit]
    ms = moments * factor if factor > 0 else moments // -factor
    # Not divmod: by a constant, numpy divides several times as fast.
    day = ms // _DAY_MS
    _refuse_any((day < _FIRST_DAY) | (day > _LAST_DAY), _YEAR)
    in_day = ms - day * _DAY_MS
    second = in_day // 1000
    codes, days = pd.factorize(day)
    text = np.empty(len(moments), _ISO)
    text["day"] = _day_texts(days)[codes]
    text["time"] = _clock()[second]
    text["ms"] = _thousand()[in_day - 1000 * second]
    offsets = np.arange(0, 24 * len(moments) + 1, 24, dtype=np.int64)
    validity = pa.array(~lost).buffers()[1] if lost.any() else None
    return pa.chunked_array(
        [
            pa.LargeStringArray.from_buffers(
                len(moments), pa.py_buffer(offsets), pa.py_buffer(text), validity
            )
        ]
    )


def _day_texts(days: Any) -> Any:
    """Return days since 1970 as ``2013-01-31``; numpy's own way would keep others waiting."""
    days = days.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    text = np.full((len(days), 10), ord("-"), np.uint8)
    for numbers, last, digits in (
        (months.astype("datetime64[Y]").astype(np.int64) + 1970, 3, 4),
        (months.astype(np.int64) % 12 + 1, 6, 2),
        ((days - months.astype("datetime64[D]")).astype(np.int64) + 1, 9, 2),
    ):
        for place in range(last, last - digits, -1):
            text[:, place] = ord("0") + numbers % 10
            numbers = numbers // 10
    return text.view("S10")[:, 0]


@functools.cache
def _clock() -> Any:
    """``T17:05:00.`` for each second of a day."""
    moments = np.datetime_as_string(np.arange(86_400).astype("datetime64[s]"))
    return np.array([f"{moment[10:]}." for moment in moments.tolist()]).astype("S10")


@functools.cache
def _thousand() -> Any:
    """``000Z`` to ``999Z``."""
    return np.array([f"{number:03}Z" for number in range(1000)]).astype("S4")


def _refuse_any(cells: Any, problem: str) -> None:
    if np.any(np.asarray(cells)):
        raise _RefusedError(cells, problem)

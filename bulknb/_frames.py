"""Records as the API gives them -> typed Arrow columns, a whole column at a time.

What a value means is said once, by ``from_dict`` of the class. Here only values of the types that
the API documents are taken fast; a column with any other is read value by value, by ``from_dict``.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, fields
from itertools import repeat
from operator import itemgetter
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from ._jobinfo import BatchInfo, JobInfo
from ._xml import NAMESPACE
from .errors import UnexpectedAnswerError

__all__ = ["ARROW", "read_json", "read_plain_xml", "read_records", "to_frame"]

Class = type[JobInfo] | type[BatchInfo]
Record = Mapping[str, Any]

#: dtype in a frame -> type in Arrow
ARROW: dict[str, pa.DataType] = {
    "string": pa.string(),
    "Int64": pa.int64(),
    "boolean": pa.bool_(),
    "datetime64[us, UTC]": pa.timestamp("us", "UTC"),
}
_PANDAS: dict[pa.DataType, Any] = {
    pa.string(): pd.StringDtype("pyarrow"),
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}

#: Times are texts in JSON.
_IN_JSON: dict[str, pa.DataType] = {**ARROW, "datetime64[us, UTC]": pa.string()}
#: Text to us, since 60.0 and "60.0" are one version, but numbers in JSON.
_NUMBERS_IN_JSON = ("apiVersion",)

#: Records whose values are collected together: few enough to stay in the processor's cache.
_BLOCK = 500
#: Records whose values are in lists at the same time: little beside the frame.
_SLICE = 50_000
#: Bytes of JSON that are parsed together: enough for speed, little beside the frame.
_JSON_BYTES = 16_000_000
#: Bytes of JSON that one thread takes at a time.
_BLOCK_BYTES = 2_000_000
#: Where a list page has "records", which no job has.
_PAGE_HEAD = 1_000


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return the frame of typed columns: string, Int64, boolean, datetime64[us, UTC].

    Column by column, so that both are not in memory at once, unless somebody else holds the table.
    """
    columns = dict(zip(table.column_names, table.columns, strict=True))
    del table
    series = {}
    for name in list(columns):
        series[name] = _series_of(columns.pop(name))
        pa.default_memory_pool().release_unused()  # what Arrow keeps, NumPy cannot have
    return pd.DataFrame(series, copy=False)


def _series_of(column: pa.ChunkedArray) -> pd.Series[Any]:
    dtype = _PANDAS.get(column.type)
    given = column.to_pandas() if dtype is None else dtype.__from_arrow__(column)
    return pd.Series(given, copy=False)


def read_records(cls: Class, records: Sequence[Record] | pd.DataFrame) -> pa.Table:
    """Return the fields of the records, API objects or a frame of these, as typed columns.

    Raises
    ------
    UnexpectedAnswerError
        A value is not of its field's type; the message names the field.
    """
    if isinstance(records, pd.DataFrame):
        return _table(cls, _columns_of_frame(cls, records))
    parts = [
        _table(cls, _columns_of_records(cls, records[start : start + _SLICE]))
        for start in range(0, len(records) or 1, _SLICE)
    ]
    return pa.concat_tables(parts)


def read_json(cls: Class, texts: Sequence[bytes]) -> pa.Table | None:
    """Return the fields of JSON list pages, or of JSON objects, as typed columns.

    None if they are something else, on several lines, or hold what Arrow does not take for such a
    field: then read them in another way.
    """
    if not texts or any(b"\n" in text for text in texts):
        return None
    parts = []
    for group in _groups(texts):
        part = _read_json_group(cls, group)
        if part is None:
            return None
        parts.append(part)
    return pa.concat_tables(parts)


def _groups(texts: Sequence[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for text in texts:
        if group and size + len(text) > _JSON_BYTES:
            yield group
            group, size = [], 0
        group.append(text)
        size += len(text)
    yield group


def _read_json_group(cls: Class, texts: list[bytes]) -> pa.Table | None:
    record = pa.struct(list(_json_types(cls).items()))
    in_pages = b'"records"' in texts[0][:_PAGE_HEAD]
    schema = pa.schema([("records", pa.list_(record))] if in_pages else list(record))
    try:
        found = pyarrow.json.read_json(
            pa.BufferReader(b"\n".join(texts)),
            # No text may be longer than a block.
            read_options=pyarrow.json.ReadOptions(
                block_size=max(_BLOCK_BYTES, *map(len, texts)) + 1
            ),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )
        found.validate(full=True)  # Arrow lets through what is not UTF-8
    except (pa.ArrowException, ValueError):
        return None
    if len(found) != len(texts) or (in_pages and found["records"].null_count):
        return None
    if in_pages:
        structs = pc.list_flatten(found["records"])
        if structs.null_count:
            return None
        found = pa.Table.from_arrays(structs.flatten(), schema=pa.schema(list(record)))
    if pc.any(pc.and_(found["id"].is_null(), found["state"].is_null())).as_py():
        return None
    return _table(cls, dict(zip(found.column_names, found.columns, strict=True)))


def _declared(cls: Class) -> list[Field[Any]]:
    return [declared for declared in fields(cls) if declared.metadata]


def _json_types(cls: Class) -> dict[str, pa.DataType]:
    """Return API name -> type in JSON; both names of a field that has two."""
    return {
        api: pa.float64() if api in _NUMBERS_IN_JSON else _IN_JSON[declared.metadata["dtype"]]
        for declared in _declared(cls)
        for api in (declared.metadata["api"], declared.metadata["also"])
        if api
    }


def _columns_of_records(cls: Class, records: Sequence[Record]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {api: [] for api in _json_types(cls)}
    for start in range(0, len(records), _BLOCK):
        block = records[start : start + _BLOCK]
        present = set[str]().union(*block)
        for api, values in columns.items():
            values += _values(block, api) if api in present else [None] * len(block)
    return columns


def _values(records: Sequence[Record], api: str) -> list[Any]:
    with contextlib.suppress(KeyError):
        return list(map(itemgetter(api), records))  # twice as fast as get
    get: Any = dict.get
    with contextlib.suppress(TypeError):
        return list(map(get, records, repeat(api)))
    return [record.get(api) for record in records]  # mappings that are no dicts


def _columns_of_frame(cls: Class, frame: pd.DataFrame) -> dict[str, Any]:
    """Return a frame's columns by API name; they may also bear the names of our fields."""
    return {
        declared.metadata["api"]: _series(
            frame, declared.metadata["api"], declared.metadata["also"], declared.name
        )
        for declared in _declared(cls)
    }


def _series(frame: pd.DataFrame, *names: str | None) -> Any:
    given = [frame[name] for name in names if name in frame]
    if not given:
        return pa.nulls(len(frame))
    column = given[0]
    for other in given[1:]:
        column = column.where(column.notna(), other)
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):  # values of several types
        return column.astype(object).where(column.notna(), None).tolist()


def _table(cls: Class, given: Mapping[str, Any]) -> pa.Table:
    """Return typed columns, by field, of values by API name."""
    columns = {}
    for declared in _declared(cls):
        api, also = declared.metadata["api"], declared.metadata["also"]
        values = _either(given[api], given[also]) if also in given else given[api]
        columns[declared.name] = _column(cls, declared, values)
    return pa.table(columns)


def _either(first: Any, second: Any) -> Any:
    if isinstance(first, list):
        return [b if a is None else a for a, b in zip(first, second, strict=True)]
    return pc.coalesce(first, second)


def _column(cls: Class, declared: Field[Any], values: Any) -> pa.Array | pa.ChunkedArray:
    """Return one typed column: at once if the values are of the usual type, else one by one."""
    api, dtype = declared.metadata["api"], declared.metadata["dtype"]
    try:
        array = _array(values, _json_types(cls)[api]) if isinstance(values, list) else values
        column = _usual(array, dtype)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        column = None
    return _one_by_one(cls, declared, values) if column is None else column


def _array(values: list[Any], expected: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, expected)  # faster than to find the type out
    except (pa.ArrowException, TypeError, ValueError):
        return pa.array(values)


def _usual(array: Any, dtype: str) -> Any:
    """Return the column if its values have a type that the API writes; blank is missing."""
    kind, target = array.type, ARROW[dtype]
    if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind):
        return _usual(array.cast(pa.string()), dtype)
    if kind == pa.string():
        array = _without_blanks(array)
        if dtype == "Int64" and not pc.all(pc.ascii_is_decimal(array)).as_py():
            return None  # Arrow would take 0x1F for a number, too
        return None if dtype == "boolean" else array.cast(target)
    if dtype == "string" and pa.types.is_floating(kind):
        return _number_texts(array)
    castable = {
        "Int64": pa.types.is_integer(kind),
        "boolean": pa.types.is_boolean(kind),
        "datetime64[us, UTC]": pa.types.is_timestamp(kind),
    }
    return array.cast(target) if castable.get(dtype) or pa.types.is_null(kind) else None


def _without_blanks(array: Any) -> Any:
    blank = pc.equal(array, "")
    return pc.if_else(blank, None, array) if pc.any(blank).as_py() else array


def _number_texts(array: Any) -> Any:
    """Return numbers such as 60.0 as text; few are distinct."""
    distinct = pc.unique(array)
    texts = [None if number is None else f"{number:.1f}" for number in distinct.to_pylist()]
    return pc.take(pa.array(texts, pa.string()), pc.index_in(array, distinct))


def _one_by_one(cls: Class, declared: Field[Any], values: Any) -> pa.Array:
    api = declared.metadata["api"]
    listed = values if isinstance(values, list) else values.to_pylist()

    def read_one(value: Any) -> Any:
        return getattr(cls.from_dict({api: value}), declared.name)

    try:
        known = {(type(value), value): None for value in listed}  # often few
    except TypeError:  # lists and dicts
        read = [read_one(value) for value in listed]
    else:
        known = {key: read_one(key[1]) for key in known}
        read = [known[type(value), value] for value in listed]
    try:
        return pa.array(read, ARROW[declared.metadata["dtype"]])
    except (OverflowError, pa.ArrowInvalid, UnicodeEncodeError):
        message = f"{cls.__name__}: {api} holds what no {declared.metadata['dtype']} can"
    raise UnexpectedAnswerError(message)


_TEXT = r"[^<>&\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]*"
_PLAIN = re.compile(
    r'(?:<\?xml version="1\.0" encoding="UTF-8"\?>)?\s*'
    rf'<(?P<root>[A-Za-z]+)\s+xmlns="{re.escape(NAMESPACE)}"\s*>'
    rf"(?:\s*<([A-Za-z]+)>{_TEXT}</\2>)*+\s*</(?P=root)>\s*",
    re.ASCII,
)
_CHILD = re.compile(r"<([A-Za-z]+)>([^<]*)</")


def read_plain_xml(document: str, root: str) -> dict[str, str] | None:
    """Return name -> text of the children if the document is laid out as Salesforce does it.

    Such a document needs no parser: no attribute, entity, comment or nesting is in it. None for
    any other: it may be right, and is for ``read_xml``.
    """
    layout = _PLAIN.fullmatch(document)
    if layout is None or layout["root"] != root:
        return None
    children = _CHILD.findall(document, layout.end("root"))
    content = dict(children)
    return content if len(content) == len(children) else None

"""Rows of a query, written out as CSV, JSON or XML."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from sqlite3 import Row
from typing import Any

from bulknb.sandbox import csvtext, values, xmltext
from bulknb.sandbox.schema import Field
from bulknb.sandbox.soql import Found, Query, Selected
from bulknb.sandbox.store import Store

Writer = Callable[[Found], str]

# Records that are written together: so few that they do not wake the garbage collector.
_RUN = 500
_SOBJECT = 'xsi:type="sf:sObject"'
# What a 1.0 query result in XML begins with.
ROOT_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    f'<queryResult xmlns="{xmltext.NAMESPACE}"'
    ' xmlns:sf="urn:sobject.partner.soap.sforce.com"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
)


def write_results(store: Store, query: Query, job: Row, *, owner: str) -> int:
    """Run the query of a job or batch, keep its rows in the job's format, return their number."""
    store.save_results(owner, _lines(store, query, job))
    return store.count_results(owner)


def _lines(store: Store, query: Query, job: Row) -> Iterator[str]:
    match job["content_type"]:
        case "JSON":
            record = json_writer(query, job["api_version"], epoch=True)
            return (json.dumps(record(found), ensure_ascii=False) for found in query.run(store))
        case "XML":
            return map(xml_writer(query), query.run(store))
    return csv_lines(store, query, csvtext.DELIMITERS[job["delimiter"]])


def csv_header(query: Query, delimiter: str) -> str:
    """Return the header line of a query's CSV; it is quoted like the values."""
    return csvtext.quoted((column.name for column in query.columns), delimiter)


def csv_lines(store: Store, query: Query, delimiter: str) -> Iterator[str]:
    """Run a query and yield its records as lines of CSV, without line ends."""
    rows = query.rows(store)
    while run := list(islice(rows, _RUN)):
        # The first columns are Ids, which are not asked for. By columns this is several times as
        # fast as by values.
        _, *columns = zip(*run, strict=True)
        selected = columns[len(query.references) :]
        yield from csvtext.all_quoted(map(_csv_values, query.columns, selected), delimiter)


def _csv_values(column: Selected, found: Sequence[Any]) -> Iterable[Any]:
    return map(values.to_csv(column.field), found) if column.field.type == "boolean" else found


def json_writer(
    query: Query, version: str, *, epoch: bool = False
) -> Callable[[Found], dict[str, Any]]:
    """Return the function that writes a record as an object, its parents as objects inside."""

    def about(kind: str, key: str) -> dict[str, Any]:
        url = f"/services/data/v{version}/sobjects/{kind}/{key}"
        return {"attributes": {"type": kind, "url": url}}

    return _nester(query, about, partial(values.to_json, epoch=epoch))


def xml_writer(query: Query) -> Writer:
    """Return the function that writes a record as an element of a 1.0 query result."""

    def about(kind: str, key: str) -> dict[str, Any]:
        return {"type": kind}

    def convert(field: Field) -> Callable[[Any], Any]:
        text = values.to_csv(field)
        return lambda value: None if value is None else text(value)

    nest = _nester(query, about, convert)

    def write(found: Found) -> str:
        record = nest(found)
        # The Id comes first, and once more if it was selected.
        head = _element("type", record.pop("type")) + _element("Id", found.key)
        fields = "".join(_element(name, value) for name, value in record.items())
        return f'<records xmlns="urn:partner.soap.sforce.com" {_SOBJECT}>{head}{fields}</records>'

    return write


def _element(name: str, value: str | dict[str, Any] | None) -> str:
    if value is None:
        return f'<sf:{name} xsi:nil="true"/>'
    if isinstance(value, str):
        return f"<sf:{name}>{xmltext.text(value)}</sf:{name}>"
    inner = "".join(_element(*item) for item in value.items())
    return f"<sf:{name} {_SOBJECT}>{inner}</sf:{name}>"


def _nester(
    query: Query,
    about: Callable[[str, str], dict[str, Any]],
    convert: Callable[[Field], Callable[[Any], Any]],
) -> Callable[[Found], dict[str, Any]]:
    """Return the function that makes a nested record.

    `about` gives what a record of an object, with its Id, begins with.
    """
    columns = [(column, convert(column.field)) for column in query.columns]

    def nest(found: Found) -> dict[str, Any]:
        record = about(query.kind.name, found.key)
        for (column, converted), value in zip(columns, found.values, strict=True):
            reference = column.reference
            if reference is None:
                record[column.field.name] = converted(value)
                continue
            name = str(reference.relationship)
            parent = found.parents[reference.name]
            if parent is None:
                record[name] = None
            else:
                inner = record.setdefault(name, about(str(reference.reference_to), parent))
                inner[column.field.name] = converted(value)
        return record

    return nest

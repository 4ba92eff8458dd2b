"""What a 1.0 batch answers, in the format of its job (CSV, JSON or XML) -> a table of texts.

Source: Bulk API Developer Guide, "Get Batch Results", "Get Bulk Query Results".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from .. import _csv
from .._jobinfo import BatchInfo
from .._wire import Answer
from .._xml import read_xml
from ..errors import ReconcileError, UnexpectedAnswerError

_COLUMNS = ("Id", "Success", "Created", "Error")
#: A query without rows is answered by this sentence in place of a header.
_NO_ROWS = (b"Records not found", b'"Records not found')


def outcomes(answer: Answer) -> pa.Table:
    """Return one row per row sent, in the order sent: Id, Success, Created, Error."""
    if _format(answer) == "csv":
        return _csv.decode(answer.body)
    in_json = _format(answer) == "json"
    results = _json(answer) if in_json else _children(answer, "results", "result")
    rows = [_outcome(result) for result in results]
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in _COLUMNS})


def result_ids(answer: Answer) -> list[str]:
    """Return the ids of the results of a query batch."""
    if _format(answer) == "json":
        return [str(name) for name in _json(answer)]
    return [str(name) for name in _children(answer, "result-list", "result")]


def demand_count(batch: BatchInfo, rows: int) -> None:
    """Return if the results of a query batch hold as many rows as the server counts.

    Raises
    ------
    ReconcileError
        They hold more, or fewer.
    """
    if rows != batch.number_records_processed:
        raise ReconcileError(
            f"Batch {batch.id} found {batch.number_records_processed} records, "
            f"its results hold {rows:,}. Ask again later"
        )


def query_rows(answer: Answer) -> pa.Table | None:
    """Return the rows of one result of a query batch, or None if there are none.

    JSON has datetimes as milliseconds since 1970. JSON and XML have parents as records inside:
    those become columns such as ``Owner.Name``.
    """
    if _format(answer) == "csv":
        return None if answer.body.startswith(_NO_ROWS) else _csv.decode(answer.body)
    if _format(answer) == "json":
        rows = [_flat(row) for row in _json(answer)]
    else:
        rows = [_flat(_plain(row)) for row in _children(answer, "queryResult", "records")]
    names = dict.fromkeys(name for row in rows for name in row)
    for parent in {name.rpartition(".")[0] for name in names}:
        names.pop(parent, None)  # of a row that has no such parent
    columns = {name: pa.array([row.get(name, "") for row in rows], pa.string()) for name in names}
    return pa.table(columns) if rows else None


def _format(answer: Answer) -> str:
    """Return csv, json or xml: text/csv and, of a job of zips, zip/csv are both csv."""
    return answer.content_type.rpartition("/")[2]


def _json(answer: Answer) -> Any:
    return replace(answer, headers={"Content-Type": "application/json"}).json()


def _outcome(result: Mapping[str, Any]) -> dict[str, str]:
    errors = result.get("errors") or []
    return {
        "Id": _text(result.get("id")),
        "Success": _text(result.get("success")),
        "Created": _text(result.get("created")),
        "Error": "".join(_error(error) for error in _listed(errors)),
    }


def _error(error: Mapping[str, Any]) -> str:
    """Write an error as the CSV has it: CODE:text:fields --."""
    fields = ",".join(_listed(error.get("fields") or []))
    return f"{error.get('statusCode', '')}:{error.get('message', '')}:{fields} --"


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of XML as JSON has it: without its type, and its Id, said twice, once."""
    plain = {}
    for name, value in record.items():
        first = value[0] if isinstance(value, list) else value
        if name != "type":
            plain[name] = _plain(first) if isinstance(first, dict) else first
    return plain


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in row.items():
        if name == "attributes":  # the record's type and address
            continue
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = _text(value)
    return flat


def _text(value: Any) -> str:
    if value is None or value == {}:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _children(answer: Answer, root: str, child: str) -> list[Any]:
    name, content = read_xml(answer.body)
    if name != root:
        raise UnexpectedAnswerError(f"The answer should be <{root}>, but is <{name[:40]}>")
    return _listed(content.get(child, []) if isinstance(content, dict) else [])


def _listed(value: Any) -> list[Any]:
    """One child of an element is read as itself, several as a list."""
    return value if isinstance(value, list) else [value]

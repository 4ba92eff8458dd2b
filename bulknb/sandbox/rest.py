"""The REST resources around the Bulk API: versions, objects, queries, limits."""

import json
from typing import Any

from flask import Blueprint, Response, request

from bulknb.sandbox import describe, ids, jobs
from bulknb.sandbox.results import json_writer
from bulknb.sandbox.schema import NUMBERS, Field
from bulknb.sandbox.soql import Query
from bulknb.sandbox.web import ApiError, identity_url, json_answer, org

blueprint = Blueprint("rest", __name__, url_prefix="/services")

# Newest last, as an org lists them; other versions work as well.
VERSIONS = tuple(range(31, 68))
QUERY_PAGE = 2000
_SEASONS = ("Winter", "Spring", "Summer")


@blueprint.get("/data")
def versions() -> Response:
    """List the API versions; the one resource that needs no session."""
    return json_answer(
        [
            {
                "label": _label(number),
                "url": f"/services/data/v{number}.0",
                "version": f"{number}.0",
            }
            for number in VERSIONS
        ]
    )


def _label(number: int) -> str:
    """Three releases a year: 67.0 is Summer '26."""
    year, season = divmod(number + 13, 3)
    return f"{_SEASONS[season]} '{year:02}"


@blueprint.get("/data/v<version:version>")
def resources(version: str) -> Response:
    """Map the names of resources to their paths."""
    names = ("jobs", "limits", "query", "queryAll", "sobjects", "composite")
    paths = {name: f"/services/data/v{version}/{name}" for name in names}
    return json_answer(paths | {"identity": identity_url()})


@blueprint.get("/data/v<version:version>/sobjects")
def sobjects(version: str) -> Response:
    """List the org's objects."""
    kinds = sorted(org().objects.values(), key=lambda kind: kind.name)
    return json_answer(
        {
            "encoding": "UTF-8",
            "maxBatchSize": 200,
            "sobjects": [describe.summary(kind, version) for kind in kinds],
        }
    )


@blueprint.get("/data/v<version:version>/query")
def query(version: str) -> Response:
    """Answer a query; records in the recycle bin do not count."""
    return _query(version, deleted_too=False)


@blueprint.get("/data/v<version:version>/queryAll")
def query_all(version: str) -> Response:
    """Answer a query; records in the recycle bin count."""
    return _query(version, deleted_too=True)


def _query(version: str, *, deleted_too: bool) -> Response:
    store = org().store
    found = jobs.compiled(request.args.get("q", ""), deleted_too=deleted_too)
    if found.kind.name == "UserPermissionAccess":
        org().show_permissions()
    if request.args.get("columns", "").lower() == "true":
        return json_answer(_columns(found))
    if found.counts:
        return json_answer({"totalSize": found.count(store), "done": True, "records": []})
    write = json_writer(found, version)
    records = [write(record) for record in found.run(store)]
    if len(records) <= QUERY_PAGE:
        return json_answer({"totalSize": len(records), "done": True, "records": records})
    with store.transaction():
        (cursor,) = store.new_ids(ids.CURSOR)
        store.save_results(cursor, map(json.dumps, records))
    return _page(version, cursor, 0)


def _columns(query: Query) -> dict[str, Any]:
    """Return what the columns of an answer will be, without the answer."""
    columns: list[dict[str, Any]] = []
    parents: dict[str, list[dict[str, Any]]] = {}
    for column in query.columns:
        if column.reference is None:
            columns.append(_column(column.field, column.field.name))
            continue
        name = str(column.reference.relationship)
        if name not in parents:
            parents[name] = []
            columns.append(_column(column.reference, name, parents[name]))
        parents[name].append(_column(column.field, column.field.name))
    return {
        "columnMetadata": columns,
        "entityName": query.kind.name,
        "groupBy": False,
        "idSelected": any(column.name == "Id" for column in query.columns),
        "keyPrefix": query.kind.key_prefix,
    }


def _column(field: Field, name: str, inner: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "aggregate": False,
        "apexType": None if inner is not None else field.type.capitalize(),
        "booleanType": field.type == "boolean",
        "columnName": name,
        "custom": field.custom,
        "displayName": name,
        "foreignKeyName": field.reference_to if inner is not None else None,
        "insertable": field.writable,
        "joinColumns": [] if inner is None else inner,
        "numberType": field.type in NUMBERS or field.type == "int",
        "textType": field.kind.soap == "xsd:string",
        "updatable": field.writable,
    }


@blueprint.get("/data/v<version:version>/query/<cursor>-<int(max=1000000000):first>")
@blueprint.get("/data/v<version:version>/queryAll/<cursor>-<int(max=1000000000):first>")
def query_more(version: str, cursor: str, first: int) -> Response:
    """Return a further page of an answer."""
    return _page(version, cursor, first)


def _page(version: str, cursor: str, first: int) -> Response:
    total = org().store.count_results(cursor)
    if not cursor.startswith(ids.CURSOR) or first >= total:
        raise ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    following = first + QUERY_PAGE
    page: dict[str, object] = {"totalSize": total, "done": following >= total}
    if following < total:
        page["nextRecordsUrl"] = f"/services/data/v{version}/query/{cursor}-{following}"
    page["records"] = [json.loads(text) for text in org().store.results(cursor, first, QUERY_PAGE)]
    return json_answer(page)


@blueprint.get("/data/v<version:version>/limits")
def limits(version: str) -> Response:
    """Return what a day allows and what is left of it."""
    batches_left = org().engine.batches_left(org().clock.time())
    allowed = {
        "DailyApiRequests": (org().daily_requests, org().requests_left),
        "DailyBulkApiBatches": (org().engine.daily_batches, batches_left),
        "DailyBulkV2QueryFileStorageMB": (976_562, 976_562),
        "DailyBulkV2QueryJobs": (10_000, max(0, 10_000 - org().store.count("job"))),
    }
    return json_answer(
        {name: {"Max": most, "Remaining": left} for name, (most, left) in allowed.items()}
    )

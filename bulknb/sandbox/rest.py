"""The REST resources around the Bulk API: versions, objects, describe, limits, the user."""

import json

from flask import Blueprint, Response, request

from bulknb.sandbox import ids, jobs, schema
from bulknb.sandbox.org import DAILY_REQUESTS
from bulknb.sandbox.results import json_writer
from bulknb.sandbox.web import ApiError, json_answer, no_resource, org

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
    names = ("jobs", "limits", "query", "queryAll", "sobjects")
    return json_answer({name: f"/services/data/v{version}/{name}" for name in names})


@blueprint.get("/data/v<version:version>/sobjects")
def sobjects(version: str) -> Response:
    """List the org's objects."""
    kinds = sorted(org().objects.values(), key=lambda kind: kind.name)
    return json_answer(
        {
            "encoding": "UTF-8",
            "maxBatchSize": 200,
            "sobjects": [schema.summary(kind, version) for kind in kinds],
        }
    )


@blueprint.get("/data/v<version:version>/sobjects/<name>/describe")
def describe(version: str, name: str) -> Response:
    """Describe an object with all its fields."""
    kind = org().kind(name)
    if kind is None:
        raise no_resource()
    return json_answer(schema.describe(kind, version))


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
    requests_left = max(0, DAILY_REQUESTS - org().request_count)
    allowed = {
        "DailyApiRequests": (DAILY_REQUESTS, requests_left),
        "DailyBulkApiBatches": (15_000, max(0, 15_000 - org().store.count("batch"))),
        "DailyBulkV2QueryFileStorageMB": (976_562, 976_562),
        "DailyBulkV2QueryJobs": (10_000, max(0, 10_000 - org().store.count("job"))),
    }
    return json_answer(
        {name: {"Max": most, "Remaining": left} for name, (most, left) in allowed.items()}
    )


@blueprint.get("/oauth2/userinfo")
def user_info() -> Response:
    """Return who is signed in."""
    user = org().user()
    identity = f"{request.host_url}id/{ids.to_18(ids.ORGANIZATION_ID)}/{user['Id']}"
    return json_answer(
        {
            "sub": identity,
            "user_id": user["Id"],
            "organization_id": ids.to_18(ids.ORGANIZATION_ID),
            "preferred_username": user["Username"],
            "nickname": user["Username"].partition("@")[0],
            "name": user["Name"],
            "email": user["Email"],
            "email_verified": True,
            "given_name": user["FirstName"],
            "family_name": user["LastName"],
            "zoneinfo": "GMT",
            "active": True,
            "user_type": "STANDARD",
            "language": "en_US",
            "locale": "en_US",
            "utcOffset": 0,
        }
    )

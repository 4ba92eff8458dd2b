"""Jobs of API 2.0 as JSON, and what its ingest and query resources have in common.

Which keys an answer has depends on the call; all come in the same order.
"""

import base64
from collections.abc import Sequence
from sqlite3 import Row
from typing import Any
from urllib.parse import urlencode

from flask import request

from bulknb.sandbox import csvtext, soql
from bulknb.sandbox.schema import ObjectType
from bulknb.sandbox.values import json_stamp
from bulknb.sandbox.web import ApiError, no_resource, org

Json = dict[str, Any]

TERMINAL = frozenset({"JobComplete", "Failed", "Aborted"})
LIST_PAGE = 1000
_FILTERS = ("isPkChunkingEnabled", "jobType", "concurrencyMode")


# What goes out


def short(job: Row) -> Json:
    """Return what every answer has, and all that the answer to a PATCH has."""
    return _without_nulls(
        {
            "id": job["id"],
            "operation": job["operation"],
            "object": job["object"],
            "createdById": job["created_by"],
            "createdDate": json_stamp(job["created"]),
            "systemModstamp": json_stamp(job["modified"]),
            "state": job["state"],
            "assignmentRuleId": job["assignment_rule"],
            "externalIdFieldName": job["external_id"],
            "concurrencyMode": job["concurrency"],
            "contentType": job["content_type"],
            "apiVersion": float(job["api_version"]),
        }
    )


def created(job: Row) -> Json:
    """Return the answer to the request that made a job."""
    return short(job) | _content_url(job) | _format(job)


def listed(job: Row) -> Json:
    """Return a job as lists show it."""
    return short(job) | {"jobType": job["type"]} | _format(job)


def in_full(job: Row) -> Json:
    """Return the answer to a GET of one job."""
    totals = org().store.totals(job["id"])
    counters = {
        "numberRecordsProcessed": totals["processed"],
        "numberRecordsFailed": totals["failed"],
    }
    times = {
        # Written at the end: a job at work shows 0 here beside an active time that grows.
        "totalProcessingTime": totals["total_ms"],
        "apiActiveProcessingTime": totals["api_ms"],
        "apexProcessingTime": totals["apex_ms"],
    }
    retries = {"retries": totals["retries"]}
    match job["type"]:
        case "Classic":
            return listed(job) | retries | times
        case "V2Query":
            own = _query_progress(job)
        case _:
            if job["state"] not in TERMINAL:
                times["totalProcessingTime"] = 0
            own = counters | retries | times
    error = _without_nulls({"errorMessage": job["error"]})
    return short(job) | _content_url(job) | {"jobType": job["type"]} | _format(job) | own | error


def _query_progress(job: Row) -> Json:
    done = job["state"] == "JobComplete"
    rows = org().store.count_results(job["id"]) if done else 0
    return {
        "numberRecordsProcessed": rows,
        "retries": 0,
        "totalProcessingTime": org().engine.query_ms(job["id"], rows) if done else 0,
        "isPkChunkingSupported": True,
    }


def _content_url(job: Row) -> Json:
    """Only an Open job takes data; the path starts without a slash."""
    if job["state"] != "Open" or job["type"] != "V2Ingest":
        return {}
    version = job["api_version"]
    return {"contentUrl": f"services/data/v{version}/jobs/ingest/{job['id']}/batches"}


def _format(job: Row) -> Json:
    if job["type"] == "Classic":
        return {}
    return {"lineEnding": job["line_ending"], "columnDelimiter": job["delimiter"]}


def _without_nulls(values: Json) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def job_list(version: str, resource: str, types: Sequence[str]) -> Json:
    """Return a page of the jobs of these types, in no order that means anything."""
    filters = {name: request.args[name] for name in _FILTERS if name in request.args}
    wanted = filters.get("jobType")
    found = org().store.jobs_after(
        read_locator(request.args.get("queryLocator")),
        [name for name in types if wanted in (None, name)],
        LIST_PAGE + 1,
        chunked_only=filters.get("isPkChunkingEnabled", "").lower() == "true",
        concurrency=filters.get("concurrencyMode"),
    )
    page, more = found[:LIST_PAGE], found[LIST_PAGE:]
    following = None
    if more:
        more_of_it = {"queryLocator": write_locator(page[-1]["place"]), **filters}
        following = f"/services/data/v{version}/jobs/{resource}?{urlencode(more_of_it)}"
    return {
        "done": not more,
        "nextRecordsUrl": following,
        "records": [listed(job) for job in page],
    }


def write_locator(position: int, *, plain: bool = False) -> str:
    """Return a position as the opaque text of a locator, or as the number that it once was."""
    if plain:
        return str(position)
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def read_locator(locator: str | None, *, plain: bool = False) -> int:
    """Return the position that a locator stands for; 0 without one."""
    if not locator:
        return 0
    try:
        padding = "=" * (-len(locator) % 4)
        position = int(locator if plain else base64.urlsafe_b64decode(locator + padding))
    except ValueError:  # binascii.Error is one, too
        position = -1
    if not 0 <= position < 2**63:
        raise ApiError(400, "INVALID_LOCATOR", f"Invalid locator: {locator}", bulk=True)
    return position


# What comes in


def find_job(key: str, types: Sequence[str]) -> Row:
    """Return a job, or raise the error for one that is not there."""
    job = org().store.job(key)
    if job is None or job["type"] not in types:
        raise no_resource()
    return job


def known(wanted: Json, name: str, allowed: Sequence[str], default: str | None = None) -> str:
    """Return a property that has to be one of a few words, in just that letter case."""
    value = wanted.get(name) or default
    if value not in allowed:
        raise invalid_job(f"Unable to parse Job: {name} cannot be {value}")  # ours
    return str(value)


def text(wanted: Json, name: str) -> str | None:
    """Return a property that is text, None if it is not there."""
    value = wanted.get(name)
    return None if value is None else str(value)


def data_format(wanted: Json) -> Json:
    """Return how the data of a job are written, as the store keeps it."""
    known(wanted, "contentType", ("CSV",), "CSV")
    return {
        "delimiter": known(wanted, "columnDelimiter", tuple(csvtext.DELIMITERS), "COMMA"),
        "line_ending": known(wanted, "lineEnding", tuple(csvtext.LINE_ENDINGS), "LF"),
    }


def external_id(kind: ObjectType, operation: str, name: str | None) -> str | None:
    """Return the field that an upsert goes by, as declared; other operations have none."""
    if operation != "upsert":
        if name:
            raise invalid_job("An External ID can be specified for upsert only.")  # ours
        return None
    if not name:
        raise invalid_job(
            f"External ID was blank for {kind.name}. An External ID must be specified for upsert."
        )
    field = kind.field(name)
    if field is None or not field.indexed:
        raise invalid_job(
            f"Field name provided, {name} does not match an External ID, Salesforce Id, or"
            f" indexed field for {kind.name}"
        )
    return field.name


def compiled(query: str, *, deleted_too: bool = False) -> soql.Query:
    """Return a query, or raise the error for one that an org refuses."""
    try:
        return soql.parse(query, org().objects, deleted_too=deleted_too)
    except soql.SoqlError as error:
        raise ApiError(400, error.code, str(error)) from None


def abort(job: Row) -> None:
    """Abort a job that has not ended."""
    org().require_creator_or_manager(job)
    if job["state"] in TERMINAL:
        raise invalid_state(f"Aborting already {done(job)} Job not allowed")
    org().engine.abort(job, org().clock.time())


def done(job: Row) -> str:
    """Return a state as error messages call it."""
    state = str(job["state"])
    return {"JobComplete": "Completed", "UploadComplete": "Closed"}.get(state, state)


def invalid_job(message: str) -> ApiError:
    """Return the error for a job that makes no sense."""
    return ApiError(400, "INVALIDJOB", message, bulk=True)


def invalid_state(message: str) -> ApiError:
    """Return the error for something that the job's state does not allow."""
    return ApiError(400, "INVALIDJOBSTATE", message, bulk=True)


def invalid_entity(name: object) -> ApiError:
    """Return the error for an object that the org does not have."""
    message = f"Entity '{name}' is not supported by the Bulk API."
    return ApiError(400, "INVALIDENTITY", message, bulk=True)

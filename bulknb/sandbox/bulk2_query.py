"""Bulk API 2.0 query: ``/services/data/vNN.N/jobs/query``."""

from sqlite3 import Row

from flask import Blueprint, Response, request

from bulknb.sandbox import bulkquery, csvtext, jobs
from bulknb.sandbox.engine import QUERY_OPERATIONS
from bulknb.sandbox.results import csv_header
from bulknb.sandbox.soql import Query, SoqlError
from bulknb.sandbox.web import (
    ApiError,
    csv_answer,
    json_answer,
    json_body,
    no_resource,
    org,
)

blueprint = Blueprint("query", __name__, url_prefix="/services/data/v<version:version>/jobs/query")

# 1.0 jobs can be read here too, inserts as well as queries.
TYPES = ("V2Query", "Classic")
# Rows of a page whose size the client leaves to the server; what an org chooses is not recorded.
PAGE_ROWS = 50_000
PAGES_AT_ONCE = 5
FIRST_VERSION = 47.0
FIRST_VERSION_WITH_PAGES = 58.0
FIRST_VERSION_WITH_OPAQUE_LOCATORS = 49.0


@blueprint.before_request
def _need_version() -> None:
    """Be absent from versions of the API that did not have these resources yet."""
    if float((request.view_args or {})["version"]) < FIRST_VERSION:
        raise no_resource()


@blueprint.post("")
def create(version: str) -> Response:
    """Create a job; it needs no data and no close: UploadComplete at once."""
    wanted = json_body()
    operation = jobs.known(wanted, "operation", tuple(sorted(QUERY_OPERATIONS)))
    text = jobs.text(wanted, "query") or ""
    query = _compiled(text, deleted_too=operation == "queryAll")
    job = org().new_job(
        "V2Query",
        version,
        operation=operation,
        object=query.kind.name,
        query=text,
        state="UploadComplete",
        **jobs.data_format(wanted),
    )
    org().engine.enqueue_job(job["id"], org().clock.time())
    return json_answer(jobs.created(job))


def _compiled(text: str, *, deleted_too: bool) -> Query:
    try:
        return bulkquery.parse(text, org().objects, deleted_too=deleted_too)
    except bulkquery.UnsupportedError as error:
        raise ApiError(400, "API_ERROR", str(error), bulk=True) from None
    except SoqlError as error:
        raise ApiError(400, error.code, str(error)) from None


@blueprint.get("")
def list_jobs(version: str) -> Response:
    """List jobs of all users; ingest jobs if asked for by their type."""
    return json_answer(jobs.job_list(version, "query", (*TYPES, *_asked_for())))


def _asked_for() -> tuple[str, ...]:
    return ("V2Ingest",) if request.args.get("jobType") == "V2Ingest" else ()


@blueprint.get("/<key>")
def get_job(version: str, key: str) -> Response:
    """Return a job with what it came to."""
    return json_answer(jobs.in_full(jobs.find_job(key, TYPES)))


@blueprint.patch("/<key>")
def abort(version: str, key: str) -> Response:
    """Abort a job that waits or is at work."""
    job = jobs.find_job(key, ("V2Query",))
    jobs.known(json_body(), "state", ("Aborted",))
    jobs.abort(job)
    return json_answer(jobs.short(org().store.get_job(job["id"])))


@blueprint.delete("/<key>")
def delete_job(version: str, key: str) -> Response:
    """Forget a job that has ended, with its results."""
    job = jobs.find_job(key, ("V2Query",))
    if job["state"] not in jobs.TERMINAL:
        message = "Error encountered when deleting the job because the job is not terminated"
        raise ApiError(400, "API_ERROR", message, bulk=True)
    org().store.delete_job(job["id"])
    return Response(status=204)


@blueprint.get("/<key>/results")
def results(version: str, key: str) -> Response:
    """Return a page of the result; its headers say how long it is and where the next one starts."""
    job = _complete_job(version, key)
    first = _first_row(job)
    lines = org().store.results(job["id"], first, _page_rows())
    header = csv_header(bulkquery.of_job(job, org().objects), csvtext.delimiter(job))
    answer = csv_answer(csvtext.document(header, lines, csvtext.LINE_ENDINGS[job["line_ending"]]))
    following = first + len(lines)
    more = following < org().store.count_results(job["id"])
    answer.headers["Sforce-NumberOfRecords"] = str(len(lines))
    answer.headers["Sforce-Locator"] = _locator(job, following) if more else "null"
    return answer


@blueprint.get("/<key>/resultPages")
@blueprint.get("/<key>/resultpages")
def result_pages(version: str, key: str) -> Response:
    """Return where up to five pages of the result are, to be read at the same time."""
    if float(version) < FIRST_VERSION_WITH_PAGES:
        raise no_resource()
    job = _complete_job(version, key)
    count = org().store.count_results(job["id"])
    # A result without rows has a page as well: its header.
    starts = range(_first_row(job), max(count, 1), PAGE_ROWS)
    here, later = starts[:PAGES_AT_ONCE], starts[PAGES_AT_ONCE:]
    path = f"/services/data/v{version}/jobs/query/{job['id']}"
    following = f"{path}/resultPages?locator={_locator(job, later[0])}" if later else None
    return json_answer(
        {
            "resultPages": [
                {"resultUrl": f"{path}/results?locator={_locator(job, start)}"} for start in here
            ],
            "nextRecordsUrl": following,
            "done": not later,
        }
    )


def _complete_job(version: str, key: str) -> Row:
    """Return a job whose result can be read through this version of the API."""
    job = jobs.find_job(key, ("V2Query",))
    if job["api_version"] != version:
        message = f"The job was created with API version {job['api_version']}"
        raise ApiError(409, "API_VERSION_MISMATCH", message, bulk=True)
    if job["state"] != "JobComplete":
        state = {"InProgress": "IN_PROGRESS", "UploadComplete": "UPLOAD_COMPLETE"}
        message = (
            "can only download query results of successfully completed bulk job with status:"
            f" JOB_COMPLETE. Current status: {state.get(job['state'], job['state'].upper())}"
        )
        raise ApiError(412, "JOB_NOT_COMPLETE", message, bulk=True)
    return job


def _first_row(job: Row) -> int:
    return jobs.read_locator(request.args.get("locator"), plain=_plain(job))


def _locator(job: Row, row: int) -> str:
    return jobs.write_locator(row, plain=_plain(job))


def _plain(job: Row) -> bool:
    return float(job["api_version"]) < FIRST_VERSION_WITH_OPAQUE_LOCATORS


def _page_rows() -> int:
    text = request.args.get("maxRecords", str(PAGE_ROWS))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise ApiError(400, "INVALID_QUERY_LOCATOR", f"Invalid maxRecords: {text}", bulk=True)
    return int(text)

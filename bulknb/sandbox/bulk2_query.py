"""Bulk API 2.0 query: ``/services/data/vNN.N/jobs/query``."""

from flask import Blueprint, Response, request

from bulknb.sandbox import csvtext, jobs
from bulknb.sandbox.engine import QUERY_OPERATIONS, delimiter
from bulknb.sandbox.results import csv_header
from bulknb.sandbox.web import ApiError, csv_answer, json_answer, json_body, org

blueprint = Blueprint("query", __name__, url_prefix="/services/data/v<version:version>/jobs/query")

# 1.0 jobs can be read here too, inserts as well as queries.
TYPES = ("V2Query", "Classic")
# Rows of a page whose size the client leaves to the server; what an org chooses is not recorded.
PAGE_ROWS = 50_000


@blueprint.post("")
def create(version: str) -> Response:
    """Create a job; it needs no data and no close: UploadComplete at once."""
    wanted = json_body()
    operation = jobs.known(wanted, "operation", tuple(sorted(QUERY_OPERATIONS)))
    text = jobs.text(wanted, "query") or ""
    query = jobs.compiled(text, deleted_too=operation == "queryAll")
    if query.counts:
        message = "Aggregate Relationships not supported in Bulk Query"
        raise ApiError(400, "API_ERROR", message, bulk=True)
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
    first = jobs.read_locator(request.args.get("locator"))
    lines = org().store.results(job["id"], first, _page_rows())
    query = jobs.compiled(job["query"], deleted_too=True)
    header = csv_header(query, delimiter(job))
    answer = csv_answer(csvtext.document(header, lines, csvtext.LINE_ENDINGS[job["line_ending"]]))
    following = first + len(lines)
    more = following < org().store.count_results(job["id"])
    answer.headers["Sforce-NumberOfRecords"] = str(len(lines))
    answer.headers["Sforce-Locator"] = jobs.write_locator(following) if more else "null"
    return answer


def _page_rows() -> int:
    text = request.args.get("maxRecords", str(PAGE_ROWS))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise ApiError(400, "INVALID_QUERY_LOCATOR", f"Invalid maxRecords: {text}", bulk=True)
    return int(text)

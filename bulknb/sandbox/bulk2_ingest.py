"""Bulk API 2.0 ingest: ``/services/data/vNN.N/jobs/ingest``.

Texts marked "ours" are not recorded from an org; they follow the family of those that are.
"""

from collections.abc import Callable, Iterator
from sqlite3 import Row

from flask import Blueprint, Response, request

from bulknb.sandbox import csvtext, jobs
from bulknb.sandbox.store import Outcome
from bulknb.sandbox.web import (
    ApiError,
    body,
    csv_answer,
    json_answer,
    json_body,
    no_resource,
    org,
    read_json,
)

blueprint = Blueprint(
    "ingest", __name__, url_prefix="/services/data/v<version:version>/jobs/ingest"
)

FIRST_VERSION = 41.0
OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")
# Data that come with the request that creates their job.
MAX_MULTIPART_CHARACTERS = 100_000
# 1.0 jobs can be read here too.
TYPES = ("V2Ingest", "Classic")

Cells = tuple[str, ...]


@blueprint.before_request
def _need_version() -> None:
    """Be absent from versions of the API that did not have these resources yet."""
    if float((request.view_args or {})["version"]) < FIRST_VERSION:
        raise no_resource()


@blueprint.post("")
def create(version: str) -> Response:
    """Create a job, state Open; with its data in the same request, it is closed at once."""
    wanted, data = _sent_job()
    operation = jobs.known(wanted, "operation", OPERATIONS)
    kind = org().kind(wanted.get("object"))
    if kind is None:
        raise jobs.invalid_entity(wanted.get("object"))
    job = org().new_job(
        "V2Ingest",
        version,
        operation=operation,
        object=kind.name,
        external_id=jobs.external_id(kind, operation, jobs.text(wanted, "externalIdFieldName")),
        assignment_rule=jobs.text(wanted, "assignmentRuleId"),
        state="Open",
        **jobs.data_format(wanted),
    )
    if data is not None:
        org().store.save_upload(job["id"], data)
        org().engine.enqueue_job(job["id"], org().clock.time())
    return json_answer(jobs.created(org().store.get_job(job["id"])))


def _sent_job() -> tuple[jobs.Json, str | None]:
    """Return a job's properties and, if the request has parts, its data."""
    if request.mimetype != "multipart/form-data":
        return json_body(), None
    data = _text(_part("content"))
    if len(data) > MAX_MULTIPART_CHARACTERS:
        message = f"The data are longer than {MAX_MULTIPART_CHARACTERS} characters"  # ours
        raise ApiError(400, "INVALIDBATCH", message, bulk=True)
    return read_json(_part("job")), data


def _part(name: str) -> bytes:
    """Return a part of the request; whether it is named like a file does not matter."""
    if file := request.files.get(name):
        data: bytes = file.read()
        return data
    return request.form.get(name, "").encode()


@blueprint.get("")
def list_jobs(version: str) -> Response:
    """List jobs of all users."""
    return json_answer(jobs.job_list(version, "ingest", TYPES))


@blueprint.get("/<key>")
def get_job(version: str, key: str) -> Response:
    """Return a job with counters and times."""
    return json_answer(jobs.in_full(jobs.find_job(key, TYPES)))


@blueprint.put("/<key>/batches")
def upload(version: str, key: str) -> Response:
    """Take the data of a job.

    A second upload is taken as well and makes the close fail, as orgs do.
    """
    job = jobs.find_job(key, ("V2Ingest",))
    org().require_creator(job)
    if job["state"] != "Open":
        raise jobs.invalid_state(f"Uploading to already {jobs.done(job)} Job not allowed")  # ours
    org().store.save_upload(job["id"], _text(body()))
    return Response(status=201)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ApiError(400, "INVALIDBATCH", "The data are not UTF-8", bulk=True) from None  # ours


@blueprint.patch("/<key>")
def change(version: str, key: str) -> Response:
    """Close (UploadComplete) or abort a job."""
    job = jobs.find_job(key, ("V2Ingest",))
    wanted = jobs.known(json_body(), "state", ("UploadComplete", "Aborted"))
    if wanted == "Aborted":
        jobs.abort(job)
    else:
        _close(job)
    return json_answer(jobs.short(org().store.get_job(job["id"])))


def _close(job: Row) -> None:
    org().require_creator(job)
    if job["state"] != "Open":
        raise jobs.invalid_state(f"Closing already {jobs.done(job)} Job not allowed")  # ours
    if job["uploads"] > 1:
        raise jobs.invalid_job(
            f"Found multiple contents for job: <{job['id']}>, please 'Close' / 'Abort' / 'Delete'"
            " the current Job then create a new Job and make sure you only do 'PUT' once on a"
            " given Job."
        )
    # A job closed without data, or with data that lack a header, is taken here and fails when
    # its turn comes; what an org does is not recorded.
    org().engine.enqueue_job(job["id"], org().clock.time())


@blueprint.delete("/<key>")
def delete_job(version: str, key: str) -> Response:
    """Forget a job that takes no more data and is not at work."""
    job = jobs.find_job(key, ("V2Ingest",))
    if job["state"] in {"Open", "InProgress"}:
        raise jobs.invalid_state(f"Deleting {job['state']} Job not allowed")  # ours
    org().store.delete_job(job["id"])
    return Response(status=204)


# Results of an ingest job: together they hold every row of the upload once


@blueprint.get("/<key>/successfulResults")
def successful_results(version: str, key: str) -> Response:
    """Return the rows that were saved; so far, if the job is at work."""

    def added(outcome: Outcome | None) -> Cells | None:
        if outcome is None or outcome.error:
            return None
        return outcome.id, "true" if outcome.created else "false"

    return _results(key, ("sf__Id", "sf__Created"), added)


@blueprint.get("/<key>/failedResults")
def failed_results(version: str, key: str) -> Response:
    """Return the rows that were refused, and why; so far, if the job is at work."""

    def added(outcome: Outcome | None) -> Cells | None:
        return (outcome.id, outcome.error) if outcome and outcome.error else None

    return _results(key, ("sf__Id", "sf__Error"), added)


@blueprint.get("/<key>/unprocessedrecords")
@blueprint.get("/<key>/unprocessedRecords")
def unprocessed_records(version: str, key: str) -> Response:
    """Return the rows that an aborted or failed job never came to."""
    ended_early = jobs.find_job(key, TYPES)["state"] in {"Aborted", "Failed"}

    def added(outcome: Outcome | None) -> Cells | None:
        return () if outcome is None and ended_early else None

    return _results(key, (), added)


def _results(key: str, names: Cells, added: Callable[[Outcome | None], Cells | None]) -> Response:
    """Return the rows for which `added` gives cells, with these in front."""
    job = jobs.find_job(key, TYPES)
    if job["type"] == "Classic":
        return Response(status=204)
    separator = csvtext.delimiter(job)
    lines = [
        csvtext.quoted((*cells, *row), separator)
        for row, outcome in _rows(job)
        if (cells := added(outcome)) is not None
    ]
    # The header repeats the uploaded line as it was sent, quoted or not.
    uploaded = [job["header"]] if job["header"] else []
    header = separator.join([*(f'"{name}"' for name in names), *uploaded])
    line_ending = csvtext.LINE_ENDINGS[job["line_ending"]]
    return csv_answer(csvtext.document(header, _shuffled(lines), line_ending))


def _rows(job: Row) -> Iterator[tuple[list[str], Outcome | None]]:
    """Yield each row of the upload and what became of it, None if nothing yet."""
    store = org().store
    for batch in store.batches(job["id"]):
        outcomes = store.outcomes(batch["id"])
        rows = csvtext.rows(store.content(batch["id"]), csvtext.delimiter(job))
        for number, row in enumerate(rows):
            yield row, outcomes.get(number)


def _shuffled(lines: list[str]) -> list[str]:
    """Return the lines in another order: an org promises none."""
    seed = org().seed + 1
    order = sorted(range(len(lines)), key=lambda row: (row + seed) * 2_654_435_761 % 2**32)
    return [lines[row] for row in order]

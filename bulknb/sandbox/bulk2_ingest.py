"""Bulk API 2.0 ingest: ``/services/data/vNN.N/jobs/ingest``.

Texts marked "ours" are not recorded from an org; they follow the family of those that are.
"""

from collections.abc import Callable, Iterator
from sqlite3 import Row

from flask import Blueprint, Response

from bulknb.sandbox import csvtext, jobs
from bulknb.sandbox.engine import delimiter
from bulknb.sandbox.store import Outcome
from bulknb.sandbox.web import ApiError, body, csv_answer, json_answer, json_body, org

blueprint = Blueprint(
    "ingest", __name__, url_prefix="/services/data/v<version:version>/jobs/ingest"
)

OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")
# 1.0 jobs can be read here too.
TYPES = ("V2Ingest", "Classic")

Cells = tuple[str, ...]


@blueprint.post("")
def create(version: str) -> Response:
    """Create a job, state Open."""
    wanted = json_body()
    operation = jobs.known(wanted, "operation", OPERATIONS)
    kind = org().kind(wanted.get("object"))
    if kind is None:
        raise jobs.invalid_entity(wanted.get("object"))
    external_id = jobs.text(wanted, "externalIdFieldName")
    job = org().new_job(
        "V2Ingest",
        version,
        operation=operation,
        object=kind.name,
        external_id=jobs.require_external_id(kind, external_id) if operation == "upsert" else None,
        assignment_rule=jobs.text(wanted, "assignmentRuleId"),
        state="Open",
        **jobs.data_format(wanted),
    )
    return json_answer(jobs.created(job))


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
    separator = delimiter(job)
    lines = [
        csvtext.quoted((*cells, *row), separator)
        for row, outcome in _rows(job)
        if (cells := added(outcome)) is not None
    ]
    # The header repeats the uploaded line as it was sent, quoted or not.
    header = separator.join([*(f'"{name}"' for name in names), job["header"] or ""])
    line_ending = csvtext.LINE_ENDINGS[job["line_ending"]]
    return csv_answer(csvtext.document(header, _shuffled(lines), line_ending))


def _rows(job: Row) -> Iterator[tuple[list[str], Outcome | None]]:
    """Yield each row of the upload and what became of it, None if nothing yet."""
    store = org().store
    for batch in store.batches(job["id"]):
        outcomes = store.outcomes(batch["id"])
        for number, row in enumerate(csvtext.rows(store.content(batch["id"]), delimiter(job))):
            yield row, outcomes.get(number)


def _shuffled(lines: list[str]) -> list[str]:
    """Return the lines in another order: an org promises none."""
    seed = org().seed + 1
    order = sorted(range(len(lines)), key=lambda row: (row + seed) * 2_654_435_761 % 2**32)
    return [lines[row] for row in order]

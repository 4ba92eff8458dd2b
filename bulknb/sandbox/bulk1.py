"""Bulk API 1.0: ``/services/async/NN.N/job``.

A job answers in the format of the request; batches, results and requests in that of the job's
data. Texts marked "ours" are not recorded from an org.
"""

from collections.abc import Mapping, Sequence, Set
from sqlite3 import Row
from typing import Any

from flask import Blueprint, Response, request

from bulknb.sandbox import content, csvtext, ids, jobs, pkchunks, spec, xmltext
from bulknb.sandbox.engine import QUERY_OPERATIONS
from bulknb.sandbox.results import ROOT_XML, csv_header
from bulknb.sandbox.rows import RowError
from bulknb.sandbox.schema import ObjectType
from bulknb.sandbox.store import Outcome
from bulknb.sandbox.values import json_stamp, stamp
from bulknb.sandbox.web import (
    ApiError,
    AsyncError,
    body,
    json_answer,
    json_body,
    org,
    says_json,
    xml_answer,
)

blueprint = Blueprint("bulk1", __name__, url_prefix="/services/async/<version:version>/job")

OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete", "query", "queryAll")
CONTENT_TYPES = {
    "CSV": "text/csv",
    "JSON": "application/json",
    "XML": "application/xml",
    "ZIP_CSV": "zip/csv",
    "ZIP_JSON": "zip/json",
    "ZIP_XML": "zip/xml",
}
# simple-salesforce sends the number of the mode.
MODES = {"Parallel": "Parallel", "Serial": "Serial", "0": "Parallel", "1": "Serial"}
MAX_BATCH_BYTES = 10 * 1024 * 1024
MAX_BATCH_CHARACTERS = 10_000_000
SECONDS_OPEN = 24 * 3600

_SETTABLE = frozenset(
    {
        "operation",
        "object",
        "externalIdFieldName",
        "concurrencyMode",
        "contentType",
        "assignmentRuleId",
        "state",
    }
)

Json = dict[str, Any]


# Jobs


@blueprint.post("")
def create(version: str) -> Response:
    """Create a job, state Open."""
    wanted = _sent_job(_SETTABLE)
    operation = wanted.get("operation")
    mode = MODES.get(str(wanted.get("concurrencyMode", "Parallel")))
    content_type = str(wanted.get("contentType", "XML"))
    if operation not in OPERATIONS or mode is None or content_type not in CONTENT_TYPES:
        raise _unparsable()
    if operation in QUERY_OPERATIONS and content_type.startswith(content.ZIP):
        message = f"A query cannot have the content type {content_type}"  # ours
        raise AsyncError("InvalidJob", message)
    kind = org().kind(wanted.get("object"))
    if kind is None:
        raise AsyncError("InvalidJob", f"Unable to find object: {wanted.get('object')}")
    try:
        name = jobs.text(wanted, "externalIdFieldName")
        external_id = jobs.external_id(kind, operation, name)
    except ApiError as error:
        raise AsyncError("InvalidJob", error.message) from None
    job = org().new_job(
        "Classic",
        version,
        operation=operation,
        object=kind.name,
        external_id=external_id,
        assignment_rule=jobs.text(wanted, "assignmentRuleId"),
        concurrency=mode,
        content_type=content_type,
        pk_chunking=_pk_chunking(kind) if operation in QUERY_OPERATIONS else None,
        state="Open",
    )
    answer = _job_answer(job, 201)
    answer.headers["Location"] = f"/services/async/{version}/job/{job['id']}"
    return answer


def _pk_chunking(kind: ObjectType) -> str | None:
    """Return the header that asks for PK chunking, if it does; the texts are ours."""
    header = request.headers.get(pkchunks.HEADER, "")
    try:
        chunking = pkchunks.Chunking.read(header)
    except ValueError as error:
        raise AsyncError("InvalidJob", f"Invalid {pkchunks.HEADER} header: {error}") from None
    if chunking and not chunking.field(kind):
        raise AsyncError("InvalidJob", f"{kind.name} has no parent {chunking.parent} to chunk by")
    return header if chunking else None


@blueprint.get("/<key>")
def get_job(version: str, key: str) -> Response:
    """Return a job with counters and times."""
    return _job_answer(_find_job(key))


@blueprint.post("/<key>")
def change(version: str, key: str) -> Response:
    """Close or abort a job."""
    job = _find_job(key)
    # Salesforce's own Java client says once more which job it is.
    match _sent_job(_SETTABLE | {"id"}).get("state"):
        case "Closed":
            return _close(job)
        case "Aborted":
            return _abort(job)
        case "Open" | "Failed":
            raise AsyncError("InvalidJobState", "Job is in invalid state")  # ours
    raise _unparsable()


def _close(job: Row) -> Response:
    org().require_creator(job)
    if job["state"] != "Open":
        raise AsyncError("InvalidJobState", f"Job already {job['state'].lower()}")
    org().store.update("job", job["id"], state="Closed", modified=org().clock.time())
    # The answer still has the old systemModstamp; a GET shows the new one.
    return _job_answer(dict(job) | {"state": "Closed"})


def _abort(job: Row) -> Response:
    org().require_creator_or_manager(job)
    totals = org().store.totals(job["id"])
    if job["state"] == "Aborted":
        raise AsyncError("InvalidJobState", "Job already aborted")
    if job["state"] == "Closed" and not (totals["queued"] or totals["running"]):
        raise AsyncError("InvalidJobState", "Job already completed")
    org().engine.abort(job, org().clock.time())
    return _job_answer(org().store.get_job(job["id"]))


def _find_job(key: str) -> Row:
    job = org().store.job(key)
    if job is None or job["type"] != "Classic":
        raise AsyncError("InvalidJob", f"Unable to find job: {key}")  # ours
    return job


def _sent_job(settable: Set[str]) -> Json:
    """Return the properties that a request sets, from JSON or XML."""
    try:
        if says_json():
            sent = json_body()
        else:
            root = xmltext.read(body())
            sent = {child.tag: (child.text or "").strip() for child in root}
    except xmltext.XmlError as error:
        raise AsyncError("InvalidXml", f"Failed to parse the request: {error}") from None
    except ApiError:
        raise _unparsable() from None
    for name in sent:
        if name not in settable:
            raise AsyncError("InvalidJob", f"{name[:1].upper()}{name[1:]} cannot be specified")
    return sent


def _unparsable() -> AsyncError:
    return AsyncError("InvalidJob", "Unable to parse Job")


def _job_answer(job: Row | Mapping[str, Any], status: int = 200) -> Response:
    totals = org().store.totals(job["id"])
    info = {
        "id": job["id"],
        "operation": job["operation"],
        "object": job["object"],
        "createdById": job["created_by"],
        "createdDate": job["created"],
        "systemModstamp": job["modified"],
        "state": job["state"],
        "externalIdFieldName": job["external_id"],
        "concurrencyMode": job["concurrency"],
        "contentType": job["content_type"],
        "numberBatchesQueued": totals["queued"],
        "numberBatchesInProgress": totals["running"],
        "numberBatchesCompleted": totals["completed"],
        "numberBatchesFailed": totals["broken"],
        "numberBatchesTotal": totals["batches"],
        "numberRecordsProcessed": totals["processed"],
        "numberRetries": totals["retries"],
        "apiVersion": float(job["api_version"]),
        "assignmentRuleId": job["assignment_rule"],
        "numberRecordsFailed": totals["failed"],
        "totalProcessingTime": totals["total_ms"],
        "apiActiveProcessingTime": totals["api_ms"],
        "apexProcessingTime": totals["apex_ms"],
    }
    if says_json():
        return _json(_json_info(info | {"fastPathEnabled": False}), status)
    return xml_answer("jobInfo", _xml_info(info), status)


def _xml_info(info: Json) -> list[tuple[str, object]]:
    """Return a job or batch for XML: nulls left out."""
    return [
        (name, stamp(value) if name in ("createdDate", "systemModstamp") else value)
        for name, value in info.items()
        if value is not None
    ]


def _json_info(info: Json) -> Json:
    """Return a job or batch for JSON: nulls kept, names in alphabetical order."""
    dates = {name: json_stamp(info[name]) for name in ("createdDate", "systemModstamp")}
    return dict(sorted((info | dates).items()))


def _json(value: object, status: int = 200) -> Response:
    return json_answer(value, status, content_type="application/json")


@blueprint.post("/<key>/spec")
def add_spec(version: str, key: str) -> Response:
    """Take the transformation spec of a job: it says what the columns of later batches mean."""
    job = _find_job(key)
    org().require_creator(job)
    if job["state"] != "Open":
        raise AsyncError("InvalidJobState", f"Job is in invalid state: {job['state']}")
    if job["content_type"] != "CSV" or job["operation"] in QUERY_OPERATIONS:
        raise AsyncError("InvalidJob", "Only a job that loads CSV can have a spec")  # ours
    text = _sent_text()
    _read_spec(job, text)
    org().store.update("job", job["id"], spec=text)
    (spec_id,) = org().store.new_ids(ids.SPEC)
    answer = Response(status=201)
    answer.headers["Location"] = f"/services/async/{version}/job/{job['id']}/spec/{spec_id}"
    return answer


def _read_spec(job: Row, text: str) -> list[spec.Rule]:
    try:
        return spec.read(text, org().objects[job["object"].lower()], org().clock.time())
    except spec.SpecError as error:
        raise AsyncError("ClientInputError", str(error)) from None  # ours


def _transformed(job: Row, text: str) -> str:
    """Return the rows of a batch by the job's spec, if there is one."""
    return spec.apply(_read_spec(job, job["spec"]), text) if job["spec"] else text


# Batches


@blueprint.post("/<key>/batch")
def add_batch(version: str, key: str) -> Response:
    """Take a batch of rows, or the SOQL of a query; it is processed while the job is open."""
    job = _find_job(key)
    now = org().clock.time()
    org().require_creator(job)
    if job["state"] != "Open":
        org().store.count_batches(now, 1)  # refused, and still it counts
        raise AsyncError("InvalidJobState", f"Job is in invalid state: {job['state']}")
    if now - job["created"] > SECONDS_OPEN:
        raise AsyncError("InvalidJobState", "Job is older than 24 hours")  # ours
    zipped = job["content_type"].startswith(content.ZIP)
    data = _sent_zip() if zipped else _transformed(job, _sent_text())
    batch = org().engine.add_batch(job["id"], data, now)
    answer = _batch_answer(job, org().store.get_batch(batch), 201)
    answer.headers["Location"] = f"/services/async/{version}/job/{job['id']}/batch/{batch}"
    return answer


def _sent_data() -> bytes:
    try:
        data = body()
    except ApiError as error:
        raise AsyncError("ClientInputError", error.message) from None
    if not data.strip():
        raise AsyncError("InvalidBatch", "A batch must contain some content")  # ours
    return data


def _sent_zip() -> bytes:
    data = _sent_data()
    if len(data) > MAX_BATCH_BYTES:
        # What is inside is looked at later.
        message = f"The zip file is larger than {MAX_BATCH_BYTES} bytes"  # ours
        raise AsyncError("InvalidBatch", message)
    return data


def _sent_text() -> str:
    data = _sent_data()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise AsyncError("ClientInputError", "The batch is not UTF-8") from None  # ours
    # The text is recorded for characters; that bytes are refused alike is ours.
    for size, limit in ((len(data), MAX_BATCH_BYTES), (len(text), MAX_BATCH_CHARACTERS)):
        if size > limit:
            message = f"Failed to read request. Exceeded max size limit of {limit}"
            raise AsyncError("ClientInputError", message)
    return text


@blueprint.get("/<key>/batch")
def list_batches(version: str, key: str) -> Response:
    """List the batches of a job, oldest first."""
    job = _find_job(key)
    found = [_batch_info(batch) for batch in org().store.batches(job["id"])]
    if _format(job) == "JSON":
        return _json({"batchInfo": [_json_info(info) for info in found]})
    return xml_answer("batchInfoList", [("batchInfo", _xml_info(info)) for info in found])


@blueprint.get("/<key>/batch/<batch>")
def get_batch(version: str, key: str, batch: str) -> Response:
    """Return a batch with counters and times."""
    job = _find_job(key)
    return _batch_answer(job, _find_batch(job, batch))


@blueprint.get("/<key>/batch/<batch>/request")
def get_request(version: str, key: str, batch: str) -> Response:
    """Return the body of a batch as it was sent."""
    job = _find_job(key)
    found = _find_batch(job, batch)
    if job["content_type"].startswith(content.ZIP):
        return _data(job, org().store.archive(found["id"]))
    return _data(job, org().store.content(found["id"]).encode())


def _find_batch(job: Row, key: str) -> Row:
    batch = org().store.batch(key)
    if batch is None or batch["job"] != job["id"]:
        raise AsyncError("InvalidBatch", f"Unable to find batch: {key}")  # ours
    return batch


def _batch_info(batch: Row) -> Json:
    return {
        "id": batch["id"],
        "jobId": batch["job"],
        "state": batch["state"],
        "stateMessage": batch["message"],
        "createdDate": batch["created"],
        "systemModstamp": batch["modified"],
        "numberRecordsProcessed": batch["processed"],
        "numberRecordsFailed": batch["failed"],
        "totalProcessingTime": batch["total_ms"],
        "apiActiveProcessingTime": batch["api_ms"],
        "apexProcessingTime": batch["apex_ms"],
    }


def _batch_answer(job: Row, batch: Row, status: int = 200) -> Response:
    info = _batch_info(batch)
    if _format(job) == "JSON":
        return _json(_json_info(info), status)
    return xml_answer("batchInfo", _xml_info(info), status)


def _data(job: Row, data: bytes) -> Response:
    """Return data as those of a job; orgs name no character set here."""
    return Response(data, content_type=CONTENT_TYPES[job["content_type"]])


def _format(job: Row) -> str:
    """Return the format of a job's rows, zipped or not: CSV, JSON or XML."""
    return str(job["content_type"]).removeprefix(content.ZIP)


# Results


@blueprint.get("/<key>/batch/<batch>/result")
def get_result(version: str, key: str, batch: str) -> Response:
    """Return what became of each row, in the order sent; of a query, the ids of its results."""
    job = _find_job(key)
    found = _find_batch(job, batch)
    if found["state"] in {"Queued", "InProgress"}:
        raise AsyncError("InvalidBatch", "Batch not completed")
    if found["state"] != "Completed" and not found["processed"]:
        raise AsyncError("InvalidBatch", "Records not processed")
    if job["operation"] in QUERY_OPERATIONS:
        results = [_result_id(found)]
        if _format(job) == "JSON":
            return _json(results)
        return xml_answer("result-list", [("result", result) for result in results])
    outcomes = list(org().store.outcomes(found["id"]).values())
    match _format(job):
        case "JSON":
            return _json([_json_outcome(outcome) for outcome in outcomes])
        case "XML":
            return xml_answer("results", [("result", _xml_outcome(row)) for row in outcomes])
    return _data(job, _csv_outcomes(outcomes).encode())


def _csv_outcomes(outcomes: Sequence[Outcome]) -> str:
    lines = [
        csvtext.quoted((o.id, xmltext.text(not o.error), xmltext.text(o.created), o.error))
        for o in outcomes
    ]
    return csvtext.document('"Id","Success","Created","Error"', lines)


def _json_outcome(outcome: Outcome) -> Json:
    errors = []
    if outcome.error:
        error = RowError.parse(outcome.error)
        errors.append(
            {
                "message": error.message,
                "fields": list(error.fields),
                "statusCode": error.code,
                "extendedErrorDetails": None,
            }
        )
    return {
        "success": not errors,
        "created": outcome.created,
        "id": outcome.id or None,
        "errors": errors,
    }


def _xml_outcome(outcome: Outcome) -> list[tuple[str, object]]:
    parts: list[tuple[str, object]] = []
    if outcome.error:
        error = RowError.parse(outcome.error)
        fields = [("fields", name) for name in error.fields]
        parts += [("errors", [*fields, ("message", error.message), ("statusCode", error.code)])]
    if outcome.id:
        parts += [("id", outcome.id)]
    return [*parts, ("success", not outcome.error), ("created", outcome.created)]


@blueprint.get("/<key>/batch/<batch>/result/<result>")
def get_query_result(version: str, key: str, batch: str, result: str) -> Response:
    """Return the rows of a query."""
    job = _find_job(key)
    found = _find_batch(job, batch)
    if job["operation"] not in QUERY_OPERATIONS or result[:15] != _result_id(found):
        raise AsyncError("InvalidBatch", f"Unable to find result: {result}")  # ours
    lines = org().store.results(found["id"])
    match _format(job):
        case "JSON":
            return _data(job, f"[{','.join(lines)}]".encode())
        case "XML":
            return _data(job, f"{ROOT_XML}{''.join(lines)}</queryResult>".encode())
    if not lines:
        return _data(job, b'"Records not found for this query"\n')
    query = jobs.compiled(org().store.content(found["id"]))
    return _data(job, csvtext.document(csv_header(query, ","), lines).encode())


def _result_id(batch: Row) -> str:
    """Return the id of a batch's one result; such ids have 15 characters."""
    return ids.RESULT + str(batch["id"])[3:15]

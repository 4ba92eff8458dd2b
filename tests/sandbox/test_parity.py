"""Each body recorded from an org: the same call gives the same status, type, keys and order.

`test_shapes.py` looks at single values; here is one call for every recorded sample, and a test
that none was left out.
"""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bulknb.sandbox import Field, ObjectType

SAMPLES = Path(__file__).parents[1] / "data" / "samples"
DOCUMENTED = {
    "other/sf-org-auth-show-access-token.json",
    "other/sf-org-display-redacted.json",
    "v1/batch-result-failed-rows.csv",
    "v1/batch-result.json",
    "v1/batch-result.xml",
    "v1/job-closed-documented.json",
    "v1/job-closed-documented.xml",
    "v1/query-result-list.xml",
    "v2/error-results-not-ready-47.json",
    "v2/error-unknown-job.json",
    "v2/event-job-state.json",
    "v2/query-aborted-documented.json",
    "v2/query-resultpages.json",
    "v2/query-results.csv",
}

JSON = "application/json"
JSON_V2 = "application/json;charset=UTF-8"
XML = "application/xml"
CSV = "text/csv"

GOOD = "Name,StageName,ExternalId__c,CloseDate\nA,B,{},2024-04-09\n"
ROWS = GOOD + "A,B,,2024-04-09\n" * 4000
BAD = (
    "Name,StageName,external_id__c,CloseDate\n"
    "Example Person,GENERATED,external-id-3,2003-04-987654321987654321\n"
)
OWN_KEY = {"externalIdFieldName": "external_id__c"}
DEAL = ObjectType(
    "Deal__c",
    (
        Field("Name"),
        Field("StageName"),
        Field("external_id__c", external_id=True),
        Field("CloseDate", "date"),
    ),
)
EVENT = ObjectType(
    "Event",
    (
        Field("WhoId", "reference", reference_to="Contact"),
        Field("WhatId", "reference", reference_to="Account"),
        Field("Subject"),
        Field("DurationInMinutes", "int"),
        Field("ActivityDateTime", "datetime"),
    ),
)


class Session:
    """What a client does on the way to a recorded answer."""

    def __init__(self, api, clock):
        self.api = api
        self.clock = clock

    # Bulk API 2.0

    def create(self, version="60.0", operation="upsert", object="Opportunity", **more):
        if operation == "upsert":
            more.setdefault("externalIdFieldName", "ExternalId__c")
        wanted = {"object": object, "operation": operation, **more}
        return self.api("POST", f"v{version}/jobs/ingest", json=wanted)

    def patch(self, job, state="UploadComplete", resource="ingest", version="60.0"):
        return self.api("PATCH", f"v{version}/jobs/{resource}/{job}", json={"state": state})

    def load(self, text, *, seconds=600, part="", **wanted):
        job = self.create(**wanted).json["id"]
        path = f"v{wanted.get('version', '60.0')}/jobs/ingest/{job}"
        self.api("PUT", f"{path}/batches", data=text)
        self.patch(job, version=wanted.get("version", "60.0"))
        self.clock.advance(seconds)
        return self.api("GET", path + part)

    def query(self, version="60.0"):
        wanted = {"operation": "query", "query": "SELECT Id FROM Account"}
        return self.api("POST", f"v{version}/jobs/query", json=wanted)

    # Bulk API 1.0

    def classic(self, operation="insert", content="CSV", *, sent=XML, version="62.0", **more):
        wanted = {"operation": operation, "object": "Contact", **more, "contentType": content}
        return self.api("POST", f"async/{version}/job", **body("jobInfo", wanted, sent))

    def close(self, job, *, sent=XML, version="62.0"):
        sent = body("jobInfo", {"state": "Closed"}, sent)
        return self.api("POST", f"async/{version}/job/{job}", **sent)

    def get(self, job, part="", **options):
        return self.api("GET", f"async/62.0/job/{job}{part}", **options)

    def add(self, job, text):
        headers = {"Content-Type": "text/csv"}
        return self.api("POST", f"async/62.0/job/{job}/batch", data=text, headers=headers)

    def run(self, text, *, seconds=600, close=False, **wanted):
        """Return the ids of a job with one batch, and of the batch."""
        job = key(self.classic(**wanted), "id")
        batch = key(self.add(job, text), "id")
        self.clock.advance(seconds)
        if close:
            self.close(job)
        return job, batch

    def batch(self, text, part="", **wanted):
        job, batch = self.run(text, **wanted)
        return self.get(job, f"/batch/{batch}{part}")


def body(root, fields, content_type):
    headers = {"Content-Type": content_type}
    if content_type == JSON:
        return {"data": json.dumps(fields), "headers": headers}
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return {"data": f"<{root}>{inner}</{root}>", "headers": headers}


def key(answer, name):
    if answer.content_type == XML:
        return next(e.text for e in ElementTree.fromstring(answer.text) if local(e) == name)
    return answer.json[name]


def local(element):
    return element.tag.rpartition("}")[2]


CONTACT = "LastName\nA\n"
NO_NAME = "FirstName\nA\n"
UPSERT = {"operation": "upsert", "externalIdFieldName": "ExternalId__c"}


def closed(session, seconds=600, **wanted):
    return session.close(session.run(CONTACT, seconds=seconds, **wanted)[0])


def get_closed(session, text=CONTACT):
    return session.get(session.run(text, close=True)[0])


def without_batches(session):
    job = key(session.classic(**UPSERT), "id")
    session.close(job)
    return session.get(job)


def batch_list(session, text=CONTACT, **how):
    return session.get(session.run(text, **how)[0], "/batch")


def upserted_twice(session):
    rows = ["LastName,ExternalId__c", *(f"C,{row}" for row in range(4)), ""]
    session.run("\n".join(rows[:-2]), **UPSERT)
    return session.batch("\n".join(rows), "/result", **UPSERT)


def event_query(session, part):
    session.load("LastName,Email\nContact,\n", object="Contact", operation="insert")
    account = "Name,Description,Phone,AccountNumber\nA,B,1,2\n"
    session.load(account, object="Account", operation="insert")
    [who] = session.api("GET", "v62.0/query?q=SELECT Id FROM Contact").json["records"]
    [what] = session.api("GET", "v62.0/query?q=SELECT Id FROM Account").json["records"]
    rows = ["WhoId,WhatId,Subject,DurationInMinutes,ActivityDateTime"]
    rows += [
        f"{who['Id']},{parent},S,60,2024-11-07T06:40:00Z" for parent in ("", *[what["Id"]] * 2)
    ]
    session.load("\n".join(rows), object="Event", operation="insert")
    text = (
        "SELECT Id, Who.LastName, Who.Email, What.Name, What.Description, What.Phone,"
        " What.AccountNumber, Subject, DurationInMinutes, ActivityDateTime FROM Event"
    )
    job, batch = session.run(text, operation="query", object="Event", content="JSON")
    result = session.get(job, f"/batch/{batch}/result")
    return result if part == "list" else session.get(job, f"/batch/{batch}/result/{result.json[0]}")


def failed_batch(session, sent=None):
    wanted = {"operation": "query", "content": "JSON"}
    headers = {"Content-Type": sent} if sent else {}
    job, batch = session.run("SELECT Id FROM Account", **wanted)
    return session.get(job, f"/batch/{batch}{'/result' if sent else ''}", headers=headers)


def with_classic(session, resource):
    session.classic(object="Account", sent=JSON)
    return session.api("GET", f"v58.0/jobs/{resource}")


def abort_completed(session):
    job = session.query().json["id"]
    session.clock.advance(600)
    return session.patch(job, "Aborted", "query")


def dead_async(session, sent):
    headers = {"X-SFDC-Session": "dead", "Content-Type": sent}
    return session.get("750xx0000000001AAA", headers=headers)


V1_CALLS = {
    "batch-completed-all-failed-65.xml": (200, lambda s: s.batch(NO_NAME)),
    "batch-completed-query.json": (
        200,
        lambda s: s.batch("SELECT Id FROM Contact", operation="query", content="JSON"),
    ),
    "batch-created-queued-65.xml": (201, lambda s: s.add(key(s.classic(), "id"), CONTACT)),
    "batch-created-queued.json": (
        201,
        lambda s: s.add(key(s.classic(content="JSON"), "id"), '[{"LastName": "A"}]'),
    ),
    "batch-created-queued.xml": (201, lambda s: s.add(key(s.classic(**UPSERT), "id"), CONTACT)),
    "batch-failed-bad-field.xml": (200, lambda s: s.batch("Nope__c\nA\n")),
    "batch-failed-wrong-object.json": (200, failed_batch),
    "batch-result-insert.csv": (200, lambda s: s.batch(CONTACT, "/result")),
    "batch-result-upsert-mixed.csv": (200, upserted_twice),
    "batchlist-all-failed-65.xml": (200, lambda s: batch_list(s, NO_NAME)),
    "batchlist-completed-with-apex.xml": (200, lambda s: batch_list(s, sent=JSON)),
    "batchlist-completed.xml": (200, batch_list),
    "batchlist-empty.xml": (200, lambda s: s.get(key(s.classic(), "id"), "/batch")),
    "batchlist-queued.xml": (200, lambda s: batch_list(s, seconds=0)),
    "error-batch-too-large.xml": (
        400,
        lambda s: s.add(key(s.classic(), "id"), "x" * 10_000_001),
    ),
    "error-createdbyid-specified.xml": (400, lambda s: s.classic(createdById="x")),
    "error-invalid-session.json": (400, lambda s: dead_async(s, JSON)),
    "error-invalid-session.xml": (400, lambda s: dead_async(s, XML)),
    "error-records-not-processed.json": (400, lambda s: failed_batch(s, JSON)),
    "error-unable-to-parse-job.xml": (400, lambda s: s.classic("harddelete")),
    "job-closed-all-failed-65.xml": (200, lambda s: get_closed(s, NO_NAME)),
    "job-closed-batch-completed.xml": (200, get_closed),
    "job-closed-batch-inprogress.xml": (200, lambda s: closed(s, seconds=3)),
    "job-closed-batch-queued.xml": (200, lambda s: closed(s, seconds=0, **UPSERT)),
    "job-closed-completed-before-close.xml": (200, lambda s: closed(s, **UPSERT)),
    "job-closed-no-batches.xml": (200, without_batches),
    "job-closed.json": (
        200,
        lambda s: s.close(s.classic(sent=JSON).json["id"], sent=JSON),
    ),
    "job-created-insert-csv.xml": (201, lambda s: s.classic()),
    # The status of this one is edited by hand: 200 stands there.
    "job-created-query-json.xml": (201, lambda s: s.classic("query", "JSON")),
    "job-created-update-65.xml": (201, lambda s: s.classic("update", version="65.0")),
    "job-created-upsert-csv.xml": (201, lambda s: s.classic(**UPSERT)),
    "job-created.json": (201, lambda s: s.classic(sent=JSON)),
    "query-result-list.json": (200, lambda s: event_query(s, "list")),
    "query-result.json": (200, lambda s: event_query(s, "rows")),
}
V2_CALLS = {
    "error-abort-completed.json": (400, abort_completed),
    "error-entity-not-supported.json": (400, lambda s: s.create(object="Share")),
    "error-invalid-session.json": (
        401,
        lambda s: s.api("GET", "v60.0/limits", headers={"Authorization": "Bearer dead"}),
    ),
    "get-query-of-classic-insert.json": (
        200,
        lambda s: s.api("GET", f"v58.0/jobs/query/{s.classic(sent=JSON).json['id']}"),
    ),
    "ingest-created-delete.json": (200, lambda s: s.create(operation="delete")),
    "ingest-created-upsert.json": (200, lambda s: s.create()),
    "ingest-failed.json": (200, lambda s: s.load("Name,Nope\nA,B\n")),
    "ingest-failedresults-empty.csv": (
        200,
        lambda s: s.load("Name\nA\n", part="/failedResults", object="Account", operation="insert"),
    ),
    "ingest-failedresults.csv": (
        200,
        lambda s: s.load(BAD, part="/failedResults", object="Deal__c", **OWN_KEY),
    ),
    "ingest-inprogress-active-above-total.json": (
        200,
        lambda s: s.load(ROWS, seconds=4, version="59.0"),
    ),
    "ingest-inprogress.json": (
        200,
        lambda s: s.load(ROWS, seconds=4),
    ),
    "ingest-jobcomplete-all-failed-47.json": (200, lambda s: s.load(GOOD, version="47.0")),
    "ingest-jobcomplete-all-failed.json": (
        200,
        lambda s: s.load("Phone\n1\n", object="Account", operation="insert"),
    ),
    "ingest-jobcomplete-partial-failure.json": (200, lambda s: s.load(GOOD + "A,B,2,soon\n")),
    "ingest-jobcomplete.json": (200, lambda s: s.load(GOOD)),
    "ingest-patched-uploadcomplete-58.json": (
        200,
        lambda s: s.patch(s.create(object="Account", operation="insert").json["id"]),
    ),
    "ingest-patched-uploadcomplete.json": (200, lambda s: s.patch(s.create().json["id"])),
    "ingest-successfulresults-empty.csv": (
        200,
        lambda s: s.load("Name\n", part="/successfulResults", object="Account", operation="insert"),
    ),
    "ingest-unprocessedrecords-empty.csv": (
        200,
        lambda s: s.load(
            "Name\nA\n", part="/unprocessedrecords", object="Account", operation="insert"
        ),
    ),
    "list-ingest-with-classic.json": (200, lambda s: with_classic(s, "ingest")),
    "list-query-with-classic-insert.json": (200, lambda s: with_classic(s, "query")),
    "query-created.json": (200, lambda s: s.query()),
    "query-patched-aborted.json": (
        200,
        lambda s: s.patch(s.query().json["id"], "Aborted", "query"),
    ),
}
CALLS = (
    {"other/limits-bulk-keys.json": (200, lambda s: s.api("GET", "v58.0/limits"))}
    | {f"v1/{name}": call for name, call in V1_CALLS.items()}
    | {f"v2/{name}": call for name, call in V2_CALLS.items()}
)


def shape(value):
    """Return keys in their order, and types; of null, that it may be anything."""
    match value:
        case dict():
            return [(name, shape(inner)) for name, inner in value.items()]
        case list():
            return [shape(inner) for inner in value]
        case None:
            return "null"
    return type(value).__name__


def elements(element):
    return local(element), [elements(child) for child in element]


def form(text, suffix):
    """Return what two bodies have in common that say different things."""
    match suffix:
        case ".json":
            return shape(json.loads(text))
        case ".xml":
            return elements(ElementTree.fromstring(text))
    header, *rows = text.splitlines()
    return header.lower(), [row.count('","') for row in rows]


@pytest.mark.parametrize("name", CALLS)
def test_a_recorded_call_gives_the_recorded_form(name, api, sandbox):
    for kind in (DEAL, EVENT):
        sandbox.create_object(kind)
    status, call = CALLS[name]
    answer = call(Session(api, sandbox.clock))
    recorded = (SAMPLES / name).read_text("utf-8")
    types = {".json": JSON_V2 if not name.startswith("v1/") else JSON, ".xml": XML, ".csv": CSV}
    suffix = Path(name).suffix
    assert (answer.status_code, answer.content_type) == (status, types[suffix])
    assert form(answer.text, suffix) == form(recorded, suffix)


def test_every_recorded_sample_has_its_call():
    names = {path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*.*")}
    assert names == CALLS.keys() | DOCUMENTED

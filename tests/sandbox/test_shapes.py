"""Answers have the status, the headers, the keys, their order and types of recorded ones."""

import json
import re
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[1] / "data" / "samples"
V2 = "v60.0/jobs"
V1 = "async/62.0/job"
JSON = {"Content-Type": "application/json"}
XML = {"Content-Type": "application/xml; charset=UTF-8"}
UPSERT = {"object": "Opportunity", "operation": "upsert", "externalIdFieldName": "ExternalId__c"}
INSERT = {"object": "Account", "operation": "insert"}
HEADER = "Name,StageName,ExternalId__c,CloseDate"


def shape(value):
    """Return what two answers have in common: keys in their order, and types."""
    match value:
        case dict():
            return [(name, shape(inner)) for name, inner in value.items()]
        case list():
            return [shape(value[0])] if value else []
    return type(value).__name__


def layout(text):
    """Return XML without its values."""
    return re.sub(r">[^<>\n]+<", "><", text.strip())


def sample(name):
    text = (SAMPLES / name).read_text("utf-8")
    return json.loads(text) if name.endswith(".json") else text


@pytest.fixture
def opportunities(api, sandbox):
    """Run an upsert up to a state and return the job's id."""

    def run(rows, *, seconds):
        job = api("POST", f"{V2}/ingest", json=UPSERT).json["id"]
        text = "\n".join([HEADER, *rows, ""])
        api("PUT", f"{V2}/ingest/{job}/batches", data=text)
        api("PATCH", f"{V2}/ingest/{job}", json={"state": "UploadComplete"})
        sandbox.clock.advance(seconds)
        return job

    return run


def good(count):
    return [f"Person {row},GENERATED,id-{row},2024-04-09" for row in range(count)]


BAD = "Person X,GENERATED,external-id-3,2003-04-987654321987654321"


def test_created_ingest_job(api):
    answer = api("POST", f"{V2}/ingest", json=UPSERT)
    assert (answer.status_code, answer.content_type) == (200, "application/json;charset=UTF-8")
    assert shape(answer.json) == shape(sample("v2/ingest-created-upsert.json"))
    job = answer.json["id"]
    assert answer.json["contentUrl"] == f"services/data/v60.0/jobs/ingest/{job}/batches"
    assert answer.json["createdDate"] == "2026-01-05T09:00:00.000+0000"
    assert '"apiVersion":60.0,' in answer.text
    delete = api("POST", f"{V2}/ingest", json={"object": "Opportunity", "operation": "delete"})
    assert shape(delete.json) == shape(sample("v2/ingest-created-delete.json"))


def test_patched_ingest_job(api):
    for state in ("UploadComplete", "Aborted"):
        job = api("POST", f"{V2}/ingest", json=UPSERT).json["id"]
        answer = api("PATCH", f"{V2}/ingest/{job}", json={"state": state})
        assert answer.status_code == 200
        assert shape(answer.json) == shape(sample("v2/ingest-patched-uploadcomplete.json"))
    job = api("POST", f"{V2}/ingest", json=INSERT).json["id"]
    answer = api("PATCH", f"{V2}/ingest/{job}", json={"state": "UploadComplete"})
    assert shape(answer.json) == shape(sample("v2/ingest-patched-uploadcomplete-58.json"))


def test_ingest_job_at_work(api, opportunities):
    job = opportunities(good(4000), seconds=4)
    answer = api("GET", f"{V2}/ingest/{job}")
    assert answer.json["state"] == "InProgress"
    assert shape(answer.json) == shape(sample("v2/ingest-inprogress.json"))


def test_complete_ingest_job(api, opportunities):
    job = opportunities([*good(7), BAD], seconds=60)
    answer = api("GET", f"{V2}/ingest/{job}").json
    recorded = sample("v2/ingest-jobcomplete-partial-failure.json")
    assert shape(answer) == shape(recorded)
    for name in ("state", "jobType", "numberRecordsProcessed", "numberRecordsFailed"):
        assert answer[name] == recorded[name]


def test_failed_ingest_job(api, sandbox):
    job = api("POST", f"{V2}/ingest", json=UPSERT).json["id"]
    text = "Name,StageName_invalid_field_on_purpose\nA,B\n"
    api("PUT", f"{V2}/ingest/{job}/batches", data=text)
    api("PATCH", f"{V2}/ingest/{job}", json={"state": "UploadComplete"})
    sandbox.clock.advance(60)
    answer = api("GET", f"{V2}/ingest/{job}").json
    recorded = sample("v2/ingest-failed.json")
    assert shape(answer) == shape(recorded)
    assert answer["errorMessage"] == recorded["errorMessage"]


def test_results_of_an_ingest_job(api, opportunities):
    job = opportunities([BAD.replace("Person X", "Example Person")], seconds=60)
    failed = api("GET", f"{V2}/ingest/{job}/failedResults")
    recorded = sample("v2/ingest-failedresults.csv").replace("external_id__c", "ExternalId__c")
    assert (failed.content_type, failed.text) == ("text/csv", recorded.rstrip("\n") + "\n")


def test_empty_results(api, load):
    job = load("Name\n")
    for name, file in [
        ("successfulResults", "v2/ingest-successfulresults-empty.csv"),
        ("failedResults", "v2/ingest-failedresults-empty.csv"),
        ("unprocessedrecords", "v2/ingest-unprocessedrecords-empty.csv"),
    ]:
        answer = api("GET", f"v62.0/jobs/ingest/{job}/{name}")
        assert answer.text.strip() == sample(file).strip()


def test_classic_job_read_as_a_query_job(api):
    job = api("POST", V1, json={**INSERT, "contentType": "CSV"}).json["id"]
    answer = api("GET", f"{V2}/query/{job}")
    assert shape(answer.json) == shape(sample("v2/get-query-of-classic-insert.json"))


@pytest.mark.parametrize(
    ("resource", "file"),
    [("ingest", "list-ingest-with-classic"), ("query", "list-query-with-classic-insert")],
)
def test_lists_with_a_classic_job(api, resource, file):
    api("POST", V1, json={**INSERT, "contentType": "CSV"})
    answer = api("GET", f"{V2}/{resource}")
    assert shape(answer.json) == shape(sample(f"v2/{file}.json"))


def test_query_jobs(api, sandbox):
    wanted = {"operation": "query", "query": "SELECT Id, Name FROM User"}
    created = api("POST", f"{V2}/query", json=wanted)
    assert shape(created.json) == shape(sample("v2/query-created.json"))
    aborted = api("PATCH", f"{V2}/query/{created.json['id']}", json={"state": "Aborted"})
    assert shape(aborted.json) == shape(sample("v2/query-patched-aborted.json"))
    job = api("POST", f"{V2}/query", json=wanted).json["id"]
    early = api("GET", f"{V2}/query/{job}/results")
    assert shape(early.json) == shape(sample("v2/error-results-not-ready-47.json"))
    sandbox.clock.advance(60)
    results = api("GET", f"{V2}/query/{job}/results")
    assert results.text.splitlines()[0] == sample("v2/query-results.csv").splitlines()[0]
    completed = api("PATCH", f"{V2}/query/{job}", json={"state": "Aborted"})
    assert completed.text == (SAMPLES / "v2/error-abort-completed.json").read_text().strip()


def test_errors_of_2_0(api):
    unknown = api("GET", f"{V2}/ingest/750xx0000000099AAA")
    assert (unknown.status_code, unknown.json) == (404, sample("v2/error-unknown-job.json"))
    dead = api("GET", f"{V2}/ingest", headers={"Authorization": "Bearer old"})
    assert (dead.status_code, dead.json) == (401, sample("v2/error-invalid-session.json"))
    assert list(dead.json[0]) == ["message", "errorCode"]
    assert dead.headers["WWW-Authenticate"] == "Token"
    entity = api("POST", f"{V2}/ingest", json={**INSERT, "object": "Share"})
    assert shape(entity.json) == shape(sample("v2/error-entity-not-supported.json"))
    assert entity.json[0]["message"] == "Entity 'Share' is not supported by the Bulk API."


def test_limits(api):
    assert shape(api("GET", "v60.0/limits").json) == shape(sample("other/limits-bulk-keys.json"))


def test_2_0_tells_the_usage_and_1_0_does_not(api):
    usage = api("GET", f"{V2}/ingest").headers["Sforce-Limit-Info"]
    assert re.fullmatch(r"api-usage=\d+/\d+", usage)
    assert "Sforce-Limit-Info" not in api("POST", V1, json=INSERT).headers


# Bulk API 1.0


def classic(api, operation="insert", content_type="CSV", headers=XML, **more):
    fields = {"operation": operation, "object": "Account", **more, "contentType": content_type}
    if headers is JSON:
        return api("POST", V1, data=json.dumps(fields), headers=JSON)
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return api("POST", V1, data=f"<jobInfo>{inner}</jobInfo>", headers=XML)


def id_of(answer):
    return re.search(r"75[01]xx\w{13}", answer.text)[0]


def test_created_classic_jobs(api):
    for answer, file in [
        (classic(api), "v1/job-created-insert-csv.xml"),
        (
            classic(api, "upsert", externalIdFieldName="ExternalId__c"),
            "v1/job-created-upsert-csv.xml",
        ),
        (classic(api, "query", "JSON"), "v1/job-created-query-json.xml"),
    ]:
        assert (answer.status_code, answer.content_type) == (201, "application/xml")
        assert layout(answer.text) == layout(sample(file))
    answer = classic(api, headers=JSON)
    assert (answer.status_code, answer.content_type) == (201, "application/json")
    assert shape(answer.json) == [
        (name, "NoneType" if name in {"assignmentRuleId", "externalIdFieldName"} else kind)
        for name, kind in shape(sample("v1/job-created.json"))
    ]


def test_closed_classic_job(api):
    job = id_of(classic(api))
    answer = api("POST", f"{V1}/{job}", data="<jobInfo><state>Closed</state></jobInfo>")
    assert layout(answer.text) == layout(sample("v1/job-closed-batch-inprogress.xml"))
    job = id_of(classic(api))
    answer = api("POST", f"{V1}/{job}", data='{"state": "Closed"}', headers=JSON)
    assert shape(answer.json) == shape(sample("v1/job-closed.json"))
    assert set(sample("v1/job-closed-documented.json")) < set(answer.json)
    documented = re.findall(r"<(\w+)>", sample("v1/job-closed-documented.xml"))
    assert re.findall(r"<(\w+)>", api("GET", f"{V1}/{job}").text) == documented


def test_batches_and_results(api, sandbox):
    job = id_of(classic(api))
    empty = api("GET", f"{V1}/{job}/batch")
    assert empty.text == sample("v1/batchlist-empty.xml").strip()
    created = api("POST", f"{V1}/{job}/batch", data="Name\nA\n", headers=XML)
    assert created.status_code == 201
    assert layout(created.text) == layout(sample("v1/batch-created-queued.xml"))
    listed = api("GET", f"{V1}/{job}/batch")
    assert layout(listed.text) == layout(sample("v1/batchlist-queued.xml"))
    sandbox.clock.advance(60)
    listed = api("GET", f"{V1}/{job}/batch")
    assert layout(listed.text) == layout(sample("v1/batchlist-completed.xml"))
    result = api("GET", f"{V1}/{job}/batch/{id_of(created).replace('750', '751', 1)}/result")
    assert (result.content_type, result.text) == ("text/csv", sample("v1/batch-result-insert.csv"))


def test_batches_of_a_json_job(api, sandbox):
    job = id_of(classic(api, content_type="JSON"))
    created = api("POST", f"{V1}/{job}/batch", data='[{"Name": "A"}]', headers=XML)
    assert shape(created.json) == shape(sample("v1/batch-created-queued.json"))
    sandbox.clock.advance(60)
    result = api("GET", f"{V1}/{job}/batch/{created.json['id']}/result")
    assert {*result.json[0]} == {*sample("v1/batch-result.json")[0]}


def test_a_failed_batch_of_a_query(api, sandbox):
    job = id_of(classic(api, "query", "JSON"))
    body = "SELECT Id FROM Contact"
    batch = api("POST", f"{V1}/{job}/batch", data=body, headers=XML).json["id"]
    sandbox.clock.advance(60)
    answer = api("GET", f"{V1}/{job}/batch/{batch}").json
    recorded = sample("v1/batch-failed-wrong-object.json")
    assert shape(answer) == shape(recorded)
    assert answer["stateMessage"] == recorded["stateMessage"]
    error = api("GET", f"{V1}/{job}/batch/{batch}/result", headers=JSON)
    assert (error.status_code, error.json) == (400, sample("v1/error-records-not-processed.json"))


def test_errors_of_1_0(api):
    dead = api("GET", f"{V1}/750", headers={"X-SFDC-Session": "old"})
    assert (dead.status_code, dead.content_type) == (400, "application/xml")
    assert dead.text == sample("v1/error-invalid-session.xml").strip()
    dead = api("GET", f"{V1}/750", headers={"X-SFDC-Session": "old", **JSON})
    assert dead.json == sample("v1/error-invalid-session.json")
    unparsable = classic(api, "harddelete")
    assert unparsable.text == sample("v1/error-unable-to-parse-job.xml").strip()
    readonly = api("POST", V1, data="<jobInfo><createdById>x</createdById></jobInfo>")
    assert readonly.text == sample("v1/error-createdbyid-specified.xml").strip()
    job = id_of(classic(api))
    large = api("POST", f"{V1}/{job}/batch", data="x" * 10_000_001, headers=XML)
    assert large.text == sample("v1/error-batch-too-large.xml").strip()

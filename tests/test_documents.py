"""The five documents that bulknb was asked from: their literal requests, their answers' shapes.

Each test sends what the document prints, byte for byte, and compares the keys and the types of
the answer with the one that it prints. Then bulknb's own verbs must read the same answer.
"""

from __future__ import annotations

import json

import pytest
from werkzeug.test import Client, TestResponse

from bulknb import JobInfo
from bulknb._jobinfo import JOB_FIELDS
from bulknb._xml import read_xml

XML = {"Content-Type": "application/xml; charset=UTF-8"}
JSON = {"Content-Type": "application/json"}

CLOSE_XML = """<?xml version="1.0" encoding="UTF-8"?>
<jobInfo
   xmlns="http://www.force.com/2009/06/asyncapi/dataload">
 <state>Closed</state>
</jobInfo>"""

CLOSED_XML = """<?xml version="1.0" encoding="UTF-8"?>
<jobInfo
   xmlns="http://www.force.com/2009/06/asyncapi/dataload">
 <id>750D0000000002lIAA</id>
 <operation>insert</operation>
 <object>Account</object>
 <createdById>005D0000001ALVFIA4</createdById>
 <createdDate>2009-04-14T18:15:59.000Z</createdDate>
 <systemModstamp>2009-04-14T18:15:59.000Z</systemModstamp>
 <state>Closed</state>
 <concurrencyMode>Parallel</concurrencyMode>
 <contentType>XML</contentType>
 <numberBatchesQueued>0</numberBatchesQueued>
 <numberBatchesInProgress>0</numberBatchesInProgress>
 <numberBatchesCompleted>1</numberBatchesCompleted>
 <numberBatchesFailed>0</numberBatchesFailed>
 <numberBatchesTotal>1</numberBatchesTotal>
 <numberRecordsProcessed>2</numberRecordsProcessed>
 <numberRetries>0</numberRetries>
 <apiVersion>36.0</apiVersion>
 <numberRecordsFailed>0</numberRecordsFailed>
 <totalProcessingTime>3647</totalProcessingTime>
 <apiActiveProcessingTime>2136</apiActiveProcessingTime>
 <apexProcessingTime>0</apexProcessingTime>
</jobInfo>"""

CLOSED_JSON = """{
   "apexProcessingTime" : 0,
   "apiActiveProcessingTime" : 5059,
   "apiVersion" : 36.0,
   "concurrencyMode" : "Parallel",
   "contentType" : "JSON",
   "createdById" : "005xx000001SyhGAAS",
   "createdDate" : "2015-11-19T01:45:03.000+0000",
   "id" : "750xx000000000GAAQ",
   "numberBatchesCompleted" : 10,
   "numberBatchesFailed" : 0,
   "numberBatchesInProgress" : 0,
   "numberBatchesQueued" : 0,
   "numberBatchesTotal" : 10,
   "numberRecordsFailed" : 0,
   "numberRecordsProcessed" : 100,
   "numberRetries" : 0,
   "object" : "Account",
   "operation" : "insert",
   "state" : "Closed",
   "systemModstamp" : "2015-11-19T01:45:03.000+0000",
   "totalProcessingTime" : 5759
}"""

CREATE_XML = """<?xml version="1.0" encoding="UTF-8"?> <jobInfo
xmlns="http://www.force.com/2009/06/asyncapi/dataload"> <operation>insert</operation>
<object>Account</object> <contentType>CSV</contentType> </jobInfo>"""

ABORT_XML = """<?xml version="1.0" encoding="UTF-8"?> <jobInfo
xmlns="http://www.force.com/2009/06/asyncapi/dataload"> <state>Aborted</state>
</jobInfo>"""

ABORT_JSON = """{
  "state": "Aborted"
}"""

ABORTED_QUERY = """{
  "id": "750R000000146UvIAI",
  "operation": "query",
  "object": "Account",
  "createdById": "005R0000000GiwjIAC",
  "createdDate": "2018-12-18T20:51:39.000+0000",
  "systemModstamp": "2018-12-18T20:51:41.000+0000",
  "state": "Aborted",
  "concurrencyMode": "Parallel",
  "contentType": "CSV",
  "apiVersion": 46.0
}"""

#: The answer that the first document lists as a table: property -> JSON type.
CLOSE_PROPERTIES = {
    "apiVersion": float,
    "columnDelimiter": str,
    "concurrencyMode": str,
    "contentType": str,
    "contentUrl": str,
    "createdById": str,
    "createdDate": str,
    "externalIdFieldName": str,
    "id": str,
    "jobType": str,
    "lineEnding": str,
    "object": str,
    "operation": str,
    "state": str,
    "systemModstamp": str,
}

#: Every field of the document "JobInfo".
JOB_INFO_FIELDS = """
    apiVersion apexProcessingTime apiActiveProcessingTime assignmentRuleId concurrencyMode
    contentType createdById createdDate externalIdFieldName id numberBatchesCompleted
    numberBatchesQueued numberBatchesFailed numberBatchesInProgress numberBatchesTotal
    numberRecordsFailed numberRecordsProcessed numberRetries object operation state
    systemModstamp totalProcessingTime
""".split()


class Caller:
    """Literal requests to the sandbox, with the session of one user."""

    def __init__(self, sandbox) -> None:
        self._client = Client(sandbox.app)
        self._auth = {
            "Authorization": f"Bearer {sandbox.token}",
            "X-SFDC-Session": sandbox.token,
        }

    def __call__(self, method: str, path: str, body: str = "", headers=None) -> TestResponse:
        return self._client.open(
            path, method=method, data=body, headers={**self._auth, **(headers or {})}
        )


@pytest.fixture
def call(sandbox) -> Caller:
    return Caller(sandbox)


def types(value: dict) -> dict[str, type]:
    return {name: type(item) for name, item in value.items()}


def children(document: str) -> dict:
    return read_xml(document)[1]


def test_000_close_or_abort_a_job(call, org):
    job = org.create_job("upsert", "Account", external_id="Id").upload(b"Id,Name\n,Acme\n")
    other = org.create_job("insert", "Account")
    url = "/services/data/v62.0/jobs/ingest/{}"

    closed = call("PATCH", url.format(job.id), '{"state" : "UploadComplete"}', JSON)
    aborted = call("PATCH", url.format(other.id), '{"state" : "Aborted"}', JSON)

    for answer, state in ((closed, "UploadComplete"), (aborted, "Aborted")):
        assert answer.status_code == 200
        assert answer.json["state"] == state
        # A live org answers with these properties less those of the data (recorded).
        assert types(answer.json).items() <= CLOSE_PROPERTIES.items()
    assert "externalIdFieldName" in closed.json
    whole = call("GET", url.format(job.id)).json
    assert CLOSE_PROPERTIES.keys() - whole.keys() == {"contentUrl"}  # only while it is Open
    assert JobInfo.from_dict(closed.json).job_type == "V2Ingest"


def test_001_close_a_job_by_xml(call, org):
    job = org.create_job("insert", "Account", api="1.0").upload(b"Name\nAcme\n")

    answer = call("POST", f"/services/async/62.0/job/{job.id}", CLOSE_XML, XML)

    assert answer.status_code == 200
    assert answer.mimetype == "application/xml"
    assert list(children(answer.text)) == list(children(CLOSED_XML))
    info = JobInfo.from_xml(answer.text)
    printed = JobInfo.from_xml(CLOSED_XML)
    assert info.state == printed.state == "Closed"
    for name in JOB_FIELDS:
        assert type(getattr(info, name)) is type(getattr(printed, name)), name


def test_001_close_a_job_by_json(call, org):
    job = org.create_job("insert", "Account", api="1.0", contentType="JSON")

    answer = call("POST", f"/services/async/62.0/job/{job.id}", '{\n   "state" : "Closed"\n}', JSON)

    printed = json.loads(CLOSED_JSON)
    assert answer.status_code == 200
    said = types(answer.json)
    # Newer versions add three keys to those printed (recorded at 58.0).
    added = {"assignmentRuleId", "externalIdFieldName", "fastPathEnabled"}
    assert said.keys() - printed.keys() <= added
    assert {name: said[name] for name in printed} == types(printed)
    assert list(answer.json) == sorted(answer.json)


def test_002_jobinfo(call, org):
    job = org.create_job("upsert", "Account", api="1.0", external_id="Id")
    job.upload(b"Id,Name\n,Acme\n").close().wait()

    raw = call("GET", f"/services/async/62.0/job/{job.id}", headers=JSON).json

    assert set(JOB_INFO_FIELDS) <= raw.keys()
    info = JobInfo.from_dict(raw)
    total = info.number_batches_completed + info.number_batches_failed
    assert info.number_batches_total == total == 1
    assert info.done
    for name in JOB_INFO_FIELDS:
        if name.startswith("number") or name.endswith("ProcessingTime"):
            assert type(raw[name]) is int


def test_003_working_with_jobs(call):
    created = call("POST", "/services/async/62.0/job", CREATE_XML, XML)
    id = JobInfo.from_xml(created.text).id
    url = f"/services/async/62.0/job/{id}"
    read = call("GET", url)
    aborted = call("POST", url, ABORT_XML, XML)

    printed = "id operation object createdById createdDate systemModstamp state contentType".split()
    assert created.status_code == 201
    assert created.headers["Location"].endswith(f"/job/{id}")
    for answer, state in ((created, "Open"), (read, "Open"), (aborted, "Aborted")):
        said = children(answer.text)
        assert [name for name in said if name in printed] == printed
        assert said["state"] == state
    assert read.status_code == aborted.status_code == 200


def test_003_the_operation_must_be_in_lower_case(call):
    shouted = CREATE_XML.replace(">insert<", ">INSERT<")

    answer = call("POST", "/services/async/62.0/job", shouted, XML)

    assert answer.status_code == 400
    assert children(answer.text)["exceptionCode"] == "InvalidJob"


def test_004_abort_a_query_job(call, org):
    job = org.create_job("query", query="SELECT Id FROM Account")
    url = f"/services/data/v62.0/jobs/query/{job.id}"

    answer = call("PATCH", url, ABORT_JSON, JSON)

    printed = json.loads(ABORTED_QUERY)
    assert answer.status_code == 200
    assert list(answer.json) == list(printed)
    assert types(answer.json) == types(printed)
    assert answer.json["state"] == "Aborted"


def test_004_aborting_a_completed_query_job_is_refused_in_these_words(call, org):
    job = org.create_job("query", query="SELECT Id FROM Account").wait()

    answer = call("PATCH", f"/services/data/v62.0/jobs/query/{job.id}", ABORT_JSON, JSON)

    assert answer.status_code == 400
    assert answer.json == [
        {"errorCode": "INVALIDJOBSTATE", "message": "Aborting already Completed Job not allowed"}
    ]

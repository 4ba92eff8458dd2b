"""The same seed on the manual clock gives the same answers, byte for byte."""

import re

import pytest
from werkzeug.test import Client

from bulknb.sandbox import Field, ManualClock, ObjectType, Sandbox

ORDER = ObjectType(
    "Order__c",
    (
        Field("Key__c", external_id=True, unique=True),
        Field("Total__c", "currency"),
        Field("Account__c", "reference", reference_to="Account"),
    ),
    apex_ms_per_row=0.4,
)
UPSERT = {
    "object": "Order__c",
    "operation": "upsert",
    "externalIdFieldName": "Key__c",
    "lineEnding": "CRLF",
    "columnDelimiter": "PIPE",
}
ACCOUNTS = "Name,ExternalId__c\n" + "".join(f"Account {row},A{row}\n" for row in range(450))
ORDERS = "Key__c|Total__c|Account__r.ExternalId__c\n" + "".join(
    f"{row}|{row if row % 9 else 'many'}|A{row * 7 % 500}\n" for row in range(900)
)
JOB_XML = (
    "<jobInfo><operation>{}</operation><object>Account</object>"
    "<contentType>CSV</contentType></jobInfo>"
)
V2 = "data/v62.0"
V1 = "async/62.0/job"


class Recorder:
    """Sends requests to a new org and keeps all that comes back."""

    def __init__(self, seed):
        self.sandbox = Sandbox(clock=ManualClock(), seed=seed, objects=[ORDER])
        self.client = Client(self.sandbox.app)
        self.answers = []

    def send(self, method, path, **options):
        headers = {
            "Host": "127.0.0.1",
            "Authorization": f"Bearer {self.sandbox.token}",
            "X-SFDC-Session": self.sandbox.token,
        } | options.pop("headers", {})
        answer = self.client.open(f"/services/{path}", method=method, headers=headers, **options)
        # The session id is a secret and differs; nothing else may.
        whole = f"{method} {path} {answer.status}\n{answer.headers}\n{answer.text}"
        self.answers.append(whole.replace(self.sandbox.token, "TOKEN"))
        return answer

    def wait(self, seconds):
        self.sandbox.clock.advance(seconds)


def ingest(client, text, *, seconds, **wanted):
    job = f"{V2}/jobs/ingest/{client.send('POST', f'{V2}/jobs/ingest', json=wanted).json['id']}"
    client.send("PUT", f"{job}/batches", data=text)
    client.send("PATCH", job, json={"state": "UploadComplete"})
    client.wait(seconds)
    return job


def read(client, job):
    for part in ("", "/successfulResults", "/failedResults", "/unprocessedrecords"):
        client.send("GET", job + part)


def loads(client):
    read(client, ingest(client, ACCOUNTS, seconds=600, object="Account", operation="insert"))
    read(client, ingest(client, ORDERS, seconds=600, **UPSERT))
    cut = ingest(client, ORDERS, seconds=3.2, **UPSERT)
    client.send("PATCH", cut, json={"state": "Aborted"})
    read(client, cut)
    client.send("DELETE", cut)
    client.send("GET", cut)


def queries(client):
    text = "SELECT Id, Key__c, Total__c, Account__r.Name, CreatedDate FROM Order__c"
    for operation in ("query", "queryAll"):
        wanted = {"operation": operation, "query": text}
        job = client.send("POST", f"{V2}/jobs/query", json=wanted).json["id"]
        client.wait(60)
        client.send("GET", f"{V2}/jobs/query/{job}")
        first = client.send("GET", f"{V2}/jobs/query/{job}/results?maxRecords=300")
        locator = first.headers["Sforce-Locator"]
        client.send("GET", f"{V2}/jobs/query/{job}/results?locator={locator}")
    page = client.send("GET", f"{V2}/query", query_string={"q": "SELECT Id, CreatedDate FROM User"})
    assert page.json["done"]


def classic(client):
    for operation, text in [("insert", "Name\nOne\nTwo\n"), ("query", "SELECT Id FROM Account")]:
        created = client.send("POST", V1, data=JOB_XML.format(operation))
        job = f"{V1}/{re.search('<id>(.+)</id>', created.text)[1]}"
        batch = client.send("POST", f"{job}/batch", data=text, headers={"Content-Type": "text/csv"})
        key = re.search("<id>(.+)</id>", batch.text)[1]
        client.wait(60)
        for path in (job, f"{job}/batch", f"{job}/batch/{key}", f"{job}/batch/{key}/request"):
            client.send("GET", path)
        result = client.send("GET", f"{job}/batch/{key}/result")
        if operation == "query":
            number = re.search("<result>(.+)</result>", result.text)[1]
            client.send("GET", f"{job}/batch/{key}/result/{number}")
        client.send("POST", job, data="<jobInfo><state>Closed</state></jobInfo>")


def rest(client):
    for path in (
        "data",
        V2,
        f"{V2}/limits",
        f"{V2}/sobjects",
        f"{V2}/sobjects/Order__c/describe",
        f"{V2}/jobs/ingest",
        f"{V2}/jobs/query",
        "oauth2/userinfo",
        f"{V2}/nothing",
    ):
        client.send("GET", path)
    form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
    client.send("POST", "oauth2/token", data=form)


def session(seed):
    client = Recorder(seed)
    with client.sandbox:
        for part in (loads, queries, classic, rest):
            part(client)
        client.answers += [repr(client.sandbox.records(kind)) for kind in ("Account", "Order__c")]
    return client.answers


@pytest.fixture(scope="module")
def first():
    return session(3)


def test_the_same_seed_gives_the_same_bytes(first):
    assert len(first) > 50
    assert session(3) == first


def test_another_seed_gives_other_times_and_another_order_of_rows(first):
    others = session(4)
    assert len(others) == len(first)
    differing = {a.split()[1] for a, b in zip(first, others, strict=True) if a != b}
    assert any(path.endswith("/successfulResults") for path in differing)
    assert any(path.endswith("/jobs/ingest") for path in differing)

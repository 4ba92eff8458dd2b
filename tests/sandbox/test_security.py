"""The sandbox answers local clients that know the token, and nobody else."""

import logging

import pytest

from bulknb.sandbox import Sandbox, web

PATHS = ("v62.0/jobs/ingest", "async/62.0/job/750xx0000000001AAA", "v62.0/limits")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost.",
        "evil.example:80",
        "127.0.0.1:80@evil.example",
        "0.0.0.0",
        "127.0.0.2",
        "[::2]",
        "",
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_another_host_name_is_refused(api, host, path):
    assert api("GET", path, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8080", "localhost:1", "[::1]:9"])
def test_the_names_of_this_machine_are_taken(api, host):
    assert api("GET", "v62.0/limits", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_the_page_of_another_origin_is_refused(api, origin):
    answer = api("GET", "v62.0/limits", headers={"Origin": origin})
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert api("GET", "v62.0/limits", headers={"Origin": "http://127.0.0.1"}).status_code == 200


@pytest.mark.parametrize("session", ["", "Bearer", "Bearer ", "Bearer x", "Basic x", "Bearer ü"])
def test_without_the_token_nothing_is_told(api, session):
    assert api("GET", "v62.0/limits", headers={"Authorization": session}).status_code == 401
    headers = {"X-SFDC-Session": session}
    assert api("GET", "async/62.0/job/750xx0000000001AAA", headers=headers).status_code == 400


def test_the_list_of_versions_needs_no_token(api):
    answer = api("GET", "data", headers={"Authorization": ""})
    assert answer.json[-1] == {
        "label": "Summer '26",
        "url": "/services/data/v67.0",
        "version": "67.0",
    }


def test_the_token_is_shown_nowhere(sandbox, api, caplog):
    caplog.set_level(logging.DEBUG)
    assert sandbox.token not in repr(sandbox)
    for path in (*PATHS, "v62.0/nothing"):
        assert sandbox.token not in api("GET", path).text
    assert sandbox.token not in caplog.text


def test_each_sandbox_has_a_token_of_its_own(sandbox):
    with Sandbox() as other:
        assert other.token != sandbox.token
        assert len(other.token) == len("00Dxx0000000001!") + 64


def test_a_body_has_a_limit(api, monkeypatch):
    monkeypatch.setattr(web, "MAX_BODY_BYTES", 1000)
    import gzip

    job = api("POST", "v62.0/jobs/ingest", json={"object": "Account", "operation": "insert"})
    bomb = gzip.compress(b"x" * 1_000_000)
    headers = {"Content-Encoding": "gzip"}
    path = f"v62.0/jobs/ingest/{job.json['id']}/batches"
    assert api("PUT", path, data=bomb, headers=headers).status_code == 413


@pytest.mark.parametrize("path", PATHS)
def test_a_fault_of_the_sandbox_shows_no_traceback(sandbox, api, caplog, path):
    sandbox.close()  # without its store, nothing works
    answer = api("GET", path)
    assert answer.status_code == 500
    assert "UNKNOWN_EXCEPTION" in answer.text or "InternalServerError" in answer.text
    assert "Traceback" not in answer.text
    assert "sqlite3" not in answer.text
    assert "Cannot operate on a closed database" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("PUT", "v62.0/jobs/ingest", "METHOD_NOT_ALLOWED"),
        ("POST", "v62.0/limits", "METHOD_NOT_ALLOWED"),
        ("GET", "v62.0/nothing", "NOT_FOUND"),
        ("GET", "v62/limits", "NOT_FOUND"),
        ("GET", "v62.0/jobs/ingest/../../../etc/passwd", "NOT_FOUND"),
    ],
)
def test_a_wrong_path_or_method_is_an_error_of_the_api(api, method, path, code):
    (error,) = api(method, path).json
    assert error["errorCode"] == code


DEEP = 50_000
NASTY = [
    b"",
    b"\x00",
    b"\xff\xfe",
    b"null",
    b"[" * DEEP,
    b'{"a":' * DEEP,
    b"<a>" * DEEP,
    b'{"object": ["Account"], "operation": {}, "contentType": 5, "concurrencyMode": []}',
    b'{"object": "Account", "operation": "insert", "assignmentRuleId": {"a": 1}}',
    b'{"object": "\\ud800", "operation": "insert"}',
    b'{"operation": "query", "query": ["SELECT"]}',
    b'{"operation": "query", "query": "SELECT Id FROM Account WHERE '
    + b"NOT " * 5000
    + b'Id = null"}',
    b'{"operation": "query", "query": "SELECT Id FROM Account LIMIT 99999999999999999999"}',
    b'{"state": {"a": 1}}',
    b'<?xml version="1.0" encoding="utf-99"?><jobInfo/>',
    b"<jobInfo><operation><a/></operation></jobInfo>",
    b'[{"Name": "\\ud800"}]',
    b'[{"Owner": {"Owner": {"Name": "x"}}}]',
    b'[{"Name": [1]}]',
    b'a,b\n"',
    b'"Name\n',
    b"Name\n\x00\n",
    b",,,\n1,2,3,4\n",
    b"Id.Name,Owner.,.Name\n1,2,3\n",
    b"Name,Name\nA,B\n",
]


@pytest.mark.parametrize("body", NASTY)
def test_nothing_that_is_sent_breaks_the_sandbox(api, sandbox, body):
    json, xml = "application/json", "application/xml"
    ingest = api("POST", "v62.0/jobs/ingest", json={"object": "Account", "operation": "insert"})
    job = f"v62.0/jobs/ingest/{ingest.json['id']}"
    answers = [api("PUT", f"{job}/batches", data=body)]
    for kind in (json, xml):
        for method, path in [
            ("POST", "v62.0/jobs/ingest"),
            ("POST", "v62.0/jobs/query"),
            ("PATCH", job),
            ("POST", "async/62.0/job"),
            ("POST", "oauth2/token"),
        ]:
            answers.append(api(method, path, data=body, headers={"Content-Type": kind}))
    for content_type in ("CSV", "JSON", "XML"):
        for operation in ("insert", "query"):
            wanted = {"object": "Account", "operation": operation, "contentType": content_type}
            classic = api("POST", "async/62.0/job", json=wanted).json["id"]
            answers.append(api("POST", f"async/62.0/job/{classic}/batch", data=body))
            answers.append(api("POST", f"async/62.0/job/{classic}", data=body))
    api("PATCH", job, json={"state": "UploadComplete"})
    sandbox.clock.advance(3600)
    answers += [api("GET", f"{job}/{name}") for name in ("failedResults", "successfulResults")]
    assert max(answer.status_code for answer in answers) < 500
    assert api("GET", job).json["state"] in {"JobComplete", "Failed"}


@pytest.mark.parametrize(
    "path",
    [
        "v62.0/jobs/query/{query}/results?maxRecords=" + "9" * 5000,
        "v62.0/jobs/query/{query}/results?locator=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk",
        "v62.0/jobs/query/{query}/results?locator=LTE",
        "v62.0/jobs/ingest?queryLocator=%ff",
        "v62.0/query?q=%ff%00",
        "v62.0/query",
        "v62.0/query/01g-99999999999999999999",
        "v62.0/query/750-0",
        "v62.0/jobs/ingest/%00",
    ],
)
def test_no_parameter_breaks_the_sandbox(api, sandbox, path):
    wanted = {"operation": "query", "query": "SELECT Id FROM User"}
    query = api("POST", "v62.0/jobs/query", json=wanted).json["id"]
    sandbox.clock.advance(60)
    assert api("GET", path.format(query=query)).status_code < 500

"""The page at the root of the sandbox."""

import pytest
from werkzeug.test import Client

from bulknb.sandbox import ManualClock, ObjectType, Sandbox


@pytest.fixture
def look(sandbox):
    client = Client(sandbox.app)
    return lambda method="GET": client.open("/", method=method, headers={"Host": "127.0.0.1"})


def test_the_page_shows_jobs_and_load_without_a_token(look, load, api):
    assert "There are no jobs yet." in look().text
    done = load('Name\nAcme\n""\n')
    waiting = api("POST", "v62.0/jobs/ingest", json={"object": "Contact", "operation": "insert"})
    text = look().text
    for word in (done, waiting.json["id"], "JobComplete", "Open", "Contact", "Active jobs"):
        assert word in text


def test_the_page_tells_no_secret_and_no_row(look, load, sandbox):
    load("Name,Phone\nAcme Secret,1\n")
    text = look().text
    assert sandbox.token not in text
    assert "Acme Secret" not in text


def test_the_page_loads_and_runs_nothing_and_may_not_be_framed(look):
    answer = look()
    assert answer.content_type == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    for word in ("<script", "src=", "@import", "url("):
        assert word not in answer.text


def test_a_query_is_shown_with_its_rows(look, load, api, sandbox):
    load("Name\n" + "Acme\n" * 1234)
    wanted = {"operation": "query", "query": "SELECT Id FROM Account"}
    api("POST", "v62.0/jobs/query", json=wanted)
    sandbox.clock.advance(600)
    assert look().text.count('<td class="number">1,234</td>') == 2


def test_the_page_changes_nothing_and_counts_for_nothing(look, sandbox):
    look()
    assert sandbox.requests == ()
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert look(method).status_code == 405


def test_jobs_of_each_kind_are_shown():
    with Sandbox(clock=ManualClock(), demo=True) as sandbox:
        text = Client(sandbox.app).get("/", headers={"Host": "127.0.0.1"}).text
    for kind in ("Classic", "V2Ingest", "V2Query"):
        assert f"<td>{kind}</td>" in text


def test_what_was_sent_is_escaped_on_the_page():
    with Sandbox(clock=ManualClock(), objects=[ObjectType("Odd__c", (), label="<b>")]) as odd:
        odd._org.new_job("V2Ingest", "62.0", operation="insert", object="<b>x", state="Open")
        text = Client(odd.app).get("/", headers={"Host": "127.0.0.1"}).text
    assert "&lt;b&gt;x" in text
    assert "<b>" not in text

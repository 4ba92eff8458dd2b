"""One result out of several parts: slices by date, and the batches of a 1.0 query."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import re
from collections import Counter

import pandas as pd
import pytest
from altered import accounts, altered, connect
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulknb._jobs import ClassicJob
from bulknb.errors import InputError, JobFailedError, ReconcileError, UnreachableError
from bulknb.sandbox import Fault, Sandbox

SOQL = "SELECT Id, Name FROM Account"
BORN = "SELECT LastName FROM Contact"


@pytest.fixture
def contacts(sandbox) -> list[str]:
    """Sixty contacts, some without a birthday, and their names."""
    days = [dt.date(1990, 1, 1) + dt.timedelta(days=97 * n) if n % 5 else "" for n in range(60)]
    csv = "LastName,Birthdate\n" + "".join(f"C{n},{day}\n" for n, day in enumerate(days))
    job = connect(sandbox).create_job("insert", "Contact").upload(csv.encode()).close().wait()
    assert job.info.number_records_failed == 0
    return [f"C{n}" for n in range(60)]


def test_slices_by_a_field_are_several_jobs_and_one_result(org, sandbox):
    made = []
    for _ in range(4):
        made += accounts(sandbox, 10)
        sandbox.clock.advance(86_400)

    query = org.query(SOQL, slices="CreatedDate").wait()

    assert len(query.jobs) == 8
    assert Counter(query.frame()["Name"]) == Counter(made)
    assert query.progress.total == query.progress.fetched == 40
    assert "and 7 more" in query._repr_html_()


def test_rows_without_a_date_have_a_slice_of_their_own(org, contacts):
    query = org.query(BORN, slices={"Birthdate": ["1995-01-01", dt.date(2000, 1, 1)]}).wait()

    assert sorted(query.frame()["LastName"]) == sorted(contacts)
    assert [job.info.number_records_processed for job in query.jobs][-1] == 12


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.dates(dt.date(1985, 1, 1), dt.date(2010, 1, 1)), max_size=6))
def test_wherever_the_cuts_are_each_row_comes_once(org, contacts, cuts):
    frame = org.query(BORN + " WHERE LastName != 'C7'", slices={"birthdate": cuts}).frame()

    assert Counter(frame["LastName"]) == Counter(contacts) - Counter(["C7"])


def test_an_empty_object_is_one_slice(org):
    query = org.query(SOQL, slices="CreatedDate").wait()

    assert len(query.jobs) == 1
    assert query.frame().empty


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"slices": "Name"}, "date or datetime"),
        ({"slices": "Nothing"}, "no field"),
        ({"slices": "a b"}, "API name"),
        ({"slices": {"CreatedDate": ["yesterday-ish"]}}, "cut"),
        ({"slices": {"CreatedDate": [None]}}, "cut"),
        ({"slices": {"CreatedDate": [], "LastModifiedDate": []}}, "one field"),
        ({"pk_chunking": True}, "1.0"),
        ({"pk_chunking": {"size": 5}, "api": "1.0"}, "chunkSize"),
        ({"api": "3.0"}, "2.0"),
        ({"page_rows": 0}, "page_rows"),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_job_is_made(org, sandbox, more, said):
    with pytest.raises(InputError, match=said):
        org.query(SOQL, **more)
    assert "POST" not in {method for method, _, _ in sandbox.requests}


@pytest.mark.parametrize("more", [{"slices": "CreatedDate"}, {"api": "1.0", "pk_chunking": True}])
@pytest.mark.parametrize("clause", ["ORDER BY Name", "LIMIT 5"])
def test_a_query_that_is_cut_has_no_clause_that_each_part_would_obey(org, more, clause):
    with pytest.raises(InputError, match=clause.split()[0]):
        org.query(f"{SOQL} {clause}", **more)


# Bulk API 1.0


def test_a_classic_query_gives_the_same_typed_frame(org, sandbox):
    accounts(sandbox, 25)
    soql = "SELECT Id, Name, NumberOfEmployees, CreatedDate FROM Account"

    query = org.query(soql, api="1.0").wait()

    pd.testing.assert_frame_equal(query.frame(), org.query(soql).frame())
    assert isinstance(query.jobs[0], ClassicJob)
    assert query.jobs[0].state == "Closed"


def test_pk_chunking_is_one_logical_query(org, sandbox):
    names = accounts(sandbox, 25)

    query = org.query(SOQL, api="1.0", pk_chunking={"chunkSize": 10}).wait()

    assert query.frame()["Name"].tolist() == names
    assert query.progress.pages == 3
    assert query.progress.total == 25
    [job] = query.jobs
    assert [batch.state for batch in job.batches()] == ["NotProcessed"] + ["Completed"] * 3


def test_chunks_without_rows_change_nothing(org, sandbox):
    names = accounts(sandbox, 25)

    soql = f"{SOQL} WHERE Name >= '{names[20]}'"
    frame = org.query(soql, api="1.0", pk_chunking={"chunkSize": 5}).frame()

    assert frame["Name"].tolist() == names[20:]


def test_a_classic_query_without_rows_is_empty(org):
    assert org.query(SOQL, api="1.0").frame().empty
    assert list(org.query(SOQL, api="1.0")) == []


def test_a_classic_query_that_fails_says_why(org):
    with pytest.raises(JobFailedError, match="No such column 'Nothing__c'"):
        org.query("SELECT Nothing__c FROM Account", api="1.0").wait()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        *itertools.product(
            ["/batch$", "/result/752"], ["drop_before", "drop_after", "503", "trunc"]
        ),
        ("/result/752", "gzip_trunc"),
        ("/result/752", "trunc_ok"),
    ],
)
def test_a_fault_on_the_way_leaves_a_classic_query_whole(sandbox, org, kind, path):
    names = accounts(sandbox, 25)
    sandbox.faults.add(Fault(kind, path=path))

    query = org.query(SOQL, api="1.0", pk_chunking={"chunkSize": 10}).wait()

    assert query.frame()["Name"].tolist() == names


def between_rows(sandbox: Sandbox, times: int):
    """Return an application that leaves out the last row of the first results of a batch."""
    left = iter(range(times))

    def application(environ, start_response):
        if "/result/752" in environ["PATH_INFO"] and next(left, None) is not None:
            head = {}
            answer = sandbox.app(
                environ, lambda status, headers, *_: head.update(status=status, headers=headers)
            )
            lines = b"".join(answer).splitlines(keepends=True)[:-1]
            headers = {**dict(head["headers"]), "Content-Length": str(sum(map(len, lines)))}
            start_response(head["status"], list(headers.items()))
            return lines
        return sandbox.app(environ, start_response)

    return application


@pytest.mark.parametrize("disk", [False, True])
def test_a_classic_page_cut_between_two_rows_is_asked_for_again(sandbox, tmp_path, disk):
    names = accounts(sandbox, 25)
    org = connect(sandbox, between_rows(sandbox, 4))

    query = org.query(SOQL, api="1.0", folder=tmp_path if disk else None)

    assert query.frame()["Name"].tolist() == names
    assert sum("/result/752" in path for _, path, _ in sandbox.requests) == 5


def test_a_classic_page_that_stays_cut_is_an_error(sandbox):
    accounts(sandbox, 25)
    org = connect(sandbox, between_rows(sandbox, 99))

    with pytest.raises(ReconcileError, match="found 25 records, its results hold 24"):
        org.query(SOQL, api="1.0").frame()


@pytest.mark.parametrize("kind", ["CSV", "JSON", "XML"])
def test_results_of_a_classic_query_are_as_many_as_the_server_counts(sandbox, kind):
    accounts(sandbox, 25)
    made = connect(sandbox).create_job("query", "Account", api="1.0", contentType=kind)
    made.upload(SOQL).close().wait()

    def miscounted(headers, body):
        return headers, re.sub(rb'(numberRecordsProcessed(>|"\s*:\s*))25', rb"\g<1>26", body)

    org = connect(sandbox, altered(sandbox, "/batch", miscounted))

    with pytest.raises(ReconcileError, match="found 26 records, its results hold 25"):
        org.job(made.id).results()


def test_the_answer_that_is_lost_to_a_query_sent_does_not_send_it_twice(sandbox, org):
    names = accounts(sandbox, 5)
    sandbox.faults.add(Fault("drop_after", method="POST", path="/batch$"))

    query = org.query(SOQL, api="1.0").wait()

    assert query.frame()["Name"].tolist() == names
    assert len(query.jobs[0].batches()) == 1


def test_a_classic_query_that_was_sent_twice_is_an_error(sandbox):
    accounts(sandbox, 5)

    def application(environ, start_response):
        if environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"].endswith("/batch"):
            again = environ | {"wsgi.input": io.BytesIO(SOQL.encode())}
            list(sandbox.app(again, lambda *_: None))
        return sandbox.app(environ, start_response)

    with pytest.raises(ReconcileError, match="more than once"):
        connect(sandbox, application).query(SOQL, api="1.0").wait()


def test_a_classic_query_goes_on_in_another_session(sandbox, org, tmp_path):
    names = accounts(sandbox, 25)
    # More than all tries of both other pages, which come side by side.
    faults = [Fault("drop_before", path="/result/752", nth=2 + n) for n in range(20)]
    sandbox.faults.add(*faults)
    with pytest.raises(UnreachableError):
        org.query(SOQL, api="1.0", pk_chunking={"chunkSize": 10}, folder=tmp_path).wait()
    sandbox.faults.clear()
    kept = len(list(tmp_path.rglob("*.arrow")))
    before = len(sandbox.requests)

    query = connect(sandbox).resume_query(tmp_path).wait()

    assert query.frame()["Name"].tolist() == names
    fetched = sum("/result/752" in path for _, path, _ in sandbox.requests[before:])
    assert fetched == 3 - kept < 3

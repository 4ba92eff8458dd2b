"""A query from SOQL to a frame: whole, in order, by few requests."""

from __future__ import annotations

import builtins
import itertools
import json
import threading

import pandas as pd
import polars
import pyarrow as pa
import pytest
from altered import accounts, altered, connect

import bulknb
from bulknb._jobs import QueryJob
from bulknb._jobs import query as query_module
from bulknb._query_plan import plan
from bulknb.errors import InputError, JobFailedError, ReconcileError, StillRunningError
from bulknb.sandbox import Fault, Sandbox

SOQL = "SELECT Id, Name, NumberOfEmployees FROM Account"


def asked(sandbox: Sandbox, word: str) -> int:
    return sum(word in path for _, path, _ in sandbox.requests)


@pytest.fixture
def names(sandbox) -> list[str]:
    return accounts(sandbox, 120)


def test_a_query_gives_the_whole_result_typed_and_in_order(org, names):
    frame = org.query(SOQL).frame()

    assert frame["Name"].tolist() == names
    assert [str(dtype) for dtype in frame.dtypes] == ["string", "string", "Int64"]
    assert frame["NumberOfEmployees"].tolist() == [8] * 120


def test_a_query_costs_a_describe_a_job_its_polls_and_a_request_for_each_page(org, sandbox, names):
    before = len(sandbox.requests)

    org.query(SOQL, page_rows=50).wait()

    paths = [path.rpartition("/")[2] for method, path, _ in sandbox.requests[before:]]
    assert paths[:2] == ["describe", "query"]
    assert paths[-3:] == ["results"] * 3
    assert set(paths[2:-3]) == {sandbox.requests[-1][1].split("/")[-2]}


def test_texts_alone_need_no_describe_and_come_as_they_were_sent(org, sandbox, names):
    before = len(sandbox.requests)

    frame = org.query(SOQL + " WHERE Name = 'Acme 007'", types=False).frame()

    assert "describe" not in str(sandbox.requests[before:])
    assert frame["NumberOfEmployees"].tolist() == ["8"]


@pytest.mark.parametrize("page_rows", [1, 7, 119, 120, 121])
def test_pages_of_any_size_add_up_to_the_same_result(org, names, page_rows):
    query = org.query(SOQL, page_rows=page_rows).wait()

    assert query.frame()["Name"].tolist() == names
    assert query.progress.pages == -(-120 // page_rows)


def test_an_empty_result_has_its_columns(org):
    frame = org.query(SOQL).frame()

    assert frame.empty
    assert [str(dtype) for dtype in frame.dtypes] == ["string", "string", "Int64"]


@pytest.fixture
def small_pages(monkeypatch) -> None:
    """Have the org cut its result pages after 10 rows, and the client know that it may."""
    monkeypatch.setattr("bulknb.sandbox.bulk2_query.PAGE_ROWS", 10)
    monkeypatch.setattr(query_module, "PAGE_ROWS", 10)


def test_many_pages_come_side_by_side_in_their_order(org, sandbox, names, small_pages):
    query = org.query(SOQL).wait()

    assert query.frame()["Name"].tolist() == names
    assert query.progress.pages == asked(sandbox, "/results") == 12
    assert asked(sandbox, "/resultPages") == 3  # five at a time


def test_two_pages_come_without_being_asked_for_where_they_are(org, sandbox, small_pages):
    names = accounts(sandbox, 20)

    assert org.query(SOQL).frame()["Name"].tolist() == names
    assert (asked(sandbox, "/resultPages"), asked(sandbox, "/results")) == (0, 2)


@pytest.mark.parametrize("word", ["resultLink", "nextRecordUrl"])
def test_either_spelling_of_the_keys_is_understood(sandbox, names, small_pages, word):
    old = {"resultLink": b"resultUrl", "nextRecordUrl": b"nextRecordsUrl"}[word]
    application = altered(
        sandbox, "resultPages", lambda headers, body: (headers, body.replace(old, word.encode()))
    )
    org = connect(sandbox, application)

    assert org.query(SOQL).frame()["Name"].tolist() == names
    assert asked(sandbox, "/resultPages") == 3


@pytest.mark.parametrize("version", ["57.0", "62.0"])
def test_without_result_pages_the_pages_come_in_turn(sandbox, names, small_pages, version):
    def application(environ, start_response):
        if environ["PATH_INFO"].endswith("resultPages"):
            start_response("404 Not Found", [("Content-Type", "application/json")])
            return [b'[{"errorCode": "NOT_FOUND", "message": "no such resource"}]']
        return sandbox.app(environ, start_response)

    org = connect(sandbox, application, version=version)

    assert org.query(SOQL).frame()["Name"].tolist() == names


def test_results_are_read_with_the_version_that_made_the_job(sandbox, names):
    job = connect(sandbox, version="58.0").query(SOQL).wait().jobs[0]

    found = connect(sandbox).job(job.id)

    assert found.results()["Name"].tolist() == names


def test_record_batches_come_in_order_and_hold_every_row(org, names):
    batches = list(org.query(SOQL, page_rows=50))

    assert [batch.num_rows for batch in batches] == [50, 50, 20]
    assert pa.Table.from_batches(batches)["Name"].to_pylist() == names


def test_an_arrow_table_has_the_types_of_the_describe(org, names):
    table = org.query("SELECT Name, AnnualRevenue, CreatedDate, IsDeleted FROM Account").arrow()

    assert table.schema.types == [
        pa.large_string(),
        pa.float64(),
        pa.timestamp("us", tz="UTC"),
        pa.bool_(),
    ]


def test_a_result_is_a_polars_frame_too(org, names):
    frame = org.query(SOQL).polars()

    assert isinstance(frame, polars.DataFrame)
    assert frame.schema["Name"] == polars.String
    assert frame["Name"].to_list() == names


def test_polars_is_named_when_it_is_missing(org, names, monkeypatch):
    imported = builtins.__import__

    def without_polars(name, *rest, **more):
        if name == "polars":
            raise ModuleNotFoundError(name=name)
        return imported(name, *rest, **more)

    query = org.query(SOQL).wait()
    monkeypatch.setattr(builtins, "__import__", without_polars)

    with pytest.raises(ModuleNotFoundError, match="pip install polars"):
        query.polars()


def test_query_all_finds_what_is_in_the_recycle_bin(org, names):
    first = org.query(SOQL + " LIMIT 1").frame()["Id"][0]
    org.create_job("delete", "Account").upload(f"Id\n{first}\n".encode()).close().wait()

    assert len(org.query(SOQL).frame()) == 119
    assert len(org.query(SOQL, all_rows=True).frame()) == 120


def test_parents_are_typed_by_their_own_describe(org):
    org.create_job("insert", "Account").upload(b"Name,AnnualRevenue\nAcme,1e9\n").close().wait()
    [account] = org.query("SELECT Id FROM Account").frame()["Id"]
    csv = f"LastName,AccountId\nDoe,{account}\nRoe,\n"
    org.create_job("insert", "Contact").upload(csv.encode()).close().wait()

    soql = "SELECT Contact.LastName, Account.AnnualRevenue, Owner.IsActive FROM Contact"
    frame = org.query(soql).frame()

    assert list(frame.columns) == ["LastName", "Account.AnnualRevenue", "Owner.IsActive"]
    assert frame["Account.AnnualRevenue"].tolist() == [1e9, pd.NA]
    assert str(frame["Owner.IsActive"].dtype) == "boolean"


def test_abort_aborts_the_job_and_the_query_says_so(sandbox):
    made = threading.Event()
    aborted = threading.Event()

    def application(environ, start_response):
        if environ["REQUEST_METHOD"] == "GET" and "/jobs/query/" in environ["PATH_INFO"]:
            made.set()
            aborted.wait(30)
        return sandbox.app(environ, start_response)

    query = connect(sandbox, application).query(SOQL)
    made.wait(30)
    query.abort()
    aborted.set()

    with pytest.raises(JobFailedError, match=r"(?i)abort"):
        query.wait(30)
    assert [job.refresh().state for job in query.jobs] == ["Aborted"]


def test_the_abort_of_a_query_changes_no_record_and_needs_no_words_in_production():
    with Sandbox(production=True) as production:
        query = production.connect(in_process=True).query(SOQL)
        query.abort()

        with pytest.raises(JobFailedError, match=r"(?i)abort"):
            query.wait(30)


def test_while_the_api_calls_are_used_up_a_query_pauses_and_goes_on(sandbox, names):
    spent = b'[{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "no calls left"}]'
    refused = []
    stages = []

    def application(environ, start_response):
        if "/jobs/query/" in environ["PATH_INFO"] and len(refused) < 3:
            refused.append(sandbox.clock.monotonic())
            start_response("403 Forbidden", [("Content-Type", "application/json")])
            return [spent]
        return sandbox.app(environ, start_response)

    query = planned(connect(sandbox, application))
    query.listen(lambda one: stages.append(one.progress.stage))

    assert query.start().frame()["Name"].tolist() == names
    assert "paused: API limit" in stages
    assert stages[-1] == "ended"
    assert min(b - a for a, b in itertools.pairwise(refused)) >= 60


def test_a_job_that_is_made_while_one_aborts_is_aborted_as_well(sandbox):
    query = None

    def application(environ, start_response):
        if environ["REQUEST_METHOD"] == "POST" and "/jobs/query" in environ["PATH_INFO"]:
            query.abort()
        return sandbox.app(environ, start_response)

    query = planned(connect(sandbox, application))

    with pytest.raises(JobFailedError, match=r"(?i)abort"):
        query.start().wait(30)
    assert [job.refresh().state for job in query.jobs] == ["Aborted"]


def planned(org: bulknb.Org) -> bulknb.Query:
    """Return a query that has yet to be started."""
    what = {"api": "2.0", "all_rows": False, "types": True, "page_rows": 10}
    return bulknb.Query(org._wire, plan(org._wire, SOQL, **what))


def test_abort_while_pages_come_ends_in_an_error_never_in_a_part(sandbox, names):
    query = None

    def application(environ, start_response):
        if "/results" in environ["PATH_INFO"] and query:
            query.abort()
        return sandbox.app(environ, start_response)

    query = planned(connect(sandbox, application))

    with pytest.raises(JobFailedError, match="aborted"):
        query.start().frame()


def test_waiting_may_end_before_the_query(sandbox):
    with Sandbox() as slow:
        query = slow.connect(in_process=True).query(SOQL)

        with pytest.raises(StillRunningError, match="goes on"):
            query.wait(0.01)
        assert query.wait(60).done


@pytest.mark.parametrize(
    ("reason", "advice"), [("QUERY_TIMEOUT: too long", "slices="), ("OTHER", "OTHER")]
)
def test_a_failed_job_is_an_error_with_the_servers_reason_and_a_way_out(sandbox, reason, advice):
    def failed(headers, body):
        job = json.loads(body) | {"state": "Failed", "errorMessage": reason}
        return headers, json.dumps(job).encode()

    org = connect(sandbox, altered(sandbox, "AAA", failed))

    with pytest.raises(JobFailedError, match=f"Failed: {reason}.*{advice}|Failed: {advice}$"):
        org.query(SOQL).frame()


def test_listeners_hear_of_the_pages_and_of_the_end_until_they_leave(org, names):
    heard = []
    query = org.query(SOQL, page_rows=50).wait()

    query.listen(lambda one: heard.append(one.progress))
    query.listen(gone := heard.append)
    query.unlisten(gone)

    assert [(now.stage, now.total, now.fetched, now.pages) for now in heard[:1]] == [
        ("ended", 120, 120, 3)
    ]


def test_a_query_reads_well_as_text_and_as_a_card(org, names):
    query = org.query(SOQL + " WHERE Name != '<b>'").wait()

    assert repr(query) == "<Query Account: ended, 120 rows>"
    card = query._repr_html_()
    assert query.info.id in card
    assert "120" in card
    assert "<b>" not in card
    assert query.history["number_records_processed"].tolist() == [120]


@pytest.mark.parametrize(
    ("soql", "said"),
    [
        ("SELECT COUNT() FROM Account", r"COUNT\(\): .*frame\.agg"),
        ("SELECT max(CreatedDate) last FROM Account", r"MAX\(\): .*frame\.agg"),
        ("SELECT Industry, SUM(AnnualRevenue) FROM Account GROUP BY Industry", r"SUM\(\): "),
        ("SELECT Industry FROM Account GROUP BY Industry", r"GROUP BY: .*frame\.groupby"),
        ("SELECT Industry FROM Account group\nby ROLLUP(Industry)", r"GROUP BY: .*frame\.groupby"),
        ("SELECT Id FROM Account LIMIT 5 OFFSET 5", r"OFFSET: .*frame\.iloc\[5:\]"),
        ("SELECT Id, (SELECT Id FROM Contacts) FROM Account", "children by themselves"),
        ("SELECT TYPEOF What WHEN Account THEN Name END FROM Event", "TYPEOF: .*Owner.Name"),
        ("SELECT Id FROM Account WHERE Name = 'O'Hara'", "quote"),
        ("SELECT Id FROM Account WHERE (Name = 'a'", "brackets"),
        ("SELECT FROM Account", "field"),
        ("SELECT Id FROM", "object"),
        ("UPDATE Account", "SELECT"),
        ("SELECT Id FROM Nothing", "Nothing"),
        ("SELECT Id FROM Account WHERE Name = '" + "x" * 100_000 + "'", "characters"),
        ("SELECT Body FROM Attachment", "binary"),
    ],
)
def test_what_the_bulk_api_does_not_answer_is_named_before_a_job_is_made(org, sandbox, soql, said):
    with pytest.raises(InputError, match=said):
        org.query(soql)
    assert "POST" not in {method for method, _, _ in sandbox.requests}


def test_words_in_texts_and_names_are_no_clauses(org, names):
    soql = "SELECT Id FROM Account WHERE Name = 'GROUP BY (OFFSET 5' OR Name = 'it\\'s COUNT()'"

    assert org.query(soql).frame().empty


def test_results_of_a_job_made_elsewhere_come_by_the_checked_way(org, sandbox, names):
    job = org.create_job("query", query=SOQL).wait()
    sandbox.faults.add(Fault("trunc_ok", path="/results"))

    assert org.job(job.id).results()["Name"].tolist() == names
    assert isinstance(job, QueryJob)


@pytest.mark.parametrize("kind", ["CSV", "JSON", "XML"])
def test_results_of_jobs_made_elsewhere_are_equal_texts_by_either_api(org, sandbox, names, kind):
    classic = org.create_job("query", "Account", api="1.0", contentType=kind)
    classic.upload(SOQL).close().wait()
    modern = org.create_job("query", query=SOQL, columnDelimiter="TAB", lineEnding="CRLF").wait()

    elsewhere = sandbox.connect(in_process=True)
    found = [elsewhere.job(job.id).results() for job in (modern, classic)]

    pd.testing.assert_frame_equal(found[0], found[1])
    assert found[0]["NumberOfEmployees"].tolist() == ["8"] * 120
    assert found[0]["Name"].tolist() == names


@pytest.mark.parametrize("more", [{}, {"api": "1.0"}])
def test_results_of_a_load_made_elsewhere_have_a_row_for_each_row_sent(org, sandbox, more):
    made = org.create_job("insert", "Account", **more).upload(b'Name\nAcme\n""\n').close().wait()

    results = sandbox.connect(in_process=True).job(made.id).results()

    errors = results["Error" if more else "sf__Error"].fillna("")
    assert [error[:22] for error in errors] == ["", "REQUIRED_FIELD_MISSING"]


def test_results_whose_count_stays_wrong_are_an_error(sandbox, names):
    sandbox.faults.add(*[Fault("wrong_count_header", path="/results") for _ in range(9)])
    job = sandbox.connect(in_process=True).create_job("query", query=SOQL).wait()

    with pytest.raises(ReconcileError, match=r"holds 120 rows, the server says 121"):
        job.results()


def test_a_small_result_needs_no_disk(org, names):
    query = org.query(SOQL, page_rows=50).wait()

    assert list(query.folder.rglob("*.*")) == []


def test_pages_that_find_no_room_in_memory_are_on_disk_until_the_query_is_gone(
    org, names, monkeypatch
):
    monkeypatch.setattr("bulknb._pages.ROOM_BYTES", 3_000)
    query = org.query(SOQL, page_rows=40).wait()
    folder = query.folder

    assert len(list(folder.rglob("*.arrow"))) == 2
    assert query.frame()["Name"].tolist() == names
    assert [batch.num_rows for batch in query] == [40, 40, 40]

    del query

    assert not folder.exists()


@pytest.mark.parametrize("small", [1, 999, 1_000_000])
def test_a_large_page_goes_through_a_file(org, names, monkeypatch, small):
    monkeypatch.setattr("bulknb._pages._SMALL_BYTES", small)
    monkeypatch.setattr("bulknb._wire._PIECE_BYTES", 300)
    query = org.query(SOQL).wait()

    assert query.frame()["Name"].tolist() == names
    kept = [path.suffix for path in query.folder.rglob("*.*")]
    assert kept == ([".arrow"] if small < 1_000_000 else [])

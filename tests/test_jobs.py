"""One body over the dialects, where a verb is the same; then what is not."""

from __future__ import annotations

import pytest

from bulknb import Job
from bulknb._jobs import ClassicJob, IngestJob, QueryJob
from bulknb.errors import (
    InputError,
    InvalidJobStateError,
    NotFoundError,
    StillRunningError,
)

CSV = b"Name\nAcme\nGlobex\n"
SOQL = "SELECT Id, Name FROM Account"


def classic(org) -> Job:
    return org.create_job("insert", "Account", api="1.0")


def ingest(org) -> Job:
    return org.create_job("insert", "Account")


def query(org) -> Job:
    return org.create_job("query", query=SOQL)


DIALECTS = pytest.mark.parametrize("create", [classic, ingest, query])


@DIALECTS
def test_a_created_job_knows_who_and_what_it_is(org, create):
    job = create(org)

    assert job.id.startswith("750")
    assert job.object == "Account"
    assert job.state == ("UploadComplete" if isinstance(job, QueryJob) else "Open")
    assert job.info.created_date is not None
    assert not job.done


@DIALECTS
def test_any_job_is_found_again_by_its_id_of_15_or_18(org, create):
    job = create(org)

    for id in (job.id, job.id[:15]):
        found = org.job(id)
        assert type(found) is type(job)
        assert found.id == job.id


@DIALECTS
def test_abort_sends_each_dialects_own_request(org, sandbox, create):
    job = create(org)
    before = len(sandbox.requests)

    job.abort()

    [(method, path, status)] = sandbox.requests[before:]
    assert (method, status) == ({"Classic": "POST"}.get(job.job_type, "PATCH"), 200)
    assert path.endswith(job.id)
    assert job.state == "Aborted"
    assert job.done


@DIALECTS
def test_an_illegal_abort_arrives_with_the_servers_words_and_the_states_that_allow_it(org, create):
    job = create(org)
    job.abort()

    with pytest.raises(InvalidJobStateError) as refused:
        job.abort()

    assert refused.value.code.upper() == "INVALIDJOBSTATE"
    assert refused.value.server_message
    assert f"Job {job.id} is Aborted; only " in str(refused.value)
    assert all(state in str(refused.value) for state in job.info.states.abort)


@DIALECTS
def test_watching_never_changes_a_job(org, sandbox, create):
    job = create(org)
    before = len(sandbox.requests)

    job.refresh()
    repr(job)
    if not isinstance(job, QueryJob):
        with pytest.raises(StillRunningError, match="goes on"):
            job.wait(timeout=5)

    assert {method for method, _, _ in sandbox.requests[before:]} == {"GET"}


@pytest.mark.parametrize(
    ("create", "word", "method"),
    [(classic, "Closed", "POST"), (ingest, "UploadComplete", "PATCH")],
)
def test_close_sends_each_dialects_own_word(org, sandbox, create, word, method):
    job = create(org).upload(CSV)

    job.close()

    assert job.state == word
    assert sandbox.requests[-1][0] == method


@pytest.mark.parametrize("create", [classic, ingest])
def test_a_job_runs_to_its_end_with_times_that_nest(org, create):
    job = create(org).upload(CSV).close().wait()

    info = job.info
    assert info.number_records_processed == 2
    assert info.number_records_failed == 0
    assert (
        0
        <= info.apex_processing_time_ms
        <= info.api_active_processing_time_ms
        <= info.total_processing_time_ms
    )
    assert info.total_processing_time_ms > 0


@pytest.mark.parametrize("create", [classic, ingest])
def test_a_closed_job_cannot_be_closed_again(org, create):
    job = create(org).upload(CSV).close()

    with pytest.raises(InvalidJobStateError, match="only Open jobs can be closed"):
        job.close()


def test_a_refusal_lists_the_states_as_one_says_them(org):
    job = ingest(org).abort()

    with pytest.raises(InvalidJobStateError, match="only Open, UploadComplete or InProgress jobs"):
        job.abort()


def test_a_query_job_is_not_closed(org, sandbox):
    job = query(org)
    before = len(sandbox.requests)

    with pytest.raises(InputError, match="starts closed"):
        job.close()
    assert len(sandbox.requests) == before


def test_a_query_comes_back_whole_over_pages(org):
    ingest(org).upload(b"Name\n" + b"".join(b"A%d\n" % n for n in range(25))).close().wait()

    job = query(org).wait()
    pages = list(job.pages(rows=10))

    assert [len(page) for page in pages] == [10, 10, 5]
    assert sorted(job.results()["Name"]) == sorted(f"A{n}" for n in range(25))


def test_results_of_a_query_that_runs_are_not_there_yet(org):
    with pytest.raises(StillRunningError, match="wait"):
        query(org).results()


def test_results_of_ingest_have_an_outcome_for_each_row(org):
    job = org.create_job("insert", "Contact").upload(b"LastName,FirstName\nDoe,Jo\n,Al\n")

    results = job.close().wait().results()

    assert sorted(results["outcome"]) == ["failed", "success"]
    failed = results[results["outcome"] == "failed"].iloc[0]
    assert failed["sf__Error"].startswith("REQUIRED_FIELD_MISSING:")
    assert failed["FirstName"] == "Al"


def test_a_second_upload_never_leaves_the_machine(org, sandbox):
    job = ingest(org).upload(CSV)
    before = len(sandbox.requests)

    with pytest.raises(InputError, match="one upload"):
        job.upload(CSV)
    assert len(sandbox.requests) == before


def test_batches_of_a_classic_job_give_results_in_the_order_sent(org):
    job = classic(org)
    first = job.add_batch(b"Name,Phone\nB,1\nA,2\n")
    second = job.add_batch(b"Name,Phone\n,1\nC,2\n")

    results = job.close().wait().results()

    assert {batch.id for batch in job.batches()} == {first.id, second.id}
    of_second = results[results["batch_id"] == second.id]
    assert of_second["Success"].tolist() == ["false", "true"]


@pytest.mark.parametrize("kind", ["JSON", "XML"])
def test_results_of_a_classic_job_of_another_tool_are_read(org, kind):
    job = org.create_job("insert", "Contact", api="1.0", contentType=kind)
    body = {
        "JSON": b'[{"LastName": "Doe"}, {"FirstName": "Al"}]',
        "XML": b'<sObjects xmlns="http://www.force.com/2009/06/asyncapi/dataload">'
        b"<sObject><LastName>Doe</LastName></sObject>"
        b"<sObject><FirstName>Al</FirstName></sObject></sObjects>",
    }[kind]
    job._request(
        "POST", "/batch", body=body, content_type=f"application/{kind.lower()}", expect=(201,)
    )

    results = job.close().wait().results()

    assert results["Success"].tolist() == ["true", "false"]
    assert results["Error"][1].startswith("REQUIRED_FIELD_MISSING:")
    assert results["Error"][1].endswith(":LastName --")


def test_a_classic_query_is_read_back(org):
    ingest(org).upload(CSV).close().wait()
    job = org.create_job("query", "Account", api="1.0").upload(SOQL.encode()).close().wait()

    assert sorted(job.results()["Name"]) == ["Acme", "Globex"]


def test_delete_removes_an_ended_job_and_refuses_an_open_one(org):
    job = ingest(org)
    with pytest.raises(Exception, match="deleted"):
        job.delete()
    job.abort().delete()

    with pytest.raises(NotFoundError):
        org.job(job.id)


def test_a_classic_job_has_no_delete(org):
    with pytest.raises(InputError, match="seven days"):
        classic(org).delete()


@pytest.mark.parametrize("id", ["", "751xx0000000001AAA", "750/../x", "750xx", "../../etc/passwd"])
def test_what_is_no_job_id_is_never_asked_for(org, sandbox, id):
    before = len(sandbox.requests)

    with pytest.raises(InputError):
        org.job(id)
    assert len(sandbox.requests) == before


def test_a_job_reads_well_as_text(org):
    job = ingest(org).upload(CSV).close().wait()

    assert repr(job).startswith(f"<Job {job.id} insert Account: JobComplete, 2")


def test_jobs_lists_every_dialect_once_with_times(org):
    made = [
        classic(org).close().wait(),
        ingest(org).upload(CSV).close().wait(),
        query(org).wait(),
        ingest(org),
    ]

    jobs = org.jobs()

    assert {job.id for job in made} <= {job.id for job in jobs}
    assert len({job.id for job in jobs}) == len(jobs)
    frame = jobs.frame.set_index("id")
    assert frame.loc[made[1].id, "total_processing_time_ms"] > 0
    assert [type(org.job(job.id)) for job in made] == [ClassicJob, IngestJob, QueryJob, IngestJob]
    assert [job.id for job in org.jobs(state="Open", job_type="V2Ingest")] == [made[3].id]


def test_listing_without_times_costs_the_two_lists_alone(org, sandbox):
    ingest(org)
    before = len(sandbox.requests)

    frame = org.jobs(times=False).frame

    assert len(sandbox.requests) == before + 2
    assert frame["total_processing_time_ms"].isna().all()


def test_last_leaves_out_older_jobs(org, sandbox):
    old = ingest(org)
    sandbox.clock.advance(3 * 86_400)
    new = ingest(org)

    assert new.id in {job.id for job in org.jobs(last="2d")}
    assert old.id not in {job.id for job in org.jobs(last="2d")}
    with pytest.raises(InputError, match="7d"):
        org.jobs(last="a while")

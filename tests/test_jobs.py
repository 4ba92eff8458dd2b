"""One body over the dialects, where a verb is the same; then what is not."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

import bulknb
from bulknb import Job
from bulknb._jobs import BigObjectJob, ClassicJob, IngestJob, QueryJob, job_from_info
from bulknb.errors import (
    BulkError,
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

    [*asked, (method, path, status)] = sandbox.requests[before:]
    assert [method for method, _, _ in asked] == ["GET"]  # what kind of org it is
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


def test_delete_removes_an_ended_job_and_refuses_an_open_one(org):
    job = ingest(org)
    with pytest.raises(Exception, match="deleted"):
        job.delete()
    job.abort().delete()

    with pytest.raises(NotFoundError):
        org.job(job.id)


VERBS = {
    "upload": lambda job: job.upload(SOQL if job.operation == "query" else CSV),
    "add_batch": lambda job: job.add_batch(CSV),
    "refresh": lambda job: job.refresh(),
    "close": lambda job: job.close(),
    "wait": lambda job: job.wait(),
    "batches": lambda job: job.batches(),
    "batch": lambda job: job.batch(job.batches()[0].id),
    "batch_request": lambda job: job.batch_request(job.batches()[0].id),
    "batch_results": lambda job: job.batch_results(job.batches()[0].id),
    "results": lambda job: job.results(),
    "result_pages": lambda job: job.result_pages(),
    "abort": lambda job: job.abort(),
    "delete": lambda job: job.delete(),
}
LACKS = {
    "Classic": {"result_pages", "delete"},
    "V2Ingest": {"add_batch", "batches", "batch_request", "result_pages"},
    "V2Query": {"upload", "add_batch", "close", "batches", "batch_request"},
}


@DIALECTS
def test_every_verb_does_its_work_or_says_what_to_do_instead(org, sandbox, create):
    job, refused = create(org), {}
    for verb, act in VERBS.items():
        if verb == "abort":  # the first job has run to its end
            job = create(org)
        before = len(sandbox.requests)
        try:
            act(job)
        except InputError as error:
            refused[verb] = str(error)
            assert len(sandbox.requests) == before, verb

    assert set(refused) == LACKS[job.job_type] | (
        set() if job.job_type == "Classic" else {"batch", "batch_results"}
    )
    assert all(len(words) > 40 and words[-1] != "." for words in refused.values())
    if job.job_type != "Classic":
        with pytest.raises(NotFoundError):
            org.job(job.id)


def test_a_frame_is_uploaded_as_it_is(org, sandbox):
    frame = pd.DataFrame({"Name": ["Acme", "Été"], "NumberOfEmployees": [1, 2]})

    for job in (classic(org), ingest(org)):
        assert job.upload(frame).close().wait().info.number_records_processed == 2

    assert [record["Name"] for record in sandbox.records("Account")] == ["Acme", "Été"] * 2


def test_a_frame_is_not_written_with_a_delimiter_that_the_job_does_not_expect(org, sandbox):
    job = org.create_job("insert", "Account", columnDelimiter="PIPE")
    before = len(sandbox.requests)

    with pytest.raises(InputError, match="this job wants PIPE"):
        job.upload(pd.DataFrame({"Name": ["Acme"]}))
    assert len(sandbox.requests) == before
    assert job.upload("Name|Phone\nAcme|1\n").close().wait().info.number_records_failed == 0


def test_an_upload_that_no_job_takes_stays_here(org, sandbox):
    job = ingest(org)
    before = len(sandbox.requests)

    with pytest.raises(InputError, match="several jobs"):
        job.upload(b"x" * 100_000_001)
    with pytest.raises(InputError, match="ZIP_CSV"):
        job.upload(CSV, files={"a.txt": b"a"})
    assert len(sandbox.requests) == before


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"operation": "Insert"}, "did you mean 'insert'"),
        ({"operation": "upsert"}, "external_id="),
        ({"operation": "insert", "external_id": "ExternalId__c"}, "is for upsert"),
        ({"operation": "insert", "column_delimiter": "PIPE"}, "did you mean 'columnDelimiter'"),
        ({"operation": "insert", "columnDelimiter": "pipe"}, "did you mean 'PIPE'"),
        ({"operation": "insert", "lineEnding": "CR"}, "It is LF or CRLF"),
        ({"operation": "insert", "assignmentRuleId": "Standard"}, "begins with 01Q"),
        ({"operation": "insert", "colour": "red"}, r"properties=\{"),
        ({"operation": "insert", "concurrencyMode": "Serial"}, "no property"),
        (
            {"operation": "insert", "headers": {"Sforce-Line-Ending": "LF"}},
            "no header of a V2Ingest",
        ),
        ({"operation": "insert", "pk_chunking": True}, "1.0"),
        ({"operation": "query", "query": SOQL}, "no property 'object'"),
        ({"operation": "insert", "object": None}, "needs object="),
        ({"operation": "query", "object": None}, "needs query="),
        ({"operation": "insert", "api": "2"}, "api is"),
        ({"operation": "insert", "api": "1.0", "contentType": "csv"}, "did you mean 'CSV'"),
        ({"operation": "insert", "api": "1.0", "columnDelimiter": "PIPE"}, "no property"),
        ({"operation": "insert", "api": "1.0", "pk_chunking": True}, "for query and queryAll"),
        ({"operation": "query", "api": "1.0", "query": SOQL}, "as a batch"),
        (
            {"operation": "query", "api": "1.0", "pk_chunking": {"chunksize": 5}},
            "did you mean 'chunkSize'",
        ),
        ({"operation": "query", "api": "1.0", "pk_chunking": {"chunkSize": 250_001}}, "250,000"),
        ({"operation": "query", "api": "1.0", "pk_chunking": {"parent": "A; x=1"}}, "parent is"),
        ({"operation": "query", "api": "1.0", "pk_chunking": {"startRow": "x"}}, "startRow"),
        (
            {"operation": "query", "api": "1.0", "headers": {"Sforce-PKChunking": "true"}},
            "did you mean 'Sforce-Enable-PKChunking'",
        ),
        (
            {"operation": "query", "api": "1.0", "headers": {"Sforce-Call-Options": "a\r\nb: c"}},
            "one line",
        ),
    ],
)
def test_what_a_job_cannot_be_made_with_is_said_before_anything_is_sent(
    org, sandbox, wanted, words
):
    before = len(sandbox.requests)

    with pytest.raises(InputError, match=words):
        org.create_job(**{"object": "Account", **wanted})
    assert len(sandbox.requests) == before


def test_a_property_of_the_future_is_sent_as_it_is(org):
    with pytest.raises(BulkError) as refused:
        org.create_job("insert", "Account", api="1.0", properties={"newIn80": "yes"})

    assert "NewIn80 cannot be specified" in str(refused.value)


def test_every_property_of_the_guides_arrives(org):
    job = org.create_job(
        "upsert",
        "Lead",
        external_id="ExternalId__c",
        contentType="CSV",
        columnDelimiter="SEMICOLON",
        lineEnding="CRLF",
        assignmentRuleId="01Qxx0000000001",
    ).refresh()

    assert job.info.external_id_field_name == "ExternalId__c"
    assert (job.info.column_delimiter, job.info.line_ending) == ("SEMICOLON", "CRLF")
    assert job.info.assignment_rule_id == "01Qxx0000000001"


@pytest.mark.parametrize(
    "id",
    [
        *("", "751xx0000000001AAA", "750/../x", "750xx", "../../etc/passwd"),
        *("750xx00000000Ö1", "750xx000000000\uff11"),
    ],
)
def test_what_is_no_job_id_is_never_asked_for(org, sandbox, id):
    before = len(sandbox.requests)

    with pytest.raises(InputError):
        org.job(id)
    assert len(sandbox.requests) == before


@pytest.mark.parametrize("mangle", [str.lower, str.upper, lambda id: f"{id[:14]}9{id[15:17]}Z"])
def test_an_id_whose_case_was_lost_is_never_asked_for(org, sandbox, mangle):
    before = len(sandbox.requests)

    with pytest.raises(InputError, match="Copy it anew"):
        org.job(mangle("750xx000000aBcDAAU"))
    assert len(sandbox.requests) == before


@DIALECTS
def test_finding_a_job_costs_few_requests(org, sandbox, create):
    job = create(org)
    before = len(sandbox.requests)

    found = org.job(job.id)

    requests = {"V2Ingest": 1, "V2Query": 2, "Classic": 2}
    assert len(sandbox.requests) - before == requests[job.job_type]
    assert found.info.api_version == "62.0"
    assert (found.info.number_batches_total == 0) == (job.job_type == "Classic")


def test_a_job_of_a_kind_to_come_is_read_and_never_changed(org, sandbox):
    known = ingest(org)
    job = job_from_info(org._wire, replace(known.info, job_type="V3Ingest"))
    before = len(sandbox.requests)

    for verb, act in VERBS.items():
        if verb not in ("refresh", "wait"):
            with pytest.raises(InputError, match=r"kind of job|V3Ingest"):
                act(job)
    assert len(sandbox.requests) == before
    assert job.refresh().state == "Open"


def test_a_big_object_job_is_read_uploaded_to_closed_and_aborted_as_ingest_is(org):
    made = ingest(org)
    job = job_from_info(org._wire, replace(made.info, job_type="BigObjectIngest"))

    assert isinstance(job, BigObjectJob)
    assert job.upload(CSV).close().state == "UploadComplete"
    assert job.abort().refresh().state == "Aborted"


def test_the_pages_of_a_query_are_told_apart_by_their_locators(org):
    rows = 50_001
    ingest(org).upload(b"Name\n" + b"A\n" * rows).close().wait()

    job = query(org)
    with pytest.raises(StillRunningError, match="wait"):
        job.result_pages()
    first, second = job.wait().result_pages()

    assert first
    assert second not in ("", first)


def test_pages_are_not_asked_of_a_version_that_has_none(sandbox):
    org = bulknb.connect(
        instance_url=sandbox.url,
        access_token=sandbox.token,
        api_version="57.0",
        transport=sandbox.app,
        clock=sandbox.clock,
    )

    with pytest.raises(InputError, match=r"pages\(\) reads"):
        query(org).result_pages()


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

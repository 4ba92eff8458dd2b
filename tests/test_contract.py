"""What the API promises: one body per verb and dialect, for the sandbox and for a real org.

Against the sandbox unless BULKNB_TEST_ORG is the alias of a login of the Salesforce CLI: see
docs/contract.md. Nothing here knows which of the two it talks to.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pandas as pd
import pytest

import bulknb
from bulknb import Job
from bulknb._jobs import is_production
from bulknb.errors import ApiError, InvalidJobStateError, NotFoundError
from bulknb.sandbox import ManualClock, Sandbox

pytestmark = pytest.mark.contract

ALIAS = os.environ.get("BULKNB_TEST_ORG")
APIS = pytest.mark.parametrize("api", ["1.0", "2.0"])
DIALECTS = pytest.mark.parametrize("kind", ["Classic", "V2Ingest", "V2Query"])
LONGEST = 900  # seconds that a job of a few rows may take


@pytest.fixture(scope="module")
def org() -> Iterator[bulknb.Org]:
    if ALIAS:
        org = bulknb.connect(ALIAS)
        if is_production(org._wire):
            pytest.fail("BULKNB_TEST_ORG is a production org: take a sandbox or a scratch org")
        yield org
        return
    with Sandbox(clock=ManualClock(), seed=3) as sandbox:
        yield sandbox.connect(in_process=True)


@pytest.fixture(scope="module")
def marker(org) -> Iterator[str]:
    """Begin the names of all records made here, and take away what bears them at the end."""
    marker = f"bulknb contract {uuid.uuid4().hex[:12]}"
    yield marker
    ids = query(org, f"SELECT Id FROM Account WHERE Name LIKE '{marker}%'").results()
    if len(ids):
        org.load(ids[["Id"]], "Account", "delete").wait(LONGEST)
    assert query(org, f"SELECT Id FROM Account WHERE Name LIKE '{marker}%'").results().empty


@pytest.fixture
def create(org, marker) -> Iterator[Callable[[str], Job]]:
    """Make jobs, and leave none behind that is still open."""
    made = []

    def run(kind: str) -> Job:
        if kind == "V2Query":
            job = org.create_job("query", query="SELECT Id, Name FROM Account")
        else:
            job = org.create_job("insert", "Account", api="1.0" if kind == "Classic" else "2.0")
        made.append(job)
        return job

    yield run
    for job in made:
        if job.info.can_abort:
            job.abort()


@pytest.fixture
def insert(org, marker) -> Callable[..., Job]:
    """Run a job that inserts two accounts and refuses one, which has no name."""

    def run(api: str, tail: str = "") -> Job:
        frame = pd.DataFrame({"Name": [f"{marker} {tail} é", None, f"{marker} {tail} 2"]})
        frame["Description"] = ['quote " and , comma', "no name", "two\nlines"]
        return org.create_job("insert", "Account", api=api).upload(frame).close().wait(LONGEST)

    return run


def query(org: bulknb.Org, soql: str) -> Job:
    return org.create_job("query", query=soql).wait(LONGEST)


@DIALECTS
def test_a_job_is_created_and_describes_itself(create, kind):
    job = create(kind)

    assert job.state == ("UploadComplete" if kind == "V2Query" else "Open")
    assert len(job.id) == 18
    info = job.refresh().info
    assert (info.job_type, info.object) == (kind, "Account")
    assert info.created_by_id.startswith("005")
    assert info.created_date <= info.system_modstamp


@DIALECTS
def test_a_job_is_found_by_its_id_of_15_and_18(org, create, kind):
    job = create(kind)

    assert [org.job(id).info.job_type for id in (job.id, job.id[:15])] == [kind, kind]


@DIALECTS
def test_a_job_is_in_the_lists_with_its_kind(org, create, kind):
    job = create(kind)

    listed = {each.id: each.info.job_type for each in org.jobs(times=False, last="1h")}

    assert listed[job.id] == kind


@APIS
def test_rows_are_saved_or_refused_one_by_one(insert, api):
    job = insert(api, api)

    info = job.info
    assert (info.number_records_processed, info.number_records_failed) == (3, 1)
    times = (
        info.apex_processing_time_ms,
        info.api_active_processing_time_ms,
        info.total_processing_time_ms,
    )
    assert sorted(times) == list(times)
    results = job.results()
    errors = results["Error" if api == "1.0" else "sf__Error"].fillna("")
    assert sum(error.startswith("REQUIRED_FIELD_MISSING:") for error in errors) == 1
    assert sum(error == "" for error in errors) == 2


def test_batches_are_listed_and_told_with_what_was_sent(create, marker):
    job = create("Classic")
    sent = [f'"Name"\n"{marker} batch {number}"\n' for number in range(2)]
    made = [job.add_batch(text) for text in sent]
    job.close().wait(LONGEST)

    assert {batch.id for batch in job.batches()} == {batch.id for batch in made}
    assert [job.batch_request(batch.id).decode() for batch in made] == sent
    assert [job.batch(batch.id).state for batch in made] == ["Completed"] * 2
    assert [job.batch_results(batch.id)["Success"].tolist() for batch in made] == [["true"]] * 2


@pytest.mark.parametrize("content_type", ["CSV", "JSON", "XML"])
def test_batches_are_taken_in_every_format(org, marker, content_type):
    frame = pd.DataFrame({"Name": [f"{marker} {content_type} <&>"], "NumberOfEmployees": [7]})

    job = org.create_job("insert", "Account", api="1.0", contentType=content_type)
    results = job.upload(frame).close().wait(LONGEST).results()

    assert results["Error"].tolist() == [""]
    saved = query(
        org, f"SELECT Name, NumberOfEmployees FROM Account WHERE Id = '{results['Id'][0]}'"
    )
    assert saved.results().values.tolist() == [[frame["Name"][0], "7"]]


def test_files_are_attached(org, marker):
    account = org.create_job("insert", "Account", api="1.0").upload(f"Name\n{marker} file\n")
    parent = account.close().wait(LONGEST).results()["Id"][0]
    frame = pd.DataFrame({"Name": ["a.bin"], "ParentId": [parent], "Body": [bytes(range(256))]})

    job = org.create_job("insert", "Attachment", api="1.0", contentType="ZIP_CSV")
    results = job.upload(frame, files="Body").close().wait(LONGEST).results()

    assert results["Error"].tolist() == [""]


@pytest.mark.parametrize("content_type", ["CSV", "JSON", "XML", "2.0"])
def test_a_query_gives_the_same_rows_in_every_format(org, insert, marker, content_type):
    insert("2.0", f"query {content_type}")
    like = f"{marker} query {content_type}%"
    soql = f"SELECT Id, Name, Description FROM Account WHERE Name LIKE '{like}' ORDER BY Name"

    if content_type == "2.0":
        job = query(org, soql)
    else:
        job = org.create_job("query", "Account", api="1.0", contentType=content_type)
        job.upload(soql).close().wait(LONGEST)

    rows = job.results()
    assert sorted(rows["Description"]) == ['quote " and , comma', "two\nlines"]
    assert rows["Id"].str.len().tolist() == [18, 18]


def test_a_query_is_cut_into_chunks(org, insert, marker):
    insert("2.0", "chunks")
    soql = f"SELECT Id, Name FROM Account WHERE Name LIKE '{marker} chunks%'"
    job = org.create_job("query", "Account", api="1.0", pk_chunking={"chunkSize": 250_000})
    job.upload(soql)

    while job.batches()[0].state in ("Queued", "InProgress"):
        org._wire.clock.sleep(5)
    job.close().wait(LONGEST)

    assert job.batches().frame["chunked_parent"].sum() == 1
    assert len(job.results()) == 2


WAYS = {
    "2.0": {},
    "paged": {"page_rows": 1},
    "sliced": {"slices": "CreatedDate"},
    "1.0": {"api": "1.0"},
    "chunked": {"api": "1.0", "pk_chunking": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_result_is_whole_and_typed_whichever_way_it_comes(org, insert, marker, way):
    insert("2.0", f"way {way}")
    soql = f"SELECT Id, Name, CreatedDate FROM Account WHERE Name LIKE '{marker} way {way}%'"

    frame = org.query(soql, **WAYS[way]).wait(LONGEST).frame()

    assert sorted(frame["Name"]) == [f"{marker} way {way} 2", f"{marker} way {way} é"]
    assert str(frame["CreatedDate"].dtype) == "datetime64[us, UTC]"


def test_the_pages_of_a_result_are_told(org, insert, marker):
    insert("2.0", "pages")
    job = query(org, f"SELECT Name FROM Account WHERE Name LIKE '{marker} pages%'")

    assert len(job.result_pages()) == 1
    assert [len(page) for page in job.pages(rows=1)] == [1, 1]


@pytest.mark.parametrize("kind", ["Classic", "V2Ingest"])
def test_a_job_is_closed_once(create, kind):
    job = create(kind).upload("Name\n")
    job.close()

    with pytest.raises(InvalidJobStateError) as refused:
        job.close()
    assert refused.value.server_message


@pytest.mark.parametrize("kind", ["Classic", "V2Ingest"])
def test_an_open_job_is_aborted_once(create, kind):
    job = create(kind).abort()

    assert job.refresh().state == "Aborted"
    with pytest.raises(InvalidJobStateError):
        job.abort()


@APIS
def test_a_job_that_is_done_cannot_be_aborted(insert, api):
    job = insert(api, f"done {api}")

    with pytest.raises(InvalidJobStateError):
        job.abort()


def test_data_for_a_closed_job_are_refused(create):
    for kind in ("Classic", "V2Ingest"):
        job = create(kind).upload("Name\n").close()
        again = bulknb.Org(job._wire).job(job.id)
        with pytest.raises(ApiError):
            again.upload("Name\n")


@pytest.mark.parametrize("kind", ["V2Ingest", "V2Query"])
def test_a_job_that_ended_is_deleted(org, create, kind):
    job = create(kind)
    job = job.wait(LONGEST) if kind == "V2Query" else job.abort()

    job.delete()

    with pytest.raises(NotFoundError):
        org.job(job.id)


def test_an_id_that_is_nobodys_is_not_found(org):
    with pytest.raises(NotFoundError):
        org.job("750000000000001")

"""PK chunking of Bulk API 1.0 queries."""

import re

import pytest

JOBS = "async/62.0/job"
SOQL = "SELECT Name FROM Account"


@pytest.fixture
def accounts(load, sandbox):
    """Twenty-five accounts; of the first ten, every other one is deleted."""
    load("Name\n" + "".join(f"A{row}\n" for row in range(25)))
    doomed = [record["Id"] for record in sandbox.records("Account")[:10:2]]
    load("\n".join(["Id", *doomed, ""]), operation="delete")
    return sandbox.records("Account")


@pytest.fixture
def create(api):
    def run(header, operation="query", object="Account"):
        wanted = {"operation": operation, "object": object, "contentType": "CSV"}
        headers = {"Sforce-Enable-PKChunking": header}
        return api("POST", JOBS, json=wanted, headers=headers)

    return run


@pytest.fixture
def query(api, create, sandbox):
    """Run a chunked query; return its job and its batches as (id, state)."""

    def run(header, soql=SOQL, **more):
        job = create(header, **more).json["id"]
        assert api("POST", f"{JOBS}/{job}/batch", data=soql).status_code == 201
        sandbox.clock.advance(60)
        listed = api("GET", f"{JOBS}/{job}/batch").text
        found = re.findall(r"<id>(.*?)</id>.*?<state>(.*?)</state>", listed, re.DOTALL)
        return job, found

    return run


def rows(api, job, batch):
    listed = api("GET", f"{JOBS}/{job}/batch/{batch}/result").text
    result = re.search("<result>(.*)</result>", listed)[1]
    text = api("GET", f"{JOBS}/{job}/batch/{batch}/result/{result}").text
    return [line.strip('"') for line in text.splitlines()[1:]]


def test_chunks_follow_a_batch_that_is_not_processed(api, accounts, query):
    job, [(parent, state), *chunks] = query("chunkSize=10;")
    assert state == "NotProcessed"
    assert [state for _, state in chunks] == ["Completed"] * 3
    found = [rows(api, job, chunk) for chunk, _ in chunks]
    assert [len(names) for names in found] == [5, 10, 5]
    assert [name for names in found for name in names] == [row["Name"] for row in accounts]
    refused = api("GET", f"{JOBS}/{job}/batch/{parent}/result").text
    assert "<exceptionMessage>Records not processed</exceptionMessage>" in refused


def test_the_chunks_are_shown_as_the_queries_that_they_are(api, accounts, query):
    job, [_, (first, _), *_] = query("chunkSize=10", f"{SOQL} where Name != 'A1' or Name = 'x'")
    assert api("GET", f"{JOBS}/{job}/batch/{first}/request").text == (
        "SELECT Name FROM Account WHERE (Name != 'A1' or Name = 'x')"
        " AND Id >= '001xx0000000001' AND Id < '001xx000000000B'"
    )
    assert rows(api, job, first) == ["A3", "A5", "A7", "A9"]


def test_chunks_of_a_query_of_all_records_hold_deleted_ones(api, accounts, query):
    job, [_, *chunks] = query("true; chunkSize=20", operation="queryAll")
    assert [len(rows(api, job, chunk)) for chunk, _ in chunks] == [20, 5]


def test_chunks_begin_at_the_start_row(api, accounts, query):
    start = accounts[-7]["Id"]
    job, [_, *chunks] = query(f"chunkSize=5; startRow={start[:15]}")
    found = [name for chunk, _ in chunks for name in rows(api, job, chunk)]
    assert found == [account["Name"] for account in accounts[-7:]]
    job, [_, (chunk, _)] = query("startRow=001zz0000000001")
    assert rows(api, job, chunk) == []


@pytest.mark.parametrize("header", ["true", "TRUE", "chunkSize=250000"])
def test_few_records_are_one_chunk(api, accounts, query, header):
    job, [_, (chunk, _)] = query(header)
    assert len(rows(api, job, chunk)) == 20


def test_no_records_are_one_chunk_as_well(api, query):
    job, batches = query("true")
    assert [state for _, state in batches] == ["NotProcessed", "Completed"]
    assert rows(api, job, batches[1][0]) == []


def test_chunks_can_be_of_the_parents_ids(api, load, accounts, query):
    lines = [f"F{row},{account['Id']},QQ==" for row, account in enumerate(accounts)]
    load("\n".join(["Name,ParentId,Body", *lines, ""]), "Attachment")
    soql = "SELECT Name FROM Attachment"
    job, [_, *chunks] = query("chunkSize=10; parent=Account", soql, object="Attachment")
    assert [len(rows(api, job, chunk)) for chunk, _ in chunks] == [5, 10, 5]


@pytest.mark.parametrize(
    "header",
    [
        *("chunkSize=0", "chunkSize=250001", "chunkSize=many", "maybe", "size=5"),
        *("startRow=1", "parent=Nope", "parent=Contact"),
    ],
)
def test_a_header_that_makes_no_sense_makes_no_job(api, create, header):
    answer = create(header)
    assert (answer.status_code, answer.json["exceptionCode"]) == (400, "InvalidJob")


def test_only_queries_that_ask_for_it_are_chunked(api, accounts, create, query):
    _, [(_, state)] = query("false")
    assert state == "Completed"
    chunked = create("true").json["id"]
    assert create("chunkSize=5", operation="insert").status_code == 201
    for resource in ("ingest", "query"):
        listed = api("GET", f"v62.0/jobs/{resource}?isPkChunkingEnabled=true").json["records"]
        assert [job["id"] for job in listed] == [chunked]


@pytest.mark.parametrize(
    ("soql", "message"),
    [
        (f"{SOQL} ORDER BY Name", "PK chunking: no clause but WHERE is supported"),
        (f"{SOQL} LIMIT 5", "PK chunking: no clause but WHERE is supported"),
        ("SELECT Nope FROM Account", "Failed to process query: INVALID_FIELD: "),
    ],
)
def test_a_query_that_cannot_be_cut_fails(api, query, soql, message):
    job, [(batch, state)] = query("true", soql)
    assert state == "Failed"
    assert (
        f"<stateMessage>InvalidBatch : {message}" in api("GET", f"{JOBS}/{job}/batch/{batch}").text
    )


def test_an_abort_leaves_chunks_that_wait_unprocessed(api, accounts, create, sandbox):
    job = create("chunkSize=1").json["id"]
    api("POST", f"{JOBS}/{job}/batch", data=SOQL)
    while "<state>NotProcessed</state>" not in api("GET", f"{JOBS}/{job}/batch").text:
        sandbox.clock.advance(0.1)
    api("POST", f"{JOBS}/{job}", json={"state": "Aborted"})
    sandbox.clock.advance(60)
    states = re.findall("<state>(.*)</state>", api("GET", f"{JOBS}/{job}/batch").text)
    assert len(states) == 26
    assert set(states) == {"NotProcessed", "Completed"}

"""The resources of Bulk API 2.0 query."""

import csv
import gzip
import io

import pytest

from bulknb.sandbox import bulk2_query

JOBS = "v62.0/jobs/query"


@pytest.fixture
def accounts(load):
    load("Name,ExternalId__c\n" + "".join(f"A{row},{row}\n" for row in range(25)))


def create(api, soql, version="v62.0", **more):
    wanted = {"operation": "query", "query": soql, **more}
    return api("POST", f"{version}/jobs/query", json=wanted)


@pytest.fixture
def ended(api, sandbox):
    """Run a query to its end and return the job's id."""

    def run(soql, **more):
        job = create(api, soql, **more).json["id"]
        sandbox.clock.advance(60)
        return job

    return run


def error(answer):
    (found,) = answer.json
    return answer.status_code, found["errorCode"]


def test_pages_follow_one_another_by_locator(api, accounts, ended):
    job = ended("SELECT Name FROM Account ORDER BY ExternalId__c")
    locator, sizes, lines = "", [], []
    while locator != "null":
        page = api("GET", f"{JOBS}/{job}/results?maxRecords=10&locator={locator}")
        assert page.content_type == "text/csv"
        header, *rows = page.text.splitlines()
        assert header == '"Name"'
        sizes.append(int(page.headers["Sforce-NumberOfRecords"]))
        lines += rows
        locator = page.headers["Sforce-Locator"]
    assert sizes == [10, 10, 5]
    assert lines == [f'"A{row}"' for row in sorted(range(25), key=str)]


def test_a_locator_can_be_read_again_although_records_change(api, accounts, ended, load):
    job = ended("SELECT Name FROM Account")
    first = api("GET", f"{JOBS}/{job}/results?maxRecords=20")
    path = f"{JOBS}/{job}/results?maxRecords=20&locator={first.headers['Sforce-Locator']}"
    before = api("GET", path).data
    load("Name\nlate\n")
    assert api("GET", path).data == before
    assert error(api("GET", f"{JOBS}/{job}/results?locator=!!")) == (400, "INVALID_LOCATOR")
    refused = api("GET", f"{JOBS}/{job}/results?maxRecords=none")
    assert error(refused) == (400, "INVALID_QUERY_LOCATOR")


def test_no_rows_are_a_header_alone(api, ended):
    page = api("GET", f"{JOBS}/{ended('SELECT Id FROM Account')}/results")
    assert (page.text, page.headers["Sforce-Locator"]) == ('"Id"\n', "null")
    assert page.headers["Sforce-NumberOfRecords"] == "0"


def test_values_are_written_as_an_org_writes_them(api, load, ended):
    load('Name,AnnualRevenue,Description\n"a ""b""",5,\n')
    job = ended(
        "SELECT Name, AnnualRevenue, Description, IsDeleted, CreatedDate, Owner.Name FROM Account",
        columnDelimiter="PIPE",
        lineEnding="CRLF",
    )
    page = api("GET", f"{JOBS}/{job}/results").data.decode()
    header, row, end = page.split("\r\n")
    assert header.count("|") == 5
    assert header.endswith('|"Owner.Name"')
    assert row.startswith('"a ""b"""|"5.0"|""|"false"|"2026-01-05T09:00:0')
    assert (row.endswith('.000Z"|"Integration User"'), end) == (True, "")


def test_a_query_starts_by_itself_and_ends(api, accounts, sandbox):
    job = create(api, "SELECT Id FROM Account").json
    assert job["state"] == "UploadComplete"
    seen = []
    while "JobComplete" not in seen:
        sandbox.clock.advance(0.1)
        seen.append(api("GET", f"{JOBS}/{job['id']}").json["state"])
    assert list(dict.fromkeys(seen)) == ["UploadComplete", "InProgress", "JobComplete"]
    done = api("GET", f"{JOBS}/{job['id']}").json
    assert (done["numberRecordsProcessed"], done["isPkChunkingSupported"]) == (25, True)
    assert done["totalProcessingTime"] > 0


def test_results_wait_for_the_end_of_the_job(api, accounts):
    job = create(api, "SELECT Id FROM Account").json["id"]
    assert error(api("GET", f"{JOBS}/{job}/results")) == (412, "JOB_NOT_COMPLETE")


@pytest.mark.parametrize("resource", ["results", "resultPages"])
def test_results_need_the_version_of_the_job(api, ended, resource):
    job = ended("SELECT Id FROM Account")
    refused = api("GET", f"v61.0/jobs/query/{job}/{resource}")
    assert error(refused) == (409, "API_VERSION_MISMATCH")


def test_the_pages_of_a_result_are_named_five_at_a_time(api, accounts, ended, monkeypatch):
    monkeypatch.setattr(bulk2_query, "PAGE_ROWS", 3)
    job = ended("SELECT Name FROM Account")
    path, pages, calls = f"{JOBS}/{job}/resultPages", [], []
    while path:
        answer = api("GET", path.removeprefix("/services/data/")).json
        assert list(answer) == ["resultPages", "nextRecordsUrl", "done"]
        assert answer["done"] == (answer["nextRecordsUrl"] is None)
        calls.append(len(answer["resultPages"]))
        pages += [page["resultUrl"] for page in answer["resultPages"]]
        path = answer["nextRecordsUrl"]
    assert calls == [5, 4]
    texts = [api("GET", page.removeprefix("/services/data/")).text for page in reversed(pages)]
    assert {text.splitlines()[0] for text in texts} == {'"Name"'}
    names = [line for text in reversed(texts) for line in text.splitlines()[1:]]
    assert names == [f'"A{row}"' for row in range(25)]


def test_a_result_without_rows_has_one_page(api, ended):
    job = ended("SELECT Id FROM Account")
    answer = api("GET", f"{JOBS}/{job}/resultpages").json
    assert (answer["done"], len(answer["resultPages"])) == (True, 1)
    page = api("GET", answer["resultPages"][0]["resultUrl"].removeprefix("/services/data/"))
    assert page.text == '"Id"\n'


def test_jobs_came_with_version_47(api):
    assert error(create(api, "SELECT Id FROM Account", "v46.0")) == (404, "NOT_FOUND")
    assert create(api, "SELECT Id FROM Account", "v47.0").json["apiVersion"] == 47.0


def test_result_pages_came_with_version_58(api, sandbox):
    job = create(api, "SELECT Id FROM Account", "v57.0").json["id"]
    sandbox.clock.advance(60)
    assert error(api("GET", f"v57.0/jobs/query/{job}/resultPages")) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("version", "header", "locator"),
    [
        ("v50.0", '"Name","Id","Owner.Name"', "MTA"),
        ("v49.0", '"Id","Name","Owner.Name"', "MTA"),
        ("v48.0", '"Id","Name","Owner.Name"', "10"),
    ],
)
def test_old_versions_sort_columns_and_count_locators(
    api, accounts, sandbox, version, header, locator
):
    job = create(api, "SELECT Name, Id, Owner.Name FROM Account", version).json["id"]
    sandbox.clock.advance(60)
    path = f"{version}/jobs/query/{job}/results?maxRecords=10"
    page = api("GET", path)
    assert page.headers["Sforce-Locator"] == locator
    rows = list(csv.DictReader(io.StringIO(page.text)))
    assert page.text.splitlines()[0] == header
    assert [row["Name"] for row in rows] == [f"A{row}" for row in range(10)]
    assert {row["Id"][:3] for row in rows} == {"001"}
    following = api("GET", f"{path}&locator={locator}")
    assert '"A10"' in following.text


def test_a_big_answer_is_packed_for_a_client_that_asks(api, accounts, ended):
    job = ended("SELECT Id, Name, CreatedDate FROM Account")
    path = f"{JOBS}/{job}/results"
    plain = api("GET", path)
    assert "Content-Encoding" not in plain.headers
    packed = api("GET", path, headers={"Accept-Encoding": "gzip, deflate"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Content-Length"] == str(len(packed.data))
    assert len(packed.data) < len(plain.data)
    assert gzip.decompress(packed.data) == plain.data
    refused = api("GET", path, headers={"Accept-Encoding": "gzip;q=0, br"})
    assert refused.data == plain.data
    small = api("GET", f"{JOBS}/{job}", headers={"Accept-Encoding": "gzip"})
    assert small.json["state"] == "JobComplete"


def test_a_job_that_waits_or_works_is_aborted(api, sandbox):
    job = create(api, "SELECT Id FROM Account").json["id"]
    answer = api("PATCH", f"{JOBS}/{job}", json={"state": "Aborted"})
    assert (answer.status_code, answer.json["state"]) == (200, "Aborted")
    sandbox.clock.advance(60)
    assert api("GET", f"{JOBS}/{job}").json["state"] == "Aborted"
    refused = api("PATCH", f"{JOBS}/{job}", json={"state": "UploadComplete"})
    assert error(refused) == (400, "INVALIDJOB")


def test_a_complete_job_is_not_aborted(api, ended):
    job = ended("SELECT Id FROM Account")
    answer = api("PATCH", f"{JOBS}/{job}", json={"state": "Aborted"})
    assert answer.status_code == 400
    assert answer.json == [
        {
            "errorCode": "INVALIDJOBSTATE",
            "message": "Aborting already Completed Job not allowed",
        }
    ]


def test_a_job_is_deleted_once_it_has_ended(api, ended):
    running = create(api, "SELECT Id FROM Account").json["id"]
    assert api("DELETE", f"{JOBS}/{running}").json == [
        {
            "errorCode": "API_ERROR",
            "message": (
                "Error encountered when deleting the job because the job is not terminated"
            ),
        }
    ]
    job = ended("SELECT Id FROM Account")
    assert api("DELETE", f"{JOBS}/{job}").status_code == 204
    assert error(api("GET", f"{JOBS}/{job}")) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Nope", "INVALID_TYPE"),
        ("", "MALFORMED_QUERY"),
    ],
)
def test_bad_soql_is_refused_at_creation(api, soql, code):
    refused = create(api, soql)
    assert error(refused) == (400, code)
    assert list(refused.json[0]) == ["message", "errorCode"]


AGGREGATES = "Aggregate Relationships not supported in Bulk Query"


@pytest.mark.parametrize(
    ("soql", "message"),
    [
        ("SELECT COUNT() FROM Account", AGGREGATES),
        ("select max(Name) from Account", AGGREGATES),
        ("SELECT Id, (SELECT Id FROM Contacts) FROM Account", AGGREGATES),
        ("SELECT Name FROM Account GROUP BY Name", "GROUP BY clause not supported in Bulk Query"),
        ("SELECT Id FROM Account LIMIT 5 OFFSET 5", "OFFSET clause not supported in Bulk Query"),
        (
            "SELECT Id, Body FROM Attachment",
            "Selecting binary data not supported in Bulk Query",
        ),
        (
            "SELECT TYPEOF Owner WHEN User THEN Email END FROM Account",
            "TYPEOF clause not supported in Bulk Query",
        ),
    ],
)
def test_soql_that_bulk_queries_lack_is_refused_at_creation(api, soql, message):
    assert create(api, soql).json == [{"errorCode": "API_ERROR", "message": message}]
    assert api("GET", JOBS).json["records"] == []


def test_words_inside_a_literal_are_no_clauses(api):
    soql = "SELECT Id FROM Account WHERE Name = 'a\\'s count() GROUP BY (SELECT OFFSET 5'"
    assert create(api, soql).status_code == 200


@pytest.mark.parametrize("end", ["", "\\"])
def test_what_follows_an_open_quote_is_no_clause(api, end):
    # So many quotes that looking for the end of a string from each of them would take minutes.
    soql = "SELECT Id FROM Account WHERE Name = '" + r"\'" * 40_000 + " COUNT()" + end
    assert error(create(api, soql)) == (400, "MALFORMED_QUERY")


def test_query_all_finds_deleted_records(api, load, ended, sandbox):
    load("Name\nA\n")
    load(f"Id\n{sandbox.records('Account')[0]['Id']}\n", operation="delete")
    soql = "SELECT Name FROM Account"
    assert api("GET", f"{JOBS}/{ended(soql)}/results").text == '"Name"\n'
    job = ended(soql, operation="queryAll")
    assert api("GET", f"{JOBS}/{job}/results").text == '"Name"\n"A"\n'


def test_the_list_has_classic_jobs_too(api, ended):
    ended("SELECT Id FROM Account")
    api("POST", "async/62.0/job", json={"object": "Account", "operation": "insert"})
    api("POST", "v62.0/jobs/ingest", json={"object": "Account", "operation": "insert"})
    kinds = {record["jobType"] for record in api("GET", JOBS).json["records"]}
    assert kinds == {"Classic", "V2Query"}
    (ingest,) = api("GET", f"{JOBS}?jobType=V2Ingest").json["records"]
    assert ingest["jobType"] == "V2Ingest"

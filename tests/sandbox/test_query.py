"""The resources of Bulk API 2.0 query."""

import pytest

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


def test_results_need_the_version_of_the_job(api, ended):
    job = ended("SELECT Id FROM Account")
    assert api("GET", f"v61.0/jobs/query/{job}/results").status_code == 409


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
    assert error(api("DELETE", f"{JOBS}/{running}")) == (400, "API_ERROR")
    job = ended("SELECT Id FROM Account")
    assert api("DELETE", f"{JOBS}/{job}").status_code == 204
    assert error(api("GET", f"{JOBS}/{job}")) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("soql", "code"),
    [
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Nope", "INVALID_TYPE"),
        ("SELECT Id FROM Account GROUP BY Name", "MALFORMED_QUERY"),
        ("SELECT COUNT() FROM Account", "API_ERROR"),
        ("", "MALFORMED_QUERY"),
    ],
)
def test_bad_soql_is_refused_at_creation(api, soql, code):
    assert error(create(api, soql)) == (400, code)


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

"""What a day allows, and how long jobs are kept."""

import pytest

from bulknb.sandbox import ManualClock, Sandbox

DAY = 24 * 3600
JOBS = "v62.0/jobs/ingest"
QUERY = "v62.0/jobs/query"
CLASSIC = "async/62.0/job"
INSERT = {"object": "Account", "operation": "insert"}


def short_of(**limits):
    return pytest.mark.parametrize("sandbox", [limits], indirect=True)


@pytest.fixture
def sandbox(request):
    """A sandbox whose days may be short of batches or requests: `short_of`."""
    with Sandbox(clock=ManualClock(), seed=7, **getattr(request, "param", {})) as sandbox:
        yield sandbox


def add_batch(api, job, text="Name\nA\n"):
    return api("POST", f"{CLASSIC}/{job}/batch", data=text, content_type="text/csv")


def batches_left(api):
    return api("GET", "v62.0/limits").json["DailyBulkApiBatches"]


def classic(api):
    return api("POST", CLASSIC, json=INSERT | {"contentType": "CSV"}).json["id"]


@short_of(daily_batches=2)
def test_a_batch_beyond_those_of_the_day_is_refused(api, sandbox):
    job = classic(api)
    assert [add_batch(api, job).status_code for _ in range(3)] == [201, 201, 400]
    refused = add_batch(api, job).text
    assert "<exceptionCode>ExceededQuota</exceptionCode>" in refused
    assert "ApiBatchItems Limit exceeded" in refused
    assert batches_left(api) == {"Max": 2, "Remaining": 0}
    sandbox.clock.advance(DAY)
    assert batches_left(api) == {"Max": 2, "Remaining": 2}


def test_a_batch_for_a_closed_job_counts_though_it_is_refused(api):
    job = classic(api)
    api("POST", f"{CLASSIC}/{job}", json={"state": "Closed"})
    assert add_batch(api, job).status_code == 400
    assert batches_left(api) == {"Max": 15_000, "Remaining": 14_999}


@short_of(daily_batches=1)
def test_a_2_0_job_beyond_the_allocation_fails_and_its_last_rows_are_in_no_result(api, load):
    job = load("Name\n" + "A\n" * 10_500)
    found = api("GET", f"{JOBS}/{job}").json
    assert (found["state"], found["numberRecordsProcessed"]) == ("Failed", 10_000)
    assert "ApiBatchItems Limit exceeded" in found["errorMessage"]
    lines = {
        name: api("GET", f"{JOBS}/{job}/{name}").text.count("\n") - 1
        for name in ("successfulResults", "failedResults", "unprocessedrecords")
    }
    assert lines == {"successfulResults": 10_000, "failedResults": 0, "unprocessedrecords": 0}


@short_of(daily_batches=1)
def test_with_nothing_left_a_2_0_job_saves_nothing(api, load, sandbox):
    load("Name\nA\n")
    job = load("Name\nB\n")
    assert api("GET", f"{JOBS}/{job}").json["state"] == "Failed"
    assert [record["Name"] for record in sandbox.records("Account")] == ["A"]


def test_batches_of_deleted_jobs_stay_counted(api, load):
    job = load("Name\nA\n")
    assert api("DELETE", f"{JOBS}/{job}").status_code == 204
    assert batches_left(api)["Remaining"] == 14_999


@short_of(daily_requests=3)
def test_requests_beyond_those_of_the_day_are_refused(api, sandbox):
    assert [api("GET", JOBS).status_code for _ in range(4)] == [200, 200, 200, 403]
    refused = api("GET", JOBS)
    assert refused.json[0]["errorCode"] == "REQUEST_LIMIT_EXCEEDED"
    assert refused.headers["Sforce-Limit-Info"] == "api-usage=3/3"
    answer = api("POST", CLASSIC, json=INSERT)
    assert (answer.status_code, answer.json["exceptionCode"]) == (400, "ExceededQuota")
    assert api("GET", "data").status_code == 200
    sandbox.clock.advance(DAY)
    usage = api("GET", "v62.0/limits").json["DailyApiRequests"]
    assert usage == {"Max": 3, "Remaining": 3}


def test_an_ended_job_is_gone_after_seven_days(api, load, sandbox):
    job = load("Name\nA\n")
    sandbox.clock.advance(7 * DAY - 1200)
    assert api("GET", f"{JOBS}/{job}").status_code == 200
    sandbox.clock.advance(1200)
    assert api("GET", f"{JOBS}/{job}").status_code == 404
    assert api("GET", f"{JOBS}/{job}/successfulResults").status_code == 404
    assert len(sandbox.records("Account")) == 1


def test_a_query_job_is_gone_after_seven_days(api, sandbox):
    wanted = {"operation": "query", "query": "SELECT Id FROM Account"}
    job = api("POST", QUERY, json=wanted).json["id"]
    sandbox.clock.advance(7 * DAY)
    assert api("GET", f"{QUERY}/{job}").status_code == 200
    sandbox.clock.advance(600)
    assert api("GET", f"{QUERY}/{job}/results").status_code == 404


def test_a_1_0_job_is_kept_seven_days_from_its_youngest_batch(api, sandbox):
    job = classic(api)
    sandbox.clock.advance(DAY / 2)
    add_batch(api, job)
    sandbox.clock.advance(2 * DAY)
    api("POST", f"{CLASSIC}/{job}", json={"state": "Closed"})
    sandbox.clock.advance(5 * DAY - 60)
    assert api("GET", f"{CLASSIC}/{job}").status_code == 200
    sandbox.clock.advance(60)
    gone = api("GET", f"{CLASSIC}/{job}", content_type="application/json")
    assert (gone.status_code, gone.json["exceptionCode"]) == (400, "InvalidJob")


def test_an_open_job_is_kept(api, sandbox):
    jobs = [api("POST", JOBS, json=INSERT).json["id"], classic(api)]
    sandbox.clock.advance(30 * DAY)
    assert [api("GET", f"{JOBS}/{job}").status_code for job in jobs] == [200, 200]

"""Faults of jobs, each at the point where it is planned."""

import pytest

from bulknb.sandbox import Fault

JOBS = "v62.0/jobs/ingest"
CLASSIC = "async/62.0/job"
INSERT = {"object": "Account", "operation": "insert"}


@pytest.fixture
def results(api):
    """Return how many rows each result of a job has: successful, failed, unprocessed."""

    def read(job):
        names = ("successfulResults", "failedResults", "unprocessedrecords")
        return tuple(api("GET", f"{JOBS}/{job}/{name}").text.count("\n") - 1 for name in names)

    return read


def create(api):
    return api("POST", JOBS, json=INSERT)


def rows(count):
    return "Name\n" + "".join(f"A{number}\n" for number in range(count))


def test_a_batch_may_fail_before_its_first_row(api, sandbox, begin, results):
    sandbox.faults.add(Fault("fail_batch", nth=2))
    job = begin(rows(20_100))
    sandbox.clock.advance(600)
    assert api("GET", f"{JOBS}/{job}").json["state"] == "Failed"
    assert results(job) == (10_100, 0, 10_000)
    assert len(sandbox.records("Account")) == 10_100


def test_a_failed_batch_of_1_0_says_so(api, sandbox):
    sandbox.faults.add(Fault("fail_batch", nth=2))
    job = api("POST", CLASSIC, json=INSERT | {"contentType": "CSV"}).json["id"]
    for _ in range(2):
        api("POST", f"{CLASSIC}/{job}/batch", data="Name\nA\n", content_type="text/csv")
    sandbox.clock.advance(60)
    found = api("GET", f"{CLASSIC}/{job}", content_type="application/json").json
    assert (found["numberBatchesCompleted"], found["numberBatchesFailed"]) == (1, 1)


def test_rows_may_fail_for_want_of_a_lock(api, sandbox, begin, results):
    sandbox.faults.add(Fault("lock_rows", rows=30))
    job = begin(rows(500))
    sandbox.clock.advance(60)
    assert results(job) == (470, 30, 0)
    assert "UNABLE_TO_LOCK_ROW:unable to obtain" in api("GET", f"{JOBS}/{job}/failedResults").text
    assert api("GET", f"{JOBS}/{job}").json["retries"] == 10


def test_an_internal_error_ends_a_batch_after_its_first_transaction(api, sandbox, begin, results):
    sandbox.faults.add(Fault("internal_error"))
    job = begin(rows(500))
    sandbox.clock.advance(60)
    found = api("GET", f"{JOBS}/{job}").json
    assert found["state"] == "Failed"
    assert found["errorMessage"].startswith("InternalServerError")
    assert results(job) == (200, 0, 300)


def test_of_a_1_0_batch_with_an_internal_error_nobody_knows_what_it_saved(api, sandbox):
    sandbox.faults.add(Fault("internal_error"))
    job = api("POST", CLASSIC, json=INSERT | {"contentType": "CSV"}).json["id"]
    api("POST", f"{CLASSIC}/{job}/batch", data=rows(500), content_type="text/csv")
    sandbox.clock.advance(60)
    batches = api("GET", f"{CLASSIC}/{job}/batch").text
    assert "<state>Failed</state>" in batches
    assert "<stateMessage>InternalServerError" in batches
    assert len(sandbox.records("Account")) == 200


def test_a_job_may_fail_with_part_of_its_rows_saved(api, sandbox, begin, results):
    sandbox.faults.add(Fault("fail_job"))
    job = begin(rows(30_000))
    sandbox.clock.advance(600)
    assert api("GET", f"{JOBS}/{job}").json["state"] == "Failed"
    saved, failed, unprocessed = results(job)
    assert (saved + unprocessed, failed) == (30_000, 0)
    assert 0 < saved == len(sandbox.records("Account")) < 1_000


def test_the_allocation_may_end_in_the_middle_of_a_job(api, sandbox, begin, results):
    sandbox.faults.add(Fault("allocation", nth=2))
    job = begin(rows(10_100))
    sandbox.clock.advance(600)
    assert api("GET", f"{JOBS}/{job}").json["state"] == "Failed"
    assert results(job) == (10_000, 0, 0)


def test_the_allocation_may_end_in_the_middle_of_a_1_0_job(api, sandbox):
    sandbox.faults.add(Fault("allocation", nth=2))
    job = api("POST", CLASSIC, json=INSERT | {"contentType": "CSV"}).json["id"]
    path = f"{CLASSIC}/{job}/batch"
    answers = [api("POST", path, data="Name\nA\n", content_type="text/csv") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 400]
    assert "ExceededQuota" in answers[1].text


def test_somebody_may_abort_a_job_with_a_batch_in_flight(api, sandbox, begin, results):
    sandbox.faults.add(Fault("abort"))
    job = begin(rows(500))
    sandbox.clock.advance(60)
    assert api("GET", f"{JOBS}/{job}").json["state"] == "Aborted"
    assert results(job) == (200, 0, 300)


def test_of_an_aborted_1_0_job_the_batch_in_flight_runs_to_its_end(api, sandbox):
    sandbox.faults.add(Fault("abort"))
    job = api("POST", CLASSIC, json=INSERT | {"contentType": "CSV", "concurrencyMode": "Serial"})
    path = f"{CLASSIC}/{job.json['id']}"
    for _ in range(2):
        api("POST", f"{path}/batch", data=rows(500), content_type="text/csv")
    sandbox.clock.advance(60)
    assert api("GET", path, content_type="application/json").json["state"] == "Aborted"
    batches = api("GET", f"{path}/batch").text
    assert batches.count("<state>Completed</state>") == 1
    assert batches.count("<state>NotProcessed</state>") == 1
    assert len(sandbox.records("Account")) == 500


def test_a_job_may_be_gone_as_soon_as_it_has_ended(api, sandbox, begin):
    sandbox.faults.add(Fault("expire", at=2))
    kept, gone = begin(rows(1)), begin("Name\nB\n")
    assert api("GET", f"{JOBS}/{gone}").status_code == 200
    sandbox.clock.advance(60)
    assert [api("GET", f"{JOBS}/{job}").status_code for job in (kept, gone)] == [200, 404]
    assert len(sandbox.records("Account")) == 2


def test_counts_may_lag_behind_the_state(api, sandbox, begin):
    sandbox.faults.add(Fault("counts_lag", rows=3, times=2))
    job = begin(rows(10))
    sandbox.clock.advance(60)
    answers = [api("GET", f"{JOBS}/{job}").json for _ in range(3)]
    assert [answer["state"] for answer in answers] == ["JobComplete"] * 3
    assert [answer["numberRecordsProcessed"] for answer in answers] == [7, 7, 10]


def test_a_job_may_be_in_a_state_that_nobody_knows(api, sandbox, begin):
    sandbox.faults.add(Fault("unknown_state", times=1))
    job = begin(rows(1))
    states = [api("GET", f"{JOBS}/{job}").json["state"] for _ in range(2)]
    assert states == ["Validating", "UploadComplete"]


def test_a_job_may_belong_to_somebody_else(api, sandbox):
    sandbox.faults.add(Fault("other_user"))
    theirs, mine = create(api).json, create(api).json
    assert theirs["createdById"] != mine["createdById"]
    closed = api("PATCH", f"{JOBS}/{theirs['id']}", json={"state": "UploadComplete"})
    assert closed.json[0]["errorCode"] == "INVALIDUSER"


def test_a_fault_may_be_planned_for_a_job_that_is_there(api, sandbox):
    job = create(api).json["id"]
    sandbox.faults.add(Fault("unknown_state", at=1, times=1))
    assert api("GET", f"{JOBS}/{job}").json["state"] == "Validating"

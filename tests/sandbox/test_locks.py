"""Transactions side by side that touch the same parent records."""

import pytest
from werkzeug.test import Client

from bulknb.sandbox import Field, ManualClock, ObjectType, Sandbox
from bulknb.sandbox.locks import ATTEMPTS

JOBS = "v62.0/jobs/ingest"
CLASSIC = "async/62.0/job"
PARENTS = 4

CHILD = ObjectType(
    "Visit__c",
    (
        Field("Key__c", external_id=True, unique=True),
        Field("Account__c", "reference", reference_to="Account"),
    ),
    apex_ms_per_row=3.0,
    locks_parents=True,
)


@pytest.fixture
def accounts(sandbox, load):
    """Return the Ids of a few parents, after the object of their children was added."""
    sandbox.create_object(CHILD)
    load("Name,ExternalId__c\n" + "".join(f"A{n},A{n}\n" for n in range(PARENTS)))
    return [record["Id"] for record in sandbox.records("Account")]


def children(rows, parents, first=0):
    lines = (f"V{n},{parents[n % len(parents)]}" for n in range(first, first + rows))
    return "\n".join(["Key__c,Account__c", *lines, ""])


@pytest.fixture
def begin(begin):
    """Start a job of children, unless another object is named."""
    return lambda text, object="Visit__c", operation="insert": begin(text, object, operation)


@pytest.fixture
def classic(api):
    """Start a 1.0 job of two batches on the same parents and return its id."""

    def run(mode, parents, rows):
        wanted = {"object": "Visit__c", "operation": "insert", "contentType": "CSV"}
        job = api("POST", CLASSIC, json=wanted | {"concurrencyMode": mode}).json["id"]
        for first in (0, rows):
            text = children(rows, parents, first)
            answer = api("POST", f"{CLASSIC}/{job}/batch", data=text, content_type="text/csv")
            assert answer.status_code == 201
        api("POST", f"{CLASSIC}/{job}", json={"state": "Closed"})
        return job

    return run


@pytest.fixture
def wait_for(api, sandbox):
    """Let time pass until a number of a job is above zero."""

    def run(job, name):
        while not info(api, job)[name]:
            sandbox.clock.advance(0.1)

    return run


def info(api, job):
    return api("GET", f"{JOBS}/{job}").json


def errors(api, job):
    return api("GET", f"{JOBS}/{job}/failedResults").text.splitlines()[1:]


def test_two_jobs_on_one_parent_get_in_each_others_way(api, sandbox, accounts, begin):
    jobs = [begin(children(1000, accounts[:1], first)) for first in (0, 1000)]
    sandbox.clock.advance(600)
    done = [info(api, job) for job in jobs]
    assert [job["state"] for job in done] == ["JobComplete"] * 2
    retries = sorted(job["retries"] for job in done)
    assert retries[0] == 0 < retries[1]
    assert sum(job["numberRecordsFailed"] for job in done) == 0


def test_two_jobs_on_different_parents_do_not_meet(api, sandbox, accounts, begin):
    jobs = [begin(children(1000, [parent], n * 1000)) for n, parent in enumerate(accounts[:2])]
    sandbox.clock.advance(600)
    assert [info(api, job)["retries"] for job in jobs] == [0, 0]


def test_an_object_without_locks_never_waits(api, sandbox, load, begin):
    load("Name,ExternalId__c\nA,A\n")
    text = "LastName,Account.ExternalId__c\n" + "X,A\n" * 1000
    jobs = [begin(text, "Contact") for _ in range(2)]
    sandbox.clock.advance(600)
    assert [info(api, job)["retries"] for job in jobs] == [0, 0]


def test_the_one_that_waits_is_not_active_meanwhile(api, sandbox, accounts, begin):
    jobs = [begin(children(1000, accounts[:1], first)) for first in (0, 1000)]
    sandbox.clock.advance(600)
    free, held = sorted((info(api, job) for job in jobs), key=lambda job: job["retries"])
    active = "apiActiveProcessingTime"
    assert held[active] == pytest.approx(free[active], rel=0.1)
    assert held["totalProcessingTime"] > free["totalProcessingTime"] + 1000 * held["retries"] * 0.8


def test_after_the_last_attempt_the_rows_of_the_locked_parent_fail(
    api, sandbox, accounts, begin, wait_for
):
    long = begin(children(5000, accounts[:1]))
    wait_for(long, "numberRecordsProcessed")
    short = begin(children(100, accounts[:2], 5000))
    sandbox.clock.advance(600)
    held, free = (info(api, job) for job in (short, long))
    assert free["numberRecordsFailed"] == 0
    assert held["retries"] == ATTEMPTS - 1
    assert (held["state"], held["numberRecordsFailed"]) == ("JobComplete", 50)
    failed = errors(api, short)
    message = "unable to obtain exclusive access to this record or 1 records"
    assert len(failed) == 50
    assert all(f'"UNABLE_TO_LOCK_ROW:{message}: {accounts[0]}:--"' in row for row in failed)
    assert len(sandbox.records("Visit__c")) == 5050


def test_a_parent_named_by_its_external_id_is_the_same_parent(api, sandbox, accounts, begin):
    by_key = "Key__c,Account__r.ExternalId__c\n" + "".join(f"K{n},a0\n" for n in range(1000))
    jobs = [begin(children(1000, accounts[:1])), begin(by_key)]
    sandbox.clock.advance(600)
    assert sum(info(api, job)["retries"] for job in jobs) > 0


def test_an_update_locks_the_parents_that_its_records_have(api, sandbox, accounts, begin, load):
    load(children(2000, accounts[:1]), "Visit__c")
    keys = [record["Id"] for record in sandbox.records("Visit__c")]
    halves = (keys[:1000], keys[1000:])
    jobs = [begin("Id\n" + "\n".join(half), operation="delete") for half in halves]
    sandbox.clock.advance(600)
    assert sum(info(api, job)["retries"] for job in jobs) > 0


def test_a_parallel_1_0_job_fights_with_itself(api, sandbox, accounts, classic):
    job = classic("Parallel", accounts, 1000)
    sandbox.clock.advance(600)
    assert api("GET", f"{CLASSIC}/{job}", content_type="application/json").json["numberRetries"] > 0


def test_a_serial_1_0_job_does_not_fight_with_itself(api, sandbox, accounts, classic):
    job = classic("Serial", accounts, 1000)
    sandbox.clock.advance(600)
    found = api("GET", f"{CLASSIC}/{job}", content_type="application/json").json
    assert (found["numberRetries"], found["numberRecordsFailed"]) == (0, 0)
    assert found["numberRecordsProcessed"] == 2000


def test_an_aborted_job_gives_its_locks_free(api, sandbox, accounts, begin, wait_for):
    long = begin(children(8000, accounts[:1]))
    wait_for(long, "numberRecordsProcessed")
    short = begin(children(100, accounts[:1], 8000))
    wait_for(short, "retries")
    api("PATCH", f"{JOBS}/{long}", json={"state": "Aborted"})
    sandbox.clock.advance(60)
    done = info(api, short)
    assert (done["state"], done["numberRecordsFailed"]) == ("JobComplete", 0)


def test_a_job_aborted_while_it_waits_for_a_lock_saves_nothing(
    api, sandbox, accounts, begin, wait_for
):
    long = begin(children(8000, accounts[:1]))
    wait_for(long, "numberRecordsProcessed")
    short = begin(children(100, accounts[:1], 8000))
    wait_for(short, "retries")
    api("PATCH", f"{JOBS}/{short}", json={"state": "Aborted"})
    sandbox.clock.advance(600)
    done = info(api, short)
    assert (done["state"], done["numberRecordsProcessed"]) == ("Aborted", 0)
    assert len(sandbox.records("Visit__c")) == 8000


def test_a_job_that_waits_for_a_lock_goes_on_after_a_restart(tmp_path):
    def client(sandbox):
        headers = {"Authorization": f"Bearer {sandbox.token}", "Host": "127.0.0.1"}

        def send(method, path, **options):
            path = f"/services/data/{path}"
            return Client(sandbox.app).open(path, method=method, headers=headers, **options)

        return send

    def start(api, text, kind):
        job = api("POST", JOBS, json={"object": kind, "operation": "insert"}).json["id"]
        api("PUT", f"{JOBS}/{job}/batches", data=text)
        api("PATCH", f"{JOBS}/{job}", json={"state": "UploadComplete"})
        return job

    path = str(tmp_path / "org.sqlite")
    clock = ManualClock()
    with Sandbox(clock=clock, path=path, objects=[CHILD]) as sandbox:
        api = client(sandbox)
        start(api, "Name\nA\n", "Account")
        clock.advance(60)
        parents = [record["Id"] for record in sandbox.records("Account")]
        jobs = [start(api, children(2000, parents, n * 2000), "Visit__c") for n in range(2)]
        while not sum(info(api, job)["retries"] for job in jobs):
            clock.advance(0.1)
    with Sandbox(clock=ManualClock(clock.time()), path=path, objects=[CHILD]) as sandbox:
        sandbox.clock.advance(600)
        done = [info(client(sandbox), job) for job in jobs]
        assert [job["state"] for job in done] == ["JobComplete"] * 2
        assert sum(job["retries"] for job in done) > 0
        assert len(sandbox.records("Visit__c")) == 4000

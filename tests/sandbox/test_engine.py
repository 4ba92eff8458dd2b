"""What becomes of jobs as time passes."""

import pytest

from bulknb.sandbox import Field, ManualClock, ObjectType, Sandbox

JOBS = "v62.0/jobs/ingest"


def csv(rows, first=0):
    lines = (f"A{row},{row}" for row in range(first, first + rows))
    return "\n".join(["Name,ExternalId__c", *lines, ""])


@pytest.fixture
def states(api, sandbox):
    """Let time pass in small steps and return the job after each, until it has ended."""

    def watch(job, step=0.1):
        seen = [api("GET", f"{JOBS}/{job}").json]
        while seen[-1]["state"] not in {"JobComplete", "Failed", "Aborted"}:
            sandbox.clock.advance(step)
            seen.append(api("GET", f"{JOBS}/{job}").json)
        return seen

    return watch


def test_a_job_waits_then_works_then_is_complete(begin, states):
    names = [seen["state"] for seen in states(begin(csv(2000)))]
    assert list(dict.fromkeys(names)) == ["UploadComplete", "InProgress", "JobComplete"]
    assert 10 <= names.count("UploadComplete") <= 50  # one to a few seconds in the queue


def test_counters_and_active_time_grow_while_the_total_stays_0(begin, states):
    running = [seen for seen in states(begin(csv(2000))) if seen["state"] == "InProgress"]
    processed = [seen["numberRecordsProcessed"] for seen in running]
    assert processed == sorted(processed)
    assert len(set(processed)) > 5
    assert all(number % 200 == 0 for number in processed)
    assert {seen["totalProcessingTime"] for seen in running} == {0}
    assert running[-1]["apiActiveProcessingTime"] > 0


def test_the_times_of_a_finished_job_nest(sandbox, begin, states):
    sandbox.create_object(
        ObjectType("Slow__c", (Field("Name"),), api_ms_per_row=1.0, apex_ms_per_row=3.0)
    )
    done = states(begin("Name\n" + "x\n" * 1000, "Slow__c"), step=1)[-1]
    apex = done["apexProcessingTime"]
    active = done["apiActiveProcessingTime"]
    assert 0 < apex < active < done["totalProcessingTime"]
    assert apex == pytest.approx(3000, rel=0.1)
    assert active - apex == pytest.approx(1100, rel=0.1)


def test_a_trigger_deployed_later_slows_the_batches_that_start_from_then_on(sandbox, begin, states):
    before, running = (states(begin(csv(1000)), step=1)[-1], begin(csv(1000)))
    sandbox.clock.advance(4)  # past the queue: its batch is at work
    sandbox.set_trigger("account", apex_ms_per_row=3.0)
    during, after = states(running, step=1)[-1], states(begin(csv(1000)), step=1)[-1]
    apex = [job["apexProcessingTime"] for job in (before, during, after)]
    assert apex == [0, 0, pytest.approx(3000, rel=0.1)]


def test_a_trigger_needs_its_object(sandbox):
    with pytest.raises(ValueError, match="no object Nope__c"):
        sandbox.set_trigger("Nope__c", apex_ms_per_row=3.0)


def test_batches_run_side_by_side_and_their_times_are_summed_up(sandbox, begin, states):
    began = sandbox.clock.time()
    *running, done = states(begin(csv(20_200)), step=1)
    elapsed_ms = (sandbox.clock.time() - began) * 1000
    assert done["numberRecordsProcessed"] == 20_200
    # Two batches side by side, and a small third one: their sum is more than the wait.
    assert 1.2 < done["totalProcessingTime"] / elapsed_ms < 2.1
    # The small one has ended long before; the job has no total until it is complete.
    assert {seen["totalProcessingTime"] for seen in running} == {0}


def test_records_are_there_as_soon_as_their_transaction_commits(sandbox, api, begin):
    job = begin(csv(1000))
    while api("GET", f"{JOBS}/{job}").json["numberRecordsProcessed"] < 400:
        sandbox.clock.advance(0.05)
    assert len(sandbox.records("Account")) == 400


def test_an_abort_keeps_what_is_saved_and_lists_the_rest(sandbox, api, begin):
    job = begin(csv(1000))
    while api("GET", f"{JOBS}/{job}").json["numberRecordsProcessed"] < 400:
        sandbox.clock.advance(0.05)
    answer = api("PATCH", f"{JOBS}/{job}", json={"state": "Aborted"})
    assert (answer.status_code, answer.json["state"]) == (200, "Aborted")
    sandbox.clock.advance(3600)
    info = api("GET", f"{JOBS}/{job}").json
    assert info["state"] == "Aborted"
    # The transaction in flight was committed, too.
    assert info["numberRecordsProcessed"] == 600 == len(sandbox.records("Account"))
    assert info["apiActiveProcessingTime"] <= info["totalProcessingTime"]
    files = ("successfulResults", "failedResults", "unprocessedrecords")
    lines = [api("GET", f"{JOBS}/{job}/{name}").text.splitlines()[1:] for name in files]
    assert [len(found) for found in lines] == [600, 0, 400]


def test_an_abort_starts_no_other_batch_of_the_job(sandbox, api, begin):
    job = begin(csv(60_000))
    while api("GET", f"{JOBS}/{job}").json["numberRecordsProcessed"] < 2000:
        sandbox.clock.advance(0.1)
    api("PATCH", f"{JOBS}/{job}", json={"state": "Aborted"})
    processed = api("GET", f"{JOBS}/{job}").json["numberRecordsProcessed"]
    sandbox.clock.advance(3600)
    assert api("GET", f"{JOBS}/{job}").json["numberRecordsProcessed"] == processed
    assert len(sandbox.records("Account")) == processed
    rest = api("GET", f"{JOBS}/{job}/unprocessedrecords").text.count("\n") - 1
    assert rest == 60_000 - processed


def test_a_job_aborted_in_the_queue_has_only_unprocessed_rows(sandbox, api, begin):
    job = begin(csv(300))
    api("PATCH", f"{JOBS}/{job}", json={"state": "Aborted"})
    sandbox.clock.advance(3600)
    assert sandbox.records("Account") == []
    assert api("GET", f"{JOBS}/{job}/unprocessedrecords").text.count("\n") == 301


def test_an_unknown_column_fails_the_job_before_its_first_row(api, begin, states):
    job = begin("Name,Nmae\nA,B\nC,D\n")
    failed = states(job, step=1)[-1]
    assert failed["state"] == "Failed"
    assert failed["errorMessage"] == "InvalidBatch : Field name not found : Nmae"
    counters = [value for name, value in failed.items() if name.startswith(("number", "total"))]
    assert counters == [0, 0, 0]
    assert api("GET", f"{JOBS}/{job}/unprocessedrecords").text.count("\n") == 3


def test_a_job_without_a_header_fails(states, begin):
    assert states(begin(""), step=1)[-1]["state"] == "Failed"


def test_a_header_without_rows_is_a_complete_job(states, begin):
    done = states(begin("Name\n"), step=1)[-1]
    assert (done["state"], done["numberRecordsProcessed"]) == ("JobComplete", 0)


def test_a_job_in_which_every_row_failed_is_complete(states, begin):
    done = states(begin("Name,Phone\n,1\n,2\n"), step=1)[-1]
    counts = done["numberRecordsProcessed"], done["numberRecordsFailed"]
    assert (done["state"], counts) == ("JobComplete", (2, 2))


def test_a_busy_org_lets_jobs_wait_longer(begin, states):
    jobs = [begin(csv(200, first=200 * number)) for number in range(8)]
    waits = [
        sum(seen["state"] == "UploadComplete" for seen in states(job, step=0.1))
        for job in (jobs[-1], begin(csv(1, first=9000)))
    ]
    assert waits[0] > waits[1]


def story(seed):
    """Return every answer of one session of work, under a given seed."""
    with Sandbox(clock=ManualClock(), seed=seed) as sandbox:
        from werkzeug.test import Client

        client = Client(sandbox.app)
        headers = {"Host": "127.0.0.1", "Authorization": f"Bearer {sandbox.token}"}
        base = f"/services/data/{JOBS}"
        answers = []
        for number in range(4):
            wanted = {"object": "Account", "operation": "insert"}
            answer = client.post(base, json=wanted, headers=headers)
            job = answer.json["id"]
            client.put(f"{base}/{job}/batches", data=csv(500, 500 * number), headers=headers)
            client.patch(f"{base}/{job}", json={"state": "UploadComplete"}, headers=headers)
            for _ in range(12):
                sandbox.clock.advance(0.37)
                answers.append(client.get(f"{base}/{job}", headers=headers).text)
            answers.append(client.get(f"{base}/{job}/successfulResults", headers=headers).text)
        answers.append(client.get(base, headers=headers).text)
        return answers


def test_the_same_seed_gives_the_same_answers():
    assert story(3) == story(3)
    assert story(3) != story(4)

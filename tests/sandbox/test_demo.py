"""The demonstration org."""

import pytest
from werkzeug.test import Client

from bulknb.sandbox import ManualClock, Sandbox


@pytest.fixture(scope="module")
def demo():
    with Sandbox(clock=ManualClock(), seed=7, demo=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def history(demo):
    """Return all jobs in full, oldest first."""
    return jobs_of(demo)


def jobs_of(sandbox):
    client = Client(sandbox.app)
    headers = {"Host": "127.0.0.1", "Authorization": f"Bearer {sandbox.token}"}
    base = "/services/data/v62.0/jobs"
    paths = {}
    for resource in ("ingest", "query"):
        for record in client.get(f"{base}/{resource}", headers=headers).json["records"]:
            paths[record["id"]] = f"{base}/{resource}/{record['id']}"
    return [client.get(paths[key], headers=headers).json for key in sorted(paths)]


def test_a_week_of_jobs_by_several_users(history):
    assert 20 <= len(history) <= 25
    assert len({job["createdById"] for job in history}) == 3
    dates = [job["createdDate"] for job in history]
    assert dates == sorted(dates)
    assert dates[0].startswith("2025-12-29")
    assert max(job["systemModstamp"] for job in history) < "2026-01-05"


def test_the_week_has_all_kinds_of_jobs(history):
    def count(**wanted):
        return sum(all(job[name] == value for name, value in wanted.items()) for job in history)

    assert count(jobType="Classic") == 2
    assert count(jobType="V2Query") == 3
    assert [count(state=state) for state in ("Failed", "Aborted", "Open")] == [1, 1, 1]
    operations = {job["operation"] for job in history}
    assert operations == {"insert", "update", "upsert", "delete", "hardDelete", "query"}


def test_the_one_job_left_open_is_three_days_old(history):
    (forgotten,) = (job for job in history if job["state"] == "Open")
    assert forgotten["createdDate"].startswith("2026-01-02")


def test_the_times_of_flights_are_mostly_apex(history):
    done = [job for job in history if job["state"] == "JobComplete" and "apexProcessingTime" in job]
    for job in done:
        apex, active = job["apexProcessingTime"], job["apiActiveProcessingTime"]
        total = job["totalProcessingTime"]
        assert apex <= active < total
        assert (apex > total / 2) == (job["object"] == "Flight__c")


def test_no_flights_are_left(demo):
    assert demo.records("Flight__c") == []


def test_the_same_seed_gives_the_same_week(history):
    with Sandbox(clock=ManualClock(), seed=7, demo=True) as again:
        assert jobs_of(again) == history


def test_a_long_delay_needs_a_review(demo):
    client = Client(demo.app)
    headers = {"Host": "127.0.0.1", "Authorization": f"Bearer {demo.token}"}
    base = "/services/data/v62.0/jobs/ingest"

    def load(object, external_id, text):
        wanted = {"object": object, "operation": "upsert", "externalIdFieldName": external_id}
        job = client.post(base, json=wanted, headers=headers).json["id"]
        client.put(f"{base}/{job}/batches", data=text, headers=headers)
        client.patch(f"{base}/{job}", json={"state": "UploadComplete"}, headers=headers)
        demo.clock.advance(60)
        return client.get(f"{base}/{job}/failedResults", headers=headers).text.splitlines()[1:]

    assert load("Airline__c", "Code__c", "Code__c,Name\nUA,United Air Lines Inc.\n") == []
    (failed,) = load(
        "Flight__c",
        "Key__c",
        "Key__c,Date__c,Carrier__r.Code__c,DepDelay__c\nA,2013-01-01,UA,480\nB,2013-01-01,UA,481\n",
    )
    assert "FIELD_CUSTOM_VALIDATION_EXCEPTION:A departure delay above 480 minutes" in failed
    (flight,) = demo.records("Flight__c")
    assert flight["Carrier__c"] == demo.records("Airline__c")[0]["Id"]

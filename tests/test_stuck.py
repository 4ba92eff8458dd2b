from __future__ import annotations

import pandas as pd
import pytest

import bulknb
from bulknb._stuck import stuck
from bulknb.sandbox import Field, ObjectType

NOW = pd.Timestamp("2026-11-22T12:00:00Z")
VISIT = ObjectType(
    "Visit__c",
    (
        Field("Key__c", external_id=True, unique=True),
        Field("Account__c", "reference", reference_to="Account"),
    ),
    apex_ms_per_row=3.0,
    locks_parents=True,
)
TRIGGERED = ObjectType("Slow__c", (Field("Name__c"),), apex_ms_per_row=500.0)


def at(minutes: float) -> str:
    """The moment so many minutes before now, as the API writes it."""
    return (NOW - pd.Timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def job(state: str, minutes: float, **more: object) -> dict:
    dates = {"createdDate": at(minutes), "systemModstamp": at(minutes)}
    return {"id": "750", "state": state, "jobType": "V2Ingest", **dates, **more}


def reasons(*jobs: dict, **limits: object) -> list[str]:
    return stuck(bulknb.jobs_frame(jobs), NOW, **limits)["reason"].tolist()


WORK = {"apiActiveProcessingTime": 5_000_000, "apexProcessingTime": 100_000}
APEX = {"apiActiveProcessingTime": 1_000_000, "apexProcessingTime": 700_000}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (job("Open", 59), None),
        (job("Open", 60), "never_closed"),
        (job("Open", 61, jobType="Classic", numberBatchesTotal=2), "never_closed"),
        (job("UploadComplete", 14), None),
        (job("UploadComplete", 15), "waiting_in_queue"),
        (job("UploadComplete", 90, jobType="V2Query"), "waiting_in_queue"),
        (job("Closed", 20, numberBatchesQueued=3, numberBatchesInProgress=0), "waiting_in_queue"),
        (job("Closed", 20, numberBatchesQueued=3, numberBatchesInProgress=1), None),
        (job("Closed", 99, numberBatchesQueued=0, numberBatchesInProgress=0), None),
        (job("InProgress", 5, retries=2), "lock_bound"),
        (job("InProgress", 90, retries=2, **WORK), "retrying"),
        (job("InProgress", 90, retries=1, errorMessage="TooManyLockFailure", **WORK), "lock_bound"),
        (job("InProgress", 59, **APEX), None),
        (job("InProgress", 60, **APEX), "apex_bound"),
        (job("InProgress", 60, **WORK), "grinding"),
        (job("InProgress", 60), "grinding"),
        (job("JobComplete", 9_999, retries=7), None),
        (job("Paused", 90), "grinding"),  # a state that Salesforce may add
        ({"id": "750", "state": "Open"}, None),  # when it was created is not known
    ],
)  # fmt: skip
def test_each_reason_holds_from_its_threshold_on(raw, reason):
    assert reasons(raw) == ([reason] if reason else [])


def test_thresholds_are_arguments():
    assert reasons(job("Open", 5), open_for="5min") == ["never_closed"]
    assert reasons(job("UploadComplete", 20), queued_for="1h") == []
    assert reasons(job("InProgress", 90, **APEX), apex_share=0.71) == ["grinding"]
    assert reasons(job("InProgress", 90, retries=1, **APEX), active_share=0.1) == ["retrying"]


def test_a_job_without_progress_between_two_looks_is_stalled():
    history = bulknb.jobs_frame([job("InProgress", 30), job("InProgress", 30), job("Open", 90)])
    still = pd.to_timedelta([10, 9, 90], unit="min")

    found = stuck(history.assign(unchanged_for=still), NOW)

    assert found["reason"].tolist() == ["never_closed", "stalled"]
    assert found["for"].iloc[1] == pd.Timedelta("10min")


def test_the_frame_is_typed_and_the_oldest_comes_first():
    found = stuck(bulknb.jobs_frame([job("Open", 100), job("Open", 4_380)]), NOW)

    assert found["for"].tolist() == [pd.Timedelta("73h"), pd.Timedelta("100min")]
    assert found["evidence"].iloc[0] == "Open for 3 d 1 h: nobody closed it"
    assert "abort()" in found["what_to_do"].iloc[0]
    empty = stuck(bulknb.jobs_frame([]), NOW)
    assert empty.dtypes.equals(found.dtypes)
    assert empty.empty


# The sandbox, its time turned by hand


def reason(org: bulknb.Org, **limits: object) -> dict[str, str]:
    found = org.jobs().stuck(**limits).set_index("id")
    return found["reason"].to_dict()


def test_a_job_that_nobody_closes_and_one_that_is_done(sandbox, org):
    forgotten = org.create_job("insert", "Account").upload(b"Name\nA\n")
    org.create_job("insert", "Account").upload(b"Name\nB\n").close()
    sandbox.clock.advance(3_599)
    assert reason(org) == {}
    sandbox.clock.advance(1)
    assert reason(org) == {forgotten.id: "never_closed"}


def test_a_job_in_the_queue(sandbox, org):
    job = org.create_job("insert", "Account").upload(b"Name\nA\n").close()
    sandbox.clock.advance(0.5)

    found = org.jobs().stuck(queued_for="500ms")

    assert found[["id", "reason"]].values.tolist() == [[job.id, "waiting_in_queue"]]
    assert found["user"].tolist() == ["Integration User"]
    assert reason(org) == {}


def test_a_job_whose_time_is_apex(sandbox, org):
    sandbox.create_object(TRIGGERED)
    rows = b"Name__c\n" + b"x\n" * 9_000
    job = org.create_job("insert", "Slow__c").upload(rows).close()
    sandbox.clock.advance(3_700)

    found = org.jobs().stuck()

    assert found[["id", "reason"]].values.tolist() == [[job.id, "apex_bound"]]
    assert "rows processed" in found["evidence"].iloc[0]


def test_a_job_that_fights_for_locks(sandbox, org):
    sandbox.create_object(VISIT)
    org.create_job("insert", "Account").upload(b"Name\nA\n").close()
    sandbox.clock.advance(60)
    [account] = sandbox.records("Account")
    jobs = []
    for first in (0, 4_000):
        lines = (f"V{n},{account['Id']}\n" for n in range(first, first + 4_000))
        data = "Key__c,Account__c\n" + "".join(lines)
        jobs.append(org.create_job("insert", "Visit__c").upload(data.encode()).close())
    for _ in range(600):
        sandbox.clock.advance(0.1)
        found = org.jobs().stuck()
        if len(found):
            break

    assert found["reason"].tolist() == ["lock_bound"]
    assert found["id"].iloc[0] in {job.id for job in jobs}
    assert "Tried again 1 time" in found["evidence"].iloc[0]


def test_a_second_look_without_a_change_tells_that_a_job_stalls(sandbox, org):
    sandbox.create_object(ObjectType("Still__c", (Field("Name__c"),), apex_ms_per_row=30_000.0))
    job = org.create_job("insert", "Still__c").upload(b"Name__c\n" + b"x\n" * 400).close()
    sandbox.clock.advance(60)
    jobs = org.jobs()
    assert jobs.stuck().empty
    sandbox.clock.advance(11 * 60)

    assert jobs.stuck().empty  # it was not looked at again
    assert jobs.refresh().stuck()["reason"].tolist() == ["stalled"]
    assert reason(org) == {job.id: "stalled"}
    assert reason(org, still_for="1d") == {}

"""A job in words."""

import pytest

from bulknb import JobInfo
from bulknb._jobs.facts import duration, facts, tone


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (0, "0 ms"),
        (840, "840 ms"),
        (1_000, "1 s"),
        (12_340, "12.3 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min 00 s"),
        (245_000, "4 min 05 s"),
        (7_620_000, "2 h 07 min"),
        (273_600_000, "3 d 4 h"),
    ],
)
def test_a_duration_is_said_in_the_unit_that_suits_it(milliseconds, words):
    assert duration(milliseconds) == words


def test_only_a_job_of_batches_tells_of_batches():
    batches = {"number_batches_total": 3, "number_batches_completed": 1, "number_batches_failed": 1}
    assert ("Batches", "2 of 3 done") in facts(JobInfo(job_type="Classic", **batches))
    assert "Batches" not in dict(facts(JobInfo(job_type="V2Ingest", state="InProgress")))


def test_a_job_that_is_done_tells_how_long_it_took_and_a_running_one_its_age():
    raw = {
        "jobType": "V2Ingest",
        "state": "JobComplete",
        "createdDate": "2026-01-05T09:00:00.000+0000",
        "systemModstamp": "2026-01-05T09:02:05.000+0000",
    }
    done = JobInfo.from_dict(raw)
    running = JobInfo.from_dict({**raw, "state": "InProgress"})
    later = done.created_date.timestamp() + 7200
    assert dict(facts(done, now=later))["Took"] == "2 min 05 s"
    assert dict(facts(running, now=later))["Age"] == "2 h 00 min"
    assert {"Age", "Took"}.isdisjoint(dict(facts(running)))


@pytest.mark.parametrize(
    ("state", "failed", "expected"),
    [
        ("Open", 0, ""),
        ("InProgress", 0, "busy"),
        ("JobComplete", 0, "good"),
        ("JobComplete", 3, "warn"),
        ("Aborted", 0, "warn"),
        ("Failed", 0, "bad"),
    ],
)
def test_a_colour_says_what_went_wrong(state, failed, expected):
    info = JobInfo(job_type="V2Ingest", state=state, number_records_failed=failed)
    assert tone(info) == expected

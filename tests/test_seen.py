"""What looks at a job tell: how long in each state, and since when nothing has moved."""

import datetime as dt

import pytest

from bulknb import JobInfo
from bulknb._jobs.steps import path_of
from bulknb._seen import Seen, Span
from bulknb.sandbox import ManualClock

INGEST = ["Open", "UploadComplete", "InProgress", "JobComplete"]


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def look(clock):
    """Add a look at a job that was created when the test began."""
    created = dt.datetime.fromtimestamp(clock.time(), dt.UTC)
    seen = Seen(clock)

    def look(state, *, after=0.0, job_type="V2Ingest", **fields):
        clock.advance(after)
        seen.add(JobInfo(job_type=job_type, state=state, created_date=created, **fields))
        return seen

    return look


def test_the_first_state_began_when_the_job_was_created(look):
    assert look("Open", after=90).spans == {"Open": Span(90, whole=True)}


def test_a_state_whose_begin_was_not_seen_lasts_at_least_since_then(look, clock):
    seen = look("InProgress", after=90)
    clock.advance(30)
    assert seen.spans == {"InProgress": Span(30, whole=False)}


def test_each_state_lasts_until_the_next_one_is_seen_and_the_end_has_no_length(look):
    look("Open", after=10)
    look("UploadComplete", after=5)
    look("InProgress", after=20)
    seen = look("JobComplete", after=60)
    look("JobComplete", after=600)
    assert seen.spans == {
        "Open": Span(15, whole=True),
        "UploadComplete": Span(20, whole=True),
        "InProgress": Span(60, whole=True),
    }


def test_a_job_is_still_since_its_numbers_moved_last_whatever_the_server_stamps_on_it(look):
    look("InProgress", number_records_processed=5)
    later = dt.datetime(2026, 1, 5, 10, tzinfo=dt.UTC)
    seen = look("InProgress", after=60, number_records_processed=5, system_modstamp=later)
    assert seen.still == 60
    look("InProgress", after=60, number_records_processed=6)
    assert seen.still == 0


@pytest.mark.parametrize(
    ("job_type", "state", "batches", "seen", "expected"),
    [
        ("V2Ingest", "InProgress", None, set(), INGEST),
        ("V2Query", "UploadComplete", None, set(), INGEST[1:]),
        ("Classic", "Open", 1, set(), ["Open", "Closed", "Batches done"]),
        ("Classic", "Closed", 0, set(), ["Open", "Closed", "Batches done"]),
        ("V2Ingest", "Aborted", None, {"InProgress"}, [*INGEST[:3], "Aborted"]),
        ("V2Ingest", "Failed", None, set(), ["Open", "Failed"]),
        ("V2Query", "Aborted", None, set(), ["UploadComplete", "Aborted"]),
        ("V2Ingest", "Frozen", None, set(), ["Frozen"]),
        ("AKindOfTomorrow", "Open", None, set(), ["Open"]),
        ("V2Ingest", None, None, set(), INGEST[:0]),
    ],
)
def test_a_job_goes_the_way_of_its_kind_as_far_as_it_is_known(
    job_type, state, batches, seen, expected
):
    info = JobInfo(
        job_type=job_type,
        state=state,
        number_batches_queued=batches,
        number_batches_in_progress=batches,
    )
    assert path_of(info, seen) == expected

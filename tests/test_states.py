from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulknb._states import state_intervals

CREATED = pd.Timestamp("2026-11-01 10:00", tz="UTC")
PATH = ("Open", "UploadComplete", "InProgress", "JobComplete")


def at(seconds: float) -> pd.Timestamp:
    return CREATED + pd.Timedelta(seconds=seconds)


def look(
    seen: float, state: str, *, stamp: float | None = None, before: float | None = None, **told
):
    return {
        "seen": at(seen),
        "id": "750000000000001AAA",
        "job_type": "V2Ingest",
        "operation": "insert",
        "object": "Account",
        "created_date": CREATED,
        "system_modstamp": pd.NaT if stamp is None else at(stamp),
        "looked_before": pd.NaT if before is None else at(before),
        "state": state,
        **told,
    }


def intervals(*looks: dict) -> pd.DataFrame:
    return state_intervals(pd.DataFrame(looks))


def test_the_wait_in_the_queue_is_how_long_upload_complete_lasted():
    found = intervals(
        look(1, "Open"),
        look(5, "UploadComplete", stamp=4, before=1),
        look(65, "InProgress", stamp=64, before=60),
        look(120, "JobComplete", stamp=118, before=115),
    )

    assert list(found) == [
        *("id", "job_type", "object", "operation", "state", "began", "ended", "duration", "exact")
    ]
    assert found["state"].tolist() == list(PATH)
    assert found["began"].tolist() == [CREATED, at(4), at(64), at(118)]
    assert found["ended"].tolist()[:3] == [at(4), at(64), at(118)]
    assert found["duration"].dt.total_seconds().tolist()[:3] == [4, 60, 54]
    assert found["exact"].tolist()[:3] == [True, True, True]


def test_what_lasts_has_no_end():
    last = intervals(look(1, "Open"), look(9, "UploadComplete")).iloc[-1]

    assert last[["ended", "duration", "exact"]].isna().all()


def test_counters_that_move_make_no_new_interval():
    found = intervals(
        look(1, "Open"),
        look(60, "InProgress", number_records_processed=10),
        look(70, "InProgress", number_records_processed=20),
        look(80, "JobComplete", before=78),
    )

    assert found["state"].tolist() == ["Open", "InProgress", "JobComplete"]
    assert found["duration"].dt.total_seconds().tolist()[1] == 20


def test_a_job_that_was_first_seen_at_its_end_has_one_state_since_its_last_stamp():
    found = intervals(look(7_200, "JobComplete", stamp=600))

    assert found["state"].tolist() == ["JobComplete"]
    assert found["began"].tolist() == [at(600)]


def test_a_query_begins_in_upload_complete():
    found = intervals(
        look(9, "UploadComplete", job_type="V2Query", operation="query"),
        look(30, "InProgress", before=29, job_type="V2Query", operation="query"),
    )

    assert found["began"].tolist() == [CREATED, at(30)]
    assert found["exact"].tolist()[0] is True


def test_a_state_that_may_have_been_missed_makes_the_one_before_inexact():
    watched = look(60, "UploadComplete", stamp=60, before=60)
    seldom = intervals(watched, look(300, "JobComplete", stamp=290, before=61))
    often = intervals(watched, look(300, "JobComplete", stamp=290, before=289))

    assert seldom["exact"].tolist()[0] is False
    assert often["exact"].tolist()[0] is True


def test_a_stamp_outside_of_the_two_looks_is_no_beginning():
    late_clock = intervals(look(1, "Open"), look(10, "Closed", stamp=500))
    stale = intervals(look(-3, "Open"), look(10, "Closed", stamp=0, before=-1))

    assert late_clock["began"].tolist()[1] == at(10)
    assert stale["began"].tolist()[1] == at(10)


def test_no_state_ends_before_it_began_though_clocks_differ():
    found = intervals(look(-5, "Open"), look(-3, "UploadComplete"), look(9, "InProgress"))

    assert (found["duration"].dropna() >= pd.Timedelta(0)).all()


def test_the_columns_needed_are_few_and_no_row_is_no_interval():
    few = pd.DataFrame([look(1, "Open"), look(5, "Closed")])[["seen", "id", "state"]]

    found = state_intervals(few)
    assert found["began"].tolist() == [at(1), at(5)]
    assert found["exact"].tolist()[0] is False
    assert state_intervals(few.iloc[:0]).dtypes.equals(found.dtypes)


def test_jobs_of_two_orgs_are_two_jobs():
    looks = pd.DataFrame([look(1, "Open", org="a"), look(2, "Open", org="b")])

    assert state_intervals(looks)["org"].tolist() == ["a", "b"]


@given(
    spans=st.lists(st.integers(1, 900), min_size=4, max_size=4),
    pauses=st.lists(st.integers(1, 300), min_size=1, max_size=40),
    stamps=st.booleans(),
)
def test_whatever_was_seen_of_a_job_agrees_with_what_it_did(spans, pauses, stamps):
    began = [0, *pd.Series(spans).cumsum()][:4]
    looks, last = [], None
    for pause in pauses:
        now = pause + (last or 0)
        state = max(number for number, start in enumerate(began) if start <= now)
        if not looks or looks[-1]["state"] != PATH[state]:
            stamp = began[state] if stamps else None
            looks.append(look(now, PATH[state], stamp=stamp, before=last))
        last = now

    found = intervals(*looks)

    truth = dict(zip(PATH, map(at, began), strict=True))
    real = found["state"].map(truth)
    assert (found["began"] >= real).all()
    if stamps:
        assert (found["began"] == real).all()
    assert found["ended"].iloc[:-1].tolist() == found["began"].iloc[1:].tolist()
    ends = dict(zip(PATH, map(at, began[1:]), strict=False))
    for row in found[found["exact"].fillna(False)].itertuples():
        lasted = ends[row.state] - truth[row.state]
        assert abs(row.duration - lasted) <= 0.1 * row.duration


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_the_order_of_the_rows_does_not_matter(order):
    looks = [look(1, "Open"), look(5, "UploadComplete"), look(9, "InProgress")]

    found = intervals(*(looks[number] for number in order))

    assert found["state"].tolist() == ["Open", "UploadComplete", "InProgress"]

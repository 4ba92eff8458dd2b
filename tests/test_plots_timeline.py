"""When jobs ran, drawn: bars by state, bands, overlaps, what has no end yet."""

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.dates import num2date
from matplotlib.figure import Figure
from pictures import boxes, hours, labels, legend_labels, notes, ran, row_labels

import bulknb
from bulknb import plots
from bulknb.plots._intervals import overlaps, packed

OVERLAP = "Another job on the same object"
PENDING = "Not done: no end yet"
QUEUE = "UploadComplete: in the queue (1)"


@pytest.fixture
def ax():
    return Figure(figsize=(8, 8)).add_subplot()


def history(*jobs):
    return bulknb.jobs_frame(list(jobs))


def states(*intervals, number=1):
    """The states of a job: (state, began, ended) on one day; no end: it lasts."""
    day = "2026-06-01T"
    return pd.DataFrame(
        {
            "id": f"750xx{number:010}AAA",
            "state": [state for state, _, _ in intervals],
            "began": [pd.Timestamp(f"{day}{began}Z") for _, began, _ in intervals],
            "ended": [
                pd.Timestamp(f"{day}{ended}Z") if ended else pd.NaT for *_, ended in intervals
            ],
        }
    )


def many(jobs):
    """So many jobs of seven objects, a minute each, one every 30 seconds."""
    start = pd.Timestamp("2026-06-01T00:00Z") + pd.to_timedelta(np.arange(jobs) * 30, unit="s")
    frame = history(*(ran(k, "00:00:00", "00:01:00", object=f"Obj{k % 7}__c") for k in range(jobs)))
    return frame.assign(created_date=start, system_modstamp=start + pd.Timedelta(minutes=1))


def test_a_bar_goes_from_creation_to_the_last_change_in_utc(ax):
    assert plots.timeline(history(ran(1, "08:00:00", "09:30:00")), ax=ax) is ax
    assert hours(ax, "JobComplete (1)") == [pytest.approx((8, 9.5, 0))]
    assert ax.get_xlabel() == "Time (UTC)"
    assert num2date(ax.get_xlim()[0]).hour == 7


def test_times_are_utc_wherever_the_reader_is(ax):
    with mpl.rc_context({"timezone": "Asia/Kolkata"}):
        plots.timeline(history(ran(1, "08:00:00", "10:00:00")), ax=ax)
        ax.figure.draw_without_rendering()
    shown = [label.get_text() for label in ax.get_xticklabels()]
    assert "09:00" in shown
    assert ax.xaxis.get_major_formatter().get_offset() == "2026-Jun-01"


def test_each_job_has_its_row_in_the_order_of_the_frame(ax):
    plots.timeline(history(ran(7, "09:00:00", "10:00:00"), ran(3, "08:00:00", "08:30:00")), ax=ax)
    assert row_labels(ax) == ["Flight__c upsert …0007", "Flight__c upsert …0003"]
    assert [row for *_, row in hours(ax, "JobComplete (2)")] == [0, 1]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_states_follow_each_other_within_the_bar(ax):
    seen = states(
        ("Open", "08:00:00", "08:10:00"),
        ("UploadComplete", "08:10:00", "08:40:00"),
        ("InProgress", "08:40:00", "09:30:00"),
        ("JobComplete", "09:30:00", None),
    )
    plots.timeline(history(ran(1, "08:00:00", "09:30:00")), states=seen, ax=ax)
    assert hours(ax, "Open (1)") == [pytest.approx((8, 8 + 1 / 6, 0))]
    assert hours(ax, QUEUE) == [pytest.approx((8 + 1 / 6, 8 + 2 / 3, 0))]
    assert hours(ax, "InProgress (1)") == [pytest.approx((8 + 2 / 3, 9.5, 0))]
    assert len(ax.collections) == 3 + 1  # the last state takes no time; the lines between bands


def test_states_seen_late_stay_within_their_job(ax):
    seen = states(("InProgress", "07:00:00", "12:00:00"), ("JobComplete", "12:00:00", None))
    later = states(("Open", "23:00:00", None), number=99)
    plots.timeline(history(ran(1, "08:00:00", "09:00:00")), states=pd.concat([seen, later]), ax=ax)
    assert hours(ax, "InProgress (1)") == [pytest.approx((8, 9, 0))]
    assert num2date(ax.get_xlim()[1]).hour == 12


def test_a_job_whose_states_nobody_saw_is_one_bar(ax):
    jobs = history(ran(1, "08:00:00", "09:00:00"), ran(2, "08:00:00", "09:00:00"))
    plots.timeline(jobs, states=states(("InProgress", "08:00:00", "09:00:00")), ax=ax)
    assert [row for *_, row in boxes(ax, "InProgress (1)")] == [0]
    assert [row for *_, row in boxes(ax, "JobComplete (1)")] == [1]


def test_a_running_job_is_hatched_and_goes_beyond_the_axis(ax):
    jobs = history(
        ran(1, "08:00:00", "08:05:00", state="InProgress"), ran(2, "08:00:00", "10:00:00")
    )
    plots.timeline(jobs, ax=ax)
    ((left, right, row),) = boxes(ax, PENDING)
    assert (left % 1 * 24, row) == (pytest.approx(8), 0)
    assert right > ax.get_xlim()[1]
    (mark,) = [each for each in ax.collections if each.get_label() == PENDING]
    assert mark.get_hatch()
    assert num2date(ax.get_xlim()[1]).strftime("%H:%M") == "10:06"  # not today


def test_only_the_last_state_of_a_running_job_is_open_ended(ax):
    seen = states(("UploadComplete", "08:00:00", "08:30:00"), ("InProgress", "08:30:00", None))
    jobs = history(ran(1, "08:00:00", "09:00:00", state="InProgress"))
    plots.timeline(jobs, states=seen, ax=ax)
    assert hours(ax, QUEUE) == [pytest.approx((8, 8.5, 0))]
    assert boxes(ax, PENDING)[0][0] % 1 * 24 == pytest.approx(8.5)


def test_the_overlap_of_two_jobs_on_one_object_is_marked_on_both(ax):
    jobs = history(
        ran(1, "08:00:00", "09:00:00"),
        ran(2, "08:30:00", "10:00:00"),
        ran(3, "08:00:00", "10:00:00", object="Account"),
        ran(4, "10:00:00", "11:00:00"),
    )
    plots.timeline(jobs, ax=ax)
    marks = hours(ax, OVERLAP)
    assert [mark[:2] for mark in marks] == [pytest.approx((8.5, 9))] * 2
    assert [round(mark[2]) for mark in marks] == [0, 1]
    assert OVERLAP in legend_labels(ax)


@pytest.mark.parametrize(
    "other",
    [
        {"operation": "query", "jobType": "V2Query"},
        {"state": "Open", "numberRecordsProcessed": 0},
        {"state": "UploadComplete", "numberRecordsProcessed": None},
    ],
)
def test_a_job_that_writes_nothing_overlaps_nobody(ax, other):
    second = ran(2, "08:00:00", "09:00:00") | other
    plots.timeline(history(ran(1, "08:00:00", "09:00:00"), second), ax=ax)
    assert OVERLAP not in labels(ax)


def test_jobs_that_did_not_end_well_are_marked_at_their_end(ax):
    jobs = [ran(k, "08:00:00", "09:00:00", state=s) for k, s in enumerate(("Failed", "Aborted"))]
    plots.timeline(history(*jobs, ran(3, "08:00:00", "08:10:00")), ax=ax)
    failed, aborted = ax.lines
    assert (failed.get_label(), aborted.get_label()) == (
        "Ended as Failed (1)",
        "Ended as Aborted (1)",
    )
    assert failed.get_marker() != aborted.get_marker()
    assert list(aborted.get_ydata()) == [1]
    assert aborted.get_xdata()[0] % 1 * 24 == pytest.approx(9)


def test_bands_are_as_high_as_jobs_ran_side_by_side(ax):
    jobs = history(
        ran(1, "08:00:00", "09:00:00"),
        ran(2, "08:30:00", "10:00:00"),
        ran(3, "09:00:00", "10:00:00"),
        ran(4, "08:00:00", "10:00:00", object="Account"),
    )
    plots.timeline(jobs, by="object", ax=ax)
    assert row_labels(ax) == ["Flight__c (3 jobs)", "Account (1 job)"]
    assert [row for *_, row in boxes(ax, "JobComplete (4)")] == [0, 1, 0, 2]
    assert list(ax.get_yticks()) == [0.5, 2]
    assert ax.get_ylabel() == "object"


def test_unfinished_jobs_of_a_band_share_a_row(ax):
    stuck = [ran(k, "08:00:00", "08:00:00", state="Open") for k in range(9)]
    plots.timeline(history(ran(10, "08:00:00", "09:00:00"), *stuck), by="object", ax=ax)
    assert row_labels(ax) == ["Flight__c (10 jobs, 9 not done)"]
    assert {row for *_, row in boxes(ax, PENDING)} == {1}


@pytest.mark.parametrize(("jobs", "rows"), [(60, 60), (61, 7)])
def test_more_jobs_than_have_room_are_bands_by_object(jobs, rows):
    ax = Figure(figsize=(9, 14)).add_subplot()
    plots.timeline(many(jobs), ax=ax)
    assert len(row_labels(ax)) == rows


def test_five_thousand_jobs_are_few_artists_and_few_labels(ax):
    plots.timeline(many(5_000), ax=ax)
    assert len(ax.collections) + len(ax.lines) <= 4
    assert row_labels(ax)[0] == "Obj0__c (715 jobs)"
    assert len(boxes(ax, "JobComplete (5,000)")) == 5_000
    assert len(ax.get_yticks()) <= 60


def test_five_thousand_jobs_keep_a_row_each_if_asked(ax):
    plots.timeline(many(5_000), by="id", ax=ax)
    assert len({row for *_, row in boxes(ax, "JobComplete (5,000)")}) == 5_000
    assert len(ax.get_yticks()) <= 60


def test_a_short_job_is_seen_and_not_parted(ax):
    jobs = history(ran(1, "08:00:00", "08:00:01"), ran(2, "08:00:00", "20:00:00"))
    seen = states(("Open", "08:00:00", "08:00:01"), ("JobComplete", "08:00:01", None))
    plots.timeline(jobs, states=seen, ax=ax)
    (short, _) = boxes(ax, "JobComplete (2)")
    width = np.diff(ax.transData.transform([(short[0], 0), (short[1], 0)])[:, 0])
    assert width >= 1


def test_a_job_without_a_creation_date_has_a_label_and_no_bar(ax):
    jobs = history(ran(1, "08:00:00", "09:00:00"), ran(2, "08:00:00", "09:00:00"))
    jobs.loc[1, "created_date"] = pd.NaT
    plots.timeline(jobs, ax=ax)
    assert len(row_labels(ax)) == 2
    assert len(boxes(ax, "JobComplete (1)")) == 1
    plots.timeline(jobs, by="object", ax=ax)
    plots.timeline(jobs.iloc[1:], ax=ax)
    assert notes(ax) == ["No job says when it was created"]


def test_states_of_another_kind_are_refused(ax):
    with pytest.raises(KeyError, match=r"states lacks .*began.*org\.history\.states\(\)"):
        plots.timeline(
            history(ran(1, "08:00:00", "09:00:00")), states=pd.DataFrame({"id": []}), ax=ax
        )


def test_dates_have_room_in_a_narrow_figure():
    ax = Figure(figsize=(3.5, 3), layout="constrained").add_subplot()
    plots.timeline(many(400), ax=ax)
    ax.figure.draw_without_rendering()
    shown = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
    assert len(shown) >= 2
    assert all(a.x1 < b.x0 for a, b in pairwise(shown))
    legend = ax.get_legend().get_window_extent()
    assert legend.x0 >= 0


spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20), st.integers(0, 2)), max_size=30)


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(spans)
def test_no_row_has_two_jobs_at_a_time_and_none_is_spare(found):
    began = np.array([start for start, _, _ in found], dtype=float)
    ended = began + [length for _, length, _ in found]
    rows = packed(began, ended)
    at_once = [((began <= t) & ((t < ended) | (t == began))).sum() for t in began]
    assert len(set(rows)) <= max(at_once, default=0)
    for a in range(len(found)):
        for b in range(a):
            if rows[a] == rows[b]:
                assert began[a] >= ended[b] or began[b] >= ended[a]


@settings(max_examples=50, derandomize=True, database=None, deadline=None)
@given(spans)
def test_overlaps_are_where_another_of_the_group_is(found):
    began = np.array([start for start, _, _ in found], dtype=float)
    ended = began + [length for _, length, _ in found]
    groups = np.array([group for *_, group in found], dtype=np.intp)
    pieces = overlaps(began, ended, groups)
    for a in range(len(found)):
        mine = pieces.of == a
        others = (groups == groups[a]) & (np.arange(len(found)) != a)
        for t in np.arange(0.5, 71):
            said = ((pieces.began < t) & (t < pieces.ended) & mine).any()
            true = began[a] < t < ended[a] and ((began < t) & (t < ended) & others).any()
            assert said == true

"""The pace of a kind of job, drawn: parts per 1,000 rows, running medians, steps."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from months import month
from pictures import legend_labels, notes, ran

import bulknb
from bulknb import plots

APEX = "Apex (triggers, flows)"


@pytest.fixture
def ax():
    return Figure(figsize=(9, 5)).add_subplot()


def runs(count, apex=2_000, *, after=None, seed=1, **fields):
    """A job of 1,000 rows a day; from the twentieth on with another Apex time."""
    noise = np.random.default_rng(seed).normal(1, 0.02, count)
    found = []
    for k in range(count):
        took = int((after if after and k >= 19 else apex) * noise[k])
        times = {"apexProcessingTime": took, "apiActiveProcessingTime": took + 300}
        times["totalProcessingTime"] = took + 400
        day = f"{pd.Timestamp('2026-06-01') + pd.Timedelta(days=k):%Y-%m-%d}"
        found.append(ran(k, "08:00:00", "08:10:00", day=day) | times | fields)
    return bulknb.jobs_frame(found)


def line(ax, label):
    (found,) = [line for line in ax.lines if line.get_label() == label]
    return found


def title(ax):
    return ax.get_legend().get_title().get_text()


def test_each_part_has_marks_and_a_running_median_per_1000_rows(ax):
    assert plots.trend(runs(10), ax=ax) is ax
    parts = [APEX, "API active, without Apex", "Rest: waiting and (de)serialization"]
    assert legend_labels(ax) == parts
    assert [np.median(line(ax, part).get_ydata()) for part in parts] == [
        pytest.approx(2, rel=0.05),
        pytest.approx(0.3),
        pytest.approx(0.1),
    ]
    assert ax.get_ylabel() == "Time per 1,000 rows (s)"
    assert title(ax) == "upsert Flight__c (10 jobs)"
    assert notes(ax) == []


def test_a_step_is_marked_where_it_is_and_said_in_words(ax):
    plots.trend(runs(40, 2_300, after=11_400), ax=ax)
    (note,) = notes(ax)
    assert note == "Apex +9.1 ms a row since 20 June 2026"
    (mark,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    assert pd.Timestamp(mark.get_xdata()[0], unit="D").round("s") == pd.Timestamp(
        "2026-06-20T08:00"
    )


def test_no_median_reaches_over_a_step(ax):
    plots.trend(runs(40, 2_000, after=10_000), ax=ax)
    medians = line(ax, APEX).get_ydata()
    assert np.nanmax(medians[:19]) < 3
    assert np.nanmin(medians[19:]) > 9


def test_a_trigger_deployed_on_day_20_is_seen_in_a_month_of_jobs(ax):
    truth = month()
    plots.trend(truth.history, object=truth.object, operation=truth.operation, ax=ax)
    (note,) = [note for note in notes(ax) if note.startswith("Apex")]
    _, change, _, _, _, _, day, *_ = note.split()
    assert float(change) == pytest.approx((truth.after - truth.before) / 1_000, rel=0.1)
    assert abs(int(day) - truth.trigger_at.day) <= 1


def test_a_step_in_failures_is_said_in_rows(ax):
    jobs = runs(40)
    jobs.loc[20:, "number_records_failed"] = 50
    jobs.loc[:19, "number_records_failed"] = 2
    plots.trend(jobs, ax=ax)
    assert notes(ax) == ["Failures +48 of 1,000 rows since 21 June 2026"]


def test_the_kind_with_the_most_processing_time_is_drawn(ax):
    jobs = pd.concat([runs(5), runs(5, 9_000, object="Contact"), runs(5, operation="insert")])
    plots.trend(jobs, ax=ax)
    assert title(ax) == "upsert Contact (5 jobs)"


def test_another_kind_is_drawn_when_asked_for_in_any_letter_case(ax):
    jobs = pd.concat([runs(5), runs(5, 9_000, object="Contact")], ignore_index=True)
    plots.trend(jobs, object="flight__C", operation="upsert", ax=ax)
    assert title(ax) == "upsert Flight__c (5 jobs)"


@pytest.mark.parametrize(
    "jobs",
    [runs(0), runs(5, state="InProgress"), runs(5, numberRecordsProcessed=0)],
    ids=["none", "running", "no rows"],
)
def test_jobs_without_a_pace_are_said_to_have_none(ax, jobs):
    plots.trend(jobs, ax=ax)
    assert notes(ax) == ["No finished job tells its times and rows"]


def test_a_job_far_above_all_others_does_not_flatten_them(ax):
    jobs = runs(40)
    jobs.loc[5, "number_records_processed"] = 1
    plots.trend(jobs, ax=ax)
    assert ax.get_ylim()[1] < 10
    marks = ax.lines[0].get_ydata()
    assert marks.max() == ax.get_ylim()[1]


def test_the_unit_suits_the_highest_pace(ax):
    plots.trend(runs(10, 300), ax=ax)
    assert ax.get_ylabel() == "Time per 1,000 rows (ms)"


def test_names_from_elsewhere_are_drawn_as_they_are(ax):
    plots.trend(runs(5, object=r"$\broken{_x^$"), ax=ax)
    ax.figure.draw_without_rendering()
    assert title(ax).startswith(r"upsert $\broken{_x^$")


def test_properties_reach_the_marks_of_jobs(ax):
    plots.trend(runs(5), ax=ax, alpha=0.1)
    assert ax.lines[0].get_alpha() == 0.1
    assert line(ax, APEX).get_alpha() is None

"""What became of rows, drawn: counts in bars and in words."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from pictures import boxes, job, legend_labels, notes, query_job, row_labels

import bulknb
from bulknb import plots

PENDING = "Not done: counts so far"


@pytest.fixture
def ax():
    return Figure(figsize=(8, 8)).add_subplot()


def counting(number, processed, failed=0, **fields):
    counts = {"numberRecordsProcessed": processed, "numberRecordsFailed": failed}
    return job(number, **counts, **fields)


def history(*jobs):
    return bulknb.jobs_frame(list(jobs))


def loaded(*outcomes):
    """The rows of a load: (outcome, number of its job or None)."""
    return pd.DataFrame(
        {
            "Region": ["north", "south"] * (len(outcomes) // 2) + ["north"] * (len(outcomes) % 2),
            "outcome": pd.array([outcome for outcome, _ in outcomes], dtype="string"),
            "job_id": [None if n is None else f"750xx{n:010}AAA" for _, n in outcomes],
        },
        index=range(100, 100 + len(outcomes)),
    )


def widths(ax, label):
    return [right - left for left, right, _ in boxes(ax, label)]


def test_processed_rows_are_successes_and_failures(ax):
    assert plots.outcomes(history(counting(1, 1_000, 250)), ax=ax) is ax
    assert boxes(ax, "Success (750)") == [(0, 750, 0)]
    assert boxes(ax, "Failed (250)") == [(750, 1_000, 0)]
    assert row_labels(ax) == ["Flight__c upsert …0001"]
    assert notes(ax) == ["1,000 rows, 250 failed"]
    assert ax.get_xlabel() == "Rows"


def test_three_failures_of_a_million_are_seen_and_counted_as_they_are(ax):
    plots.outcomes(history(counting(1, 1_000_000, 3)), ax=ax)
    assert notes(ax) == ["1,000,000 rows, 3 failed"]
    assert widths(ax, "Failed (3)") == [pytest.approx(4_000)]


def test_a_job_that_did_not_end_well_says_so(ax):
    jobs = [counting(1, 10, state="Failed"), counting(2, 10, state="Aborted"), counting(3, 1)]
    plots.outcomes(history(*jobs), ax=ax)
    assert notes(ax) == ["Failed: 10 rows", "Aborted: 10 rows", "1 row"]


def test_counts_of_a_running_job_are_marked_as_not_final(ax):
    plots.outcomes(history(counting(1, 1_000, state="InProgress"), counting(2, 1_000)), ax=ax)
    ((left, right, row),) = boxes(ax, PENDING)
    assert (left, row) == (1_000, 0)
    assert 1_000 < right < ax.get_xlim()[1]
    assert notes(ax) == ["InProgress: 1,000 rows", "1,000 rows"]


def test_counts_that_nobody_told_are_not_zero(ax):
    plots.outcomes(history(job(1), query_job(2, 10) | {"numberRecordsProcessed": 5}), ax=ax)
    assert notes(ax) == ["rows not reported", "5 rows"]


def test_by_a_column_sums_jobs_in_order_of_appearance(ax):
    jobs = history(
        counting(1, 100, 10), counting(2, 50, object="Account"), counting(3, 100, state="Open")
    )
    plots.outcomes(jobs, "object", ax=ax)
    assert row_labels(ax) == ["Flight__c (2 jobs, 1 not done)", "Account (1 job)"]
    assert notes(ax) == ["200 rows, 10 failed", "50 rows"]
    assert [row for *_, row in boxes(ax, PENDING)] == [0]
    assert ax.get_ylabel() == "object"


def test_the_rows_of_a_load_are_drawn_by_job(ax):
    rows = loaded(
        ("success", 1), ("failed", 1), ("not_sent", None), ("success", 2), ("unprocessed", 2)
    )
    plots.outcomes(rows, ax=ax)
    assert row_labels(ax) == ["job …0001", "no job", "job …0002"]
    assert notes(ax) == ["2 rows, 1 failed", "1 row, 1 not sent", "2 rows, 1 unprocessed"]
    assert legend_labels(ax) == ["Success (2)", "Failed (1)", "Unprocessed (1)", "Not sent (1)"]


def test_the_rows_of_a_load_are_drawn_by_any_column(ax):
    plots.outcomes(loaded(("success", 1), ("unknown", 1), ("success", 1)), "Region", ax=ax)
    assert row_labels(ax) == ["north", "south"]
    assert notes(ax) == ["2 rows", "1 row, 1 unknown"]
    assert ax.get_ylabel() == "Region"


def test_a_load_is_drawn_as_it_comes_from_the_org(org, ax):
    people = pd.DataFrame({"LastName": ["Ada", None, "Eve"]})
    load = org.load(people, "Contact", "insert").wait()
    plots.outcomes(load.frame, ax=ax)
    assert legend_labels(ax) == ["Success (2)", "Failed (1)"]


def test_counts_stay_legible_on_a_logarithmic_axis(ax):
    jobs = history(counting(1, 1_000_000, 3), counting(2, 4), counting(3, 0))
    plots.outcomes(jobs, ax=ax)
    ax.set_xscale("log")
    ax.figure.draw_without_rendering()
    frame = ax.get_window_extent()
    extents = [text.get_window_extent() for text in ax.texts]
    assert all(frame.x0 < extent.x0 and extent.x1 < frame.x1 for extent in extents)


def test_an_axis_that_is_logarithmic_stays_so(ax):
    ax.set_xscale("log")
    plots.outcomes(history(counting(1, 1_000_000, 3)), ax=ax)
    ax.figure.draw_without_rendering()
    assert (ax.get_xscale(), ax.get_xlim()[0]) == ("log", 0.5)


def test_many_bars_have_no_notes_and_are_few_artists(ax):
    plots.outcomes(history(*(counting(k, 1_000, 10 * (k % 2)) for k in range(5_000))), ax=ax)
    assert notes(ax) == []
    assert len(ax.collections) == 2
    assert len(boxes(ax, "Success (4,975,000)")) == 5_000
    assert len(row_labels(ax)) <= 60


def test_failures_are_told_apart_without_colour(ax):
    plots.outcomes(history(counting(1, 10, 5)), ax=ax)
    good, bad = ax.collections
    assert (good.get_hatch(), bool(bad.get_hatch())) == (None, True)


def test_no_rows_are_said_to_be_none(ax):
    plots.outcomes(loaded(("success", 1)).iloc[:0], ax=ax)
    assert notes(ax) == ["No rows"]


def test_the_order_and_index_of_a_frame_do_not_matter_to_its_sums(ax):
    rows = loaded(*(("failed" if k % 3 else "success", k % 2) for k in range(60)))
    plots.outcomes(rows.sample(frac=1, random_state=np.random.RandomState(1)), ax=ax)
    assert legend_labels(ax) == ["Success (20)", "Failed (40)"]

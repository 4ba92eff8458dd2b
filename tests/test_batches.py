"""The batches of a 1.0 job: as a sequence, as a frame, as a picture."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pictures import boxes

from bulknb import Batches, BatchInfo, JobInfo, plots

START = datetime(2026, 5, 1, 8, tzinfo=UTC)
JOB = JobInfo(id="750xx0000000001AAA", operation="insert", object="Flight__c", job_type="Classic")
APEX = "of it Apex (triggers, flows)"


def batch(number=0, state="Completed", seconds=10, **fields) -> BatchInfo:
    """One batch, added a second after the one before it."""
    created = START + timedelta(seconds=number)
    known = {
        "id": f"751xx{number:010}AAA",
        "job_id": JOB.id,
        "state": state,
        "created_date": created,
        "system_modstamp": created + timedelta(seconds=seconds),
        "number_records_processed": 10_000,
        "number_records_failed": 0,
        "total_processing_time_ms": 5_000,
        "api_active_processing_time_ms": 4_000,
        "apex_processing_time_ms": 1_500,
    }
    return BatchInfo(**(known | fields))


def batches(*found: BatchInfo, job: JobInfo = JOB) -> Batches:
    return Batches(job, found)


@pytest.fixture
def ax():
    return Figure(figsize=(8, 6)).add_subplot()


def test_batches_are_a_sequence(org):
    job = org.create_job("insert", "Account", api="1.0")
    sent = [job.add_batch(f"Name\n{name}\n").id for name in "ABC"]

    found = job.batches()

    assert sorted(each.id for each in found) == sorted(sent)
    assert len(found) == 3
    assert found[0] == next(iter(found))
    assert [each.id for each in found[1:]] == [each.id for each in found][1:]


def test_the_frame_has_a_typed_row_for_each_batch():
    frame = batches(batch(), batch(1, "Failed", apex_processing_time_ms=None)).frame

    assert frame["id"].tolist() == ["751xx0000000000AAA", "751xx0000000001AAA"]
    assert str(frame["created_date"].dtype) == "datetime64[us, UTC]"
    assert str(frame["state"].dtype) == "string"
    counts = ["number_records_processed", "total_processing_time_ms", "apex_ms", "duration_ms"]
    assert {str(frame[name].dtype) for name in counts} == {"Int64"}
    first, second = frame.iloc[0], frame.iloc[1]
    assert (first["apex_ms"], first["api_ms"], first["rest_ms"]) == (1_500, 2_500, 1_000)
    assert first["duration_ms"] == 10_000
    assert second[["apex_ms", "api_ms"]].isna().all()
    assert second["rest_ms"] == 1_000


@pytest.mark.parametrize("state", ["Queued", "InProgress", "Paused"])
def test_times_of_a_batch_that_has_not_ended_are_not_there_yet(state):
    row = batches(batch(state=state)).frame.iloc[0]

    assert row[["apex_ms", "api_ms", "rest_ms", "duration_ms"]].isna().all()
    assert row["total_processing_time_ms"] == 5_000


@pytest.mark.parametrize(
    ("operation", "job_state", "parent"),
    [("query", "Closed", True), ("query", "Aborted", pd.NA), ("insert", "Aborted", False)],
)
def test_what_pk_chunking_has_cut_is_told_from_what_an_abort_has_left(operation, job_state, parent):
    job = replace(JOB, operation=operation, state=job_state)

    frame = batches(batch(0, "NotProcessed"), batch(1), job=job).frame

    assert frame["chunked_parent"].tolist() == [parent, False]
    assert str(frame["chunked_parent"].dtype) == "boolean"


def test_a_job_without_batches_has_an_empty_typed_frame():
    frame = batches().frame

    assert len(frame) == 0
    assert str(frame["duration_ms"].dtype) == "Int64"
    assert str(frame["chunked_parent"].dtype) == "boolean"


def test_batches_read_well_as_text_and_html():
    found = batches(batch(), batch(1), batch(2, "Failed", state_message="<b>InvalidBatch</b>"))

    assert repr(found).startswith("<3 batches of job 750xx0000000001AAA: 2 Completed, 1 Failed>")
    assert repr(batches(batch())).startswith("<1 batch of job")
    assert repr(batches()) == "<0 batches of job 750xx0000000001AAA>"
    html = found._repr_html_()
    assert "3 batches of insert Flight__c" in html
    assert "&lt;b&gt;InvalidBatch" in html
    assert "<b>" not in html
    assert "0 batches" in batches()._repr_html_()


def test_what_was_cut_into_chunks_is_named_and_no_column_of_nothing_is_shown():
    job = replace(JOB, operation="query", state="Closed")

    shown = repr(batches(batch(0, "NotProcessed"), batch(1), job=job))

    assert shown.count("(cut into chunks)") == 1
    assert "message" not in shown
    assert "NA" not in shown.splitlines()[-1]


def test_many_batches_are_shown_in_part():
    assert len(repr(batches(*map(batch, range(5_000)))).splitlines()) < 40


def bars(ax) -> dict[str, PolyCollection]:
    return {bar.get_label(): bar for bar in ax.collections}


def ends(bar) -> list[tuple[float, float]]:
    xs = [path.vertices[:, 0] for path in bar.get_paths()]
    return [(float(x.min()), float(x.max())) for x in xs]


def test_a_bar_goes_from_creation_to_the_last_change_in_the_colour_of_its_state(ax):
    found = batches(batch(0), batch(5, "Failed", seconds=20), batch(6, "Paused"))

    assert plots.batches(found.frame, ax=ax) is ax

    shown = bars(ax)
    assert set(shown) == {"Completed (1)", "Failed (1)", "Other (1)", APEX}
    assert ends(shown["Completed (1)"]) == [(0, 10)]
    assert ends(shown["Failed (1)"]) == [(5, 25)]
    assert to_hex(shown["Failed (1)"].get_facecolor()[0]) == "#d55e00"
    assert ax.get_xlabel() == "Time since the first batch was added (s)"
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top


def test_apex_is_as_long_as_it_took_at_the_end_of_its_bar(ax):
    plots.batches(batches(batch(), batch(1, "Queued")).frame, ax=ax)

    assert ends(bars(ax)[APEX]) == [(8.5, 10)]


def test_apex_never_leaves_its_bar(ax):
    plots.batches(batches(batch(seconds=1, apex_processing_time_ms=9_000)).frame, ax=ax)

    assert ends(bars(ax)[APEX]) == [(0, 1)]


def test_a_batch_of_no_second_is_seen(ax):
    plots.batches(batches(batch(0, seconds=0), batch(1, seconds=999)).frame, ax=ax)

    (start, end), _ = ends(bars(ax)["Completed (2)"])
    assert (start, end > 0) == (0, True)


@pytest.mark.parametrize(("seconds", "unit"), [(0, "s"), (30, "s"), (600, "min"), (90_000, "h")])
def test_the_axis_names_the_unit_that_suits_the_longest_bar(ax, seconds, unit):
    plots.batches(batches(batch(seconds=seconds)).frame, ax=ax)

    assert ax.get_xlabel().endswith(f"({unit})")


@pytest.mark.parametrize("count", [1, 30, 5_000])
def test_labels_are_as_many_as_fit(ax, count):
    found = batches(*map(batch, range(count)))
    frame = found.frame

    started = time.process_time()
    plots.batches(frame, ax=ax)
    ax.figure.canvas.draw()

    assert time.process_time() - started < 10
    assert 1 <= len(ax.get_yticks()) <= min(count, 60)
    assert ax.get_yticklabels()[0].get_text() == "…0000 10,000 rows"
    assert len(boxes(ax, f"Completed ({count:,})")) == count


def test_foreign_text_is_never_mathtext(ax):
    plots.batches(batches(batch(id="751$x^$")).frame, ax=ax)

    assert not any(label.get_parse_math() for label in ax.get_yticklabels())
    ax.figure.canvas.draw()


def test_properties_reach_the_bars(ax):
    plots.batches(batches(batch()).frame, ax=ax, alpha=0.5)

    assert bars(ax)["Completed (1)"].get_alpha() == 0.5


def test_no_batches_are_said_in_words(ax):
    plots.batches(batches().frame, ax=ax)

    assert [text.get_text() for text in ax.texts] == ["No batches"]


def test_a_frame_of_something_else_is_refused(ax):
    with pytest.raises(KeyError, match=r"job\.batches\(\)\.frame"):
        plots.batches(pd.DataFrame({"id": np.arange(3)}), ax=ax)

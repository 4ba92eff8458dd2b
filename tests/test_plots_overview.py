"""One page about a set of jobs."""

import io
import subprocess
import sys

import pandas as pd
import pytest
from matplotlib.figure import Figure
from pictures import job, legend_labels, notes, ran, row_labels

import bulknb
from bulknb import plots

PANELS = [
    "Where the processing time went",
    "What ran when",
    "What became of the rows",
    "How fast jobs were",
]


def jobs(count, objects=1, **fields):
    """Jobs of several objects, those of the first with the least processing time."""
    return bulknb.jobs_frame(
        [
            ran(
                k,
                "08:00:00",
                "09:00:00",
                object=f"Object{k % objects}__c",
                totalProcessingTime=4_000 * (1 + k % objects),
                **fields,
            )
            for k in range(count)
        ]
    )


def panels(figure):
    return {ax.get_title(loc="left"): ax for ax in figure.axes}


def title(figure):
    return figure.get_suptitle()


def test_a_page_has_a_panel_for_each_question():
    figure = plots.overview(jobs(3))
    assert isinstance(figure, Figure)
    assert list(panels(figure)) == PANELS
    assert tuple(figure.get_size_inches()) == (8.27, 11.69)


def test_the_title_tells_the_facts():
    figure = plots.overview(jobs(3, numberRecordsFailed=5))
    assert title(figure) == (
        "3 jobs · 3,000 rows, 15 failed · 2026-06-01 (UTC)\n"
        "12 s of processing; where jobs tell: 30% Apex, 48% API, 22% rest"
    )


def test_the_title_tells_what_is_not_done_and_from_when_to_when():
    history = bulknb.jobs_frame(
        [
            ran(1, "08:00:00", "09:00:00", state="Open", totalProcessingTime=0),
            ran(2, "08:00:00", "09:00:00", day="2026-06-20") | {"apexProcessingTime": None},
        ]
    )
    assert title(plots.overview(history)) == (
        "2 jobs (1 not done) · 2,000 rows, 0 failed · 2026-06-01 to 2026-06-20 (UTC)\n"
        "4.1 s of processing"
    )


@pytest.mark.parametrize(("count", "label"), [(12, "Object0__c upsert …0000"), (13, "Object2__c")])
def test_many_jobs_are_shown_by_object_what_took_longest_first(count, label):
    shown = panels(plots.overview(jobs(count, objects=3)))
    for panel in PANELS[:3]:
        assert row_labels(shown[panel])[0].startswith(label)


def test_objects_that_took_little_time_share_a_bar():
    shown = panels(plots.overview(jobs(60, objects=20)))
    labels = row_labels(shown["Where the processing time went"])
    assert labels[0] == "Object19__c (3 jobs)"
    assert labels[-1] == "11 other objects (33 jobs)"
    assert len(labels) == 10


def test_jobs_on_different_objects_that_share_a_bar_do_not_overlap():
    when = panels(plots.overview(jobs(13, objects=13)))["What ran when"]
    assert "Another job on the same object" not in legend_labels(when)


def test_states_reach_the_timeline():
    history = jobs(1)
    states = pd.DataFrame(
        {
            "id": history["id"],
            "state": "UploadComplete",
            "began": history["created_date"],
            "ended": history["system_modstamp"],
        }
    )
    when = panels(plots.overview(history, states=states))["What ran when"]
    assert legend_labels(when) == ["UploadComplete: in the queue (1)"]


def test_titles_stand_clear_of_legends():
    figure = plots.overview(jobs(30, objects=8))
    figure.draw_without_rendering()
    for ax in figure.axes:
        legend = ax.get_legend().get_window_extent()
        heading = ax._left_title.get_window_extent()
        assert heading.y0 >= legend.y1 - 1


def test_no_jobs_are_said_to_be_none():
    (ax,) = plots.overview(bulknb.jobs_frame([])).axes
    assert notes(ax) == ["No jobs"]


def test_jobs_that_tell_next_to_nothing_make_a_page():
    figure = plots.overview(bulknb.jobs_frame([job(k, None, None, None) for k in range(20)]))
    figure.savefig(io.BytesIO())
    assert notes(panels(figure)["What ran when"]) == ["No job says when it was created"]


def test_a_page_needs_no_pyplot():
    script = (
        "import io, sys, bulknb\n"
        "info = dict(id='750', state='Open', createdDate='2026-06-01T08:00:00Z')\n"
        "bulknb.plots.overview(bulknb.jobs_frame([info])).savefig(io.BytesIO())\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)

"""How fast jobs were, drawn: rates over time, colours and shapes."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.dates import num2date
from matplotlib.figure import Figure
from pictures import legend_labels, notes, ran

import bulknb
from bulknb import plots

PENDING = "Not done: no rate yet"
NO_RATE = "Done, no rows or no time reported"


@pytest.fixture
def ax():
    return Figure(figsize=(8, 6)).add_subplot()


def history(*jobs):
    return bulknb.jobs_frame(list(jobs))


def dots(ax):
    """Label, without what keeps it in the legend -> its dots as (hour, rate)."""
    found = {}
    for artist in ax.collections:
        places = [(at % 1 * 24, rate) for at, rate in artist.get_offsets()]
        found[artist.get_label().strip("\N{ZERO WIDTH SPACE}")] = places
    return found


def test_a_dot_is_the_rate_of_a_job_at_its_creation(ax):
    assert plots.throughput(history(ran(1, "08:00:00", "08:00:10")), ax=ax) is ax
    assert dots(ax) == {"Flight__c (1 job)": [pytest.approx((8, 100))]}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Time (UTC)", "Rows a second")
    assert num2date(ax.get_xlim()[0]).strftime("%H:%M:%S") == "07:59:30"
    assert ax.get_ylim() == (0, pytest.approx(110))


def test_the_area_of_a_dot_goes_by_the_rows(ax):
    small = ran(1, "08:00:00", "08:00:10")
    plots.throughput(history(small, small | {"numberRecordsProcessed": 2_000}), ax=ax)
    assert list(ax.collections[0].get_sizes()) == [80, 160]
    assert ax.get_legend().get_title().get_text() == "Area: rows, up to 2,000 in a job"


def test_objects_differ_in_colour_and_shape(ax):
    jobs = [ran(k, "08:00:00", "08:00:10", object=name) for k, name in enumerate("ABCDEFGHA")]
    plots.throughput(history(*jobs), ax=ax)
    assert list(dots(ax)) == ["A (2 jobs)", *(f"{x} (1 job)" for x in "BCDEF"), "2 others (2 jobs)"]
    colours = {tuple(artist.get_facecolor()[0][:3]) for artist in ax.collections}
    shapes = {artist.get_paths()[0].vertices.tobytes() for artist in ax.collections}
    assert len(colours) == len(shapes) == 7


def test_the_only_other_one_has_its_name(ax):
    jobs = [ran(k, "08:00:00", "08:00:10", object=name) for k, name in enumerate("ABCDEFG")]
    plots.throughput(history(*jobs), ax=ax)
    assert list(dots(ax))[-1] == "G (1 job)"


def test_colours_can_stand_for_another_column(ax):
    jobs = history(ran(1, "08:00:00", "08:00:10"), ran(2, "08:00:00", "08:00:10"))
    plots.throughput(jobs.assign(user=["_ada", None]), "user", ax=ax)
    assert list(dots(ax)) == ["_ada (1 job)", "not reported (1 job)"]
    assert len(legend_labels(ax)) == 2


def test_jobs_without_a_rate_are_marks_on_the_edge(ax):
    nothing = ran(3, "10:00:00", "10:00:09", state="Failed") | {"numberRecordsProcessed": 0}
    jobs = [ran(1, "08:00:00", "08:00:10"), ran(2, "09:00:00", "09:00:09", state="InProgress")]
    plots.throughput(history(*jobs, nothing), ax=ax)
    pending, done = ax.lines
    assert (pending.get_label(), done.get_label()) == (f"{PENDING} (1)", f"{NO_RATE} (1)")
    assert pending.get_xdata()[0] % 1 * 24 == pytest.approx(9)
    assert pending.get_markerfacecolor() == "none"
    assert list(done.get_ydata()) == [0]


def test_rates_far_apart_have_a_logarithmic_axis_in_plain_numbers(ax):
    plots.throughput(history(ran(1, "08:00:00", "08:00:01"), ran(2, "08:00:00", "08:10:00")), ax=ax)
    ax.figure.draw_without_rendering()
    assert ax.get_yscale() == "log"
    assert "1,000" in [label.get_text() for label in ax.get_yticklabels()]


def test_jobs_none_of_which_has_a_rate_are_still_shown(ax):
    plots.throughput(history(ran(1, "08:00:00", "08:00:00", state="Open")), ax=ax)
    assert [line.get_label() for line in ax.lines] == [f"{PENDING} (1)"]
    assert list(ax.get_yticks()) == [0]


def test_jobs_without_a_creation_date_are_said_to_be_so(ax):
    jobs = history(ran(1, "08:00:00", "08:00:10"))
    plots.throughput(jobs.assign(created_date=pd.NaT), ax=ax)
    assert notes(ax) == ["No job says when it was created"]


def test_properties_reach_the_dots(ax):
    plots.throughput(history(ran(1, "08:00:00", "08:00:10")), ax=ax, alpha=0.2)
    assert ax.collections[0].get_alpha() == 0.2


def test_five_thousand_jobs_are_few_artists(ax):
    jobs = history(*(ran(k, "08:00:00", "08:00:10", object=f"O{k % 40}") for k in range(5_000)))
    plots.throughput(jobs, ax=ax)
    assert all(isinstance(artist, PathCollection) for artist in ax.collections)
    assert len(ax.collections) == 7
    assert sum(len(places) for places in dots(ax).values()) == 5_000
    assert np.all(ax.collections[0].get_sizes() < 50)


def test_dots_far_and_wide_are_a_small_file():
    chance = np.random.default_rng(4)
    job = history(ran(1, "08:00:00", "08:00:10"))
    jobs = job.loc[[0] * 5_000].assign(
        created_date=lambda frame: frame["created_date"] + pd.to_timedelta(range(5_000), "min"),
        object=chance.choice(list("ABCDEFG"), 5_000),
        rows_per_second=chance.lognormal(5, 1, 5_000),
    )
    figure, file = Figure(figsize=(9, 14)), io.BytesIO()
    plots.throughput(jobs, ax=figure.add_subplot())
    figure.savefig(file, format="svg")
    assert len(file.getvalue()) < 300_000


def test_however_many_dots_have_the_ink_of_three_hundred_large_ones(ax):
    jobs = history(*(ran(k, "08:00:00", "08:00:10") for k in range(1_000)))
    plots.throughput(jobs, ax=ax)
    assert ax.collections[0].get_sizes().sum() == pytest.approx(300 * 160)

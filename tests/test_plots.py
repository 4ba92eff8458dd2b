"""The pictures, read back from their artists: bars, labels, units; no pixels."""

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import matplotlib.style
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from pictures import boxes, job, legend_labels, lightness, notes, query_job, row_labels

import bulknb
from bulknb import plots

APEX = "Apex (triggers, flows)"
API = "API active, without Apex"
REST = "Rest: waiting and (de)serialization"
TOTAL = "Total (no breakdown)"
PENDING = "Not done: times are final when done"
NO_TIME = "Done, 0 ms or not reported"


@pytest.fixture
def ax():
    return Figure(figsize=(8, 8)).add_subplot()


@pytest.fixture
def pyplot():
    plt.switch_backend("Agg")
    yield plt
    plt.close("all")


RUNNING = job(1, total=0, active=3347, apex=0, state="InProgress")
FAILED = job(2, total=0, active=0, apex=0, state="Failed")
MIXED = [RUNNING, FAILED, query_job(3, 2500), job(4)]


def test_a_done_job_is_apex_then_api_then_rest(ax):
    plots.processing_times(bulknb.jobs_frame([job()]), ax=ax)
    assert boxes(ax, APEX) == [pytest.approx((0, 1.2, 0))]
    assert boxes(ax, API) == [pytest.approx((1.2, 3.101, 0))]
    assert boxes(ax, REST) == [pytest.approx((3.101, 4.103, 0))]
    assert legend_labels(ax) == [APEX, API, REST]


def test_jobs_keep_the_order_of_the_frame_and_the_first_is_on_top(ax):
    history = bulknb.jobs_frame([job(1, object="Zebra__c"), job(2, object="Account")])
    plots.processing_times(history, ax=ax)
    assert row_labels(ax) == ["Zebra__c upsert …0001", "Account upsert …0002"]
    _, heights = ax.transData.transform([(0, 0), (0, 1)]).T
    assert heights[0] > heights[1]


@pytest.mark.parametrize(
    ("total", "unit", "length"),
    [
        (999, "ms", 999),
        (1_000, "s", 1),
        (119_000, "s", 119),
        (120_000, "min", 2),
        (7_199_000, "min", 7_199 / 60),
        (7_200_000, "h", 2),
    ],
)
def test_the_axis_names_the_unit_that_suits_the_longest_bar(ax, total, unit, length):
    plots.processing_times(bulknb.jobs_frame([job(1, total, 0, 0), job(2, 10, 0, 0)]), ax=ax)
    assert ax.get_xlabel() == f"Processing time, summed over batches ({unit})"
    assert boxes(ax, REST)[0][1] == pytest.approx(length)


def test_a_running_job_is_a_hatched_mark_and_never_a_bar(ax):
    plots.processing_times(bulknb.jobs_frame([RUNNING]), ax=ax)
    (mark,) = ax.collections
    assert mark.get_label() == PENDING
    assert mark.get_hatch()
    assert notes(ax) == ["InProgress: times are final when done"]
    assert list(ax.get_xticks()) == [0]  # there is no time to read off


def test_a_total_without_breakdown_is_one_neutral_bar(ax):
    plots.processing_times(bulknb.jobs_frame([query_job(1, 2500)]), ax=ax)
    assert boxes(ax, TOTAL) == [pytest.approx((0, 2.5, 0))]
    assert legend_labels(ax) == [TOTAL]


def test_times_that_do_not_nest_are_shown_as_their_total(ax):
    plots.processing_times(bulknb.jobs_frame([job(1, total=500, active=100, apex=300)]), ax=ax)
    assert boxes(ax, TOTAL) == [pytest.approx((0, 500, 0))]
    assert legend_labels(ax) == [TOTAL]


def test_a_done_job_without_a_bar_says_why(ax):
    aborted = query_job(2, None) | {"state": "Aborted"}
    plots.processing_times(bulknb.jobs_frame([FAILED, aborted]), ax=ax)
    assert notes(ax) == ["Failed, 0 ms", "Aborted, times not reported"]
    assert legend_labels(ax) == [NO_TIME]


def test_all_kinds_of_jobs_stand_side_by_side(ax):
    plots.processing_times(bulknb.jobs_frame(MIXED), ax=ax)
    assert legend_labels(ax) == [APEX, API, REST, TOTAL, PENDING, NO_TIME]
    assert [boxes(ax, label)[0][2] for label in (PENDING, TOTAL, APEX)] == pytest.approx([0, 2, 3])
    assert ax.get_xlim()[0] == 0


def test_by_a_column_sums_each_group_in_order_of_appearance(ax):
    history = bulknb.jobs_frame(
        [job(1, 3000, 2000, 1000), job(2, 300, 200, 100, object="Account"), job(3, 3000, 2000, 0)]
    )
    plots.processing_times(history, by="object", ax=ax)
    assert row_labels(ax) == ["Flight__c (2 jobs)", "Account (1 job)"]
    assert boxes(ax, APEX) == [pytest.approx((0, 1, 0)), pytest.approx((0, 0.1, 1))]
    assert boxes(ax, REST)[0] == pytest.approx((4, 6, 0))
    assert ax.get_ylabel() == "object"


def test_by_several_columns_names_them_all(ax):
    plots.processing_times(bulknb.jobs_frame(MIXED), by=["object", "operation"], ax=ax)
    assert row_labels(ax) == ["Flight__c · upsert (3 jobs, 1 not done)", "Account · query (1 job)"]
    assert ax.get_ylabel() == "object, operation"


def test_a_group_with_unfinished_jobs_carries_the_mark_after_its_bar(ax):
    plots.processing_times(bulknb.jobs_frame([job(1), RUNNING]), by="object", ax=ax)
    ((left, right, _),) = boxes(ax, PENDING)
    assert left == pytest.approx(4.103)
    assert right < ax.get_xlim()[1]


def test_jobs_without_the_grouping_value_are_a_group_too(ax):
    history = bulknb.jobs_frame([job(1), job(2, externalIdFieldName="Code__c")])
    plots.processing_times(history, by="external_id_field_name", ax=ax)
    assert row_labels(ax) == ["not reported (1 job)", "Code__c (1 job)"]


def test_server_text_is_drawn_as_it_is():
    formula = r"$\broken{_x^$__c"
    history = bulknb.jobs_frame([job(1, object=formula), RUNNING | {"state": "_$\\x$"}])
    figure = plots.processing_times_figure(history)
    figure.savefig(io.BytesIO())  # a formula would not parse
    (ax,) = figure.axes
    assert row_labels(ax)[0] == f"{formula} upsert …0001"
    assert notes(ax) == ["_$\\x$: times are final when done"]
    plots.processing_times_figure(history, by="object").savefig(io.BytesIO())


def test_long_and_broken_names_take_one_short_line(ax):
    plots.processing_times(bulknb.jobs_frame([job(1, object="A\nB" + "c" * 90 + "__c")]), ax=ax)
    (label,) = row_labels(ax)
    assert label.startswith("A Bccc")
    assert label.endswith("ccc__c upsert …0001")
    assert len(label) < 60


@pytest.mark.parametrize(("jobs", "labels"), [(1, 1), (20, 20), (60, 60), (61, 11), (500, 12)])
def test_labels_thin_out_before_they_touch(jobs, labels):
    figure = plots.processing_times_figure(bulknb.jobs_frame(map(job, range(jobs))))
    (ax,) = figure.axes
    assert len(boxes(ax, APEX)) == jobs
    assert len(row_labels(ax)) == labels
    figure.draw_without_rendering()
    extents = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in pairwise(extents))


def test_labels_thin_out_sooner_in_a_low_axes():
    ax = Figure(figsize=(6, 3)).add_subplot()
    plots.processing_times(bulknb.jobs_frame(map(job, range(60))), ax=ax)
    assert len(row_labels(ax)) < 20


def test_the_figure_grows_with_the_bars_within_reason():
    heights = [
        plots.processing_times_figure(bulknb.jobs_frame(map(job, range(jobs)))).get_figheight()
        for jobs in (0, 1, 20, 500)
    ]
    assert heights == sorted(heights)
    assert (heights[0], heights[-1]) == (2, 14)


def test_no_jobs_are_said_to_be_none(ax):
    plots.processing_times(bulknb.jobs_frame([]), ax=ax)
    assert notes(ax) == ["No jobs"]


def test_a_frame_from_elsewhere_is_refused_with_what_to_do(ax):
    history = bulknb.jobs_frame([job()]).drop(columns=["apex_ms", "done"])
    with pytest.raises(KeyError, match=r"done, apex_ms: build it with bulknb\.jobs_frame"):
        plots.processing_times(history, ax=ax)


def test_an_unknown_grouping_column_is_named(ax):
    with pytest.raises(KeyError, match="no column nonsense"):
        plots.processing_times(bulknb.jobs_frame([job()]), by="nonsense", ax=ax)


def test_further_keywords_go_to_the_bars(ax):
    plots.processing_times(bulknb.jobs_frame(MIXED), ax=ax, alpha=0.5)
    assert {c.get_label(): c.get_alpha() for c in ax.collections} == {
        APEX: 0.5,
        API: 0.5,
        REST: 0.5,
        TOTAL: 0.5,
        PENDING: None,
    }


def test_the_current_axes_is_the_default_and_nothing_else_is_touched(pyplot):
    _, current = pyplot.subplots()
    before = dict(mpl.rcParams)
    assert plots.processing_times(bulknb.jobs_frame(MIXED)) is current
    assert len(pyplot.get_fignums()) == 1
    assert dict(mpl.rcParams) == before


def test_a_figure_needs_no_pyplot_and_no_main_thread():
    script = (
        "import io, sys, bulknb\n"
        "from bulknb import plots\n"
        "plots.processing_times_figure(bulknb.jobs_frame([])).savefig(io.BytesIO())\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    history = bulknb.jobs_frame(MIXED)
    with ThreadPoolExecutor(1) as pool:
        figure = pool.submit(plots.processing_times_figure, history).result()
    assert boxes(figure.axes[0], APEX)


def test_colours_differ_in_grey_too(ax):
    plots.processing_times(bulknb.jobs_frame(MIXED), ax=ax)
    bars = [c for c in ax.collections if c.get_label() != PENDING]
    colours = {to_hex(bar.get_facecolor()[0]) for bar in bars}
    assert len(colours) == 4
    assert all(abs(lightness(a) - lightness(b)) > 10 for a, b in combinations(colours, 2))


def test_marks_and_text_are_light_on_a_dark_theme():
    with mpl.style.context("dark_background"):
        (ax,) = plots.processing_times_figure(bulknb.jobs_frame(MIXED)).axes
    (mark,) = [c for c in ax.collections if c.get_label() == PENDING]
    (diamonds,) = ax.lines
    shown = [mark.get_edgecolor()[0], diamonds.get_color(), *(t.get_color() for t in ax.texts)]
    assert min(map(lightness, shown)) > 90

"""What holds for every picture of jobs."""

import io

import matplotlib as mpl
import matplotlib.pyplot as plt
import matplotlib.style
import pytest
from matplotlib.figure import Figure
from pictures import lightness, notes, ran

import bulknb
from bulknb import plots

PICTURES = [plots.processing_times, plots.timeline, plots.outcomes, plots.throughput]
FORMULA = r"_$\broken{_x^$__c"
JOBS = [
    ran(1, "08:00:00", "09:00:00"),
    ran(2, "08:30:00", "08:40:00", state="InProgress"),
    ran(3, "08:30:00", "09:30:00", state="Failed", object=FORMULA),
    ran(4, "08:30:00", "09:30:00", state="_$\\x$") | {"numberRecordsFailed": 7},
]

every_picture = pytest.mark.parametrize("draw", PICTURES, ids=lambda draw: draw.__name__)


@pytest.fixture
def ax():
    return Figure(figsize=(8, 8)).add_subplot()


@pytest.fixture
def pyplot():
    plt.switch_backend("Agg")
    yield plt
    plt.close("all")


@pytest.fixture(scope="module")
def five_thousand():
    jobs = [ran(k, f"{k // 250:02}:00:00", f"{k // 250:02}:30:00") for k in range(4_990)]
    stuck = [ran(k, "08:00:00", "08:00:00", state="Open") for k in range(10)]
    return bulknb.jobs_frame(jobs + stuck)


@every_picture
def test_the_current_axes_is_the_default_and_nothing_else_is_touched(pyplot, draw):
    _, current = pyplot.subplots()
    before = dict(mpl.rcParams)
    assert draw(bulknb.jobs_frame(JOBS)) is current
    assert len(pyplot.get_fignums()) == 1
    assert dict(mpl.rcParams) == before


@every_picture
def test_no_jobs_are_said_to_be_none(ax, draw):
    draw(bulknb.jobs_frame([]), ax=ax)
    assert notes(ax) == ["No jobs"]


@every_picture
def test_a_frame_from_elsewhere_is_refused_with_what_to_do(ax, draw):
    history = bulknb.jobs_frame(JOBS).drop(columns=["state", "done"])
    with pytest.raises(KeyError, match=r"state, done: build it with bulknb\.jobs_frame"):
        draw(history, ax=ax)


@every_picture
def test_an_unknown_column_to_group_by_is_named(ax, draw):
    with pytest.raises(KeyError, match="no column nonsense"):
        draw(bulknb.jobs_frame(JOBS), by="nonsense", ax=ax)


@every_picture
@pytest.mark.parametrize("by", ["id", "object"])
def test_text_from_elsewhere_is_drawn_as_it_is(ax, draw, by):
    draw(bulknb.jobs_frame(JOBS), by=by, ax=ax)
    ax.figure.savefig(io.BytesIO())  # a formula would not parse
    texts = [*ax.get_yticklabels(), *ax.get_legend().get_texts(), ax.yaxis.label]
    assert by == "id" or any(FORMULA in text.get_text() for text in texts)


@every_picture
def test_rows_in_any_order_and_of_any_index_are_drawn(ax, draw):
    history = bulknb.jobs_frame(JOBS).set_axis(["b", "a", "a", "c"]).iloc[::-1]
    draw(history, ax=ax)
    draw(history, by="object", ax=ax)


@every_picture
def test_text_and_marks_are_light_on_a_dark_theme(draw):
    with mpl.style.context("dark_background"):
        ax = draw(bulknb.jobs_frame(JOBS), ax=Figure().add_subplot())
    texts = [*ax.texts, *ax.get_yticklabels(), *ax.get_legend().get_texts(), ax.xaxis.label]
    marks = [artist for artist in ax.collections if artist.get_hatch() == "/////"]
    shown = [text.get_color() for text in texts] + [mark.get_edgecolor()[0] for mark in marks]
    assert min(map(lightness, shown)) > 90


@every_picture
def test_five_thousand_jobs_are_few_artists_few_labels_and_a_small_file(draw, five_thousand):
    figure = Figure(figsize=(9, 9))
    ax = draw(five_thousand, ax=figure.add_subplot())
    file = io.BytesIO()
    figure.savefig(file, format="svg")
    artists = [*ax.collections, *ax.lines, *ax.texts, *ax.patches]
    assert len(artists) <= 10
    assert len(ax.get_yticks()) <= 60
    assert len(file.getvalue()) < 300_000

"""What all pictures have in common: colours, units, words and labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from .._findings import plural

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend
    from matplotlib.typing import ColorType

FloatArray = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
BoolArray = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
IntArray = np.ndarray[tuple[int, ...], np.dtype[np.intp]]

#: Okabe and Ito: apart for every kind of colour vision, and on grey paper.
BLUE, ORANGE, YELLOW = "#0072B2", "#E69F00", "#F0E442"
SKY, GREEN, VERMILION, PURPLE, GREY = "#56B4E9", "#009E73", "#D55E00", "#CC79A7", "#8A8A8A"

FONT_SIZE = 8  # points
MAX_LABELS = 60  # each costs some 2.5 ms to draw, a bar next to nothing
_THINNED = 12  # labels, where not all have room
MAX_VECTORS = 1_000  # more shapes than this would make an SVG of megabytes: they become pixels
PENDING_HATCH = "/////"
_MAX_NAME = 40  # characters
_MIN_SLOTS = 4  # a single bar shall not fill the Axes

# A unit, its milliseconds, and the longest time (in milliseconds) from which it reads best.
_UNITS = (("h", 3_600_000, 7_200_000), ("min", 60_000, 120_000), ("s", 1_000, 1_000), ("ms", 1, 0))


class Segment(NamedTuple):
    """A kind of thing that bars consist of."""

    column: str  # or the value that a column has
    color: str
    label: str


#: What processing time consists of.
PARTS = (
    Segment("apex_ms", BLUE, "Apex (triggers, flows)"),
    Segment("api_ms", ORANGE, "API active, without Apex"),
    Segment("rest_ms", YELLOW, "Rest: waiting and (de)serialization"),
)


def require(frame: pd.DataFrame, columns: Sequence[str], *, name: str, source: str) -> None:
    """Refuse a frame without these columns, and say where to take one from."""
    if missing := [column for column in columns if column not in frame]:
        raise KeyError(f"{name} lacks the columns {', '.join(missing)}: {source}")


def require_history(history: pd.DataFrame, *columns: str) -> None:
    """Refuse a frame that is not one of jobs."""
    needed = ["id", "object", "operation", "state", "done", *columns]
    require(history, needed, name="history", source="build it with bulknb.jobs_frame")


def keys_of(frame: pd.DataFrame, by: str | Sequence[str] | None, *, name: str) -> list[str]:
    """Return the columns that `by` names, each of which there is."""
    keys = [by] if isinstance(by, str) else list(by or ())
    if unknown := [key for key in keys if key not in frame]:
        raise KeyError(f"by: {name} has no column {', '.join(unknown)}")
    return keys


def current_axes(ax: Axes | None) -> Axes:
    """Return `ax`, or where pyplot draws."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    return ax


def are_done(history: pd.DataFrame) -> pd.Series[bool]:
    """Tell which jobs have come to their end; of what is not known, none."""
    return history["done"].astype("boolean").fillna(False).astype(bool)


def numbers(column: pd.Series[Any]) -> pd.Series[float]:
    """Return a column of numbers as floats, NaN where they are missing."""
    return column.astype("Float64").astype(float)


def unit_of(longest: float) -> tuple[str, float]:
    """Return the unit that suits a time in milliseconds, and the milliseconds in it."""
    return next((unit, ms) for unit, ms, least in _UNITS if longest >= least)


def by_value(
    values: pd.Series[Any], segments: Sequence[Segment], other: Segment
) -> Iterator[tuple[Segment, BoolArray]]:
    """Yield each segment that occurs with its rows; a value of the future is among the others."""
    rest = np.ones(len(values), dtype=bool)
    for segment in segments:
        rows = values.eq(segment.column).fillna(value=False).to_numpy(bool)
        rest &= ~rows
        if rows.any():
            yield segment, rows
    if rest.any():
        yield other, rest


def ink(ax: Axes) -> ColorType:
    """Return the colour in which this Axes writes: light on a dark theme."""
    return ax.xaxis.label.get_color()


def short(id_: object) -> str:
    """The end of an id: of its 15 characters, since the last 3 of 18 are only a checksum."""
    return f"…{str(id_)[:15][-4:]}"


def clip(value: Any) -> str:
    """One line of at most `_MAX_NAME` characters; the end stays, since names differ there too."""
    text = "not reported" if pd.isna(value) else " ".join(str(value).split())
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 13]}…{text[-12:]}"


def job_labels(history: pd.DataFrame) -> list[str]:
    """Return object, operation and the end of the id of each job."""
    names = [_clipped(history[column]) for column in ("object", "operation")]
    return [
        " ".join(filter(None, job)) for job in zip(*names, map(short, history["id"]), strict=True)
    ]


def _clipped(column: pd.Series[Any]) -> list[str]:
    """Return `clip` of each, and nothing of what is missing; asked once for all that are alike."""
    codes, names = pd.factorize(column)
    texts = [*map(clip, names), ""]
    return [texts[code] for code in codes]


def group_name(group: object) -> str:
    """Return the values that a group's rows have in common, as one line."""
    return " · ".join(map(clip, group if isinstance(group, tuple) else (group,)))


def group_label(group: object, jobs: int, pending: int) -> str:
    """Return the name of a group of jobs and how many there are."""
    waiting = f", {pending:,} not done" if pending else ""
    return f"{group_name(group)} ({plural(jobs, 'job')}{waiting})"


def label_room(ax: Axes) -> int:
    """How many rows can have a label."""
    points = ax.bbox.height * 72 / ax.figure.dpi
    return int(np.clip(points / (1.3 * FONT_SIZE), 1, MAX_LABELS))


def label_rows(
    ax: Axes, labels: Sequence[str], *, at: FloatArray | None = None, rows: int | None = None
) -> None:
    """Write labels at rows, as many as have room, and fit the axis to all rows, the first on top.

    Parameters
    ----------
    at
        The row of each label, rising; by default each row has one.
    rows
        How many rows there are; by default as many as labels.
    """
    at = np.arange(len(labels), dtype=float) if at is None else at
    rows = len(labels) if rows is None else rows
    room = label_room(ax)
    # Where most go without a label, more of them would cost time and say little.
    apart = rows / (room if len(labels) <= room else min(room, _THINNED))
    shown = [0]
    for label in range(1, len(labels)):
        if at[label] - at[shown[-1]] >= apart:
            shown.append(label)
    spare = max(_MIN_SLOTS - rows, 0) / 2
    ax.set_ylim(rows - 0.5 + spare, -0.5 - spare)
    ax.set_yticks(at[shown], [labels[i] for i in shown], fontsize=FONT_SIZE, parse_math=False)


def name_rows(ax: Axes, keys: Sequence[str]) -> None:
    """Say by which columns rows are grouped."""
    ax.set_ylabel(", ".join(keys), parse_math=False)


def points_wide(ax: Axes) -> float:
    """Return the width of an Axes in points, which text is measured in."""
    return ax.bbox.width * 72 / ax.figure.dpi


def legend_above(ax: Axes, *, ncols: int = 3, title: str = "") -> Legend:
    """Put a legend above the Axes, in fewer columns where these have no room."""
    handles, labels = ax.get_legend_handles_labels()
    column = 0.55 * FONT_SIZE * max(map(len, labels), default=0) + 36
    # Anchored at the right: it may grow over the tick labels, never out of the figure.
    legend = ax.legend(
        handles,
        labels,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=int(np.clip(1.2 * points_wide(ax) / column, 1, ncols)),
        frameon=False,
        fontsize=FONT_SIZE,
        title=title,
        title_fontsize=FONT_SIZE,
    )
    for text in (legend.get_title(), *legend.get_texts()):
        text.set_parse_math(False)
    return legend


def draw_nothing(ax: Axes, words: str) -> Axes:
    """Say in words that there is nothing to draw."""
    ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center")
    return ax

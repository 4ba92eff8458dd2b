"""History frames into pictures: frame first, Axes out.

Every function here takes the frame of `bulknb.jobs_frame`, or of ``job.batches()``, and nothing
from the network. `pyplot` is imported only when no Axes is given, so that figures can be drawn from
any thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.typing import ColorType

    FloatArray = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    BoolArray = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    IntArray = np.ndarray[tuple[int, ...], np.dtype[np.intp]]

__all__ = ["batches", "processing_times", "processing_times_figure"]


class _Segment(NamedTuple):
    column: str
    color: str
    label: str


# Okabe and Ito's blue, orange and yellow: apart for every kind of colour vision, and on grey paper.
_PARTS = (
    _Segment("apex_ms", "#0072B2", "Apex (triggers, flows)"),
    _Segment("api_ms", "#E69F00", "API active, without Apex"),
    _Segment("rest_ms", "#F0E442", "Rest: waiting and (de)serialization"),
)
_TOTAL = _Segment("total_ms", "#8A8A8A", "Total (no breakdown)")
_PENDING_LABEL = "Not done: times are final when done"
_NO_TIME_LABEL = "Done, 0 ms or not reported"

# A unit, its milliseconds, and the longest bar (in milliseconds) from which it reads best.
_UNITS = (("h", 3_600_000, 7_200_000), ("min", 60_000, 120_000), ("s", 1_000, 1_000), ("ms", 1, 0))

_FONT_SIZE = 8  # points
_MAX_LABELS = 60  # each costs some 2.5 ms to draw, a bar next to nothing
_MAX_NAME = 40  # characters
_MIN_SLOTS = 4  # a single bar shall not fill the Axes


@dataclass(frozen=True)
class _Bars:
    """What is to be drawn: one row, label and note per bar, the first on top."""

    times: pd.DataFrame  # apex_ms, api_ms, rest_ms, total_ms: milliseconds, 0 where not drawn
    pending: pd.Series[int]  # how many of the bar's jobs are not done
    labels: list[str]
    notes: list[str]
    name: str  # of the y axis

    @property
    def lengths(self) -> pd.Series[float]:
        """Milliseconds per bar, its segments together."""
        return self.times.sum(axis="columns")


def processing_times(
    history: pd.DataFrame,
    by: str | Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
    **kwargs: Any,
) -> Axes:
    """Show where the processing time of each job went, as horizontal stacked bars.

    Parameters
    ----------
    history : DataFrame
        One row per job, as `bulknb.jobs_frame` builds it; its first row is drawn on top.
    by : str or list of str, optional
        Columns to sum over, for example ``"object"``: one bar per group, in order of appearance.
    ax : matplotlib Axes, optional
        Where to draw; the current Axes by default.
    **kwargs
        Properties of the bars, a `matplotlib.collections.PolyCollection` per kind of time.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    KeyError
        If `history` lacks a column that `bulknb.jobs_frame` makes, or one that `by` names.

    See Also
    --------
    processing_times_figure : The same in a figure whose height suits the number of bars.

    Notes
    -----
    Salesforce sums these times over the batches of a job, so that a bar can be longer than the
    clock time (Bulk API Developer Guide, "JobInfo", ``totalProcessingTime``). They nest only once a
    job is done: an unfinished job is a hatched mark, not a bar. A job that reports its total alone,
    as query jobs do, is a grey bar. The axis names its unit: ms, s, min or h, whichever suits the
    longest bar. Where bars lie too close, only some are labelled. The legend stands above the Axes:
    give a title some ``pad``.
    """
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    return _draw(_bars(history, by), ax, kwargs)


def processing_times_figure(
    history: pd.DataFrame, by: str | Sequence[str] | None = None, **kwargs: Any
) -> Figure:
    """Return `processing_times` as a figure of its own, ready for ``savefig``.

    The figure is 9 inches wide and grows with the number of bars, from 2 to 14 inches. It is made
    without pyplot: safe in threads, and there is nothing to close.

    Parameters
    ----------
    history, by, **kwargs
        As in `processing_times`.
    """
    bars = _bars(history, by)
    height = float(np.clip(1.4 + 0.24 * len(bars.labels), 2, 14))
    figure = Figure(figsize=(9, height), layout="constrained")
    _draw(bars, figure.add_subplot(), kwargs)
    return figure


def _bars(history: pd.DataFrame, by: str | Sequence[str] | None) -> _Bars:
    keys = [by] if isinstance(by, str) else list(by or ())
    _require_columns(history, keys)
    done = history["done"].astype("boolean").fillna(False).astype(bool)
    times, pending = _times(history, done), (~done).astype(int)
    if by is None:
        return _Bars(times, pending, _job_labels(history), _job_notes(history, times, done), "")
    # One frame for both sums, so that pending counts and times cannot part.
    groups = times.assign(pending=pending).groupby(
        [history[key] for key in keys], sort=False, dropna=False, observed=True
    )
    sums = groups.sum()
    waiting = sums.pop("pending")
    labels = [
        _group_label(group, jobs, not_done)
        for group, jobs, not_done in zip(sums.index, groups.size(), waiting, strict=True)
    ]
    return _Bars(sums, waiting, labels, [""] * len(labels), ", ".join(keys))


def _require_columns(history: pd.DataFrame, keys: Sequence[str]) -> None:
    needed = ["id", "object", "operation", "state", "done", "total_processing_time_ms"]
    needed += [part.column for part in _PARTS]
    if missing := [column for column in needed if column not in history]:
        raise KeyError(
            f"history lacks the columns {', '.join(missing)}: build it with bulknb.jobs_frame"
        )
    if unknown := [key for key in keys if key not in history]:
        raise KeyError(f"by: history has no column {', '.join(unknown)}")


def _times(history: pd.DataFrame, done: pd.Series[bool]) -> pd.DataFrame:
    parts = history[[part.column for part in _PARTS]].astype("Float64").astype(float)
    # Missing parts compare as False. Parts that do not nest would give a negative bar.
    nested = done & (parts >= 0).all(axis="columns")
    total = history["total_processing_time_ms"].astype("Float64").astype(float)
    unsplit = total.where(done & ~nested & (total > 0), 0.0)
    return parts.where(nested, 0.0).assign(**{_TOTAL.column: unsplit})


def _job_labels(history: pd.DataFrame) -> list[str]:
    return [
        " ".join([_clip(name) for name in names if pd.notna(name)] + [_short(id_)])
        for *names, id_ in zip(history["object"], history["operation"], history["id"], strict=True)
    ]


def _job_notes(history: pd.DataFrame, times: pd.DataFrame, done: pd.Series[bool]) -> list[str]:
    """Say in words why a job has no bar; empty where it has one."""
    reported = history["total_processing_time_ms"].notna()
    reasons = np.select(
        [times.any(axis="columns"), ~done, reported],
        ["", ": times are final when done", ", 0 ms"],
        ", times not reported",
    )
    return [
        f"{_clip(state)}{reason}" if reason else ""
        for state, reason in zip(history["state"], reasons, strict=True)
    ]


def _group_label(group: object, jobs: int, pending: int) -> str:
    names = group if isinstance(group, tuple) else (group,)
    size = f"{jobs:,} job" if jobs == 1 else f"{jobs:,} jobs"
    waiting = f", {pending:,} not done" if pending else ""
    return f"{' · '.join(map(_clip, names))} ({size}{waiting})"


def _short(id_: object) -> str:
    """The end of an id: of its 15 characters, since the last 3 of 18 are only a checksum."""
    return f"…{str(id_)[:15][-4:]}"


def _clip(value: Any) -> str:
    """One line of at most `_MAX_NAME` characters; the end stays, since names differ there too."""
    text = "not reported" if pd.isna(value) else " ".join(str(value).split())
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 13]}…{text[-12:]}"


def _draw(bars: _Bars, ax: Axes, properties: dict[str, Any]) -> Axes:
    if not bars.labels:
        return _draw_nothing(ax, "No jobs")
    longest = float(bars.lengths.max())
    unit, milliseconds = next((unit, ms) for unit, ms, least in _UNITS if longest >= least)
    ends = bars.lengths.to_numpy() / milliseconds
    pending = bars.pending.to_numpy() > 0
    mark = 0.03 * ends.max() or 0.03
    step = _label_step(ax, len(bars.labels))
    thickness = 0.8 if step == 1 else 1.0  # thin bars with gaps would shimmer

    _draw_times(ax, bars.times / milliseconds, thickness, properties)
    _draw_pending(ax, _boxes(ends, ends + mark, thickness)[pending])
    _draw_no_time(ax, np.flatnonzero((ends == 0) & ~pending))
    if step == 1:
        _draw_notes(ax, bars.notes, 1.3 * mark)

    ax.set_xlim(0, 1.02 * (ends + mark * pending).max() if longest else 1)
    if not longest:
        ax.set_xticks([0])
    ax.set_xlabel(f"Processing time, summed over batches ({unit})")
    _label_rows(ax, bars.labels, step)
    ax.set_ylabel(bars.name, parse_math=False)
    # Anchored at the right: it may grow over the tick labels, never out of the figure.
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=_FONT_SIZE)
    return ax


def _draw_times(
    ax: Axes, widths: pd.DataFrame, thickness: float, properties: dict[str, Any]
) -> None:
    left = np.zeros(len(widths))
    for segments in (_PARTS, (_TOTAL,)):
        if not widths[[segment.column for segment in segments]].to_numpy().any():
            continue  # nothing of this kind: no entry in the legend
        for segment in segments:
            right = left + widths[segment.column].to_numpy()
            boxes = list(_boxes(left, right, thickness)[right > left])
            bar = PolyCollection(boxes, facecolors=segment.color, linewidths=0, label=segment.label)
            bar.set(**properties)
            ax.add_collection(bar)
            left = right


def _draw_pending(ax: Axes, boxes: FloatArray) -> None:
    if boxes.size:
        marks = PolyCollection(
            list(boxes), facecolors="none", edgecolors=_ink(ax), hatch="/////", label=_PENDING_LABEL
        )
        ax.add_collection(marks)


def _draw_no_time(ax: Axes, rows: IntArray) -> None:
    if rows.size:
        at = np.zeros(rows.size)
        ax.plot(at, rows, "D", ms=4, color=_ink(ax), clip_on=False, label=_NO_TIME_LABEL)


def _draw_notes(ax: Axes, notes: list[str], x: float) -> None:
    for row, note in enumerate(notes):
        if note:
            ax.text(x, row, note, va="center", fontsize=_FONT_SIZE, parse_math=False)


def _boxes(left: FloatArray, right: FloatArray, thickness: float) -> FloatArray:
    """Corners of one box per row, shape (rows, 4, 2)."""
    middle = np.arange(len(left), dtype=float)
    top, bottom = middle - thickness / 2, middle + thickness / 2
    xs = np.stack([left, right, right, left], axis=1)
    ys = np.stack([top, top, bottom, bottom], axis=1)
    return np.stack([xs, ys], axis=2)


def _ink(ax: Axes) -> ColorType:
    """Return the colour in which this Axes writes: light on a dark theme."""
    return ax.xaxis.label.get_color()


def _label_step(ax: Axes, rows: int) -> int:
    """Every how many rows a label fits."""
    points = ax.bbox.height * 72 / ax.figure.dpi
    labels = int(np.clip(points / (1.3 * _FONT_SIZE), 1, _MAX_LABELS))
    return math.ceil(rows / labels)


def _label_rows(ax: Axes, labels: list[str], step: int) -> None:
    rows = len(labels)
    spare = max(_MIN_SLOTS - rows, 0) / 2
    ax.set_ylim(rows - 0.5 + spare, -0.5 - spare)
    ax.set_yticks(range(0, rows, step), labels[::step], fontsize=_FONT_SIZE, parse_math=False)


# How a batch stands: the same blue as elsewhere is left to Apex, which is drawn within.
_STATES = (
    _Segment("Completed", "#56B4E9", "Completed"),
    _Segment("Failed", "#D55E00", "Failed"),
    _Segment("InProgress", "#E69F00", "In progress"),
    _Segment("Queued", "#F0E442", "Queued"),
    _Segment("NotProcessed", "#8A8A8A", "Not processed"),
)
_OTHER_STATE = _Segment("", "#CC79A7", "Other")
_APEX_LABEL = "of it Apex (triggers, flows)"
_LEAST_SHARE = 0.004  # of the axis: times have whole seconds, and a short batch shall be seen


def batches(frame: pd.DataFrame, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
    """Show when the batches of a 1.0 job were added and done, as a Gantt chart.

    Parameters
    ----------
    frame : DataFrame
        One row per batch, as ``job.batches().frame`` has it; its first row is drawn on top.
    ax : matplotlib Axes, optional
        Where to draw; the current Axes by default.
    **kwargs
        Properties of the bars, a `matplotlib.collections.PolyCollection` per state.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    KeyError
        If `frame` lacks a column that ``job.batches().frame`` has.

    Notes
    -----
    A bar goes from a batch's creation to its last change, waiting in the queue included (Bulk API
    Developer Guide, "BatchInfo", ``createdDate`` and ``systemModstamp``, in whole seconds). Its
    colour is its state; the dark part at its end is as long as its Apex took. Time counts from the
    first batch. Where bars lie too close, only some are labelled.
    """
    needed = ["id", "state", "created_date", "system_modstamp", "apex_ms"]
    needed += ["number_records_processed", "number_records_failed"]
    if missing := [column for column in needed if column not in frame]:
        raise KeyError(
            f"frame lacks the columns {', '.join(missing)}: take it from job.batches().frame"
        )
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    if frame["created_date"].notna().any():
        return _draw_gantt(frame, ax, kwargs)
    return _draw_nothing(ax, "No batches")


def _draw_gantt(frame: pd.DataFrame, ax: Axes, properties: dict[str, Any]) -> Axes:
    start, end, apex = _spans(frame)
    longest = max(float(end.max()), 1_000.0)
    unit, milliseconds = next((unit, ms) for unit, ms, least in _UNITS if longest >= least)
    end = np.maximum(end, start + _LEAST_SHARE * longest)
    start, end, apex = (times / milliseconds for times in (start, end, apex))
    step = _label_step(ax, len(frame))
    thickness = 0.8 if step == 1 else 1.0

    bars = _boxes(start, end, thickness)
    for segment, rows in _by_state(frame["state"]):
        label = f"{segment.label} ({np.count_nonzero(rows):,})"
        bar = PolyCollection(list(bars[rows]), facecolors=segment.color, linewidths=0, label=label)
        bar.set(**properties)
        ax.add_collection(bar)
    if (rows := apex > 0).any():
        part = _boxes(np.maximum(end - apex, start), end, thickness)[rows]
        color = _PARTS[0].color
        ax.add_collection(
            PolyCollection(list(part), facecolors=color, linewidths=0, label=_APEX_LABEL)
        )

    ax.set_xlim(0, 1.02 * float(end.max()))
    ax.set_xlabel(f"Time since the first batch was added ({unit})")
    _label_rows(ax, _batch_labels(frame), step)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=_FONT_SIZE)
    return ax


def _spans(frame: pd.DataFrame) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return where bars begin and end, and their Apex: milliseconds from the first batch on."""
    created = frame["created_date"]
    created = created.fillna(created.min())
    changed = frame["system_modstamp"].fillna(created)
    start, end, apex = (
        np.asarray(times, dtype=np.float64)
        for times in (
            1000 * (created - created.min()).dt.total_seconds(),
            1000 * (changed - created.min()).dt.total_seconds(),
            frame["apex_ms"].fillna(0),
        )
    )
    return start, np.maximum(start, end), apex


def _by_state(states: pd.Series[str]) -> Iterator[tuple[_Segment, BoolArray]]:
    """Yield each state that there is with its rows; a state of the future is among the others."""
    known = [segment.column for segment in _STATES]
    for segment in (*_STATES, _OTHER_STATE):
        rows = states.eq(segment.column).fillna(value=False).to_numpy(bool)
        if segment is _OTHER_STATE:
            rows = ~states.isin(known).to_numpy(bool)
        if rows.any():
            yield segment, rows


def _batch_labels(frame: pd.DataFrame) -> list[str]:
    counts = zip(
        frame["id"], frame["number_records_processed"], frame["number_records_failed"], strict=True
    )
    return [
        f"{_short(id_)} {'' if pd.isna(rows) else f'{rows:,} rows'}"
        + (f", {failed:,} failed" if pd.notna(failed) and failed else "")
        for id_, rows, failed in counts
    ]


def _draw_nothing(ax: Axes, words: str) -> Axes:
    ax.set(xticks=[], yticks=[])
    ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center")
    return ax

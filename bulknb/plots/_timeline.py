"""When jobs ran, and what else ran on the same object: a Gantt chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._jobinfo import QUERIES, WAITING
from ._bars import add_bars, add_pending, boxes, thickness_of
from ._clock import SECOND, days, time_axis
from ._intervals import overlaps, packed
from ._style import (
    GREEN,
    GREY,
    MAX_LABELS,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    BoolArray,
    FloatArray,
    Segment,
    are_done,
    by_value,
    current_axes,
    draw_nothing,
    group_label,
    ink,
    job_labels,
    keys_of,
    label_room,
    label_rows,
    legend_above,
    name_rows,
    numbers,
    require,
    require_history,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STATES = (
    Segment("Open", GREEN, "Open"),
    Segment("UploadComplete", YELLOW, "UploadComplete: in the queue"),
    Segment("InProgress", ORANGE, "InProgress"),
    Segment("JobComplete", SKY, "JobComplete"),
    Segment("Closed", SKY, "Closed"),
    Segment("Failed", VERMILION, "Failed"),
    Segment("Aborted", GREY, "Aborted"),
)
_OTHER_STATE = Segment("", PURPLE, "Other")
_MARKERS = {"Failed": "X", "Aborted": "s"}  # at the end: told apart without colour, too
_OVERLAP_LABEL = "Another job on the same object"
_PENDING_LABEL = "Not done: no end yet"
_LEAST_SHARE = 0.002  # of the axis: about a pixel, so that a short job is seen
_LEAST_PARTS = 5  # pixels: a shorter bar is not parted into states
_EDGE = 0.2  # of a row: how high the mark of an overlap is


@dataclass(frozen=True)
class _Span:
    """When each job ran, in days; one value per job."""

    began: FloatArray  # NaN if its creation is not known
    ended: FloatArray  # beyond the axis if it is not done
    pending: BoolArray
    axis: tuple[float, float]

    @property
    def least(self) -> float:
        """The shortest time that can be seen."""
        return _LEAST_SHARE * (self.axis[1] - self.axis[0])


@dataclass(frozen=True)
class _Rows:
    """Where each job is drawn, and what stands beside."""

    of_job: FloatArray
    count: int
    labels: list[str]
    at: FloatArray  # the row of each label
    borders: FloatArray  # between bands, in rows


def timeline(
    history: pd.DataFrame,
    by: str | Sequence[str] | None = None,
    *,
    states: pd.DataFrame | None = None,
    ax: Axes | None = None,
    **kwargs: Any,
) -> Axes:
    """Show when jobs ran, as a Gantt chart: what waited for what, what ran beside what.

    Parameters
    ----------
    history : DataFrame
        One row per job, as `bulknb.jobs_frame` builds it; its first row is drawn on top.
    by : str or list of str, optional
        Columns whose values are a band each, for example ``"object"``: its jobs share rows, so that
        a band is as many rows high as jobs ran side by side. By default each job has a row of its
        own; from 61 jobs on, bands by object (``by="id"`` for rows).
    states : DataFrame, optional
        One row per state of a job, with ``id``, ``state``, ``began`` and ``ended`` (UTC; NA while
        it lasts): jobs are drawn state by state.
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
        If a frame lacks a column that it should have, or one that `by` names.

    Notes
    -----
    A bar goes from a job's creation to its last change (Bulk API 2.0 and Bulk API Developer Guide,
    "JobInfo", ``createdDate`` and ``systemModstamp``), in the colour of its state, or of its states
    one after the other. An unfinished job is hatched, to the end of the axis: the last moment that
    the frames know of; in a band, all of them share the last row. The edge below a bar says that
    another job was at work on the same object, where locks are fought over; queries lock nothing
    and do not count, nor do jobs that have not begun. A bar has at least the width of a pixel, and
    one of few pixels is not parted into states. The legend stands above the Axes: give a title some
    ``pad``.
    """
    require_history(history, "created_date", "system_modstamp", "number_records_processed")
    keys = keys_of(history, by, name="history")
    if states is not None:
        source = "take it from org.history.states()"
        require(states, ["id", "state", "began", "ended"], name="states", source=source)
    ax = current_axes(ax)
    if history.empty:
        return draw_nothing(ax, "No jobs")
    if history["created_date"].isna().all():
        return draw_nothing(ax, "No job says when it was created")
    if not keys and len(history) > MAX_LABELS:
        keys = ["object"]
    return _draw(history, states, keys, ax, kwargs)


def _draw(
    history: pd.DataFrame,
    states: pd.DataFrame | None,
    keys: list[str],
    ax: Axes,
    properties: dict[str, Any],
) -> Axes:
    span = _span(history, states)
    rows = _bands(history, span, keys, label_room(ax)) if keys else _rows(history)
    thickness = thickness_of(roomy=rows.count <= 3 * label_room(ax))
    pieces = _pieces(history, span, states)
    began, ended = (pieces[name].to_numpy(np.float64) for name in ("began", "ended"))
    corners = boxes(
        began,
        np.maximum(ended, began + span.least),
        thickness,
        rows=rows.of_job[pieces["job"]],
    )
    for segment, chosen in by_value(pieces["state"], _STATES, _OTHER_STATE):
        label = f"{segment.label} ({pieces['job'][chosen].nunique():,})"
        look = {"label": label, "facecolors": segment.color}
        add_bars(ax, corners[chosen], properties=properties, **look)
    add_pending(ax, corners[ended > span.axis[1]], _PENDING_LABEL)
    _draw_overlaps(ax, history, span, rows, thickness)
    _draw_ends(ax, history, span, rows)

    time_axis(ax, *span.axis)
    label_rows(ax, rows.labels, at=rows.at, rows=rows.count)
    name_rows(ax, keys)
    across: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "linewidths": 0.5}
    ax.hlines(rows.borders, 0, 1, colors=ink(ax), alpha=0.3, **across)
    legend_above(ax)
    return ax


def _span(history: pd.DataFrame, states: pd.DataFrame | None) -> _Span:
    began, changed = days(history["created_date"]), days(history["system_modstamp"])
    pending = (~are_done(history)).to_numpy()
    known = [began, changed]
    if states is not None:
        ours = states[states["id"].isin(history["id"])]
        known += [days(ours["began"]), days(ours["ended"])]
    first, last = np.nanmin(began), np.nanmax(np.concatenate(known))
    length = max(last - first, SECOND)
    end = last + (0.05 if pending.any() else 0.01) * length
    ended = np.where(pending, end + length, np.fmax(changed, began))
    return _Span(began, ended, pending, (float(first - 0.01 * length), float(end)))


def _rows(history: pd.DataFrame) -> _Rows:
    each = np.arange(len(history), dtype=float)
    return _Rows(each, len(history), job_labels(history), each, np.zeros(0))


def _bands(history: pd.DataFrame, span: _Span, keys: list[str], room: int) -> _Rows:
    """Pack the jobs of each group into as few rows as show what ran side by side."""
    groups = history.groupby(keys, sort=False, dropna=False, observed=True)
    sizes, codes = groups.size(), groups.ngroup().to_numpy()
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(sizes.to_numpy())[:-1])
    lanes = np.full(len(history), np.nan)
    for jobs in members:
        lanes[jobs] = _lanes(span.began[jobs], span.ended[jobs], span.pending[jobs])
    heights = np.array([np.nanmax([0, *lanes[jobs]]) + 1 for jobs in members])
    heights = np.maximum(heights, np.ceil(heights.sum() / room))  # as high as a label, if it can be
    tops = np.cumsum(heights) - heights
    waiting = np.bincount(codes, span.pending).astype(int)
    labels = [group_label(*group) for group in zip(sizes.index, sizes, waiting, strict=True)]
    return _Rows(
        lanes + tops[codes], int(heights.sum()), labels, tops + (heights - 1) / 2, tops[1:] - 0.5
    )


def _lanes(began: FloatArray, ended: FloatArray, pending: BoolArray) -> FloatArray:
    """Return a row for each job; all that are not done share the last: stuck ones may be many."""
    lanes = np.full(len(began), np.nan)
    done = ~pending & ~np.isnan(began)
    lanes[done] = packed(began[done], ended[done])
    lanes[pending] = lanes[done].max(initial=-1) + 1
    return lanes


def _pieces(history: pd.DataFrame, span: _Span, states: pd.DataFrame | None) -> pd.DataFrame:
    """Return what bars consist of: ``job`` (its place), ``state``, ``began`` and ``ended``."""
    whole = pd.DataFrame(
        {
            "id": history["id"].to_numpy(),
            "job": np.arange(len(history)),
            "state": history["state"].to_numpy(),
            "began": span.began,
            "ended": span.ended,
        }
    ).dropna(subset=["began"])
    if states is None:
        return whole
    parts = states[["id", "state"]].assign(began=days(states["began"]), ended=days(states["ended"]))
    parts = parts.merge(whole.drop(columns="state"), on="id", suffixes=("", "_job"))
    # What was seen late did not begin before the job, nor last beyond its end.
    parts["began"] = parts["began"].clip(parts["began_job"], parts["ended_job"])
    parts["ended"] = parts["ended"].fillna(np.inf).clip(parts["began_job"], parts["ended_job"])
    long = parts["ended_job"] - parts["began_job"] >= _LEAST_PARTS * span.least
    parts = parts[long & (parts["ended"] > parts["began"])]
    unseen = whole[~whole["job"].isin(parts["job"])]
    return pd.concat([parts[whole.columns], unseen], ignore_index=True)


def _draw_overlaps(
    ax: Axes, history: pd.DataFrame, span: _Span, rows: _Rows, thickness: float
) -> None:
    processed = numbers(history["number_records_processed"]).fillna(0)
    idle = span.pending & history["state"].isin(WAITING) & (processed == 0)
    writes = ~history["operation"].isin(QUERIES) & ~idle & history["created_date"].notna()
    jobs = np.flatnonzero(writes & history["object"].notna())
    objects, _ = pd.factorize(history["object"].iloc[jobs])
    found = overlaps(span.began[jobs], span.ended[jobs], objects)
    if len(found.of):
        ended = np.maximum(found.ended, found.began + span.least)
        below = rows.of_job[jobs[found.of]] + (thickness - _EDGE) / 2
        corners = boxes(found.began, ended, _EDGE, rows=below)
        add_bars(ax, corners, label=_OVERLAP_LABEL, facecolors=ink(ax))


def _draw_ends(ax: Axes, history: pd.DataFrame, span: _Span, rows: _Rows) -> None:
    """Mark the ends of jobs that did not end well."""
    size = float(np.clip(0.6 * ax.bbox.height * 72 / ax.figure.dpi / rows.count, 2, 5))
    known = ~span.pending & ~np.isnan(span.began)
    for segment, chosen in by_value(history["state"], _STATES, _OTHER_STATE):
        ends = chosen & known
        if (marker := _MARKERS.get(segment.column)) and ends.any():
            label = f"Ended as {segment.label} ({np.count_nonzero(ends):,})"
            look: dict[str, Any] = {"ms": size, "mec": ink(ax), "mew": 0.5 if size > 3 else 0}
            ax.plot(
                span.ended[ends],
                rows.of_job[ends],
                marker,
                color=segment.color,
                label=label,
                **look,
            )

"""Where the processing time of jobs went: stacked bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ._bars import Bars, add_bars, add_pending, boxes, summed, thickness_of
from ._style import (
    FONT_SIZE,
    GREY,
    PARTS,
    IntArray,
    Segment,
    are_done,
    clip,
    current_axes,
    draw_nothing,
    ink,
    job_labels,
    keys_of,
    label_room,
    label_rows,
    legend_above,
    name_rows,
    numbers,
    require_history,
    unit_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TOTAL = Segment("total_ms", GREY, "Total (no breakdown)")
_PENDING_LABEL = "Not done: times are final when done"
_TOTAL_COLUMN = "total_processing_time_ms"
_NO_TIME_LABEL = "Done, 0 ms or not reported"


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
    return _draw(_bars(history, by), current_axes(ax), kwargs)


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


def _bars(history: pd.DataFrame, by: str | Sequence[str] | None) -> Bars:
    require_history(history, _TOTAL_COLUMN, *(part.column for part in PARTS))
    keys = keys_of(history, by, name="history")
    done = are_done(history)
    times = _times(history, done)
    if keys:
        return summed(times, history, keys)
    notes = _job_notes(history, times, done)
    return Bars(times, (~done).to_numpy(), job_labels(history), notes, keys)


def _times(history: pd.DataFrame, done: pd.Series[bool]) -> pd.DataFrame:
    """Return milliseconds: apex_ms, api_ms, rest_ms and total_ms."""
    parts = history[[part.column for part in PARTS]].astype("Float64").astype(float)
    # Missing parts compare as False. Parts that do not nest would give a negative bar.
    nested = done & (parts >= 0).all(axis="columns")
    total = numbers(history[_TOTAL_COLUMN])
    unsplit = total.where(done & ~nested & (total > 0), 0.0)
    return parts.where(nested, 0.0).assign(**{_TOTAL.column: unsplit})


def _job_notes(history: pd.DataFrame, times: pd.DataFrame, done: pd.Series[bool]) -> list[str]:
    """Say in words why a job has no bar; empty where it has one."""
    reported = history[_TOTAL_COLUMN].notna()
    reasons = np.select(
        [times.any(axis="columns"), ~done, reported],
        ["", ": times are final when done", ", 0 ms"],
        ", times not reported",
    )
    return [
        f"{clip(state)}{reason}" if reason else ""
        for state, reason in zip(history["state"], reasons, strict=True)
    ]


def _draw(bars: Bars, ax: Axes, properties: dict[str, Any]) -> Axes:
    if not bars.labels:
        return draw_nothing(ax, "No jobs")
    longest = bars.lengths.max()
    unit, milliseconds = unit_of(longest)
    ends = bars.lengths / milliseconds
    mark = 0.03 * ends.max() or 0.03
    roomy = len(bars.labels) <= label_room(ax)
    thickness = thickness_of(roomy=roomy)

    _draw_times(ax, bars.parts / milliseconds, thickness, properties)
    add_pending(ax, boxes(ends, ends + mark, thickness)[bars.pending], _PENDING_LABEL)
    _draw_no_time(ax, np.flatnonzero((ends == 0) & ~bars.pending))
    if roomy:
        _draw_notes(ax, bars.notes, 1.3 * mark)

    ax.set_xlim(0, 1.02 * (ends + mark * bars.pending).max() if longest else 1)
    if not longest:
        ax.set_xticks([0])
    ax.set_xlabel(f"Processing time, summed over batches ({unit})")
    label_rows(ax, bars.labels)
    name_rows(ax, bars.keys)
    legend_above(ax, ncols=2)
    return ax


def _draw_times(
    ax: Axes, widths: pd.DataFrame, thickness: float, properties: dict[str, Any]
) -> None:
    left = np.zeros(len(widths))
    for segments in (PARTS, (_TOTAL,)):
        if not widths[[segment.column for segment in segments]].to_numpy().any():
            continue  # nothing of this kind: no entry in the legend
        for segment in segments:
            right = left + widths[segment.column].to_numpy()
            corners = boxes(left, right, thickness)[right > left]
            look = {"label": segment.label, "facecolors": segment.color}
            add_bars(ax, corners, properties=properties, **look)
            left = right


def _draw_no_time(ax: Axes, rows: IntArray) -> None:
    if rows.size:
        at = np.zeros(rows.size)
        ax.plot(at, rows, "D", ms=4, color=ink(ax), clip_on=False, label=_NO_TIME_LABEL)


def _draw_notes(ax: Axes, notes: list[str], x: float) -> None:
    for row, note in enumerate(notes):
        if note:
            ax.text(x, row, note, va="center", fontsize=FONT_SIZE, parse_math=False)

"""What became of the rows of jobs or of a load: stacked bars, with their counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import EngFormatter

from .._findings import plural
from .._jobinfo import COMPLETE
from ._bars import Bars, add_bars, add_pending, boxes, summed, thickness_of
from ._style import (
    FONT_SIZE,
    GREY,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    FloatArray,
    Segment,
    are_done,
    clip,
    current_axes,
    draw_nothing,
    group_name,
    job_labels,
    keys_of,
    label_room,
    label_rows,
    legend_above,
    name_rows,
    numbers,
    points_wide,
    require_history,
    short,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OUTCOMES = (
    Segment("success", SKY, "Success"),
    Segment("failed", VERMILION, "Failed"),
    Segment("unprocessed", YELLOW, "Unprocessed"),
    Segment("not_sent", GREY, "Not sent"),
    Segment("unknown", PURPLE, "Unknown"),
)
_HATCHES = {"failed": "xx", "unknown": "..."}  # told apart without colour, too
_PENDING_LABEL = "Not done: counts so far"
_LEAST_SHARE = 0.004  # of the axis: three failed rows of a million shall be seen


def outcomes(
    frame: pd.DataFrame,
    by: str | Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
    **kwargs: Any,
) -> Axes:
    """Show how many rows of each job succeeded and failed, as horizontal stacked bars.

    Parameters
    ----------
    frame : DataFrame
        One row per job, as `bulknb.jobs_frame` builds it, or the rows of a load with their
        outcomes, as ``load.frame`` has them; what comes first is drawn on top.
    by : str or list of str, optional
        Columns to sum over: one bar per group, in order of appearance. By default a bar is a job.
    ax : matplotlib Axes, optional
        Where to draw; the current Axes by default.
    **kwargs
        Properties of the bars, a `matplotlib.collections.PolyCollection` per outcome.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    KeyError
        If `frame` lacks a column that it should have, or one that `by` names.

    Notes
    -----
    A job tells how many rows it processed and how many of them failed (Bulk API 2.0 and Bulk API
    Developer Guide, "JobInfo"); only ``load.frame`` knows which were not processed or not sent. The
    counts stand beside the bars in words, also on a logarithmic axis. However few rows have an
    outcome, it is a visible part of its bar.
    """
    loaded = "outcome" in frame
    bars = _of_load(frame, by) if loaded else _of_jobs(frame, by)
    ax = current_axes(ax)
    if frame.empty:
        return draw_nothing(ax, "No rows" if loaded else "No jobs")
    return _draw(bars, ax, kwargs)


def _of_jobs(history: pd.DataFrame, by: str | Sequence[str] | None) -> Bars:
    require_history(history, "number_records_processed", "number_records_failed")
    keys = keys_of(history, by, name="frame")
    processed = numbers(history["number_records_processed"])
    told = processed.notna()
    failed = numbers(history["number_records_failed"]).where(told).fillna(0)
    success = (processed - failed).clip(0).fillna(0)
    counts = pd.DataFrame({"success": success, "failed": failed})
    if keys:
        bars = summed(counts, history, keys)
        return replace(bars, notes=_in_words(bars.parts))
    states = [
        "" if state in COMPLETE else f"{clip(state)}: " for state in history["state"].fillna("")
    ]
    notes = [
        f"{state}{words if known else 'rows not reported'}"
        for state, words, known in zip(states, _in_words(counts), told, strict=True)
    ]
    return Bars(counts, (~are_done(history)).to_numpy(), job_labels(history), notes, keys)


def _of_load(frame: pd.DataFrame, by: str | Sequence[str] | None) -> Bars:
    keys = keys_of(frame, by or "job_id", name="frame")
    counts = (
        frame.groupby([*keys, "outcome"], sort=False, dropna=False, observed=True)
        .size()
        .unstack(fill_value=0, sort=False)
    )
    if by:
        labels = [group_name(group) for group in counts.index]
    else:
        labels = ["no job" if pd.isna(id_) else f"job {short(id_)}" for id_ in counts.index]
    done = np.zeros(len(counts), dtype=bool)
    return Bars(counts, done, labels, _in_words(counts), keys if by else [])


def _in_words(counts: pd.DataFrame) -> list[str]:
    """Return of each bar how many rows there are, and how many of them did not succeed."""
    rows = counts.sum(axis="columns").astype(int)
    words = [plural(count, "row") for count in rows]
    for outcome in _OUTCOMES[1:]:
        if outcome.column in counts:
            some = counts[outcome.column].astype(int)
            words = [
                f"{said}, {count:,} {outcome.label.lower()}" if count else said
                for said, count in zip(words, some, strict=True)
            ]
    return words


def _draw(bars: Bars, ax: Axes, properties: dict[str, Any]) -> Axes:
    longest = bars.lengths.max() or 1.0
    roomy = len(bars.labels) <= label_room(ax)
    thickness = thickness_of(roomy=roomy)
    ends = _draw_counts(ax, bars, thickness, _LEAST_SHARE * longest, properties)
    mark = np.where(bars.pending, 0.03 * longest, 0.0)
    add_pending(ax, boxes(ends, ends + mark, thickness)[bars.pending], _PENDING_LABEL)
    if roomy:
        _draw_notes(ax, bars.notes)
    words = 0.55 * FONT_SIZE * max(map(len, bars.notes)) / points_wide(ax) if roomy else 0
    first = 0 if ax.get_xscale() == "linear" else 0.5
    ax.set_xlim(first, float((ends + mark).max() or longest) / (0.97 - min(words, 0.7)))
    ax.set_xlabel("Rows")
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    label_rows(ax, bars.labels)
    name_rows(ax, bars.keys)
    legend_above(ax)
    return ax


def _draw_counts(
    ax: Axes, bars: Bars, thickness: float, least: float, properties: dict[str, Any]
) -> FloatArray:
    """Return where the bars end."""
    left = np.zeros(len(bars.labels))
    for outcome in _OUTCOMES:
        rows = bars.parts.get(outcome.column)
        if rows is None or not rows.any():
            continue
        width = np.asarray(rows, dtype=np.float64)
        right = left + np.where(width > 0, np.maximum(width, least), 0)
        look: dict[str, Any] = {"facecolors": outcome.color}
        if thickness < 1:
            look |= {"hatch": _HATCHES.get(outcome.column), "edgecolors": "black"}
        label = f"{outcome.label} ({int(width.sum()):,})"
        corners = boxes(left, right, thickness)[right > left]
        add_bars(ax, corners, label=label, properties=properties, **look)
        left = right
    return left


def _draw_notes(ax: Axes, notes: list[str]) -> None:
    """Write at the right, since the ends of bars lie elsewhere once the axis is logarithmic."""
    behind = {"facecolor": ax.get_facecolor(), "alpha": 0.7, "linewidth": 0, "pad": 0.5}
    place: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "ha": "right", "va": "center"}
    for row, note in enumerate(notes):
        ax.text(0.99, row, note, fontsize=FONT_SIZE, parse_math=False, bbox=behind, **place)

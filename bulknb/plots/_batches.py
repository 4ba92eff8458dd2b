"""The batches of a 1.0 job over time: a Gantt chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ._bars import add_bars, boxes, thickness_of
from ._style import (
    BLUE,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    FloatArray,
    Segment,
    by_value,
    current_axes,
    draw_nothing,
    label_room,
    label_rows,
    legend_above,
    require,
    short,
    unit_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# How a batch stands: the same blue as elsewhere is left to Apex, which is drawn within.
_STATES = (
    Segment("Completed", SKY, "Completed"),
    Segment("Failed", VERMILION, "Failed"),
    Segment("InProgress", ORANGE, "In progress"),
    Segment("Queued", YELLOW, "Queued"),
    Segment("NotProcessed", GREY, "Not processed"),
)
_OTHER_STATE = Segment("", PURPLE, "Other")
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
    require(frame, needed, name="frame", source="take it from job.batches().frame")
    ax = current_axes(ax)
    if frame["created_date"].notna().any():
        return _draw_gantt(frame, ax, kwargs)
    return draw_nothing(ax, "No batches")


def _draw_gantt(frame: pd.DataFrame, ax: Axes, properties: dict[str, Any]) -> Axes:
    start, end, apex = _spans(frame)
    longest = max(float(end.max()), 1_000.0)
    unit, milliseconds = unit_of(longest)
    end = np.maximum(end, start + _LEAST_SHARE * longest)
    start, end, apex = (times / milliseconds for times in (start, end, apex))
    thickness = thickness_of(roomy=len(frame) <= label_room(ax))

    bars = boxes(start, end, thickness)
    for segment, rows in by_value(frame["state"], _STATES, _OTHER_STATE):
        label = f"{segment.label} ({np.count_nonzero(rows):,})"
        add_bars(ax, bars[rows], label=label, properties=properties, facecolors=segment.color)
    if (rows := apex > 0).any():
        part = boxes(np.maximum(end - apex, start), end, thickness)[rows]
        add_bars(ax, part, label=_APEX_LABEL, facecolors=BLUE)

    ax.set_xlim(0, 1.02 * float(end.max()))
    ax.set_xlabel(f"Time since the first batch was added ({unit})")
    label_rows(ax, _batch_labels(frame))
    legend_above(ax)
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


def _batch_labels(frame: pd.DataFrame) -> list[str]:
    counts = zip(
        frame["id"], frame["number_records_processed"], frame["number_records_failed"], strict=True
    )
    return [
        f"{short(id_)} {'' if pd.isna(rows) else f'{rows:,} rows'}"
        + (f", {failed:,} failed" if pd.notna(failed) and failed else "")
        for id_, rows, failed in counts
    ]

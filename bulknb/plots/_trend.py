"""How the pace of one kind of job went: times per 1,000 rows, and the steps in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._findings import number, plural
from .._trend import RATES, Step, rates, steps
from ._clock import days, time_axis, time_range
from ._style import (
    FONT_SIZE,
    MAX_VECTORS,
    PARTS,
    FloatArray,
    Segment,
    are_done,
    clip,
    current_axes,
    draw_nothing,
    ink,
    legend_above,
    numbers,
    require_history,
    unit_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Shapes, too: not everybody sees colours, and not every printer.
_MARKERS = {"apex": "o", "api": "s", "rest": "^"}
_NAMES = {"apex": "Apex", "api": "API", "rest": "Rest"}
_LINES = 5  # of text, one below the other, before they begin anew
_WINDOW = 7  # jobs that a median is taken of, at least
_FEWEST = 3  # of these that have to be there
_FAR = 3  # times the 95th percentile: farther out, a job would flatten all others


def trend(
    history: pd.DataFrame,
    *,
    object: str | None = None,
    operation: str | None = None,
    ax: Axes | None = None,
    **kwargs: Any,
) -> Axes:
    """Show how long 1,000 rows took, part by part, job after job, and since when it is otherwise.

    Parameters
    ----------
    history : DataFrame
        One row per job, as `bulknb.jobs_frame` builds it.
    object, operation : str, optional
        The kind of job. By default, of all that fit, the kind with the most processing time.
    ax : matplotlib Axes, optional
        Where to draw; the current Axes by default.
    **kwargs
        Properties of the marks of jobs, a `matplotlib.lines.Line2D` per part.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    KeyError
        If `history` lacks a column that `bulknb.jobs_frame` makes.

    Notes
    -----
    Lines are running medians, of seven jobs or a twentieth, which begin anew at a step; where steps
    are is for rank statistics to tell, at odds of 1 in 100. Times are sums over batches. A job far
    above all others stands on the upper edge.
    """
    needed = ["created_date", "number_records_processed", "total_processing_time_ms"]
    require_history(history, *needed, *(part.column for part in PARTS))
    ax = current_axes(ax)
    jobs = _of_kind(history[are_done(history)], object, operation)
    paces = rates(jobs).dropna(subset=["created_date"])
    parts = {
        part: segment
        for part, segment in zip(RATES, PARTS, strict=False)
        if paces[RATES[part]].notna().any()
    }
    if not parts:
        return draw_nothing(ax, "No finished job tells its times and rows")
    at, turns = days(paces["created_date"]), steps(jobs)
    milliseconds = _scale(ax, paces[[RATES[part] for part in parts]])
    for part, segment in parts.items():
        values: FloatArray = np.asarray(numbers(paces[RATES[part]]), np.float64) / milliseconds
        breaks = [step.at for step in turns if step.part == part]
        _draw_part(ax, at, values, breaks, segment, _MARKERS[part], kwargs)
    time_axis(ax, *time_range(at))
    _draw_steps(ax, turns)
    kind = f"{clip(paces['operation'].iloc[0])} {clip(paces['object'].iloc[0])}"
    legend_above(ax, title=f"{kind} ({plural(len(paces), 'job')})")
    return ax


def _of_kind(history: pd.DataFrame, name: str | None, operation: str | None) -> pd.DataFrame:
    """Return the jobs that tell a pace, of the kind with the most processing time."""
    if name is not None:
        history = history[history["object"].str.lower() == name.lower()]
    if operation is not None:
        history = history[history["operation"] == operation]
    # Query jobs have no parts, whatever their time.
    history = history[history["apex_ms"].notna() & (history["number_records_processed"] > 0)]
    took = numbers(history["total_processing_time_ms"]).groupby(
        [history["object"], history["operation"]]
    )
    if not took.ngroups:
        return history.iloc[:0]
    most = took.transform("sum")
    found: pd.DataFrame = history[most == most.max()]
    return found


def _scale(ax: Axes, paces: pd.DataFrame) -> float:
    """Fit the y axis, and return the milliseconds in its unit."""
    values = paces.astype(float).to_numpy()
    usual = np.nanpercentile(values, 95)
    highest = min(np.nanmax(values), _FAR * usual) or 1.0
    unit, milliseconds = unit_of(highest)
    ax.set_ylim(0, 1.15 * highest / milliseconds)
    ax.set_ylabel(f"Time per 1,000 rows ({unit})")
    return milliseconds


def _medians(values: FloatArray, at: FloatArray, breaks: list[pd.Timestamp]) -> FloatArray:
    """Return running medians, none over a break."""
    level = np.searchsorted(days(pd.Series(breaks, dtype="datetime64[us, UTC]")), at, side="right")
    window = max(_WINDOW, len(values) // 20)
    running = pd.Series(values).groupby(level).rolling(window, center=True, min_periods=_FEWEST)
    return np.asarray(running.median(), dtype=np.float64)


def _draw_part(
    ax: Axes,
    at: FloatArray,
    values: FloatArray,
    breaks: list[pd.Timestamp],
    segment: Segment,
    marker: str,
    properties: dict[str, Any],
) -> None:
    """Draw the jobs, and the line that they are about."""
    top = ax.get_ylim()[1]
    look: dict[str, Any] = {"color": segment.color, "mec": ink(ax), "mew": 0.3, "ms": 4}
    look |= {"ls": "none", "alpha": 0.6, "rasterized": len(at) > MAX_VECTORS}
    (dots,) = ax.plot(at, np.minimum(values, top), marker, **look)
    dots.set(clip_on=False, **properties)
    line: dict[str, Any] = {"color": segment.color, "lw": 2.5, "label": segment.label}
    ax.plot(at, _medians(values, at, breaks), marker=marker, markevery=[0], ms=4, **line)


def _draw_steps(ax: Axes, turns: list[Step]) -> None:
    """Mark each step where it is, and say how large it is."""
    first, last = ax.get_xlim()
    for count, step in enumerate(turns):
        (at,) = days(pd.Series([step.at]))
        ax.axvline(at, color=ink(ax), ls="--", lw=1)
        late = at > (first + last) / 2
        ax.annotate(
            _in_words(step),
            (at, 0.98 - 0.07 * (count % _LINES)),
            xycoords=ax.get_xaxis_transform(),
            xytext=(-4 if late else 4, 0),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top",
            fontsize=FONT_SIZE,
            parse_math=False,
        )


def _in_words(step: Step) -> str:
    change = step.after - step.before
    since = f"{step.at.day} {step.at:%B %Y}"
    if step.part == "failed":
        return f"Failures {_signed(change)} of 1,000 rows since {since}"
    return f"{_NAMES[step.part]} {_signed(change / 1_000)} ms a row since {since}"


def _signed(change: float) -> str:
    return f"{'+' if change > 0 else '-'}{number(abs(change))}"

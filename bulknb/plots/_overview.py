"""A set of jobs on one page."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .._findings import plural
from .._jobs.facts import duration
from ._outcomes import outcomes
from ._processing_times import processing_times
from ._style import PARTS, are_done, draw_nothing, numbers
from ._throughput import throughput
from ._timeline import timeline

_A4 = (8.27, 11.69)  # inches
_MOST_JOBS = 12  # that have a bar each
_MOST_OBJECTS = 9  # that have a bar each; the others share one


def overview(history: pd.DataFrame, *, states: pd.DataFrame | None = None) -> Figure:
    """Return a page about a set of jobs: where time went, when, what became of rows, how fast.

    The figure is as large as A4, for a screen and for paper, and made without pyplot: safe in
    threads, and there is nothing to close.

    Parameters
    ----------
    history : DataFrame
        One row per job, as `bulknb.jobs_frame` builds it. From 13 jobs on, bars are objects; the
        nine that took longest have a bar each.
    states : DataFrame, optional
        One row per state of a job, as in `timeline`.

    Returns
    -------
    matplotlib Figure
        Its title tells jobs, rows, failures, time span and shares of the processing time.

    Raises
    ------
    KeyError
        If a frame lacks a column that it should have.

    See Also
    --------
    processing_times, timeline, outcomes, throughput : What it consists of.
    """
    figure = Figure(figsize=_A4, layout="constrained")
    if history.empty:
        draw_nothing(figure.add_subplot(), "No jobs")
        return figure
    by = None if len(history) <= _MOST_JOBS else "objects"
    shown = _by_object(history) if by else history
    bars = shown[by].nunique(dropna=False) if by else len(shown)
    heights = [bars + 2, 16, bars + 2, 12]
    times, when, rows, rates = figure.subplots(4, 1, height_ratios=heights)
    _titled("Where the processing time went", processing_times(shown, by, ax=times))
    _titled("What ran when", timeline(shown, by, states=states, ax=when))
    _titled("What became of the rows", outcomes(shown, by, ax=rows))
    _titled("How fast jobs were", throughput(shown, ax=rates))
    for ax in (times, when, rows):
        ax.set_ylabel("")  # the labels tell what they are
    figure.suptitle(_facts(history), x=0.01, ha="left", fontsize="medium", parse_math=False)
    return figure


def _by_object(history: pd.DataFrame) -> pd.DataFrame:
    """Return the jobs, those of the objects that took longest first; rare ones become one."""
    names = history["object"].astype("string").fillna("not reported")
    took = numbers(history["total_processing_time_ms"]).groupby(names).sum()
    order = took.sort_values(ascending=False, kind="stable").index
    rare = names.isin(order[_MOST_OBJECTS:])
    objects = names.mask(rare, plural(max(len(order) - _MOST_OBJECTS, 0), "other object"))
    rank = names.map({name: rank for rank, name in enumerate(order)})
    return history.assign(objects=objects).iloc[np.argsort(rank.to_numpy(), kind="stable")]


def _titled(title: str, ax: Axes) -> None:
    """Write a title above the legend."""
    legend = ax.get_legend()
    height = legend.get_window_extent().height * 72 / ax.figure.dpi if legend else 0
    ax.set_title(title, loc="left", pad=height + 8, fontweight="bold", fontsize="medium")


def _facts(history: pd.DataFrame) -> str:
    rows, failed, total = (
        int(numbers(history[column]).sum())
        for column in (
            "number_records_processed",
            "number_records_failed",
            "total_processing_time_ms",
        )
    )
    pending = np.count_nonzero(~are_done(history))
    facts = [
        plural(len(history), "job") + (f" ({pending:,} not done)" if pending else ""),
        f"{plural(rows, 'row')}, {failed:,} failed",
    ]
    created = history["created_date"].dropna()
    if len(created):
        first, last = (f"{moment:%Y-%m-%d}" for moment in (created.min(), created.max()))
        facts.append(f"{first if first == last else f'{first} to {last}'} (UTC)")
    return f"{' · '.join(facts)}\n{duration(total)} of processing{_shares(history)}"


def _shares(history: pd.DataFrame) -> str:
    split = history[[part.column for part in PARTS]].dropna().astype(float).sum()
    if not split.sum():
        return ""
    apex, api, rest = (f"{part:.0%}" for part in split / split.sum())
    return f"; where jobs tell: {apex} Apex, {api} API, {rest} rest"

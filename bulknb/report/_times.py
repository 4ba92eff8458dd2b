"""Where the time went: findings, a picture, and the three parts in a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from .._findings import plural
from .._trend import steps, weight
from ..plots import processing_times_figure, trend
from ._matter import Matter
from ._parts import Picture, Section, Table, number, text, took
from ._svg import picture

#: So many jobs have a bar of their own; more are summed up.
_MOST_BARS = 12
#: Inches: as wide as an A4 page less its margins.
_WIDTH = 7.2
_WENT = "Where the time went"
#: Kind of a finding -> the section that it has a place in; all others are in the first.
_TITLES = {
    "past": "Compared with before",
    "step": "Compared with before",
    "unknown": "What is not known",
}
_PARTS = {
    "apex_ms": "Apex",
    "api_ms": "API",
    "rest_ms": "Rest",
    "total_processing_time_ms": "Total",
}


def times(matter: Matter, past: Any = None) -> Iterator[Section]:
    """Yield where the processing time of the jobs went, and whether it was always so."""
    history = matter.history
    said: dict[str, list[str]] = {title: [] for title in (_WENT, *_TITLES.values())}
    pictures: dict[str, list[Picture]] = {}
    found = matter.explain(past)
    for finding in found:
        said[_TITLES.get(finding.kind, _WENT)].append(finding.sentence)
    shares = " ".join(finding.sentence for finding in found if finding.kind == "shares")
    bars = _bars(history, shares or _unsplit(history))
    yield Section(_WENT, said.pop(_WENT), [bars], list(_parts(history)))
    if turns := [finding.sentence for finding in found if finding.kind == "step"]:
        pictures[_TITLES["step"]] = list(_trend(matter.so_far(past), turns))
    for title, sentences in said.items():
        if sentences:
            yield Section(title, sentences, pictures.get(title, ()))


def _trend(history: pd.DataFrame, told: list[str]) -> Iterator[Picture]:
    """Yield the pace of the kind of job that changed most of those that were told of."""
    turns = sorted((step for step in steps(history) if step.sentence in told), key=weight)
    for step in turns[-1:]:
        figure = Figure(figsize=(_WIDTH, 3.2), layout="constrained")
        trend(history, object=step.object, operation=step.operation, ax=figure.add_subplot())
        title = f"Processing time of 1,000 rows, {step.operation} {step.object}, job by job"
        yield picture(figure, "trend", title=title, description=step.sentence)


def _bars(history: pd.DataFrame, description: str) -> Picture:
    many = len(history) > _MOST_BARS
    kind = ["object", "operation"]
    if many:  # those that took longest first
        took = history.groupby(kind, dropna=False)["total_processing_time_ms"].transform("sum")
        history = history.loc[took.sort_values(ascending=False, kind="stable").index]
    figure = processing_times_figure(history, kind if many else None)
    figure.set_figwidth(_WIDTH)
    figure.axes[0].set_ylabel("")  # the caption says it
    each = "object and operation" if many else "job"
    title = f"Processing time by {each}, summed over batches"
    return picture(figure, "processing-times", title=title, description=description)


def _unsplit(history: pd.DataFrame) -> str:
    """Say how much processing time there is where no job tells its parts."""
    totals = history["total_processing_time_ms"].where(history["done"]).dropna()
    if total := totals.sum():
        jobs = plural(len(totals), "job")
        return f"{jobs} took {took(total)} of processing time; its parts are not reported."
    return "The processing time of the jobs is not reported, or not final yet."


def _parts(history: pd.DataFrame) -> Iterator[Table]:
    finished = history.dropna(subset=list(_PARTS))
    if finished.empty:
        return
    groups = finished.groupby(["object", "operation"], dropna=False, sort=True)
    sums = groups[[*_PARTS, "number_records_processed"]].sum()
    rows = [
        (*map(text, kind), *_cells(jobs, row))
        for kind, jobs, row in zip(sums.index, groups.size(), sums.to_dict("records"), strict=True)
    ]
    names = ["Object", "Operation", "Jobs", "Rows", *_PARTS.values(), "Per row", "Apex share"]
    together = finished[[*_PARTS, "number_records_processed"]].sum().to_dict()
    yield Table(
        "Finished jobs that report their times, by object and operation; API is without Apex",
        {name: name not in names[:2] for name in names},
        rows,
        ("Together", "", *_cells(len(finished), together)) if len(rows) > 1 else (),
    )


def _cells(jobs: int, sums: Mapping[Any, Any]) -> list[str]:
    total, rows = sums["total_processing_time_ms"], sums["number_records_processed"]
    return [
        number(jobs),
        number(rows),
        *(took(sums[part]) for part in _PARTS),
        f"{total / rows:.1f} ms" if rows else text(pd.NA),
        f"{sums['apex_ms'] / total:.0%}" if total else text(pd.NA),
    ]

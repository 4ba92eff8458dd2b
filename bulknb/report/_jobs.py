"""The jobs, one by one; of very many the slowest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from .._findings import plural
from ._parts import Section, Table, number, text, took

#: More are not read by anybody: then the slowest stand for all.
_MOST_JOBS = 200
_SLOWEST = 50
_TIMES = ("apex_ms", "api_ms", "rest_ms", "total_processing_time_ms", "duration_ms")
_COLUMNS = {
    "Job": False,
    "What": False,
    "State": False,
    "Created (UTC)": False,
    "Rows": True,
    "Failed": True,
    "Apex": True,
    "API": True,
    "Rest": True,
    "Total": True,
    "Took": True,
    "Parallel": True,
}


def jobs(history: pd.DataFrame) -> Section:
    """Return the table of jobs."""
    shown, sentences = history, []
    if len(history) > _MOST_JOBS:
        shown = history.sort_values(
            "total_processing_time_ms", ascending=False, na_position="last"
        ).head(_SLOWEST)
        sentences = [f"Of {plural(len(history), 'job')}, these are the {_SLOWEST} slowest."]
    sentences.append(
        "Apex, API (without Apex) and the rest make the total, summed over batches. Took is the "
        "time on the clock, from creation to the last change; parallel is total over took."
    )
    rows = [_row(job) for job in shown.to_dict("records")]
    return Section(
        "The jobs",
        sentences,
        tables=[Table("Jobs as Salesforce reports them", _COLUMNS, rows, kind="dense")],
    )


def _row(job: Mapping[Any, Any]) -> tuple[str, ...]:
    created, parallelism = job["created_date"], job["parallelism"]
    return (
        text(job["id"]),
        f"{text(job['operation'])} {text(job['object'])}",
        text(job["state"]),
        text(pd.NA) if pd.isna(created) else f"{created:%Y-%m-%d %H:%M}",
        number(job["number_records_processed"]),
        number(job["number_records_failed"]),
        *(took(job[name] if job["done"] else pd.NA) for name in _TIMES),
        text(pd.NA) if pd.isna(parallelism) else f"{parallelism:.1f}",
    )

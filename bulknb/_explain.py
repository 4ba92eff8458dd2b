"""History frame -> where the time went, in a sentence with its numbers."""

from __future__ import annotations

import pandas as pd

from ._jobs.facts import duration

_PARTS = {
    "apex_ms": "Apex (triggers and flows)",
    "api_ms": "the API writing rows, without Apex",
    "rest_ms": "batches waiting and data being read",
}


def where_time_went(history: pd.DataFrame) -> str:
    """Return one sentence on the processing time of the finished jobs of a history frame.

    Times are sums over batches, which run side by side: they are not the time on the clock.
    """
    finished = history.dropna(subset=list(_PARTS))
    total = int(finished["total_processing_time_ms"].sum())
    if not total:
        return "No finished job of these reports where its time went."
    shares = finished[list(_PARTS)].sum().astype(float) / total
    rows = int(finished["number_records_processed"].sum())
    named = [f"{shares[part]:.0%} {words}" for part, words in _PARTS.items()]
    pace = f", {total / rows:.1f} ms a row" if rows else ""
    return (
        f"Of {duration(total)} processing time{pace}, {named[0]}, {named[1]}, and {named[2]} "
        f"(summed over the batches of {_jobs(len(finished))})."
    )


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count:,} jobs"

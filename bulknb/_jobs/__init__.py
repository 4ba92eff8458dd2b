"""The three dialects of a job, and how to find out which one an id is."""

from __future__ import annotations

from .._jobinfo import JobInfo
from .._wire import Wire
from .base import Job, poll_seconds
from .classic import ClassicJob
from .ingest import BigObjectJob, IngestJob
from .query import QueryJob

__all__ = [
    "BigObjectJob",
    "ClassicJob",
    "IngestJob",
    "Job",
    "QueryJob",
    "job_from_info",
    "poll_seconds",
]

_DIALECTS: dict[str, type[Job]] = {
    dialect.job_type: dialect for dialect in (ClassicJob, IngestJob, BigObjectJob, QueryJob)
}


def job_from_info(wire: Wire, info: JobInfo) -> Job:
    """Return the job of the dialect that its info names; of an unknown one a job to read only."""
    return _DIALECTS.get(info.job_type or "", Job)(wire, info)

"""The jobs of an org, of all three APIs, as one sequence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import overload

import pandas as pd

from ._history import jobs_frame
from ._jobinfo import JobInfo
from ._jobs import IngestJob, Job, QueryJob, job_from_info
from ._wire import Wire
from .errors import InputError, NotFoundError

__all__ = ["Jobs", "list_jobs"]

_PARALLEL_READS = 8


def list_jobs(
    wire: Wire,
    *,
    job_type: str | None,
    state: str | None,
    last: str | None,
    times: bool,
) -> Jobs:
    """Return the jobs that stand in the lists, filtered as ``Org.jobs`` says."""
    infos = _listed(wire)
    if job_type:
        infos = [info for info in infos if info.job_type == job_type]
    if state:
        infos = [info for info in infos if info.state == state]
    if last:
        now = pd.Timestamp(wire.clock.time(), unit="s", tz="UTC")
        since = now - _timedelta(last)
        infos = [info for info in infos if info.created_date and info.created_date >= since]
    jobs = [job_from_info(wire, info) for info in infos]
    if times:
        with ThreadPoolExecutor(_PARALLEL_READS) as readers:
            jobs = list(readers.map(_refreshed, jobs))
    return Jobs(jobs)


class Jobs(Sequence[Job]):
    """Some jobs of an org; ``frame`` has their history."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = list(jobs)

    @overload
    def __getitem__(self, at: int) -> Job: ...
    @overload
    def __getitem__(self, at: slice) -> Jobs: ...
    def __getitem__(self, at: int | slice) -> Job | Jobs:
        return Jobs(self._jobs[at]) if isinstance(at, slice) else self._jobs[at]

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    @property
    def frame(self) -> pd.DataFrame:
        """The history frame, one row per job: see ``bulknb.jobs_frame``."""
        return jobs_frame(self._jobs)

    def __repr__(self) -> str:
        return f"<{len(self)} jobs>\n{self._view().to_string()}" if self._jobs else "<no jobs>"

    def _repr_html_(self) -> str:
        return str(self._view().to_html(notebook=True, max_rows=60))

    def _view(self) -> pd.DataFrame:
        view = self.frame[list(_VIEW)]
        created = view["created_date"].dt.strftime("%Y-%m-%d %H:%M")
        return view.assign(created_date=created).rename(columns=_VIEW)


#: What a list of jobs shows of each: column -> short title
_VIEW: Mapping[str, str] = {
    "id": "id",
    "operation": "operation",
    "object": "object",
    "job_type": "kind",
    "state": "state",
    "created_date": "created (UTC)",
    "number_records_processed": "processed",
    "number_records_failed": "failed",
    "total_processing_time_ms": "total ms",
}


def _timedelta(text: str) -> pd.Timedelta:
    """Read "7d", "12h", "30min": pandas writes its day with a capital."""
    try:
        return pd.Timedelta(text.replace("d", "D"))
    except ValueError:
        pass
    raise InputError('last= is a number and a unit, such as "7d", "12h" or "30min"')


def _refreshed(job: Job) -> Job:
    with contextlib.suppress(NotFoundError):  # deleted since it was listed
        job.refresh()
    return job


def _listed(wire: Wire) -> list[JobInfo]:
    """Return what both lists hold, newest first, each job once: 1.0 jobs stand in both."""
    found: dict[str, JobInfo] = {}
    for dialect in (IngestJob, QueryJob):
        path: str | None = dialect.path.format(version=wire.api_version)
        while path:
            page = wire.request("GET", path).json()
            for info in map(JobInfo.from_dict, page["records"]):
                found.setdefault(info.id or "", info)
            # Pages come in no fixed order, and the locator is a path of this org.
            path = wire.own_path(page["nextRecordsUrl"]) if page.get("nextRecordsUrl") else None
    return sorted(found.values(), key=lambda info: str(info.created_date), reverse=True)

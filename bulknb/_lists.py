"""The API's lists of jobs -> JobInfos, each job once; and what an Org knows already."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ._jobinfo import JobInfo
from ._jobs import IngestJob, Job, QueryJob
from ._wire import Wire
from .errors import (
    ApiError,
    AuthenticationError,
    NotAllowedError,
    NotFoundError,
    UnexpectedAnswerError,
)

__all__ = ["Known", "listed", "user_names"]

_PARALLEL_READS = 8
#: Finished jobs of an org that are remembered: some 2 kB each.
_MOST_FINISHED = 50_000
#: A batch in flight at an abort may still commit: the numbers are final only some time later.
_SETTLE_SECONDS = 60.0
_MOST_NAMES_ASKED = 200

#: Reads a record of a list.
_Read = Callable[[Mapping[str, Any]], JobInfo]

#: Where jobs of a kind are listed. 1.0 jobs stand in both lists ("Get All Jobs", "Get Information
#: About All Query Jobs", jobType); that each has them all is not documented.
_LISTS: dict[str, tuple[type[Job], ...]] = {
    "V2Ingest": (IngestJob,),
    "BigObjectIngest": (IngestJob,),
    "V2Query": (QueryJob,),
    "Classic": (IngestJob, QueryJob),
}


def listed(
    wire: Wire, *, job_type: str | None, pk_chunking: bool, read: _Read = JobInfo.from_dict
) -> list[JobInfo]:
    """Return what the lists hold, newest first, each job once."""
    given = {"jobType": job_type, "isPkChunkingEnabled": "true" if pk_chunking else None}
    params = {name: value for name, value in given.items() if value}
    found: dict[str, JobInfo] = {}
    for dialect in _LISTS[job_type] if job_type else (IngestJob, QueryJob):
        for info in _pages(wire, dialect.path.format(version=wire.api_version), params, read):
            # A page may come late: of two answers about a job the younger counts.
            known = found.get(info.id or "")
            if known is None or str(known.system_modstamp) < str(info.system_modstamp):
                found[info.id or ""] = info
    if job_type:  # a server that does not know the filter lists all
        found = {id: info for id, info in found.items() if info.job_type == job_type}
    return sorted(found.values(), key=lambda info: str(info.created_date), reverse=True)


def _pages(wire: Wire, path: str, params: Mapping[str, str], read: _Read) -> Iterator[JobInfo]:
    seen: set[str] = set()
    answer = wire.request("GET", path, params=params).json()
    while True:
        try:
            records, following = answer["records"], answer.get("nextRecordsUrl")
        except (KeyError, TypeError, AttributeError):
            raise UnexpectedAnswerError("The answer is not a list of jobs") from None
        infos = list(map(read, records))
        wire.ear.hear(*infos)
        yield from infos
        if not following:
            return
        if following in seen:
            raise UnexpectedAnswerError("The pages of the list of jobs run in a circle")
        seen.add(following)
        answer = wire.request("GET", wire.own_path(following)).json()


class Known:
    """What is known of an org's jobs, so that it need not be asked again.

    A job that is done does not change: it is asked for once.
    """

    def __init__(self) -> None:
        self._finished: dict[str, JobInfo] = {}
        self._unchanged: dict[str, tuple[JobInfo, float, float]] = {}
        self._me: str | None = None
        self._lock = threading.Lock()

    def finished(self, id: str) -> JobInfo | None:
        """Return the job in full if it is known to be done."""
        return self._finished.get(id)

    def saw(self, info: JobInfo, now: float) -> None:
        """Note what was said of a job at a time, seconds since the epoch."""
        id = str(info.id)
        with self._lock:
            if info.done:
                self._unchanged.pop(id, None)
                if _is_settled(info, now):
                    self._finished[id] = info
                while len(self._finished) > _MOST_FINISHED:
                    del self._finished[next(iter(self._finished))]
                return
            # What the server stamps on a job does not say that it gets on.
            seen = replace(info, system_modstamp=None)
            before = self._unchanged.get(id)
            first = before[1] if before and before[0] == seen else now
            self._unchanged[id] = (seen, first, now)

    def unchanged_for(self, id: str) -> float:
        """Return the seconds between the looks at a job that showed it as the last one did."""
        with self._lock:
            seen = self._unchanged.get(id)
        return seen[2] - seen[1] if seen else 0.0

    def look_at(self, jobs: Iterable[Job], wire: Wire) -> None:
        """Ask for each job, some at a time; one that is gone or forbidden stays as it is known."""

        def look(job: Job) -> None:
            with contextlib.suppress(NotFoundError, NotAllowedError):
                self.saw(job.refresh().info, wire.clock.time())

        with wire.ear.together(), ThreadPoolExecutor(_PARALLEL_READS) as readers:
            list(readers.map(look, jobs))

    def me(self, wire: Wire) -> str:
        """Return the id of the user who is signed in."""
        if self._me is None:
            answer = wire.request("GET", "/services/oauth2/userinfo").json()
            if not isinstance(answer, dict) or not answer.get("user_id"):
                raise UnexpectedAnswerError("The org does not say who is signed in")
            self._me = str(answer["user_id"])
        return self._me


def user_names(ids: Iterable[str], wire: Wire) -> dict[str, str | None]:
    """Return id -> name of users, None where it cannot be read; asks for new ones only."""
    new = sorted({id for id in ids if id.isalnum()} - set(wire.names))
    for start in range(0, len(new), _MOST_NAMES_ASKED):
        some = new[start : start + _MOST_NAMES_ASKED]
        wire.names.update(dict.fromkeys(some), **_names(wire, some))
    return wire.names


def _is_settled(info: JobInfo, now: float) -> bool:
    if info.state != "Aborted" or info.system_modstamp is None:
        return True
    return now - info.system_modstamp.timestamp() >= _SETTLE_SECONDS


def _names(wire: Wire, ids: list[str]) -> dict[str, str]:
    wanted = ", ".join(f"'{id}'" for id in ids)
    query = " ".join(("SELECT Id, Name FROM User WHERE Id IN", f"({wanted})"))
    path = f"/services/data/v{wire.api_version}/query"
    try:
        records = wire.request("GET", path, params={"q": query}).json()["records"]
        return {str(record["Id"]): str(record["Name"]) for record in records if record["Name"]}
    except AuthenticationError:
        raise
    except (ApiError, UnexpectedAnswerError, KeyError, TypeError):
        return {}  # a user may lack the permission to read users

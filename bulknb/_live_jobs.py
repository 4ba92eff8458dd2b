"""Jobs of an org, looked at again and again by one pass over the lists."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import Any

from ._jobinfo import JobInfo
from ._jobs import Job, job_from_info, org_label
from ._listing import Jobs
from ._lists import listed, user_names
from ._org import Org
from ._wire import Clock
from .errors import InputError

__all__ = ["LiveJobs"]

#: The lists hold neither counts nor times. So many of the jobs in sight are asked at a look.
_ASKED_PER_LOOK = 4


class LiveJobs:
    """All jobs of an org, or some, for a `Watch` to look at.

    A look reads the lists, however many jobs they hold, and asks a few of the jobs in sight for
    their counts and times: running ones in turn, finished ones once.

    Parameters
    ----------
    which : Org or Jobs
        All jobs of an org, also those to come; or these only. If these are all of one kind, a look
        reads the list of that kind alone.

    Attributes
    ----------
    jobs : dict of str to Job
        Every job seen, by id.
    names : mapping of str to str
        User id -> name, None where it cannot be read.
    changed : set of str
        The ids of which the last look had news.
    in_sight : collection of str
        The ids whose numbers somebody can see.

    Raises
    ------
    InputError
        There are no jobs, and so no org to ask.
    """

    id = "list"
    done = False

    def __init__(self, which: Org | Jobs) -> None:
        self.jobs: dict[str, Job] = {}
        self._only: frozenset[str] | None = None
        self._kind: str | None = None
        if isinstance(which, Org):
            self._wire = which._wire
        elif which:
            self.jobs = {job.id: job for job in which}
            self._only = frozenset(self.jobs)
            kinds = {job.info.job_type for job in which}
            self._kind = kinds.pop() if len(kinds) == 1 else None
            self._wire = which[0]._wire
        else:
            raise InputError("There are no jobs to show; org.board() shows all, also those to come")
        self._known = which._known
        self.names: Mapping[str, str | None] = {}
        self.changed: set[str] = set()
        self.in_sight: Collection[str] = ()
        self._looking = threading.Lock()
        self._looks = self._news = self._moves = 0
        #: Job id -> what the lists said of it last.
        self._listed: dict[str, JobInfo] = {}
        #: Job id -> the look at which it was asked last.
        self._asked: dict[str, int] = {}

    @property
    def label(self) -> str:
        """What to call the org in a question."""
        return org_label(self._wire)

    @property
    def clock(self) -> Clock:
        """The time of the org's connection."""
        return self._wire.clock

    @property
    def info(self) -> int:
        """A number that grows with every look that has news."""
        return self._news

    @property
    def state(self) -> str:
        """Another after every look that saw a job come or change its state."""
        return str(self._moves)

    def is_final(self, id: str) -> bool:
        """Whether the job has been asked since it was done: its counts and times are the last."""
        return self._known.finished(id) is not None

    def refresh(self) -> None:
        """Look once: a pass over the lists, and a few of the jobs in sight.

        Raises
        ------
        BulkError
            The server could not be asked; what was known stays.
        """
        with self._looking:
            self._looks += 1
            states = {id: job.state for id, job in self.jobs.items()}
            infos = listed(self._wire, job_type=self._kind, pk_chunking=False, read=self._read)
            self.changed = {str(info.id) for info in infos if self._has_news(info)}
            self.changed |= self._ask_some()
            creators = {job.info.created_by_id for job in self.jobs.values()}
            self.names = user_names(filter(None, creators), self._wire)
            self._news += bool(self.changed)
            self._moves += any(self.jobs[id].state != states.get(id) for id in self.changed)

    def _read(self, record: Mapping[str, Any]) -> JobInfo:
        """Read a record of a list; one that says what it said last is the same object as then."""
        last = self._listed.get(str(record.get("id")))
        return last if last and last.raw == record else JobInfo.from_dict(record)

    def _has_news(self, info: JobInfo) -> bool:
        id = str(info.id)
        if self._listed.get(id) is info or (self._only is not None and id not in self._only):
            return False
        self._listed[id] = info
        job = self.jobs.get(id)
        if job is None:
            self.jobs[id] = job_from_info(self._wire, self._known.finished(id) or info)
            return True
        before = job.info
        return job.hear(info).info != before

    def _ask_some(self) -> set[str]:
        known = self._known
        due = [self.jobs[id] for id in self.in_sight if id in self.jobs and not known.finished(id)]
        # Of a job that is still open there is little to tell.
        due.sort(key=lambda job: (job.info.can_close, self._asked.get(job.id, 0)))
        before = {job: job.info for job in due[:_ASKED_PER_LOOK]}
        self._asked.update((job.id, self._looks) for job in before)
        known.look_at(before, self._wire)
        return {job.id for job, info in before.items() if job.info != info}

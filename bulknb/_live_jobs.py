"""The jobs of an org, looked at again and again by one pass over the lists."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

from ._jobs import Job
from ._org import Org

__all__ = ["LiveJobs"]

#: The lists hold neither counts nor times. So many of the jobs in sight are asked at a look.
_ASKED_PER_LOOK = 4


class LiveJobs:
    """All jobs of an org, for a `Watch` to look at.

    A look reads the lists, however many jobs they hold, and asks a few of the jobs in sight for
    their counts and times: running ones in turn, finished ones once.

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
    """

    id = "list"
    state = ""
    done = False

    def __init__(self, org: Org) -> None:
        self.org = org
        self.jobs: dict[str, Job] = {}
        self.names: Mapping[str, str | None] = {}
        self.changed: set[str] = set()
        self.in_sight: Collection[str] = ()
        self._looking = threading.Lock()
        self._news = 0
        self._looks = 0
        #: Job id -> the look at which it was asked last.
        self._asked: dict[str, int] = {}

    @property
    def info(self) -> int:
        """A number that grows with every look that has news."""
        return self._news

    def refresh(self) -> None:
        """Look once: a pass over the lists, and a few of the jobs in sight.

        Raises
        ------
        BulkError
            The server could not be asked; what was known stays.
        """
        with self._looking:
            self._looks += 1
            listed = self.org.jobs(times=False)
            self.changed = {job.id for job in listed if self._has_news(job)}
            self.changed |= self._ask_some()
            creators = {job.info.created_by_id for job in self.jobs.values()}
            self.names = self.org._known.names(filter(None, creators), self.org._wire)
            self._news += bool(self.changed)

    def _has_news(self, listed: Job) -> bool:
        job = self.jobs.setdefault(listed.id, listed)
        before = job.info
        return job is listed or job.hear(listed.info).info != before

    def _ask_some(self) -> set[str]:
        known = self.org._known
        due = [self.jobs[id] for id in self.in_sight if id in self.jobs and not known.finished(id)]
        # Of a job that is still open there is little to tell.
        due.sort(key=lambda job: (job.info.can_close, self._asked.get(job.id, 0)))
        before = {job: job.info for job in due[:_ASKED_PER_LOOK]}
        self._asked.update((job.id, self._looks) for job in before)
        known.look_at(before, self.org._wire)
        return {job.id for job, info in before.items() if job.info != info}

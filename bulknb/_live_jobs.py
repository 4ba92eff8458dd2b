"""The jobs of an org, looked at again and again by one pass over the lists."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from ._jobs import Job
from ._org import Org
from .errors import NotFoundError

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
        self.changed: set[str] = set()
        self.in_sight: Collection[str] = ()
        self._looking = threading.Lock()
        self._news = 0
        self._looks = 0
        #: Job id -> the look at which it was asked last.
        self._asked: dict[str, int] = {}
        self._final: set[str] = set()

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
            self._news += bool(self.changed)

    def _has_news(self, listed: Job) -> bool:
        job = self.jobs.setdefault(listed.id, listed)
        before = job.info
        if job is not listed and job.hear(listed.info).info == before:
            return False
        self._final.discard(job.id)
        return True

    def _ask_some(self) -> set[str]:
        due = [self.jobs[id] for id in self.in_sight if id in self.jobs and id not in self._final]
        # Of a job that is still open there is little to tell.
        due.sort(key=lambda job: (job.info.can_close, self._asked.get(job.id, 0)))
        before = {job: job.info for job in due[:_ASKED_PER_LOOK]}
        with ThreadPoolExecutor(_ASKED_PER_LOOK) as readers:
            list(readers.map(self._ask, before))
        return {job.id for job, info in before.items() if job.info != info}

    def _ask(self, job: Job) -> None:
        self._asked[job.id] = self._looks
        with contextlib.suppress(NotFoundError):  # deleted since it was listed
            job.refresh()
        if job.done:
            self._final.add(job.id)

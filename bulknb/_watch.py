"""One thread that looks at jobs now and then, and tells whoever listens.

A look is a GET: watching never changes a job. What the user asks for (close, abort) runs on the
same thread, so that an act and a look at a job never overlap. Nothing here knows of a widget.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ._jobs.base import Job, poll_seconds
from ._wire import Clock
from .errors import BulkError

__all__ = ["Listener", "Watch", "shared_watch"]

log = logging.getLogger("bulknb.watch")

#: Called after each look, with what went wrong if the server could not be asked.
Listener = Callable[[Job, BulkError | None], None]

#: Somebody looks on: never longer than this between two looks.
_LONGEST_SECONDS = 5.0
#: A closed browser tab says nothing. After an hour without news nobody is taken to look on, and the
#: looks become rare: an org has a daily allowance of API calls.
_ATTENTION_SECONDS = 3600.0
#: A batch in flight at an abort may still commit: its numbers are final when looks so far apart
#: agree.
_SETTLE_SECONDS = 5.0
#: The thread ends after this time with nothing to do.
_IDLE_SECONDS = 30.0


@dataclass
class _Watched:
    job: Job
    #: Times of the watch's clock, seconds.
    due: float
    news: float
    listeners: list[Listener] = field(default_factory=list)


class Watch:
    """Looks at jobs until they are done.

    A job is looked at twice a second when something has just happened to it, less and less often
    while nothing does, and never again once it is done. An aborted one is looked at until its
    numbers have settled.

    Parameters
    ----------
    clock : optional
        The `time` module, or something with its ``monotonic``: the time of the person who looks on,
        not that of the org.
    threaded : bool
        Work on a daemon thread, started when there is something to do. Without it nothing
        happens until `run_due` is called.
    """

    def __init__(self, *, clock: Clock = time, threaded: bool = True) -> None:
        self.clock = clock
        self._threaded = threaded
        self._thread: threading.Thread | None = None
        self._acts: deque[Callable[[], Any]] = deque()
        self._watched: dict[Job, _Watched] = {}
        self._changed = threading.Condition()

    def add(self, job: Job, listener: Listener) -> None:
        """Look at the job at once and then again and again; `listener` is told after each look.

        A job that is done is not asked about, unless it was aborted; the listener is told once.
        """
        now = self.clock.monotonic()
        with self._changed:
            watched = self._watched.setdefault(job, _Watched(job, due=now, news=now))
            watched.due = watched.news = now
            if listener not in watched.listeners:
                watched.listeners.append(listener)
            self._wake()

    def remove(self, job: Job, listener: Listener) -> None:
        """Tell this listener no more; a job without listeners is not looked at."""
        with self._changed:
            watched = self._watched.get(job)
            if watched and listener in watched.listeners:
                watched.listeners.remove(listener)
                if not watched.listeners:
                    del self._watched[job]

    def submit(self, act: Callable[[], Any]) -> None:
        """Run `act` on this watch's thread before the next look. It handles its own errors."""
        with self._changed:
            self._acts.append(act)
            self._wake()

    def run_due(self) -> float | None:
        """Run the acts and look at the jobs that are due.

        Returns
        -------
        float or None
            Seconds until the next look; None when no job is watched.
        """
        while True:
            with self._changed:
                act = self._acts.popleft() if self._acts else None
                watched = self._next()
            if act:
                _guarded(act)
            elif watched and self._is_due(watched):
                self._look(watched)
            else:
                return max(0.0, watched.due - self.clock.monotonic()) if watched else None

    def _next(self) -> _Watched | None:
        return min(self._watched.values(), key=lambda watched: watched.due, default=None)

    def _is_due(self, watched: _Watched) -> bool:
        return watched.due <= self.clock.monotonic()

    def _look(self, watched: _Watched) -> None:
        job, before = watched.job, watched.job.info
        error: BulkError | None = None
        if not job.done or _may_settle(job):
            try:
                job.refresh()
            except BulkError as trouble:
                error = trouble
            except Exception:
                log.exception("Looking at job %s broke", job.id)
                error = BulkError("bulknb itself broke while it looked; its log says where")
        now = self.clock.monotonic()
        with self._changed:
            if job.info != before:
                watched.news = now
            quiet = now - watched.news
            watched.due = now + (_SETTLE_SECONDS if job.done else _pause(quiet))
            listeners = tuple(watched.listeners)
            if job.done and not (_may_settle(job) and quiet < _SETTLE_SECONDS):
                self._watched.pop(job, None)
        for listener in listeners:
            _guarded(listener, job, error)

    def _wake(self) -> None:
        if self._threaded and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bulknb-watch", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            pause = self.run_due()
            with self._changed:
                woken = self._changed.wait_for(
                    self._has_work, _IDLE_SECONDS if pause is None else pause
                )
                if not woken and not self._watched:
                    self._thread = None
                    return

    def _has_work(self) -> bool:
        watched = self._next()
        return bool(self._acts) or (watched is not None and self._is_due(watched))


@cache
def shared_watch() -> Watch:
    """Return the process's one watch, made when first asked for."""
    return Watch()


def _may_settle(job: Job) -> bool:
    return job.state == "Aborted"


def _pause(quiet: float) -> float:
    """Seconds until the next look at a job that has been quiet for so long."""
    pause = poll_seconds(quiet)
    return min(pause, _LONGEST_SECONDS) if quiet < _ATTENTION_SECONDS else pause


def _guarded(call: Callable[..., Any], *args: Any) -> None:
    """Call it; one that breaks must not end the watching of all others."""
    try:
        call(*args)
    except Exception:
        log.exception("A listener or an act of the watch broke")

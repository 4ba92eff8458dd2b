"""One thread that looks at jobs now and then, and tells whoever listens.

A look is a GET: watching never changes a job. What the user asks for (close, abort) runs beside it,
so that no act waits for a look that is stuck on a slow network. Nothing here knows of a widget.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from ._jobs.base import poll_seconds
from ._wire import Clock
from .errors import BulkError

__all__ = ["Listener", "Subject", "Watch", "shared_watch"]

log = logging.getLogger("bulknb.watch")


class Subject(Protocol):
    """What can be watched: a job, or the jobs of an org."""

    @property
    def id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def done(self) -> bool: ...
    @property
    def info(self) -> object:
        """What was seen; unequal when there is news."""

    def refresh(self) -> object:
        """Look."""


#: Called after each look, with what went wrong if the server could not be asked.
Listener = Callable[[Any, BulkError | None], None]

#: Somebody looks on: so long at most between two looks, while what happened last is still recent.
_LONGEST_SECONDS = 5.0
#: Later it is this part of the time since: a closed browser tab says nothing, and an org has a
#: daily allowance of API calls. A job that runs for a day is looked at some 1,600 times.
_PATIENCE = 1 / 60
#: A batch in flight at an abort may still commit: its numbers are final when looks so far apart
#: agree.
_SETTLE_SECONDS = 5.0
#: The thread ends after this time with nothing to do.
_IDLE_SECONDS = 30.0


@dataclass
class _Watched:
    subject: Subject
    #: Times of the watch's clock, seconds.
    due: float
    #: When it entered its state, and when anything of it changed last.
    moved: float
    news: float
    listeners: list[Listener] = field(default_factory=list)


class Watch:
    """Looks at jobs until they are done.

    A job is looked at twice a second when its state has just changed, less and less often while it
    stays, and never again once it is done. An aborted one is looked at until its
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
        self._watched: dict[Subject, _Watched] = {}
        self._changed = threading.Condition()

    def add(self, subject: Subject, listener: Listener) -> None:
        """Look at it at once and then again and again; `listener` is told after each look.

        A job that is done is not asked about, unless it was aborted; the listener is told once.
        """
        now = self.clock.monotonic()
        with self._changed:
            watched = self._watched.setdefault(subject, _Watched(subject, now, now, now))
            watched.due = watched.moved = watched.news = now
            if listener not in watched.listeners:
                watched.listeners.append(listener)
            self._wake()

    def remove(self, subject: Subject, listener: Listener) -> None:
        """Tell this listener no more; what has no listeners is not looked at."""
        with self._changed:
            watched = self._watched.get(subject)
            if watched and listener in watched.listeners:
                watched.listeners.remove(listener)
                if not watched.listeners:
                    del self._watched[subject]

    def submit(self, act: Callable[[], Any]) -> None:
        """Run `act` at once, on a thread of its own. It handles its own errors."""
        if self._threaded:
            threading.Thread(target=_guarded, args=(act,), name="bulknb-act", daemon=True).start()
        else:
            self._acts.append(act)

    def run_due(self) -> float | None:
        """Run the acts and look at the jobs that are due.

        Returns
        -------
        float or None
            Seconds until the next look; None when no job is watched.
        """
        while True:
            with self._changed:
                watched = self._next()
            if self._acts:
                _guarded(self._acts.popleft())
            elif watched and self._is_due(watched):
                self._look(watched)
            else:
                return max(0.0, watched.due - self.clock.monotonic()) if watched else None

    def _next(self) -> _Watched | None:
        return min(self._watched.values(), key=lambda watched: watched.due, default=None)

    def _is_due(self, watched: _Watched) -> bool:
        return watched.due <= self.clock.monotonic()

    def _look(self, watched: _Watched) -> None:
        subject = watched.subject
        before, state = subject.info, subject.state
        error: BulkError | None = None
        if not subject.done or _may_settle(subject):
            try:
                subject.refresh()
            except BulkError as trouble:
                error = trouble
            except Exception:
                log.exception("Looking at job %s broke", subject.id)
                error = BulkError("bulknb itself broke while it looked; its log says where")
        now = self.clock.monotonic()
        with self._changed:
            if subject.info != before:
                watched.news = now
            if subject.state != state:
                watched.moved = now
            pause = _SETTLE_SECONDS if subject.done else _pause(now - watched.moved)
            watched.due = now + pause
            listeners = tuple(watched.listeners)
            settled = now - watched.news >= _SETTLE_SECONDS
            if subject.done and (settled or not _may_settle(subject)):
                self._watched.pop(subject, None)
        for listener in listeners:
            _guarded(listener, subject, error)

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
        return watched is not None and self._is_due(watched)


@cache
def shared_watch() -> Watch:
    """Return the process's one watch, made when first asked for."""
    return Watch()


def _may_settle(subject: Subject) -> bool:
    return subject.state == "Aborted"


def _pause(quiet: float) -> float:
    """Seconds until the next look at what has been in its state for so long."""
    return min(poll_seconds(quiet), max(_LONGEST_SECONDS, _PATIENCE * quiet))


def _guarded(call: Callable[..., Any], *args: Any) -> None:
    """Call it; one that breaks must not end the watching of all others."""
    try:
        call(*args)
    except Exception:
        log.exception("A listener or an act of the watch broke")

"""What the server says of jobs -> whoever keeps it, one by one or several at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ._gate import Clock
from ._jobinfo import JobInfo

__all__ = ["Ear", "Heard"]

#: So many, or what was heard so long ago, are passed on though more is to come.
_MOST_WAITING = 500
_LONGEST_WAIT_SECONDS = 5.0


class Heard(NamedTuple):
    """What was said of a job, and when, in seconds since the epoch."""

    info: JobInfo
    at: float


class Ear:
    """Passes on what is said of jobs, if somebody listens.

    Attributes
    ----------
    keeper : callable, optional
        Called with what was heard; it does not raise.
    """

    def __init__(self, clock: Clock) -> None:
        self.keeper: Callable[[list[Heard]], object] | None = None
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[Heard] = []
        self._gathering = 0

    def hear(self, *infos: JobInfo) -> None:
        """Pass on what was just said: at once, or at the end of what is heard together."""
        if self.keeper is None:
            return
        now = self._clock.time()
        with self._lock:
            self._waiting += [Heard(info, now) for info in infos]
            if not self._waiting or (self._gathering and not self._is_due(now)):
                return
        self.pass_on()

    def _is_due(self, now: float) -> bool:
        since = now - self._waiting[0].at
        return len(self._waiting) >= _MOST_WAITING or since >= _LONGEST_WAIT_SECONDS

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Pass on together what is heard until the end of this, or within a few seconds."""
        with self._lock:
            self._gathering += 1
        try:
            yield
        finally:
            with self._lock:
                self._gathering -= 1
                over = not self._gathering
            if over:
                self.pass_on()

    def pass_on(self) -> None:
        """Pass on what waits for more."""
        with self._lock:
            heard, self._waiting = self._waiting, []
        if heard and self.keeper:
            self.keeper(heard)

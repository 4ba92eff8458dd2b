"""What the server says of jobs -> whoever keeps it, one by one or several at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ._gate import Clock
from ._jobinfo import JobInfo

__all__ = ["Ear", "Heard"]

#: So many are passed on though more are to come.
_MOST_WAITING = 500


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
            if not self._waiting or (self._gathering and len(self._waiting) < _MOST_WAITING):
                return
            heard, self._waiting = self._waiting, []
        self.keeper(heard)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Pass on together what is heard until the end of this."""
        with self._lock:
            self._gathering += 1
        try:
            yield
        finally:
            with self._lock:
                self._gathering -= 1
            self.hear()

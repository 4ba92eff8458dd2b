"""Work on a thread of its own: who waits for its end, and who hears of its news."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ._gate import Clock
from .errors import StillRunningError

__all__ = ["Background"]

log = logging.getLogger("bulknb")

_LONGEST_WAIT_SECONDS = 1.0

T = TypeVar("T")


class Background(Generic[T]):
    """How far the work of a `T`, such as a query, is; and whom to tell.

    It does not hold the `T`, which is gone as soon as nobody wants it any more.

    Attributes
    ----------
    stage : str
        What is being done.
    done : bool
        Whether the work has ended.
    error : Exception or None
        What it ended with, if it did not end well.
    """

    def __init__(self, what: str, clock: Clock) -> None:
        self.stage = "waiting"
        self.done = False
        self.error: Exception | None = None
        self._what = what
        self._clock = clock
        self._started = self._stopped = clock.monotonic()
        self._listeners: list[Callable[[T], None]] = []
        self._ended = False
        self._news = threading.Condition()

    @property
    def seconds(self) -> float:
        """How long the work has taken so far, or took."""
        return (self._stopped if self.done else self._clock.monotonic()) - self._started

    def start(self, run: Callable[[], None]) -> None:
        """Begin; `run` calls `end` at its end."""
        self._started = self._clock.monotonic()
        threading.Thread(target=run, name=f"bulknb {self._what}", daemon=True).start()

    def wait(
        self,
        timeout: float | None,
        goes_on: Callable[[], str],
        *,
        held: Callable[[], bool] = lambda: False,
    ) -> None:
        """Return when the work has ended well; a time-out or Ctrl-C leaves it alone.

        Raises
        ------
        StillRunningError
            The time is over, or the work is `held`: it does not go on by itself. `goes_on` says
            how far it is.
        Exception
            What the work ended with.
        """
        interrupted = False
        try:
            news = self._wait_for(lambda: self._ended or held(), timeout)
        except KeyboardInterrupt:
            interrupted = True
        if interrupted:
            raise KeyboardInterrupt(f"Stopped waiting. {goes_on()}")
        if not news:
            raise StillRunningError(f"After {timeout:g} s: {goes_on()}")
        if not self._ended:
            raise StillRunningError(goes_on())
        if self.error:
            raise self.error

    def _wait_for(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        with self._news:
            while not ready():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                # On Windows a Ctrl-C is noticed when this ends.
                self._news.wait(min(left, _LONGEST_WAIT_SECONDS))
        return True

    def listen(self, owner: T, listener: Callable[[T], None]) -> None:
        """Have ``listener(owner)`` called at news, on the work's own thread."""
        if listener not in self._listeners:
            self._listeners.append(listener)
        if self.done:
            listener(owner)

    def unlisten(self, listener: Callable[[T], None]) -> None:
        """Tell this listener no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def tell(self, owner: T, stage: str) -> None:
        """Enter a stage, or have news within one, and tell who listens."""
        self.stage = stage
        for listener in tuple(self._listeners):
            try:
                listener(owner)
            except Exception:
                log.exception("A listener of the %s broke", self._what)
        with self._news:
            self._news.notify_all()

    def end(self, owner: T) -> None:
        """Tell that the work is over, then let those go on who wait."""
        self._stopped = self._clock.monotonic()
        self.done = True
        self.tell(owner, "ended")  # a card shows the end before whoever waits goes on
        with self._news:
            self._ended = True
            self._news.notify_all()

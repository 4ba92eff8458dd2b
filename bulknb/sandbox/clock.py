"""Where the sandbox takes its time from: real, accelerated or manual."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the sandbox and its clients need of a clock; the `time` module has the same names."""

    def time(self) -> float:
        """Return seconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Wait until that many seconds of this clock have passed."""


class RealClock:
    """The clock on the wall."""

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(time.sleep)
    time = staticmethod(time.time)  # last: from here on, the name means this


class AcceleratedClock:
    """A clock that starts now and runs `factor` times as fast as the real one."""

    def __init__(self, factor: float = 1.0) -> None:
        if factor <= 0:
            raise ValueError(f"The speed of a clock must be above zero, not {factor}.")
        self.factor = factor
        self._start = time.time()
        self._origin = time.monotonic()

    def time(self) -> float:
        """Return virtual seconds since the epoch, UTC."""
        return self._start + self.monotonic()

    def monotonic(self) -> float:
        """Return virtual seconds since the clock was made."""
        return (time.monotonic() - self._origin) * self.factor

    def sleep(self, seconds: float) -> None:
        """Wait `seconds` of virtual time, which is `seconds / factor` of real time."""
        time.sleep(max(0.0, seconds) / self.factor)


class ManualClock:
    """A clock that moves only when told to.

    Parameters
    ----------
    start : float
        Seconds since the epoch; by default 2026-01-05 09:00 UTC, a Monday.
    """

    def __init__(self, start: float = datetime(2026, 1, 5, 9, tzinfo=UTC).timestamp()) -> None:
        self._start = start
        self._elapsed = 0.0
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    def time(self) -> float:
        """Return virtual seconds since the epoch, UTC."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Return virtual seconds since the clock was made."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Move on; returns when all that falls due in this time has happened."""
        with self._lock:
            self._elapsed += max(0.0, seconds)
        for listener in tuple(self._listeners):
            listener()

    def sleep(self, seconds: float) -> None:
        """Advance: whoever waits on this clock makes it move."""
        self.advance(seconds)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after each advance."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        """Undo `subscribe`, if it was done."""
        self._listeners = [known for known in self._listeners if known != listener]

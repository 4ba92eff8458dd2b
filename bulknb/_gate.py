"""One pause for all requests to an org: when one of them is told to wait, none is sent."""

from __future__ import annotations

import logging
import random
import threading
from typing import Protocol

from .errors import ApiError, BulkError, LimitError, ServerError, UnreachableError

__all__ = ["TROUBLE", "Clock", "Gate", "is_spent"]

log = logging.getLogger("bulknb.wire")

#: What may pass: to ask again later is worth it.
TROUBLE = (UnreachableError, ServerError, LimitError)

_JITTER = random.SystemRandom()
_FIRST_BACKOFF_SECONDS = 0.5
#: While the org's API calls are used up, one request so often finds out when there are new ones.
_PROBE_SECONDS = 60.0


class Clock(Protocol):
    """What is needed of the `time` module; tests hand in one that they turn by hand."""

    def time(self) -> float: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...


class Gate:
    """Lets requests through, or holds them up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._opens = 0.0
        self._spent: LimitError | None = None
        self._probe = 0.0

    @property
    def spent(self) -> bool:
        """Whether the org said last that its API calls are used up."""
        return self._spent is not None

    def enter(self, *, read: bool, patience: float | None = None) -> None:
        """Wait until a request may be sent. Ctrl-C ends the wait at once.

        Parameters
        ----------
        read : bool
            Whether it only asks. While the org's API calls are used up, one of these goes out in a
            minute and the others are refused here. What changes something is always tried: the
            user asked for it.
        patience : float, optional
            Seconds; rather than wait longer, raise.

        Raises
        ------
        LimitError
            The org's API calls are used up, and it was asked less than a minute ago.
        UnreachableError
            The wait would be longer than `patience`.
        """
        if read:
            self._refuse_if_spent()
        while (pause := self._opens - self._clock.monotonic()) > 0:
            if patience is not None and pause > patience:
                raise UnreachableError(f"The server asks to wait {pause:.0f} s; ask again then")
            log.info("Waiting %.1f s before the next request", pause)
            self._clock.sleep(pause)

    def heard(self, error: BulkError | None, *, attempt: int = 1, read: bool = True) -> None:
        """Take in how a request ended: None is well. After trouble the next ones wait."""
        with self._lock:
            now = self._clock.monotonic()
            if isinstance(error, LimitError) and is_spent(error, read=read):
                self._spent, self._probe = error, now + _PROBE_SECONDS
                return
            if not isinstance(error, UnreachableError):
                self._spent = None
            if isinstance(error, TROUBLE):
                self._opens = max(self._opens, now + _pause(error, attempt))

    def _refuse_if_spent(self) -> None:
        with self._lock:
            spent, now = self._spent, self._clock.monotonic()
            if spent is None:
                return
            if now >= self._probe:
                self._probe = now + _PROBE_SECONDS
                return
            left = self._probe - now
        raise spent.with_advice(
            f"{spent.advice}. bulknb asks again in {left:.0f} s at the earliest"
        )


def is_spent(error: BulkError, *, read: bool) -> bool:
    """Tell whether an error says that the org's API calls are used up, so that none helps now.

    1.0 has one code for calls and for batches; to read takes no batch.
    """
    if not isinstance(error, LimitError) or error.status == 429:
        return False
    return read or error.code == "REQUEST_LIMIT_EXCEEDED"


def _pause(error: BulkError, attempt: int) -> float:
    """Return the seconds to wait: what the server asks, else doubling with full jitter."""
    asked = error.retry_after if isinstance(error, ApiError) else None
    if asked is not None:
        return asked
    return _JITTER.uniform(0.1, _FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1))

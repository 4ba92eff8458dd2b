"""What the two ways of sending share: the context, and how long trouble is borne."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

from .._jobs import Job
from .._ledger import Journal
from .._rows import Order, Rows
from .._wire import Clock, Wire
from ..errors import (
    ApiError,
    BulkError,
    LedgerError,
    LimitError,
    NotFoundError,
    ServerError,
    UnexpectedAnswerError,
    UnreachableError,
)
from .part import RESULTS_EXPIRED, UNREACHABLE, Part

log = logging.getLogger("bulknb.load")

#: What may pass by itself: no answer, a gateway's page, a busy or a worn-out org.
TRANSIENT = (UnreachableError, UnexpectedAnswerError, ServerError, LimitError)

#: So long an org that does not answer is asked again, for the end of the day's calls comes too.
DAY = 24 * 3600.0
#: So long is waited in all for rows to be taken: each try may leave a job behind.
SENDING_SECONDS = 600.0
#: Results that do not add up are read anew, after such pauses: an answer may have been cut.
READ_AGAIN_SECONDS = (1.0, 2.0, 5.0, 10.0)
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_LONGEST_ASKED_SECONDS = 300.0

T = TypeVar("T")


class Patience:
    """Pauses that double, until they add up to so many seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._waited = 0.0
        self._pause = _FIRST_PAUSE_SECONDS

    def bear(self, error: BulkError) -> None:
        """Wait, or raise the error if it does not pass or has lasted too long."""
        limit = isinstance(error, LimitError) and error.status != 429
        if not isinstance(error, TRANSIENT) or _is_used_up(error):
            raise error
        if self._waited > (DAY if limit else self._seconds):
            raise error
        asked = error.retry_after if isinstance(error, ApiError) else None
        pause = max(_LONGEST_PAUSE_SECONDS if limit else self._pause, asked or 0.0)
        pause = min(pause, _LONGEST_ASKED_SECONDS)
        self._clock.sleep(pause)
        self._waited += pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)


class Sender(ABC):
    """Takes the parts of a load into the org, asks how they are, and brings their results."""

    def __init__(
        self, wire: Wire, order: Order, journal: Journal, stopped: Callable[[], bool]
    ) -> None:
        self.wire = wire
        self.order = order
        self.journal = journal
        #: Whether the user has said abort.
        self.stopped = stopped

    @abstractmethod
    def send(self, part: Part, rows: Rows, data: bytes) -> None:
        """Send the rows' data; on return they are committed, or held if the order is not to close.

        They are planned still if the load was aborted.

        Raises
        ------
        BulkError
            They could not be sent, and nothing of them is in the org.
        """

    def commit(self, part: Part) -> None:
        """Commit rows that are held.

        Raises
        ------
        JobFailedError
            Somebody else has aborted their job; nothing of them is in the org.
        """
        raise AssertionError("only Bulk API 2.0 holds rows")

    def withdraw(self, part: Part) -> None:
        """Give up to send rows that are held."""
        raise AssertionError("only Bulk API 2.0 holds rows")

    @abstractmethod
    def seal(self, parts: Sequence[Part]) -> None:
        """Take note that no rows will follow."""

    @abstractmethod
    def look(self, parts: Sequence[Part]) -> None:
        """Ask how the parts are; a part that was proven not to be in the org is planned again."""

    @abstractmethod
    def collect(self, part: Part, rows: Rows | None) -> None:
        """Bring the outcomes of a part that has ended.

        Raises
        ------
        ReconcileError
            The results do not add up to the rows sent.
        """

    @abstractmethod
    def recover(self, parts: Sequence[Part]) -> None:
        """Find out how parts stand that another process left."""

    @abstractmethod
    def job_of(self, id: str) -> Job:
        """Return a job of this API by its id, without asking."""

    def note(self, part: Part, state: str) -> None:
        """Write down what is about to be done; what cannot be written is not done."""
        before, part.state = part.state, state
        try:
            self.journal.write(part.record)
        except LedgerError:
            part.state = before
            raise

    def patiently(self, call: Callable[[], T]) -> T:
        """Return what a call that changes nothing brings, through a day of trouble."""
        patience = Patience(self.wire.clock, DAY)
        while True:
            try:
                return call()
            except BulkError as error:
                patience.bear(error)

    def asked(self, parts: Sequence[Part], ask: Callable[[], None]) -> BulkError | None:
        """Ask about parts; trouble that passes only counts after a day without an answer."""
        now = self.wire.clock.monotonic()
        heard = min(part.heard or now for part in parts)
        try:
            ask()
            heard = now
        except BulkError as error:
            if isinstance(error, LedgerError):
                raise
            if not isinstance(error, TRANSIENT) or now - heard > DAY:
                for part in parts:
                    part.give_up(self.gave_up_because(error))
                return error
        for part in parts:
            part.heard = heard
        return None

    def gave_up_because(self, error: BulkError) -> str:
        """Return the reason for unknown rows after an error."""
        return RESULTS_EXPIRED if isinstance(error, NotFoundError) else UNREACHABLE


def discard(job: Job) -> Job:
    """Abort a job that the load itself gives up, or whose abort was asked of the load."""
    return job._abort()


def _is_used_up(error: BulkError) -> bool:
    """Tell whether the day's batches are used up: rows can go tomorrow, which is not waited for."""
    return isinstance(error, LimitError) and "apibatchitems" in error.server_message.lower()

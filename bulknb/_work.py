"""The work of a load, in its order: recover, send, commit, seal, follow, collect.

Each step may fail without keeping the next from accounting for what was sent.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ._jobs import Job, poll_seconds
from ._ledger import Journal, Ledger
from ._machine import give_back
from ._outcomes import constant, with_reasons
from ._rows import Order, Rows, in_source_order
from ._sending import SENDERS, Part, Sender
from ._sending.part import ALLOCATION_EXCEEDED, TAKEN_OVER, UNREACHABLE
from ._wire import Wire
from .errors import BulkError, InputError, JobFailedError, LeaseLostError, LedgerError

log = logging.getLogger("bulknb.load")

#: A part that the org refuses to take is tried with so many jobs.
_TRIES = 3
#: The stage of a load that goes on when the user says so.
HELD = "uploaded, waits for close()"
#: So often, in real time, a load that is held looks whether the ledger is to be told.
_HELD_SECONDS = 1.0
#: "Bulk API 2.0 Limits": Salesforce makes a batch of every 10,000 rows of a job.
BATCH_ROWS = 10_000


@dataclass(frozen=True)
class Progress:
    """How far a load is, in rows, as the server said last.

    ``total`` is None while a file or stream has not been read to its end. ``uploaded`` are those
    that wait for ``close()``; they are ``sent`` from then on.
    """

    stage: str
    total: int | None
    sent: int
    processed: int
    failed: int
    uploaded: int = 0


class Work:
    """Takes the rows of a load into the org, and finds out what became of them.

    Parameters
    ----------
    wire : Wire
        The way to the org.
    order : Order
        What to do.
    rows : Rows or None
        The rows; None if they are gone.
    tell : callable
        Called with the stage when something has changed.
    """

    def __init__(
        self,
        wire: Wire,
        order: Order,
        rows: Rows | None,
        *,
        tell: Callable[[str], None],
    ) -> None:
        self.wire = wire
        self.order = order
        self.rows = rows
        self.parts: list[Part] = []
        self.error: Exception | None = None
        #: Another process goes on with the load.
        self.lost = False
        self.aborted = threading.Event()
        #: Not set while rows that are uploaded are held until the user says close or abort.
        self.released = threading.Event()
        if order.close:
            self.released.set()
        self.journal: Journal | None = None
        self._sender: Sender | None = None
        self._tell = tell

    @property
    def id(self) -> str | None:
        """The load's id in the ledger, once it has begun."""
        return self.journal.record.id if self.journal else None

    @property
    def total(self) -> int | None:
        """How many rows there are; None while nobody has read them all."""
        if self.rows is not None:
            return self.rows.total
        return self.journal.record.rows if self.journal else None

    @property
    def jobs(self) -> list[Job]:
        """The jobs that have rows of the load."""
        found = {part.job.id: part.job for part in tuple(self.parts) if part.job}
        return list(found.values())

    def progress(self, stage: str) -> Progress:
        """Return how far the load is, as the server said last."""
        infos = [job.info for job in self.jobs]
        return Progress(
            stage=stage,
            total=self.total,
            sent=sum(len(part) for part in tuple(self.parts) if part.committed),
            processed=sum(info.number_records_processed or 0 for info in infos),
            failed=sum(info.number_records_failed or 0 for info in infos),
            uploaded=sum(len(part) for part in tuple(self.parts) if part.held),
        )

    def begin(self, ledger: Ledger, parent: str | None = None) -> None:
        """Open the journal: what cannot be written down is not begun."""
        if self.journal is None:
            self._hold_by(
                ledger.begin(
                    self.wire.organization or self.wire.origin,
                    asdict(self.order),
                    rows=self.total,
                    places=None if self.rows is None else self.rows.places,
                    parent=parent,
                    clock=self.wire.clock,
                )
            )

    def take_over(self, journal: Journal) -> None:
        """Take in the parts that another process wrote down.

        Raises
        ------
        InputError
            The rows are not those that it sent.
        """
        sender = self._hold_by(journal)
        for record in journal.ledger.parts(journal.record):
            job = sender.job_of(record.job) if record.job else None
            self.parts.append(Part.from_record(record, job))
        if self.rows is not None and not self._were_sent(self.rows):
            raise InputError(
                f"These are not the rows of the load of {self.order.object}, or their values have "
                "changed. Without them, resume() accounts for what was sent"
            )

    def _were_sent(self, rows: Rows) -> bool:
        """Tell whether the parts are of these rows."""
        known = self.journal.record.rows if self.journal else None
        if None not in (known, rows.total) and known != rows.total:
            return False
        chunks = rows.chunks()
        return all(part.is_of(next(chunks, None)) for part in self.parts)

    def close(self) -> None:
        """Have the jobs closed: written down first, for a resume to do it too."""
        if self.journal and not self.order.close:
            order = replace(self.order, close=True)
            self.journal.change(asdict(order))
            self.order = self._sending.order = order
            self.released.set()

    def abort(self) -> None:
        """Have no more rows sent, and nothing closed."""
        self.aborted.set()
        self.released.set()

    def run(self) -> None:
        """Do all of it."""
        self._tell("sending")
        steps = (self.recover, self.send_all, self.hold, self.commit)
        for step in (*steps, self.seal, self.follow, self.collect):
            self._attempt(step)
        self.error = self.error or self._failed_job() or self._open_end()

    def recover(self) -> None:
        """Of a load that is resumed: clear up what was left half done."""
        if self.parts:
            self._sending.recover(self.parts)

    def send_all(self) -> None:
        """Send all rows that are surely not in the org."""
        if self.rows is None:
            return
        for part, data in self._unsent(self.rows):
            self._wait_for_room()
            if self.aborted.is_set():
                return
            with self.wire.ear.together():
                self._sending.send(part, self.rows, data)
            del data  # the next part takes as many bytes
            self._tell("sending")
        if self.journal and self.journal.record.rows is None:
            self._note(functools.partial(self.journal.count, self.total))

    def hold(self) -> None:
        """With all rows uploaded, wait until the user says close or abort."""
        if self.released.is_set() or not self._is_uploaded():
            return
        self._tell(HELD)
        while not self.released.wait(_HELD_SECONDS):
            self._keep()

    def _is_uploaded(self) -> bool:
        """Tell whether no row is missing in the jobs; some may have been closed by others."""
        held = [part.held for part in self.parts]
        return (
            self.error is None
            and any(held)
            and all(part.held or part.committed for part in self.parts)
            and self.total == self.parts[-1].stop
        )

    def commit(self) -> None:
        """Close the jobs that are held, in their order; or give them up, if nobody said close."""
        close = self.order.close
        for part in [part for part in self.parts if part.held]:
            self._wait_for_room()
            go = close and not self.aborted.is_set()
            act = self._sending.commit if go else self._sending.withdraw
            self._attempt(functools.partial(act, part))
            self._tell("processing")

    def seal(self) -> None:
        """Say that no rows will follow."""
        self._sending.seal(self.parts)

    def follow(self) -> None:
        """Ask the jobs until all are done."""
        self._tell("processing")
        clock = self.wire.clock
        started = clock.monotonic()
        while self._running():
            clock.sleep(poll_seconds(clock.monotonic() - started))
            self._look()
            self._tell("processing")

    def collect(self) -> None:
        """Bring the outcomes of all that was sent."""
        self._tell("collecting results")
        for part in self.parts:
            if part.awaits_results:
                self._attempt(functools.partial(self._sending.collect, part, self.rows))

    def accounted(self) -> pa.Table:
        """Return the outcome of each row, in the order of the source, and ``unknown_reason``.

        Of a stream that can be read once only, rows that were not read are still in it.
        """
        at = max((part.stop for part in self.parts), default=0)
        if self.rows is not None:
            self._attempt(self.rows.finish)
        known = (self.total or at) if self.rows is None else len(self.rows)
        if self.lost:
            unknown = constant(known, "unknown", error="Another kernel goes on with it")
            return with_reasons(unknown, TAKEN_OVER)
        rest = with_reasons(constant(known - at, "not_sent"), UNREACHABLE)
        outcomes = pa.concat_tables([*(part.accounted() for part in self.parts), rest])
        for part in self.parts:
            part.let_go()
        give_back(len(outcomes))
        return in_source_order(outcomes, self.journal.record.places if self.journal else None)

    def batch_numbers(self, rows: int) -> npt.NDArray[np.int64]:
        """Return in which of Salesforce's batches each row of the source went; -1 is none.

        Those of a 1.0 job are the parts; they have no more rows than a batch of a 2.0 job.
        """
        numbers, first = np.full(rows, -1), 0
        for part in self.parts:
            inside = np.arange(len(part)) // BATCH_ROWS
            if part.committed:
                numbers[part.start : part.stop] = first + inside
            first += 1 + len(part) // BATCH_ROWS
        places = self.journal.record.places if self.journal else None
        return numbers if places is None else numbers[np.argsort(np.frombuffer(places, np.uint32))]

    def conclude(self, *, open_ends: bool) -> None:
        """Note that the load is over, or with open ends that somebody may go on with it."""
        if self.journal is None or self.lost:
            return
        try:
            if (open_ends or self.total is None) and not self.aborted.is_set():
                self.journal.let_go()
            else:
                self.journal.end()
        except LedgerError as error:
            log.warning("The end of the load of %s was not noted: %s", self.order.object, error)

    def hand_over(self) -> None:
        """Leave nothing to resume: what is not in the org is somebody else's from now on."""
        if self.journal:
            self.journal.end()

    def _hold_by(self, journal: Journal) -> Sender:
        sender = SENDERS[self.order.api]
        self.journal = journal
        self._sender = sender(self.wire, self.order, journal, self.aborted.is_set)
        return self._sender

    @property
    def _sending(self) -> Sender:
        if self._sender is None:
            raise AssertionError("a load begins before it sends")
        return self._sender

    def _attempt(self, step: Callable[[], None]) -> None:
        """Run a step of the work, and keep the first error for whoever waits."""
        if self.lost:
            return
        try:
            step()
        except Exception as error:
            log.warning("The load of %s: %s", self.order.object, type(error).__name__)
            self.error = self.error or error
            self.lost = isinstance(error, LeaseLostError)
            if not isinstance(error, BulkError):
                raise

    def _unsent(self, rows: Rows) -> Iterator[tuple[Part, bytes]]:
        """Yield the parts to be sent and their bytes, each added to the load as its turn comes."""
        for part in [part for part in self.parts if not (part.committed or part.held)]:
            yield part, rows.data(part.start, part.stop)
        for chunk in rows.chunks(max((part.stop for part in self.parts), default=0)):
            part = Part.of(len(self.parts), chunk)
            self.parts.append(part)
            yield part, chunk.data
            del chunk  # its bytes, as in `send_all`

    def _wait_for_room(self) -> None:
        """Wait until fewer parts are at work than may be."""
        most = self.order.concurrency
        waited = 0.0
        while most and len(self._running()) >= most and not self.aborted.is_set():
            pause = poll_seconds(waited)
            self.wire.clock.sleep(pause)
            waited += pause
            self._look()

    def _running(self) -> list[Part]:
        return [part for part in self.parts if part.running]

    def _look(self) -> None:
        """Ask once about what runs, and send anew what was proven not to be in the org."""
        self._keep()
        self._attempt(functools.partial(self._sending.look, self._running()))
        for part in [part for part in self.parts if part.refused and not part.committed]:
            refusal, part.refused = part.refused, None
            if self.rows is None:
                continue  # not sent, as all else of a load whose frame is gone
            if part.tries >= _TRIES or self.aborted.is_set():
                self.error = self.error or refusal
            else:
                data = self.rows.data(part.start, part.stop)
                self._attempt(functools.partial(self._sending.send, part, self.rows, data))

    def _keep(self) -> None:
        """Keep the load to this process."""
        if self.journal:
            self._note(self.journal.hold)

    def _note(self, write: Callable[[], None]) -> None:
        """Write into the journal what is good to know; that a full disk does not is only logged."""
        try:
            write()
        except LeaseLostError:
            raise
        except LedgerError as error:
            log.warning("The load of %s: %s", self.order.object, error)

    def _open_end(self) -> InputError | None:
        """Return the error for a stream that was not read to its end and is not at hand."""
        if self.rows is not None or self.total is not None or self.aborted.is_set():
            return None
        at = max((part.stop for part in self.parts), default=0)
        return InputError(
            f"The load of {self.order.object} was broken off while its rows were read: the first "
            f"{at:,} are accounted for. Give the file, the table or a list of the frames that they "
            "come from to org.resume(), and the rest is sent"
        )

    def _failed_job(self) -> JobFailedError | None:
        """Return the error for a job that is Failed, if the outcomes do not say why."""
        for part in self.parts:
            job = part.job
            if job and job.state == "Failed" and part.reason != ALLOCATION_EXCEEDED:
                reason = job.info.error_message or "the server gives no reason"
                return JobFailedError(
                    f"Job {job.id} is Failed: {reason}. load.remaining has the rows that are not in"
                )
        return None

"""Bulk API 1.0: batches of one job, which may run at once; results by batch and position.

A batch that was posted without an answer may have arrived, and may yet arrive. So the job is closed
first, after which no batch gets in any more ("Add a Batch to a Job"); then the job's batches are
listed, and those that nobody knows compared with what was posted. What has not arrived goes into
another job.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._jobinfo import BatchInfo, JobInfo
from .._jobs import ClassicJob
from .._jobs.batch_results import outcomes as results_in
from .._ledger import Journal
from .._outcomes import OUTCOMES, constant, outcomes
from .._rows import Order, Rows, digest
from .._wire import Wire
from ..errors import (
    ApiError,
    BulkError,
    InvalidJobStateError,
    LeaseLostError,
    LedgerError,
    ReconcileError,
    UnreachableError,
)
from .base import READ_AGAIN_SECONDS, SENDING_SECONDS, Patience, Sender, discard
from .part import BATCH_FAILED, CREATING, POSTED, POSTING, RESULTS_EXPIRED, Part

_ENDED = ("Completed", "Failed", "NotProcessed")
#: A batch that could not be read has touched no row.
_UNREAD = "InvalidBatch"


class ClassicSender(Sender):
    """Sends by Bulk API 1.0."""

    def __init__(
        self, wire: Wire, order: Order, journal: Journal, stopped: Callable[[], bool]
    ) -> None:
        super().__init__(wire, order, journal, stopped)
        #: The job that takes batches now.
        self._job: ClassicJob | None = None
        self._sealed = False
        #: The ids of the batches that the load has sent, and all batches of its jobs.
        self._sent: set[str] = set()
        self._batches: dict[str, BatchInfo] = {}

    def send(self, part: Part, rows: Rows, data: bytes) -> None:
        """Post the rows as a batch; see `Sender.send`."""
        patience = Patience(self.wire.clock, SENDING_SECONDS)
        part.refused = None
        part.tries += 1
        while not self.stopped():
            try:
                part.job = job = self._job or self._create(part)
                self.note(part, POSTING)
            except BulkError as error:
                part.free()
                patience.bear(error)
                continue
            try:
                self._arrived(part, job.add_batch(data))
                return
            except LedgerError:
                raise
            except BulkError as error:
                trouble = error
            self._resolve(job, [part])
            if part.batch:
                return
            # A job that is a day old, or that somebody has closed, takes no batch; another does.
            if not isinstance(trouble, InvalidJobStateError):
                patience.bear(trouble)

    def _create(self, part: Part) -> ClassicJob:
        self.note(part, CREATING)
        properties = {
            "operation": self.order.operation,
            "object": self.order.object,
            "concurrencyMode": self.order.mode.capitalize(),
        }
        if self.order.external_id:
            properties["externalIdFieldName"] = self.order.external_id
        self._job = ClassicJob.create(self.wire, properties)
        return self._job

    def _arrived(self, part: Part, batch: BatchInfo) -> None:
        """Note the batch, for a resume to be quick; it would be found without."""
        part.batch = batch.id
        self._sent.add(str(batch.id))
        try:
            self.note(part, POSTED)
        except LeaseLostError:
            raise
        except LedgerError:
            part.state = POSTED

    def _resolve(self, job: ClassicJob, doubtful: Iterable[Part]) -> None:
        """Find out which batches of a job have arrived; the others never will."""
        if self._job is job:
            self._job = None
        self.patiently(functools.partial(_fence, job))
        waiting = list(doubtful)
        posted = {part.sha256 for part in waiting}
        unknown = {
            self._content(job, batch, posted): batch
            for batch in self.patiently(job.batches)
            if batch.id not in self._sent
        }
        for part in waiting:
            batch = unknown.pop(part.sha256, None)
            if batch:
                self._arrived(part, batch)
            else:
                part.free()

    def _content(self, job: ClassicJob, batch: BatchInfo, posted: set[str]) -> str:
        """Return the hash of what a batch was posted with; an answer may have been cut."""
        ask = functools.partial(job.batch_request, str(batch.id))
        read = functools.partial(self.patiently, ask)
        found = digest(read())
        for pause in READ_AGAIN_SECONDS:
            if found in posted:
                break
            self.wire.clock.sleep(pause)
            found = digest(read())
        return found

    def seal(self, parts: Sequence[Part]) -> None:
        """Close the job: no batch will follow."""
        self._sealed = True
        if self._job:
            with contextlib.suppress(BulkError):  # `look` closes it again
                self._job.close()

    def look(self, parts: Sequence[Part]) -> None:
        """Ask each job and its batches how they are."""
        trouble = None
        for _, group in groupby(parts, key=lambda part: part.job and part.job.id):
            together = list(group)
            ask = functools.partial(self._look, _job(together[0]), together)
            trouble = self.asked(together, ask) or trouble
        if trouble:
            raise trouble

    def _look(self, job: ClassicJob, parts: list[Part]) -> None:
        doubtful = [part for part in parts if not part.batch]
        if doubtful:
            self._resolve(job, doubtful)
            for part in doubtful:
                part.refused = None if part.batch else UnreachableError("The batch was lost")
        job.refresh()
        if job.state == "Open" and self.stopped():
            discard(job)
        elif job.state == "Open" and self._sealed:
            _fence(job)
        self._batches |= {str(batch.id): batch for batch in job.batches()}
        for part in parts:
            batch = self._batches.get(str(part.batch))
            part.ended = batch is not None and batch.state in _ENDED

    def collect(self, part: Part, rows: Rows | None) -> None:
        """Bring the results of a batch, which are in the order of its rows."""
        job, batch = _job(part), self._batches[str(part.batch)]
        self._demand_no_double(job)
        if batch.state == "Completed":
            part.outcomes = self._results(part, job, batch)
        elif batch.state == "Failed" and _UNREAD not in (batch.state_message or ""):
            part.reason = BATCH_FAILED
        else:
            reason = batch.state_message or "The job was aborted before this batch"
            part.outcomes = constant(len(part), "unprocessed", error=reason, job_id=job.id)

    def _results(self, part: Part, job: ClassicJob, batch: BatchInfo) -> pa.Table:
        for pause in (*READ_AGAIN_SECONDS, None):
            found = self.patiently(functools.partial(_results_of, job, batch))
            if len(found) == len(part):
                return _outcomes(found, job.id)
            if pause is not None:
                self.wire.clock.sleep(pause)
        raise ReconcileError(
            f"Batch {batch.id} of job {job.id} was sent {len(part):,} rows and accounts for "
            f"{len(found):,}. Do not load them again before you have looked into the org"
        )

    def _demand_no_double(self, job: ClassicJob) -> None:
        """A request that the network sends twice makes two batches; nobody can keep it from it."""
        more = {id for id, batch in self._batches.items() if batch.job_id == job.id} - self._sent
        if more:
            raise ReconcileError(
                f"Job {job.id} has a batch that this load did not send ({', '.join(more)}): rows "
                "may be in the org twice. Look into the org before you go on"
            )

    def recover(self, parts: Sequence[Part]) -> None:
        """Close all jobs, and find out which batches have arrived."""
        self._sent |= {part.batch for part in parts if part.batch}
        for part in parts:
            if not part.committed:
                part.free()
        used = {part.job.id: _job(part) for part in parts if part.job}
        for id, job in used.items():
            doubtful = [part for part in parts if part.job and part.job.id == id and not part.batch]
            self._resolve(job, doubtful)
        for id in self.journal.ledger.made(self.journal.record):
            if id not in used:
                with contextlib.suppress(BulkError):
                    discard(self.job_of(id))

    def job_of(self, id: str) -> ClassicJob:
        """Return a job by its id; what it is like is asked later."""
        return ClassicJob(
            self.wire,
            JobInfo(
                id=id,
                job_type=ClassicJob.job_type,
                operation=self.order.operation,
                content_type="CSV",
            ),
        )

    def gave_up_because(self, error: BulkError) -> str:
        """Return the reason for unknown rows; 1.0 has no status for a job that is gone."""
        gone = isinstance(error, ApiError) and "unable to find" in error.server_message.lower()
        return RESULTS_EXPIRED if gone else super().gave_up_because(error)


def _job(part: Part) -> ClassicJob:
    if not isinstance(part.job, ClassicJob):
        raise AssertionError("a committed part has its job")
    return part.job


def _fence(job: ClassicJob) -> None:
    """Close the job; that it has been closed before is as good."""
    with contextlib.suppress(InvalidJobStateError):
        job.close()


def _results_of(job: ClassicJob, batch: BatchInfo) -> pa.Table:
    return results_in(job._request("GET", f"/batch/{batch.id}/result"))


def _outcomes(found: pa.Table, job_id: str) -> pa.Table:
    """Return the results of a batch in the form of those of a 2.0 job."""
    success = pc.equal(found["Success"], "true").to_numpy()
    ids, errors = (found[name].cast(pa.large_string()) for name in ("Id", "Error"))
    return outcomes(
        np.where(success, OUTCOMES.index("success"), OUTCOMES.index("failed")).astype(np.int8),
        ids=pc.if_else(pc.equal(ids, ""), None, ids),
        created=pc.equal(found["Created"], "true"),
        errors=errors.dictionary_encode(),
        job_id=job_id,
    )

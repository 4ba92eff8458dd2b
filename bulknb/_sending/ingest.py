"""Bulk API 2.0: a job for each part; create, upload once, close.

Before the close any doubt costs one job that never runs: it is aborted, and another one made. A
load with ``close=False`` is held there, its jobs uploaded and open. The close is the commit: from
then on the rows belong to that job, which is only asked, and closed again if it turns out to be
open. Only a job that has refused its close for good, was aborted, and proves by its results to have
touched no row, gives its rows back.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence

import pyarrow as pa

from .._jobinfo import JobInfo
from .._jobs import IngestJob, Job
from .._machine import give_back
from .._outcomes import OUTCOMES, codes_of
from .._reconcile import matched, matched_by_mark, settled_results
from .._rows import Rows
from ..errors import (
    ApiError,
    AuthenticationError,
    BulkError,
    InvalidJobStateError,
    JobFailedError,
    NotFoundError,
    ReconcileError,
)
from .base import READ_AGAIN_SECONDS, SENDING_SECONDS, TRANSIENT, Patience, Sender, discard
from .part import (
    ABORTED_IN_FLIGHT,
    ALLOCATION_EXCEEDED,
    CLOSING,
    CREATING,
    PLANNED,
    UNMATCHED,
    UPLOADED,
    UPLOADING,
    Part,
)

_ALLOCATION_WORDS = ("exceededquota", "apibatchitems limit")


class IngestSender(Sender):
    """Sends by Bulk API 2.0."""

    def send(self, part: Part, rows: Rows, data: bytes) -> None:
        """Send the rows with a job of their own; see `Sender.send`."""
        patience = Patience(self.wire.clock, SENDING_SECONDS)
        part.refused = None
        part.tries += 1
        session_was_dead = False
        while not self.stopped():
            try:
                job = self._upload(part, rows, data)
                if self.stopped():
                    break
                part.signed()
                self.note(part, CLOSING if self.order.close else UPLOADED)
            except BulkError as error:
                trouble = error
            else:
                if part.committed:
                    with contextlib.suppress(BulkError):  # `look` finds out, and closes it again
                        job.close()
                return
            uploading = part.state == UPLOADING
            self._spend(part)
            # A session may end at the upload; then it is renewed by the next request.
            if uploading and isinstance(trouble, AuthenticationError) and not session_was_dead:
                session_was_dead = True
                continue
            patience.bear(trouble)
        self._spend(part)

    def _upload(self, part: Part, rows: Rows, data: bytes) -> IngestJob:
        """Put the rows into a new job, once."""
        self.note(part, CREATING)
        job = IngestJob.create(self.wire, self._properties())
        part.job = job
        self.note(part, UPLOADING)
        part.sign(rows, data)
        return job.upload(data)

    def _properties(self) -> dict[str, str]:
        properties = {
            "object": self.order.object,
            "operation": self.order.operation,
            "contentType": "CSV",
            "lineEnding": "LF",
        }
        if self.order.external_id:
            properties["externalIdFieldName"] = self.order.external_id
        return properties

    def _spend(self, part: Part) -> None:
        """Give a job up that was never closed: it would never run, but stay open for days."""
        if part.job:
            with contextlib.suppress(BulkError):
                discard(part.job)
        part.free()

    def commit(self, part: Part) -> None:
        """Close a job that is held, if it is still there to be closed; see `Sender.commit`."""
        job = _job(part)
        self.note(part, CLOSING)
        try:
            job.close()
        except InvalidJobStateError:
            self.patiently(job.refresh)
            self._settle(part, job)
            if not part.committed:
                raise JobFailedError(
                    f"Job {job.id} was aborted while it waited for close(), and none of its rows "
                    "is in the org: retry() sends them again"
                ) from None
        except BulkError:
            pass  # `look` finds out, and closes it again

    def withdraw(self, part: Part) -> None:
        """Abort a job that is held."""
        job = _job(part)
        with contextlib.suppress(NotFoundError):  # `look` gives it up
            try:
                if job.state != "Aborted":
                    self.patiently(functools.partial(discard, job))
            except InvalidJobStateError:
                self.patiently(job.refresh)
        self._settle(part, job)

    def _settle(self, part: Part, job: IngestJob) -> None:
        """Take the rows of a held job back, if it is aborted; somebody else may have closed it."""
        untouched = functools.partial(self._is_untouched, job)
        if job.state == "Aborted" and self.patiently(untouched):
            part.free()
            self.note(part, PLANNED)
        else:
            self.note(part, CLOSING)

    def seal(self, parts: Sequence[Part]) -> None:
        """Each job was closed on its own."""

    def look(self, parts: Sequence[Part]) -> None:
        """Ask each job how it is."""
        trouble = None
        for part in parts:
            trouble = self.asked([part], functools.partial(self._look, part)) or trouble
        if trouble:
            raise trouble

    def _look(self, part: Part) -> None:
        job = _job(part)
        state = job.refresh().state
        if state == "Open":
            self._close_again(part, job)
        elif state == "Aborted" and part.refused and self._is_untouched(job):
            part.free()
            self.note(part, PLANNED)  # the next to resume has no refusal to go by
        else:
            part.ended = job.done

    def _close_again(self, part: Part, job: Job) -> None:
        if self.stopped():
            discard(job)
            return
        try:
            job.close()
        except InvalidJobStateError:
            pass  # it has moved on since it was asked
        except (AuthenticationError, NotFoundError, *TRANSIENT):
            raise
        except ApiError as error:
            part.refused = error
            self.note(part, UPLOADED)  # for whoever resumes it, should this process end here
            part.state = CLOSING
            discard(job)

    def _is_untouched(self, job: IngestJob) -> bool:
        """Tell whether an aborted job has proven, twice, that no row of it was processed."""
        return not any(
            len(job.result_set(kind)) for kind in ("successfulResults", "failedResults") * 2
        )

    def collect(self, part: Part, rows: Rows | None) -> None:
        """Bring the results and find the row that each of them is of."""
        job = _job(part)
        for pause in (*READ_AGAIN_SECONDS, None):
            results = self._results(part, job, by_mark=True)
            found = matched_by_mark(part.marks, results, job.id)
            give_back(len(results))
            if len(results) == len(part) and not _lost(found):
                break
            if pause is not None:
                self.wire.clock.sleep(pause)
        part.outcomes, part.reason = found, UNMATCHED
        if len(results) == len(part):
            if _lost(found) and rows is not None:
                # Texts tell more than marks: the server may have written one its own way.
                sent = rows.sent(part.start, part.stop, part.names)
                results = self._results(part, job, by_mark=False)
                part.outcomes = matched(sent, results, part.names, job.id)
        elif len(results) < len(part) and _is_over_allocation(job):
            part.reason = ALLOCATION_EXCEEDED
        elif job.state == "Aborted":
            part.outcomes, part.reason = None, ABORTED_IN_FLIGHT
        else:
            part.outcomes = None
            raise ReconcileError(
                f"Job {job.id} was sent {len(part):,} rows and accounts for {len(results):,}. "
                "Do not load them again before you have looked into the org"
            )

    def _results(self, part: Part, job: IngestJob, *, by_mark: bool) -> pa.Table:
        return self.patiently(
            lambda: settled_results(job, part.names, self.wire.clock, by_mark=by_mark)
        )

    def recover(self, parts: Sequence[Part]) -> None:
        """Abort what was never closed: it has not run. What was closed is asked by `look`.

        Held jobs that are Open stay so: their upload was answered, so they have all their rows.
        """
        for part in [part for part in parts if part.held]:
            job = _job(part)
            with contextlib.suppress(NotFoundError):  # `look` gives it up
                self.patiently(job.refresh)
            if job.state != "Open":
                self._settle(part, job)
        welded = {part.job.id for part in parts if part.job and (part.committed or part.held)}
        for id in self.journal.ledger.made(self.journal.record):
            if id not in welded:
                with contextlib.suppress(BulkError):
                    discard(self.job_of(id))
        for part in parts:
            if not (part.committed or part.held):
                part.free()

    def job_of(self, id: str) -> IngestJob:
        """Return a job by its id; what it is like is asked later."""
        return IngestJob(self.wire, JobInfo(id=id, job_type=IngestJob.job_type))


def _job(part: Part) -> IngestJob:
    if not isinstance(part.job, IngestJob):
        raise AssertionError("a committed part has its job")
    return part.job


def _lost(outcomes: pa.Table) -> bool:
    return bool((codes_of(outcomes["outcome"]) == OUTCOMES.index("unknown")).any())


def _is_over_allocation(job: Job) -> bool:
    words = (job.info.error_message or "").lower()
    return any(said in words for said in _ALLOCATION_WORDS)

"""A frame -> chunks -> 2.0 jobs -> results -> the same frame with what became of each row.

The protocol of a chunk: create a job, upload once, close. Before the close any doubt costs one job
that never runs: it is aborted and another one made. The close is the commit: from then on the chunk
belongs to that job, which is only asked. Rows are matched with their results by key, else by
content, never by position, since the API gives results in no order.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from . import _check, _csv, _load_card
from ._explain import where_time_went
from ._history import jobs_frame
from ._jobs import IngestJob, poll_seconds
from ._reconcile import (
    OUTCOMES,
    constant,
    joined,
    matched,
    settled_results,
    signing_columns,
)
from ._wire import Wire
from .errors import (
    AuthenticationError,
    BulkError,
    InvalidJobStateError,
    JobFailedError,
    LimitError,
    ReconcileError,
    ServerError,
    StillRunningError,
    UnreachableError,
)

__all__ = ["Load", "Progress"]

log = logging.getLogger("bulknb.load")

#: 100 MB is the most that Salesforce advises: it grows by half in its base64.
CHUNK_BYTES = 95_000_000

_TRIES = 3
_RETRY_SECONDS = 1.0
_TRANSIENT = (UnreachableError, ServerError, LimitError)
_SPENT = (*_TRANSIENT, AuthenticationError)


@dataclass(frozen=True)
class Progress:
    """How far a load is, in rows, as the server said last."""

    stage: str
    total: int
    sent: int
    processed: int
    failed: int


@dataclass
class _Part:
    """Rows ``start`` to ``stop`` of the frame, and their job."""

    start: int
    stop: int
    job: IngestJob | None = None
    #: From its close on the part belongs to its job: its rows are never sent again.
    closed: bool = False
    outcomes: pa.Table | None = None

    def __len__(self) -> int:
        return self.stop - self.start


#: Called on the load's own thread when something has changed.
Listener = Callable[["Load"], None]


class Load:
    """A frame on its way into the org, as one or more Bulk API 2.0 jobs.

    Made by ``org.load(...)``, which returns at once; the work is done on a thread of its own. A
    script that ends before the load does should `wait` for it.

    Attributes
    ----------
    object, operation, external_id : str
        As given to ``org.load``.
    """

    def __init__(
        self,
        wire: Wire,
        frame: pd.DataFrame,
        name: str,
        operation: str,
        *,
        external_id: str | None = None,
        tz: str | None = None,
        nulls: _csv.Nulls = "keep",
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        plan = _check.plan(wire, frame, name, operation, external_id)
        self.object = name
        self.operation = operation
        self.external_id = external_id
        self._wire = wire
        self._source = frame.copy(deep=False)
        self._key = plan.key
        self._table = _csv.encode(frame, types=plan.types, tz=tz, nulls=nulls)
        self._chunk_bytes = chunk_bytes
        self._parts: list[_Part] = []
        self._stage = "sending"
        self._error: Exception | None = None
        self._frame: pd.DataFrame | None = None
        self._started = self._stopped = wire.clock.monotonic()
        self._listeners: list[Listener] = []
        self._done = False
        self._aborted = threading.Event()
        self._ended = threading.Event()

    def start(self) -> Load:
        """Begin to send; ``org.load`` does this."""
        self._started = self._wire.clock.monotonic()
        threading.Thread(target=self._run, name="bulknb-load", daemon=True).start()
        return self

    # What the user asks of it

    def wait(self, timeout: float | None = None) -> Load:
        """Wait until every row is accounted for, and return the load.

        Waiting never changes the load: a time-out or Ctrl-C ends the waiting alone.

        Parameters
        ----------
        timeout : float, optional
            Seconds; without it, as long as it takes.

        Raises
        ------
        StillRunningError
            The time is over and the load goes on.
        JobFailedError
            Salesforce failed a job as a whole; ``frame`` says what became of the rows.
        ReconcileError
            Rows sent and rows answered do not add up.
        BulkError
            Sending ended early; ``frame`` says which rows were not sent.
        """
        interrupted = False
        try:
            ended = self._ended.wait(timeout)
        except KeyboardInterrupt:
            interrupted = True
        if interrupted:
            raise KeyboardInterrupt(f"Stopped waiting. {self._goes_on()}")
        if not ended:
            raise StillRunningError(f"After {timeout:g} s: {self._goes_on()}")
        if self._error:
            raise self._error
        return self

    def abort(self) -> Load:
        """Abort: what is not sent stays here, and every unfinished job is aborted.

        Rows already written stay written: see ``committed`` and ``remaining`` after ``wait()``.

        Raises
        ------
        BulkError
            A job could not be aborted, and goes on; all others were. Call it again.
        """
        self._aborted.set()
        trouble = None
        for job in self.jobs:
            if not job.done:
                try:
                    job._abort()
                except InvalidJobStateError:
                    pass  # it ended just before
                except BulkError as error:
                    trouble = error
        if trouble:
            raise trouble
        return self

    @property
    def done(self) -> bool:
        """Whether every row is accounted for, or the load ended with an error."""
        return self._done

    @property
    def accounted(self) -> bool:
        """Whether ``frame`` is there: every row is in one of ``counts``."""
        return self._frame is not None

    @property
    def error(self) -> Exception | None:
        """What `wait` raises once the load has ended, if anything."""
        return self._error if self.done else None

    @property
    def seconds(self) -> float:
        """How long the load has taken so far, or took."""
        now = self._stopped if self.done else self._wire.clock.monotonic()
        return now - self._started

    @property
    def jobs(self) -> list[IngestJob]:
        """The jobs made so far."""
        return [part.job for part in self._parts if part.job]

    @property
    def progress(self) -> Progress:
        """How far the load is by now; asks nothing of the server."""
        infos = [job.info for job in self.jobs]
        return Progress(
            stage=self._stage,
            total=len(self._table),
            sent=sum(len(part) for part in self._parts if part.closed),
            processed=sum(info.number_records_processed or 0 for info in infos),
            failed=sum(info.number_records_failed or 0 for info in infos),
        )

    @property
    def history(self) -> pd.DataFrame:
        """The history frame of the load's jobs, one row per job: see ``bulknb.jobs_frame``."""
        return jobs_frame(self.jobs)

    @property
    def frame(self) -> pd.DataFrame:
        """The frame that was loaded, on its own index, with what became of each row.

        Added columns: ``outcome`` (success, failed, unprocessed, not_sent or unknown), ``Id``,
        ``created``, ``error_code``, ``error_message``, ``error_fields``, ``job_id``, and
        ``ambiguous`` for rows that are equal to another one with another outcome.

        Raises
        ------
        StillRunningError
            Not every row is accounted for yet.
        """
        if self._frame is None:
            raise StillRunningError(f"Not every row is accounted for. {self._goes_on()}")
        return self._frame

    @property
    def failed(self) -> pd.DataFrame:
        """The rows that Salesforce refused, each with its reason."""
        return self._having("failed")

    @property
    def committed(self) -> pd.DataFrame:
        """The rows that are in the org now, with their Ids."""
        return self._having("success")

    @property
    def remaining(self) -> pd.DataFrame:
        """The rows that are surely not in the org by this load."""
        return self._having("failed", "unprocessed", "not_sent")

    @property
    def counts(self) -> pd.Series:
        """Rows by outcome; they add up to ``sent``, the rows of the frame given."""
        counts = self.frame["outcome"].value_counts().reindex(list(OUTCOMES), fill_value=0)
        return pd.concat([pd.Series({"sent": len(self._source)}), counts]).astype("int64")

    def errors(self) -> pd.DataFrame:
        """Return the failed rows by reason, the most frequent first.

        Returns
        -------
        DataFrame
            One row per error code and fields: ``error_code``, ``error_fields``, ``rows``,
            ``example_row`` (an index label), ``example_message``.
        """
        failed = self.failed
        failed = failed.assign(example_row=failed.index)
        return (
            failed.groupby(["error_code", "error_fields"], dropna=False, sort=False)
            .agg(
                rows=("outcome", "size"),
                example_row=("example_row", "first"),
                example_message=("error_message", "first"),
            )
            .sort_values("rows", ascending=False, kind="stable")
            .reset_index()
        )

    def explain(self) -> str:
        """Say in one sentence where the processing time of the load went."""
        return where_time_went(self.history)

    def listen(self, listener: Listener) -> None:
        """Have ``listener(load)`` called at news, on the load's own thread."""
        if listener not in self._listeners:
            self._listeners.append(listener)
        if self.done:
            listener(self)

    def unlisten(self, listener: Listener) -> None:
        """Tell this listener no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def __repr__(self) -> str:
        return _load_card.text(self)

    def _repr_html_(self) -> str:
        return _load_card.html(self)

    def _ipython_display_(self) -> None:
        from .widgets import LoadPanel

        LoadPanel(self)._ipython_display_()

    def _goes_on(self) -> str:
        now = self.progress
        return (
            f"The load of {self.object} goes on ({now.stage}: {now.sent:,} of {now.total:,} rows "
            f"sent, {now.processed:,} processed). wait() waits again, abort() aborts it"
        )

    def _having(self, *outcomes: str) -> pd.DataFrame:
        return self.frame[self.frame["outcome"].isin(outcomes)]

    # The work, on the load's own thread

    def _run(self) -> None:
        # A step that fails does not keep the next from accounting for what was sent.
        try:
            self._attempt(self._send_all)
            self._attempt(self._follow)
            self._attempt(self._collect)
        finally:
            self._end()

    def _attempt(self, step: Callable[[], None]) -> None:
        """Run a step of the work, and keep the first error for whoever waits."""
        try:
            step()
        except Exception as error:
            log.warning("The load of %s: %s", self.object, type(error).__name__)
            self._error = self._error or error
            if not isinstance(error, BulkError):
                raise

    def _end(self) -> None:
        try:
            self._frame = self._account()
            self._error = self._error or self._failed_job()
        finally:
            self._stopped = self._wire.clock.monotonic()
            self._done = True
            self._tell("ended")  # before whoever waits goes on: its panel shows the end by then
            self._ended.set()

    def _tell(self, stage: str) -> None:
        """Enter a stage, or have news within one, and tell who listens."""
        self._stage = stage
        for listener in tuple(self._listeners):
            try:
                listener(self)
            except Exception:
                log.exception("A listener of the load of %s broke", self.object)

    def _send_all(self) -> None:
        for chunk in _csv.chunks(self._table, self._chunk_bytes):
            if self._aborted.is_set():
                return
            part = _Part(chunk.start, chunk.stop)
            self._parts.append(part)
            job = self._upload(part, chunk.data)
            if self._aborted.is_set():
                self._discard(job)
                return
            self._commit(part, job)
            self._tell("sending")

    def _upload(self, part: _Part, data: bytes) -> IngestJob:
        """Put the rows into a job of their own; any doubt costs the job, never a second upload."""
        for tries_left in reversed(range(_TRIES)):
            part.job = None
            try:
                part.job = self._create()
                return part.job.upload(data)
            except BulkError as error:
                self._discard(part.job)
                # A session may expire at the upload, and be renewed for the next job.
                again = isinstance(error, _TRANSIENT if part.job is None else _SPENT)
                if not again or not tries_left:
                    raise
            self._wire.clock.sleep(_RETRY_SECONDS)
        raise AssertionError("the loop above returns or raises")

    def _create(self) -> IngestJob:
        properties = {
            "object": self.object,
            "operation": self.operation,
            "contentType": "CSV",
            "lineEnding": "LF",
        }
        if self.external_id:
            properties["externalIdFieldName"] = self.external_id
        return IngestJob.create(self._wire, properties)

    def _discard(self, job: IngestJob | None) -> None:
        """Abort a job that was never closed: it would never run, but stay open for days."""
        if job:
            with contextlib.suppress(BulkError):
                job._abort()

    def _commit(self, part: _Part, job: IngestJob) -> None:
        """Close the job. If that stays in doubt, `_look` finds the job open and closes it again."""
        part.closed = True
        with contextlib.suppress(InvalidJobStateError, *_TRANSIENT):
            job.close()

    def _follow(self) -> None:
        """Ask the jobs until all are done."""
        self._tell("processing")
        clock = self._wire.clock
        started = clock.monotonic()
        waiting = [part.job for part in self._parts if part.closed and part.job]
        while waiting:
            clock.sleep(poll_seconds(clock.monotonic() - started))
            waiting = [job for job in waiting if self._look(job)]
            self._tell("processing")

    def _look(self, job: IngestJob) -> bool:
        """Ask a job how it is, and return whether to ask again."""
        try:
            if job.refresh().state == "Open":
                job._abort() if self._aborted.is_set() else job.close()
        except (InvalidJobStateError, *_TRANSIENT):
            return True  # trouble on the way is no reason to give up: the job goes on
        except BulkError as error:
            self._error = self._error or error
            return False
        return not job.done

    def _collect(self) -> None:
        self._tell("collecting results")
        for part in self._parts:
            if part.job and part.closed and part.job.done:
                self._attempt(functools.partial(self._match, part, part.job))

    def _match(self, part: _Part, job: IngestJob) -> None:
        """Fetch the results of a job and find the row that each of them is of."""
        rows = self._table.slice(part.start, len(part))
        names = signing_columns(rows, self._key)
        results = settled_results(job, names, self._wire.clock)
        if len(results) != len(part):
            raise ReconcileError(
                f"Job {job.id} was sent {len(part):,} rows and accounts for {len(results):,}. "
                "Do not load them again before you have looked into the org"
            )
        sent = _csv.decode(_csv.write(rows), columns=names)
        part.outcomes = matched(sent, results, names, job.id)

    def _account(self) -> pd.DataFrame:
        """Return the source frame with an outcome for each of its rows."""
        pieces, at = [], 0
        for part in self._parts:
            pieces.append(_outcomes(part))
            at = part.stop
        pieces.append(constant(len(self._table) - at, "not_sent"))
        return joined(self._source, pa.concat_tables(pieces))

    def _failed_job(self) -> JobFailedError | None:
        failed = [job for job in self.jobs if job.state == "Failed"]
        if not failed:
            return None
        reason = failed[0].info.error_message or "the server gives no reason"
        return JobFailedError(
            f"Job {failed[0].id} is Failed: {reason}. load.remaining has the rows that are not in"
        )


def _outcomes(part: _Part) -> pa.Table:
    if part.outcomes is not None:
        return part.outcomes
    if part.closed and part.job:
        reason = "The results could not be read"
        return constant(len(part), "unknown", error=reason, job_id=part.job.id)
    return constant(len(part), "not_sent")

"""A frame -> parts -> jobs -> results -> the same frame with what became of each row.

Here is what a user asks of a load; the order of the work is in `_work`, how rows get into the org
and how trouble on the way is borne in `_sending`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import _load_card
from ._background import Background
from ._explain import Explanation
from ._history import jobs_frame
from ._jobs import Job, confirmed
from ._ledger import Journal, Ledger
from ._locks import Locks, locks_of
from ._outcomes import OUTCOMES, joined
from ._remedies import by_reason
from ._retry import (
    REPEATABLE,
    Positions,
    Which,
    choose,
    corrected,
    folded,
    keys_of,
    look_up,
    succeeded,
)
from ._rows import Order, Rows
from ._sending.base import discard
from ._sending.part import TAKEN_OVER, UNREACHABLE
from ._source import Source
from ._wire import Wire
from ._work import HELD, Progress, Work
from .errors import BulkError, InputError, InvalidJobStateError, StillRunningError

__all__ = ["Load", "Progress"]

#: Called on the load's own thread when something has changed.
Listener = Callable[["Load"], None]


class Load:
    """A frame on its way into the org, as one or more jobs.

    Made by ``org.load(...)``, which returns at once; the work is done on a thread of its own. A
    script that ends before the load does should `wait` for it; what it leaves, ``org.resume()``
    brings to an end.

    Parameters
    ----------
    wire : Wire
        The way to the org.
    data : DataFrame, Source, or what else `Source.of` takes, or None
        The rows; None for a load that goes on without them.
    name, operation : str
        The object and what to do.
    ledger : Ledger, optional
        Where its steps are written down; by default the user's own.
    resumes : Journal, optional
        Of the load that this one goes on with.
    parent : Load, optional
        The load of which this one sends rows again.
    **options
        As ``org.load`` has them.

    Attributes
    ----------
    object, operation, external_id : str
        As given to ``org.load``.
    """

    def __init__(
        self,
        wire: Wire,
        data: Any,
        name: str,
        operation: str,
        *,
        ledger: Ledger | None = None,
        resumes: Journal | None = None,
        parent: Load | None = None,
        **options: Any,
    ) -> None:
        self._order = order = Order(name, operation, **options)
        self._parent = parent
        #: Where the rows stand in the parent's frame.
        self._at: Positions = np.arange(0)
        #: Of a first load: who sends rows of it again.
        self._again: Load | None = None
        self.object = name
        self.operation = operation
        self.external_id = order.external_id
        self._wire = wire
        self._ledger = ledger or Ledger()
        rows = None if data is None else Rows(wire, Source.of(data), order)
        self._work = Work(wire, order, rows, tell=self._tell)
        self._frame: pd.DataFrame | None = None
        self._background = Background[Load](f"load of {name}", wire.clock)
        if resumes:
            self._work.take_over(resumes)

    def start(self) -> Load:
        """Begin to send; ``org.load`` does this.

        Raises
        ------
        LedgerError
            The ledger cannot be written; nothing was sent.
        """
        self._work.begin(self._ledger, self._parent._work.id if self._parent else None)
        self._background.start(self._run)
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
            The time is over and the load goes on, or it is `held` until `close` or `abort`.
        JobFailedError
            Salesforce failed a job as a whole; ``frame`` says what became of the rows.
        ReconcileError
            Rows sent and rows answered do not add up.
        BulkError
            Sending ended early; ``frame`` says which rows were not sent.
        """
        self._background.wait(timeout, partial(_load_card.goes_on, self), held=lambda: self.held)
        if self._work.error:
            raise self._work.error
        return self

    def close(self) -> Load:
        """Close the jobs of a load with ``close=False``: their rows are processed; returns at once.

        While rows are being uploaded, each job is closed as soon as it has its own.

        Raises
        ------
        BulkError
            The load was aborted, its upload failed, or the ledger cannot be written.
        """
        given_up = self.done or self._work.aborted.is_set()
        if given_up and not self._work.order.close:
            rows = "retry(), or org.resume(frame), sends its rows again"
            raise self.error or InputError(f"The load of {self.object} was given up: {rows}")
        self._work.close()
        return self

    def abort(self, *, confirm: str | None = None) -> Load:
        """Abort: what is not sent stays here, and every unfinished job is aborted.

        Rows already written stay written: see ``committed`` and ``remaining`` after ``wait()``.

        Parameters
        ----------
        confirm : str, optional
            In a production org, its name and what is to be done: "Acme: abort 1 load".

        Raises
        ------
        ConfirmationNeededError
            It is a production org, and `confirm` is not what it takes; the message says what is.
        BulkError
            A job could not be aborted, and goes on; all others were. Call it again.
        """
        confirmed(self._wire, "abort", 1, confirm, noun="load")
        return self._abort()

    def _abort(self) -> Load:
        """Abort, where a button has asked already."""
        self._work.abort()
        trouble = None
        for job in self.jobs:
            if not job.done:
                try:
                    discard(job)
                except InvalidJobStateError:
                    pass  # it ended just before
                except BulkError as error:
                    trouble = error
        if trouble:
            raise trouble
        if self._frame is not None:
            self._conclude(self._frame)  # what the ledger still had to resume is given up
        return self

    def __await__(self) -> Generator[Any, Any, Load]:
        """Wait as `wait` does, without blocking other tasks."""
        return asyncio.to_thread(self.wait).__await__()

    @property
    def done(self) -> bool:
        """Whether every row is accounted for, or the load ended with an error."""
        return self._background.done

    @property
    def held(self) -> bool:
        """Whether all rows are uploaded and wait for `close`: none is processed before."""
        return self._background.stage == HELD and not self._work.released.is_set()

    @property
    def has_rows(self) -> bool:
        """Whether the rows are at hand; a load resumed without its frame only follows its jobs."""
        return self._work.rows is not None

    @property
    def accounted(self) -> bool:
        """Whether ``frame`` is there: every row is in one of ``counts``."""
        return self._frame is not None

    @property
    def error(self) -> Exception | None:
        """What `wait` raises once the load has ended, if anything."""
        return self._work.error if self.done else None

    @property
    def seconds(self) -> float:
        """How long the load has taken so far, or took."""
        return self._background.seconds

    @property
    def jobs(self) -> list[Job]:
        """The jobs that have rows of the load."""
        return self._work.jobs

    @property
    def progress(self) -> Progress:
        """How far the load is by now; asks nothing of the server."""
        return self._work.progress(self._wire.paused or self._background.stage)

    @property
    def history(self) -> pd.DataFrame:
        """The history frame of the load's jobs, one row per job: see ``bulknb.jobs_frame``."""
        return jobs_frame(self.jobs)

    @property
    def frame(self) -> pd.DataFrame:
        """The frame that was loaded, on its own index, with what became of each row.

        Added columns: ``outcome`` (success, failed, unprocessed, not_sent or unknown), ``Id``,
        ``created``, ``error_code``, ``error_message``, ``error_fields``, ``job_id``,
        ``ambiguous`` for rows equal to another one with another outcome, and ``unknown_reason``
        where the fate is unknown: allocation_exceeded, results_expired, unmatched, batch_failed,
        aborted_in_flight, unreachable or taken_over. ``outcome`` and ``job_id`` are categories.

        Raises
        ------
        StillRunningError
            Not every row is accounted for yet.
        """
        if self._frame is None:
            raise StillRunningError(f"Not every row is accounted for. {_load_card.goes_on(self)}")
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
        return pd.concat([pd.Series({"sent": len(self.frame)}), counts]).astype("int64")

    def errors(self) -> pd.DataFrame:
        """Return the failed rows by reason, the most frequent first.

        Returns
        -------
        DataFrame
            One row per error code and fields: ``error_code``, ``error_fields``, ``rows``,
            ``example_row`` (an index label), ``example_message``, ``transient`` (whether the rows
            may pass if they are sent again as they are), ``remedy`` (what to do).
        """
        return by_reason(self.failed)

    def retry(
        self,
        which: Which | pd.DataFrame = "transient",
        *,
        key: str | None = None,
        order_by: str | list[str] | None = None,
        confirm: str | None = None,
        **options: Any,
    ) -> Load:
        """Send rows again that are not in the org; what becomes of them goes into ``frame`` here.

        Rows that were not processed or not sent are sent in any case. A row of unknown fate is
        never just sent again: of an insert it is looked up by `key` first, of a delete by its Id;
        without a `key` it stays unknown. An update or upsert names its record, and is repeated.

        Parameters
        ----------
        which : {"transient", "all"} or DataFrame
            Of the rows that failed, those that may pass unchanged, such as after a lock; or all; or
            those that a frame has in a corrected form, under the labels of ``frame``.
        key : str, optional
            For an insert: a field that names a record, such as an external id.
        order_by : str or list of str, optional
            Columns to sort by, such as the parent's: then its children do not wait for each other.
        confirm : str, optional
            For hardDelete in a production org, as for ``org.load``.
        **options
            As ``org.load`` has them; by default those of this load, but ``close=True``.

        Returns
        -------
        Load
            The load of these rows, on its way; this one, if a look showed that all are there.

        Raises
        ------
        InputError
            There is nothing to retry, or the corrected frame has rows that are in the org.
        ConfirmationNeededError
            `confirm` is not what it takes; the message says what is.
        StillRunningError
            The load, or a retry of it, goes on: its rows are not sent twice.
        """
        frame, root, sent = self.frame, self._root, self._work.rows
        if root._again and not root._again.accounted:
            raise StillRunningError(f"Rows are being sent again. {_load_card.goes_on(root._again)}")
        if sent is None:
            raise InputError("The rows are gone: give the frame to org.resume(frame), then retry")
        if frame["unknown_reason"].isin([UNREACHABLE, TAKEN_OVER]).any():
            raise InputError("Jobs of this load may still run: follow them by org.resume() first")
        choice = choose(frame, which)
        if not len(choice.surely) and not len(choice.perhaps):
            raise InputError("There is nothing to retry: see load.errors() for what needs a change")
        at = np.union1d(choice.surely, self._missing(sent, choice.perhaps, key))
        if not len(at):
            return self
        rows = (
            sent.source.at(at)
            if isinstance(which, str)
            else corrected(which, frame, sent.source, at)
        )
        if order_by is not None:
            places = rows.order_by(order_by)
            rows, at = rows.at(places), at[places]
        if self.operation == "hardDelete":
            confirmed(self._wire, self.operation, len(at), confirm, noun="row")
        options = {**asdict(self._order), "close": True, **options}
        name, operation = options.pop("object"), options.pop("operation")
        again = Load(self._wire, rows, name, operation, ledger=self._ledger, parent=self, **options)
        again._at = at
        # From here on these rows are the retry's: no resume of this load may send them too.
        self._work.hand_over()
        root._again = again
        return again.start()

    @property
    def _root(self) -> Load:
        return self._parent._root if self._parent else self

    def _missing(self, rows: Rows, at: Positions, key: str | None) -> Positions:
        """Return the rows of unknown fate that may be sent; those that a look settles are noted."""
        if self.operation in REPEATABLE or not len(at):
            return at
        wanted = self.operation == "insert"  # of a delete those are done that are not there
        column = key if wanted else rows.key_column
        if column is None:
            return at[:0]
        keys = keys_of(rows.source.at(at), column)
        ids = look_up(self._wire, self.object, keys)
        done = ids.notna().to_numpy(bool) == wanted
        self._take_in(succeeded((ids if wanted else keys)[done], created=wanted), at[done])
        missing: Positions = at[~done]
        return missing

    def _fold(self, news: pd.DataFrame, at: Positions) -> None:
        """Take in what became of rows that were sent again."""
        if self.operation in REPEATABLE:
            # What may have been done before is not undone by failing now.
            before = self.frame["outcome"].iloc[at].to_numpy()
            known = (before != "unknown") | (news["outcome"] == "success").to_numpy()
            news, at = news[known], at[known]
        self._take_in(news, at)

    def _take_in(self, news: pd.DataFrame, at: Positions) -> None:
        frame = folded(self.frame, news, at)
        if (frame["outcome"] == "success").all():
            self._work.error = None
        self._settle(frame)
        self._tell("ended")

    def _settle(self, frame: pd.DataFrame) -> None:
        """Keep what became of the rows, here and in the load whose rows were sent again."""
        self._frame = frame
        self._conclude(frame)
        if self._parent:
            # A file that has become shorter since has fewer rows than were to be sent again.
            self._parent._fold(frame, self._at[: len(frame)])

    def explain(
        self, *, past: pd.DataFrame | None = None, states: pd.DataFrame | None = None
    ) -> Explanation:
        """Return where the time of the load went, and since when: see `bulknb.explain`.

        By default it is compared with what was seen of the org's jobs: see ``org.history``.
        """
        from ._past import explained

        return explained(self._wire, self.history, past=past, states=states)

    def locks(
        self, *, by: str | list[str] | None = None, past: pd.DataFrame | None = None
    ) -> Locks:
        """Return which locked parents kept rows out, and what would help: see `bulknb.locks`.

        By default `by` is every column that leads to a parent, as the object's describe says.
        """
        return locks_of(self, by=by, past=past)

    def report(self, path: str | Path, **options: Any) -> Path:
        """Write one HTML file to hand on, and return its path: see `bulknb.report.write`."""
        from .report import write

        return write(self, path, **options)

    def listen(self, listener: Listener) -> None:
        """Have ``listener(load)`` called at news, on the load's own thread."""
        self._background.listen(self, listener)

    def unlisten(self, listener: Listener) -> None:
        """Tell this listener no more."""
        self._background.unlisten(listener)

    def __repr__(self) -> str:
        return _load_card.text(self)

    def _repr_html_(self) -> str:
        return _load_card.html(self)

    def _ipython_display_(self) -> None:
        from .widgets import LoadPanel

        LoadPanel(self)._ipython_display_()

    def _having(self, *outcomes: str) -> pd.DataFrame:
        return self.frame[self.frame["outcome"].isin(outcomes)]

    # The work, on the load's own thread

    def _run(self) -> None:
        try:
            self._work.run()
        finally:
            self._end()

    def _end(self) -> None:
        try:
            self._settle(self._account())
        finally:
            self._background.end(self)

    def _account(self) -> pd.DataFrame:
        """Return the source frame with an outcome for each of its rows."""
        rows = self._work.rows
        return joined(self._work.accounted(), None if rows is None else rows.frame)

    def _conclude(self, frame: pd.DataFrame) -> None:
        unreached = frame["unknown_reason"] == UNREACHABLE
        self._work.conclude(open_ends=bool(((frame["outcome"] == "not_sent") | unreached).any()))

    def _tell(self, stage: str) -> None:
        """Enter a stage, or have news within one, and tell who listens."""
        self._background.tell(self, stage)

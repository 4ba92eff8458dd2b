"""The live panels of a job, of a query and of a load: what the server says, and what to do."""

from __future__ import annotations

import contextlib
from functools import partial

from .. import _job_card, _query_card
from .._card import Card, as_of
from .._jobinfo import QUERIES, JobInfo
from .._jobs.base import Job
from .._lists import user_names
from .._pace import Meter
from .._query import Query
from .._seen import Seen
from .._watch import Watch, shared_watch
from ..errors import BulkError
from ._panel import LivePanel, button, stays

__all__ = ["JobPanel", "QueryPanel"]

#: No front end has drawn the panel within this time: it runs under nbconvert or papermill, and
#: nobody looks on. A front end that reports later starts the watching again.
_UNSEEN_SECONDS = 600.0


class JobPanel(LivePanel):
    """A job, live, with a button to close and one to abort it.

    Left as the last expression of a cell it is drawn, and follows the job without blocking the
    kernel until the job is done; then a static card takes its place, which stays in the saved
    notebook. `show` draws it again. Watching only asks the server; only the buttons change the job.

    Parameters
    ----------
    job : Job
        The job to show.
    rows : int, optional
        Rows that were uploaded, if known: adds a progress bar and the time left.
    user : str, optional
        The name of the job's creator; by default it is asked for, once for all panels of an org.
    watch : Watch, optional
        Who asks the server; by default the one that all panels share.

    Attributes
    ----------
    box : ipywidgets.VBox
        The panel as a widget, to be put into other layouts.
    """

    def __init__(
        self,
        job: Job,
        *,
        rows: int | None = None,
        user: str | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.job = job
        self.rows = rows
        self.user = user
        self._named = user is not None
        self._clock = job._wire.clock
        self._seen = Seen(self._clock)
        self._trouble = ""
        self.close_button = button("Close", "No more data can be added", "close")
        super().__init__(
            "job",
            f"job {job.id}",
            job._abort,
            verbs={"close": self.close_button},
            watch=watch or shared_watch(),
        )
        close = partial(self._hand_on, "Close", job.close, self.close_button)
        self._on(self.close_button, close)
        self._repaint()

    def paint(self, info: JobInfo) -> None:
        """Paint what the server said; a click and a look both end here."""
        with self._lock:
            self.close_button.disabled = bool(self._pending) or not info.can_close
            self.abort_button.disabled = bool(self._pending) or not info.can_abort
            self._abort.question = _question(info)
            self._paint(self._card_of(info), self._words())

    @property
    def _ended(self) -> bool:
        return self.job.done

    def _card(self) -> Card:
        return self._card_of(self.job.info, self._words())

    def _card_of(self, info: JobInfo, *notes: str) -> Card:
        user = self.user or self.job._wire.names.get(info.created_by_id or "")
        return _job_card.card(info, self._seen, self._clock, rows=self.rows, user=user, notes=notes)

    def _repaint(self) -> None:
        self.paint(self.job.info)

    def _follow(self) -> None:
        # A look is due at once; after an act it tells the other panels of this job too.
        self._watch.add(self.job, self._told)

    def _unfollow(self) -> None:
        self._watch.remove(self.job, self._told)

    def _told(self, job: Job, error: BulkError | None) -> None:
        """Paint what a look has brought."""
        if error is None and not self._named:
            self._named = True
            # Not under the lock: it may be a request, and clicks wait for the lock.
            with contextlib.suppress(BulkError):
                user_names(filter(None, [job.info.created_by_id]), job._wire)
        with self._lock:
            if error is None:
                self._seen.add(job.info)
            asks_in_vain = error is not None and not job.done
            self._trouble = f"The server could not be asked: {error}" if asks_in_vain else ""
            self.paint(job.info)
            if job.done:
                self._freeze()
        waited = self._watch.clock.monotonic() - self._displayed_at
        if not self._viewed and waited > _UNSEEN_SECONDS:
            self._unfollow()

    def _words(self) -> str:
        return self._refusal or self._trouble


class QueryPanel(LivePanel):
    """A query, live, with a button to abort it.

    Left as the last expression of a cell it is drawn, and follows the query without blocking the
    kernel and without a request of its own; then a static card takes its place, with the types of
    the columns and where the pages are. `show` draws it again.

    Parameters
    ----------
    query : Query
        The query to show.

    Attributes
    ----------
    box : ipywidgets.VBox
        The panel as a widget, to be put into other layouts.
    """

    def __init__(self, query: Query, *, watch: Watch | None = None) -> None:
        self.query = query
        self._meter = Meter()
        self._clock = query._wire.clock
        self._seen_at = self._clock.time()
        of = f"query of {query.object}"
        super().__init__("query", of, query.abort, watch=watch or shared_watch())
        self._repaint()

    @property
    def _ended(self) -> bool:
        return self.query.done

    def _card(self) -> Card:
        return _query_card.card(
            self.query, meter=self._meter, seen=as_of(self._seen_at), note=self._refusal
        )

    def _repaint(self) -> None:
        with self._lock:
            self.abort_button.disabled = bool(self._pending) or self.query.done
            self._abort.question = "Abort this query? Nothing of its result is kept."
            self._paint(self._card(), self._refusal)

    def _follow(self) -> None:
        self.query.listen(self._told)

    def _unfollow(self) -> None:
        self.query.unlisten(self._told)

    def _told(self, query: Query) -> None:
        with self._lock:
            if self._frozen:
                return
            self._seen_at = self._clock.time()
            self._meter.add(self._clock.monotonic(), query.progress.fetched)
            self._repaint()
            if query.done:
                self._freeze()


def _question(info: JobInfo) -> str:
    if info.operation in QUERIES:
        return "Abort this query?"
    written = (info.number_records_processed or 0) - (info.number_records_failed or 0)
    return f"Abort this job? {stays(written)}"

"""The live panels of a job and of a load: what the server says, with Close and Abort."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from .._html import strip
from .._jobinfo import JobInfo
from .._jobs.base import Job
from .._jobs.facts import facts, title, tone
from .._load import Load
from .._watch import Watch, shared_watch
from ..errors import BulkError
from ._panel import LivePanel, button, stays

__all__ = ["JobPanel", "LoadPanel"]

#: No front end has drawn the panel within this time: it runs under nbconvert or papermill, and
#: nobody looks on. A front end that reports later starts the watching again.
_UNSEEN_SECONDS = 600.0


class JobPanel(LivePanel):
    """A job, live, with a button to close and one to abort it.

    Left as the last expression of a cell it is drawn, and follows the job without blocking the
    kernel until the job is done; then a static table takes its place, which stays in the saved
    notebook. Watching only asks the server; only the buttons change the job.

    Parameters
    ----------
    job : Job
        The job to show.
    rows : int, optional
        Rows that were uploaded, if known: adds a progress bar.
    watch : Watch, optional
        Who asks the server; by default the one that all panels share.

    Attributes
    ----------
    box : ipywidgets.VBox
        The panel as a widget, to be put into other layouts.
    """

    def __init__(self, job: Job, *, rows: int | None = None, watch: Watch | None = None) -> None:
        self.job = job
        self._clock = job._wire.clock
        self._seen: float | None = None
        self._trouble = ""
        self.close_button = button("Close", "No more data can be added; Salesforce queues the job")
        super().__init__(
            "job", job._abort, verbs=[self.close_button], rows=rows, watch=watch or shared_watch()
        )
        self.close_button.on_click(partial(self._clicked, "Close", job.close))
        self._repaint()

    def show(self, info: JobInfo) -> None:
        """Paint what the server said; a click and a look both end here."""
        with self._lock:
            self.close_button.disabled = bool(self._pending) or not info.can_close
            self._paint(
                self._table(info),
                self._words(),
                can_abort=info.can_abort,
                question=_question(info),
                processed=info.number_records_processed,
            )

    def __repr__(self) -> str:
        info = self.job.info
        lines = [*facts(info, now=self._clock.time()), *self._as_of()]
        width = max(len(name) for name, _ in lines)
        text = [f"Job {self.job.id} {title(info)}"]
        text += [f"  {name:{width}}  {value}" for name, value in lines]
        return "\n".join(text + [f"  {note}" for note in self._notes(info)])

    def _repr_html_(self) -> str:
        return self._table(self.job.info, notes=self._notes(self.job.info))

    @property
    def _ended(self) -> bool:
        return self.job.done

    def _repaint(self) -> None:
        self.show(self.job.info)

    def _follow(self) -> None:
        # A look is due at once; after an act it tells the other panels of this job too.
        self._watch.add(self.job, self._told)

    def _unfollow(self) -> None:
        self._watch.remove(self.job, self._told)

    def _told(self, job: Job, error: BulkError | None) -> None:
        """Paint what a look has brought."""
        with self._lock:
            if error is None:
                self._seen = self._clock.time()
            asks_in_vain = error is not None and not job.done
            self._trouble = f"The server could not be asked: {error}" if asks_in_vain else ""
            self.show(job.info)
            if job.done:
                self._freeze()
        waited = self._watch.clock.monotonic() - self._displayed_at
        if not self._viewed and waited > _UNSEEN_SECONDS:
            self._unfollow()

    def _table(self, info: JobInfo, notes: list[str] | None = None) -> str:
        as_of = [f"{name.lower()} {value}" for name, value in self._as_of()]
        return strip(
            title(info),
            " · ".join([self.job.id, *as_of]),
            facts(info, now=self._clock.time()),
            tone=tone(info),
            notes=notes or [],
        )

    def _notes(self, info: JobInfo) -> list[str]:
        return [note for note in (info.error_message, self._words()) if note]

    def _words(self) -> str:
        return self._refusal or self._trouble

    def _as_of(self) -> list[tuple[str, str]]:
        if self._seen is None:
            return []
        return [("As of", f"{datetime.fromtimestamp(self._seen, UTC):%Y-%m-%d %H:%M:%S} UTC")]


class LoadPanel(LivePanel):
    """A load, live, with a button to abort it.

    Left as the last expression of a cell it is drawn, and follows the load without blocking the
    kernel and without a request of its own; then a static table of what became of the rows takes
    its place.

    Parameters
    ----------
    load : Load
        The load to show.

    Attributes
    ----------
    box : ipywidgets.VBox
        The panel as a widget, to be put into other layouts.
    """

    def __init__(self, load: Load, *, watch: Watch | None = None) -> None:
        self.load = load
        rows = load.progress.total
        super().__init__("load", load._abort, rows=rows, watch=watch or shared_watch())
        self._repaint()

    def __repr__(self) -> str:
        return repr(self.load)

    def _repr_html_(self) -> str:
        return self.load._repr_html_()

    @property
    def _ended(self) -> bool:
        return self.load.done

    def _repaint(self) -> None:
        now = self.load.progress
        with self._lock:
            self._paint(
                self.load._repr_html_(),
                self._refusal,
                can_abort=not self.load.done,
                question=f"Abort: {stays(now.processed - now.failed)}",
                processed=now.processed,
            )

    def _follow(self) -> None:
        self.load.listen(self._told)

    def _unfollow(self) -> None:
        self.load.unlisten(self._told)

    def _told(self, load: Load) -> None:
        with self._lock:
            if self._frozen:
                return
            self._repaint()
            if load.done:
                self._freeze()


def _question(info: JobInfo) -> str:
    if info.operation in ("query", "queryAll"):
        return "Abort this query?"
    written = (info.number_records_processed or 0) - (info.number_records_failed or 0)
    return f"Abort: {stays(written)}"

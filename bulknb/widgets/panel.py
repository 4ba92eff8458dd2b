"""A job's live panel: what the server says of it, with Close and Abort."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import ipywidgets

from .._html import strip
from .._jobinfo import JobInfo
from .._jobs.base import Job
from .._jobs.facts import facts, title, tone
from .._watch import Watch, shared_watch
from ..errors import BulkError
from ._live import answer_while_busy, close_tree, in_notebook, publish, view_bundle

__all__ = ["JobPanel"]

log = logging.getLogger("bulknb.widgets")

#: No front end has drawn the panel within this time: it runs under nbconvert or papermill, and
#: nobody looks on. A front end that reports later starts the watching again.
_UNSEEN_SECONDS = 600.0

#: A label cuts long text; the server's words are to be read in full.
_WRAP = """<style>
.jupyter-widgets.bulknb-message {
  white-space: normal; height: auto; line-height: 1.5; padding-top: 4px
}
</style>"""
#: Below the text of the table, beside its coloured edge.
_BELOW = {"margin": "4px 0 0 10px", "flex_flow": "row wrap"}


class JobPanel:
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
        self.rows = rows
        self._watch = watch or shared_watch()
        self._clock = job._wire.clock
        # Clicks come on a subshell's thread or the main one, news on the watch's.
        self._lock = threading.RLock()
        self._handles: list[Any] = []
        self._displayed_at = self._watch.clock.monotonic()
        self._seen: float | None = None
        self._viewed = False
        self._asking = False
        self._frozen = False
        self._pending = ""
        self._refusal = ""
        self._trouble = ""
        self._build()
        self.show(job.info)

    def show(self, info: JobInfo) -> None:
        """Paint what the server said; a click and a look both end here."""
        with self._lock:
            self.card.value = self._table(info) + _WRAP
            self.message.value = self._pending or self._words()
            self.close_button.disabled = bool(self._pending) or not info.can_close
            self.abort_button.disabled = bool(self._pending) or not info.can_abort
            self.question.value = _question(info)
            asking = self._asking and not self.abort_button.disabled
            self.confirm_button.disabled = not asking
            self.verbs.layout.display = "none" if asking else None
            self.confirmation.layout.display = None if asking else "none"
            if self.rows:
                self.progress.value = min(info.number_records_processed or 0, self.rows)
                self.progress.description = f"{self.progress.value / self.rows:.0%}"

    def __repr__(self) -> str:
        info = self.job.info
        lines = [*facts(info, now=self._clock.time()), *self._as_of()]
        width = max(len(name) for name, _ in lines)
        text = [f"Job {self.job.id} {title(info)}"]
        text += [f"  {name:{width}}  {value}" for name, value in lines]
        return "\n".join(text + [f"  {note}" for note in self._notes(info)])

    def _repr_html_(self) -> str:
        return self._table(self.job.info, notes=self._notes(self.job.info))

    def _ipython_display_(self) -> None:
        with self._lock:
            if self.job.done:
                self._freeze()
            if self._frozen or not in_notebook():
                publish(self._static(), raw=True)
                return
            bundle = {**self._static(), **view_bundle(self.box)}
            handle = publish(bundle, raw=True, display_id=True)
            self._handles.append(handle)
            self._displayed_at = self._watch.clock.monotonic()
        self._watch.add(self.job, self._told)

    def _build(self) -> None:
        self.card = ipywidgets.HTML()
        self.close_button = _button("Close", "No more data can be added; Salesforce queues the job")
        self.abort_button = _button("Abort", "Abort the job; asks once more")
        self.progress = ipywidgets.IntProgress(
            max=self.rows or 1,
            layout={"width": "16em", "display": None if self.rows else "none"},
            style={"description_width": "3em"},
        )
        self.message = ipywidgets.Label(layout={"flex": "1 1 20em", "margin": "0 0 0 8px"})
        self.message.add_class("bulknb-message")
        self.question = ipywidgets.Label()
        self.confirm_button = _button("Abort job", "Abort the job now", style="danger")
        self.keep_button = _button("Keep running", "Leave the job as it is")
        self.verbs = ipywidgets.HBox(
            [self.close_button, self.abort_button, self.progress, self.message], layout=_BELOW
        )
        self.confirmation = ipywidgets.HBox(
            [self.question, self.confirm_button, self.keep_button], layout=_BELOW
        )
        self.box = ipywidgets.VBox([self.card, self.verbs, self.confirmation])
        self.close_button.on_click(partial(self._clicked, "Close", self.job.close))
        self.abort_button.on_click(partial(self._ask, True))
        self.keep_button.on_click(partial(self._ask, False))
        self.confirm_button.on_click(partial(self._clicked, "Abort", self.job.abort))
        # Front ends count their views of a model that has a count: 0 again means that the output
        # was cleared or its cell run anew.
        self.box._view_count = 0
        self.box.observe(self._views_changed, "_view_count")
        answer_while_busy(self.box)

    def _ask(self, asking: bool, _: ipywidgets.Button) -> None:
        with self._lock:
            self._asking = asking
            self.show(self.job.info)
        # The keyboard goes on where the eye is; Enter pressed twice must not abort.
        (self.keep_button if asking else self.abort_button).focus()

    def _clicked(self, verb: str, act: Callable[[], Job], button: ipywidgets.Button) -> None:
        """Only hand it on: all clicks of a kernel share one thread, and the network is slow."""
        with self._lock:
            if button.disabled:  # the second click of a double click
                return
            self._pending = f"{verb}: asking the server …"
            self._asking = False
            self.show(self.job.info)
        self._watch.submit(partial(self._act, act))

    def _act(self, act: Callable[[], Job]) -> None:
        """Run a verb, on the watch's thread, and say what came of it."""
        refusal = ""
        try:
            act()
        except BulkError as error:
            refusal = str(error)
        except Exception as error:
            log.exception("Job %s: a button broke", self.job.id)
            refusal = f"bulknb itself broke ({type(error).__name__}); its log says where"
        with self._lock:
            self._pending, self._refusal = "", refusal
            self.show(self.job.info)
        # The next look is due at once, and tells the other panels of this job too.
        self._watch.add(self.job, self._told)

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
        if (
            not self._viewed
            and self._watch.clock.monotonic() - self._displayed_at > _UNSEEN_SECONDS
        ):
            self._watch.remove(job, self._told)

    def _views_changed(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self._viewed = True
            if not self._frozen:
                self._watch.add(self.job, self._told)
        elif self._frozen:
            close_tree(self.box)
        else:
            self._watch.remove(self.job, self._told)

    def _freeze(self) -> None:
        """Put the static twin in the live panel's place: saved notebooks show it everywhere."""
        self._frozen = True
        for handle in self._handles:
            handle.update(self._static(), raw=True)
        # Where they have been drawn they stay until their last view has gone: Voila does not take
        # display updates and goes on showing them.
        if not self._handles and not self._viewed:
            close_tree(self.box)

    def _static(self) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

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


def _button(text: str, tooltip: str, style: str = "") -> ipywidgets.Button:
    layout = {"width": "auto", "min_width": "5em"}
    return ipywidgets.Button(description=text, tooltip=tooltip, button_style=style, layout=layout)


def _question(info: JobInfo) -> str:
    if info.operation in ("query", "queryAll"):
        return "Abort this query?"
    written = (info.number_records_processed or 0) - (info.number_records_failed or 0)
    rows = {0: "rows", 1: "1 row"}.get(written, f"{written:,} rows")
    return f"Abort: {rows} already written {'stays' if written == 1 else 'stay'} written."

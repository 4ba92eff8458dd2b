"""The live board of all jobs of an org: sort, filter, select, close, abort, open."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

from .._html import NO_MATH
from .._jobs import Job
from .._jobs.facts import tone
from .._listing import Jobs
from .._live_jobs import LiveJobs
from .._org import Org
from .._watch import Watch, shared_watch
from ..errors import BulkError
from ._live import (
    answer_while_busy,
    close_when_left,
    in_notebook,
    open_tree,
    publish,
    view_bundle,
)
from .panel import JobPanel

__all__ = ["JobBoard"]

log = logging.getLogger("bulknb.widgets")

_HERE = Path(__file__).parent

#: Widths are in pixels, the least ones of columns that grow.
_COLUMNS = [
    {"label": "State", "kind": "text", "width": 126, "facet": "states"},
    {"label": "Operation", "kind": "text", "width": 90},
    {"label": "Object", "kind": "text", "width": 98, "grows": True, "facet": "objects"},
    {"label": "Kind", "kind": "text", "width": 76},
    {"label": "Created", "kind": "time", "width": 88},
    {"label": "Processed", "kind": "number", "width": 92},
    {"label": "Failed", "kind": "number", "width": 70},
    {"label": "Apex", "kind": "duration", "width": 92},
    {"label": "API active", "kind": "duration", "width": 92},
    {"label": "Total", "kind": "duration", "width": 92},
    {"label": "Created by", "kind": "text", "width": 122, "grows": True, "facet": "users"},
    {"label": "Id", "kind": "text", "width": 174},
]

#: The page asks once more before, naming the org and how many: that is the deliberate act.
_ACTS: dict[str, Callable[[Job], object]] = {"close": Job.close, "abort": Job._abort}
_DONE = {"close": "closed", "abort": "aborted"}

#: So old may be at most what a notebook would show that is saved now, while the board is drawn.
_SNAPSHOT_SECONDS = 60.0
#: Front ends draw a widget of a kernel that is gone as an error, whatever stands beside it in the
#: same output. So the static twin is an output of its own, in sight where no live board is; where
#: there is none, what stands above it is that error.
_SNAPSHOT = """<style>
:root:has(.bulknb-board[data-name="{name}"]) .bulknb-snapshot[data-name="{name}"],
.jp-OutputArea-child:has(+ .jp-OutputArea-child [data-name="{name}"]):not(:has(.bulknb-board))
{{ display: none }}
</style>
<div class="bulknb-snapshot" data-name="{name}">{table}</div>"""

Row = list[Any]


class _Grid(anywidget.AnyWidget):
    """The board's grid: a page gets all rows when it opens, then only those that changed."""

    _esm = _HERE / "board.js"
    _css = _HERE / "board.css"

    name = traitlets.Unicode().tag(sync=True)
    org = traitlets.Unicode().tag(sync=True)
    columns: traitlets.List[Any] = traitlets.List().tag(sync=True)
    # Read when a front end asks for the state: it gets the rows as they are by then.
    rows: traitlets.List[Row] = traitlets.List().tag(
        sync=True, to_json=lambda _, grid: list(grid.by_id.values())
    )
    status = traitlets.Unicode().tag(sync=True)
    trouble = traitlets.Unicode().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self.by_id: dict[str, Row] = {}
        super().__init__(**traits)

    def patch(self, rows: Iterable[Row]) -> None:
        """Show these rows in the place of those with the same ids."""
        news = [row for row in rows if self.by_id.get(row[0]) != row]
        self.by_id.update((row[0], row) for row in news)
        if news:
            self.send({"rows": news})

    def __repr__(self) -> str:
        return f"<{len(self.by_id)} jobs>"


class JobBoard:
    """All jobs of an org, or some, live: to sort, filter, select, close, abort and open.

    Left as the last expression of a cell it is drawn. It looks at the org's lists of jobs while
    somebody can see it, less and less often while nothing happens, and never otherwise. Watching
    only asks the server; only its buttons change jobs, and they ask once more before.

    Parameters
    ----------
    which : Org or Jobs
        The org whose jobs to show, everybody's, also those to come; or some jobs, and only these.
    watch : Watch, optional
        Who asks the server; by default the one that all panels share.

    Attributes
    ----------
    box : ipywidgets.VBox
        The board as a widget, to be put into other layouts.

    Raises
    ------
    BulkError
        The jobs could not be listed; or there are none that could be.
    """

    def __init__(self, which: Org | Jobs, *, watch: Watch | None = None) -> None:
        self.jobs = LiveJobs(which)
        self.jobs.refresh()
        self._watch = watch or shared_watch()
        self._lock = threading.RLock()
        #: What each view of the board has in sight; a tab that is hidden has nothing.
        self._sights: dict[str, list[str]] = {}
        self._panel: JobPanel | None = None
        #: When the snapshot was drawn, by the watch's clock; None: not drawn.
        self._drawn_at: float | None = None
        self.grid = _Grid(name=uuid.uuid4().hex, org=self.jobs.label, columns=_COLUMNS)
        self.box = ipywidgets.VBox([self.grid])
        self.grid.on_msg(self._heard)
        self.grid.patch(map(self._row, self.jobs.jobs))
        self._told(self.jobs, None)
        close_when_left(self.box)
        self.box.observe(self._views_changed, "_view_count")
        answer_while_busy(self.box)

    def __repr__(self) -> str:
        return f"Jobs of {self.grid.org}, {self.grid.status}\n{self._listed()!r}"

    def _repr_html_(self) -> str:
        table = self._listed()._repr_html_()
        return f'<div class="{NO_MATH}">{table}<div>{self.grid.status}</div></div>'

    def _listed(self) -> Jobs:
        jobs = self.jobs.jobs.values()
        newest = sorted(jobs, key=lambda job: str(job.info.created_date), reverse=True)
        return Jobs(newest, times=False)

    def _ipython_display_(self) -> None:
        if in_notebook():
            open_tree(self.box)
            publish({"text/plain": "", **view_bundle(self.box)}, raw=True)
        self._draw_snapshot()

    def _draw_snapshot(self, *, update: bool = False) -> None:
        self._drawn_at = self._watch.clock.monotonic()
        html = _SNAPSHOT.format(name=self.grid.name, table=self._repr_html_())
        bundle = {"text/plain": repr(self), "text/html": html}
        publish(bundle, raw=True, display_id=self.grid.name, update=update)

    def _redraw_snapshot(self, older_than: float = 0.0) -> None:
        """Draw the snapshot anew where it stands, if it is so old, in seconds."""
        drawn_at = self._drawn_at
        if drawn_at is not None and self._watch.clock.monotonic() - drawn_at >= older_than:
            self._draw_snapshot(update=True)

    # What the server says

    def _told(self, jobs: LiveJobs, error: BulkError | None) -> None:
        """Paint what a look has brought."""
        if error is not None:
            self.grid.trouble = f"The server could not be asked: {error}"
            return
        self.grid.trouble = ""
        now = datetime.fromtimestamp(jobs.clock.time(), UTC)
        self.grid.status = f"as of {now:%Y-%m-%d %H:%M:%S} UTC"
        # A job in sight may also have news from elsewhere, such as its panel.
        self.grid.patch(self._row(id) for id in jobs.changed.union(jobs.in_sight))
        self._redraw_snapshot(_SNAPSHOT_SECONDS)

    # What the user does

    def _heard(self, _: object, message: dict[str, Any], __: object) -> None:
        """Take what a view says; a page may send anything, and no error may be lost."""
        self.grid.send({})  # the kernel answers: the view knows that it is alive
        ids = [id for id in message.get("ids", ()) if id in self.jobs.jobs]
        what = message.get("type")
        try:
            if what == "sight":
                self._see(str(message.get("view")), ids)
            elif what == "open" and ids:
                self._open(self.jobs.jobs[ids[0]])
            elif what in _ACTS and ids:
                self.grid.said = f"{what.capitalize()}: asking the server …"
                self._watch.submit(partial(self._act, what, ids))
        except Exception as error:
            log.exception("The board broke at %s", what)
            self.grid.said = f"bulknb itself broke ({type(error).__name__}); its log says where"

    def _see(self, view: str, ids: list[str]) -> None:
        """Look at the org as long as a view has jobs in sight."""
        with self._lock:
            self._sights[view] = ids
            self.jobs.in_sight = {id for sight in self._sights.values() for id in sight}
            if self.jobs.in_sight:
                self._watch.add(self.jobs, self._told)
            else:
                self._watch.remove(self.jobs, self._told)
                self._redraw_snapshot()

    def _views_changed(self, change: dict[str, Any]) -> None:
        if not change["new"]:
            with self._lock:
                self._sights.clear()
                self.jobs.in_sight = ()
                self._watch.remove(self.jobs, self._told)

    def _open(self, job: Job) -> None:
        with self._lock:
            if self._panel:
                self._panel.close()
            self._panel = JobPanel(job, watch=self._watch)
            self._panel.box.layout.margin = "10px 0 0 0"
            self.box.children = [self.grid, self._panel.box]

    def _act(self, verb: str, ids: list[str]) -> None:
        """Close or abort the jobs; one that the server refuses does not keep the others."""
        done = 0
        refusals: list[str] = []
        for id in ids:
            try:
                _ACTS[verb](self.jobs.jobs[id])
                done += 1
            except BulkError as error:
                refusals.append(str(error))
            self.grid.patch([self._row(id)])
        self.grid.said = " · ".join([f"{done:,} of {len(ids):,} {_DONE[verb]}", *refusals[:3]])
        self._redraw_snapshot()
        if self.jobs.in_sight:
            self._watch.add(self.jobs, self._told)

    def _row(self, id: str) -> Row:
        """Return a job as board.js takes it."""
        job = self.jobs.jobs[id]
        info = job.info
        created = info.created_date
        written = (info.number_records_processed or 0) - (info.number_records_failed or 0)
        done = info.done and self.jobs.is_final(id)
        names, creator = self.jobs.names, info.created_by_id or ""
        return [
            job.id,
            info.can_close + 2 * info.can_abort,
            written,
            tone(info),
            info.state,
            info.operation,
            info.object,
            info.job_type,
            None if created is None else round(1000 * created.timestamp()),
            info.number_records_processed,
            info.number_records_failed,
            info.apex_processing_time_ms if done else None,
            info.api_active_processing_time_ms if done else None,
            info.total_processing_time_ms if done else None,
            names.get(creator) or creator,
            job.id,
        ]

"""SOQL -> job -> pages -> a typed frame, Arrow, Parquet: the whole result or an error."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from . import _query_card
from ._background import Background
from ._files import write_csv, write_parquet, write_parquet_folder
from ._gate import TROUBLE
from ._history import jobs_frame
from ._jobinfo import JobInfo
from ._jobs import QUERY_JOBS, ClassicQueryJob, QueryJob, poll_seconds
from ._machine import give_back
from ._pages import Page, Room, frame_of
from ._query_plan import Part, Plan
from ._wire import Wire
from .errors import BulkError, InvalidJobStateError, JobFailedError, ReconcileError

if TYPE_CHECKING:
    import polars

__all__ = ["Query", "QueryProgress"]

log = logging.getLogger("bulknb.query")


@dataclass(frozen=True)
class QueryProgress:
    """How far a query is: rows that are here, and rows found as far as the server has said."""

    stage: str
    total: int | None
    fetched: int
    pages: int


#: Called on the query's own thread when something has changed.
Listener = Callable[["Query"], None]


class Query:
    """A result on its way out of the org, page by page, onto this machine.

    Made by ``org.query(...)``, which returns at once; the work is done on a thread of its own.
    What it gives is the whole result, by the server's own counts, or an error.

    Attributes
    ----------
    object : str
        The object that is queried.
    soql : str
        As given to ``org.query``.
    folder : Path
        Where the pages are: as given; else a temporary one that lives as long as the query, for
        what is beyond 192 MB, which stay in memory.
    """

    def __init__(self, wire: Wire, plan: Plan, folder: Path | None = None) -> None:
        self.object = plan.object
        self.soql = plan.soql
        self._wire = wire
        self._plan = plan
        self._room = None if folder else Room()
        self.folder = folder or Path(tempfile.mkdtemp(prefix="bulknb-query-"))
        if not folder:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self._jobs: list[QueryJob | ClassicQueryJob] = []
        self._pages: list[Page] = []
        self._work = Background[Query](f"query of {self.object}", wire.clock)
        self._news = threading.Condition()
        self._aborted = threading.Event()

    def start(self) -> Query:
        """Begin; ``org.query`` does this."""
        self._work.start(self._run)
        return self

    # What the user asks of it

    def wait(self, timeout: float | None = None) -> Query:
        """Wait until the whole result is on this machine, and return the query.

        Waiting never changes the query: a time-out or Ctrl-C ends the waiting alone.

        Parameters
        ----------
        timeout : float, optional
            Seconds; without it, as long as it takes.

        Raises
        ------
        StillRunningError
            The time is over and the query goes on.
        JobFailedError
            Salesforce failed the job, or it was aborted.
        ReconcileError
            What came is not what the server counts; nothing is given.
        BulkError
            Fetching ended early.
        """
        self._work.wait(timeout, self._goes_on)
        return self

    def abort(self) -> Query:
        """Abort: the job, if it still runs, and the fetching of its pages.

        Raises
        ------
        BulkError
            The job could not be aborted, and goes on. Call it again.
        """
        self._aborted.set()
        for job in self.jobs:
            if not job.done:
                with contextlib.suppress(InvalidJobStateError):  # it ended just before
                    job._abort()  # of one's own, and it changes nothing in the org
        return self

    def frame(self) -> pd.DataFrame:
        """Return the whole result as a frame, in the order of the server; waits for it.

        Columns are named as the server does. Dtypes follow the org's describe: ``string`` (in
        Arrow's memory), ``Int64``, ``Float64``, ``boolean``, ``datetime64[us]`` for dates,
        ``datetime64[us, UTC]``; an empty cell is NA. With ``types=False`` every cell is the text
        that was sent, an empty one ``""``.

        Raises
        ------
        BulkError
            See `wait`.
        """
        self.wait()
        return frame_of(self._pages)

    def arrow(self) -> pa.Table:
        """Return the whole result as an Arrow table; waits for it. See `frame` for errors.

        Texts are ``large_string``, dates ``date32``, moments ``timestamp[us, UTC]``.
        """
        self.wait()
        tables = [page.table() for page in self._pages]
        # Of a 1.0 query without rows not even the columns come.
        return pa.concat_tables(tables) if tables else pa.table({})

    def polars(self) -> polars.DataFrame:
        """Return the whole result as a polars frame, if polars is installed; waits for it."""
        try:
            import polars
        except ModuleNotFoundError:
            missing = True
        else:
            missing = False
        if missing:
            raise ModuleNotFoundError("polars is not installed: pip install polars", name="polars")
        return polars.DataFrame(self.arrow())

    def to_parquet(self, path: str | Path) -> list[Path]:
        """Write the whole result as Parquet; waits for it.

        Takes the memory of a page, however long the result is. A file gets its name when all is
        written: a part of the result never has it.

        Parameters
        ----------
        path : path
            A file, if it ends in ``.parquet``; else a folder, which gets a file per page,
            ``part-00000.parquet`` and so on.

        Returns
        -------
        list of Path
            The files, in the order of the result.

        Raises
        ------
        InputError
            The folder holds Parquet files already.
        BulkError
            See `wait`.
        """
        path = Path(path)
        if path.suffix == ".parquet":
            return [write_parquet(self._all_pages(), path)]
        return write_parquet_folder(self._all_pages(), path)

    def to_csv(self, path: str | Path) -> Path:
        """Write the whole result into one CSV file, as `to_parquet` does; waits for it.

        A query with ``types=False`` gives the texts that Salesforce sent.
        """
        return write_csv(self._all_pages(), Path(path))

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Yield record batches as they come, in order. An error at the end: they are not all."""
        for page in self._all_pages():
            yield from page.batches()

    @property
    def done(self) -> bool:
        """Whether the whole result is here, or the query ended with an error."""
        return self._work.done

    @property
    def error(self) -> Exception | None:
        """What `wait` raises once the query has ended, if anything."""
        return self._work.error if self.done else None

    @property
    def seconds(self) -> float:
        """How long the query has taken so far, or took."""
        return self._work.seconds

    @property
    def jobs(self) -> list[QueryJob | ClassicQueryJob]:
        """The query's jobs: one, unless it was cut into slices."""
        return list(self._jobs)

    @property
    def info(self) -> JobInfo | None:
        """What the server said last of the (first) job; None before there is one."""
        return self._jobs[0].info if self._jobs else None

    @property
    def history(self) -> pd.DataFrame:
        """The history frame of the query's jobs, one row per job: see ``bulknb.jobs_frame``."""
        return jobs_frame(self.jobs)

    @property
    def nuls(self) -> int:
        """How many NUL characters the values hold that are here; they were kept."""
        return sum(page.nuls for page in self._pages)

    @property
    def progress(self) -> QueryProgress:
        """How far the query is by now; asks nothing of the server."""
        pages = tuple(self._pages)
        counts = [job.info.number_records_processed for job in self.jobs if job.done]
        known = len(counts) == len(self._plan.parts) and None not in counts
        return QueryProgress(
            stage=self._wire.paused or self._work.stage,
            total=sum(count or 0 for count in counts) if known else None,
            fetched=sum(page.rows for page in pages),
            pages=len(pages),
        )

    def listen(self, listener: Listener) -> None:
        """Have ``listener(query)`` called at news, on the query's own thread."""
        self._work.listen(self, listener)

    def unlisten(self, listener: Listener) -> None:
        """Tell this listener no more."""
        self._work.unlisten(listener)

    def __repr__(self) -> str:
        return _query_card.text(self)

    def _repr_html_(self) -> str:
        return _query_card.html(self)

    def _ipython_display_(self) -> None:
        from .widgets import QueryPanel

        QueryPanel(self)._ipython_display_()

    def _goes_on(self) -> str:
        now = self.progress
        return (
            f"The query of {self.object} goes on ({now.stage}: {now.fetched:,} rows are here). "
            "wait() waits again, abort() aborts it"
        )

    def _all_pages(self) -> Iterator[Page]:
        """Yield the pages in order, as they come; raise at the end if they are not all."""
        at = 0
        while page := self._page(at):
            yield page
            at += 1
        self.wait()

    def _page(self, at: int) -> Page | None:
        """Return a page when it is here; None if it will not come."""
        with self._news:
            self._news.wait_for(lambda: self.done or len(self._pages) > at)
            return self._pages[at] if at < len(self._pages) else None

    # The work, on the query's own thread

    def _run(self) -> None:
        try:
            self._create()
            self._follow()
            for number, job in enumerate(self._jobs):
                self._fetch(number, job)
            give_back(self.progress.fetched)
        except Exception as error:
            log.warning("The query of %s: %s", self.object, type(error).__name__)
            self._work.error = error
            if not isinstance(error, BulkError | OSError):
                raise
        finally:
            self._end()

    def _end(self) -> None:
        if self._aborted.is_set():  # a job may have been made meanwhile
            with contextlib.suppress(BulkError):
                self.abort()
        self._work.end(self)
        with self._news:
            self._news.notify_all()

    def _create(self) -> None:
        """Make the jobs that are not made yet, and note each before anything else."""
        for number, part in enumerate(self._plan.parts):
            self._demand_not_aborted()
            self._jobs.append(self._known(part) if part.job else self._begun(number, part))

    def _known(self, part: Part) -> QueryJob | ClassicQueryJob:
        dialect = QUERY_JOBS[self._plan.api]
        info = JobInfo(id=part.job)
        return dialect(self._wire, info, soql=part.soql, chunking=self._plan.chunking)

    def _begun(self, number: int, part: Part) -> QueryJob | ClassicQueryJob:
        job = QUERY_JOBS[self._plan.api].begin(
            self._wire,
            object=self._plan.object,
            operation=self._plan.operation,
            soql=part.soql,
            chunking=self._plan.chunking,
        )
        self._plan = self._plan.with_job(number, job.id)
        if self._room is None:
            self._plan.save(self.folder)
        return job

    def _follow(self) -> None:
        """Ask the jobs until all are done."""
        self._work.tell(self, "processing")
        clock = self._wire.clock
        started = clock.monotonic()
        waiting = self.jobs
        while waiting := [job for job in waiting if not self._look(job)]:
            self._demand_not_aborted()
            self._work.tell(self, "processing")
            clock.sleep(poll_seconds(clock.monotonic() - started))

    def _look(self, job: QueryJob | ClassicQueryJob) -> bool:
        """Ask a job how it is, and return whether it is done."""
        try:
            return job.settle()
        except TROUBLE:
            return False  # trouble on the way is no reason to give up: the job goes on

    def _fetch(self, number: int, job: QueryJob | ClassicQueryJob) -> None:
        folder = self.folder / f"job-{number:03}"
        pages = job.fetch(
            folder,
            types=self._plan.types,
            page_rows=self._plan.page_rows,
            room=self._room,
        )
        for page in pages:
            self._demand_not_aborted()
            self._keep(page)
            self._work.tell(self, "fetching")

    def _keep(self, page: Page) -> None:
        if self._pages and page.schema != self._pages[0].schema:
            raise ReconcileError("The pages of the query differ in their columns")
        with self._news:
            self._pages.append(page)
            self._news.notify_all()

    def _demand_not_aborted(self) -> None:
        if self._aborted.is_set():
            raise JobFailedError("The query was aborted before all of its rows were here")

"""The org: the hub from which everything is reached."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from . import _check
from ._about import About, read_about
from ._csv import Nulls
from ._jobs import Job, PkChunking, confirmed, create_job, find_job, org_label
from ._jobs.ids import full
from ._ledger import Ledger
from ._listing import Jobs, list_jobs
from ._lists import Known
from ._load import Load
from ._memory import Memory
from ._past import History, Live
from ._preflight import Check, check
from ._query import Query
from ._query_plan import Plan, plan
from ._query_slices import Slices
from ._resume import Loads, resume
from ._rows import CHUNK_BYTES, Api, Mode
from ._snapshots import OrgKey
from ._source import Source
from ._wire import Clock, Wire
from .errors import LedgerError

if TYPE_CHECKING:
    from .widgets import JobBoard

__all__ = ["Org"]

_ABOUT_SECONDS = 60.0


class Org:
    """One Salesforce org, or a sandbox that stands for one. Made by `connect`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._about: About | None = None
        self._read_at = 0.0
        self._known = Known()
        self._ledger = Ledger(wire.ledger)
        id = wire.organization
        self._memory = Memory(self._ledger, OrgKey(wire.origin, id and full(id)))
        wire.ear.keeper = self._memory.take

    @property
    def url(self) -> str:
        """The address of the org."""
        return self._wire.origin

    @property
    def clock(self) -> Clock:
        """The time of the org's connection: the `time` module, or a sandbox's clock."""
        return self._wire.clock

    @property
    def label(self) -> str:
        """What to call the org in a question: a production org by its name, another by its host."""
        return org_label(self._wire)

    @property
    def api_version(self) -> str:
        """The API version in use, such as "62.0"."""
        return self._wire.api_version

    def about(self) -> About:
        """Return what org this is and who is signed in, at most a minute old.

        Its kind (production in red), API calls and bulk allocations left, and whether the user has
        the permissions that bulk work needs. Five requests. What cannot be read is told, not
        raised.
        """
        now = self._wire.clock.monotonic()
        if self._about is None or now - self._read_at > _ABOUT_SECONDS:
            self._about, self._read_at = read_about(self._wire), now
        return self._about

    def load(
        self,
        frame: Any,
        object: str,
        operation: str,
        *,
        external_id: str | None = None,
        tz: str | None = None,
        nulls: Nulls = "keep",
        chunk_bytes: int = CHUNK_BYTES,
        rows_per_chunk: int | None = None,
        keep_together: str | None = None,
        api: Api = "2.0",
        mode: Mode = "parallel",
        concurrency: int | None = None,
        close: bool = True,
        confirm: str | None = None,
    ) -> Load:
        """Load a frame into the org as one or more jobs; returns at once.

        Parameters
        ----------
        frame : DataFrame, path, Arrow Table, RecordBatchReader or Dataset, or iterable of frames
            Columns are API names of fields, in any letter case; ``Carrier__r.Code__c`` points to a
            parent by its external id. The index names the rows, from here to the last report.
            Frames of other libraries work too, such as polars. Files (.csv, .csv.gz, .parquet) and
            streams are never held as a whole; their rows are called by number, from 0. An iterator
            is read once: what was not read of it when a load ends early is still there.
        object : str
            API name of the object, such as Contact.
        operation : {"insert", "update", "upsert", "delete", "hardDelete"}
            What to do with the rows.
        external_id : str, optional
            For upsert: the external id field that tells records apart.
        tz : str, optional
            The zone of datetimes that have none, such as "Europe/Paris".
        nulls : {"keep", "clear"}
            Whether a missing value leaves the field alone, or clears it.
        chunk_bytes : int
            The most bytes of CSV in one job; a larger frame makes several jobs. In 1.0 of one
            batch, which has 10 MB and 10,000 rows at most.
        rows_per_chunk : int, optional
            The most rows in one job.
        keep_together : str, optional
            A column, such as "AccountId", whose equal values come into one job, so that jobs do
            not wait for each other's locks. Equal external ids always do. In a file or stream
            equal values stay together where they follow each other.
        api : {"2.0", "1.0"}
            Which Bulk API. 2.0 is simpler and faster; 1.0 has the serial mode.
        mode : {"parallel", "serial"}
            1.0: whether batches may run side by side. One after the other is slow, but they do not
            wait for each other's locks.
        concurrency : int, optional
            The most jobs (1.0: batches) at work at a time; by default all are sent at once.
        close : bool
            False: upload all rows, and have none processed before ``load.close()``. If an upload
            fails, all jobs are aborted. Salesforce cleans up jobs that stay open, in time.
        confirm : str, optional
            For hardDelete in a production org: its name and how many rows, such as
            "Acme: hardDelete 200 rows".

        Raises
        ------
        InputError
            Something in the frame cannot be sent; names row and column. Nothing was sent.
        ConfirmationNeededError
            `confirm` is not what it takes; the message says what is.
        LedgerError
            The ledger, by which a load can be resumed, cannot be written. Nothing was sent.
        """
        source = Source.of(frame)
        if operation == "hardDelete":
            confirmed(self._wire, operation, source.count(), confirm, noun="row")
        load = Load(
            self._wire,
            source,
            object,
            operation,
            external_id=external_id,
            tz=tz,
            nulls=nulls,
            chunk_bytes=chunk_bytes,
            rows_per_chunk=rows_per_chunk,
            keep_together=keep_together,
            api=api,
            mode=mode,
            concurrency=concurrency,
            close=close,
            ledger=self._ledger,
        )
        return load.start()

    def query(
        self,
        soql: str,
        *,
        api: Api = "2.0",
        all_rows: bool = False,
        types: bool = True,
        page_rows: int | None = None,
        pk_chunking: PkChunking = False,
        slices: Slices | None = None,
        folder: str | Path | None = None,
    ) -> Query:
        """Query the org by the Bulk API; returns at once: ``frame()`` waits for the result.

        Parameters
        ----------
        soql : str
            What to select; ``bulknb.soql.quote`` writes values into it.
        api : {"2.0", "1.0"}
            Which Bulk API.
        all_rows : bool
            Whether records in the recycle bin, and archived ones, count as well (queryAll).
        types : bool
            Whether columns get the types of the org's describe, or stay the text that is sent.
        page_rows : int, optional
            The most rows of a page; pages then come one after the other. By default several come
            at a time, of the size that Salesforce chooses; before API 58.0 one of 50,000 rows.
        pk_chunking : bool or mapping
            With ``api="1.0"``: have Salesforce cut the query by ranges of Ids, of the size that
            ``{"chunkSize": 100_000}`` says; also ``parent`` and ``startRow``.
        slices : str or mapping, optional
            Cut a query that takes too long into several jobs, by a date or datetime field: evenly
            (``"CreatedDate"``), or where ``{"CreatedDate": [date, date, ...]}`` says. The result
            is one, but each job sees the org at a time of its own.
        folder : path, optional
            Where to keep the pages, so that `resume_query` can go on from another session; by
            default they are gone with the query.

        Raises
        ------
        InputError
            The Bulk API does not answer such a query; says what to do instead. Nothing was sent.
        """
        planned = plan(
            self._wire,
            soql,
            api=api,
            all_rows=all_rows,
            types=types,
            page_rows=page_rows,
            pk_chunking=pk_chunking,
            slices=slices,
        )
        path = Path(folder) if folder else None
        if path:
            planned.begin(path)
        return Query(self._wire, planned, path).start()

    def resume_query(self, folder: str | Path) -> Query:
        """Go on with a query that was given ``folder=``; pages that are there stay.

        Raises
        ------
        InputError
            The folder holds no query.
        """
        return Query(self._wire, Plan.load(Path(folder)), Path(folder)).start()

    def resume(self, frame: Any = None) -> Loads:
        """Go on with the loads into this org that a kernel left unfinished when it ended.

        What was sent is followed to its end, and every row accounted for. What was not sent is sent
        if its frame is given; else it ends in not_sent, by position, and can be resumed later. A
        load that another kernel is at is left alone. ``load.abort()`` gives a load up.

        A load with ``close=False`` is held again until ``load.close()``; if that was said before,
        it goes on. Rows that were not uploaded are, if its frame is given; else its jobs are
        aborted, and all its rows end in not_sent.

        Parameters
        ----------
        frame : DataFrame, path, or what else ``load`` takes, optional
            The rows that were being loaded, unchanged; no stream that can be read only once.

        Returns
        -------
        Loads
            The loads, which go on; ``wait()`` waits for all. ``orphans`` are open jobs of this user
            that no load here made.

        Raises
        ------
        InputError
            The frame is not that of any unfinished load; nothing was sent.
        LedgerError
            The ledger cannot be written; nothing was sent.
        """
        return resume(self._wire, self._ledger, self._known, frame)

    def check(
        self,
        data: Any,
        object: str,
        operation: str,
        *,
        external_id: str | None = None,
        tz: str | None = None,
        nulls: Nulls = "keep",
        chunk_bytes: int = CHUNK_BYTES,
        history: pd.DataFrame | None = None,
    ) -> Check:
        """Return what the org would say to a load, without sending anything.

        Parameters
        ----------
        data, object, operation, external_id, tz, nulls, chunk_bytes
            As for `load`.
        history : DataFrame, optional
            Past jobs, as ``bulknb.jobs_frame`` has them, to tell the time to expect from; by
            default those of ``org.history``.

        Returns
        -------
        Check
            ``problems`` by row label and column, cost against what is left today, ``preview()``.

        Raises
        ------
        InputError
            The operation does not fit, there are no rows, or columns have no proper names.
        """
        return check(
            self._wire,
            data,
            object,
            operation,
            external_id=external_id,
            tz=tz,
            nulls=nulls,
            chunk_bytes=chunk_bytes,
            history=self._past(object, operation) if history is None else history,
        )

    def create_job(
        self,
        operation: str,
        object: str | None = None,
        *,
        api: Api = "2.0",
        query: str | None = None,
        external_id: str | None = None,
        pk_chunking: PkChunking = False,
        headers: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        confirm: str | None = None,
        **named: str,
    ) -> Job:
        """Create a job to drive by hand: ``upload``, ``close``, ``abort``, ``wait``, ``results``.

        Parameters
        ----------
        operation : str
            insert, update, upsert, delete, hardDelete, query or queryAll.
        object : str, optional
            API name of the object; not for a 2.0 query, whose SOQL names it.
        api : {"2.0", "1.0"}
            Which Bulk API.
        query : str, optional
            The SOQL of a 2.0 query. In 1.0 it is uploaded as a batch.
        external_id : str, optional
            For upsert.
        pk_chunking : bool or dict
            For a 1.0 query: whether Salesforce cuts it into many by ranges of ids, or how:
            ``{"chunkSize": 50_000, "parent": "Account", "startRow": "001…"}``. Close the job only
            when ``job.batches()`` shows the batch that was sent as NotProcessed: then all the
            others are there.
        headers : dict, optional
            Request headers, such as ``{"Sforce-Disable-Batch-Retry": "true"}`` of a 1.0 job.
        properties : dict, optional
            Properties that bulknb does not know yet; they are sent as they are.
        confirm : str, optional
            For hardDelete in a production org: "Acme: hardDelete 1 job", with its name.
        **named
            Further properties under the API's names, such as ``columnDelimiter="PIPE"`` or
            ``concurrencyMode="Serial"``.

        Raises
        ------
        InputError
            Such a job does not have this property or value; nothing was sent.
        ConfirmationNeededError
            `confirm` is not what it takes; the message says what is.
        """
        given = {
            "operation": operation,
            "object": object,
            "query": query,
            "externalIdFieldName": external_id,
            **named,
        }
        return create_job(
            self._wire,
            api,
            {name: value for name, value in given.items() if value is not None},
            pk_chunking=pk_chunking,
            headers=headers,
            unchecked=properties,
            confirm=confirm,
        )

    def job(self, id: str) -> Job:
        """Return a job by its id of 15 or 18 characters, of whichever API made it.

        Raises
        ------
        NotFoundError
            None of the APIs knows it; jobs are deleted seven days after they end.
        InputError
            The id is not a job's, or a letter of it has lost its case.
        """
        return find_job(self._wire, id)

    def jobs(
        self,
        job_type: str | None = None,
        *,
        state: str | None = None,
        object: str | None = None,
        operation: str | None = None,
        user: str | None = None,
        last: str | None = None,
        mine: bool = False,
        pk_chunking: bool = False,
        times: bool = True,
    ) -> Jobs:
        """Return the jobs of the org, everybody's, of all three APIs, newest first.

        Parameters
        ----------
        job_type : {"Classic", "V2Ingest", "V2Query", "BigObjectIngest"}, optional
            One kind only.
        state, object, operation : str, optional
            One only, such as "InProgress", "Contact" or "upsert".
        user : str, optional
            Id or name of who created them.
        last : str, optional
            Jobs created in the last "7d", "12h", ...
        mine : bool
            Only those that the user who is signed in created.
        pk_chunking : bool
            Only 1.0 queries with PK chunking.
        times : bool
            The lists hold neither counts nor times: where these are needed, ask for each job in
            turn, one GET for each that is not known to be done.

        Raises
        ------
        InputError
            Such a kind, state, operation or time does not exist.
        """
        return list_jobs(
            self._wire,
            self._known,
            job_type=job_type,
            state=state,
            object=object,
            operation=operation,
            user=user,
            last=last,
            mine=mine,
            pk_chunking=pk_chunking,
            times=times,
        )

    def board(self) -> JobBoard:
        """Return a live board of all jobs of the org, for a notebook; see `widgets.JobBoard`."""
        from .widgets import JobBoard

        return JobBoard(self)

    @property
    def history(self) -> History:
        """What was ever seen of the org's jobs, also those that Salesforce has forgotten."""
        live = Live(self._wire, self._known, self._memory)
        return History(path=self._ledger.path, live=live)

    def _past(self, object: str, operation: str) -> pd.DataFrame | None:
        """Return the past of such jobs, if it can be read."""
        with contextlib.suppress(LedgerError):
            return self.history.frame(object=object, operation=operation)
        return None

    def describe(self, object: str) -> dict[str, Any]:
        """Return Salesforce's describe of an object: its fields and what may be done with it."""
        return _check.describe(self._wire, object)

    def __repr__(self) -> str:
        known = self._about  # by about(), or by the card: a repr asks nobody
        name = f"{known.name}, {known.kind}, " if known and known.name else ""
        return f"<Org {name}{self.url}, API {self.api_version}>"

    def _repr_html_(self) -> str:
        return self.about()._repr_html_()

"""The org: the hub from which everything is reached."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import pandas as pd

from . import _check
from ._about import About, read_about
from ._csv import Nulls
from ._jobs import Job, PkChunking, confirmed, create_job, find_job, production_name
from ._listing import Jobs, list_jobs
from ._lists import Known
from ._load import CHUNK_BYTES, Load
from ._query import Query
from ._query_plan import Plan, plan
from ._query_slices import Slices
from ._wire import Clock, Wire

if TYPE_CHECKING:
    from .widgets import JobBoard

__all__ = ["Org"]

Api = Literal["1.0", "2.0"]

_ABOUT_SECONDS = 60.0


class Org:
    """One Salesforce org, or a sandbox that stands for one. Made by `connect`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._about: About | None = None
        self._read_at = 0.0
        self._known = Known()

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
        name = production_name(self._wire)
        return f"{name} (production)" if name else urlsplit(self.url).netloc

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
        frame: pd.DataFrame,
        object: str,
        operation: str,
        *,
        external_id: str | None = None,
        tz: str | None = None,
        nulls: Nulls = "keep",
        chunk_bytes: int = CHUNK_BYTES,
        confirm: str | None = None,
    ) -> Load:
        """Load a frame into the org by Bulk API 2.0; returns at once.

        Parameters
        ----------
        frame : DataFrame
            Columns are API names of fields; ``Carrier__r.Code__c`` points to a parent by its
            external id. The index names the rows, from here to the last report.
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
            The most bytes of CSV in one job; a larger frame makes several jobs.
        confirm : str, optional
            For hardDelete in a production org: its name and how many rows, such as
            "Acme: hardDelete 200 rows".

        Raises
        ------
        InputError
            Something in the frame cannot be sent; names row and column. Nothing was sent.
        ConfirmationNeededError
            `confirm` is not what it takes; the message says what is.
        """
        if operation == "hardDelete":
            confirmed(self._wire, operation, len(frame), confirm, noun="row")
        load = Load(
            self._wire,
            frame,
            object,
            operation,
            external_id=external_id,
            tz=tz,
            nulls=nulls,
            chunk_bytes=chunk_bytes,
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

    def describe(self, object: str) -> dict[str, Any]:
        """Return Salesforce's describe of an object: its fields and what may be done with it."""
        return _check.describe(self._wire, object)

    def __repr__(self) -> str:
        known = self._about  # by about(), or by the card: a repr asks nobody
        name = f"{known.name}, {known.kind}, " if known and known.name else ""
        return f"<Org {name}{self.url}, API {self.api_version}>"

    def _repr_html_(self) -> str:
        return self.about()._repr_html_()

"""The org: the hub from which everything is reached."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from . import _check
from ._csv import Nulls
from ._html import card
from ._jobinfo import JobInfo
from ._jobs import ClassicJob, IngestJob, Job, QueryJob, job_from_info
from ._listing import Jobs, list_jobs
from ._load import CHUNK_BYTES, Load
from ._wire import Wire
from .errors import InputError, NotFoundError

__all__ = ["Org"]

Api = Literal["1.0", "2.0"]


class Org:
    """One Salesforce org, or a sandbox that stands for one. Made by `connect`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @property
    def url(self) -> str:
        """The address of the org."""
        return self._wire.origin

    @property
    def api_version(self) -> str:
        """The API version in use, such as "62.0"."""
        return self._wire.api_version

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

        Raises
        ------
        InputError
            Something in the frame cannot be sent; names row and column. Nothing was sent.
        """
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

    def create_job(
        self,
        operation: str,
        object: str | None = None,
        *,
        api: Api = "2.0",
        query: str | None = None,
        external_id: str | None = None,
        **properties: str,
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
        **properties
            Further properties under the API's names, such as ``columnDelimiter="PIPE"``.
        """
        given = {
            "operation": operation,
            "object": object,
            "query": query,
            "externalIdFieldName": external_id,
            **properties,
        }
        said = {name: value for name, value in given.items() if value is not None}
        if api == "1.0":
            return ClassicJob.create(self._wire, said)
        dialect = QueryJob if operation in ("query", "queryAll") else IngestJob
        return dialect.create(self._wire, said)

    def job(self, id: str) -> Job:
        """Return a job by its id, of whichever API made it.

        Raises
        ------
        NotFoundError
            None of the APIs knows it; jobs are deleted seven days after they end.
        InputError
            The id is not a job's: those have 15 or 18 characters and begin with 750.
        """
        if not (id.isalnum() and id.startswith("750") and len(id) in (15, 18)):
            raise InputError("A job id has 15 or 18 characters and begins with 750")
        for dialect in (IngestJob, QueryJob):
            try:
                found = dialect(self._wire, JobInfo(id=id)).refresh().info
            except NotFoundError as error:
                missing = error
            else:
                return job_from_info(self._wire, found).refresh()
        raise missing

    def jobs(
        self,
        job_type: str | None = None,
        *,
        state: str | None = None,
        last: str | None = None,
        times: bool = True,
    ) -> Jobs:
        """Return the jobs of the org, everybody's, of all three APIs, newest first.

        Parameters
        ----------
        job_type : {"Classic", "V2Ingest", "V2Query", "BigObjectIngest"}, optional
            One kind only.
        state : str, optional
            One state only, such as "InProgress".
        last : str, optional
            Jobs created in the last "7d", "12h", ...
        times : bool
            The lists hold neither counts nor times: ask for each job in turn (one GET each).
        """
        return list_jobs(self._wire, job_type=job_type, state=state, last=last, times=times)

    def describe(self, object: str) -> dict[str, Any]:
        """Return Salesforce's describe of an object: its fields and what may be done with it."""
        return _check.describe(self._wire, object)

    def __repr__(self) -> str:
        return f"<Org {self.url}, API {self.api_version}>"

    def _repr_html_(self) -> str:
        return card("Salesforce org", [("Address", self.url), ("API version", self.api_version)])

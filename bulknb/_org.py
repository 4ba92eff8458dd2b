"""The org: the hub from which everything is reached."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, overload

import pandas as pd

from . import _check
from ._auth import Login, Secret, login_of_cli
from ._csv import Nulls
from ._history import jobs_frame
from ._html import card
from ._jobinfo import JobInfo
from ._jobs import ClassicJob, IngestJob, Job, QueryJob, job_from_info
from ._load import CHUNK_BYTES, Load
from ._wire import Clock, Wire, WSGIApplication
from .errors import InputError, NotFoundError

__all__ = ["Jobs", "Org", "connect"]

Api = Literal["1.0", "2.0"]

_API_VERSION = "62.0"
_PARALLEL_READS = 8


def connect(
    alias: str | None = None,
    *,
    instance_url: str | None = None,
    access_token: str | None = None,
    api_version: str | None = None,
    transport: WSGIApplication | None = None,
    clock: Clock = time,
) -> Org:
    """Sign in to an org, and make sure that it answers.

    Parameters
    ----------
    alias : str, optional
        The alias or username of a login of the Salesforce CLI (``sf org login web``). Its session
        is renewed when it expires.
    instance_url : str, optional
        The org's own address, such as https://yourcompany.my.salesforce.com. Default: the
        environment variable ``BULKNB_INSTANCE_URL``.
    access_token : str, optional
        A session id or OAuth access token. Default: the environment variable
        ``BULKNB_ACCESS_TOKEN``, which keeps the token out of the notebook.
    api_version : str, optional
        Such as "62.0". Default: the environment variable ``BULKNB_API_VERSION``, else 62.0.
    transport : WSGI application, optional
        Called in this process in place of the network: see ``Sandbox.connect``.
    clock : optional
        The `time` module, or something with its ``time``, ``monotonic`` and ``sleep``.

    Raises
    ------
    InputError
        No address or no token, or an address that a token must not be sent to; or the Salesforce
        CLI is missing, or has no such login.
    AuthenticationError
        The token is wrong or has expired.
    UnreachableError, UnexpectedAnswerError
        Nothing answers there, or something that is not the API.
    """
    if alias is not None:
        login = login_of_cli(alias)
    else:
        login = _login_by_token(instance_url, access_token)
    version = api_version or os.environ.get("BULKNB_API_VERSION") or _API_VERSION
    wire = Wire(
        login.instance_url,
        login.token,
        api_version=version,
        transport=transport,
        clock=clock,
        renew=None if alias is None else lambda: login_of_cli(alias).token,
    )
    wire.request("GET", f"/services/data/v{version}").json()
    return Org(wire)


def _login_by_token(instance_url: str | None, access_token: str | None) -> Login:
    url = instance_url or os.environ.get("BULKNB_INSTANCE_URL")
    token = access_token or os.environ.get("BULKNB_ACCESS_TOKEN")
    if url and token:
        return Login(url, Secret(token))
    raise InputError(
        "connect() needs the alias of a login of the Salesforce CLI, or instance_url= and "
        "access_token=, or the environment variables BULKNB_INSTANCE_URL and "
        "BULKNB_ACCESS_TOKEN. To try bulknb without an org: bulknb.sandbox.start().connect()"
    )


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
        infos = _listed(self._wire)
        if job_type:
            infos = [info for info in infos if info.job_type == job_type]
        if state:
            infos = [info for info in infos if info.state == state]
        if last:
            now = pd.Timestamp(self._wire.clock.time(), unit="s", tz="UTC")
            since = now - _timedelta(last)
            infos = [info for info in infos if info.created_date and info.created_date >= since]
        jobs = [job_from_info(self._wire, info) for info in infos]
        if times:
            with ThreadPoolExecutor(_PARALLEL_READS) as readers:
                jobs = list(readers.map(_refreshed, jobs))
        return Jobs(jobs)

    def describe(self, object: str) -> dict[str, Any]:
        """Return Salesforce's describe of an object: its fields and what may be done with it."""
        return _check.describe(self._wire, object)

    def __repr__(self) -> str:
        return f"<Org {self.url}, API {self.api_version}>"

    def _repr_html_(self) -> str:
        return card("Salesforce org", [("Address", self.url), ("API version", self.api_version)])


class Jobs(Sequence[Job]):
    """Some jobs of an org; ``frame`` has their history."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = list(jobs)

    @overload
    def __getitem__(self, at: int) -> Job: ...
    @overload
    def __getitem__(self, at: slice) -> Jobs: ...
    def __getitem__(self, at: int | slice) -> Job | Jobs:
        return Jobs(self._jobs[at]) if isinstance(at, slice) else self._jobs[at]

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    @property
    def frame(self) -> pd.DataFrame:
        """The history frame, one row per job: see ``bulknb.jobs_frame``."""
        return jobs_frame(self._jobs)

    def __repr__(self) -> str:
        return f"<{len(self)} jobs>\n{self._view().to_string()}" if self._jobs else "<no jobs>"

    def _repr_html_(self) -> str:
        return str(self._view().to_html(notebook=True, max_rows=60))

    def _view(self) -> pd.DataFrame:
        view = self.frame[list(_VIEW)]
        created = view["created_date"].dt.strftime("%Y-%m-%d %H:%M")
        return view.assign(created_date=created).rename(columns=_VIEW)


#: What a list of jobs shows of each: column -> short title
_VIEW: Mapping[str, str] = {
    "id": "id",
    "operation": "operation",
    "object": "object",
    "job_type": "kind",
    "state": "state",
    "created_date": "created (UTC)",
    "number_records_processed": "processed",
    "number_records_failed": "failed",
    "total_processing_time_ms": "total ms",
}


def _timedelta(text: str) -> pd.Timedelta:
    """Read "7d", "12h", "30min": pandas writes its day with a capital."""
    try:
        return pd.Timedelta(text.replace("d", "D"))
    except ValueError:
        pass
    raise InputError('last= is a number and a unit, such as "7d", "12h" or "30min"')


def _refreshed(job: Job) -> Job:
    with contextlib.suppress(NotFoundError):  # deleted since it was listed
        job.refresh()
    return job


def _listed(wire: Wire) -> list[JobInfo]:
    """Return what both lists hold, newest first, each job once: 1.0 jobs stand in both."""
    found: dict[str, JobInfo] = {}
    for dialect in (IngestJob, QueryJob):
        path: str | None = dialect.path.format(version=wire.api_version)
        while path:
            page = wire.request("GET", path).json()
            for info in map(JobInfo.from_dict, page["records"]):
                found.setdefault(info.id or "", info)
            # Pages come in no fixed order, and the locator is a path of this org.
            path = wire.own_path(page["nextRecordsUrl"]) if page.get("nextRecordsUrl") else None
    return sorted(found.values(), key=lambda info: str(info.created_date), reverse=True)

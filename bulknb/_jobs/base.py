"""A job with all its verbs, once for the three dialects.

A dialect is data first: paths, method, words, header, what it may be made with and what it lacks.
It overrides only the calls that differ.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Self

import pandas as pd

from .._csv import Nulls
from .._html import strip
from .._jobinfo import BatchInfo, JobInfo
from .._wire import Answer, Wire
from ..errors import (
    ApiError,
    BulkError,
    InputError,
    InvalidJobStateError,
    LimitError,
    StillRunningError,
    UnexpectedAnswerError,
)
from .batches import Batches
from .bodies import Data, Files
from .confirm import confirmed
from .facts import facts, title, tone
from .properties import Known, check, check_headers

if TYPE_CHECKING:
    from .._explain import Explanation

_FIRST_POLL_SECONDS = 0.5
_LONGEST_POLL_SECONDS = 60.0
#: The next look comes after a quarter of the time waited so far: a ten minutes' job costs some 30
#: looks, a day's some 1,500, and its end is seen at most a quarter late.
_POLL_GROWTH = 0.25

_SERVER_BATCHES = (
    "Bulk API 2.0 makes its own batches and shows none: upload() the data once, refresh() tells "
    'how far it is. For batches of your own: create_job(…, api="1.0")'
)
#: What is a matter of 1.0 alone -> what to do in 2.0 instead.
NO_BATCHES = dict.fromkeys(
    ("add_batch", "batch", "batches", "batch_request", "batch_results"), _SERVER_BATCHES
)


class Job:
    """One job of the org.

    Made by ``org.create_job(...)`` or ``org.job(id)``. Reading (`refresh`, `wait`, `results`,
    `batches`) never changes the job; only `upload`, `add_batch`, `close`, `abort` and `delete` do.
    What a kind of job does not have raises InputError, which says what to do instead.

    Attributes
    ----------
    info : JobInfo
        What the server said last.
    """

    job_type: ClassVar[str] = ""
    path: ClassVar[str] = "/services/data/v{version}/jobs/ingest"
    update_method: ClassVar[str] = "PATCH"
    close_state: ClassVar[str] = "UploadComplete"
    auth_header: ClassVar[str] = "Authorization"
    #: What a job may be made with: property -> its values, none listed: any text.
    properties: ClassVar[Known] = {}
    #: Request headers that it may be made with, likewise.
    headers: ClassVar[Known] = {}
    #: Verb -> why this kind of job does not have it, and what to do instead.
    lacks: ClassVar[Mapping[str, str]] = {}

    def __init__(self, wire: Wire, info: JobInfo) -> None:
        if not info.id:
            raise InputError("A job needs an id")
        self._wire = wire
        self._hearing = threading.Lock()
        self.info = info

    @classmethod
    def create(
        cls,
        wire: Wire,
        given: Mapping[str, str],
        *,
        unchecked: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Create a job with properties under the API's names, and return it.

        Parameters
        ----------
        wire : Wire
            The way to the org.
        given : mapping
            Properties that bulknb knows.
        unchecked : mapping, optional
            Properties that it does not know; they are sent as they are.
        headers : mapping, optional
            Request headers that go with it.

        Raises
        ------
        InputError
            A property or a value that this kind of job does not have; nothing was sent.
        """
        check(given, cls.properties, cls.job_type)
        check_headers(headers or {}, cls.headers, cls.job_type)
        answer = wire.request(
            "POST",
            cls.path.format(version=wire.api_version),
            body=cls._write({**given, **(unchecked or {})}),
            content_type=cls._document_type(),
            auth_header=cls.auth_header,
            expect=(200, 201),
            headers=headers,
        )
        said = cls._read(answer)
        wire.ear.hear(said)
        return cls(wire, said)

    @property
    def id(self) -> str:
        """The job's id, 18 characters, beginning with 750."""
        return str(self.info.id)

    @property
    def state(self) -> str:
        """The state as the server said it last."""
        return self.info.state or ""

    @property
    def object(self) -> str:
        """The object's API name, such as Contact."""
        return self.info.object or ""

    @property
    def operation(self) -> str:
        """The operation, such as upsert."""
        return self.info.operation or ""

    @property
    def done(self) -> bool:
        """Whether the job has come to its end."""
        return self.info.done

    def refresh(self) -> Job:
        """Ask the server how the job is, and return the job (one GET)."""
        return self._heard(self._request("GET"))

    def upload(
        self,
        data: Data,
        *,
        tz: str | None = None,
        nulls: Nulls = "keep",
        files: Files | None = None,
    ) -> Job:
        """Send the job's data: a frame, or rows that are written already.

        Parameters
        ----------
        data : DataFrame, str or bytes
            A frame has the API names of fields as columns. Text and bytes are CSV in UTF-8 with
            one header line, or what the job's ``contentType`` says; of a 1.0 query its SOQL.
        tz : str, optional
            The zone of a frame's datetimes that have none, such as "Europe/Paris".
        nulls : {"keep", "clear"}
            Whether a frame's missing value leaves the field alone, or clears it.
        files : str, list of str or mapping, optional
            Attachments, for 1.0 jobs of a ``contentType`` ZIP_CSV, ZIP_JSON or ZIP_XML: the
            frame's columns that hold files, as bytes or paths; or the files by the names that
            cells say after a ``#``.

        Raises
        ------
        InputError
            The data cannot be sent, or this kind of job takes none; nothing was sent.
        """
        raise self._lacking("upload")

    def add_batch(
        self,
        data: Data,
        *,
        tz: str | None = None,
        nulls: Nulls = "keep",
        files: Files | None = None,
    ) -> BatchInfo:
        """Add one batch to a 1.0 job, and return what the server says of it.

        A batch has at most 10,000 rows, 10 MB and 10,000,000 characters; a zip at most 10 MB, 20
        MB unzipped and 1,000 files. It may run at once, before the job is closed.

        Parameters
        ----------
        data, tz, nulls, files
            As for `upload`.

        Raises
        ------
        InputError
            The data cannot be sent, or a limit is exceeded; nothing was sent.
        """
        raise self._lacking("add_batch")

    def batches(self) -> Batches:
        """Return the batches of a 1.0 job: a sequence, with a typed ``frame`` of them."""
        raise self._lacking("batches")

    def batch(self, batch_id: str) -> BatchInfo:
        """Return one batch of a 1.0 job, as the server says it is now."""
        raise self._lacking("batch")

    def batch_request(self, batch_id: str) -> bytes:
        """Return the data of a batch of a 1.0 job, as they were sent."""
        raise self._lacking("batch_request")

    def batch_results(self, batch_id: str) -> pd.DataFrame:
        """Return the results of one batch of a 1.0 job, as `results` does for all of them."""
        raise self._lacking("batch_results")

    def result_pages(self) -> list[str]:
        """Return the locators of the pages of a 2.0 query's result, to be read side by side."""
        raise self._lacking("result_pages")

    def close(self) -> Job:
        """Close the job: no more data can be added, and Salesforce queues what it has.

        Raises
        ------
        InvalidJobStateError
            The server refused; its words are in the message, with the states that allow it.
        InputError
            The job is a query job, which has no close.
        """
        self._demand("close")
        return self._move(self.close_state, "closed", self.info.states.close)

    def abort(self, *, confirm: str | None = None) -> Job:
        """Abort the job. Rows already written stay written; the rest is not processed.

        Parameters
        ----------
        confirm : str, optional
            In a production org, its name and what is to be done: "Acme: abort 1 job".

        Raises
        ------
        ConfirmationNeededError
            It is a production org, and `confirm` is not what it takes; the message says what is.
        InvalidJobStateError
            The server refused; its words are in the message, with the states that allow it.
        """
        self._demand("abort")
        confirmed(self._wire, "abort", 1, confirm)
        return self._abort()

    def _abort(self) -> Job:
        """Abort, where a button has asked already or the job is one's own half-made one."""
        return self._move("Aborted", "aborted", self.info.states.abort)

    def delete(self, *, confirm: str | None = None) -> None:
        """Delete the job and its results from the org. Rows that it wrote stay.

        Parameters
        ----------
        confirm : str, optional
            In a production org, its name and what is to be done: "Acme: delete 1 job".

        Raises
        ------
        ConfirmationNeededError
            It is a production org, and `confirm` is not what it takes; the message says what is.
        InvalidJobStateError
            The server refused; its words are in the message, with the states that allow it.
        """
        self._demand("delete")
        confirmed(self._wire, "delete", 1, confirm)
        try:
            self._request("DELETE", expect=(204,))
        except ApiError as error:
            refused = error
        else:
            return
        raise self._explained(refused, "deleted", self.info.states.delete)

    def wait(self, timeout: float | None = None) -> Job:
        """Wait until the job is done, and return it.

        Waiting only asks. Interrupting it, or a time-out, leaves the job as it is.

        Parameters
        ----------
        timeout : float, optional
            Seconds; without it, as long as it takes.

        Raises
        ------
        StillRunningError
            The time is over and the job goes on.
        """
        clock = self._wire.clock
        started = clock.monotonic()
        while not self._glance().done:
            waited = clock.monotonic() - started
            if timeout is not None and waited >= timeout:
                raise StillRunningError(
                    f"After {waited:.0f} s job {self.id} is {self.state}, and goes on. "
                    "wait() waits again, abort() aborts it"
                )
            pause = poll_seconds(waited)
            clock.sleep(pause if timeout is None else min(pause, timeout - waited))
        return self

    def results(self) -> pd.DataFrame:
        """Return the job's results, one row per row, as the text that the server sent."""
        raise self._lacking("results")

    def explain(
        self, *, past: pd.DataFrame | None = None, states: pd.DataFrame | None = None
    ) -> Explanation:
        """Return where the time of the job went, as it was known last, and if it was always so.

        Parameters and findings are those of `bulknb.explain`; by default it is compared with what
        was seen of the org's jobs: see ``org.history``.
        """
        from .._past import explained

        return explained(self._wire, self.info, past=past, states=states)

    def facts(self) -> list[tuple[str, str]]:
        """Return the job in words, as (name, value): what its repr, card and panel show."""
        return facts(self.info)

    def __repr__(self) -> str:
        info = self.info
        said = [info.state or "state not reported"]
        if info.number_records_processed is not None:
            said.append(f"{info.number_records_processed:,} processed")
        if info.number_records_failed:
            said.append(f"{info.number_records_failed:,} failed")
        return f"<Job {self.id} {title(info)}: {', '.join(said)}>"

    def _repr_html_(self) -> str:
        info = self.info
        notes = [info.error_message or ""]
        return strip(title(info), (self.id,), self.facts(), tone=tone(info), notes=notes)

    def _ipython_display_(self) -> None:
        from ..widgets import JobPanel

        JobPanel(self)._ipython_display_()

    def _demand(self, verb: str) -> None:
        if verb in self.lacks:
            raise self._lacking(verb)

    def _lacking(self, verb: str) -> InputError:
        """Return the error for a verb that this kind of job does not have."""
        other = f"{self.info.job_type} jobs are not known to this bulknb: it only reads their info"
        return InputError(self.lacks.get(verb, other))

    def _move(self, state: str, done_to_it: str, allowed: tuple[str, ...]) -> Job:
        try:
            answer = self._request(
                self.update_method, body=self._write({"state": state}), typed=True
            )
        except InvalidJobStateError as error:
            refused = error
        else:
            return self._heard(answer)
        raise self._explained(refused, done_to_it, allowed)

    def _glance(self) -> Job:
        """Ask how the job is; while the org's API calls are used up, it goes on unseen."""
        with contextlib.suppress(LimitError):
            self.refresh()
        return self

    def _heard(self, answer: Answer) -> Job:
        """Take in what the server said of this job."""
        said = self._read(answer)
        if not said.id or said.id[:15] != self.id[:15]:
            raise UnexpectedAnswerError(f"The server was asked for job {self.id}, not {said.id}")
        self._wire.ear.hear(said)
        return self.hear(said)

    def hear(self, said: JobInfo) -> Job:
        """Take in what the server said of this job elsewhere, such as in a list."""
        with self._hearing:  # a load, a panel and the user may all ask about one job
            if said.done or not self.info.done:  # a job does not come back from its end
                self.info = self.info.updated(said)
        return self

    def _explained(self, refused: ApiError, done_to_it: str, allowed: tuple[str, ...]) -> ApiError:
        """Add to a refusal what the job's state is by now, and from which ones it is allowed."""
        with contextlib.suppress(BulkError):
            self.refresh()
        *others, last = allowed or ("no",)
        states = f"{', '.join(others)} or {last}" if others else last
        return refused.with_advice(
            f"Job {self.id} is {self.state}; only {states} jobs can be {done_to_it}"
        )

    def _request(
        self,
        method: str,
        tail: str = "",
        *,
        body: bytes | None = None,
        typed: bool = False,
        content_type: str | None = None,
        params: Mapping[str, str] | None = None,
        expect: tuple[int, ...] = (200,),
    ) -> Answer:
        """Send one request about this job."""
        return self._wire.request(
            method,
            self._path_of(tail),
            body=body,
            content_type=content_type or (self._document_type() if typed else None),
            auth_header=self.auth_header,
            params=params,
            expect=expect,
        )

    @property
    def _version(self) -> str:
        """The version that made the job: query results need it."""
        return self.info.api_version or self._wire.api_version

    def _path_of(self, tail: str) -> str:
        """Return the path of something of this job, or of the job itself."""
        return f"{self.path.format(version=self._version)}/{self.id}{tail}"

    @classmethod
    def _document_type(cls) -> str:
        return "application/json; charset=UTF-8"

    @classmethod
    def _write(cls, properties: Mapping[str, str]) -> bytes:
        return json.dumps(dict(properties)).encode()

    @classmethod
    def _read(cls, answer: Answer) -> JobInfo:
        return JobInfo.from_dict(answer.fields("id"))


def poll_seconds(waited: float) -> float:
    """Seconds until the next look at a job that has been watched for so long."""
    return min(_LONGEST_POLL_SECONDS, max(_FIRST_POLL_SECONDS, _POLL_GROWTH * waited))

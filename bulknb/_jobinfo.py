"""What the API says of a job and of a batch, in every dialect, as one typed value.

Each field is declared once: its API name, its type, its unit. A field that the server left out is
``None`` here and NA in a frame: never 0. What the server sent beside stays in ``raw``.

Sources: Bulk API Developer Guide, "JobInfo", "BatchInfo"; Bulk API 2.0 Developer Guide, "Get Job
Info", "Close or Abort a Job", "Abort a Query Job".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal

from ._xml import read_xml
from .errors import UnexpectedAnswerError

JobType = Literal["Classic", "V2Ingest", "V2Query", "BigObjectIngest"]

QUERIES = ("query", "queryAll")
#: States of jobs that have not begun, but for the batches of a 1.0 job.
WAITING = ("Open", "UploadComplete")
#: States of jobs that came to a good end, once they are done.
COMPLETE = ("JobComplete", "Closed")
#: A 1.0 job that is Closed ends with its batches, which no state says.
BATCHES_DONE = "Batches done"


@dataclass(frozen=True)
class States:
    """What holds for a kind of job: the way it goes, from where it may be moved, what it tells.

    Sources: "Close or Abort a Job", "Abort a Query Job", "Delete a Job", "Aborting a Job",
    "JobInfo", "Get Job Info", "Get Information About a Query Job".
    """

    path: tuple[str, ...]  # to a good end, as far as it is known
    close: tuple[str, ...]
    abort: tuple[str, ...]
    delete: tuple[str, ...]
    end: tuple[str, ...]
    stamps_end: bool = True  # its last change is its end
    splits_time: bool = True  # its total comes with the times of Apex and API

    @property
    def begin(self) -> str:
        """The state in which such a job begins; "" if that is not known."""
        return next(iter(self.path), "")


_INGEST = States(
    path=("Open", "UploadComplete", "InProgress", "JobComplete"),
    close=("Open",),
    abort=("Open", "UploadComplete", "InProgress"),
    delete=("UploadComplete", "JobComplete", "Aborted", "Failed"),
    end=("JobComplete", "Aborted", "Failed"),
)

#: A 1.0 job that is Closed may still have batches to run: see `JobInfo.done`.
STATES: dict[str, States] = {
    "Classic": States(
        path=("Open", "Closed", BATCHES_DONE),
        close=("Open",),
        abort=("Open", "Closed"),
        delete=(),
        end=("Aborted", "Failed"),
        stamps_end=False,  # but its close
    ),
    "V2Ingest": _INGEST,
    "BigObjectIngest": _INGEST,
    "V2Query": States(
        # A query job starts in UploadComplete: it is never Open, and is not closed.
        path=_INGEST.path[1:],
        close=(),
        abort=("UploadComplete", "InProgress"),
        delete=("JobComplete", "Aborted", "Failed"),
        end=("JobComplete", "Aborted", "Failed"),
        splits_time=False,
    ),
}

_UNKNOWN_KIND = States(path=(), close=(), abort=(), delete=(), end=_INGEST.end)
#: Kinds of jobs that do not tell when they ended, and those that do not tell of Apex and API.
END_UNSTAMPED = [kind for kind, states in STATES.items() if not states.stamps_end]
TIME_UNSPLIT = [kind for kind, states in STATES.items() if not states.splits_time]


def _text(value: Any) -> str:
    # apiVersion is a number in JSON and a text in XML: 60.0, 60 and "60.0" are one version.
    return f"{value:.1f}" if isinstance(value, int | float) else str(value)


def _boolean(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def _time(value: Any) -> datetime:
    """2.0 and 1.0 JSON write ``+0000``, 1.0 XML writes ``Z``; both are UTC."""
    return datetime.fromisoformat(str(value)).astimezone(UTC)


#: dtype in a frame -> reader of one value
_READERS: dict[str, Callable[[Any], Any]] = {
    "string": _text,
    "Int64": int,
    "boolean": _boolean,
    "datetime64[us, UTC]": _time,
}


def _field(
    api: str, dtype: str = "string", unit: str | None = None, also: str | None = None
) -> Any:
    return field(default=None, metadata={"api": api, "dtype": dtype, "unit": unit, "also": also})


def _count(api: str, also: str | None = None) -> Any:
    return _field(api, "Int64", also=also)


def _milliseconds(api: str) -> Any:
    return _field(api, "Int64", unit="ms")


@dataclass(frozen=True)
class JobInfo:
    """A job as one answer of the server described it.

    Fields bear the API's names by one rule (``numberRecordsProcessed`` is
    ``number_records_processed``); milliseconds end in ``_ms``; ``numberRetries`` (1.0) and
    ``retries`` (2.0) are one field. What the answer left out is None.
    """

    id: str | None = _field("id")
    operation: str | None = _field("operation")
    object: str | None = _field("object")
    created_by_id: str | None = _field("createdById")
    created_date: datetime | None = _field("createdDate", "datetime64[us, UTC]")
    system_modstamp: datetime | None = _field("systemModstamp", "datetime64[us, UTC]")
    state: str | None = _field("state")
    external_id_field_name: str | None = _field("externalIdFieldName")
    assignment_rule_id: str | None = _field("assignmentRuleId")
    concurrency_mode: str | None = _field("concurrencyMode")
    content_type: str | None = _field("contentType")
    api_version: str | None = _field("apiVersion")
    job_type: str | None = _field("jobType")
    content_url: str | None = _field("contentUrl")
    line_ending: str | None = _field("lineEnding")
    column_delimiter: str | None = _field("columnDelimiter")
    number_batches_queued: int | None = _count("numberBatchesQueued")
    number_batches_in_progress: int | None = _count("numberBatchesInProgress")
    number_batches_completed: int | None = _count("numberBatchesCompleted")
    number_batches_failed: int | None = _count("numberBatchesFailed")
    number_batches_total: int | None = _count("numberBatchesTotal")
    number_records_processed: int | None = _count("numberRecordsProcessed")
    number_records_failed: int | None = _count("numberRecordsFailed")
    retries: int | None = _count("retries", also="numberRetries")
    total_processing_time_ms: int | None = _milliseconds("totalProcessingTime")
    api_active_processing_time_ms: int | None = _milliseconds("apiActiveProcessingTime")
    apex_processing_time_ms: int | None = _milliseconds("apexProcessingTime")
    error_message: str | None = _field("errorMessage")
    is_pk_chunking_supported: bool | None = _field("isPkChunkingSupported", "boolean")
    fast_path_enabled: bool | None = _field("fastPathEnabled", "boolean")
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> JobInfo:
        """Return the job of one JSON object.

        Raises
        ------
        UnexpectedAnswerError
            A value is not of its field's type; the message names the field.
        """
        info = cls(**_values(cls, raw), raw=dict(raw))
        return replace(info, job_type=info.job_type or _kind(info))

    @classmethod
    def from_xml(cls, document: str | bytes) -> JobInfo:
        """Return the job of a 1.0 ``<jobInfo>`` document.

        Raises
        ------
        UnexpectedAnswerError
            It is not a jobInfo, not well-formed, or has a DOCTYPE.
        """
        return replace(cls.from_dict(_root(document, "jobInfo")), job_type="Classic")

    @classmethod
    def from_event(cls, raw: Mapping[str, Any]) -> JobInfo:
        """Return what a ``BulkApi2JobEvent`` says of a job: its id and its new state.

        Source: Bulk API 2.0 guide, "Subscribe to Platform Events for Jobs" (beta).
        """
        said = {"id": raw.get("JobIdentifier"), "state": raw.get("JobState")}
        return replace(cls.from_dict(said), raw=dict(raw))

    def updated(self, newer: JobInfo) -> JobInfo:
        """Return this job with what a newer answer says.

        The answer to a PATCH is short: what it leaves out stays as it was known.
        """
        said = {name: value for name in JOB_FIELDS if (value := getattr(newer, name)) is not None}
        return replace(self, **said, raw={**self.raw, **newer.raw})

    @property
    def states(self) -> States:
        """What holds for this kind of job, as from which states it may be closed and aborted."""
        return STATES.get(self.job_type or "", _UNKNOWN_KIND)

    @property
    def done(self) -> bool:
        """Whether the job has come to its end: nothing of it will change by itself any more.

        A 1.0 job that is Closed is done when no batch waits or runs ("JobInfo",
        numberBatchesTotal); if the answer gave no batch counts, it is taken as not done.
        """
        if self.state in self.states.end:
            return True
        return (
            self.state == "Closed"
            and self.number_batches_queued == 0
            and self.number_batches_in_progress == 0
        )

    @property
    def can_close(self) -> bool:
        """Whether the server would accept a close now."""
        return self.state in self.states.close

    @property
    def can_abort(self) -> bool:
        """Whether the server would accept an abort now."""
        return self.state in self.states.abort and not self.done

    @property
    def can_delete(self) -> bool:
        """Whether the server would accept a delete now."""
        return self.state in self.states.delete


@dataclass(frozen=True)
class BatchInfo:
    """A batch of a 1.0 job as one answer of the server described it; times in milliseconds."""

    id: str | None = _field("id")
    job_id: str | None = _field("jobId")
    state: str | None = _field("state")
    state_message: str | None = _field("stateMessage")
    created_date: datetime | None = _field("createdDate", "datetime64[us, UTC]")
    system_modstamp: datetime | None = _field("systemModstamp", "datetime64[us, UTC]")
    number_records_processed: int | None = _count("numberRecordsProcessed")
    number_records_failed: int | None = _count("numberRecordsFailed")
    total_processing_time_ms: int | None = _milliseconds("totalProcessingTime")
    api_active_processing_time_ms: int | None = _milliseconds("apiActiveProcessingTime")
    apex_processing_time_ms: int | None = _milliseconds("apexProcessingTime")
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> BatchInfo:
        """Return the batch of one JSON object.

        Raises
        ------
        UnexpectedAnswerError
            A value is not of its field's type; the message names the field.
        """
        return cls(**_values(cls, raw), raw=dict(raw))

    @classmethod
    def from_xml(cls, document: str | bytes) -> BatchInfo:
        """Return the batch of a 1.0 ``<batchInfo>`` document."""
        return cls.from_dict(_root(document, "batchInfo"))

    @classmethod
    def list_from_xml(cls, document: str | bytes) -> list[BatchInfo]:
        """Return the batches of a 1.0 ``<batchInfoList>`` document, in its order."""
        batches = _root(document, "batchInfoList").get("batchInfo", [])
        return [cls.from_dict(raw) for raw in (batches if isinstance(batches, list) else [batches])]


#: name -> dtype in a frame, in the order of the fields
JOB_FIELDS, BATCH_FIELDS = (
    {declared.name: declared.metadata["dtype"] for declared in fields(cls) if declared.metadata}
    for cls in (JobInfo, BatchInfo)
)


def _values(cls: type[JobInfo] | type[BatchInfo], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Read the declared fields of one dict; absent, null and empty are all left out."""
    values: dict[str, Any] = {}
    for declared in fields(cls):
        if not declared.metadata:
            continue
        api, also = declared.metadata["api"], declared.metadata["also"]
        value = raw.get(api)
        if value is None and also:
            value = raw.get(also)
        if value is None or value == "":
            continue
        dtype = declared.metadata["dtype"]
        try:
            values[declared.name] = _READERS[dtype](value)
        except (TypeError, ValueError):
            raise UnexpectedAnswerError(f"{cls.__name__}: {api} is not a {dtype}") from None
    return values


def _root(document: str | bytes, name: str) -> dict[str, Any]:
    root, content = read_xml(document)
    if root != name:
        raise UnexpectedAnswerError(f"The answer should be <{name}>, but is <{root[:40]}>")
    return content if isinstance(content, dict) else {}


def _kind(info: JobInfo) -> JobType | None:
    """Tell the kind of a job whose answer does not name it (1.0 JSON, 2.0 create and PATCH)."""
    if info.number_batches_total is not None or info.state == "Closed":
        return "Classic"
    if info.operation in QUERIES and info.state != "Open":
        return "V2Query"
    if info.content_url or info.line_ending or info.state in ("UploadComplete", "JobComplete"):
        return "V2Ingest"
    return None

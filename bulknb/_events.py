"""Rows of event log files -> looks at jobs, for longer than Salesforce keeps the jobs themselves.

Sources: Object Reference, EventLogFile, "Bulk API Event Type", "Bulk API 2.0 Event Type".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from ._jobinfo import JobInfo
from ._jobs.ids import full
from ._snapshots import Look, OrgKey, moment
from .errors import InputError

__all__ = ["are_events", "looks_of_events"]

Row = Mapping[str, Any]

_KINDS = {"bulkapi": "Classic", "bulkapi2": "V2Ingest"}
_OPERATIONS = {
    name.lower(): name
    for name in ("insert", "update", "upsert", "delete", "hardDelete", "query", "queryAll")
}
#: JOB_STATUS -> state. The guide has the steps in words, not the values.
_STATES = {
    "created": "Open",
    "complete": "JobComplete",
    **{
        name.lower(): name
        for name in ("Open", "UploadComplete", "InProgress", "JobComplete", "Failed", "Aborted")
    },
}
_ENDS = ("JobComplete", "Failed", "Aborted")


def are_events(frame: pd.DataFrame) -> bool:
    """Tell whether the rows are those of an event log."""
    return {"EVENT_TYPE", "JOB_ID"} <= set(frame.columns)


def looks_of_events(frame: pd.DataFrame) -> dict[OrgKey | None, list[Look]]:
    """Return what ``BulkApi`` and ``BulkApi2`` events say of jobs, by the org that they name.

    Of a 2.0 job each event is a look. Of a 1.0 job the log has batches, whose rows, failures and
    run times are added up, so all rows about a job are needed at once. What a log does not tell,
    such as the time in Apex, stays unknown.

    Raises
    ------
    InputError
        There are other events among them, or a moment or a number is none.
    """
    kinds = frame["EVENT_TYPE"].astype(str).str.lower()
    if strange := set(kinds) - set(_KINDS):
        raise InputError(
            f"Events of type {', '.join(sorted(strange))} tell nothing of jobs: give the log files "
            "of BulkApi and BulkApi2"
        )
    rows: list[Row] = [
        {str(name): value for name, value in row.items() if not pd.isna(value) and value != ""}
        for row in frame.to_dict("records")
    ]
    try:
        batches = [row for row in rows if _kind(row) == "Classic"]
        looks = [*_of_jobs(row for row in rows if _kind(row) != "Classic"), *_of_batches(batches)]
    except (KeyError, ValueError):
        raise InputError(
            "An event lacks its JOB_ID or its TIMESTAMP, or has a time or a count that is none"
        ) from None
    found: dict[OrgKey | None, list[Look]] = {}
    for org, look in sorted(looks, key=lambda one: one[1].seen):
        found.setdefault(org, []).append(look)
    return found


def _of_jobs(rows: Iterable[Row]) -> Iterator[tuple[OrgKey, Look]]:
    for row in rows:
        state = _STATES.get(str(row.get("JOB_STATUS", "")).lower())
        info = _info(
            row,
            state=state,
            createdDate=_when(row).isoformat() if state == "Open" else None,
            systemModstamp=_when(row).isoformat() if state in _ENDS else None,
            numberRecordsProcessed=_number(row.get("RECORDS_PROCESSED")),
            numberRecordsFailed=_number(row.get("RECORDS_FAILED")),
        )
        yield _org(row), Look(info, moment(_when(row)))


def _of_batches(rows: Iterable[Row]) -> Iterator[tuple[OrgKey, Look]]:
    jobs: dict[str, list[Row]] = {}
    for row in rows:
        jobs.setdefault(_id(row["JOB_ID"]), []).append(row)
    for of_job in jobs.values():
        last = max(of_job, key=_when)
        info = _info(
            last,
            numberRecordsProcessed=_sum(of_job, "ROWS_PROCESSED"),
            numberRecordsFailed=_sum(of_job, "NUMBER_FAILURES"),
            totalProcessingTime=_sum(of_job, "RUN_TIME"),
        )
        yield _org(last), Look(info, moment(_when(last)))


def _info(row: Row, **told: Any) -> JobInfo:
    operation = str(row.get("OPERATION_TYPE", ""))
    said = {
        "id": _id(row["JOB_ID"]),
        "operation": _OPERATIONS.get(operation.lower(), operation),
        "object": row.get("ENTITY_TYPE"),
        "createdById": _id(row.get("USER_ID_DERIVED") or row.get("USER_ID")),
        "jobType": _kind(row),
        **told,
    }
    return JobInfo.from_dict(said)


def _kind(row: Row) -> str:
    kind = _KINDS[row["EVENT_TYPE"].lower()]
    is_query = str(row.get("OPERATION_TYPE", "")).lower() in ("query", "queryall")
    return "V2Query" if is_query and kind == "V2Ingest" else kind


def _org(row: Row) -> OrgKey:
    return OrgKey(None, _id(row.get("ORGANIZATION_ID")) or None)


def _id(told: object) -> str:
    return "" if told is None else full(str(told))


def _when(row: Row) -> pd.Timestamp:
    """TIMESTAMP_DERIVED is ISO 8601; TIMESTAMP is like 20130715233322.670."""
    derived = row.get("TIMESTAMP_DERIVED")
    if derived:
        return pd.Timestamp(derived).tz_convert("UTC")
    return pd.to_datetime(str(row["TIMESTAMP"]), format="%Y%m%d%H%M%S.%f", utc=True)


def _sum(rows: Iterable[Row], name: str) -> int | None:
    told = [number for row in rows if (number := _number(row.get(name))) is not None]
    return sum(told) if told else None


def _number(value: Any) -> int | None:
    return None if value is None else int(float(value))

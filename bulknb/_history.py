"""JobInfos, from wherever they come -> one typed frame of job history."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from ._jobinfo import JOB_FIELDS, JobInfo
from ._jobs import Job
from .errors import InputError

__all__ = ["jobs_frame"]

#: What `jobs_frame` reads: a JobInfo or Job, an API object as dict, JSON or XML text, or several.
JobInfos = (
    JobInfo | Job | Mapping[str, Any] | str | bytes | Iterable["JobInfo | Job | Mapping[str, Any]"]
)


def jobs_frame(infos: JobInfos) -> pd.DataFrame:
    """Return a typed frame of job history. Needs no org.

    Parameters
    ----------
    infos : JobInfo, Job, dict, JSON or XML text, a list page, or an iterable of these
        Dicts and documents as the API gives them, of Bulk API 1.0 and 2.0 alike.

    Returns
    -------
    DataFrame
        One row per job, in the given order. Columns are the fields of `JobInfo`, typed
        (``string``, ``Int64``, ``boolean``, ``datetime64[us, UTC]``); what an answer left out is
        NA, never 0. Times are milliseconds, summed over batches by Salesforce. Derived:

        ``done``
            Whether the job had come to its end.
        ``apex_ms``, ``api_ms``, ``rest_ms``
            The parts of the total: Apex, API active without Apex, and the rest (waiting of
            batches, serialization). NA until the job is done: before, the server shows a total of
            0 beside an active time that grows.
        ``parallelism``
            Total over wall clock from creation to the last change: above 1, batches ran side by
            side.

    Raises
    ------
    InputError
        Something in it is not a job.
    UnexpectedAnswerError
        A field holds what it cannot; the message names the field.
    """
    jobs = list(_read(infos))
    columns = {
        name: pd.Series([getattr(info, name) for info in jobs], dtype=dtype)
        for name, dtype in JOB_FIELDS.items()
    }
    frame = pd.DataFrame(columns)
    frame["done"] = pd.Series([info.done for info in jobs], dtype="boolean")
    return frame.assign(**_breakdown(frame))


def _breakdown(frame: pd.DataFrame) -> dict[str, pd.Series]:
    done = frame["done"].fillna(value=False).astype(bool)
    total = frame["total_processing_time_ms"].where(done)
    active = frame["api_active_processing_time_ms"].where(done)
    apex = frame["apex_processing_time_ms"].where(done)
    seconds = (frame["system_modstamp"] - frame["created_date"]).dt.total_seconds()
    wall = seconds.where(done & (seconds > 0)).astype("Float64")
    return {
        "apex_ms": apex,
        "api_ms": active - apex,
        "rest_ms": total - active,
        "parallelism": total.astype("Float64") / (1000 * wall),
    }


def _read(infos: object) -> Iterator[JobInfo]:
    if isinstance(infos, JobInfo):
        yield infos
    elif isinstance(infos, Job):
        yield infos.info
    elif isinstance(infos, Mapping):
        if "records" in infos:  # a page of "Get All Jobs"
            yield from _read(infos["records"])
        else:
            yield JobInfo.from_dict(_job_dict(infos))
    elif isinstance(infos, str | bytes):
        yield from _read_text(infos)
    elif isinstance(infos, Iterable):
        for info in infos:
            yield from _read(info)
    else:
        raise InputError(
            f"A {type(infos).__name__} is not a job: give JobInfos, dicts, JSON or XML"
        )


def _read_text(text: str | bytes) -> Iterator[JobInfo]:
    start = text.lstrip()[:1]
    if start in ("<", b"<"):
        yield JobInfo.from_xml(text)
        return
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict | list):
        raise InputError("This text is neither the JSON nor the XML of a job")
    yield from _read(content)


def _job_dict(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    if "id" not in raw and "state" not in raw:
        raise InputError("A dict without id and state is not a job")
    return raw

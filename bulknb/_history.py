"""JobInfos, from wherever they come -> one typed frame of job history."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from itertools import repeat
from operator import contains
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ._frames import read_json, read_plain_xml, read_records, to_frame
from ._jobinfo import JobInfo
from ._jobs import Job
from ._xml import read_xml
from .errors import InputError, UnexpectedAnswerError

__all__ = ["JobInfos", "jobs_frame", "records", "with_parts"]

#: What `jobs_frame` reads: a JobInfo or Job, an API object as dict, JSON or XML text, or several.
JobInfos = (
    JobInfo
    | Job
    | Mapping[str, Any]
    | str
    | bytes
    | pd.DataFrame
    | Iterable["JobInfo | Job | Mapping[str, Any] | str | bytes"]
)

_API_NAMES = {field.name: field.metadata["api"] for field in fields(JobInfo) if field.metadata}
#: Counts of batches of which matters whether there are any.
_TELLING_COUNTS = (
    "number_batches_queued",
    "number_batches_in_progress",
    "number_batches_total",
)


def jobs_frame(infos: JobInfos) -> pd.DataFrame:
    """Return a typed frame of job history. Needs no org.

    Parameters
    ----------
    infos : JobInfo, Job, dict, JSON or XML text, a list page, DataFrame, or an iterable of these
        Dicts and documents as the API gives them, of Bulk API 1.0 and 2.0 alike; a frame of such
        records, or a frame like the one returned, from a file for example.

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
        ``duration_ms``
            Time on the clock from the creation to the last change of a job that is done.
        ``rows_per_second``
            Rows processed in each second of that duration.
        ``parallelism``
            Total over that duration: above 1, batches ran side by side.

    Raises
    ------
    InputError
        Something in it is not a job.
    UnexpectedAnswerError
        A field holds what it cannot; the message names the field.
    """
    return to_frame(with_parts(_read(infos)))


def with_parts(table: pa.Table) -> pa.Table:
    """Return typed columns of the fields of `JobInfo`, and those that `jobs_frame` derives."""
    job_type, done = _kind_and_end(table)
    table = table.set_column(table.schema.get_field_index("job_type"), "job_type", job_type)
    return _extended(table, {"done": done, **_breakdown(table, done)})


def _kind_and_end(table: pa.Table) -> tuple[pa.Array, pa.Array]:
    """Ask JobInfo for kind and end of each job, once for all jobs that are alike in this."""
    alike = {
        "operation": table["operation"],
        "state": table["state"],
        "jobType": table["job_type"],
        "lineEnding": table["line_ending"],
        "contentUrl": pc.if_else(pc.is_valid(table["content_url"]), "/", None),
        **{
            api: pc.min_element_wise(table[name], 1, skip_nulls=False)
            for name, api in _API_NAMES.items()
            if name in _TELLING_COUNTS
        },
    }
    kind = np.zeros(len(table), np.int64)
    for column in alike.values():
        codes = column.combine_chunks().dictionary_encode(null_encoding="encode")
        kind = kind * len(codes.dictionary) + codes.indices.to_numpy()
        kind = pa.array(kind).dictionary_encode().indices.to_numpy().astype(np.int64)
    _, first = np.unique(kind, return_index=True)
    infos = [JobInfo.from_dict(raw) for raw in pa.table(alike).take(pa.array(first)).to_pylist()]
    job_type = pa.array([info.job_type for info in infos], pa.string())
    done = pa.array([info.done for info in infos], pa.bool_())
    return job_type.take(pa.array(kind)), done.take(pa.array(kind))


def _breakdown(table: pa.Table, done: pa.Array) -> dict[str, pa.ChunkedArray]:
    total, active, apex, elapsed = (
        pc.if_else(done, column, None)
        for column in (
            table["total_processing_time_ms"],
            table["api_active_processing_time_ms"],
            table["apex_processing_time_ms"],
            pc.subtract(table["system_modstamp"], table["created_date"]).cast(pa.int64()),
        )
    )
    seconds = pc.divide(pc.if_else(pc.greater(elapsed, 0), elapsed, None).cast("float64"), 1e6)
    return {
        "apex_ms": apex,
        "api_ms": pc.subtract(active, apex),
        "rest_ms": pc.subtract(total, active),
        "duration_ms": pc.divide(elapsed, 1000),
        "rows_per_second": pc.divide(table["number_records_processed"].cast("float64"), seconds),
        "parallelism": pc.divide(total.cast("float64"), pc.multiply(seconds, 1000)),
    }


def _extended(table: pa.Table, columns: Mapping[str, Any]) -> pa.Table:
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table


def _read(infos: object) -> pa.Table:
    if isinstance(infos, pd.DataFrame):
        if not {"id", "state"} & set(infos.columns):
            raise InputError("A frame without a column id or state is not one of jobs")
        return read_records(JobInfo, infos)
    given = [infos] if isinstance(infos, str | bytes) or not isinstance(infos, Iterable) else infos
    if isinstance(given, Iterable) and not isinstance(given, Mapping | list):
        given = list(given)
    texts = _json_objects(given)
    table = read_json(JobInfo, texts) if texts else None
    if table is None:
        table = read_records(JobInfo, given if _are_jobs(given) else list(records(given)))
    return table


def _are_jobs(given: object) -> TypeGuard[list[dict[str, Any]]]:
    """Tell whether it is a list of API objects throughout: what comes by the million."""
    return (
        isinstance(given, list)
        and set(map(type, given)) == {dict}
        and all(map(contains, given, repeat("id")))
        and not any(map(contains, given, repeat("records")))
    )


def _json_objects(given: object) -> list[bytes] | None:
    """Return the texts if they are JSON objects throughout, by the look of them."""
    if not isinstance(given, list) or not all(isinstance(text, str | bytes) for text in given):
        return None
    texts = [(text.encode() if isinstance(text, str) else text).strip() for text in given]
    return texts if all(text.startswith(b"{") for text in texts) else None


def records(infos: object) -> Iterator[Mapping[str, Any]]:
    """Yield the API objects in whatever holds them."""
    if isinstance(infos, JobInfo):
        yield {api: getattr(infos, name) for name, api in _API_NAMES.items()}
    elif isinstance(infos, Job):
        yield from records(infos.info)
    elif isinstance(infos, Mapping):
        if "records" in infos:  # a page of "Get All Jobs"
            yield from records(infos["records"])
        elif "id" in infos or "state" in infos:
            yield infos
        else:
            raise InputError("A dict without id and state is not a job")
    elif isinstance(infos, str | bytes):
        yield from _records_of_text(infos)
    elif isinstance(infos, Iterable):
        for info in infos:
            yield from records(info)
    else:
        raise InputError(
            f"A {type(infos).__name__} is not a job: give JobInfos, dicts, JSON or XML"
        )


def _records_of_text(text: str | bytes) -> Iterator[Mapping[str, Any]]:
    start = text.lstrip()[:1]
    if start in ("<", b"<"):
        yield _record_of_xml(text)
        return
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict | list):
        raise InputError("This text is neither the JSON nor the XML of a job")
    yield from records(content)


def _record_of_xml(document: str | bytes) -> Mapping[str, Any]:
    # What is not UTF-8 becomes something that is in no plain document.
    text = document if isinstance(document, str) else document.decode(errors="surrogateescape")
    content: object = read_plain_xml(text, "jobInfo")
    if content is None:
        root, content = read_xml(document)
        if root != "jobInfo":
            raise UnexpectedAnswerError(f"The text should be <jobInfo>, but is <{root[:40]}>")
    return {**content, "jobType": "Classic"} if isinstance(content, dict) else {}

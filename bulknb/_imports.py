"""Saved records of jobs, wherever they stand -> looks at jobs, for the ledger to keep."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ._events import are_events, looks_of_events
from ._frames import read_records
from ._history import records
from ._jobinfo import JobInfo
from ._snapshots import ARCHIVE, Look, OrgKey, moment
from .errors import InputError

__all__ = ["read_source"]

#: Tells a record under our names from one under those of the API.
_OUR_NAME = "created_date"

Looks = dict[OrgKey | None, list[Look]]


def read_source(source: Any, now: float) -> tuple[Looks, list[pa.Table]]:
    """Return what a source says of jobs, by the org that it names if any, and archives in it.

    A saved record tells no time at which it held: it is taken to be that of its last change.

    Raises
    ------
    InputError
        Something in it is not a job, or is one without an id.
    UnexpectedAnswerError
        A field holds what it cannot; the message names the field.
    """
    parts = _parts(source)
    events = [part for part in parts if isinstance(part, pd.DataFrame) and are_events(part)]
    archives = [part for part in parts if isinstance(part, pa.Table)]
    looks: Looks = {}
    if events:
        looks |= looks_of_events(pd.concat(events, ignore_index=True))
    seen = {id(part) for part in (*events, *archives)}
    infos = [info for part in parts if id(part) not in seen for info in _infos(part)]
    if not all(info.id for info in infos):
        raise InputError("A job without an id is not kept: it could be any")
    if infos:
        looks[None] = [Look(info, moment(_held_at(info) or now)) for info in infos]
    return looks, archives


def _held_at(info: JobInfo) -> Any:
    return info.system_modstamp or info.created_date


def _infos(part: Any) -> list[JobInfo]:
    if isinstance(part, pd.DataFrame):
        rows = read_records(JobInfo, part).to_pylist()
        return [JobInfo(**row) for row in rows]
    return [JobInfo.from_dict(record) for record in records(part)]


def _parts(source: Any) -> list[Any]:
    """Return the frames, archives, and what else `records` takes, in a source; files are read."""
    if isinstance(source, Path) or (isinstance(source, str) and _is_file(source)):
        return [_read_file(Path(source))]
    if isinstance(source, str | bytes):
        return [_read_text(source)]
    if isinstance(source, pd.DataFrame | Mapping | JobInfo) or not isinstance(source, Iterable):
        return [source]
    parts = list(source)
    if parts and all(isinstance(part, Mapping) and "EVENT_TYPE" in part for part in parts):
        return [pd.DataFrame(parts)]
    return [found for part in parts for found in _parts(part)]


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # what is too long for a name, or has a zero byte in it
        return False


def _read_file(path: Path) -> Any:
    if path.suffix != ".parquet":
        return _read_text(path.read_bytes())
    try:
        table = pq.read_table(path)
        if "snapshots" in table.column_names:
            return table.select(ARCHIVE.names).cast(ARCHIVE)
    except (KeyError, pa.ArrowException):
        raise InputError(f"{path.name} is no Parquet file that this bulknb wrote") from None
    return table.to_pandas()


def _read_text(source: str | bytes) -> Any:
    """Return the frame in a CSV text or in JSON of our own, or what the text is the JSON of."""
    if source.lstrip()[:1] in ("<", b"<"):
        return source  # XML says itself how it is encoded
    try:
        text = source if isinstance(source, str) else source.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("This is no text in UTF-8") from None
    if not text.lstrip().startswith(("{", "[")):
        return _read_csv(text)
    try:
        content = json.loads(text)
    except ValueError:
        content = _read_lines(text)
    if isinstance(content, list) and any(_is_ours(part) for part in content):
        return pd.DataFrame(content)
    return content


def _is_ours(part: object) -> bool:
    return isinstance(part, dict) and _OUR_NAME in part


def _read_lines(text: str) -> list[Any]:
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        raise InputError("This text is neither JSON nor a JSON object on each line") from None


def _read_csv(text: str) -> pd.DataFrame:
    try:
        # As text: an id may be all digits.
        frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, na_values=[""])
    except (pd.errors.ParserError, pd.errors.EmptyDataError):
        frame = pd.DataFrame()
    if are_events(frame) or "id" in frame:
        return frame
    if "\n" not in text:
        raise InputError("No such file is there, nor is this the text of one that tells of jobs")
    raise InputError(
        "This CSV tells of no job: it needs a column id or, if it is of an event log, EVENT_TYPE "
        "and JOB_ID"
    )

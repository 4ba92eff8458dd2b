"""The jobs' part of the ledger's file: the newest of each job, and a row per change that was seen.

Moments are whole microseconds since the epoch, UTC. A change is one of the state, the counts or the
times: what is said again adds nothing, and what a short answer leaves out stays as it was known.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import starmap
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ._frames import ARROW
from ._jobinfo import JOB_FIELDS, JobInfo
from ._jobs.ids import full

__all__ = [
    "ARCHIVE",
    "Look",
    "OrgKey",
    "Which",
    "keep",
    "make_tables",
    "moment",
    "read_archive",
    "read_jobs",
    "read_snapshots",
    "restore",
]

_API_NAMES = frozenset(
    name
    for declared in fields(JobInfo)
    for name in (declared.metadata.get("api"), declared.metadata.get("also"))
)
#: What a change is told by.
_TRACKED = ("state", *(name for name, dtype in JOB_FIELDS.items() if dtype == "Int64"))
_SNAPSHOT = {name: JOB_FIELDS[name] for name in ("system_modstamp", *_TRACKED)}
_MOMENT = "datetime64[us, UTC]"
_KEPT = (*JOB_FIELDS, "more")
#: What of its job stands beside a change.
_BESIDE = ("id", "job_type", "object", "operation", "created_date")
_ARCHIVED = {"seen": _MOMENT, "done": "boolean", **JOB_FIELDS, "more": "string"}
_CHANGE = {"seen": _MOMENT, "turn": "Int64", "looked_before": _MOMENT, **_SNAPSHOT}
#: The jobs first: they are few, and found by an index.
_CHANGES = "job CROSS JOIN snapshot ON snapshot.job = job.number"
_IN_TIME = "snapshot.job, snapshot.seen, snapshot.turn"
_KNOWN_JOB = f"SELECT number, seen, done, {', '.join(_KEPT)} FROM job WHERE org = ? AND id = ?"
_LAST_CHANGE = (
    f"SELECT seen, turn, {', '.join(_TRACKED)} FROM snapshot WHERE job = ? AND seen <= ?"
    " ORDER BY seen DESC, turn DESC LIMIT 1"
)
#: The columns of an archive.
ARCHIVE = pa.schema(
    [
        *((name, pa.string()) for name in ("url", "org_id")),
        *((name, ARROW[dtype]) for name, dtype in _ARCHIVED.items()),
        ("snapshots", pa.list_(pa.struct([(n, ARROW[dtype]) for n, dtype in _CHANGE.items()]))),
    ]
)
_fields_of = attrgetter(*JOB_FIELDS)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = 1 << 63
_ROWS_AT_A_TIME = 50_000

_SQL_TYPES = {"string": "TEXT"}
_SCHEMA = f"""
CREATE TABLE org (number INTEGER PRIMARY KEY, url TEXT, id TEXT UNIQUE);
CREATE TABLE job (
    number INTEGER PRIMARY KEY, org INTEGER NOT NULL, seen INTEGER NOT NULL, done INTEGER NOT NULL,
    {", ".join(f"{name} {_SQL_TYPES.get(dtype, 'INTEGER')}" for name, dtype in JOB_FIELDS.items())},
    more TEXT, UNIQUE (org, id)
);
CREATE INDEX job_began ON job (org, COALESCE(created_date, seen));
CREATE TABLE snapshot (
    job INTEGER NOT NULL, seen INTEGER NOT NULL, turn INTEGER NOT NULL, looked_before INTEGER,
    {", ".join(f"{name} {_SQL_TYPES.get(dtype, 'INTEGER')}" for name, dtype in _SNAPSHOT.items())},
    PRIMARY KEY (job, seen, turn)
) WITHOUT ROWID;
"""


class OrgKey(NamedTuple):
    """What an org is known by: its id if that is known, which stays when its URL changes."""

    url: str | None
    id: str | None = None


class Look(NamedTuple):
    """What was said of a job, when, and when this process had looked at it before."""

    info: JobInfo
    seen: int
    before: int | None = None


@dataclass(frozen=True)
class Which:
    """Which jobs are read: all, or those of which this holds. A text names an org in any way."""

    org: OrgKey | str | None = None
    since: int | None = None
    object: str | None = None
    operation: str | None = None
    state: str | None = None
    users: Sequence[str] | None = None
    ids: Collection[str] | None = None


def moment(value: float | datetime) -> int:
    """Return a time, or seconds since the epoch, in microseconds since then."""
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MICROSECOND
    return round(value * 1_000_000)


def make_tables(db: sqlite3.Connection) -> None:
    """Make the tables of jobs."""
    for statement in _SCHEMA.split(";"):
        db.execute(statement)


def keep(db: sqlite3.Connection, org: OrgKey, looks: Iterable[Look]) -> set[str]:
    """Keep looks at jobs of one org; return the ids of those that brought news."""
    number = org_number(db, org)
    return {full(look.info.id) for look in looks if look.info.id and _keep_one(db, number, look)}


def org_number(db: sqlite3.Connection, org: OrgKey) -> int:
    """Return the number of an org in this file; one that is new gets one."""
    known = _number(db, "id = ?", org.id) if org.id else None
    if known is None:
        # Its id may not have been known before, or is not known now.
        also = " ORDER BY number DESC" if org.url and not org.id else " AND id IS NULL"
        known = _number(db, f"url IS ?{also}", org.url)
    if known is None:
        return int(db.execute("INSERT INTO org (url, id) VALUES (?, ?)", org).lastrowid or 0)
    db.execute(
        "UPDATE org SET url = COALESCE(?1, url), id = COALESCE(?2, id) WHERE number = ?3"
        " AND (url IS NOT COALESCE(?1, url) OR id IS NOT COALESCE(?2, id))",
        (*org, known),
    )
    return known


def _number(db: sqlite3.Connection, where: str, value: str | None) -> int | None:
    found = db.execute(f"SELECT number FROM org WHERE {where}", (value,)).fetchone()
    return None if found is None else int(found[0])


def _keep_one(db: sqlite3.Connection, org: int, look: Look) -> bool:
    said = _stored(look.info)
    job, news = _merge(db, org, said, seen=look.seen, done=look.info.done)
    return bool(job) and (_keep_change(db, job, look, said) or news)


def _merge(
    db: sqlite3.Connection, org: int, said: Mapping[str, Any], *, seen: int, done: bool
) -> tuple[int, bool]:
    """Bring a job's row up to date; return its number, and whether that was news.

    The number is 0 if this is not to be kept.
    """
    job, known, known_seen, was_done = _known(db, org, said["id"])
    late = seen < known_seen
    if was_done and not done and not late:
        return 0, False  # a job does not come back from its end: a page of a list came late
    news = {
        name: value
        for name, value in said.items()
        if value is not None and (known[name] is None if late else value != known[name])
    }
    if news:
        head = {"org": org, "seen": max(seen, known_seen), "done": was_done or done}
        job = _put(db, job, {**head, **news})
    return job, bool(news)


def _known(db: sqlite3.Connection, org: int, id: str) -> tuple[int, dict[str, Any], int, bool]:
    """Return what is known of a job: its number, its fields, when it was seen, whether done."""
    found = db.execute(_KNOWN_JOB, (org, id)).fetchone()
    if found is None:
        return 0, dict.fromkeys(_KEPT), 0, False
    return found[0], dict(zip(_KEPT, found[3:], strict=True)), found[1], bool(found[2])


def _put(db: sqlite3.Connection, job: int, values: Mapping[str, Any]) -> int:
    """Write a job's row, the one of that number if there is one; return its number."""
    if job:
        changes = ", ".join(f"{name} = ?" for name in values)
        db.execute(f"UPDATE job SET {changes} WHERE number = ?", (*values.values(), job))
        return job
    return int(_insert(db, "job", values).lastrowid or 0)


def _insert(db: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> sqlite3.Cursor:
    """Add a row, if it is not there."""
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
    return db.execute(insert, tuple(values.values()))


def _keep_change(db: sqlite3.Connection, job: int, look: Look, said: Mapping[str, Any]) -> bool:
    """Add a row if the look shows what the one before it did not."""
    before = db.execute(_LAST_CHANGE, (job, look.seen)).fetchone()
    seen, turn, *shown = before or (None, 0, *[None] * len(_TRACKED))
    tracked = [said[name] for name in _TRACKED]
    if all(new is None or new == old for new, old in zip(tracked, shown, strict=True)):
        return False
    turn = turn + 1 if seen == look.seen else 0
    place = {"job": job, "seen": look.seen, "turn": turn, "looked_before": look.before}
    _insert(db, "snapshot", {**place, **{name: said[name] for name in _SNAPSHOT}})
    return True


def _stored(info: JobInfo) -> dict[str, Any]:
    """Return the fields of a job as they are stored; ``more`` is what else was said of it."""
    more = {
        name: value
        for name, value in info.raw.items()
        if name not in _API_NAMES and value is not None
    }
    said = dict(zip(JOB_FIELDS, map(_storable, _fields_of(info)), strict=True))
    told = json.dumps(more, default=str) if more else None
    return {**said, "id": full(str(info.id)), "more": told}


def _storable(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, str):  # half a surrogate pair is no text
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, int):
        return value if -_LARGEST < value < _LARGEST else None
    return moment(value)


def read_jobs(db: sqlite3.Connection, which: Which) -> pa.Table:
    """Return the jobs, newest first: their ``org`` and the fields of `JobInfo`, typed."""
    columns = {
        "COALESCE(org.url, org.id) AS org": "string",
        **{f"job.{name}": dtype for name, dtype in JOB_FIELDS.items()},
    }
    order = "COALESCE(job.created_date, job.seen) DESC, job.number DESC"
    return _read(db, columns, "job", which, order)


def read_snapshots(db: sqlite3.Connection, which: Which) -> pa.Table:
    """Return the changes, job by job and each in time, with some facts of the job."""
    columns = {
        "COALESCE(org.url, org.id) AS org": "string",
        **{f"snapshot.{name}": _MOMENT for name in ("seen", "looked_before")},
        **{f"job.{name}": JOB_FIELDS[name] for name in _BESIDE},
        **{f"snapshot.{name}": dtype for name, dtype in _SNAPSHOT.items()},
    }
    return _read(db, columns, _CHANGES, which, _IN_TIME)


def read_archive(db: sqlite3.Connection, which: Which) -> pa.Table:
    """Return all that is known of the jobs, for `restore`: one row per job, its changes in it."""
    jobs = {f"job.{name}": dtype for name, dtype in {"number": "Int64", **_ARCHIVED}.items()}
    whose = {"org.url": "string", "org.id AS org_id": "string"}
    table = _read(db, {**whose, **jobs}, "job", which, "job.number")
    changes = {f"snapshot.{name}": dtype for name, dtype in {"job": "Int64", **_CHANGE}.items()}
    found = _read(db, changes, _CHANGES, which, _IN_TIME).combine_chunks()
    of_job = np.searchsorted(table["number"].to_numpy(), found["job"].to_numpy())
    ends = np.bincount(of_job, minlength=len(table)).cumsum()
    nested = pa.ListArray.from_arrays(
        pa.array([0, *ends], pa.int32()),
        found.drop_columns("job").to_struct_array().combine_chunks(),
    )
    return table.drop_columns("number").append_column("snapshots", nested).cast(ARCHIVE)


def restore(db: sqlite3.Connection, table: pa.Table) -> set[str]:
    """Keep what `read_archive` returned; return the ids of the jobs of which it had news."""
    news = set()
    for row in table.cast(_plain(table.schema)).to_pylist():
        org = org_number(db, OrgKey(row["url"], row["org_id"]))
        said = {name: row[name] for name in _KEPT}
        job, is_news = _merge(db, org, said, seen=row["seen"], done=bool(row["done"]))
        for change in row["snapshots"] if job else ():
            is_news |= _insert(db, "snapshot", {"job": job, **change}).rowcount > 0
        if is_news:
            news.add(row["id"])
    return news


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return the schema with all but texts as the integers that SQLite keeps."""

    def plain(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_list(kind):
            return pa.list_(plain(kind.value_type))
        if pa.types.is_struct(kind):
            return pa.struct([(field.name, plain(field.type)) for field in kind])
        return kind if kind == pa.string() else pa.int64()

    return pa.schema([(field.name, plain(field.type)) for field in schema])


def _read(
    db: sqlite3.Connection, columns: Mapping[str, str], source: str, which: Which, order: str
) -> pa.Table:
    """Return typed columns, by the names of their SQL."""
    where, values = _where(which)
    found = db.execute(
        f"SELECT {', '.join(columns)} FROM {source} JOIN org ON org.number = job.org"
        f" WHERE {where} ORDER BY {order}",
        values,
    )
    types = {name.rpartition(" ")[2].rpartition(".")[2]: dtype for name, dtype in columns.items()}
    return _table(found, types)


def _where(which: Which) -> tuple[str, list[Any]]:
    """Return the condition and its values."""
    terms: list[str] = []
    values: list[Any] = []

    def demand(term: str, *given: Any) -> None:
        terms.append(term)
        values.extend(given)

    if which.org is None:
        demand("job.org IN (SELECT number FROM org)")  # so that the index is of use
    elif isinstance(which.org, str):
        names = "url, substr(url, instr(url, '//') + 2), id, substr(id, 1, 15)"
        demand(f"job.org IN (SELECT number FROM org WHERE ? IN ({names}))", which.org)
    else:
        url, id = which.org
        found = "id = ? OR (url IS ? AND (id IS NULL OR ? IS NULL))"  # a URL may change hands
        demand(f"job.org IN (SELECT number FROM org WHERE {found})", id, url, id)
    if which.since is not None:
        demand("COALESCE(job.created_date, job.seen) >= ?", which.since)
    for name in ("object", "operation", "state"):
        if (wanted := getattr(which, name)) is not None:
            demand(f"job.{name} = ? COLLATE NOCASE", wanted)
    if which.users is not None:
        marks = ", ".join("?" * len(which.users))
        demand(f"substr(job.created_by_id, 1, 15) IN ({marks})", *(id[:15] for id in which.users))
    if which.ids is not None:
        demand("job.id IN (SELECT value FROM json_each(?))", json.dumps(list(which.ids)))
    return " AND ".join(terms), values


def _table(found: sqlite3.Cursor, types: Mapping[str, str]) -> pa.Table:
    parts = [_typed([], types)]
    while rows := found.fetchmany(_ROWS_AT_A_TIME):
        parts.append(_typed(rows, types))
    return pa.concat_tables(parts)


def _typed(rows: Sequence[Sequence[Any]], types: Mapping[str, str]) -> pa.Table:
    columns: Iterator[Sequence[Any]] = zip(*rows, strict=True) if rows else iter([[]] * len(types))
    return pa.table(
        dict(zip(types, starmap(_column, zip(columns, types.values(), strict=True)), strict=True))
    )


def _column(values: Sequence[Any], dtype: str) -> pa.Array:
    stored = pa.string() if dtype == "string" else pa.int64()
    return pa.array(values, stored).cast(ARROW[dtype])

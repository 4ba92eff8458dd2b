"""What the org holds, in SQLite: records (a table for each object), jobs, batches, results."""

import json
import sqlite3
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain, count, islice, pairwise
from typing import Any, NamedTuple

from bulknb.sandbox import ids, tables
from bulknb.sandbox.schema import ObjectType, Record
from bulknb.sandbox.tables import quote, sql


class Outcome(NamedTuple):
    """What became of a row: no error is success, no id means that there is no record."""

    id: str
    created: bool
    error: str


def _pack(body: str | bytes) -> bytes:
    return zlib.compress(body.encode() if isinstance(body, str) else body, level=1)


def _unpack(packed: bytes) -> str:
    return zlib.decompress(packed).decode()


def _cut(lengths: bytes, text: str) -> Iterator[str]:
    """Yield the pieces of a text that have these lengths."""
    ends = accumulate(array("I", lengths), initial=0)
    return (text[start:end] for start, end in pairwise(ends))


# How much of the data is held in memory.
_CACHE_KIB = 128 * 1024
# Values that one statement writes, at most, unless a single record has more.
_PARAMETERS = 500
# Characters of an upload that are kept, and read again, together.
_PART = 1_000_000
# Rows of a query result that are packed together.
_RUN = 2_000


class Store:
    """The org's data; who calls it holds the org's lock.

    Parameters
    ----------
    path : str
        An SQLite file, or ``:memory:``, which needs no file until the data are many.
    """

    def __init__(self, path: str) -> None:
        # A database without a name stays in memory until it outgrows the cache, and goes on in a
        # file that nobody sees and that ends with it.
        name = "" if path == ":memory:" else path
        self._db = sqlite3.connect(name, check_same_thread=False, isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        # A crash of the machine may lose the last second: this is no real org.
        self._db.execute("PRAGMA synchronous = OFF")
        # What undoes half a statement needs no file.
        self._db.execute("PRAGMA temp_store = MEMORY")
        self._db.executescript(tables.TABLES)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that is written inside, or nothing; may be nested."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def rows(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self._db.execute(statement, values).fetchall()

    def each(self, statement: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, one by one, as tuples."""
        cursor = self._db.execute(statement, values)
        cursor.row_factory = None
        return cursor

    def row(self, statement: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        found: sqlite3.Row | None = self._db.execute(statement, values).fetchone()
        return found

    def execute(self, statement: str, *values: Any) -> None:
        """Run a statement that returns nothing."""
        self._db.execute(statement, values)

    def count(self, name: str) -> int:
        """Return how many jobs or batches there are."""
        found = self.row(sql("SELECT count(*) FROM", name))
        return int(found[0]) if found else 0

    def insert(self, into: str, **values: Any) -> None:
        """Add one row to a table of jobs, batches or results."""
        names = ", ".join(values)
        marks = ", ".join("?" * len(values))
        self._db.execute(
            sql("INSERT INTO", into, "(", names, ") VALUES (", marks, ")"), (*values.values(),)
        )

    def update(self, name: str, key: str, **values: Any) -> None:
        """Change one job or batch."""
        changes = ", ".join(f"{column} = ?" for column in values)
        self._db.execute(
            sql("UPDATE", name, "SET", changes, "WHERE id = ?"), (*values.values(), key)
        )

    def new_ids(self, prefix: str, count: int = 1) -> list[str]:
        """Return the next ids of a kind of record."""
        self._db.execute("INSERT OR IGNORE INTO sequence VALUES (?, 0)", (prefix,))
        (last,) = self._db.execute(
            "UPDATE sequence SET last = last + ? WHERE prefix = ? RETURNING last", (count, prefix)
        ).fetchone()
        return list(ids.run(prefix, range(last - count + 1, last + 1)))

    # Records

    def create_table(self, kind: ObjectType) -> None:
        """Make room for the records of an object."""
        for statement in tables.definitions(kind):
            self._db.execute(statement)

    def records(self, kind: ObjectType) -> list[Record]:
        """Return all records of an object that are not deleted."""
        found = self.rows(sql("SELECT * FROM", tables.records(kind), "WHERE IsDeleted = 0"))
        return [dict(row) for row in found]

    def id_range(self, kind: ObjectType) -> tuple[str, str] | None:
        """Return the first and the last Id of an object, deleted records included."""
        found = self.row(sql("SELECT min(Id), max(Id) FROM", tables.records(kind)))
        return (found[0], found[1]) if found and found[0] else None

    def find(self, kind: ObjectType, field: str, keys: Iterable[Any]) -> list[Record]:
        """Return the records, deleted ones too, whose field has one of these values."""
        names = [field.name for field in kind.all_fields]
        found = self.find_rows(kind, field, keys)
        return [dict(zip(names, row, strict=True)) for row in found]

    def find_rows(self, kind: ObjectType, field: str, keys: Iterable[Any]) -> list[tuple[Any, ...]]:
        """Return such records as tuples, in the order of the object's fields."""
        statement = sql(
            "SELECT * FROM",
            tables.records(kind),
            "WHERE",
            quote(field),
            "IN (SELECT value FROM json_each(?))",
        )
        return [tuple(row) for row in self._db.execute(statement, (json.dumps(list(keys)),))]

    def find_ids(self, kind: ObjectType, field: str, keys: Iterable[Any]) -> list[tuple[Any, str]]:
        """Return (value, Id) of the records, not deleted, whose field has one of these values."""
        statement = sql(
            "SELECT", quote(field), ", Id FROM", tables.records(kind),
            "WHERE", quote(field), "IN (SELECT value FROM json_each(?)) AND IsDeleted = 0",
        )  # fmt: skip
        return [tuple(row) for row in self._db.execute(statement, (json.dumps(list(keys)),))]

    def save(self, kind: ObjectType, records: Sequence[Record]) -> None:
        """Write records, each with all its fields."""
        names = [field.name for field in kind.all_fields]
        self.save_columns(kind, {name: [record[name] for record in records] for name in names})

    def save_columns(self, kind: ObjectType, columns: Mapping[str, Sequence[Any]]) -> None:
        """Write records that are given by the values of all their fields."""
        # A column without a value need not be written.
        given = {tables.STAMP: self._stamps([columns[name] for name in tables.STAMPED])} | {
            quote(name): column
            for name, column in columns.items()
            if name not in tables.STAMPED and column.count(None) < len(column)
        }
        into = sql("INSERT OR REPLACE INTO", tables.stored(kind), "(", ", ".join(given), ") VALUES")
        marks = "(" + ", ".join("?" * len(given)) + ")"
        rows = zip(*given.values(), strict=True)
        # A statement that writes many rows takes two thirds of the time of as many statements.
        while run := list(islice(rows, max(1, _PARAMETERS // len(given)))):
            statement = sql(into, ", ".join([marks] * len(run)))
            self._db.execute(statement, list(chain.from_iterable(run)))

    def _stamps(self, columns: Sequence[Sequence[Any]]) -> list[int]:
        """Return the stamp of each record, by what its stamped fields hold."""
        known = {stamp: self._stamp(stamp) for stamp in set(zip(*columns, strict=True))}
        if len(known) == 1:
            return [*known.values()] * len(columns[0])
        return [known[stamp] for stamp in zip(*columns, strict=True)]

    def _stamp(self, values: tuple[Any, ...]) -> int:
        """Return the number of the stamp with these values, a new one if there is none."""
        same = " AND ".join(f"{name} IS ?" for name in tables.STAMPED)
        if found := self.row(sql("SELECT id FROM stamp WHERE", same), *values):
            return int(found[0])
        into = sql("INSERT INTO stamp (", ", ".join(tables.STAMPED), ") VALUES (?, ?, ?, ?, ?)")
        (number,) = self._db.execute(sql(into, "RETURNING id"), values).fetchone()
        return int(number)

    def remove(self, kind: ObjectType, keys: Iterable[str]) -> None:
        """Erase records for good."""
        self._db.executemany(
            sql("DELETE FROM", tables.stored(kind), "WHERE Id = ?"), [(key,) for key in keys]
        )

    # Jobs

    def job(self, key: str) -> sqlite3.Row | None:
        """Return the job of that id, of 15 or 18 characters; None if there is none."""
        return self.row("SELECT * FROM job WHERE id = ?", ids.normal(key))

    def jobs_after(
        self,
        place: int,
        types: Sequence[str],
        limit: int,
        *,
        chunked_only: bool = False,
        concurrency: str | None = None,
    ) -> list[sqlite3.Row]:
        """Return jobs of these types in the order of lists, from behind a place on."""
        return self.rows(
            """
            SELECT * FROM job
            WHERE place > ? AND type IN (SELECT value FROM json_each(?))
              AND (pk_chunking IS NOT NULL OR NOT ?)
              AND concurrency = coalesce(?, concurrency) COLLATE NOCASE
            ORDER BY place LIMIT ?
            """,
            place,
            json.dumps(list(types)),
            chunked_only,
            concurrency,
            limit,
        )

    def get_job(self, key: str) -> sqlite3.Row:
        """Return the job of that id, which is known to exist."""
        found = self.job(key)
        assert found is not None
        return found

    def batch(self, key: str) -> sqlite3.Row | None:
        """Return the batch of that id, of 15 or 18 characters; None if there is none."""
        return self.row("SELECT * FROM batch WHERE id = ?", ids.normal(key))

    def get_batch(self, key: str) -> sqlite3.Row:
        """Return the batch of that id, which is known to exist."""
        found = self.batch(key)
        assert found is not None
        return found

    def batches(self, job: str, state: str | None = None) -> list[sqlite3.Row]:
        """Return the batches of a job, oldest first; those in one state, if given."""
        return self.rows(
            "SELECT * FROM batch WHERE job = ?1 AND state = coalesce(?2, state) ORDER BY id",
            job,
            state,
        )

    def add_batch(
        self, key: str, job: str, body: str | bytes, at: float, *, next_at: float | None = None
    ) -> None:
        """Add a queued batch; without `next_at` it may start as soon as there is room."""
        self.insert(
            "batch",
            id=key,
            job=job,
            state="Queued",
            created=at,
            modified=at,
            next_at=next_at,
        )
        self.insert("content", batch=key, packed=_pack(body))

    def content(self, batch: str) -> str:
        """Return the body of a batch."""
        found = self.row("SELECT packed FROM content WHERE batch = ?", batch)
        return _unpack(found[0]) if found else ""

    def archive(self, batch: str) -> bytes:
        """Return the body of a batch that is a zip file."""
        found = self.row("SELECT packed FROM content WHERE batch = ?", batch)
        return zlib.decompress(found[0]) if found else b""

    def drop_queued(self, job: str, at: float) -> None:
        """Make the queued batches of a job NotProcessed."""
        self.execute(
            "UPDATE batch SET state = 'NotProcessed', modified = ?, next_at = NULL"
            " WHERE job = ? AND state = 'Queued'",
            at,
            job,
        )

    def running(self) -> list[str]:
        """Return the concurrency mode of the job of each running batch."""
        found = self.rows(
            "SELECT concurrency FROM batch JOIN job ON job.id = batch.job"
            " WHERE batch.state = 'InProgress'"
        )
        return [row[0] for row in found]

    def waiting(self) -> list[tuple[str, str]]:
        """Return (id, concurrency mode) of the batches that wait for room, oldest first."""
        found = self.rows(
            "SELECT batch.id, concurrency FROM batch JOIN job ON job.id = batch.job"
            " WHERE batch.state = 'Queued' AND batch.next_at IS NULL ORDER BY batch.id"
        )
        return [(key, concurrency) for key, concurrency in found]

    def active_jobs(self) -> int:
        """Return how many jobs are in the queue or at work."""
        found = self.row(
            "SELECT count(*) FROM job WHERE state IN ('UploadComplete', 'InProgress')"
            " OR id IN (SELECT job FROM batch WHERE state IN ('Queued', 'InProgress'))"
        )
        return int(found[0]) if found else 0

    def count_batches(self, at: float, batches: int) -> None:
        """Note batches that count against the daily allocation."""
        self.insert("allocation", at=at, batches=batches)

    def batches_since(self, at: float) -> int:
        """Return how many batches have counted since then."""
        found = self.row("SELECT coalesce(sum(batches), 0) FROM allocation WHERE at > ?", at)
        return int(found[0]) if found else 0

    def expired_jobs(self, before: float) -> list[str]:
        """Return the ended jobs whose youngest batch is that old; without one, the job itself."""
        found = self.rows(
            """
            SELECT id FROM job
            WHERE created <= ?1
              AND state IN ('JobComplete', 'Failed', 'Aborted', 'Closed')
              AND coalesce((SELECT max(created) FROM batch b WHERE b.job = job.id), modified) <= ?1
              AND NOT EXISTS (
                SELECT 1 FROM batch b
                WHERE b.job = job.id AND b.state IN ('Queued', 'InProgress')
              )
            ORDER BY id
            """,
            before,
        )
        return [row[0] for row in found]

    def totals(self, job: str) -> sqlite3.Row:
        """Return what the batches of a job come to: states, rows, milliseconds."""
        found = self.row(
            """
            SELECT count(*) AS batches,
                   coalesce(sum(state = 'Queued'), 0) AS queued,
                   coalesce(sum(state = 'InProgress'), 0) AS running,
                   coalesce(sum(state = 'Completed'), 0) AS completed,
                   coalesce(sum(state = 'Failed'), 0) AS broken,
                   coalesce(sum(processed), 0) AS processed,
                   coalesce(sum(failed), 0) AS failed,
                   coalesce(sum(total_ms), 0) AS total_ms,
                   coalesce(sum(api_ms), 0) AS api_ms,
                   coalesce(sum(apex_ms), 0) AS apex_ms,
                   coalesce(sum(retries), 0) AS retries
            FROM batch WHERE job = ?
            """,
            job,
        )
        assert found is not None, "an aggregate always has a row"
        return found

    def save_upload(self, job: str, text: str) -> None:
        """Keep the data of a 2.0 job; of several uploads, the last one."""
        with self.transaction():
            self.drop_upload(job)
            for first in range(0, len(text), _PART):
                part = text[first : first + _PART]
                self.insert("upload", job=job, first=first, content=part)
            self.execute("UPDATE job SET uploads = uploads + 1 WHERE id = ?", job)

    def upload_head(self, job: str, characters: int) -> str:
        """Return the first characters of a job's data; empty if there are none."""
        found = self.row(
            "SELECT substr(content, 1, ?) FROM upload WHERE job = ? AND first = 0", characters, job
        )
        return str(found[0]) if found else ""

    def upload(self, job: str) -> Iterator[str]:
        """Yield the data of a job in parts; nothing if there are none (left)."""
        parts = self.each("SELECT content FROM upload WHERE job = ? ORDER BY first", job)
        return (part for (part,) in parts)

    def drop_upload(self, job: str) -> None:
        """Forget the data of a job."""
        self.execute("DELETE FROM upload WHERE job = ?", job)

    def delete_job(self, job: str) -> None:
        """Forget a job with its batches and results; records stay."""
        with self.transaction():
            owned = "SELECT id FROM batch WHERE job = ?"
            self.execute(sql("DELETE FROM outcome WHERE batch IN (", owned, ")"), job)
            self.execute(
                sql("DELETE FROM result WHERE owner = ? OR owner IN (", owned, ")"), job, job
            )
            self.execute(sql("DELETE FROM content WHERE batch IN (", owned, ")"), job)
            self.execute("DELETE FROM batch WHERE job = ?", job)
            self.drop_upload(job)
            self.execute("DELETE FROM job WHERE id = ?", job)

    def save_outcomes(self, batch: str, first: int, outcomes: Sequence[Outcome]) -> None:
        """Note what became of a run of rows."""
        columns = json.dumps(list(zip(*outcomes, strict=True)))
        self.insert("outcome", batch=batch, first=first, columns=columns)

    def outcomes(self, batch: str) -> dict[int, Outcome]:
        """Return what became of each row of a batch that was processed."""
        found = self.rows(
            "SELECT first, columns FROM outcome WHERE batch = ? ORDER BY first", batch
        )
        return {
            row: Outcome(*outcome)
            for first, columns in found
            for row, outcome in enumerate(zip(*json.loads(columns), strict=True), first)
        }

    def save_results(self, owner: str, lines: Iterable[str]) -> None:
        """Keep the rows of a query, written out in the format of its job."""
        left = iter(lines)
        runs = iter(lambda: list(islice(left, _RUN)), [])
        for first, run in zip(count(0, _RUN), runs, strict=False):
            lengths = array("I", map(len, run)).tobytes()
            text = "".join(run)
            self.insert(
                "result", owner=owner, first=first, count=len(run), lengths=lengths, text=text
            )

    def results(self, owner: str, first: int = 0, limit: int = -1) -> list[str]:
        """Return rows of a query as they were kept."""
        total = self.count_results(owner)
        last = min(total, first + limit) if limit >= 0 else total
        if first >= last:
            return []
        found = self.each(
            "SELECT lengths, text FROM result"
            " WHERE owner = ? AND first >= ? AND first < ? ORDER BY first",
            owner,
            first - first % _RUN,
            last,
        )
        lines = chain.from_iterable(_cut(*row) for row in found)
        return list(islice(lines, first % _RUN, first % _RUN + last - first))

    def count_results(self, owner: str) -> int:
        """Return how many rows a query gave."""
        found = self.row("SELECT total(count) FROM result WHERE owner = ?", owner)
        return int(found[0]) if found else 0

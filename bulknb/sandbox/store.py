"""What the org holds, in SQLite: records (a table for each object), jobs, batches, results."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from bulknb.sandbox import ids
from bulknb.sandbox.schema import ObjectType, Record

_TABLES = """
CREATE TABLE IF NOT EXISTS sequence (prefix TEXT PRIMARY KEY, last INTEGER NOT NULL);

CREATE TABLE IF NOT EXISTS job (
  id TEXT PRIMARY KEY,
  type TEXT NOT NULL,               -- Classic, V2Ingest or V2Query
  place INTEGER NOT NULL,           -- where it stands in lists, which have no order of their own
  operation TEXT NOT NULL,
  object TEXT NOT NULL,
  external_id TEXT,
  assignment_rule TEXT,
  concurrency TEXT NOT NULL DEFAULT 'Parallel',
  content_type TEXT NOT NULL DEFAULT 'CSV',
  delimiter TEXT NOT NULL DEFAULT 'COMMA',
  line_ending TEXT NOT NULL DEFAULT 'LF',
  api_version TEXT NOT NULL,
  query TEXT,
  state TEXT NOT NULL,
  error TEXT,
  created_by TEXT NOT NULL,
  created REAL NOT NULL,            -- seconds since the epoch, as all moments here
  modified REAL NOT NULL,
  uploads INTEGER NOT NULL DEFAULT 0,
  header TEXT,                      -- the first line of what was uploaded, as it was
  next_at REAL                      -- when the engine has to look at it again
);
CREATE INDEX IF NOT EXISTS job_place ON job (place);
CREATE INDEX IF NOT EXISTS job_next ON job (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS upload (  -- until it is cut into batches
  job TEXT PRIMARY KEY REFERENCES job, content TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS batch (
  id TEXT PRIMARY KEY,
  job TEXT NOT NULL REFERENCES job,
  state TEXT NOT NULL,
  message TEXT,
  content TEXT NOT NULL,
  created REAL NOT NULL,
  modified REAL NOT NULL,
  started REAL,
  processed INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  total_ms INTEGER NOT NULL DEFAULT 0,
  api_ms INTEGER NOT NULL DEFAULT 0,
  apex_ms INTEGER NOT NULL DEFAULT 0,
  next_at REAL
);
CREATE INDEX IF NOT EXISTS batch_job ON batch (job);
CREATE INDEX IF NOT EXISTS batch_next ON batch (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS batch_queued ON batch (id) WHERE state = 'Queued';
CREATE INDEX IF NOT EXISTS batch_running ON batch (id) WHERE state = 'InProgress';

CREATE TABLE IF NOT EXISTS outcome (
  batch TEXT, row INTEGER, id TEXT NOT NULL, created INTEGER NOT NULL, error TEXT NOT NULL,
  PRIMARY KEY (batch, row)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS result (  -- rows of a query, written out
  owner TEXT, row INTEGER, text TEXT NOT NULL,
  PRIMARY KEY (owner, row)
) WITHOUT ROWID;
"""


class Outcome(NamedTuple):
    """What became of a row: no error is success, no id means that there is no record."""

    id: str
    created: bool
    error: str


def sql(*words: str) -> str:
    """Return one statement; names in it come from `quote`, values go in as parameters."""
    return " ".join(words)


def quote(name: str) -> str:
    """Return a name of a declared object or field as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def table(kind: ObjectType) -> str:
    """Return the quoted name of the table that holds an object's records."""
    return quote(f"{kind.name} records")


# A batch without its content, which may be long.
_BATCH = (
    "SELECT id, job, state, message, created, modified, started, processed, failed,"
    " total_ms, api_ms, apex_ms, next_at FROM batch"
)


class Store:
    """The org's data; who calls it holds the org's lock.

    Parameters
    ----------
    path : str
        An SQLite file, or ``:memory:``.
    """

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        # A crash of the machine may lose the last second: this is no real org.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.executescript(_TABLES)

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
        return [ids.make(prefix, number) for number in range(last - count + 1, last + 1)]

    # Records

    def create_table(self, kind: ObjectType) -> None:
        """Make room for the records of an object."""
        columns = ", ".join(
            f"{quote(field.name)} {field.kind.sql}" + " PRIMARY KEY" * (field.name == "Id")
            for field in kind.all_fields
        )
        # Without a row number of its own, a table is ordered by Id, that is, by creation.
        self._db.execute(
            sql("CREATE TABLE IF NOT EXISTS", table(kind), "(", columns, ") WITHOUT ROWID")
        )
        for field in kind.all_fields:
            if field.unique or (field.indexed and field.name != "Id"):
                name = quote(f"{kind.name} by {field.name}")
                column = quote(field.name)
                self._db.execute(
                    sql("CREATE INDEX IF NOT EXISTS", name, "ON", table(kind), "(", column, ")")
                )

    def records(self, kind: ObjectType) -> list[Record]:
        """Return all records of an object that are not deleted."""
        found = self.rows(sql("SELECT * FROM", table(kind), "WHERE IsDeleted = 0"))
        return [dict(row) for row in found]

    def find(self, kind: ObjectType, field: str, keys: Iterable[Any]) -> list[Record]:
        """Return the records, deleted ones too, whose field has one of these values."""
        statement = sql(
            "SELECT * FROM",
            table(kind),
            "WHERE",
            quote(field),
            "IN (SELECT value FROM json_each(?))",
        )
        return [dict(row) for row in self._db.execute(statement, (json.dumps(list(keys)),))]

    def find_ids(self, kind: ObjectType, field: str, keys: Iterable[Any]) -> list[tuple[Any, str]]:
        """Return (value, Id) of the records, not deleted, whose field has one of these values."""
        statement = sql(
            "SELECT", quote(field), ", Id FROM", table(kind),
            "WHERE", quote(field), "IN (SELECT value FROM json_each(?)) AND IsDeleted = 0",
        )  # fmt: skip
        return [tuple(row) for row in self._db.execute(statement, (json.dumps(list(keys)),))]

    def save(self, kind: ObjectType, records: Sequence[Record]) -> None:
        """Write records, each with all its fields in the object's order."""
        marks = ", ".join("?" * len(kind.all_fields))
        self._db.executemany(
            sql("INSERT OR REPLACE INTO", table(kind), "VALUES (", marks, ")"),
            [tuple(record.values()) for record in records],
        )

    def remove(self, kind: ObjectType, keys: Iterable[str]) -> None:
        """Erase records for good."""
        self._db.executemany(
            sql("DELETE FROM", table(kind), "WHERE Id = ?"), [(key,) for key in keys]
        )

    # Jobs

    def job(self, key: str) -> sqlite3.Row | None:
        """Return the job of that id, of 15 or 18 characters; None if there is none."""
        return self.row("SELECT * FROM job WHERE id = ?", ids.normal(key))

    def jobs_after(self, place: int, types: Sequence[str], limit: int) -> list[sqlite3.Row]:
        """Return jobs of these types in the order of lists, from behind a place on."""
        return self.rows(
            "SELECT * FROM job WHERE place > ? AND type IN (SELECT value FROM json_each(?))"
            " ORDER BY place LIMIT ?",
            place,
            json.dumps(list(types)),
            limit,
        )

    def get_job(self, key: str) -> sqlite3.Row:
        """Return the job of that id, which is known to exist."""
        found = self.job(key)
        assert found is not None
        return found

    def batch(self, key: str) -> sqlite3.Row | None:
        """Return the batch of that id, of 15 or 18 characters; None if there is none."""
        return self.row(sql(_BATCH, "WHERE id = ?"), ids.normal(key))

    def get_batch(self, key: str) -> sqlite3.Row:
        """Return the batch of that id, which is known to exist."""
        found = self.batch(key)
        assert found is not None
        return found

    def batches(self, job: str, state: str | None = None) -> list[sqlite3.Row]:
        """Return the batches of a job, oldest first; those in one state, if given."""
        return self.rows(
            sql(_BATCH, "WHERE job = ?1 AND state = coalesce(?2, state) ORDER BY id"), job, state
        )

    def add_batch(
        self, key: str, job: str, text: str, at: float, *, next_at: float | None = None
    ) -> None:
        """Add a queued batch; without `next_at` it may start as soon as there is room."""
        self.insert(
            "batch",
            id=key,
            job=job,
            state="Queued",
            content=text,
            created=at,
            modified=at,
            next_at=next_at,
        )

    def content(self, batch: str) -> str:
        """Return the body of a batch."""
        found = self.row("SELECT content FROM batch WHERE id = ?", batch)
        return str(found[0]) if found else ""

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
                   coalesce(sum(apex_ms), 0) AS apex_ms
            FROM batch WHERE job = ?
            """,
            job,
        )
        assert found is not None, "an aggregate always has a row"
        return found

    def save_upload(self, job: str, text: str) -> None:
        """Keep the data of a 2.0 job; of several uploads, the last one."""
        self.execute("INSERT OR REPLACE INTO upload VALUES (?, ?)", job, text)
        self.execute("UPDATE job SET uploads = uploads + 1 WHERE id = ?", job)

    def take_upload(self, job: str) -> str:
        """Return the data of a job, once; empty if there are none (left)."""
        found = self.row("SELECT content FROM upload WHERE job = ?", job)
        self.execute("DELETE FROM upload WHERE job = ?", job)
        return str(found[0]) if found else ""

    def delete_job(self, job: str) -> None:
        """Forget a job with its batches and results; records stay."""
        with self.transaction():
            owned = "SELECT id FROM batch WHERE job = ?"
            self.execute(sql("DELETE FROM outcome WHERE batch IN (", owned, ")"), job)
            self.execute(
                sql("DELETE FROM result WHERE owner = ? OR owner IN (", owned, ")"), job, job
            )
            self.execute("DELETE FROM batch WHERE job = ?", job)
            self.execute("DELETE FROM upload WHERE job = ?", job)
            self.execute("DELETE FROM job WHERE id = ?", job)

    def save_outcomes(self, batch: str, first: int, outcomes: Sequence[Outcome]) -> None:
        """Note what became of a run of rows."""
        self._db.executemany(
            "INSERT INTO outcome VALUES (?, ?, ?, ?, ?)",
            [(batch, row, *outcome) for row, outcome in enumerate(outcomes, first)],
        )

    def outcomes(self, batch: str) -> dict[int, Outcome]:
        """Return what became of each row of a batch that was processed."""
        found = self._db.execute(
            "SELECT row, id, created, error FROM outcome WHERE batch = ? ORDER BY row", (batch,)
        )
        return {row: Outcome(key, bool(created), error) for row, key, created, error in found}

    def save_results(self, owner: str, lines: Iterable[str]) -> None:
        """Keep the rows of a query, written out in the format of its job."""
        self._db.executemany(
            "INSERT INTO result VALUES (?, ?, ?)",
            ((owner, row, line) for row, line in enumerate(lines)),
        )

    def results(self, owner: str, first: int = 0, limit: int = -1) -> list[str]:
        """Return rows of a query as they were kept."""
        found = self._db.execute(
            "SELECT text FROM result WHERE owner = ? AND row >= ? ORDER BY row LIMIT ?",
            (owner, first, limit),
        )
        return [row[0] for row in found]

    def count_results(self, owner: str) -> int:
        """Return how many rows a query gave."""
        found = self.row("SELECT count(*) FROM result WHERE owner = ?", owner)
        return int(found[0]) if found else 0

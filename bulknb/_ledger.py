"""What must outlive a kernel, in one SQLite file: the journal of loads, and what was seen of jobs.

A load writes down what it is about to do before it does it, each time flushed to the disk. If that
cannot be written, it is not done. So what a dead kernel left can always be told from the file and
the org. The file holds neither rows nor tokens: of a chunk its range, its hash, and a mark per row;
of a job what Salesforce says of it, in whose error message a value may stand.

The file keeps SQLite's rollback journal, which works on the network homes of JupyterHub too; each
access opens it anew, so that a forked or killed process leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sqlite3
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import platformdirs
import pyarrow as pa

from . import _snapshots
from ._jobinfo import JobInfo
from ._snapshots import Look, OrgKey, Which
from ._wire import Clock
from .errors import LeaseLostError, LedgerError

__all__ = ["Journal", "Ledger", "LoadRecord", "PartRecord"]

#: Names the file, in place of ``ledger.sqlite`` in the user's own data folder.
ENVIRONMENT = "BULKNB_LEDGER"
#: A load that writes nothing for so long may be taken over by another kernel.
LEASE_SECONDS = 300.0

_BUSY_SECONDS = 5.0
_PATIENCE_SECONDS = 30.0
_BUSY = ("locked", "busy")
_JITTER = random.SystemRandom()

_VERSION = 4
_LOADS = """
CREATE TABLE load (
    id TEXT PRIMARY KEY, org TEXT NOT NULL, parent TEXT, began REAL NOT NULL, ended REAL,
    rows INTEGER, wanted TEXT NOT NULL, places BLOB,
    owner TEXT NOT NULL, held_until REAL NOT NULL, fence INTEGER NOT NULL
);
CREATE TABLE part (
    load TEXT NOT NULL, number INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
    state TEXT NOT NULL, sha256 TEXT NOT NULL, names TEXT NOT NULL, job TEXT, batch TEXT,
    PRIMARY KEY (load, number)
);
CREATE TABLE mark (
    load TEXT NOT NULL, number INTEGER NOT NULL, marks BLOB NOT NULL, PRIMARY KEY (load, number)
);
CREATE TABLE made (job TEXT PRIMARY KEY, load TEXT NOT NULL);
"""

T = TypeVar("T")


@dataclass(frozen=True)
class LoadRecord:
    """A load as the ledger knows it.

    ``rows`` is missing until a stream has been read to its end; ``wanted`` is what it was asked to
    do, as JSON; ``places`` say where in the source each row sent stands, if not just there.
    """

    id: str
    org: str
    parent: str | None
    began: float
    ended: float | None
    rows: int | None
    wanted: str
    places: bytes | None


@dataclass(frozen=True)
class PartRecord:
    """Rows ``start`` to ``stop`` of a load, and how far they are.

    ``marks`` holds a hash of each row over the columns ``names`` (JSON): results are told apart by
    it when the frame is gone.
    """

    number: int
    start: int
    stop: int
    state: str
    sha256: str
    names: str
    job: str | None
    batch: str | None
    marks: bytes


class Ledger:
    """The file, at the place that ``BULKNB_LEDGER`` names or in the user's own data folder.

    Parameters
    ----------
    path : path, optional
        Another place.

    Raises
    ------
    LedgerError
        From every method that writes: the file is not writable, or of a newer bulknb.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        chosen = path or os.environ.get(ENVIRONMENT)
        self.path = Path(chosen) if chosen else _default_path()

    def __repr__(self) -> str:
        return f"Ledger({str(self.path)!r})"

    def begin(
        self,
        org: str,
        wanted: dict[str, Any],
        *,
        rows: int | None,
        places: bytes | None = None,
        parent: str | None,
        clock: Clock,
    ) -> Journal:
        """Note a new load, and return its journal, held by this process."""
        record = LoadRecord(
            uuid.uuid4().hex, org, parent, clock.time(), None, rows, json.dumps(wanted), places
        )
        lease = (_owner(), clock.time() + LEASE_SECONDS, 1)

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT INTO load VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*astuple(record), *lease),
            )

        self._write(work)
        return Journal(self, record, 1, clock)

    def claim(self, record: LoadRecord, clock: Clock) -> Journal | None:
        """Return the journal of a load that nobody is at, now held by this process, else None."""

        def work(db: sqlite3.Connection) -> int | None:
            found = db.execute(
                "SELECT owner, held_until, fence FROM load WHERE id = ? AND ended IS NULL",
                (record.id,),
            ).fetchone()
            if found is None or (found[1] > clock.time() and _lives(found[0])):
                return None
            db.execute(
                "UPDATE load SET owner = ?, held_until = ?, fence = fence + 1 WHERE id = ?",
                (_owner(), clock.time() + LEASE_SECONDS, record.id),
            )
            return int(found[2]) + 1

        fence = self._write(work)
        return None if fence is None else Journal(self, record, fence, clock)

    def unfinished(self, url: str, id: str | None = None) -> list[LoadRecord]:
        """Return the loads into an org that have not come to their end, oldest first.

        They are found by the org's id, which stays when its URL changes, or where a session did not
        tell it by the URL.
        """
        found = self._read(
            "SELECT id, org, parent, began, ended, rows, wanted, places FROM load"
            " WHERE org IN (?, ?) AND ended IS NULL ORDER BY began",
            url,
            id,
        )
        return [LoadRecord(*row) for row in found]

    def parts(self, record: LoadRecord) -> list[PartRecord]:
        """Return the parts of a load, in their order."""
        found = self._read(
            "SELECT part.*, ifnull(marks, x'') FROM part LEFT JOIN mark USING (load, number)"
            " WHERE load = ? ORDER BY number",
            record.id,
        )
        return [PartRecord(*row[1:]) for row in found]

    def made(self, record: LoadRecord) -> list[str]:
        """Return the ids of all jobs that a load has made, those given up included."""
        return [row[0] for row in self._read("SELECT job FROM made WHERE load = ?", record.id)]

    def knows(self, job: str) -> bool:
        """Return whether a load of this ledger made the job."""
        return bool(self._read("SELECT 1 FROM made WHERE job = ?", job))

    def keep(
        self, org: OrgKey, looks: Iterable[Look], *, patience: float | None = None
    ) -> set[str]:
        """Keep looks at jobs of an org; return the ids of those that brought news.

        With `patience`, another process that is writing is waited for so many seconds only.
        """
        return self._write(lambda db: _snapshots.keep(db, org, looks), patience)

    def jobs(self, which: Which) -> pa.Table:
        """Return the newest of each job that was seen: ``org`` and the fields of `JobInfo`."""
        return self._table(_snapshots.read_jobs, which)

    def snapshots(self, which: Which) -> pa.Table:
        """Return a row per change of a job that was seen."""
        return self._table(_snapshots.read_snapshots, which)

    def archive(self, which: Which) -> pa.Table:
        """Return all that was seen of jobs as one table, for `restore`."""
        return self._table(_snapshots.read_archive, which)

    def restore(self, archive: pa.Table) -> set[str]:
        """Keep what another ledger had; return the ids of the jobs of which it had news."""
        return self._write(lambda db: _snapshots.restore(db, archive))

    # The file

    def _table(
        self, read: Callable[[sqlite3.Connection, Which], pa.Table], which: Which
    ) -> pa.Table:
        if self.path.exists():
            return self._write(lambda db: read(db, which))
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            _migrate(db)
            return read(db, which)

    def _read(self, query: str, *values: object) -> list[Any]:
        if not self.path.exists():
            return []
        return self._write(lambda db: db.execute(query, values).fetchall())

    def _write(self, work: Callable[[sqlite3.Connection], T], patience: float | None = None) -> T:
        """Do the work as one transaction that is on the disk when this returns."""
        patience = _PATIENCE_SECONDS if patience is None else patience
        # Other processes hold the file by the real time, whatever the clock of the org shows.
        deadline = time.monotonic() + patience
        while True:
            try:
                self._prepare()
                wait = min(_BUSY_SECONDS, patience)
                with closing(sqlite3.connect(self.path, wait, isolation_level=None)) as db:
                    db.execute("PRAGMA synchronous = FULL")
                    # What goes are marks, of each row a hash: wiped out, they would cost as much as
                    # to write them. Nobody but the owner of the file could read them before either.
                    db.execute("PRAGMA secure_delete = FAST")
                    # At once the lock to write: one that is asked for later may be refused.
                    db.execute("BEGIN IMMEDIATE")
                    _migrate(db)
                    result = work(db)
                    db.execute("COMMIT")
                    return result
            except (sqlite3.Error, OSError) as error:
                trouble = str(error)
            if time.monotonic() > deadline or not any(word in trouble for word in _BUSY):
                break
            time.sleep(_JITTER.uniform(0.005, 0.05))
        raise LedgerError(
            f"The ledger {self.path} cannot be written ({trouble}), and without it a load could "
            f"not be resumed. Make room there, or name another file by {ENVIRONMENT}"
        )

    def _prepare(self) -> None:
        """Make the file, if it is not there, for its owner alone."""
        if self.path.is_symlink():
            raise LedgerError(f"The ledger {self.path} is a symbolic link; name the file itself")
        if self.path.exists():
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its own files beside this one the same mode.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))


class Journal:
    """The right to go on with one load, and the writing down of its steps.

    Each write is refused with `LeaseLostError` once another process has claimed the load.
    """

    def __init__(self, ledger: Ledger, record: LoadRecord, fence: int, clock: Clock) -> None:
        self.ledger = ledger
        self.record = record
        self._fence = fence
        self._clock = clock
        self._held = clock.time()

    def write(self, part: PartRecord) -> None:
        """Note how far a part is, before the request that takes it further."""
        *facts, marks = astuple(part)

        def work(db: sqlite3.Connection) -> None:
            self._hold(db)
            db.execute(
                "INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (self.record.id, *facts),
            )
            # They stay as they are, and are most of what there is to write.
            if marks:
                values = (self.record.id, part.number, marks)
                db.execute("INSERT OR IGNORE INTO mark VALUES (?, ?, ?)", values)
            if part.job:
                db.execute("INSERT OR REPLACE INTO made VALUES (?, ?)", (part.job, self.record.id))

        self.ledger._write(work)

    def count(self, rows: int | None) -> None:
        """Note how many rows there are, once a stream has been read."""

        def work(db: sqlite3.Connection) -> None:
            self._hold(db)
            db.execute("UPDATE load SET rows = ? WHERE id = ?", (rows, self.record.id))

        self.ledger._write(work)
        self.record = replace(self.record, rows=rows)

    def change(self, wanted: dict[str, Any]) -> None:
        """Note what the load is to do from now on, before it does it."""

        def work(db: sqlite3.Connection) -> None:
            self._hold(db)
            values = (json.dumps(wanted), self.record.id)
            db.execute("UPDATE load SET wanted = ? WHERE id = ?", values)

        self.ledger._write(work)

    def hold(self) -> None:
        """Keep the load, if it is some time since it was last said."""
        if self._clock.time() - self._held > LEASE_SECONDS / 4:
            self.ledger._write(self._hold)

    def end(self) -> None:
        """Note that nothing is left to resume; what only that would need is let go."""

        def work(db: sqlite3.Connection) -> None:
            self._hold(db)
            now = self._clock.time()
            db.execute("UPDATE load SET ended = ? WHERE id = ?", (now, self.record.id))
            db.execute("DELETE FROM mark WHERE load = ?", (self.record.id,))

        self.ledger._write(work)

    def let_go(self) -> None:
        """Let any kernel resume the load from now on."""

        def work(db: sqlite3.Connection) -> None:
            self._hold(db)
            db.execute("UPDATE load SET held_until = 0 WHERE id = ?", (self.record.id,))

        self.ledger._write(work)

    def _hold(self, db: sqlite3.Connection) -> None:
        now = self._clock.time()
        done = db.execute(
            "UPDATE load SET held_until = ? WHERE id = ? AND fence = ?",
            (now + LEASE_SECONDS, self.record.id, self._fence),
        )
        if done.rowcount != 1:
            raise LeaseLostError("Another kernel has taken over this load: look there, or later")
        self._held = now


def _default_path() -> Path:
    return platformdirs.user_data_path("bulknb", appauthor=False) / "ledger.sqlite"


def _migrate(db: sqlite3.Connection) -> None:
    """Make the tables in a new file, or those that an older one lacks; refuse that of a newer."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise LedgerError("The ledger was written by a newer bulknb: update bulknb")
    if version == _VERSION:
        return
    # Up to version 3 rows had other marks: a load that was broken off cannot be told by them.
    for table in ("load", "part", "mark", "made"):
        db.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in _LOADS.split(";"):
        db.execute(statement)
    if version == 0:
        _snapshots.make_tables(db)
    elif version == 1:
        _from_1(db)
    db.execute(f"PRAGMA user_version = {_VERSION}")


def _from_1(db: sqlite3.Connection) -> None:
    """Take over the jobs of the first version, which kept each change as JSON."""
    changes = db.execute("SELECT org, seen, info FROM snapshot ORDER BY seen").fetchall()
    db.execute("DROP TABLE snapshot")
    _snapshots.make_tables(db)
    for org, seen, info in changes:
        look = Look(JobInfo.from_dict(json.loads(info)), _snapshots.moment(seen))
        _snapshots.keep(db, OrgKey(org), [look])


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _lives(owner: str) -> bool:
    """Tell whether a process may still be there; of another machine nobody knows."""
    host, _, pid = owner.rpartition(":")
    if host != socket.gethostname() or sys.platform == "win32":
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

"""What becomes of a job as time passes: it waits, its batches run, rows are saved 200 at a time.

The schedule is in the store (`next_at` of jobs and batches), so that it does not matter who
calls the engine: a request, a thread that ticks, or a manual clock. Whoever calls, what was due
happens in its order and at its own time.

A job waits in the queue, longer if others are at work. At most five batches run at a time. A
transaction takes the time its object says for each row, once for the API and once for Apex;
reading and writing the batch, and waiting for locked parents, come on top and are the part of the
total processing time that is not active.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Row

from bulknb.sandbox import archive, bulkquery, content, csvtext, ids, locks, pkchunks
from bulknb.sandbox.denied import DeniedError
from bulknb.sandbox.faults import Fault, FaultPlan
from bulknb.sandbox.physics import Physics
from bulknb.sandbox.plan import BatchError, Plan
from bulknb.sandbox.results import write_results
from bulknb.sandbox.rows import Transaction
from bulknb.sandbox.schema import ObjectType
from bulknb.sandbox.soql import Query, SoqlError
from bulknb.sandbox.store import Outcome, Store

BATCH_ROWS = 10_000
TRANSACTION_ROWS = 200
PARALLEL_BATCHES = 5
# "Bulk API and Bulk API 2.0 Limits and Allocations": batches of both, in any 24 hours.
DAILY_BATCHES = 15_000
DAY = 24 * 3600
# How long an ended job can be asked for, counted from its youngest batch.
RETENTION = 7 * DAY
ALLOCATION_USED_UP = "ApiBatchItems Limit exceeded"
INTERNAL_ERROR = "InternalServerError : An internal error was planned"

QUERY_OPERATIONS = frozenset({"query", "queryAll"})


@dataclass(frozen=True)
class Work:
    """A running batch of rows, read and planned."""

    job: Row
    plan: Plan
    rows: Sequence[list[str]]


class Engine:
    """Moves jobs on.

    Parameters
    ----------
    store : Store
        The org's data, the schedule included.
    objects : mapping
        All objects, by name in small letters.
    seed : int
        What the variation of times depends on.
    faults : FaultPlan
        What befalls jobs besides.
    daily_batches : int
        How many batches any 24 hours allow.
    """

    def __init__(
        self,
        store: Store,
        objects: Mapping[str, ObjectType],
        seed: int,
        *,
        faults: FaultPlan,
        daily_batches: int = DAILY_BATCHES,
    ) -> None:
        self.daily_batches = daily_batches
        self._store = store
        self._objects = objects
        self._physics = Physics(seed)
        self._faults = faults
        self._locks = locks.Locks()
        self._work: dict[str, Work] = {}

    # The clock's side

    def run_until(self, now: float) -> None:
        """Let happen all that is due by `now`."""
        # One transaction of the store for all of it: to commit each step costs as much as the step.
        with self._store.transaction():
            while (due := self._next()) and due["at"] <= now:
                if job := self._store.row("SELECT * FROM job WHERE id = ?", due["id"]):
                    self._move_job(job, due["at"])
                elif batch := self._store.batch(due["id"]):
                    self._move_batch(batch, due["at"])
        self._expire(now)

    def _expire(self, now: float) -> None:
        """Forget jobs that ended long ago, which an org does up to a day later."""
        expired = self._store.expired_jobs(now - RETENTION)
        if early := self._faults.jobs_with("expire"):
            expired += [key for key in self._store.expired_jobs(now) if key in early]
        for key in expired:
            self._store.delete_job(key)

    def _next(self) -> Row | None:
        return self._store.row(
            """
            SELECT id, next_at AS at FROM job WHERE next_at IS NOT NULL
            UNION ALL
            SELECT id, next_at FROM batch WHERE next_at IS NOT NULL
            ORDER BY 2, 1 LIMIT 1
            """
        )

    # The caller's side

    def enqueue_job(self, job: str, now: float) -> None:
        """Put a 2.0 job, whose data are complete, into the queue."""
        self._store.update(
            "job", job, state="UploadComplete", modified=now, next_at=now + self._wait(job)
        )

    def add_batch(self, job: str, body: str | bytes, now: float) -> str:
        """Put a 1.0 batch into the queue and return its id.

        Raises
        ------
        DeniedError
            The daily allocation of batches is used up.
        """
        if not self._room(job, now):
            raise DeniedError("ExceededQuota", ALLOCATION_USED_UP)
        self._store.count_batches(now, 1)
        (key,) = self._store.new_ids(ids.BATCH)
        self._store.add_batch(key, job, body, now, next_at=now + self._wait(key))
        return key

    def batches_left(self, now: float) -> int:
        """Return how many more batches the day allows."""
        return max(0, self.daily_batches - self._store.batches_since(now - DAY))

    def _room(self, job: str, now: float) -> int:
        """Return how many more batches a job may have."""
        room = self.batches_left(now)
        if fault := self._faults.of_job("allocation", job):
            room = min(room, max(0, fault.nth - 1 - len(self._store.batches(job))))
        return room

    def abort(self, job: Row, now: float) -> None:
        """Abort a job; what was saved stays saved.

        A transaction cannot be broken off. In an org it commits a moment after the abort; here
        the abort waits for it, so that a result read after the answer is final.
        """
        with self._store.transaction():
            self._store.update("job", job["id"], state="Aborted", modified=now, next_at=None)
            self._cut(job, now)
            self._store.drop_queued(job["id"], now)
            if job["type"] == "V2Ingest":  # a 1.0 batch at work runs to its end
                self._stop_batches(job["id"], now)

    def _stop_batches(self, job: str, now: float) -> None:
        """End the running batches of a job after the transactions they are at."""
        for batch in self._store.batches(job, "InProgress"):
            if batch["attempts"] is None:
                self._commit(batch, now)
            self._end_batch(batch["id"], "NotProcessed", now)

    # 2.0 jobs

    def _move_job(self, job: Row, at: float) -> None:
        if job["type"] == "V2Ingest":
            self._start_ingest(job, at)
        elif job["state"] == "UploadComplete":
            self._start_query(job, at)
        else:
            self._store.update("job", job["id"], state="JobComplete", modified=at, next_at=None)

    def _start_ingest(self, job: Row, at: float) -> None:
        # As much as the longest header with its line end has.
        head = self._store.upload_head(job["id"], content.MAX_HEADER_CHARACTERS + 2)
        header = self._cut(job, at, self._room(job["id"], at))
        try:
            content.check_head(head, job["line_ending"])
            self._plan(job, content.read_csv(header, csvtext.delimiter(job)).columns)
        except content.LineEndingError as error:
            self._fail_job(job["id"], f"ClientInputError : {error}", at)
            return
        except ValueError as error:
            self._fail_job(job["id"], f"InvalidBatch : {error}", at)
            return
        self._store.update("job", job["id"], state="InProgress", modified=at, next_at=None)
        self._start_waiting(at)
        self._complete_if_done(job["id"], at)

    def _fail_job(self, job: str, message: str, at: float) -> None:
        """End a 2.0 job for good; what was saved stays saved."""
        self._store.update("job", job, state="Failed", error=message, modified=at, next_at=None)
        self._store.drop_queued(job, at)

    def _cut(self, job: Row, at: float, room: int | None = None) -> str:
        """Cut an upload into queued batches and return its header line, empty if it has none.

        With `room`, only so many batches, which count against the daily allocation. Of the others
        an org records no results, not even as unprocessed ("Get Job Unprocessed Record Results").
        The job fails as soon as those that it has are done.
        """
        upload = self._store.upload(job["id"])
        pieces = csvtext.split(upload, csvtext.delimiter(job), BATCH_ROWS)
        header = next(pieces, "")
        for count, text in enumerate(pieces):
            if room is not None and count >= room:
                self._store.update("job", job["id"], error=f"ExceededQuota : {ALLOCATION_USED_UP}")
                break
            if room is not None:
                self._store.count_batches(at, 1)
            (key,) = self._store.new_ids(ids.BATCH)
            self._store.add_batch(key, job["id"], text, at)
        self._store.drop_upload(job["id"])
        if header:
            self._store.update("job", job["id"], header=header)
        return header

    def _complete_if_done(self, job: str, at: float) -> None:
        """A 2.0 ingest job has ended with its last batch; a 1.0 job stays as it is."""
        totals = self._store.totals(job)
        if not totals["queued"] and not totals["running"]:
            self._store.execute(
                "UPDATE job SET state = iif(error IS NULL, 'JobComplete', 'Failed'), modified = ?"
                " WHERE id = ? AND state = 'InProgress'",
                at,
                job,
            )

    def _start_query(self, job: Row, at: float) -> None:
        query = bulkquery.of_job(job, self._objects)
        count = write_results(self._store, query, job, owner=job["id"])
        done = at + self.query_ms(job["id"], count) / 1000
        self._store.update("job", job["id"], state="InProgress", modified=at, next_at=done)

    # Batches

    def _move_batch(self, batch: Row, at: float) -> None:
        if batch["state"] == "Queued":
            self._leave_queue(batch, at)
            self._start_waiting(at)
        elif self._store.get_job(batch["job"])["operation"] in QUERY_OPERATIONS:
            self._end_query_batch(batch, at)
        elif batch["attempts"] is not None:
            self._begin(batch, at)
        elif batch["processed"] or not self._strike(batch, at):
            self._commit(batch, at)
            self._go_on(batch["id"], at)

    def _leave_queue(self, batch: Row, at: float) -> None:
        """Let a batch start when there is room, or its chunks: these do not queue once more."""
        job = self._store.get_job(batch["job"])
        chunking = pkchunks.Chunking.read(job["pk_chunking"] or "")
        if chunking is None:
            self._store.update("batch", batch["id"], next_at=None)
            return
        state, message = "NotProcessed", None
        try:
            text = self._store.content(batch["id"])
            kind = self._read_query(job, text).kind
            chunks = pkchunks.split(text, kind, chunking, self._objects, self._store)
            self._store.count_batches(at, len(chunks))
            keys = self._store.new_ids(ids.BATCH, len(chunks))
            for key, chunk in zip(keys, chunks, strict=True):
                self._store.add_batch(key, job["id"], chunk, at)
        except ValueError as error:
            state, message = "Failed", f"InvalidBatch : {error}"
        self._store.update(
            "batch", batch["id"], state=state, message=message, modified=at, next_at=None
        )

    def _start_waiting(self, at: float) -> None:
        """Start queued batches, oldest first, as long as there is room."""
        running = self._store.running()
        room = PARALLEL_BATCHES - len(running)
        serial = "Serial" in running
        for key, concurrency in self._store.waiting() if room else ():
            if not room:
                return
            if concurrency == "Serial" and serial:
                continue
            serial = serial or concurrency == "Serial"
            room -= self._start_batch(key, at)

    def _start_batch(self, key: str, at: float) -> bool:
        """Begin a batch; false if it failed at once and takes no room."""
        job = self._store.get_job(self._store.get_batch(key)["job"])
        self._store.update("batch", key, state="InProgress", started=at, modified=at)
        try:
            if job["operation"] in QUERY_OPERATIONS:
                self._start_query_batch(key, job, at)
            else:
                self._start_rows(key, job, at)
        except ValueError as error:
            message = f"InvalidBatch : {error}"
            self._store.update("batch", key, state="Failed", message=message)
            if job["type"] == "V2Ingest":
                self._store.update("job", job["id"], error=message)
                self._complete_if_done(job["id"], at)
            return False
        return True

    def _start_rows(self, key: str, job: Row, at: float) -> None:
        if self._fault("fail_batch", key, job["id"]):
            raise BatchError("The batch was planned to fail")
        work = self._work[key] = self._read(job, key)
        read = at + self._physics.reading_seconds(key, len(work.rows))
        if work.plan.kind.locks_parents:
            self._store.update("batch", key, attempts=0, next_at=read)
        else:
            self._schedule(work, key, 0, read)

    def _read(self, job: Row, batch: str) -> Work:
        if job["type"] == "V2Ingest":
            text = self._store.content(batch)
            found = content.read_csv(f"{job['header']}\n{text}", csvtext.delimiter(job))
            return Work(job, self._plan(job, found.columns), found.rows)
        zipped = job["content_type"].startswith(content.ZIP)
        packed = archive.read(self._store.archive(batch)) if zipped else None
        text = packed.request if packed else self._store.content(batch)
        found = content.READERS[job["content_type"].removeprefix(content.ZIP)](text)
        if len(found.rows) > BATCH_ROWS:
            raise ValueError(f"Maximum number of records exceeded: {BATCH_ROWS}")
        plan = self._plan(job, found.columns)
        rows = packed.attach(found.rows, plan.binary) if packed else found.rows
        return Work(job, plan, rows)

    def _plan(self, job: Row, columns: list[str]) -> Plan:
        kind = self._objects[job["object"].lower()]
        return Plan.read(self._objects, kind, job["operation"], job["external_id"], columns)

    def _work_of(self, batch: Row) -> Work:
        """Return a running batch, read again if the sandbox was started anew meanwhile."""
        if batch["id"] not in self._work:
            job = self._store.get_job(batch["job"])
            self._work[batch["id"]] = self._read(job, batch["id"])
        return self._work[batch["id"]]

    def _begin(self, batch: Row, at: float) -> None:
        """Begin the next transaction of a batch if it gets its parents; else try again later."""
        key, first, attempts = batch["id"], batch["processed"], batch["attempts"] + 1
        work = self._work_of(batch)
        rows = list(work.rows[first : first + TRANSACTION_ROWS])
        parents = locks.find_parents(self._store, self._objects, work.plan, rows)
        if self._locks.take(key, parents, last=attempts == locks.ATTEMPTS):
            self._store.update("batch", key, attempts=None)
            self._schedule(work, key, first, at)
            return
        retries = batch["retries"] + 1
        again = at + self._physics.lock_seconds(key, retries)
        self._store.update("batch", key, attempts=attempts, retries=retries, next_at=again)

    def _schedule(self, work: Work, batch: str, first: int, at: float) -> None:
        """Have the transaction from that row on commit when its time is over."""
        active_ms, _ = self._cost(work, batch, first)
        self._store.update("batch", batch, next_at=at + active_ms / 1000)

    def _go_on(self, key: str, at: float) -> None:
        """Begin the next transaction of a batch, or end it."""
        batch = self._store.get_batch(key)
        work = self._work_of(batch)
        if batch["processed"] >= len(work.rows):
            self._end_batch(key, "Completed", at)
            self._complete_if_done(batch["job"], at)
        elif work.plan.kind.locks_parents:
            self._store.update("batch", key, attempts=0)
            self._begin(self._store.get_batch(key), at)
        else:
            self._schedule(work, key, batch["processed"], at)

    def _commit(self, batch: Row, at: float) -> None:
        """Save the rows of a transaction: now their records are there for all to see."""
        work = self._work_of(batch)
        first = batch["processed"]
        rows = list(work.rows[first : first + TRANSACTION_ROWS])
        refused = self._refused(batch, work, len(rows))
        outcomes = self._save(work, rows, refused, at)
        self._store.save_outcomes(batch["id"], first, outcomes)
        active_ms, apex_ms = self._cost(work, batch["id"], first)
        self._store.update(
            "batch",
            batch["id"],
            processed=first + len(rows),
            failed=batch["failed"] + sum(bool(error) for _, _, error in outcomes),
            api_ms=batch["api_ms"] + active_ms,
            apex_ms=batch["apex_ms"] + apex_ms,
            modified=at,
        )
        if work.job["type"] == "V2Ingest":
            self._store.update("job", work.job["id"], modified=at)

    def _save(
        self, work: Work, rows: list[list[str]], refused: Mapping[int, str], at: float
    ) -> list[Outcome]:
        """Save rows, but for those whose parents are locked, and return what became of each."""
        transaction = Transaction(
            self._store, self._objects, work.plan, at=at, user=work.job["created_by"]
        )
        if not refused:
            return transaction.run(rows)
        saved = iter(transaction.run([row for i, row in enumerate(rows) if i not in refused]))
        return [
            locks.refused_outcome(work.plan, row, refused[i]) if i in refused else next(saved)
            for i, row in enumerate(rows)
        ]

    def _refused(self, batch: Row, work: Work, rows: int) -> dict[int, str]:
        """Give free the locks of a transaction; return its rows that fail for want of theirs."""
        refused = self._locks.release(batch["id"])
        fault = self._fault("lock_rows", batch["id"], batch["job"])
        if fault and not batch["processed"]:
            self._store.update("batch", batch["id"], retries=batch["retries"] + locks.ATTEMPTS)
            refused |= dict.fromkeys(range(min(rows, fault.rows)), work.job["created_by"])
        return refused

    def _end_batch(self, key: str, state: str, at: float) -> None:
        self._work.pop(key, None)
        self._locks.release(key)
        batch = self._store.get_batch(key)
        # A transaction that an abort had to wait for counts in full, hence max().
        total_ms = max(batch["api_ms"], round((at - batch["started"]) * 1000))
        self._store.update("batch", key, state=state, total_ms=total_ms, modified=at, next_at=None)
        self._start_waiting(at)

    def _start_query_batch(self, key: str, job: Row, at: float) -> None:
        query = self._read_query(job, self._store.content(key))
        count = write_results(self._store, query, job, owner=key)
        self._store.update("batch", key, next_at=at + self.query_ms(key, count) / 1000)

    def _read_query(self, job: Row, text: str) -> Query:
        """Return the query of a 1.0 batch."""
        deleted_too = job["operation"] == "queryAll"
        try:
            query = bulkquery.parse(text, self._objects, deleted_too=deleted_too)
        except SoqlError as error:
            raise ValueError(f"Failed to process query: {error.code}: {error}") from None
        if query.kind.name != job["object"]:
            raise ValueError(
                "Failed to process query: INVALID_TYPE_FOR_OPERATION: The root entity of the"
                f" requested query ({query.kind.name}) does not match the entity of the requested"
                f" Bulk API Job ({job['object']})."
            )
        return query

    def _end_query_batch(self, batch: Row, at: float) -> None:
        rows = self._store.count_results(batch["id"])
        active_ms = self.query_ms(batch["id"], rows) // 2
        self._store.update("batch", batch["id"], processed=rows, api_ms=active_ms)
        self._end_batch(batch["id"], "Completed", at)

    # How long things take

    def _wait(self, key: str) -> float:
        return self._physics.queue_seconds(key, self._store.active_jobs())

    def _cost(self, work: Work, batch: str, first: int) -> tuple[int, int]:
        """Return the active and the Apex milliseconds of the transaction from that row on."""
        rows = min(TRANSACTION_ROWS, len(work.rows) - first)
        return self._physics.transaction_ms(work.plan.kind, batch, first, rows)

    def query_ms(self, key: str, rows: int) -> int:
        """Return how long a query takes, in milliseconds."""
        return self._physics.query_ms(key, rows)

    # What was planned to go wrong

    def _fault(self, kind: str, batch: str, job: str) -> Fault | None:
        """Return the fault of that kind that befalls a batch."""
        if not self._faults.of_job(kind, job):
            return None
        numbers = [row["id"] for row in self._store.batches(job)]
        return self._faults.of_job(kind, job, batch=1 + numbers.index(batch))

    def _strike(self, batch: Row, at: float) -> bool:
        """Let happen what befalls a batch in its first transaction; true if that ends it."""
        key, job = batch["id"], self._store.get_job(batch["job"])
        ingest = str(job["type"]) == "V2Ingest"
        if self._fault("abort", key, job["id"]):
            self.abort(job, at)
            return ingest
        if self._fault("fail_job", key, job["id"]) and ingest:
            self._fail_job(job["id"], INTERNAL_ERROR, at)
            self._stop_batches(job["id"], at)
            return True
        if self._fault("internal_error", key, job["id"]):
            self._commit(batch, at)
            self._store.update("batch", key, message=INTERNAL_ERROR)
            if ingest:
                self._store.update("job", job["id"], error=INTERNAL_ERROR)
            self._end_batch(key, "Failed", at)
            self._complete_if_done(job["id"], at)
            return True
        return False

"""What becomes of a job as time passes: it waits, its batches run, rows are saved 200 at a time.

The schedule is in the store (`next_at` of jobs and batches), so that it does not matter who
calls the engine: a request, a thread that ticks, or a manual clock. Whoever calls, what was due
happens in its order and at its own time.

How long things take: a job waits in the queue, longer if others are at work. At most five
batches run at a time. A transaction takes the time its object says for each row, once for the
API and once for Apex; reading and writing the batch comes on top and is the part of the total
processing time that is not active. All is varied by a few percent, always the same for the same
seed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from sqlite3 import Row

from bulknb.sandbox import content, csvtext, ids, soql
from bulknb.sandbox.plan import Plan
from bulknb.sandbox.results import write_results
from bulknb.sandbox.rows import Transaction
from bulknb.sandbox.schema import ObjectType
from bulknb.sandbox.store import Store

BATCH_ROWS = 10_000
TRANSACTION_ROWS = 200
PARALLEL_BATCHES = 5

QUEUE_SECONDS = (1.0, 3.0)
QUEUE_SECONDS_PER_JOB = 0.5
QUERY_MS = 400
QUERY_MS_PER_ROW = 0.01
TRANSACTION_MS = 20
# Reading a batch, and each row of it, and writing what became of them.
SERIALIZATION_MS = 60
SERIALIZATION_MS_PER_ROW = 0.15

QUERY_OPERATIONS = frozenset({"query", "queryAll"})


@dataclass(frozen=True)
class Work:
    """A running batch of rows, read and planned."""

    job: Row
    plan: Plan
    rows: list[list[str]]


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
    """

    def __init__(self, store: Store, objects: Mapping[str, ObjectType], seed: int) -> None:
        self._store = store
        self._objects = objects
        self._seed = seed
        self._work: dict[str, Work] = {}

    # The clock's side

    def run_until(self, now: float) -> None:
        """Let happen all that is due by `now`."""
        while (due := self._next()) and due["at"] <= now:
            with self._store.transaction():
                if job := self._store.row("SELECT * FROM job WHERE id = ?", due["id"]):
                    self._move_job(job, due["at"])
                elif batch := self._store.batch(due["id"]):
                    self._move_batch(batch, due["at"])

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

    def add_batch(self, job: str, text: str, now: float) -> str:
        """Put a 1.0 batch into the queue and return its id."""
        (key,) = self._store.new_ids(ids.BATCH)
        self._store.add_batch(key, job, text, now, next_at=now + self._wait(key))
        return key

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
                for batch in self._store.batches(job["id"], "InProgress"):
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
        header = self._cut(job, at)
        try:
            self._plan(job, content.read_csv(header, delimiter(job)).columns)
        except ValueError as error:
            self._store.drop_queued(job["id"], at)
            message = f"InvalidBatch : {error}"
            self._store.update(
                "job", job["id"], state="Failed", error=message, modified=at, next_at=None
            )
            return
        self._store.update("job", job["id"], state="InProgress", modified=at, next_at=None)
        self._start_waiting(at)
        self._complete_if_done(job["id"], at)

    def _cut(self, job: Row, at: float) -> str:
        """Cut an upload into queued batches and return its header line, empty if it has none."""
        text = self._store.take_upload(job["id"])
        pieces = csvtext.split(text, delimiter(job), BATCH_ROWS)
        header = next(pieces, "")
        for text in pieces:
            (key,) = self._store.new_ids(ids.BATCH)
            self._store.add_batch(key, job["id"], text, at)
        if header:
            self._store.update("job", job["id"], header=header)
        return header

    def _complete_if_done(self, job: str, at: float) -> None:
        """A 2.0 ingest job is complete with its last batch; a 1.0 job stays as it is."""
        totals = self._store.totals(job)
        if not totals["queued"] and not totals["running"]:
            self._store.execute(
                "UPDATE job SET state = 'JobComplete', modified = ?"
                " WHERE id = ? AND state = 'InProgress'",
                at,
                job,
            )

    def _start_query(self, job: Row, at: float) -> None:
        query = soql.parse(job["query"], self._objects, deleted_too=job["operation"] == "queryAll")
        count = write_results(self._store, query, job, owner=job["id"])
        done = at + self.query_ms(job["id"], count) / 1000
        self._store.update("job", job["id"], state="InProgress", modified=at, next_at=done)

    # Batches

    def _move_batch(self, batch: Row, at: float) -> None:
        if batch["state"] == "Queued":
            self._store.update("batch", batch["id"], next_at=None)
            self._start_waiting(at)
        elif self._store.get_job(batch["job"])["operation"] in QUERY_OPERATIONS:
            self._end_query_batch(batch, at)
        else:
            self._commit(batch, at)
            self._go_on(batch["id"], at)

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
                work = self._work[key] = self._read(job, key)
                reading = SERIALIZATION_MS + SERIALIZATION_MS_PER_ROW * len(work.rows)
                self._schedule(work, key, 0, at + reading * self._vary(key, "read") / 1000)
        except ValueError as error:
            message = f"InvalidBatch : {error}"
            self._store.update("batch", key, state="Failed", message=message)
            return False
        return True

    def _read(self, job: Row, batch: str) -> Work:
        text = self._store.content(batch)
        if job["type"] == "V2Ingest":
            found = content.read_csv(f"{job['header']}\n{text}", delimiter(job))
        else:
            found = content.READERS[job["content_type"]](text)
            if len(found.rows) > BATCH_ROWS:
                raise ValueError(f"Maximum number of records exceeded: {BATCH_ROWS}")
        return Work(job, self._plan(job, found.columns), found.rows)

    def _plan(self, job: Row, columns: list[str]) -> Plan:
        kind = self._objects[job["object"].lower()]
        return Plan.read(self._objects, kind, job["operation"], job["external_id"], columns)

    def _work_of(self, batch: Row) -> Work:
        """Return a running batch, read again if the sandbox was started anew meanwhile."""
        if batch["id"] not in self._work:
            job = self._store.get_job(batch["job"])
            self._work[batch["id"]] = self._read(job, batch["id"])
        return self._work[batch["id"]]

    def _schedule(self, work: Work, batch: str, first: int, at: float) -> None:
        """Begin the transaction from that row on; it commits when its time is over."""
        active_ms, _ = self._cost(work, batch, first)
        self._store.update("batch", batch, next_at=at + active_ms / 1000)

    def _go_on(self, key: str, at: float) -> None:
        """Begin the next transaction of a batch, or end it."""
        batch = self._store.get_batch(key)
        work = self._work_of(batch)
        if batch["processed"] < len(work.rows):
            self._schedule(work, key, batch["processed"], at)
        else:
            self._end_batch(key, "Completed", at)
            self._complete_if_done(batch["job"], at)

    def _commit(self, batch: Row, at: float) -> None:
        """Save the rows of a transaction: now their records are there for all to see."""
        work = self._work_of(batch)
        first = batch["processed"]
        rows = work.rows[first : first + TRANSACTION_ROWS]
        transaction = Transaction(
            self._store, self._objects, work.plan, at=at, user=work.job["created_by"]
        )
        outcomes = transaction.run(rows)
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

    def _end_batch(self, key: str, state: str, at: float) -> None:
        self._work.pop(key, None)
        batch = self._store.get_batch(key)
        # A transaction that an abort had to wait for counts in full, hence max().
        total_ms = max(batch["api_ms"], round((at - batch["started"]) * 1000))
        self._store.update("batch", key, state=state, total_ms=total_ms, modified=at, next_at=None)
        self._start_waiting(at)

    def _start_query_batch(self, key: str, job: Row, at: float) -> None:
        deleted_too = job["operation"] == "queryAll"
        try:
            query = soql.parse(self._store.content(key), self._objects, deleted_too=deleted_too)
        except soql.SoqlError as error:
            raise ValueError(f"Failed to process query: {error.code}: {error}") from None
        if query.kind.name != job["object"]:
            raise ValueError(
                "Failed to process query: INVALID_TYPE_FOR_OPERATION: The root entity of the"
                f" requested query ({query.kind.name}) does not match the entity of the requested"
                f" Bulk API Job ({job['object']})."
            )
        if query.counts:
            raise ValueError(
                "Failed to process query: FUNCTIONALITY_NOT_ENABLED: Aggregate Relationships not"
                " supported in Bulk Query"
            )
        count = write_results(self._store, query, job, owner=key)
        self._store.update("batch", key, next_at=at + self.query_ms(key, count) / 1000)

    def _end_query_batch(self, batch: Row, at: float) -> None:
        rows = self._store.count_results(batch["id"])
        active_ms = self.query_ms(batch["id"], rows) // 2
        self._store.update("batch", batch["id"], processed=rows, api_ms=active_ms)
        self._end_batch(batch["id"], "Completed", at)

    # How long things take

    def _wait(self, key: str) -> float:
        """Return seconds in the queue: more if other jobs are at work."""
        shortest, longest = QUEUE_SECONDS
        others = QUEUE_SECONDS_PER_JOB * self._store.active_jobs()
        return shortest + others + (longest - shortest) * self._noise(key, "queue")

    def _cost(self, work: Work, batch: str, first: int) -> tuple[int, int]:
        """Return the active and the Apex milliseconds of the transaction from that row on."""
        rows = min(TRANSACTION_ROWS, len(work.rows) - first)
        kind = work.plan.kind
        api = (TRANSACTION_MS + kind.api_ms_per_row * rows) * self._vary(batch, "api", first)
        apex = round(kind.apex_ms_per_row * rows * self._vary(batch, "apex", first))
        return round(api) + apex, apex

    def query_ms(self, key: str, rows: int) -> int:
        """Return how long a query takes, in milliseconds."""
        return round((QUERY_MS + QUERY_MS_PER_ROW * rows) * self._vary(key, "query"))

    def _vary(self, *key: object) -> float:
        """Return a factor from 0.9 to 1.1."""
        return 0.9 + 0.2 * self._noise(*key)

    def _noise(self, *key: object) -> float:
        """Return a number from 0 to 1 that depends on the seed and the key alone."""
        text = repr((self._seed, *key)).encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) / 2**64


def delimiter(job: Row) -> str:
    """Return the character between the values of a job's data."""
    return csvtext.DELIMITERS[job["delimiter"]]

"""A part of a load: some rows, and the job or batch that they went with."""

from __future__ import annotations

import functools
import json
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from .._csv import Chunk
from .._jobs import Job
from .._ledger import PartRecord
from .._machine import apart
from .._marks import Marks
from .._outcomes import constant, with_reasons
from .._rows import Rows

# How far a part is. Each is written down before the request that follows it.
PLANNED = "planned"  # nothing of it is in the org
CREATING = "creating"  # a job is being made
UPLOADING = "uploading"  # the job may have the rows; it never runs before its close
UPLOADED = "uploaded"  # the job has the rows, and is held until the user says close
CLOSING = "closing"  # 2.0: from here on the rows belong to the job, whatever is heard of it
POSTING = "posting"  # 1.0: the batch may have arrived, and then it runs
POSTED = "posted"  # 1.0: the batch has arrived

_COMMITTED = frozenset({CLOSING, POSTING, POSTED})

# Why the fate of a row is unknown: what the column unknown_reason of a load's frame says.

#: Of batches beyond the daily allocation Salesforce records no results.
ALLOCATION_EXCEEDED = "allocation_exceeded"
#: The job or its results are gone: deleted, or older than seven days.
RESULTS_EXPIRED = "results_expired"
#: Results came, but none is of this row, or they do not add up.
UNMATCHED = "unmatched"
#: The job was aborted, and its results did not come to rest.
ABORTED_IN_FLIGHT = "aborted_in_flight"
#: 1.0: the batch failed as a whole, and some of its rows may have been saved.
BATCH_FAILED = "batch_failed"
#: The org could not be asked: sign in again or wait, then ``org.resume()``.
UNREACHABLE = "unreachable"
#: Another kernel goes on with the load.
TAKEN_OVER = "taken_over"

_IN_WORDS = {
    ALLOCATION_EXCEEDED: "Beyond the daily allocation of batches: no results are recorded",
    RESULTS_EXPIRED: "The job or its results are gone",
    UNMATCHED: "No result is of this row",
    ABORTED_IN_FLIGHT: "The job was aborted, and its results did not come to rest",
    BATCH_FAILED: "The batch failed as a whole; some of its rows may have been saved",
    UNREACHABLE: "The results could not be read: org.resume() asks again",
    TAKEN_OVER: "Another kernel goes on with this load",
}


@dataclass(eq=False)
class Part:
    """Rows ``start`` to ``stop`` of a load, and how far they are."""

    number: int
    start: int
    stop: int
    sha256: str
    #: The columns that tell the rows apart, and a hash of each row over them.
    names: list[str] = field(default_factory=list)
    marks: Marks = field(default_factory=lambda: np.empty(0, np.uint64))
    #: What will give both.
    signing: Future[tuple[list[str], Marks]] | None = None
    state: str = PLANNED
    job: Job | None = None
    batch: str | None = None
    #: Nothing more will happen to it by itself, or nobody can be asked any more.
    ended: bool = False
    given_up: bool = False
    #: What the server said when it refused for good to take the rows.
    refused: Exception | None = None
    tries: int = 0
    heard: float = 0.0
    outcomes: pa.Table | None = None
    reason: str = UNREACHABLE

    @classmethod
    def of(cls, number: int, chunk: Chunk) -> Part:
        """Return the part for a chunk that is about to be sent."""
        return cls(number, chunk.start, chunk.stop, chunk.sha256)

    @classmethod
    def from_record(cls, record: PartRecord, job: Job | None) -> Part:
        """Return a part that another process wrote down."""
        return cls(
            record.number,
            record.start,
            record.stop,
            record.sha256,
            json.loads(record.names),
            np.frombuffer(record.marks, np.uint64),
            state=record.state,
            job=job,
            batch=record.batch,
        )

    def is_of(self, chunk: Chunk | None) -> bool:
        """Tell whether these are its rows, to the byte."""
        return chunk is not None and (chunk.start, chunk.stop, chunk.sha256) == (
            self.start,
            self.stop,
            self.sha256,
        )

    def sign(self, rows: Rows, data: bytes) -> None:
        """Have worked out, while the line is busy, by what the rows can be told from each other."""
        if not (self.names or self.signing):
            self.signing = apart(functools.partial(rows.signs, self.start, self.stop, data))

    def signed(self) -> None:
        """Wait until that is worked out: results are read by it, in another kernel too."""
        if self.signing:
            self.names, self.marks = self.signing.result()
            self.signing = None

    @property
    def record(self) -> PartRecord:
        """The part as the ledger keeps it."""
        return PartRecord(
            self.number,
            self.start,
            self.stop,
            self.state,
            self.sha256,
            json.dumps(self.names),
            self.job.id if self.job else None,
            self.batch,
            self.marks.tobytes(),
        )

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def committed(self) -> bool:
        """Whether its rows may be in the org: they are never just sent again."""
        return self.state in _COMMITTED

    @property
    def held(self) -> bool:
        """Whether its job has its rows, and waits for the close."""
        return self.state == UPLOADED

    @property
    def running(self) -> bool:
        """Whether there is something to ask about."""
        return self.committed and not self.ended

    def free(self) -> None:
        """Note that nothing of it is in the org, as was proven."""
        self.state, self.job, self.batch = PLANNED, None, None

    @property
    def awaits_results(self) -> bool:
        """Whether it has ended and its results are to be read."""
        return self.committed and self.ended and not self.given_up and self.outcomes is None

    def give_up(self, reason: str) -> None:
        """End without results."""
        self.ended, self.given_up, self.reason = True, True, reason

    def let_go(self) -> None:
        """Forget the outcomes, which are elsewhere by now, and what they were found by."""
        self.outcomes, self.marks = None, self.marks[:0]

    def accounted(self) -> pa.Table:
        """Return the outcome of each row, and ``unknown_reason``."""
        outcomes = self.outcomes
        if outcomes is None and not self.committed:
            outcomes = constant(len(self), "not_sent")
        elif outcomes is None:
            job = self.job.id if self.job else None
            outcomes = constant(len(self), "unknown", error=_IN_WORDS[self.reason], job_id=job)
        return with_reasons(outcomes, self.reason)

"""What goes wrong, and when: faults of requests and faults of jobs.

A fault is planned, not thrown at random: by the ordinal of the request or job, or by method, path
and how manyth of these. `bulknb.sandbox.chaos` acts on those of requests, the engine on those
of jobs. Ordinals start at 1, with the first request or job after the plan was made.
"""

import hashlib
import re
import threading
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass

# What the org has not seen when the client sees the fault.
BEFORE = (
    "drop_before",  # the connection ends before the request arrives
    "drop_mid",  # … in the middle of its body
    "stall",  # silence for `seconds`, then the connection ends
    "500",
    "502",
    "503",  # with Retry-After: `seconds`
    "429",  # the same
    "limit403",  # REQUEST_LIMIT_EXCEEDED, in 1.0 ExceededQuota
    "401",  # the session is dead, which 1.0 says with status 400
    "html200",  # a login page where data belong
    "redirect_other_host",
    "zombie",  # the connection ends; the request arrives `later` requests later
)
# What the org has done.
AFTER = (
    "drop_after",  # the connection ends before the answer arrives
    "504_after",
    "trunc",  # half of the body, shorter than Content-Length says
    "trunc_ok",  # half of the body, Content-Length agrees
    "gzip_trunc",  # half of a gzip stream
    "slow",  # the answer takes `seconds`
    "dup",  # it arrives twice; the answer is the second one
    "stale_state",  # the state of the moment before
    "wrong_count_header",  # Sforce-NumberOfRecords is one too many
    "reorder_rows",  # rows of a CSV in another order
)
REQUEST_KINDS = BEFORE + AFTER
JOB_KINDS = (
    "fail_batch",  # its `nth` batch fails before the first row
    "lock_rows",  # the first `rows` rows of that batch fail with UNABLE_TO_LOCK_ROW
    "internal_error",  # that batch fails with InternalServerError after its first transaction
    "fail_job",  # a 2.0 job is Failed after the first transaction of that batch
    "allocation",  # the day's batches are used up when that batch has its turn
    "abort",  # somebody aborts the job with that batch in flight
    "expire",  # gone as soon as it has ended, as after seven days
    "counts_lag",  # `times` answers about the ended job count `rows` rows too few
    "unknown_state",  # `times` answers about the job have a state that nobody knows
    "other_user",  # it belongs to somebody else
)


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong once.

    Parameters
    ----------
    kind : str
        One of `REQUEST_KINDS` or `JOB_KINDS`.
    at : int, optional
        Which request or job it is; by default the next one that matches.
    method, path : str, optional
        Of a request: its method, and a regular expression that is found in its path.
    nth : int
        Of a request: which of those that match `method` and `path`; of a job: which batch.
    seconds : float
        How long a stall or a slow answer takes by the sandbox's clock, and what Retry-After says.
    later : int
        After how many more requests a zombie arrives.
    rows : int
        How many rows fail or are not counted.
    times : int
        How many answers about a job are wrong.
    """

    kind: str
    _: KW_ONLY
    at: int | None = None
    method: str | None = None
    path: str | None = None
    nth: int = 1
    seconds: float = 30.0
    later: int = 2
    rows: int = 10
    times: int = 3

    def __post_init__(self) -> None:
        if self.kind not in REQUEST_KINDS + JOB_KINDS:
            known = ", ".join(REQUEST_KINDS + JOB_KINDS)
            raise ValueError(f"{self.kind!r} is no kind of fault; known are {known}.")
        matches = self.method is not None or self.path is not None
        if matches and (self.at is not None or self.of_job):
            raise ValueError(f"{self.kind}: method and path choose a request, instead of at=.")
        if self.at is not None and self.nth != 1 and not self.of_job:
            raise ValueError(f"{self.kind}: a request has one ordinal; give at= or nth=, not both.")
        counts = (self.nth, self.later, self.rows, self.times)
        if min(counts) < 1 or self.seconds < 0 or (self.at is not None and self.at < 1):
            raise ValueError(f"{self.kind}: numbers start at 1, and seconds at 0.")

    @property
    def of_job(self) -> bool:
        """Whether it befalls a job, not a request."""
        return self.kind in JOB_KINDS

    def matches(self, method: str, path: str) -> bool:
        """Return whether it may befall such a request."""
        wanted = self.method is None or self.method.upper() == method
        return wanted and (self.path is None or re.search(self.path, path) is not None)


@dataclass
class _Planned:
    """A fault of a request that has not happened yet."""

    fault: Fault
    seen: int = 0  # requests that matched so far

    def meets(self, ordinal: int, method: str, path: str) -> bool:
        """Return whether this request is the one; to be asked once for each request."""
        if self.fault.at is not None:
            return self.fault.at == ordinal
        matches = self.fault.matches(method, path)
        self.seen += matches
        # Later ones too: if two faults wait for the same request, the second gets the next.
        return matches and self.seen >= self.fault.nth


@dataclass
class _JobFault:
    """A fault of a job; `job` is empty until there is one."""

    fault: Fault
    job: str = ""
    shown: int = 0  # wrong answers given so far


class FaultPlan:
    """The faults of a sandbox.

    Parameters
    ----------
    faults : iterable of Fault
        What happens for sure.
    seed : int
        What the rest depends on: the same seed and the same requests give the same faults.
    rate : float
        Share of requests, from 0 to 1, to which something happens besides.
    kinds : sequence of str
        What may happen to them.

    Attributes
    ----------
    happened : list of (int, str)
        Ordinals of requests and the faults they met, oldest first.
    """

    def __init__(
        self,
        faults: Iterable[Fault] = (),
        *,
        seed: int = 0,
        rate: float = 0.0,
        kinds: Iterable[str] = REQUEST_KINDS,
    ) -> None:
        self.seed = seed
        self.rate = rate
        self.kinds = tuple(kinds)
        if unknown := set(self.kinds) - set(REQUEST_KINDS):
            raise ValueError(f"No faults of requests: {', '.join(sorted(unknown))}.")
        self.happened: list[tuple[int, str]] = []
        self._requests = 0
        self._jobs: list[str] = []
        self._planned: list[_Planned] = []
        self._job_faults: list[_JobFault] = []
        self._lock = threading.Lock()
        self.add(*faults)

    def add(self, *faults: Fault) -> None:
        """Plan further faults."""
        with self._lock:
            for fault in faults:
                if fault.of_job:
                    past = fault.at is not None and fault.at <= len(self._jobs)
                    job = self._jobs[(fault.at or 0) - 1] if past else ""
                    self._job_faults.append(_JobFault(fault, job))
                else:
                    self._planned.append(_Planned(fault))

    def clear(self) -> None:
        """Let everything go well from now on."""
        with self._lock:
            self.rate = 0.0
            self._planned.clear()
            self._job_faults.clear()

    # Requests

    def next_request(self, method: str, path: str) -> tuple[int, Fault | None]:
        """Count a request; return its ordinal and what befalls it."""
        with self._lock:
            self._requests += 1
            # All are asked, since all count.
            met = [one.meets(self._requests, method, path) for one in self._planned]
            fault = self._planned.pop(met.index(True)).fault if any(met) else self._drawn()
            if fault:
                self.happened.append((self._requests, fault.kind))
            return self._requests, fault

    def _drawn(self) -> Fault | None:
        """Return a fault by chance, always the same for the same seed and ordinal."""
        if not self.rate or not self.kinds:
            return None
        key = f"{self.seed} {self._requests}".encode()
        chance, choice = divmod(int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()), 2**16)
        if chance / 2**48 >= self.rate:
            return None
        return Fault(self.kinds[choice % len(self.kinds)])

    # Jobs

    def count_job(self, job: str) -> None:
        """Count a new job, to which what was planned for it now belongs."""
        with self._lock:
            self._jobs.append(job)
            for one in self._job_faults:
                if not one.job and one.fault.at in (None, len(self._jobs)):
                    one.job = job

    def of_job(self, kind: str, job: str, batch: int | None = None) -> Fault | None:
        """Return the fault of that kind that a job has; with `batch`, if it is about that one."""
        for one in self._job_faults:
            if one.job == job and one.fault.kind == kind and batch in (None, one.fault.nth):
                return one.fault
        return None

    def jobs_with(self, kind: str) -> list[str]:
        """Return the jobs that have a fault of that kind."""
        return [one.job for one in self._job_faults if one.job and one.fault.kind == kind]

    def take_answer(self, kind: str, job: str) -> Fault | None:
        """Return the fault that an answer about a job shows; after `times` answers, None."""
        for one in self._job_faults:
            fault = one.fault
            if (one.job, fault.kind) == (job, kind) and one.shown < fault.times:
                one.shown += 1
                return fault
        return None

    @property
    def touches_jobs(self) -> bool:
        """Whether any job has a fault, so that looking for one makes sense."""
        return bool(self._job_faults)

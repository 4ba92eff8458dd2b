"""The jobs of an org, of all three APIs, as one sequence."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd

from ._explain import Explanation, explain
from ._findings import plural
from ._history import jobs_frame
from ._html import Cell, table
from ._jobinfo import QUERIES, STATES, JobInfo
from ._jobs import Job, job_from_info
from ._jobs.confirm import confirmed
from ._jobs.facts import duration, tone
from ._lists import Known, listed, user_names
from ._past import explained
from ._stuck import span, stuck
from ._wire import Wire
from .errors import ApiError, BulkError, InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .widgets import JobBoard

__all__ = ["Jobs", "list_jobs"]

_MOST_SHOWN = 60
_OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete", *QUERIES)
_JOB_STATES = sorted({state for kind in STATES.values() for state in (*kind.abort, *kind.end)})


def list_jobs(
    wire: Wire,
    known: Known,
    *,
    job_type: str | None,
    state: str | None,
    object: str | None,
    operation: str | None,
    user: str | None,
    last: str | None,
    mine: bool,
    pk_chunking: bool,
    times: bool,
) -> Jobs:
    """Return the jobs that stand in the lists, filtered as ``Org.jobs`` says."""
    _check("job_type", job_type, STATES)
    _check("state", state, _JOB_STATES)
    _check("operation", operation, _OPERATIONS)
    since = None if last is None else _now(wire) - span(last, "last")
    infos = listed(wire, job_type=job_type, pk_chunking=pk_chunking)
    for name, wanted in (("state", state), ("object", object), ("operation", operation)):
        if wanted is not None:
            infos = [i for i in infos if (getattr(i, name) or "").lower() == wanted.lower()]
    if since is not None:
        infos = [info for info in infos if info.created_date and info.created_date >= since]
    if mine:
        infos = _of_user(infos, known.me(wire), {})
    if user is not None:
        names = user_names({info.created_by_id or "" for info in infos}, wire)
        infos = _of_user(infos, user, names)
    jobs = [job_from_info(wire, known.finished(str(info.id)) or info) for info in infos]
    return Jobs(jobs, known=known, times=times)


def _now(wire: Wire) -> pd.Timestamp:
    return pd.Timestamp(wire.clock.time(), unit="s", tz="UTC").as_unit("us")


def _check(argument: str, value: str | None, allowed: Sequence[str] | Mapping[str, Any]) -> None:
    if value is None or value in allowed:
        return
    close = difflib.get_close_matches(value, allowed, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"it is one of {', '.join(allowed)}"
    raise InputError(f"{argument}={value!r}: {hint}")


def _of_user(infos: list[JobInfo], user: str, names: Mapping[str, str | None]) -> list[JobInfo]:
    def is_theirs(id: str) -> bool:
        return id[:15] == user[:15] or (names.get(id) or "").lower() == user.lower()

    return [info for info in infos if info.created_by_id and is_theirs(info.created_by_id)]


class Jobs(Sequence[Job]):
    """Some jobs of an org, made by ``org.jobs(...)``.

    Lists hold neither counts nor times. The jobs are asked for these, one GET each, when they are
    first needed: by `frame`, `stuck`, `plot` or to be shown; one that is known to be done is not
    asked for again. A number, a slice or a boolean mask picks jobs:
    ``jobs[jobs.frame["state"] == "Open"].abort()``.
    """

    def __init__(
        self, jobs: Sequence[Job], *, known: Known | None = None, times: bool = True
    ) -> None:
        self._jobs = list(jobs)
        self._known = known or Known()
        self._may_ask = times
        self._unasked = self._unfinished() if times else []

    @overload
    def __getitem__(self, at: int) -> Job: ...
    @overload
    def __getitem__(self, at: slice | Sequence[bool] | pd.Series[bool]) -> Jobs: ...
    def __getitem__(self, at: int | slice | Sequence[bool] | pd.Series[bool]) -> Job | Jobs:
        if isinstance(at, int | np.integer):
            return self._jobs[at]
        chosen = self._jobs[at] if isinstance(at, slice) else self._masked(at)
        picked = Jobs(chosen, known=self._known, times=self._may_ask)
        unasked = set(self._unasked)
        picked._unasked = [job for job in chosen if job in unasked]
        return picked

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)

    @property
    def frame(self) -> pd.DataFrame:
        """The history frame, one row per job: see `bulknb.jobs_frame`.

        Two more columns: ``user``, the name of who created the job, NA if it cannot be read; and
        ``age``, the time since then.
        """
        self._ask()
        frame = jobs_frame(self._jobs)
        names = self._names(frame["created_by_id"].dropna().unique())
        users = (
            frame["created_by_id"].map(names, na_action="ignore").astype(pd.StringDtype("pyarrow"))
        )
        return frame.assign(user=users, age=self._now() - frame["created_date"])

    def refresh(self) -> Jobs:
        """Ask again for the jobs that are not done (one GET each), and return the jobs."""
        self._may_ask, self._unasked = True, self._unfinished()
        self._ask()
        return self

    def stuck(self, **limits: Any) -> pd.DataFrame:
        """Return the jobs that deserve a look, one row each: why, since when, and what to do.

        Parameters
        ----------
        **limits
            From when on: ``open_for="1h"``, ``queued_for="15min"``, ``running_for="1h"``,
            ``still_for="10min"``, ``active_share=0.5``, ``apex_share=0.7``.

        Returns
        -------
        DataFrame
            ``id``, ``operation``, ``object``, ``job_type``, ``state``, ``user``, ``reason``
            (never_closed, waiting_in_queue, stalled, lock_bound, retrying, apex_bound or
            grinding), ``since``, ``for``, ``evidence``, ``what_to_do``. Only a second look, by
            `refresh` or by ``org.jobs()`` anew, can tell that a job is stalled.
        """
        frame = self.frame
        still = [pd.Timedelta(seconds=self._known.unchanged_for(id)) for id in frame["id"]]
        return stuck(frame.assign(unchanged_for=still), self._now(), **limits)

    def explain(
        self, *, past: pd.DataFrame | None = None, states: pd.DataFrame | None = None
    ) -> Explanation:
        """Return where the time of these jobs went, and whether it was always so.

        Parameters and findings are those of `bulknb.explain`; by default they are compared with
        what was seen of the org's jobs: see ``org.history``.
        """
        if not self._jobs:
            return explain([])
        return explained(self._jobs[0]._wire, self.frame, past=past, states=states)

    def plot(self, by: str | Sequence[str] | None = None, **kwargs: Any) -> Axes:
        """Show where the processing time of each job went: `bulknb.plots.processing_times`."""
        from .plots import processing_times

        return processing_times(self.frame, by, **kwargs)

    def board(self) -> JobBoard:
        """Return a live board of these jobs, for a notebook; see `widgets.JobBoard`.

        Raises
        ------
        InputError
            There are none.
        """
        from .widgets import JobBoard

        return JobBoard(self)

    def report(self, path: str | Path, **options: Any) -> Path:
        """Write one HTML file to hand on, and return its path: see `bulknb.report.write`."""
        from .report import write

        return write(self, path, **options)

    def abort(self, *, confirm: str | None = None) -> pd.DataFrame:
        """Abort all of these jobs that can be, and return what became of each.

        Rows already written stay written. A job that refuses does not keep the others.

        Parameters
        ----------
        confirm : str, optional
            In a production org, its name and what is to be done, such as "Acme: abort 3 jobs".

        Returns
        -------
        DataFrame
            One row per job: ``id``, ``operation``, ``object``, ``state`` by now, ``aborted``
            (by this call), ``remark``.

        Raises
        ------
        ConfirmationNeededError
            It is a production org, and `confirm` is not what it takes; the message says what is.
        """
        self._ask()
        able = [job for job in self._jobs if job.info.can_abort]
        if able:
            confirmed(able[0]._wire, "abort", len(able), confirm)
        remarks = {job: _abort(job) for job in able}
        rows = [
            (
                job.id,
                job.operation,
                job.object,
                job.state,
                remarks.get(job) == "",
                remarks.get(job, f"Not aborted: the job is {job.state}"),
            )
            for job in self._jobs
        ]
        names = ["id", "operation", "object", "state", "aborted", "remark"]
        text = dict.fromkeys(set(names) - {"aborted"}, pd.StringDtype("pyarrow"))
        return pd.DataFrame(rows, columns=names).astype({**text, "aborted": "boolean"})

    def __repr__(self) -> str:
        if not self._jobs:
            return "<no jobs>"
        shown = [[cell.text for cell in row] for row in self._rows()]
        view = pd.DataFrame(shown, columns=list(_VIEW)).to_string(index=False)
        return f"{self._title()}\n{view}{self._rest()}"

    def _repr_html_(self) -> str:
        return table(
            self._title().strip("<>") + self._rest(),
            [(name, right) for name, (right, _) in _VIEW.items()],
            self._rows(),
        )

    def _title(self) -> str:
        return f"<{plural(len(self._jobs), 'job')}>"

    def _rest(self) -> str:
        return f" (the first {_MOST_SHOWN} are shown)" if len(self) > _MOST_SHOWN else ""

    def _rows(self) -> list[list[Cell]]:
        jobs = self[:_MOST_SHOWN]
        jobs._ask()
        names = self._names({job.info.created_by_id or "" for job in jobs})
        now = self._now()
        return [[cell(job.info, now, names) for _, cell in _VIEW.values()] for job in jobs]

    def _unfinished(self) -> list[Job]:
        return [job for job in self._jobs if self._known.finished(job.id) is None]

    def _ask(self) -> None:
        if self._unasked:
            self._known.look_at(self._unasked, self._unasked[0]._wire)
            self._unasked = []

    def _names(self, ids: Any) -> Mapping[str, str | None]:
        wanted = ids if self._may_ask else ()
        return user_names(wanted, self._jobs[0]._wire) if self._jobs else {}

    def _now(self) -> pd.Timestamp:
        return _now(self._jobs[0]._wire) if self._jobs else pd.Timestamp(0, tz="UTC").as_unit("us")

    def _masked(self, mask: Sequence[Any] | pd.Series[Any]) -> list[Job]:
        wanted = [value for value in mask if value is pd.NA or isinstance(value, bool | np.bool_)]
        if not len(wanted) == len(mask) == len(self):
            raise InputError(f"A mask needs {len(self)} times true or false, one for each job")
        pairs = zip(self._jobs, wanted, strict=True)
        return [job for job, value in pairs if value is not pd.NA and value]


def _abort(job: Job) -> str:
    """Abort a job; return why not, or nothing."""
    try:
        job._abort()
    except ApiError as error:
        return f"Refused: {error}"
    except BulkError as error:
        return f"Not known whether it was aborted: {error}"
    return ""


def _when(info: JobInfo, now: pd.Timestamp) -> Cell:
    if info.created_date is None:
        return Cell("")
    seconds = (now - pd.Timestamp(info.created_date)).total_seconds()
    return Cell(
        f"{duration(1000 * max(1, round(seconds)))} ago",
        title=info.created_date.isoformat(timespec="seconds"),
    )


def _number(value: int | None) -> Cell:
    return Cell("" if value is None else f"{value:,}")


def _time(info: JobInfo) -> Cell:
    value = info.total_processing_time_ms
    if value is None or not info.done:
        return Cell("")
    return Cell(duration(value), title=f"{value:,} ms")


_ViewCell = Callable[[JobInfo, pd.Timestamp, Mapping[str, str | None]], Cell]

#: What a list of jobs shows of each: title -> (whether right-aligned, cell)
_VIEW: Mapping[str, tuple[bool, _ViewCell]] = {
    "id": (False, lambda info, now, names: Cell(info.id or "")),
    "operation": (False, lambda info, now, names: Cell(info.operation or "")),
    "object": (False, lambda info, now, names: Cell(info.object or "")),
    "kind": (False, lambda info, now, names: Cell(info.job_type or "")),
    "state": (False, lambda info, now, names: Cell(info.state or "", tone=tone(info))),
    "user": (False, lambda info, now, names: Cell(names.get(info.created_by_id or "") or "")),
    "created": (True, lambda info, now, names: _when(info, now)),
    "processed": (True, lambda info, now, names: _number(info.number_records_processed)),
    "failed": (True, lambda info, now, names: _number(info.number_records_failed)),
    "total time": (True, lambda info, now, names: _time(info)),
}

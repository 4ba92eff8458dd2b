"""Jobs of the past, of one org or of all, out of the ledger: as frames, from files, into files."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from ._explain import Explanation, explain
from ._frames import to_frame
from ._history import JobInfos, jobs_frame, with_parts
from ._imports import read_source
from ._jobinfo import JOB_FIELDS
from ._jobs import job_from_info
from ._jobs.ids import full
from ._ledger import Ledger
from ._lists import Known, listed, user_names
from ._memory import Memory
from ._snapshots import OrgKey, Which, moment
from ._states import state_intervals
from ._stuck import span
from ._trend import Trend, trend
from ._wire import Wire
from .errors import InputError, LedgerError

__all__ = ["History", "Live", "explained"]


@dataclass(frozen=True)
class Live:
    """The org whose history it is: the way there, what is known of it, who keeps what is heard."""

    wire: Wire
    known: Known
    memory: Memory


class History:
    """What was ever seen of jobs: years of them, of many orgs, in one file on this machine.

    Salesforce forgets a job seven days after its end. ``org.history`` is that of one org: whatever
    a command, a panel or a list of jobs hears from the server is kept, the newest of each job and
    each change of its state, counts or times. ``History()`` is that of all orgs, and asks nobody.

    The file (`BULKNB_LEDGER`) holds no token and no row. It holds what Salesforce says of a job:
    an error message of a job may quote a value.

    Parameters
    ----------
    org : str, optional
        One org only: its URL, its host or its id.
    path : path, optional
        Another file.
    live : optional
        Given by ``org.history``.
    """

    def __init__(
        self, org: str | None = None, *, path: str | Path | None = None, live: Live | None = None
    ) -> None:
        self._org = org
        self._ledger = Ledger(path)
        self._live = live

    def frame(
        self,
        last: str | None = None,
        *,
        object: str | None = None,
        operation: str | None = None,
        state: str | None = None,
        user: str | None = None,
        org: str | None = None,
    ) -> pd.DataFrame:
        """Return the jobs as `bulknb.jobs_frame` does, newest first, each as it was seen last.

        Parameters
        ----------
        last : str, optional
            Jobs created in the last "30d", "12h", ...
        object, operation, state : str, optional
            One only, such as "Contact", "upsert" or "Failed".
        user : str, optional
            Who created them: an id; in ``org.history`` also a name.
        org : str, optional
            Those of one org: its URL, its host or its id.

        Returns
        -------
        DataFrame
            The columns of `bulknb.jobs_frame`; of several orgs also ``org``, the URL.

        Raises
        ------
        LedgerError
            The file cannot be read.
        """
        which = self._which(
            last, object=object, operation=operation, state=state, user=user, org=org
        )
        return self._frame(which)

    def snapshots(self, last: str | None = None, **which: str | None) -> pd.DataFrame:
        """Return each change that was seen: one row for each, job by job and in time.

        Parameters
        ----------
        last, **which
            As for `frame`.

        Returns
        -------
        DataFrame
            ``seen`` (UTC), ``looked_before`` (when this process had looked at the job before),
            ``id``, ``job_type``, ``object``, ``operation``, ``created_date``, then what was said:
            ``system_modstamp``, ``state``, counts and times. What was not said is NA.
        """
        chosen = self._which(last, **which)
        table = self._ledger.snapshots(chosen)
        return to_frame(table if chosen.org is None else table.drop_columns("org"))

    def states(self, last: str | None = None, **which: str | None) -> pd.DataFrame:
        """Return how long each job was in each state: one row for each that was seen.

        The duration of UploadComplete is the wait in the queue (2.0), measured.

        Parameters
        ----------
        last, **which
            As for `frame`.

        Returns
        -------
        DataFrame
            ``id``, ``job_type``, ``object``, ``operation``, ``state``, ``began``, ``ended`` (UTC,
            NA while it lasts), ``duration``, ``exact``: whether both ends are known to a tenth of
            the duration. Without another sign a state began when it was seen first.
        """
        return state_intervals(self.snapshots(last, **which))

    def trend(self, object: str, operation: str, *, last: str | None = None) -> Trend:
        """Return how the pace of one kind of job went, and where it changed: `bulknb.trend`.

        Parameters
        ----------
        object, operation : str
            The kind of job, such as "Contact" and "upsert".
        last : str, optional
            Jobs created in the last "30d", "12h", ...

        Raises
        ------
        InputError
            No such jobs are known; the message says which are.
        """
        return trend(self.frame(last), object=object, operation=operation)

    def record(self, last: str = "7d") -> pd.DataFrame:
        """Look at the org's jobs and keep them, with counts and times; return what was new.

        The lists are read, and each job is asked for, one GET each, that is not known to be done.

        Parameters
        ----------
        last : str
            Jobs created in the last "7d", "12h", ...; Salesforce has them for seven days.

        Returns
        -------
        DataFrame
            As `frame`: the jobs of which something was new.

        Raises
        ------
        InputError
            This is not the history of an org that is connected.
        LedgerError
            The file cannot be written.
        """
        live = self._live
        if live is None:
            raise InputError("Connect to an org, then: org.history.record()")
        since = pd.Timestamp(self._now(), unit="s", tz="UTC") - span(last, "last")
        with live.memory.noting() as news:
            infos = listed(live.wire, job_type=None, pk_chunking=False)
            recent = [info for info in infos if info.created_date and info.created_date >= since]
            complete = self._complete(last)
            due = [
                info for info in recent if (full(str(info.id)), info.created_date) not in complete
            ]
            live.known.look_at((job_from_info(live.wire, info) for info in due), live.wire)
            live.memory.flush()
        return self._only(news)

    def add(self, source: Any) -> pd.DataFrame:
        """Keep records from elsewhere; return what was new.

        Parameters
        ----------
        source : path, text, DataFrame, JobInfo, dict, or an iterable of these
            What `bulknb.jobs_frame` takes; a frame of it that was saved as CSV, JSON or Parquet;
            rows of the event log files ``BulkApi`` and ``BulkApi2``, those of a job together; a
            file that `export` wrote. Paths may be given as text. A record without a time at which
            it held is taken to be of its last change.

        Returns
        -------
        DataFrame
            As `frame`: the jobs of which something was new.

        Raises
        ------
        InputError
            Something in it is not a job; or events are of another org. Nothing was kept.
        UnexpectedAnswerError
            A field holds what it cannot; the message names the field. Nothing was kept.
        LedgerError
            The file cannot be written.
        """
        found, archives = read_source(source, self._now())
        looks = [(self._key(named), of_org) for named, of_org in found.items()]
        news = set[str]().union(*map(self._ledger.restore, archives))
        for key, of_org in looks:
            news |= self._ledger.keep(key, of_org)
        return self._only(news)

    def export(self, path: str | Path, last: str | None = None, **which: str | None) -> Path:
        """Write the jobs and all their changes into one Parquet file, and return its path.

        `add` reads it again, here or on another machine. One row per job; its changes are in the
        column ``snapshots``.

        Parameters
        ----------
        path : path
            The file; one that is there is overwritten.
        last, **which
            As for `frame`.
        """
        table = self._ledger.archive(self._which(last, **which))
        pq.write_table(table, path, compression="zstd")
        return Path(path)

    def __repr__(self) -> str:
        whose = self._org or (self._live.wire.origin if self._live else "all orgs")
        return f"<History of {whose} in {self._ledger.path}>"

    def _which(
        self,
        last: str | None = None,
        *,
        object: str | None = None,
        operation: str | None = None,
        state: str | None = None,
        user: str | None = None,
        org: str | None = None,
    ) -> Which:
        if self._live:
            with contextlib.suppress(LedgerError):
                self._live.memory.flush()
        ago = None if last is None else span(last, "last").total_seconds()
        which = Which(
            org=org or self._own,
            since=None if ago is None else moment(self._now() - ago),
            object=object,
            operation=operation,
            state=state,
        )
        return which if user is None else replace(which, users=self._users(user, which))

    @property
    def _own(self) -> OrgKey | str | None:
        return self._live.memory.key if self._live else self._org

    def _frame(self, which: Which) -> pd.DataFrame:
        table = self._ledger.jobs(which)
        frame = to_frame(with_parts(table.select(list(JOB_FIELDS))))
        return frame if which.org else frame.assign(org=to_frame(table.select(["org"]))["org"])

    def _key(self, named: OrgKey | None) -> OrgKey:
        """Return what to keep records under that name this org, or none."""
        own = self._own
        if own is None:
            return named or OrgKey(None)
        own = _key_of(own) if isinstance(own, str) else own
        if named and named.id and own.id not in (None, named.id):
            raise InputError(f"These events are of the org {named.id}, not of {own.id}")
        return own

    def _users(self, user: str, which: Which) -> list[str]:
        """Return the ids of a user who is given by id or name."""
        if self._live is None or full(user).startswith("005"):
            return [user]
        ids = self._ledger.jobs(Which(org=which.org))["created_by_id"].unique().drop_null()
        names = user_names(ids.to_pylist(), self._live.wire)
        return [id for id, name in names.items() if (name or "").lower() == user.lower()]

    def _complete(self, last: str) -> set[tuple[str, pd.Timestamp]]:
        """Return (id, created) of the jobs that are done and known with their counts."""
        known = self.frame(last)
        # A batch in flight at an abort may still have committed.
        told = known[known["done"] & (known["state"] != "Aborted")].dropna(
            subset="number_records_processed"
        )
        return set(zip(told["id"], told["created_date"], strict=True))

    def _like(self, jobs: pd.DataFrame) -> pd.DataFrame:
        """Return the jobs that do what these do, if these do one thing, else all."""
        kinds = jobs[["object", "operation"]].drop_duplicates().dropna()
        return self.frame(**kinds.iloc[0]) if len(kinds) == 1 else self.frame()

    def _states(self, jobs: pd.DataFrame) -> pd.DataFrame:
        which = replace(self._which(), ids=set(jobs["id"].dropna()))
        return state_intervals(to_frame(self._ledger.snapshots(which)))

    def _only(self, ids: set[str]) -> pd.DataFrame:
        return self._frame(Which(org=self._own, ids=ids))

    def _now(self) -> float:
        return self._live.wire.clock.time() if self._live else time.time()


def explained(
    wire: Wire,
    jobs: JobInfos,
    *,
    past: JobInfos | None = None,
    states: pd.DataFrame | None = None,
) -> Explanation:
    """Return what there is to say of jobs of an org, beside what was seen of it in the past.

    What is given takes the place of what was seen.
    """
    frame = jobs_frame(jobs)
    seen = History(wire.organization or wire.origin, path=wire.ledger)
    with contextlib.suppress(LedgerError):  # then it is unknown whether it was always so
        past = seen._like(frame) if past is None else past
        states = seen._states(frame) if states is None else states
    return explain(frame, past=past, states=states)


def _key_of(text: str) -> OrgKey:
    """Return what an org is known by that is named by URL, host or id."""
    if text.startswith("00D"):
        return OrgKey(None, full(text))
    return OrgKey(text if "://" in text else f"https://{text}")

"""Whatever a report may be about -> its jobs, its loads, and what is known of the org."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from .._explain import Explanation, explain
from .._history import jobs_frame
from .._jobs import production_name
from .._listing import Jobs
from .._lists import user_names
from .._load import Load
from .._past import History, explained
from .._wire import Clock, Wire
from ..errors import BulkError, InputError, LedgerError
from ._parts import some


@dataclass(frozen=True)
class Matter:
    """What a report is about.

    ``history`` is the history frame with a column ``user`` more, one row per job; ``loads`` are
    there if the fate of each row is known; ``wire`` if the jobs came from an org.
    """

    history: pd.DataFrame
    loads: tuple[Load, ...] = ()
    wire: Wire | None = None

    @classmethod
    def of(cls, what: Any) -> Matter:
        """Take in a Load, several, Jobs, a History, or whatever `jobs_frame` reads."""
        loads = _loads(what)
        if loads:
            jobs = [job for load in loads for job in load.jobs]
            return cls(_with_users(jobs_frame(jobs), loads[0]._wire), loads, loads[0]._wire)
        given = what.frame if isinstance(what, Jobs) else what
        given = what.frame() if isinstance(what, History) else given
        history = jobs_frame(given)
        if history.empty:
            raise InputError("There is no job to report on")
        users = history["created_by_id"]
        if isinstance(given, pd.DataFrame) and "user" in given:
            users = given["user"].reset_index(drop=True).fillna(users)
        return cls(
            history.assign(user=users), wire=what[0]._wire if isinstance(what, Jobs) else None
        )

    @property
    def clock(self) -> Clock:
        """The time of the org's connection, or that of this machine."""
        return self.wire.clock if self.wire else time

    @property
    def org(self) -> str:
        """The name of a production org, else the host; nothing if there is no org."""
        if self.wire is None:
            return ""
        host = urlsplit(self.wire.origin).netloc
        try:
            name = production_name(self.wire)
        except BulkError:  # a report is also written when the org cannot be reached any more
            return host
        return f"{name} ({host})" if name else host

    def explain(self, past: Any) -> Explanation:
        """Return where the time went, beside the past that is given or else what the ledger has."""
        if self.wire is None:
            return explain(self.history, past=past)
        return explained(self.wire, self.history, past=past)

    def so_far(self, past: Any) -> pd.DataFrame:
        """The jobs, and those before: of the past that is given, or else what the ledger has."""
        if past is None and self.wire:
            with contextlib.suppress(LedgerError):
                org = self.wire.organization or self.wire.origin
                past = History(org, path=self.wire.ledger).frame()
        if past is None:
            return self.history
        before = jobs_frame(past)
        return pd.concat([before[~before["id"].isin(self.history["id"])], self.history])

    @property
    def users(self) -> str:
        """Who created the jobs, by name where it is known; the busiest first."""
        return some(self.history["user"].value_counts().index)

    @property
    def kinds(self) -> str:
        """What the jobs do, such as "upsert Contact"."""
        pairs = self.history[["operation", "object"]].fillna("").drop_duplicates()
        return some(" ".join(pair).strip() for pair in pairs.itertuples(index=False))


def _loads(what: Any) -> tuple[Load, ...]:
    if isinstance(what, Load):
        return (what,)
    if isinstance(what, Sequence) and any(isinstance(each, Load) for each in what):
        if all(isinstance(each, Load) for each in what):
            return tuple(what)
        raise InputError("A report is on loads or on jobs: give the one or the other")
    return ()


def _with_users(history: pd.DataFrame, wire: Wire) -> pd.DataFrame:
    ids = history["created_by_id"]
    try:
        names = user_names(ids.dropna().unique(), wire)
    except BulkError:
        names = {}
    return history.assign(user=ids.map(lambda id: names.get(id) or id, na_action="ignore"))

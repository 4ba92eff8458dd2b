"""Looks at jobs, one row per change -> how long each job was in each state."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ._jobinfo import QUERIES, STATES

__all__ = ["state_intervals"]

#: What of a look is needed besides ``seen``, ``id`` and ``state``, and is NA where it is missing.
_TEXTS = ("job_type", "operation", "object")
_TIMES = ("created_date", "system_modstamp", "looked_before")
#: State -> the one that follows if nothing was missed. Aborts and failures follow any.
_NEXT = {
    "Open": ("UploadComplete", "Closed"),
    "UploadComplete": ("InProgress",),
    "InProgress": ("JobComplete",),
}
#: Of these a stamp later than the beginning tells of progress, not of the state.
_STAMPED_AGAIN = ("InProgress",)
#: Kinds of jobs that begin in the queue.
_QUEUED = [kind for kind, states in STATES.items() if states.begin == "UploadComplete"]
#: An interval is exact if what is not known of its ends is less than this part of it.
_SLACK = 0.1


def state_intervals(snapshots: pd.DataFrame) -> pd.DataFrame:
    """Return how long each job was in each state that was seen of it.

    The duration of UploadComplete is the wait in the queue (2.0).

    Parameters
    ----------
    snapshots : DataFrame
        One row per change that was seen, as ``History.snapshots`` has them: ``seen``, ``id``,
        ``state``; better with ``created_date``, ``system_modstamp``, ``looked_before`` (the look
        before this one), ``job_type``, ``operation``, ``object``; ``org`` tells jobs apart, too.

    Returns
    -------
    DataFrame
        One row per state of a job, jobs in the order in which they were first seen: ``id``,
        ``job_type``, ``object``, ``operation``, ``state``, ``began`` and ``ended`` (UTC),
        ``duration``, ``exact``; ``org`` first, if it was given. ``ended`` is NA while the state
        lasts, and the last one lasts for good.

        The first state began when the job was created, if jobs of its kind begin in it. Any other
        began when Salesforce stamped it (``systemModstamp``), if that lies between the two looks
        that saw the change, else at the look that saw it first: at the latest, that is. ``exact``
        says whether both ends are known to a tenth of the duration.
    """
    looks = _in_order(snapshots)
    job = looks["job"]
    changes = (job != job.shift()) | (looks["state"] != looks["state"].shift())
    # Another process may have looked later than this one.
    before = looks["seen"].where(job == job.shift(-1)).shift()
    looks["before"] = pd.concat([before, looks["looked_before"]], axis=1).max(axis=1)
    runs = looks[changes].reset_index(drop=True)
    began, slack = _beginnings(runs)
    began = began.groupby(runs["job"]).cummax()
    lasts = runs["job"] != runs["job"].shift(-1)
    ended = began.shift(-1).mask(lasts)
    duration = ended - began
    unsure = slack + _slack_of_end(runs, began, slack)
    exact = (unsure <= _SLACK * duration).astype("boolean").mask(lasts)
    found = runs.assign(began=began, ended=ended, duration=duration, exact=exact)
    by = [name for name in ("org",) if name in found]
    names = [*by, "id", "job_type", "object", "operation", "state"]
    return found[[*names, "began", "ended", "duration", "exact"]]


def _in_order(snapshots: pd.DataFrame) -> pd.DataFrame:
    """Return the looks that tell a state, job by job and each in time; ``job`` numbers the jobs."""
    looks = snapshots[snapshots["state"].notna()]
    looks = looks.reindex(columns=looks.columns.union([*_TEXTS, *_TIMES], sort=False))
    looks = looks.astype(dict.fromkeys(_TEXTS, pd.StringDtype("pyarrow")))
    for name in ("seen", *_TIMES):
        looks[name] = pd.to_datetime(looks[name], utc=True).dt.as_unit("us")
    looks = looks.sort_values("seen", kind="stable")
    by = [name for name in ("org", "id") if name in looks]
    told = looks.groupby(by, sort=False, dropna=False)
    for name in ("job_type", "operation", "object", "created_date"):
        looks[name] = told[name].transform("first")
    looks["job"] = told.ngroup()
    return looks.sort_values("job", kind="stable").reset_index(drop=True)


def _beginnings(runs: pd.DataFrame) -> tuple[pd.Series[pd.Timestamp], pd.Series[pd.Timedelta]]:
    """Return when each state began, and how much earlier that may have been (NA: not known)."""
    first = runs["job"] != runs["job"].shift()
    queued = runs["job_type"].isin(_QUEUED) | runs["operation"].isin(QUERIES)
    at_birth = (runs["state"] == "Open") | (queued & (runs["state"] == "UploadComplete"))
    born = first & at_birth & runs["created_date"].notna()
    earliest = runs["before"].mask(first, runs["created_date"])
    stamp = runs["system_modstamp"]
    # The answer to a 1.0 close still bears the stamp of the creation.
    fresh = ~(stamp < earliest) & ~(stamp <= runs["created_date"])
    stamped = (stamp <= runs["seen"]) & fresh
    began = runs["seen"].mask(stamped, stamp).mask(born, runs["created_date"])
    known = born | (stamped & ~runs["state"].isin(_STAMPED_AGAIN))
    return began, (began - earliest).mask(known, pd.Timedelta(0))


def _slack_of_end(
    runs: pd.DataFrame, began: pd.Series[pd.Timestamp], slack: pd.Series[pd.Timedelta]
) -> pd.Series[pd.Timedelta]:
    """Return how much earlier each state may have ended than the next one that was seen began."""
    followed = np.zeros(len(runs), bool)
    after = runs["state"].shift(-1)
    for state, following in _NEXT.items():
        followed |= ((runs["state"] == state) & after.isin(following)).to_numpy(bool)
    missed = (began - runs["before"]).shift(-1)
    return slack.shift(-1).where(followed, missed)

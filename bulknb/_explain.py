"""History frame -> where the time went, was it always so, and what cannot be known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import pandas as pd

from ._findings import TIMES, Finding, cards, number, pace, plural, sentences
from ._history import JobInfos, jobs_frame
from ._jobinfo import END_UNSTAMPED, TIME_UNSPLIT
from ._jobs.facts import duration
from ._trend import RATES, rates, steps, weight

__all__ = ["Explanation", "explain", "wall_ms"]

#: Kinds of jobs that are compared with their past: those that took longest.
_MOST_KINDS = 3
#: Fewer earlier jobs are no past to compare with.
_FEWEST = 3


class Explanation(Sequence[Finding]):
    """What there is to say of jobs: findings with their numbers, the plainest first.

    Its text is a sentence a line.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._findings = tuple(findings)

    @overload
    def __getitem__(self, at: int) -> Finding: ...
    @overload
    def __getitem__(self, at: slice) -> Explanation: ...
    def __getitem__(self, at: int | slice) -> Finding | Explanation:
        return Explanation(self._findings[at]) if isinstance(at, slice) else self._findings[at]

    def __len__(self) -> int:
        return len(self._findings)

    def __str__(self) -> str:
        return sentences(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return cards("Where the time went", self)


def explain(
    jobs: JobInfos,
    *,
    past: JobInfos | None = None,
    states: pd.DataFrame | None = None,
) -> Explanation:
    """Return where the time of jobs went, and whether it was always so.

    Parameters
    ----------
    jobs : DataFrame
        A history frame, or what `bulknb.jobs_frame` takes.
    past : DataFrame, optional
        Likewise, of the jobs to compare with: those of the same object and operation that were
        created earlier.
    states : DataFrame, optional
        What was seen of each job while it ran: ``id``, ``state``, ``began``, ``ended``, and
        ``exact`` if some times are not.

    Returns
    -------
    Explanation
        A sequence of findings, each with ``kind``, ``sentence`` and ``numbers``. Kinds: "shares"
        (Apex, API and the rest of the total), "kinds" (of jobs that took longest), "queue",
        "parallelism", "retries", "past", "step" (since when), "unknown" (what is not known, and
        why). Times are summed over batches, which run side by side: only those of "queue" and
        "parallelism" are on the clock.
    """
    frame = jobs_frame(jobs)
    if frame.empty:
        return Explanation([Finding("unknown", "There are no jobs to explain.")])
    timed = frame.dropna(subset=["apex_ms", "api_ms", "rest_ms"])
    timed = timed[timed["total_processing_time_ms"] > 0]
    return Explanation(
        [
            *_shares(timed),
            *_kinds(timed),
            *_queue(frame, states),
            *_parallelism(timed),
            *_retries(frame),
            *_against(timed, past),
            *_unknown(frame),
        ]
    )


def wall_ms(frame: pd.DataFrame) -> float:
    """Return the time on the clock in which at least one of the jobs was there, milliseconds.

    NaN if a job does not say: a 1.0 job stamps its close, not the end of its batches.
    """
    if frame.empty or _end_unstamped(frame).any() or frame["duration_ms"].isna().any():
        return float("nan")
    spans = frame.sort_values("created_date")
    began = spans["created_date"].astype("int64").to_numpy()
    ended = np.maximum.accumulate(began + 1_000 * spans["duration_ms"].to_numpy(np.int64))
    begins_anew = np.maximum(began[1:], ended[:-1])
    return float(((ended[0] - began[0]) + (ended[1:] - begins_anew).sum()) / 1_000)


def _shares(timed: pd.DataFrame) -> Iterator[Finding]:
    if timed.empty:
        return
    total = int(timed["total_processing_time_ms"].sum())
    rows = int(timed["number_records_processed"].sum())
    spent = {part: int(timed[f"{part}_ms"].sum()) for part in TIMES}
    numbers = {f"{part}_share": spent[part] / total for part in TIMES} | {"total_ms": total}
    if rows:
        numbers |= {RATES[part]: 1_000 * spent[part] / rows for part in TIMES} | {"rows": rows}
    objects = timed["object"].dropna().unique()
    of = f" on {objects[0]}" if len(objects) == 1 else ""
    said: list[str] = []
    for part in sorted(spent, key=spent.__getitem__, reverse=True):
        whole = "" if said else f" of {duration(total)} processing time{of} is"
        each = f" ({pace(part, numbers[RATES[part]])})" if rows else ""
        said.append(f"{spent[part] / total:.0%}{whole} {TIMES[part]}{each}")
    summed = f"; summed over the batches of {plural(len(timed), 'job')}" if len(timed) > 1 else ""
    yield Finding("shares", f"{', '.join(said)}{summed}.", numbers)


def _kinds(timed: pd.DataFrame) -> Iterator[Finding]:
    """Say which kinds of jobs took most of the time, if there are several."""
    spent = _time_by_kind(timed)
    if len(spent) > 1:
        shares = {str(kind): time / spent.sum() for kind, time in spent.head(_MOST_KINDS).items()}
        said = ", ".join(f"{share:.0%} to {kind}" for kind, share in shares.items())
        yield Finding("kinds", f"Of the processing time went {said}.", shares)


def _queue(frame: pd.DataFrame, states: pd.DataFrame | None) -> Iterator[Finding]:
    """Say how long jobs stood in UploadComplete, which is the queue."""
    waits, unseen, about = pd.Series(dtype="float64"), len(frame), ""
    if states is not None:
        queued = states[states["id"].isin(frame["id"]) & (states["state"] == "UploadComplete")]
        unseen -= queued["id"].nunique()
        about = "" if queued.get("exact", pd.Series(True)).fillna(False).all() else "about "
        spans = (queued["ended"] - queued["began"]).dropna().dt.total_seconds() * 1_000
        waits = spans.groupby(queued["id"]).sum()
    if not len(waits):
        why = "that was not watched" if unseen else "nothing has left it yet"
        yield Finding("queue", f"The wait in the queue is unknown: {why}.")
        return
    median, longest = float(waits.median()), float(waits.max())
    said = f"Waited {about}{duration(longest)} in the queue"
    if len(waits) > 1:
        said = (
            f"Waited in the queue: half of {plural(len(waits), 'job')} up to "
            f"{about}{duration(median)}, the longest {duration(longest)}"
        )
    were = "was" if unseen == 1 else "were"
    also = f"; {plural(unseen, 'job')} {were} not watched" if unseen else ""
    yield Finding(
        "queue",
        f"{said}{also}.",
        {"median_ms": median, "longest_ms": longest, "jobs": len(waits)},
    )


def _parallelism(timed: pd.DataFrame) -> Iterator[Finding]:
    dated = timed[~_end_unstamped(timed) & timed["duration_ms"].notna()]
    wall = wall_ms(dated)
    if not wall > 0:
        return
    total = int(dated["total_processing_time_ms"].sum())
    wide = total / wall
    said = f"{duration(total)} processing time took {duration(wall)} on the clock"
    meaning = (
        f"{number(wide)} batches ran side by side on average"
        if wide >= 1
        else f"batches were at work for {wide:.0%} of it, the rest was upload and queue"
    )
    yield Finding(
        "parallelism",
        f"{said}: {meaning}.",
        {"parallelism": wide, "total_ms": total, "wall_ms": wall},
    )


def _retries(frame: pd.DataFrame) -> Iterator[Finding]:
    count = int(frame["retries"].sum())
    if count:
        jobs = int((frame["retries"] > 0).sum())
        times = "once" if count == 1 else f"{count:,} times"
        yield Finding(
            "retries",
            f"Salesforce tried {times} again to save, in {jobs:,} of {plural(len(frame), 'job')}: "
            "usually after locked parents, which load.locks() names.",
            {"retries": count, "jobs": jobs},
        )


def _against(timed: pd.DataFrame, past: JobInfos | None) -> Iterator[Finding]:
    """Compare the kinds of jobs that took longest with their own past."""
    known = timed if past is None else _joined(jobs_frame(past), timed)
    for kind in _time_by_kind(timed).index[:_MOST_KINDS]:
        jobs = known[_kind(known) == kind]
        now = jobs["id"].isin(timed["id"])
        began, ended = jobs.loc[now, "created_date"].agg(["min", "max"])
        earlier = jobs[~now & (jobs["created_date"] < began)]
        yield _against_past(kind, jobs[now], earlier)
        if here := steps(jobs[jobs["created_date"] <= ended]):
            yield max(here, key=weight).finding


def _against_past(kind: str, jobs: pd.DataFrame, earlier: pd.DataFrame) -> Finding:
    """Compare jobs with earlier ones of their kind, by the medians of their paces."""
    names = {part: RATES[part] for part in TIMES} | {"total": "total_ms_per_1000"}
    now, before = rates(jobs), rates(earlier).dropna(subset=["total_ms_per_1000"])
    if len(before) < _FEWEST:
        return Finding(
            "unknown",
            f"Whether {kind} always took so long is unknown: the times of {len(before) or 'no'} "
            f"earlier {'job' if len(before) == 1 else 'jobs'} are known.",
            {"jobs": len(before)},
        )
    medians = {part: float(now[column].median()) for part, column in names.items()}
    usual = {part: float(before[column].median()) for part, column in names.items()}
    low, high = (float(before["total_ms_per_1000"].quantile(share)) for share in (0.25, 0.75))
    most = max(TIMES, key=lambda part: abs(medians[part] - usual[part]))
    said = (
        f"{kind} took {pace('total', medians['total'])}; the median of {len(before):,} earlier "
        f"jobs is {pace('total', usual['total'])}, the middle half {pace('total', low, high)}"
    )
    if low <= medians["total"] <= high:
        said += ": as usual"
    else:
        said += f". Most of the difference is {TIMES[most]}: {pace(most, medians[most])}, "
        said += f"before {pace(most, usual[most])}"
    return Finding(
        "past",
        f"{said}.",
        {
            "jobs": len(before),
            "total_ms_per_1000": medians["total"],
            "past_ms_per_1000": usual["total"],
            "past_low_ms_per_1000": low,
            "past_high_ms_per_1000": high,
            **{RATES[part]: medians[part] for part in TIMES},
            **{f"past_{RATES[part]}": usual[part] for part in TIMES},
        },
    )


def _unknown(frame: pd.DataFrame) -> Iterator[Finding]:
    """Say of which jobs something cannot be known, and why."""
    done = frame["done"].astype(bool)
    unsplit = frame["job_type"].isin(TIME_UNSPLIT)
    untimed = frame["total_processing_time_ms"].isna()
    partial = done & frame["state"].isin(["Aborted", "Failed"])
    rows = frame["number_records_processed"].fillna(-1)
    reasons = [
        (~done, "not done yet: times are final at the end only"),
        (
            done & unsplit & frame["apex_ms"].isna(),
            "of a query: Salesforce gives no Apex and no API time for these",
        ),
        (
            done & ~unsplit & untimed,
            "without times: a list holds none. Ask for each: org.job(id), or jobs.refresh()",
        ),
        (
            partial & (rows != 0),
            "Aborted or Failed on the way: times and rates are of the part that was done",
        ),
        (done & (rows == 0), "without a processed row: there is no time for each row"),
        (
            done & _end_unstamped(frame) & ~untimed,
            "of Bulk API 1.0: when the last batch ended is not said, so nothing is on the clock",
        ),
    ]
    for which, reason in reasons:
        if count := int(which.sum()):
            yield Finding("unknown", f"{plural(count, 'job')} {reason}.", {"jobs": count})


def _end_unstamped(frame: pd.DataFrame) -> pd.Series[bool]:
    return frame["job_type"].isin(END_UNSTAMPED)


def _joined(past: pd.DataFrame, jobs: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([past[~past["id"].isin(jobs["id"])], jobs], ignore_index=True)


def _kind(frame: pd.DataFrame) -> pd.Series[str]:
    return frame["operation"] + " " + frame["object"]


def _time_by_kind(timed: pd.DataFrame) -> pd.Series[float]:
    """Return the processing time of each kind of job, the longest first."""
    times = timed["total_processing_time_ms"].astype("float64")
    return times.groupby(_kind(timed), sort=False).sum().sort_values(ascending=False)

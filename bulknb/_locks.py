"""Rows that failed for a lock -> the parents that were locked, who else was there, what helps.

Saving a child locks its parents until its transaction ends: batches side by side that have children
of one parent wait for each other, are tried again, and in the end fail. Source: Bulk API Developer
Guide, "General Guidelines for Data Loads".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from . import _check
from ._explain import wall_ms
from ._findings import Finding, cards, plural, sentences
from ._history import JobInfos, jobs_frame
from ._html import Cell, table
from ._jobinfo import END_UNSTAMPED
from ._jobs.facts import duration
from ._trend import rates
from ._work import BATCH_ROWS
from .errors import InputError

if TYPE_CHECKING:
    from ._load import Load

__all__ = ["Locks", "locks", "locks_of"]

#: Of an error that tells of a lock, also within the message of a trigger.
_TOLD = "UNABLE_TO_LOCK_ROW|exclusive access"
_LOCKED_ID = r"records?: *\[?([0-9A-Za-z]{15,18})\b"
#: Fewer jobs without retries are no past to price a remedy by.
_FEWEST = 3
_SHOWN = 10
_WORST = 3
_COUNTS = ["rows", "failed", "jobs", "batches", "retries"]

Objects = tuple[str, ...]
Numbers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Locks:
    """What locked parents did to a load, made by ``load.locks()`` or `locks`.

    Attributes
    ----------
    parents : DataFrame
        One row per parent whose children failed for a lock, or were spread over batches of jobs
        that had to try again; the worst first. ``column``, ``parent`` (the value in it), ``rows``
        (its children in the load), ``failed`` (those that failed for a lock), ``jobs`` and
        ``batches`` (how many have such rows), ``retries`` (of these jobs). ``column`` is NA where
        only the error names the parent.
    overlaps : DataFrame
        One row per other job on the same objects in the same time, the longest first: ``id``,
        ``object``, ``operation``, ``state``, ``created_by_id``, ``began``, ``ended``, ``seconds``
        (on the clock, together with the load).
    remedies : DataFrame
        One row per way to send such rows: ``remedy``, ``parents_split`` (that meet more than one
        batch), ``seconds`` (on the clock, to expect of all rows of the load), ``measured_seconds``
        and ``how``. NA where it is not known.
    findings : tuple of Finding
        The same in sentences. They name no parent: ``parents`` does.
    """

    parents: pd.DataFrame
    overlaps: pd.DataFrame
    remedies: pd.DataFrame
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return sentences(self.findings)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        said = cards("Locked parents", self.findings)
        return said if self.parents.empty else said + _parents_table(self.parents)


def locks(
    frame: pd.DataFrame,
    by: str | Sequence[str],
    *,
    jobs: JobInfos = (),
    past: JobInfos | None = None,
) -> Locks:
    """Return which parents were locked, who else was there, and what would help.

    Parameters
    ----------
    frame : DataFrame
        What became of the rows, as ``load.frame`` has it, perhaps from a file.
    by : str or list of str
        The columns that name parents, such as "AccountId" or "Account.ExternalId__c".
    jobs : DataFrame, optional
        The history frame of the load, ``load.history``: its retries and times.
    past : DataFrame, optional
        The history frame of the org: other jobs, and how long such jobs take without locks.

    Raises
    ------
    InputError
        The frame has no such column.
    """
    columns: dict[str, Objects] = dict.fromkeys([by] if isinstance(by, str) else by, ())
    for name in (*columns, "job_id", "error_code", "error_message"):
        if name not in frame:
            raise InputError(f"There is no column {name!r}: give load.frame, and by= from it")
    known = frame["job_id"].notna()
    place = frame.groupby("job_id", observed=True).cumcount() // BATCH_ROWS
    batch = frame.groupby([frame["job_id"], place], observed=True).ngroup().where(known, -1)
    return _traced(frame, columns, batch.to_numpy(), jobs_frame(jobs), past)


def locks_of(load: Load, *, by: str | Sequence[str] | None, past: JobInfos | None) -> Locks:
    """Return the locks of a load, as ``Load.locks`` says."""
    names = [by] if isinstance(by, str) else by
    parents = _parents_of(_check.describe(load._wire, load.object), load.frame.columns)
    if names is not None:
        if absent := [name for name in names if name not in load.frame]:
            raise InputError(f"There is no column {absent[0]!r} to trace locks by")
        parents = {name: parents.get(name, ()) for name in names}
    batch = load._work.batch_numbers(len(load.frame))
    return _traced(load.frame, parents, batch, load.history, past)


def _parents_of(description: Mapping[str, Any], columns: Iterable[object]) -> dict[str, Objects]:
    """Return the columns that name parents, with the objects that these may be of."""
    leads: dict[str, Objects] = {}
    for field in description["fields"]:
        for name in (field["name"], field.get("relationshipName")):
            if name and field.get("referenceTo"):
                leads[name.lower()] = tuple(field["referenceTo"])
    found = {}
    for column in map(str, columns):
        path, dot, _ = column.lower().rpartition(".")
        name = path.rpartition(":")[2] if dot else column.lower()
        if name in leads:
            found[column] = leads[name]
    return found


def _traced(
    frame: pd.DataFrame,
    columns: Mapping[str, Objects],
    batch: Numbers,
    jobs: pd.DataFrame,
    past: JobInfos | None,
) -> Locks:
    history = None if past is None else jobs_frame(past)
    failed = _failed_for_locks(frame)
    sent = pd.DataFrame(
        {"failed": failed, "batch": batch, "job_id": frame["job_id"]}, index=frame.index
    )
    parents = _parents(frame, list(columns), sent, jobs)
    if not failed.any() and not jobs["retries"].sum():
        calm = Finding("failures", "No row failed for a lock, and no job was tried again.")
        return Locks(
            parents, _overlaps(jobs, [], None), _remedies(parents, sent, jobs, None), (calm,)
        )
    leads = {name for column in columns for name in columns[column]}
    objects = sorted({*jobs["object"].dropna(), *leads})
    overlaps = _overlaps(jobs, objects, history)
    remedies = _remedies(parents, sent, jobs, history)
    findings = (
        *_on_failures(frame, failed, parents),
        *_on_retries(jobs),
        *_on_overlaps(overlaps, objects, asked=history is not None),
        *_on_remedies(remedies, parents),
    )
    return Locks(parents, overlaps, remedies, findings)


def _failed_for_locks(frame: pd.DataFrame) -> pd.Series[bool]:
    told = frame["error_message"].astype("string").str.contains(_TOLD).fillna(False)
    return told.astype(bool) | (frame["error_code"] == "UNABLE_TO_LOCK_ROW").fillna(False)


def _parents(
    frame: pd.DataFrame, columns: list[str], sent: pd.DataFrame, jobs: pd.DataFrame
) -> pd.DataFrame:
    locked = frame["error_message"].where(sent["failed"]).astype("string")
    locked = locked.str.extract(_LOCKED_ID, expand=False)
    values = {name: frame[name].astype("string") for name in columns}
    # An error names the parent by its Id: where a column has this, no other one is to blame.
    named = {name: values[name].str[:15] == locked.str[:15] for name in columns}
    clear = pd.concat(named, axis=1).any(axis=1) if named else pd.Series(False, index=frame.index)
    retries = jobs.set_index("id")["retries"].fillna(0).astype("int64")
    found = []
    for name in _blamed(values, named, locked.where(~clear)):
        blamed = sent["failed"] & (named[name].fillna(False) | ~clear)
        found.append(_by_parent(name, values[name], sent.assign(failed=blamed), retries))
    if not sum(int(parents["failed"].sum()) for parents in found):
        found.append(_by_parent(None, locked, sent, retries))
    return pd.concat(found, ignore_index=True).sort_values(
        ["failed", "batches", "rows"], ascending=False, kind="stable", ignore_index=True
    )


def _blamed(
    values: Mapping[str, pd.Series[str]],
    named: Mapping[str, pd.Series[bool]],
    locked: pd.Series[str],
) -> list[str]:
    """Return the columns in which the locked parents stand: by Id, or one value for each Id."""
    fitting = [name for name in named if named[name].any()]
    for name in values:
        pairs = pd.DataFrame({"id": locked, "value": values[name]}).dropna().drop_duplicates()
        if len(pairs) and len(pairs) == pairs["id"].nunique() == pairs["value"].nunique():
            fitting.append(name)
    return list(dict.fromkeys(fitting)) or list(values)


def _by_parent(
    column: str | None, parent: pd.Series[str], sent: pd.DataFrame, retries: pd.Series[int]
) -> pd.DataFrame:
    """Return the parents of one column that were fought for."""
    known = sent.assign(parent=parent)[parent.notna() & (sent["batch"] >= 0)]
    found = known.groupby("parent", sort=False).agg(
        rows=("failed", "size"),
        failed=("failed", "sum"),
        jobs=("job_id", "nunique"),
        batches=("batch", "nunique"),
    )
    in_jobs = known[["parent", "job_id"]].drop_duplicates()
    tried = (
        in_jobs["job_id"].astype("string").map(retries).fillna(0).groupby(in_jobs["parent"]).sum()
    )
    found = found.assign(retries=tried).reset_index().astype({"parent": "string"})
    found = found[(found["failed"] > 0) | ((found["batches"] > 1) & (found["retries"] > 0))]
    names = pd.Series(column, index=found.index, dtype="string")
    found = found.assign(column=names)[["column", "parent", *_COUNTS]]
    return found.astype(dict.fromkeys(_COUNTS, "Int64"))


def _ended(jobs: pd.DataFrame) -> pd.Series[pd.Timestamp]:
    """Return when jobs ended at the latest; missing while they run."""
    # A 1.0 job stamps its close: its batches may then take as long as one after the other.
    late = pd.to_timedelta(jobs["total_processing_time_ms"].fillna(0).astype("int64"), unit="ms")
    late = late.where(jobs["job_type"].isin(END_UNSTAMPED), pd.Timedelta(0))
    return (jobs["system_modstamp"] + late).where(jobs["done"].astype(bool))


def _overlaps(jobs: pd.DataFrame, objects: list[str], history: pd.DataFrame | None) -> pd.DataFrame:
    known = jobs.iloc[:0] if history is None else history
    began, ended = jobs["created_date"].min(), _ended(jobs).max()
    others = known[known["object"].isin(objects) & ~known["id"].isin(jobs["id"])]
    created, last = others["created_date"], _ended(others)
    first, until = created.where(created > began, began), last.where(last < ended, ended)
    seconds = (until - first).dt.total_seconds()
    found = others[["id", "object", "operation", "state", "created_by_id"]].assign(
        began=created, ended=last, seconds=seconds
    )
    return found[found["seconds"] > 0].sort_values("seconds", ascending=False, ignore_index=True)


def _remedies(
    parents: pd.DataFrame, sent: pd.DataFrame, jobs: pd.DataFrame, history: pd.DataFrame | None
) -> pd.DataFrame:
    wall = wall_ms(jobs)
    wide = float(jobs["total_processing_time_ms"].sum()) / wall if wall > 0 else math.nan
    rows = float(jobs["number_records_processed"].sum())
    alone = _calm_ms_per_1000(jobs, history) * rows / 1e6
    ways = [("as_it_was", int((parents["batches"] > 1).sum()), wall / 1_000, "")]
    if len(names := parents["column"].dropna()):
        # Of a 2.0 job no larger than a batch, what is together in the job is so in the batch.
        largest = int(max(sent["batch"].value_counts().drop(-1, errors="ignore").max(), 1))
        size = min(BATCH_ROWS, max(largest, int(parents["rows"].max())))
        options = f'keep_together="{names.iloc[0]}", rows_per_chunk={size}'
        side_by_side = np.clip(wide, 1, max(1, math.ceil(rows / size)))
        too_many = int((parents["rows"] > BATCH_ROWS).sum())
        ways.append(("keep_together", too_many, alone / side_by_side, f"load.retry({options})"))
    ways.append(("serial", 0, alone, 'load.retry(api="1.0", mode="serial")'))
    frame = pd.DataFrame(ways, columns=["remedy", "parents_split", "seconds", "how"])
    frame.insert(3, "measured_seconds", wall / 1_000)
    return frame.astype(
        {
            **dict.fromkeys(["remedy", "how"], "string"),
            "parents_split": "Int64",
            **dict.fromkeys(["seconds", "measured_seconds"], "Float64"),
        }
    )


def _calm_ms_per_1000(jobs: pd.DataFrame, history: pd.DataFrame | None) -> float:
    """Return what 1,000 rows take without locks: in the past, or else the active time now."""
    if history is not None:
        same = history["object"].isin(jobs["object"]) & history["operation"].isin(jobs["operation"])
        calm = rates(history[same & (history["retries"] == 0) & ~history["id"].isin(jobs["id"])])
        known = calm["total_ms_per_1000"].dropna()
        if len(known) >= _FEWEST:
            return float(known.median())
    active, rows = jobs["api_active_processing_time_ms"].sum(), jobs["number_records_processed"]
    return float(1_000 * active / rows.sum()) if rows.sum() else math.nan


def _on_failures(
    frame: pd.DataFrame, failed: pd.Series[bool], parents: pd.DataFrame
) -> Iterator[Finding]:
    count, all_failed = int(failed.sum()), int((frame["outcome"] == "failed").sum())
    fought = parents[parents["failed"] > 0] if count else parents
    split = int((fought["batches"] > 1).sum())
    columns = ", ".join(fought["column"].dropna().unique())
    named = f" ({columns})" if columns else ", which the errors name"
    numbers: dict[str, float] = {"failed": count, "parents": len(fought), "split": split}
    lost = f"{count:,} of {all_failed:,} failed rows did so for a lock"
    if not count:
        said = "No row failed for a lock in the end"
    elif fought.empty:
        said = f"{lost}; which parent it was is not told"
    else:
        said = f"{lost}, under {plural(len(fought), 'parent')}{named}"
    yield Finding("failures", f"{said}.", numbers)
    if not split:
        return
    said = f"{plural(split, 'parent')}{named} had children in 2 or more batches"
    if count and len(fought) > _WORST:
        share = float(fought["failed"].head(_WORST).sum()) / count
        said += f"; the worst {_WORST} had {share:.1%} of the failures"
        numbers = numbers | {"worst_share": share}
    yield Finding("parents", f"{said}.", numbers)


def _on_retries(jobs: pd.DataFrame) -> Iterator[Finding]:
    if count := int(jobs["retries"].sum()):
        tried = int((jobs["retries"] > 0).sum())
        yield Finding(
            "retries",
            f"Salesforce tried {count:,} times again to save, in {tried:,} of {len(jobs):,} jobs.",
            {"retries": count, "jobs": tried},
        )


def _on_overlaps(overlaps: pd.DataFrame, objects: list[str], *, asked: bool) -> Iterator[Finding]:
    on = " or ".join(objects) or "the same object"
    if not asked:
        said = f"Whether other jobs worked on {on} meanwhile is unknown: give past=."
        yield Finding("overlaps", said)
    elif overlaps.empty:
        yield Finding("overlaps", f"No other job worked on {on} meanwhile.", {"jobs": 0})
    else:
        longest = overlaps.iloc[0]
        many = plural(len(overlaps), "other job")
        yield Finding(
            "overlaps",
            f"{many} worked on {on} meanwhile, {longest['operation']} {longest['object']} for "
            f"{duration(1_000 * float(longest['seconds']))}.",
            {"jobs": len(overlaps), "longest_seconds": float(longest["seconds"])},
        )


def _on_remedies(remedies: pd.DataFrame, parents: pd.DataFrame) -> Iterator[Finding]:
    known = remedies.dropna(subset=["seconds"]).set_index("remedy")
    fought = plural(len(parents), "parent")
    took = f", measured {_time(known, 'as_it_was')}" if "as_it_was" in known.index else ""
    for remedy, meaning in (
        ("keep_together", f"of {fought} {{}} would meet more than one batch"),
        ("serial", "no batch would meet another one of the load"),
    ):
        if remedy in known.index:
            split, seconds = (float(known[name][remedy]) for name in ("parents_split", "seconds"))
            yield Finding(
                "remedy",
                f"{remedy}: {meaning.format(f'{split:.0f}')}; to expect, about "
                f"{_time(known, remedy)}{took}. {known['how'][remedy]}",
                {"parents_split": split, "seconds": seconds},
            )


def _time(known: pd.DataFrame, remedy: str) -> str:
    return duration(1_000 * float(known["seconds"][remedy]))


def _parents_table(parents: pd.DataFrame) -> str:
    shown = parents.head(_SHOWN)
    return table(
        f"The first {len(shown):,} of {plural(len(parents), 'parent')}",
        [("column", False), ("parent", False), *((name, True) for name in _COUNTS)],
        [
            [
                Cell("" if pd.isna(row["column"]) else str(row["column"])),
                Cell(str(row["parent"])),
                *(Cell(f"{row[name]:,}") for name in _COUNTS),
            ]
            for row in shown.to_dict("records")
        ],
    )

"""What became of the rows: in one sentence, and as a proof that nothing is missing.

Of a load each row's own result is known. Of jobs there are Salesforce's counters alone; what a job
that failed or was aborted wrote is not told by them (Bulk API 2.0 guide, "Get Job Info").
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from .._findings import plural
from .._jobinfo import COMPLETE, QUERIES
from .._load import Load
from .._outcomes import OUTCOMES
from ..errors import ReconcileError
from ._matter import Matter
from ._parts import Section, Table, listed, number, text

_PROCESSED, _FAILED = "number_records_processed", "number_records_failed"
#: Outcome of a row -> what is said of so many.
_FATES = {
    "failed": "failed",
    "unprocessed": "were not processed",
    "not_sent": "were not sent",
    "unknown": "are of unknown fate",
}


def outcome(matter: Matter) -> str:
    """Return in one sentence what became of the rows."""
    return _of_loads(matter.loads) if matter.loads else _of_jobs(matter.history)


def proof(matter: Matter) -> Section:
    """Return the counts, and that they add up."""
    return _proof(matter.loads) if matter.loads else _counters(matter.history)


def done_to(operations: set[str]) -> str:
    """Return what success means for rows."""
    if operations <= {"delete", "hardDelete"}:
        return "are deleted"
    return "succeeded" if operations & {"delete", "hardDelete"} else "are in the org"


# Loads: each row has its own result


def _counts(load: Load) -> pd.Series:
    counts = load.counts
    if counts[list(OUTCOMES)].sum() != counts["sent"]:
        raise ReconcileError(f"The counts of the load of {load.object} do not add up")
    return counts


def _of_loads(loads: Sequence[Load]) -> str:
    counts = pd.DataFrame([_counts(load) for load in loads]).sum()
    good = done_to({load.operation for load in loads})
    if not counts["sent"]:
        return "There were no rows to load."
    if counts["success"] == counts["sent"]:
        return (
            f"All {counts['sent']:,} rows {good}."
            if counts["sent"] > 1
            else f"The row {_one(good)}."
        )
    others = [
        f"{counts[name]:,} {words if counts[name] > 1 else _one(words)}"
        for name, words in _FATES.items()
        if counts[name]
    ]
    return f"{counts['success']:,} of {plural(counts['sent'], 'row')} {good}; {listed(others)}."


def _one(words: str) -> str:
    """Return what is said of many as it is said of one."""
    return words.replace("are ", "is ").replace("were ", "was ")


def _proof(loads: Sequence[Load]) -> Section:
    ours = pd.DataFrame([_counts(load) for load in loads])
    theirs = pd.DataFrame([load.history[[_PROCESSED, _FAILED]].sum() for load in loads])
    counts = pd.concat([ours, theirs.astype("int64")], axis="columns")
    total = counts.sum()
    names = [f"{load.operation} {load.object}" for load in loads]
    parts = " + ".join(f"{total[name]:,} {_words(name)}" for name in OUTCOMES)
    titles = ["Load", *(_words(name).capitalize() for name in ours)]
    titles += ["Salesforce: processed", "Salesforce: failed"]
    table = Table(
        "Rows by outcome, and Salesforce's own counters",
        {title: title != "Load" for title in titles},
        [
            (name, *map(number, row))
            for name, row in zip(names, counts.itertuples(index=False), strict=True)
        ],
        ("Together", *map(number, total)) if len(loads) > 1 else (),
    )
    sentences = [f"{total['sent']:,} rows = {parts}.", *_unknown(loads), _agreement(total)]
    return Section("Every row accounted for", sentences, tables=[table])


def _words(name: object) -> str:
    return str(name).replace("_", " ")


def _unknown(loads: Sequence[Load]) -> list[str]:
    reasons = pd.concat([load.frame["unknown_reason"].value_counts() for load in loads])
    found = reasons.groupby(level=0).sum()
    words = [f"{_words(reason)} ({rows:,})" for reason, rows in found.items()]
    return [f"Why the fate of rows is unknown: {listed(words)}."] if words else []


def _agreement(total: pd.Series) -> str:
    said = f"{total[_PROCESSED]:,} rows processed, {total[_FAILED]:,} of them failed"
    answered = total["success"] + total["failed"]
    if total[_PROCESSED] == answered and total[_FAILED] == total["failed"]:
        return f"Salesforce's own counters agree: {said}."
    return (
        f"Salesforce's own counters of the jobs below are others: {said}. They leave out rows that "
        "were sent again by other jobs, and what a job had in flight when it ended early; the "
        "outcomes here come from the result of each row."
    )


# Jobs: Salesforce's counters


def _of_jobs(history: pd.DataFrame) -> str:
    done = history["done"].fillna(False).astype(bool)
    complete = history[done & history["state"].isin(COMPLETE)]
    queries = complete["operation"].isin(QUERIES)
    said = [_written(complete[~queries]), _read(complete[queries])]
    head = f"{len(complete):,} of {plural(len(history), 'job')} are complete"
    if len(complete) == len(history):
        head = (
            "The job is complete"
            if len(history) == 1
            else f"All {len(history):,} jobs are complete"
        )
    ended = history[done & ~history["state"].isin(COMPLETE)]["state"].value_counts()
    others = [f"{jobs:,} {state}" for state, jobs in ended.items()]
    if not done.all():
        others.append(f"{(~done).sum():,} not done")
    return "; ".join(filter(None, [head, *said, listed(others)])) + "."


def _written(complete: pd.DataFrame) -> str:
    counted = complete.dropna(subset=[_PROCESSED, _FAILED])
    if counted.empty:
        return "their lists do not tell of rows" if len(complete) else ""
    processed, failed = int(counted[_PROCESSED].sum()), int(counted[_FAILED].sum())
    good = done_to(set(counted["operation"]))
    left_out = len(complete) - len(counted)
    unsaid = f" ({plural(left_out, 'job')} did not tell)" if left_out else ""
    if not failed:
        return f"all {processed:,} rows {good}{unsaid}"
    return f"{processed - failed:,} of {processed:,} rows {good}, {failed:,} failed{unsaid}"


def _read(complete: pd.DataFrame) -> str:
    counted = complete[_PROCESSED].dropna()
    return f"queries read {int(counted.sum()):,} rows" if len(counted) else ""


def _counters(history: pd.DataFrame) -> Section:
    groups = history.groupby(["object", "operation", "state"], dropna=False, sort=True)
    sums = groups[[_PROCESSED, _FAILED]].sum(min_count=1)
    columns = ["Object", "Operation", "State", "Jobs", "Processed", "Failed", "Not failed"]
    rows = [
        (*map(text, key), number(jobs), number(done), number(failed), number(done - failed))
        for key, jobs, done, failed in zip(
            sums.index, groups.size(), sums[_PROCESSED], sums[_FAILED], strict=True
        )
    ]
    all_jobs = history[[_PROCESSED, _FAILED]].sum()
    done, failed = all_jobs
    total = ("Together", "", "", *map(number, (len(history), done, failed, done - failed)))
    table = Table(
        "Rows by object, operation and state, by Salesforce's own counters",
        {name: name not in columns[:3] for name in columns},
        rows,
        total if len(rows) > 1 else (),
    )
    note = (
        "Processed rows include those that failed. Of a job that is Aborted or Failed, rows that "
        "did not fail may be written or left undone: its results tell."
    )
    return Section("The rows, by Salesforce's own counters", [note], tables=[table])

"""Two loads or sets of jobs -> what is different, per 1,000 rows and part by part."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from ._explain import wall_ms
from ._findings import TIMES, Finding, cards, number, pace, sentences, span
from ._history import JobInfos, jobs_frame
from ._listing import Jobs
from ._load import Load

__all__ = ["Comparison", "compare"]

#: Part of the comparison -> its unit; failures by code follow.
_UNITS = {
    **dict.fromkeys(("apex", "api", "rest", "total"), "ms per 1,000 rows"),
    **dict.fromkeys(("failed", "retries"), "per 1,000 rows"),
    "rows": "rows",
    "wall": "s",
    "rows_per_second": "rows/s",
    "parallelism": "batches",
}
#: A total that differs by less is about the same.
_SAME = 0.1


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is different between two loads or sets of jobs, made by `compare`.

    Attributes
    ----------
    frame : DataFrame
        One row per part: ``part``, ``a``, ``b``, ``difference`` (b less a), ``ratio`` (b over a)
        and ``unit``. Parts are apex, api, rest and total (milliseconds per 1,000 rows), failed and
        retries (per 1,000 rows), rows, wall (seconds in which there were jobs), rows_per_second and
        parallelism; of two loads also each error code (rows per 1,000). NA where it is not known.
    findings : tuple of Finding
        What there is to say, the biggest change pointed at.
    """

    frame: pd.DataFrame
    findings: tuple[Finding, ...]

    def __str__(self) -> str:
        return sentences(self.findings)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return cards("From the first to the second", self.findings)


def compare(a: Load | JobInfos, b: Load | JobInfos) -> Comparison:
    """Return what changed from one load, or set of jobs, to another.

    Parameters
    ----------
    a, b : Load, Jobs, DataFrame
        Loads, jobs of an org, history frames, or what else `bulknb.jobs_frame` takes. Jobs that
        are not done are left out.
    """
    histories = [_history(side) for side in (a, b)]
    measured = [_measures(history[history["done"]]) for history in histories]
    if isinstance(a, Load) and isinstance(b, Load):
        measured = [
            numbers | _by_code(load) for numbers, load in zip(measured, (a, b), strict=True)
        ]
    frame = _frame(*measured)
    return Comparison(frame, tuple(_findings(frame.set_index("part"), histories)))


def _history(side: Load | JobInfos) -> pd.DataFrame:
    if isinstance(side, Load):
        return side.history
    return side.frame if isinstance(side, Jobs) else jobs_frame(side)


def _measures(done: pd.DataFrame) -> dict[str, float]:
    """Return the parts of one side; NaN where no job says."""
    rows = _sum(done, "number_records_processed")
    wall = wall_ms(done) / 1_000
    total = _sum(done, "total_processing_time_ms")
    spent = {part: _sum(done, f"{part}_ms") for part in TIMES} | {"total": total}
    each = spent | {
        "failed": _sum(done, "number_records_failed"),
        "retries": _sum(done, "retries"),
    }
    return {
        **{part: _over(1_000 * value, rows) for part, value in each.items()},
        "rows": rows,
        "wall": wall,
        "rows_per_second": _over(rows, wall),
        "parallelism": _over(total, 1_000 * wall),
    }


def _sum(frame: pd.DataFrame, column: str) -> float:
    """Return a sum that is only known if every job says."""
    values = frame[column].astype("float64")
    return float(values.sum(skipna=False)) if len(values) else math.nan


def _over(value: float, by: float) -> float:
    return value / by if by > 0 else math.nan


def _by_code(load: Load) -> dict[str, float]:
    failed = load.failed["error_code"].value_counts()
    return {str(code): 1_000 * count / len(load.frame) for code, count in failed.items()}


def _frame(a: dict[str, float], b: dict[str, float]) -> pd.DataFrame:
    codes = sorted({*a, *b} - {*_UNITS})
    parts = [*_UNITS, *codes]
    none = dict.fromkeys(codes, 0.0)
    values = {
        name: pd.array([(none | side)[part] for part in parts], "Float64")
        for name, side in (("a", a), ("b", b))
    }
    frame = pd.DataFrame({"part": pd.array(parts, "string"), **values})
    return frame.assign(
        difference=frame["b"] - frame["a"],
        ratio=frame["b"] / frame["a"].where(frame["a"] != 0),
        unit=pd.array([_UNITS.get(part, "per 1,000 rows") for part in parts], "string"),
    )


def _findings(parts: pd.DataFrame, histories: list[pd.DataFrame]) -> Iterator[Finding]:
    yield from _of_total(parts)
    yield from _of_failures(parts)
    yield from _on_the_clock(parts)
    yield from _of_doubts(histories)


def _of_total(parts: pd.DataFrame) -> Iterator[Finding]:
    total = parts.loc["total"]
    if pd.isna(total["difference"]):
        yield Finding("unknown", "How long a row took is not known of both: see the frame.")
        return
    times = _times(total)
    verb = "went from" if times or not total["a"] else "is about the same,"
    said = f"Processing {verb} {pace('total', total['a'], total['b'])}{times}"
    yield Finding(
        "total", f"{said}{_most(parts, list(TIMES), _SAME * total['a'])}.", _numbers(total)
    )


def _of_failures(parts: pd.DataFrame) -> Iterator[Finding]:
    failed = parts.loc["failed"]
    if pd.isna(failed["difference"]) or not failed["difference"]:
        return
    said = f"Failures went from {pace('failed', failed['a'], failed['b'])}{_times(failed)}"
    codes = [part for part in parts.index if part not in _UNITS]
    yield Finding("failed", f"{said}{_most(parts, codes, 0)}.", _numbers(failed))


def _on_the_clock(parts: pd.DataFrame) -> Iterator[Finding]:
    speed, wide = parts.loc["rows_per_second"], parts.loc["parallelism"]
    if pd.isna(speed["difference"]):
        return
    said = f"On the clock, {span(speed['a'], speed['b'])} rows a second{_times(speed)}"
    if not pd.isna(wide["difference"]):
        said += f", with {span(wide['a'], wide['b'])} batches side by side"
    yield Finding("clock", f"{said}.", _numbers(speed))


def _of_doubts(histories: list[pd.DataFrame]) -> Iterator[Finding]:
    """Say what keeps the two from being held against each other."""
    first, second = (
        set((history["operation"] + " " + history["object"]).dropna()) for history in histories
    )
    if first != second:
        said = f"{', '.join(sorted(first))} and {', '.join(sorted(second))}"
        yield Finding("unknown", f"The two are different work: {said}.")
    running = sum(int((~history["done"]).sum()) for history in histories)
    if running:
        left = "1 job is" if running == 1 else f"{running:,} jobs are"
        yield Finding("unknown", f"{left} not done yet, and left out.", {"jobs": running})


def _most(parts: pd.DataFrame, names: list[str], least: float) -> str:
    """Return where most of a change lies, if that is more than the least worth telling."""
    changes = parts.loc[names, "difference"].dropna().abs()
    if changes.empty or changes.max() <= least:
        return ""
    most = str(changes.idxmax())
    unit = most if most in TIMES else "failed"
    a, b = (float(parts[side][most]) for side in ("a", "b"))
    return f"; most of the change is {TIMES.get(most, most)}: {pace(unit, a, b)}"


def _times(row: pd.Series) -> str:
    known = not pd.isna(row["ratio"]) and abs(row["ratio"] - 1) >= _SAME
    return f" ({number(row['ratio'])} times)" if known else ""


def _numbers(row: pd.Series) -> dict[str, float]:
    return {name: float(row[name]) for name in ("a", "b", "ratio") if not pd.isna(row[name])}

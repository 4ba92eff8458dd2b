"""Pre-flight: what an org would say to a load, before anything is sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from . import _cells, _check, _csv
from ._cells import Keys
from ._check import Plan
from ._chunks import Chunks
from ._encode import CellError, Encoding, Nulls
from ._html import card
from ._jobs.facts import duration
from ._source import Piece, Source
from ._wire import Wire
from .errors import BulkError, InputError

__all__ = ["Check", "check"]

#: Problems of single rows that are listed, at most.
_LISTED = 100_000
#: "Bulk API 2.0 Limits": an ingest job makes a batch of every 10,000 records.
_BATCH_ROWS = 10_000
#: Create, upload, close, three sets of results, and a few looks in between.
_CALLS_PER_JOB = 10
_REASONS = 5
_PREVIEW_ROWS = 20
_SLAB_ROWS = 65_536
_ERROR, _WARNING = "error", "warning"


class _Problem(NamedTuple):
    row: object
    column: str
    problem: str
    severity: str


class Cost(NamedTuple):
    """What a load takes: rows, bytes of CSV, jobs, batches of Salesforce's, API calls (about)."""

    rows: int
    bytes: int
    jobs: int
    batches: int
    calls: int


@dataclass(frozen=True)
class Check:
    """What would become of a load; made by ``org.check(...)``, which sends nothing.

    Attributes
    ----------
    object, operation : str
        As given to ``org.check``.
    problems : DataFrame
        One row per problem: ``row`` (label in the frame's index, missing for a whole column),
        ``column``, ``problem``, ``severity``. An "error" is refused by the org, or by
        ``org.load``; a "warning" may be meant so. At most 100,000.
    cost : Cost, optional
        What the load takes; missing while some values cannot be sent at all.
    left : mapping
        What the org allows today of ``batches`` and ``calls``; missing where it does not say.
    seconds : float, optional
        Time to expect by past loads of this kind, if there are any.
    job : mapping
        The job as it would be created.
    """

    object: str
    operation: str
    problems: pd.DataFrame
    cost: Cost | None
    left: Mapping[str, int]
    seconds: float | None
    job: Mapping[str, str]
    _head: pa.Table

    @property
    def ok(self) -> bool:
        """Whether nothing was found that the org would refuse."""
        return self.errors.empty

    @property
    def errors(self) -> pd.DataFrame:
        """The problems that the org, or ``org.load``, would refuse."""
        return self.problems[self.problems["severity"] == "error"]

    @property
    def warnings(self) -> pd.DataFrame:
        """The problems that may be meant so."""
        return self.problems[self.problems["severity"] == "warning"]

    @property
    def summary(self) -> pd.DataFrame:
        """One row per kind of problem: ``severity, column, problem, rows, example_row``."""
        by = ["severity", "column", "problem"]
        return (
            self.problems.groupby(by, sort=False, dropna=False)["row"]
            .agg(rows="size", example_row="first")
            .reset_index()
            .sort_values(["severity", "rows"], ascending=[True, False], kind="stable")
            .reset_index(drop=True)
        )

    def preview(self, rows: int = 5) -> str:
        """Return what goes over the wire: the job, and the CSV of its first rows, at most 20."""
        job = json.dumps(dict(self.job), indent=2)
        return f"{job}\n\n{_csv.write(self._head.slice(0, rows)).decode()}"

    def __repr__(self) -> str:
        facts = "; ".join(f"{name.lower()} {value}" for name, value in self._facts())
        return f"<Check {self.operation} {self.object}: {facts}>"

    def _repr_html_(self) -> str:
        reasons = [
            (f"{kind['severity'].capitalize()}: {kind['column']}", _reason(kind))
            for kind in self.summary.head(_REASONS).to_dict("records")
        ]
        more = len(self.summary) - len(reasons)
        rest = [("", f"and {more:,} more kinds: see .problems")] if more > 0 else []
        return card(f"Check: {self.operation} {self.object}", [*self._facts(), *reasons, *rest])

    def _facts(self) -> list[tuple[str, str]]:
        facts = [("Errors", f"{len(self.errors):,}"), ("Warnings", f"{len(self.warnings):,}")]
        if self.cost is None:
            return facts
        time = (
            "no past load of this kind" if self.seconds is None else duration(1000 * self.seconds)
        )
        return [
            ("Rows", f"{self.cost.rows:,}"),
            *facts,
            ("Bytes", f"{self.cost.bytes:,}"),
            ("Jobs", f"{self.cost.jobs:,}"),
            ("Batches", f"{self.cost.batches:,}{self._left('batches')}"),
            ("API calls", f"about {self.cost.calls:,}{self._left('calls')}"),
            ("Time to expect", time),
        ]

    def _left(self, name: str) -> str:
        return f" of {self.left[name]:,} left today" if name in self.left else ""


def check(
    wire: Wire,
    data: Any,
    name: str,
    operation: str,
    *,
    external_id: str | None,
    tz: str | None,
    nulls: Nulls,
    chunk_bytes: int,
    history: pd.DataFrame | None,
) -> Check:
    """Return what an org would say to a load; see ``Org.check``."""
    source = Source.of(data)
    if source.once:
        raise InputError("A stream is read once: check what it is made of, or load it unchecked")
    _check.check_call(source, operation, external_id)
    description = _check.describe(wire, name)
    plan, wrong = _check.survey(wire, description, source.columns, operation, external_id)
    encoding = plan.encoding(source, tz=tz, nulls=nulls)
    found = [_Problem(None, column, problem, _ERROR) for column, problem in wrong.items()]
    found += _absent(plan, source.columns, description, operation)
    found += islice(_of_cells(source, plan, encoding, operation), _LISTED)
    cost = None
    try:
        cost = _cost(Chunks(source, encoding, limit=chunk_bytes, together=_keys(plan)))
    except CellError:
        pass  # it is among the problems of the cells
    except InputError as error:
        found.append(_Problem(None, "", str(error), _ERROR))
    left = _left_today(wire)
    found += _beyond(cost, left)
    job = {"object": str(description["name"]), "operation": operation}
    if operation == "upsert" and plan.key:
        job["externalIdFieldName"] = plan.key
    return Check(
        object=job["object"],
        operation=operation,
        problems=pd.DataFrame(found, columns=list(_Problem._fields)),
        cost=cost,
        left=left,
        seconds=_seconds(history, job["object"], operation, cost.rows if cost else 0),
        job={**job, "contentType": "CSV", "lineEnding": "LF"},
        _head=_head(source, encoding),
    )


def _keys(plan: Plan) -> list[str]:
    return [plan.key_column] if plan.key_column else []


def _absent(
    plan: Plan, columns: Iterable[str], description: Mapping[str, Any], operation: str
) -> Iterator[_Problem]:
    """Yield the required fields that no column fills."""
    if operation not in ("insert", "upsert"):
        return
    there = {name.lower() for name in plan.header.values()}
    there |= {path.rpartition(".")[0].rpartition(":")[2] for path in there}
    strange = [name for name in columns if name not in plan.fields]
    for field in description["fields"]:
        names = {field["name"].lower(), str(field.get("relationshipName")).lower()}
        if _required(field) and not names & there:
            hint = _check.near(field["name"], strange)
            # Records that are there already need no value.
            severity = _ERROR if operation == "insert" else _WARNING
            yield _Problem(None, field["name"], f"The required field has no column{hint}", severity)


def _required(field: Mapping[str, Any]) -> bool:
    return bool(
        not field.get("nillable", True)
        and field.get("createable")
        and not field.get("defaultedOnCreate")
    )


def _of_cells(source: Source, plan: Plan, encoding: Encoding, operation: str) -> Iterator[_Problem]:
    """Yield what is wrong with single cells, piece by piece."""
    keys = {
        column: Keys()
        for column, field in plan.fields.items()
        if column == plan.key_column or (field.get("unique") and "." not in column)
    }
    for whole in source.pieces():
        for at in range(0, len(whole), _SLAB_ROWS):
            piece = whole.slice(at, at + _SLAB_ROWS)
            for column in plan.fields:
                yield from _of_column(piece, column, plan, encoding, operation, keys.get(column))


def _of_column(
    piece: Piece, column: str, plan: Plan, encoding: Encoding, operation: str, keys: Keys | None
) -> Iterator[_Problem]:
    field = plan.fields[column]
    try:
        texts = encoding.texts(piece.select([column]).rows, piece.labels)[0]
    except CellError as error:
        yield _Problem(error.row, column, f"The value {error.problem}", _ERROR)
        return
    found = list(_cells.problems(texts, field))
    if column == plan.key_column:
        found.append((f"is blank: {operation} finds the record by it", True, _cells.missing(texts)))
    elif operation == "insert" and _required(field) and "." not in column:
        found.append(("is blank, and the field is required", True, _cells.missing(texts)))
    if keys:
        found.append(("is in an earlier row too", True, keys.repeated(texts)))
    for problem, strict, cells in found:
        for at in np.flatnonzero(pc.fill_null(cells, False).to_numpy()):
            row = piece.labels[int(at)]
            yield _Problem(row, column, f"The value {problem}", _ERROR if strict else _WARNING)


def _cost(chunks: Chunks) -> Cost:
    rows = size = jobs = batches = 0
    for chunk in chunks:
        rows, size, jobs = chunk.stop, size + len(chunk.data), jobs + 1
        batches += -(-(chunk.stop - chunk.start) // _BATCH_ROWS)
        del chunk
    return Cost(rows, size, jobs, batches, _CALLS_PER_JOB * jobs)


def _left_today(wire: Wire) -> dict[str, int]:
    """Return what the org says it still allows; not every user may ask."""
    try:
        said = wire.request("GET", f"/services/data/v{wire.api_version}/limits").json()
    except BulkError:
        return {}
    names = {"batches": "DailyBulkApiBatches", "calls": "DailyApiRequests"}
    return {name: said[key]["Remaining"] for name, key in names.items() if key in said}


def _beyond(cost: Cost | None, left: Mapping[str, int]) -> Iterator[_Problem]:
    for name, rest in left.items():
        if cost and getattr(cost, name) > rest:
            yield _Problem(None, "", f"Only {rest:,} {name} are left today", _WARNING)


def _seconds(history: pd.DataFrame | None, name: str, operation: str, rows: int) -> float | None:
    """Return how long so many rows take at the median pace of such jobs, creation to end."""
    if history is None:
        return None
    alike = history[
        (history["object"] == name)
        & (history["operation"] == operation)
        & history["done"].fillna(value=False)
        & (history["number_records_processed"] > 0)
    ]
    took = (alike["system_modstamp"] - alike["created_date"]).dt.total_seconds()
    pace = (took / alike["number_records_processed"].astype("float64")).median()
    return None if pd.isna(pace) else float(pace) * rows


def _head(source: Source, encoding: Encoding) -> pa.Table:
    """Return the first rows as they would be sent, without columns that cannot be."""
    first = next(source.pieces()).slice(0, _PREVIEW_ROWS)
    head = {}
    for column in source.columns:
        with suppress(CellError):
            part = encoding.table(first.select([column]).rows, first.labels)
            head[part.column_names[0]] = part.column(0)
    return pa.table(head)


def _reason(kind: Mapping[Any, Any]) -> str:
    if pd.isna(kind["example_row"]):
        return str(kind["problem"])
    return f"{kind['problem']} ({kind['rows']:,} rows, such as {kind['example_row']!r})"

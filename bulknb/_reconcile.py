"""Results of 2.0 jobs, in no order -> an outcome for each row of a frame, on its own index.

A row is recognised by its key where that tells the rows apart, else by its whole content; rows with
equal content are numbered. Nothing is ever matched by position.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ._jobs import IngestJob
from ._jobs.ingest import OUTCOMES as RESULT_SETS
from ._wire import Clock
from .errors import ReconcileError

_SETTLE_SECONDS = 5.0
_SETTLE_LOOKS = 12

#: Between the pieces of a row's content; no field value holds this control character.
_SEPARATOR = "\x1f"

#: Every row ends in exactly one of these.
OUTCOMES = ("success", "failed", "unprocessed", "not_sent", "unknown")
_RESULT = pa.schema(
    {
        "outcome": pa.string(),
        "sf__Id": pa.string(),
        "sf__Created": pa.string(),
        "sf__Error": pa.string(),
        "job_id": pa.string(),
        "ambiguous": pa.bool_(),
    }
)
#: ``CODE:text:Field1,Field2 --``, as "Get Job Failed Record Results" writes it.
_ERROR_TEXT = r"^(?P<code>[A-Z][A-Z0-9_]*):(?P<message>(?s:.*)):(?P<fields>[^:]*?) ?--$"


def signing_columns(rows: pa.Table, key: str | None) -> list[str]:
    """Return the columns that tell the rows apart: the key if it does, else all of them."""
    if key:
        keys = rows[key]
        if keys.null_count == 0 and pc.count_distinct(keys).as_py() == len(keys):
            return [key]
    return list(rows.column_names)


def settled_results(job: IngestJob, names: list[str], clock: Clock) -> pa.Table:
    """Return all results of a job with the named columns and ``outcome``.

    A batch in flight at an abort may still commit: of an aborted job, results count when two looks
    agree.
    """
    results = _results(job, names)
    for _ in range(_SETTLE_LOOKS if job.state == "Aborted" else 0):
        clock.sleep(_SETTLE_SECONDS)
        before, results = results, _results(job, names)
        if _sizes(results) == _sizes(before):
            break
    return results


def _results(job: IngestJob, names: list[str]) -> pa.Table:
    columns = ["sf__Id", "sf__Created", "sf__Error", *dict.fromkeys(names)]
    sets = []
    for kind, outcome in RESULT_SETS.items():
        table = job.result_set(kind, columns)
        sets.append(table.append_column("outcome", pa.array([outcome] * len(table), pa.string())))
    return pa.concat_tables(sets)


def _sizes(results: pa.Table) -> list[object]:
    counts: list[object] = results["outcome"].value_counts().to_pylist()
    return counts


def _signature(table: pa.Table, names: list[str]) -> pd.Series:
    """Return one text per row, made of the columns that tell it from the others."""
    texts = [pc.fill_null(table[name], "") for name in names]
    joined = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, _SEPARATOR)
    signatures: pd.Series = joined.to_pandas()
    return signatures


def _numbered(signatures: pd.Series) -> pd.Index[str]:
    """Return the signatures with a number on each repeat, so that all differ."""
    if not signatures.is_unique:
        repeat = signatures.groupby(signatures).cumcount()
        signatures = signatures.mask(repeat > 0, signatures + _SEPARATOR + repeat.astype(str))
    index: pd.Index[str] = pd.Index(signatures)
    return index


def matched(sent: pa.Table, results: pa.Table, names: list[str], job_id: str) -> pa.Table:
    """Return the outcomes in the order of the rows sent.

    A row of which there is no result ends in unknown. Where rows are equal and their outcomes are
    not, which is which cannot be told: such rows are marked ambiguous.
    """
    signatures = _signature(sent, names)
    at = _numbered(_signature(results, names)).get_indexer(_numbered(signatures))
    found = results.select(_RESULT.names[:4]).take(pa.array(at, mask=at < 0))
    lost = pc.is_null(found["outcome"])
    outcome = pc.if_else(lost, "unknown", found["outcome"])
    ambiguous = np.zeros(len(sent), bool)
    if not signatures.is_unique:
        ambiguous = outcome.to_pandas().groupby(signatures).transform("nunique").to_numpy() > 1
    columns = [
        outcome,
        found["sf__Id"],
        found["sf__Created"],
        pc.if_else(lost, "No result is of this row", found["sf__Error"]),
        pa.array([job_id] * len(sent), pa.string()),
        pa.array(ambiguous),
    ]
    return pa.table(columns, schema=_RESULT)


def constant(rows: int, outcome: str, *, error: str = "", job_id: str | None = None) -> pa.Table:
    """Return one outcome for so many rows."""
    values = (outcome, None, None, error, job_id, False)
    return pa.table(
        [pa.array([value] * rows, kind) for value, kind in zip(values, _RESULT.types, strict=True)],
        schema=_RESULT,
    )


def joined(source: pd.DataFrame, outcomes: pa.Table) -> pd.DataFrame:
    """Return the source frame with the outcome columns, on its own index.

    Raises
    ------
    ReconcileError
        There is not exactly one outcome for each row.
    """
    if len(outcomes) != len(source):
        raise ReconcileError(f"{len(source):,} rows came in, {len(outcomes):,} are accounted for")
    parts = pc.extract_regex(outcomes["sf__Error"], _ERROR_TEXT)
    error = pc.if_else(pc.equal(outcomes["sf__Error"], ""), None, outcomes["sf__Error"])
    columns = {
        "outcome": outcomes["outcome"],
        "Id": pc.if_else(pc.equal(outcomes["sf__Id"], ""), None, outcomes["sf__Id"]),
        "created": pc.equal(outcomes["sf__Created"], "true"),
        "error_code": pc.struct_field(parts, "code"),
        "error_message": pc.coalesce(pc.struct_field(parts, "message"), error),
        "error_fields": pc.struct_field(parts, "fields"),
        "job_id": outcomes["job_id"],
        "ambiguous": outcomes["ambiguous"],
    }
    frame = source.copy(deep=False)
    for name, column in columns.items():
        dtype = "boolean" if name in ("created", "ambiguous") else "string"
        values = column.to_pandas().astype(dtype).array
        if name == "Id" and name in source:
            values = pd.Series(values).fillna(pd.Series(source["Id"].array)).array
        frame[name] = values
    return frame

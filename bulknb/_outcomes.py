"""What became of each row of a load: a small table of it -> the columns that a frame gets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from .errors import ReconcileError

__all__ = [
    "OUTCOMES",
    "Codes",
    "codes_of",
    "constant",
    "joined",
    "outcomes",
    "told",
    "with_reasons",
]

#: Every row ends in exactly one of these.
OUTCOMES = ("success", "failed", "unprocessed", "not_sent", "unknown")
_UNKNOWN = OUTCOMES.index("unknown")

#: Places in `OUTCOMES`.
Codes = npt.NDArray[np.int8]

# Rows are many, and say the same few things.
_TEXT = pa.large_string()  # as frames have it
_FEW = pa.dictionary(pa.int8(), _TEXT)
_MANY = pa.dictionary(pa.int32(), _TEXT)
_DTYPES = {_TEXT: pd.StringDtype("pyarrow"), pa.bool_(): pd.BooleanDtype()}
_SCHEMA = pa.schema(
    {
        "outcome": _FEW,
        "sf__Id": _TEXT,
        "sf__Created": pa.bool_(),
        "sf__Error": _MANY,
        "job_id": _FEW,
        "ambiguous": pa.bool_(),
    }
)

#: Each row has one of these, and of a million rows their texts would be 40 MB.
_CATEGORIES = ("outcome", "job_id")

#: ``CODE:text:Field1,Field2 --``, as "Get Job Failed Record Results" writes it.
_ERROR_TEXT = r"^(?P<code>[A-Z][A-Z0-9_]*):(?P<message>(?s:.*)):(?P<fields>[^:]*?) ?--$"


def outcomes(
    codes: Codes, *, ids: Any, created: Any, errors: Any, job_id: str | None, ambiguous: Any = None
) -> pa.Table:
    """Return the outcomes of rows: of each what became of it, its Id, and what was said of it."""
    rows = len(codes)
    doubtful = np.zeros(rows, bool) if ambiguous is None else ambiguous
    columns = [told(codes), ids, created, errors, _repeated(job_id, rows), pa.array(doubtful)]
    return pa.table(columns, schema=_SCHEMA)


def constant(rows: int, outcome: str, *, error: str = "", job_id: str | None = None) -> pa.Table:
    """Return one outcome for so many rows."""
    return outcomes(
        np.full(rows, OUTCOMES.index(outcome), np.int8),
        ids=pa.nulls(rows, _TEXT),
        created=pa.nulls(rows, pa.bool_()),
        errors=_repeated(error or None, rows).cast(_MANY),
        job_id=job_id,
    )


def told(codes: Codes) -> pa.DictionaryArray:
    """Return outcomes by their names."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(OUTCOMES, _TEXT))


def codes_of(told: pa.ChunkedArray) -> Codes:
    """Return outcomes by their places in `OUTCOMES`."""
    none = np.empty(0, np.int8)
    return np.concatenate([none, *(chunk.indices.to_numpy() for chunk in told.chunks)])


def with_reasons(outcomes: pa.Table, reason: str) -> pa.Table:
    """Add the column ``unknown_reason``: one reason for the rows of unknown fate."""
    known = codes_of(outcomes["outcome"]) != _UNKNOWN
    reasons = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(len(known), np.int8), mask=known), pa.array([reason], _TEXT)
    )
    return outcomes.append_column("unknown_reason", reasons)


def joined(outcomes: pa.Table, source: pd.DataFrame | None) -> pd.DataFrame:
    """Return the source frame, if there is one, with the columns of outcomes, on its own index.

    Raises
    ------
    ReconcileError
        There is not exactly one outcome for each row.
    """
    if source is None:
        source = pd.DataFrame(index=pd.RangeIndex(len(outcomes)))
    if len(outcomes) != len(source):
        raise ReconcileError(f"{len(source):,} rows came in, {len(outcomes):,} are accounted for")
    error = outcomes["sf__Error"].unify_dictionaries().combine_chunks()
    texts = pc.if_else(pc.equal(error.dictionary, ""), None, error.dictionary)
    parts = pc.extract_regex(texts, _ERROR_TEXT)
    message = pc.coalesce(pc.struct_field(parts, "message"), texts)
    columns = {
        "outcome": outcomes["outcome"],
        "Id": outcomes["sf__Id"],
        "created": outcomes["sf__Created"],
        "error_code": _coded(error, pc.struct_field(parts, "code")),
        "error_message": _coded(error, message),
        "error_fields": _coded(error, pc.struct_field(parts, "fields")),
        "job_id": outcomes["job_id"],
        "ambiguous": outcomes["ambiguous"],
        "unknown_reason": outcomes["unknown_reason"],
    }
    del outcomes, error, parts, texts, message  # each column goes when the frame has it
    frame = source.copy(deep=False)
    for name in list(columns):
        values = _values(columns.pop(name), few=name in _CATEGORIES)
        if name == "Id" and name in source:
            values = pd.Series(values).fillna(pd.Series(source["Id"].array)).array
        frame[name] = values
    return frame


def _values(column: pa.ChunkedArray, *, few: bool) -> Any:
    """Return a column as a frame has it."""
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries() if few else _spelled(column)
    return column.to_pandas(types_mapper=_DTYPES.get).array


def _spelled(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return each row's text by itself; most columns have none, which is told at once."""
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), _TEXT)])
    return column.cast(_TEXT)


def _coded(places: pa.DictionaryArray, texts: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(places.indices, texts)


def _repeated(text: str | None, rows: int) -> pa.DictionaryArray:
    if text is None:
        return pa.nulls(rows, _FEW)
    places = pa.array(np.zeros(rows, np.int8))
    return pa.DictionaryArray.from_arrays(places, pa.array([text], _TEXT))

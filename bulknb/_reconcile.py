"""Results of 2.0 jobs, in no order -> an outcome for each row of a frame, on its own index.

A row is recognised by its key where that tells the rows apart, else by as much of its content as
does; rows with equal content are numbered. What finds no result so is tried once more in a normal
form, should the server have trimmed a text or written a number its own way. Nothing is ever matched
by position.
"""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ._jobs import IngestJob
from ._jobs.ingest import OUTCOMES as RESULT_SETS
from ._wire import Clock
from .errors import ReconcileError

_SETTLE_SECONDS = 5.0
_SETTLE_LOOKS = 12

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
#: Of equal rows the first ones take the failures.
_WORST_FIRST = ("failed", "unprocessed", "success")

# Texts that may come back in another form; a leading zero makes an id of what is no number.
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,2})?")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.0+)?(?:Z|[+-]00:?00)")

_Numbers = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]

#: ``CODE:text:Field1,Field2 --``, as "Get Job Failed Record Results" writes it.
_ERROR_TEXT = r"^(?P<code>[A-Z][A-Z0-9_]*):(?P<message>(?s:.*)):(?P<fields>[^:]*?) ?--$"


def distinct(keys: pa.ChunkedArray) -> bool:
    """Return whether no two rows have the same key, nor one none."""
    return bool(
        keys.null_count == 0
        and not pc.any(pc.equal(keys, "")).as_py()
        and pc.count_distinct(keys).as_py() == len(keys)
    )


def signing_columns(rows: pa.Table, key: str | None) -> list[str]:
    """Return the columns that tell the rows apart: the key if it does, else as many as it takes."""
    if key and distinct(rows[key]):
        return [key]
    names: list[str] = []
    codes, groups = np.zeros(len(rows), np.int64), min(1, len(rows))
    for name in sorted(rows.column_names, key=lambda name: name != key):
        finer = _refined(codes, rows[name])
        found = int(finer.max(initial=-1)) + 1
        if found > groups:
            codes, groups = finer, found
            names.append(name)
        if groups == len(rows):
            break
    return names or list(rows.column_names)


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


def matched(sent: pa.Table, results: pa.Table, names: list[str], job_id: str) -> pa.Table:
    """Return the outcomes in the order of the rows sent.

    A row of which there is no result ends in unknown. Where rows are equal and their outcomes are
    not, which is which cannot be told: the first ones take the failures, and all are marked
    ambiguous.
    """
    places, ambiguous = _paired(sent, results, names)
    left = np.flatnonzero(places < 0)
    if len(left) and len(results):
        unused = np.setdiff1d(np.arange(len(results)), places)
        again, doubtful = _paired(
            _normal(sent.take(left), names), _normal(results.take(unused), names), names
        )
        places[left[again >= 0]] = unused[again[again >= 0]]
        ambiguous[left] = doubtful
    found = results.select(_RESULT.names[:4]).take(pa.array(places, mask=places < 0))
    lost = pc.is_null(found["outcome"])
    outcome = pc.if_else(lost, "unknown", found["outcome"])
    columns = [
        outcome,
        found["sf__Id"],
        found["sf__Created"],
        pc.if_else(lost, "No result is of this row", found["sf__Error"]),
        pa.array([job_id] * len(sent), pa.string()),
        pa.array(ambiguous),
    ]
    return pa.table(columns, schema=_RESULT)


def _paired(sent: pa.Table, results: pa.Table, names: list[str]) -> tuple[_Numbers, _Flags]:
    """Return the result's place for each row sent, -1 where there is none, and who is ambiguous."""
    if len(names) == 1 and len(sent) == len(results):
        places = _one_to_one(*(_texts(table[names[0]]) for table in (sent, results)))
        if places is not None:
            return places, np.zeros(len(sent), bool)
    codes = np.zeros(len(sent) + len(results), np.int64)
    for name in names:
        codes = _refined(codes, sent[name], results[name])
    mine, theirs = codes[: len(sent)], codes[len(sent) :]
    size = int(codes.max(initial=-1)) + 1
    # A slot for each repeat of each code.
    slots = np.maximum(np.bincount(mine, minlength=size), np.bincount(theirs, minlength=size))
    begins = np.cumsum(slots) - slots
    kinds = pc.index_in(results["outcome"], pa.array(_WORST_FIRST)).to_numpy()
    places = np.full(slots.sum(), -1)
    # The n-th of equal rows goes with the n-th of equal results, failures first.
    places[begins[theirs] + _repeats(theirs, kinds)] = np.arange(len(results))
    places = places[begins[mine] + _repeats(mine)]
    kind = np.where(places < 0, -1, kinds[places] if len(kinds) else -1)
    least, greatest = np.full(size, len(_WORST_FIRST)), np.full(size, -1)
    np.minimum.at(least, mine, kind)
    np.maximum.at(greatest, mine, kind)
    return places, (least != greatest)[mine]


def _one_to_one(mine: pa.ChunkedArray, theirs: pa.ChunkedArray) -> _Numbers | None:
    """Return where each text is among the others if each is there once: the usual case, faster."""
    places = pc.index_in(mine, theirs)
    if places.null_count:
        return None
    found: _Numbers = places.to_numpy().astype(np.int64)
    return found if np.bincount(found, minlength=1).max() == 1 else None


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text, empty where there is none; hashes stay the numbers they are."""
    if pa.types.is_uint64(column.type):
        return column
    return pc.fill_null(column.cast(pa.large_string()), "")


def _refined(codes: _Numbers, *columns: pa.ChunkedArray) -> _Numbers:
    """Return numbers that are equal where the codes and the texts of a column are."""
    texts = [chunk for column in columns for chunk in _texts(column).chunks]
    whole = pa.concat_arrays(texts) if texts else pa.array([], pa.large_string())
    encoded = whole.dictionary_encode()
    finer = codes * len(encoded.dictionary) + encoded.indices.to_numpy()
    found: _Numbers = pd.factorize(finer)[0] if codes.any() else finer
    return found


def _repeats(codes: _Numbers, kinds: _Numbers | None = None) -> _Numbers:
    """Return how many rows with the same code come before each one, by kind and then place."""
    if not len(codes) or np.bincount(codes).max() == 1:
        return np.zeros(len(codes), np.int64)
    order = np.argsort(codes, kind="stable") if kinds is None else np.lexsort((kinds, codes))
    begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
    repeats = np.empty_like(order)
    repeats[order] = np.arange(len(codes)) - np.repeat(begins, np.diff(begins, append=len(codes)))
    return repeats


def _normal(rows: pa.Table, names: list[str]) -> pa.Table:
    """Return rows with their texts in a form that survives what a server may do to them."""
    for name in names:
        encoded = (
            pc.fill_null(rows[name].cast(pa.string()), "").combine_chunks().dictionary_encode()
        )
        forms = pa.array(
            [_normal_text(text) for text in encoded.dictionary.to_pylist()], pa.string()
        )
        rows = rows.set_column(rows.column_names.index(name), name, forms.take(encoded.indices))
    return rows


def _normal_text(text: str) -> str:
    text = text.strip().replace("\r\n", "\n").replace("\r", "\n")
    if text == "#N/A":
        return ""
    if _NUMBER.fullmatch(text):
        return format(Decimal(text).normalize() + 0, "f")
    if found := _MOMENT.fullmatch(text):
        return found[1]
    return text.lower() if text.lower() in ("true", "false") else text


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

"""Results of 2.0 jobs, in no order -> an outcome for each row of a frame, on its own index.

A row is recognised by its key where that tells the rows apart, else by as much of its content as
does; rows with equal content are numbered. What finds no result so is tried once more in a normal
form, should the server have trimmed a text or written a number its own way. Nothing is ever matched
by position.
"""

from __future__ import annotations

import functools
import re
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ._jobs import IngestJob
from ._jobs.ingest import OUTCOMES as RESULT_SETS
from ._machine import later
from ._marks import Marks, mark
from ._outcomes import OUTCOMES, codes_of, outcomes, told
from ._wire import Clock

_SETTLE_SECONDS = 5.0
_SETTLE_LOOKS = 12

#: Of equal rows the first ones take the failures: failed, unprocessed, success.
_WORST_FIRST = np.array([2, 0, 1])  # by the code of an outcome
_UNKNOWN = OUTCOMES.index("unknown")
_NO_RESULT = "No result is of this row"

# Texts that may come back in another form; a leading zero makes an id of what is no number.
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,2})?")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.0+)?(?:Z|[+-]00:?00)")

_Numbers = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]


def settled_results(job: IngestJob, names: list[str], clock: Clock, *, by_mark: bool) -> pa.Table:
    """Return all results of a job, and what tells whose they are: columns, or marks over them.

    A batch in flight at an abort may still commit: of an aborted job, results count when two looks
    agree.
    """
    results = _results(job, names, by_mark=by_mark)
    for _ in range(_SETTLE_LOOKS if job.state == "Aborted" else 0):
        clock.sleep(_SETTLE_SECONDS)
        before, results = results, _results(job, names, by_mark=by_mark)
        if _sizes(results) == _sizes(before):
            break
    return results


def _results(job: IngestJob, names: list[str], *, by_mark: bool) -> pa.Table:
    columns = ["sf__Id", "sf__Created", "sf__Error", *dict.fromkeys(names)]

    def kept(rows: pa.Table) -> pa.Table:
        ids = rows["sf__Id"]
        facts = {
            "sf__Id": pc.if_else(pc.equal(ids, ""), None, ids),
            "sf__Created": pc.equal(rows["sf__Created"], "true"),
            # Rows are many, and say the same few things.
            "sf__Error": rows["sf__Error"].dictionary_encode(),
        }
        signs = {"mark": mark(rows, names)} if by_mark else {name: rows[name] for name in names}
        return pa.table(facts | signs)

    readers = [job.fetched(kind, columns, each=kept) for kind in RESULT_SETS]
    sets = []
    for reader, outcome in zip(readers, RESULT_SETS.values(), strict=True):
        table = reader.table()
        code = np.full(len(table), OUTCOMES.index(outcome), np.int8)
        sets.append(table.append_column("outcome", told(code)))
    return pa.concat_tables(sets)


def _sizes(results: pa.Table) -> tuple[int, ...]:
    return tuple(np.bincount(codes_of(results["outcome"]), minlength=len(OUTCOMES)))


def matched_by_mark(marks: Marks, results: pa.Table, job_id: str) -> pa.Table:
    """Return the outcomes in the order of the rows sent, as `matched` does."""
    theirs = results["mark"].to_numpy()
    places, ambiguous = _one_to_one(marks, theirs), np.zeros(len(marks), bool)
    if places is None:
        codes = pd.factorize(np.concatenate([marks, theirs]))[0]
        places, ambiguous = _paired(codes, results)
    return _outcomes(results, places, ambiguous, job_id)


def matched(sent: pa.Table, results: pa.Table, names: list[str], job_id: str) -> pa.Table:
    """Return the outcomes in the order of the rows sent.

    A row of which there is no result ends in unknown. Where rows are equal and their outcomes are
    not, which is which cannot be told: the first ones take the failures, and all are marked
    ambiguous.
    """
    places, ambiguous = _paired(_codes(sent, results, names), results)
    left = np.flatnonzero(places < 0)
    if len(left) and len(results):
        unused = np.setdiff1d(np.arange(len(results)), places)
        mine, theirs = _normal(sent.take(left), names), _normal(results.take(unused), names)
        again, doubtful = _paired(_codes(mine, theirs, names), theirs)
        places[left[again >= 0]] = unused[again[again >= 0]]
        ambiguous[left] = doubtful
    return _outcomes(results, places, ambiguous, job_id)


def _outcomes(results: pa.Table, places: _Numbers, ambiguous: _Flags, job_id: str) -> pa.Table:
    """Return the outcomes of rows, each with the result at its place, -1 if there is none."""
    at = pa.array(places, mask=places < 0)
    finding = later(lambda: results["sf__Id"].combine_chunks().take(at))
    # One more of each, so that -1 finds it.
    codes = np.append(codes_of(results["outcome"]), np.int8(_UNKNOWN))
    said = results["sf__Error"].unify_dictionaries().combine_chunks()
    texts = pa.concat_arrays([said.dictionary, pa.array([_NO_RESULT], pa.large_string())])
    errors = np.append(said.indices.fill_null(-1).to_numpy(), len(said.dictionary))[places]
    return outcomes(
        codes[places],
        ids=finding.result(),
        created=results["sf__Created"].combine_chunks().take(at),
        errors=pa.DictionaryArray.from_arrays(pa.array(errors, mask=errors < 0), texts),
        job_id=job_id,
        ambiguous=ambiguous,
    )


def _paired(codes: _Numbers, results: pa.Table) -> tuple[_Numbers, _Flags]:
    """Return the result's place for each row sent, -1 where there is none, and who is ambiguous.

    The codes are equal where rows are: of those sent, then of the results.
    """
    mine, theirs = np.split(codes, [len(codes) - len(results)])
    size = int(codes.max(initial=-1)) + 1
    # A slot for each repeat of each code.
    slots = np.maximum(np.bincount(mine, minlength=size), np.bincount(theirs, minlength=size))
    begins = np.cumsum(slots) - slots
    kinds = _WORST_FIRST[codes_of(results["outcome"])]
    places = np.full(slots.sum(), -1)
    # The n-th of equal rows goes with the n-th of equal results, failures first.
    places[begins[theirs] + _repeats(theirs, kinds)] = np.arange(len(results))
    places = places[begins[mine] + _repeats(mine)]
    kind = np.where(places < 0, -1, kinds[places] if len(kinds) else -1)
    least, greatest = np.full(size, len(_WORST_FIRST)), np.full(size, -1)
    np.minimum.at(least, mine, kind)
    np.maximum.at(greatest, mine, kind)
    return places, (least != greatest)[mine]


def _one_to_one(mine: Marks, theirs: Marks) -> _Numbers | None:
    """Return where each mark is among the others if each is there once: the usual case, faster."""
    if len(mine) != len(theirs):
        return None
    finding = later(functools.partial(np.argsort, theirs))
    order = np.argsort(mine)
    ordered, found = mine[order], finding.result()
    if (ordered != theirs[found]).any() or (ordered[1:] == ordered[:-1]).any():
        return None
    places = np.empty(len(mine), np.int64)
    places[order] = found
    return places


def _codes(sent: pa.Table, results: pa.Table, names: list[str]) -> _Numbers:
    """Return numbers that are equal where rows are, over some columns."""
    codes = np.zeros(len(sent) + len(results), np.int64)
    for name in names:
        codes = _refined(codes, sent[name], results[name])
    return codes


def _refined(codes: _Numbers, *columns: pa.ChunkedArray) -> _Numbers:
    """Return numbers that are equal where the codes and the texts of a column are."""
    texts = [
        pc.fill_null(chunk.cast(pa.large_string()), "")
        for column in columns
        for chunk in column.chunks
    ]
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

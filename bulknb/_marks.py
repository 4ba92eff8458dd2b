"""Rows as text -> a number for each, the same in every process: equal rows have equal ones.

That unequal rows have equal ones is as unlikely as it gets with 64 bits, unless their texts were
made for it. Each text is a polynomial of its bytes, worked out for many at once by running sums.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Marks", "are_distinct", "letters", "mark", "sign"]

Marks = npt.NDArray[np.uint64]

_BASE = 0x9E37_79B9_7F4A_7C15
_INVERSE = pow(_BASE, -1, 2**64)
_MIXER = 0xD6E8_FEB8_6659_FD93
_SHIFT = np.uint64(32)
#: So many bytes at a time stay in the processor's cache.
_BLOCK_BYTES = 1 << 16


def sign(names: Iterable[str], column: Callable[[str], Marks]) -> tuple[list[str], Marks]:
    """Return the columns that tell rows apart, as many as it takes, and each row's mark over them.

    Parameters
    ----------
    names : iterable of str
        The columns, the most telling ones first.
    column : callable
        Gives the marks of the rows over one column.
    """
    used: list[str] = []
    marks, groups = np.empty(0, np.uint64), 0
    for name in names:
        finer = _joined([marks, column(name)] if used else [column(name)])
        found = _distinct(finer)
        if found > groups:
            used.append(name)
            marks, groups = finer, found
        if groups == len(marks):
            break
    return used, marks


def mark(rows: pa.Table, names: Iterable[str]) -> Marks:
    """Return the mark of each row over some columns of text; a missing one counts as empty."""
    return _joined([column_marks(rows[name]) for name in names])


def column_marks(texts: pa.ChunkedArray) -> Marks:
    """Return the mark of each text."""
    found = [_of_texts(pc.fill_null(chunk, "")) for chunk in texts.chunks]
    return np.concatenate(found) if found else np.empty(0, np.uint64)


def are_distinct(marks: Marks) -> bool:
    """Return whether no two rows are equal."""
    return _distinct(marks) == len(marks)


def letters(texts: pa.Array) -> tuple[Any, npt.NDArray[np.uint8]]:
    """Return where each text begins, and the last one ends, in all their bytes; and these."""
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    _, offsets, data = texts.buffers()
    if offsets is None or data is None:
        return np.zeros(len(texts) + 1, np.int64), np.empty(0, np.uint8)
    ends = np.frombuffer(offsets, width)[texts.offset : texts.offset + len(texts) + 1]
    return ends, np.frombuffer(data, np.uint8)


def _joined(columns: list[Marks]) -> Marks:
    marks = columns[0]
    for column in columns[1:]:
        marks = _mixed(marks * np.uint64(_BASE) + column)
    return marks


def _distinct(marks: Marks) -> int:
    ordered = np.sort(marks)
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + bool(len(marks))


def _of_texts(texts: pa.Array) -> Marks:
    ends, data = letters(texts)
    found = np.empty(len(texts), np.uint64)
    first = 0
    while first < len(texts):
        begin = int(ends[first])
        last = int(np.searchsorted(ends, begin + _BLOCK_BYTES, "right")) - 1
        if last > first:
            at = ends[first : last + 1] - begin
            found[first:last] = _of_block(at, data[begin : int(ends[last])])
        else:  # a text that is larger than a block
            last = first + 1
            whole = sha256(data[begin : int(ends[last])].tobytes()).digest()
            found[first] = int.from_bytes(whole[:8], "little")
        first = last
    return _mixed(found)


def _of_block(at: Any, data: npt.NDArray[np.uint8]) -> Marks:
    terms = data.astype(np.uint64)
    terms += np.uint64(1)  # else NUL characters would not count
    terms *= _powers(_BASE)[: len(data)]
    sums = np.zeros(len(data) + 1, np.uint64)
    np.cumsum(terms, out=sums[1:])
    # As if each text began with the block.
    marks: Marks = (sums[at[1:]] - sums[at[:-1]]) * _powers(_INVERSE)[at[:-1]]
    return marks


@functools.cache
def _powers(base: int) -> Marks:
    powers = np.full(_BLOCK_BYTES + 1, base, np.uint64)
    powers[0] = 1
    powers[1:] = np.multiply.accumulate(powers[1:])
    return powers


def _mixed(marks: Marks) -> Marks:
    """Spread what two marks differ by over all bits."""
    marks = (marks ^ (marks >> _SHIFT)) * np.uint64(_MIXER)
    return marks ^ (marks >> _SHIFT)

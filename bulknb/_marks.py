"""Rows as text -> a number for each, the same in every process: equal rows have equal ones.

That unequal rows have equal ones is as unlikely as it gets with 64 bits, unless their texts were
made for it. Many texts are worked out at once, eight bytes of each at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Marks", "are_distinct", "gathered", "letters", "mark", "sign"]

Marks = npt.NDArray[np.uint64]
_Numbers = npt.NDArray[np.int64]

_BASE = 0x9E37_79B9_7F4A_7C15
_MIXER = 0xD6E8_FEB8_6659_FD93
_SHIFT = np.uint64(32)
_WORD_BYTES = 8
#: A longer text is worked out by itself.
_LONG_BYTES = 512
#: So many bytes of a word -> what it is masked with.
_FIRST_BYTES = np.array([2 ** (8 * size) - 1 for size in range(_WORD_BYTES + 1)], np.uint64)


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


def gathered(rows: int, columns: Iterable[pa.ChunkedArray]) -> Marks:
    """Return the marks of so many texts, which come some at a time."""
    marks, at = np.empty(rows, np.uint64), 0
    for texts in columns:
        marks[at : at + len(texts)] = column_marks(texts)
        at += len(texts)
    return marks


def are_distinct(marks: Marks) -> bool:
    """Return whether no two rows are equal; the marks are in order afterwards."""
    marks.sort()
    return not (marks[1:] == marks[:-1]).any()


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
    begins, sizes = ends[:-1].astype(np.int64), np.diff(ends).astype(np.int64)
    long = sizes > _LONG_BYTES
    marks = _of_words(begins - int(ends[0]), np.where(long, 0, sizes), data[ends[0] : ends[-1]])
    for at in np.flatnonzero(long):
        whole = sha256(data[begins[at] : begins[at] + sizes[at]].data).digest()
        marks[at] = int.from_bytes(whole[:_WORD_BYTES], "little")
    return marks


def _of_words(begins: _Numbers, sizes: _Numbers, data: npt.NDArray[np.uint8]) -> Marks:
    """Return the marks of texts that lie in the data, each from its beginning on."""
    # A word from each byte on; the last ones go beyond the text, and have zeros there.
    padded = np.append(data, np.zeros(_WORD_BYTES, np.uint8))
    words = np.ndarray(len(data) + 1, "<u8", padded, strides=(1,))
    marks = _mixed(sizes.astype(np.uint64))  # else NUL characters at the end would not count
    rows: Any = slice(None)
    while len(sizes):
        if not (unread := sizes > 0).all():
            rows = np.arange(len(marks))[rows][unread]
            begins, sizes = begins[unread], sizes[unread]
        found = words[begins]
        if sizes.min(initial=_WORD_BYTES) < _WORD_BYTES:
            found &= _FIRST_BYTES[np.minimum(sizes, _WORD_BYTES)]
        found ^= marks[rows]
        marks[rows] = _mixed(found)
        begins, sizes = begins + _WORD_BYTES, sizes - _WORD_BYTES
    return marks


def _mixed(marks: Marks) -> Marks:
    """Spread what two marks differ by over all bits."""
    mixed = marks >> _SHIFT
    mixed ^= marks
    mixed *= np.uint64(_MIXER)
    mixed ^= mixed >> _SHIFT
    return mixed

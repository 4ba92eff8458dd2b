"""Rows in the order in which they are sent, and where among them a file may end.

Rows that share the value of a column may have to stay in one file. In memory they are reordered for
it; of a stream, those count that follow each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ._encode import Encoding
from ._machine import give_back
from ._marks import are_distinct, gathered
from ._source import Piece, Source

__all__ = ["Held", "Stream"]

_MARKED_ROWS = 32_768


class Held:
    """Rows in memory, in the order in which they are sent."""

    def __init__(self, piece: Piece, encoding: Encoding, together: list[str]) -> None:
        self._piece = piece
        self.index = piece.labels
        self.seen = len(piece)
        self.order: Any = None
        self._breaks: Any = None
        if not together:
            return
        if all(_all_differ(piece, encoding, name) for name in together):
            return
        leaders = _leaders([_codes(keys) for keys in _keys(piece, encoding, together)])
        if np.any(np.diff(leaders) < 0):
            self.order = np.argsort(leaders, kind="stable")
            leaders = leaders[self.order]
        self._breaks = np.append(np.flatnonzero(_begins([leaders])), len(piece))

    def select(self, columns: list[str]) -> Held:
        """Return some columns of them."""
        held = copy(self)
        held._piece = self._piece.select(columns)
        return held

    @property
    def is_free(self) -> bool:
        """Whether any row may follow any other, in any file."""
        return self._breaks is None

    def read(self, at: int, stop: int) -> Piece | None:
        """Return the rows from ``at`` up to ``stop``, None after the last one."""
        if self.order is None:
            return self._piece.slice(at, stop) or None
        return self._piece.take(self.order[at:stop]) or None

    def cut(self, row: int) -> int:
        """Return the last row, up to this one, before which a file may end."""
        return row if self._breaks is None else _last_break(self._breaks, row)

    def forget(self, before: int) -> None:
        """Memory holds them in any case."""


class Stream:
    """Rows that come piece by piece; as many are kept as may still be asked for."""

    def __init__(self, source: Source, encoding: Encoding, together: list[str]) -> None:
        self._pieces = source.pieces()
        self._encoding = encoding
        self._together = together
        self._window: deque[tuple[int, Piece, Any]] = deque()  # first row, piece, breaks
        self.seen = 0
        self._labels: list[pd.Index] = []
        self._last: list[pa.Array] | None = None

    def select(self, columns: list[str]) -> Stream:
        """Return some columns of them, read to the end by this one alone, and cut anywhere."""
        stream = copy(self)
        stream._pieces = (piece.select(columns) for piece in self._pieces)
        stream._together = []
        return stream

    def read(self, at: int, stop: int) -> Piece | None:
        """Return rows from ``at`` up to ``stop`` or the end of a piece, None after the last one."""
        while at >= self.seen and self._pull():
            pass
        for start, piece, _ in self._window:
            if start <= at < start + len(piece):
                return piece.slice(at - start, stop - start)
        return None

    def cut(self, row: int) -> int:
        """Return the last row, up to this one, before which a file may end."""
        while self._together and row >= self.seen and self._pull():
            pass
        if not self._together or row >= self.seen:
            return row
        return _last_break(np.concatenate([begins for _, _, begins in self._window]), row)

    def forget(self, before: int) -> None:
        """Keep no piece that ends before this row."""
        while self._window or (self.seen <= before and self._pull()):
            first, piece, _ = self._window[0]
            if first + len(piece) > before:
                return
            self._window.popleft()

    @property
    def index(self) -> pd.Index:
        if not self._labels:
            return pd.RangeIndex(0)
        first, *others = self._labels
        return first.append(others) if others else first

    def _pull(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        begins = self._begins(piece) if self._together else None
        self._window.append((self.seen, piece, begins))
        self._labels.append(piece.labels)
        self.seen += len(piece)
        return True

    def _begins(self, piece: Piece) -> Any:
        """Return the rows of a new piece that begin a group."""
        keys = _keys(piece, self._encoding, self._together)
        # Its first row may go on with the group of the row before it.
        before = self._last or [key.slice(0, 0) for key in keys]
        joined = [pa.concat_arrays(pair) for pair in zip(before, keys, strict=True)]
        begins = _begins([_codes(key) for key in joined])[len(before[0]) :]
        self._last = [key.slice(len(key) - 1) for key in keys]
        return self.seen + np.flatnonzero(begins)


def _keys(piece: Piece, encoding: Encoding, names: list[str]) -> list[pa.Array]:
    """Return columns in small letters, empty where a value is missing."""
    kept = replace(encoding, nulls="keep", header={})
    texts = kept.texts(piece.select(names).rows, piece.labels)
    return [pc.utf8_lower(column).combine_chunks() for column in texts.columns]


def _all_differ(piece: Piece, encoding: Encoding, name: str) -> bool:
    """Return whether no two rows share a value: the usual case, told at little cost."""
    piece = piece.select([name])

    def keys() -> Iterator[pa.Array]:
        for at in range(0, len(piece), _MARKED_ROWS):
            yield from _keys(piece.slice(at, at + _MARKED_ROWS), encoding, [name])

    differ = _ascend(keys()) or are_distinct(gathered(len(piece), map(pa.chunked_array, keys())))
    give_back(len(piece))
    return differ


def _ascend(keys: Iterable[pa.Array]) -> bool:
    """Return whether each key is greater than the one before it, as in a file that is sorted."""
    last = None
    for some in keys:
        if last is not None and not pc.less(last, some[0]).as_py():
            return False
        if not pc.all(pc.less(some[:-1], some[1:])).as_py():
            return False
        last = some[-1]
    return True


def _codes(keys: pa.Array) -> Any:
    """Return numbers that are equal where the keys are, -1 where there is none."""
    codes = keys.dictionary_encode().indices.to_numpy()
    return np.where(pc.equal(keys, "").to_numpy(zero_copy_only=False), -1, codes)


def _begins(columns: list[Any]) -> Any:
    """Return whether each row shares no value with the row before it."""
    begins = np.ones(len(columns[0]), bool)
    for codes in columns:
        begins[1:] &= (codes[1:] != codes[:-1]) | (codes[1:] < 0)
    return begins


def _leaders(columns: list[Any]) -> Any:
    """Return for each row the first one that it is tied to by equal values, itself if by none."""
    leaders = np.arange(len(columns[0]))
    before = None
    while before is None or (before != leaders).any():
        before = leaders
        for codes in columns:
            first = np.full(codes.max(initial=-1) + 1, len(codes))
            np.minimum.at(first, codes[codes >= 0], leaders[codes >= 0])
            leaders = np.where(codes >= 0, first[codes], leaders) if len(first) else leaders
    return leaders


def _last_break(breaks: Any, row: int) -> int:
    return int(breaks[np.searchsorted(breaks, row, "right") - 1])

"""Rows -> CSV files of at most so many bytes, cut between records, the same bytes each time.

Of rows in memory all are checked before the first file is given out. A stream is checked as it is
read: its error names the row, and nothing of that file is given out. What a chunk holds depends on
its first and last row alone, so that a chunk read again, in another process too, has the same
checksum.
"""

from __future__ import annotations

import functools
import hashlib
import io
import sys
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from . import _csv
from ._csv import Chunk
from ._encode import Encoding
from ._machine import ahead, apart, give_back, later
from ._marks import Marks, are_distinct, column_marks, mark
from ._source import Piece, Source
from .errors import InputError

__all__ = ["Chunk", "Chunks"]

_SLAB_BYTES = 4 << 20
_SLAB_ROWS = 65_536
_MARKED_ROWS = 32_768
_SAMPLE_ROWS = 256


class Chunks:
    """The rows of a source as CSV files: iterate, and each `Chunk` is made when it is asked for.

    Parameters
    ----------
    source : Source
        Where the rows are.
    encoding : Encoding
        How their values become text.
    limit : int
        The most bytes of a file, header included.
    rows : int, optional
        The most rows of a file.
    together : sequence of str
        Columns whose equal values come into one file; letter case does not count, and a missing
        value is equal to none. Rows in memory are reordered for it: see `order`. Of a stream
        equal values stay together where they follow each other, as in a sorted file.

    Raises
    ------
    InputError
        A value cannot be sent, or rows that stay together are more than a file may hold; the
        message names the row.
    """

    def __init__(
        self,
        source: Source,
        encoding: Encoding,
        *,
        limit: int,
        rows: int | None = None,
        together: Sequence[str] = (),
    ) -> None:
        for name in together:
            if name not in source.columns:
                raise InputError(f"There is no column {name!r} to keep rows together by")
        if rows is not None and rows < 1:
            raise InputError("A chunk has 1 row or more")
        self._source = source
        self._encoding = encoding
        self._limit = limit
        self._most = rows
        self._together = list(dict.fromkeys(together))
        self._spool = _Spool() if source.once else None
        self._step = _slab_rows(source, encoding)
        self._held: _Held | None = None
        self._first: Chunk | None = None
        if source.held:
            self._held, self._first = self._begun(source.held)
        self._rows: _Held | _Stream | None = self._held
        if self._held and self._first:
            self._check(self._held, self._first.stop)

    def __len__(self) -> int:
        """How many rows there are; of a stream, how many were read so far."""
        return 0 if self._rows is None else self._rows.seen

    def __iter__(self) -> Iterator[Chunk]:
        return self.after(0)

    def after(self, start: int) -> Iterator[Chunk]:
        """Yield the chunks from a row on that begins one; drop each before asking for the next."""
        self._rows = rows = self._open()
        rows.forget(start)
        while chunk := self._next(rows, start):
            start = chunk.stop
            if self._spool:
                self._spool.keep(chunk)
            yield chunk
            del chunk  # its bytes: the next one takes as many

    def read(self, start: int, stop: int) -> bytes:
        """Return the file of a chunk again, to the byte; rows count in the order of the chunks."""
        if self._spool:
            return self._spool.read(start)
        file = _File(self._limit)
        for at, piece in self._slabs(start, stop):
            file.add(at, self._encoding.table(piece.rows, piece.labels))
        return file.data()

    @property
    def header(self) -> list[str]:
        """The names of the columns in the files."""
        header = self._encoding.header
        return [header.get(name, name) for name in self._source.columns]

    def texts(self, start: int, stop: int, names: Sequence[str]) -> pa.Table:
        """Return a chunk's cells as the text that was sent, of some of its columns."""
        if self._spool:
            return _csv.decode(self._spool.read(start), columns=names)
        return pa.concat_tables(self._texts(start, stop, names))

    def marks(self, chunk: Chunk, name: str) -> Marks:
        """Return the marks of a chunk's rows over one column."""
        if self._held:
            texts = self._texts(chunk.start, chunk.stop, [name])
            return _marks(chunk.stop - chunk.start, (table[name] for table in texts))
        reader = _csv.Reader(columns=[name], each=lambda rows: pa.table({name: mark(rows, [name])}))
        reader.write(chunk.data)
        marks: Marks = reader.table()[name].to_numpy()
        return marks

    def _texts(self, start: int, stop: int, names: Sequence[str]) -> Iterator[pa.Table]:
        pairs = zip(self._source.columns, self.header, strict=True)
        columns = [name for name, sent in pairs if sent in names]
        for _, piece in self._slabs(start, stop, columns):
            yield self._encoding.texts(piece.rows, piece.labels)

    @property
    def order(self) -> Any:
        """Where in the source each row of the chunks stands; None if just there."""
        return self._held.order if self._held else None

    def finish(self) -> None:
        """Read a stream to its end, so that all of its rows are counted."""
        if self._rows is None:
            self._rows = self._open()
        self._rows.forget(sys.maxsize)

    @property
    def index(self) -> pd.Index:
        """What the rows read so far are called, in the order of the source."""
        return pd.RangeIndex(0) if self._rows is None else self._rows.index

    @property
    def frame(self) -> pd.DataFrame:
        """What outcomes are joined to: the rows in memory, or nothing but what they are called."""
        held = self._source.held
        return held.frame if held else pd.DataFrame(index=self.index)

    def _begun(self, held: Piece) -> tuple[_Held, Chunk | None]:
        """Return the rows in their order, and the first chunk of them."""
        ordering = apart(functools.partial(_Held, held, self._encoding, self._together))
        # Mostly no two rows have to stay together, and this is it.
        rows = _Held(held, self._encoding, [])
        try:
            first = self._chunk(rows, 0)
        finally:
            ordered = ordering.result()
        if ordered.is_free:
            return rows, first
        del first  # its bytes, as above
        return ordered, self._chunk(ordered, 0)

    def _check(self, rows: _Held, at: int) -> None:
        """Check the rows from this one on."""
        while piece := rows.read(at, at + self._step):
            self._encoding.check(piece.rows, piece.labels)
            at += len(piece)

    def _open(self) -> _Held | _Stream:
        return self._held or _Stream(self._source, self._encoding, self._together)

    def _slabs(
        self, start: int, stop: int, columns: list[str] | None = None
    ) -> Iterator[tuple[int, Piece]]:
        """Yield the rows of a chunk as they were written: slab by slab from its start."""
        rows = self._open()
        if columns is not None:
            rows = rows.select(columns)
        rows.forget(start)
        while piece := rows.read(start, min(start + self._step, stop)):
            yield start, piece
            start += len(piece)
            rows.forget(start)

    def _next(self, rows: _Held | _Stream, start: int) -> Chunk | None:
        first, self._first = self._first, None
        return first if first and start == 0 else self._chunk(rows, start)

    def _chunk(self, rows: _Held | _Stream, start: int) -> Chunk | None:
        """Return the rows from ``start`` on that fill a file; None after the last one."""
        file = _File(self._limit)
        full = self._fill(file, rows, start, start + (self._most or sys.maxsize))
        stop = rows.cut(full)
        if stop <= start:
            first = rows.read(start, start + 1)
            if first is None:
                return None
            raise self._too_large(first.labels[0], alone=full == start)
        if stop < full:
            self._fill(file, rows, file.cut(stop), stop)
        chunk = Chunk(start, stop, file.data(), file.sha256())
        give_back(stop - start)
        return chunk

    def _fill(self, file: _File, rows: _Held | _Stream, at: int, stop: int) -> int:
        """Write rows until the file is full or ``stop`` is reached; return the row after them."""
        for table in ahead(self._encodings(rows, at, stop)):
            if not file.add(at, table):
                # Encoded again, so that what is written depends on these rows alone.
                stop = at + file.fitting(table)
                del table  # as below
                return self._fill(file, rows, at, stop)
            at += len(table)
            del table  # before the next ones take as much
            rows.forget(rows.cut(at))
        return at

    def _encodings(
        self, rows: _Held | _Stream, at: int, stop: int
    ) -> Iterator[Callable[[], pa.Table]]:
        """Yield what encodes the rows, slab by slab."""
        while at < stop and (piece := rows.read(at, min(at + self._step, stop))):
            at += len(piece)
            yield functools.partial(self._encoding.table, piece.rows, piece.labels)

    def _too_large(self, label: object, *, alone: bool) -> InputError:
        if alone:
            return InputError(f"Row {label!r} alone is larger than {self._limit:,} bytes")
        most = f"{self._limit:,} bytes" + (f" or {self._most:,} rows" if self._most else "")
        names = " or ".join(self._together)
        return InputError(f"The rows with the {names} of row {label!r} are more than {most}")


class _Slab(NamedTuple):
    """Some rows in a file: the first one, where it begins, and the file's hash up to their end."""

    row: int
    start: int
    hashed: Future[Any]


class _File:
    """A CSV file that grows by slabs up to a limit, and can be cut back to one.

    It is hashed meanwhile, on another thread.
    """

    def __init__(self, limit: int) -> None:
        # As large as it may become: what is not written to takes no memory, and to let it grow
        # would leave holes of a third of its size.
        self._file = io.BytesIO(bytes(limit))
        self._size = 0
        self._slabs: list[_Slab] = []
        self._room = limit

    def add(self, at: int, table: pa.Table) -> bool:
        """Write the slab that begins with this row, if it fits; return whether it does."""
        header = b"" if self._size else _csv.header(table)
        with self._file.getbuffer() as file:
            begin = self._size + len(header)
            self._room = len(file) - begin
            size = _csv.write_into(file[begin:], table) if self._room > 0 else None
            if size is None:
                return False
            file[self._size : begin] = header
        last, start, self._size = self._slabs[-1:], self._size, begin + size
        hashed = later(functools.partial(self._hashed, start, self._size, *last))
        self._slabs.append(_Slab(at, start, hashed))
        return True

    def fitting(self, table: pa.Table) -> int:
        """Return how many rows of a slab that did not fit would."""
        low, high, room = 0, len(table), self._room
        while high - low > 1:
            middle = (low + high) // 2
            size = _csv.size(table.slice(low, middle - low))
            if size <= room:
                low, room = middle, room - size
            else:
                high = middle
        return low

    def cut(self, stop: int) -> int:
        """Take slabs back as far as the one with row ``stop``, and return its first row."""
        while (at := self._take_back()) > stop:
            pass
        return at

    def sha256(self) -> str:
        """Return the hash of the file, to which nothing will be added."""
        digest: str = self._slabs[-1].hashed.result().hexdigest()
        return digest

    def data(self) -> bytes:
        """Return the file, to which nothing will be added."""
        wait(slab.hashed for slab in self._slabs)  # they hold the file
        self._file.truncate(self._size)
        return self._file.getvalue()

    def _hashed(self, start: int, stop: int, before: _Slab | None = None) -> Any:
        """Return the hash of the file up to the end of a slab."""
        found = before.hashed.result().copy() if before else hashlib.sha256()
        with self._file.getbuffer() as file:
            found.update(file[start:stop])
        return found

    def _take_back(self) -> int:
        last = self._slabs.pop()
        wait([last.hashed])  # it holds the file, and nobody would wait for it later
        self._size = last.start
        return last.row


class _Held:
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

    def select(self, columns: list[str]) -> _Held:
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


class _Stream:
    """Rows that come piece by piece; as many are kept as may still be asked for."""

    def __init__(self, source: Source, encoding: Encoding, together: list[str]) -> None:
        self._pieces = source.pieces()
        self._encoding = encoding
        self._together = together
        self._window: deque[tuple[int, Piece, Any]] = deque()  # first row, piece, breaks
        self.seen = 0
        self._labels: list[pd.Index] = []
        self._last: list[pa.Array] | None = None

    def select(self, columns: list[str]) -> _Stream:
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


class _Spool:
    """The files of a stream that cannot be read again, in a file without a name."""

    def __init__(self) -> None:
        with ExitStack() as stack:
            self._file = stack.enter_context(tempfile.TemporaryFile())
            weakref.finalize(self, stack.pop_all().close)
        self._places: dict[int, tuple[int, int]] = {}  # first row -> where, and how many bytes
        self._lock = threading.Lock()

    def keep(self, chunk: Chunk) -> None:
        with self._lock:
            self._places[chunk.start] = (self._file.seek(0, io.SEEK_END), len(chunk.data))
            self._file.write(chunk.data)

    def read(self, start: int) -> bytes:
        with self._lock:
            place, size = self._places[start]
            self._file.seek(place)
            return self._file.read(size)


def _slab_rows(source: Source, encoding: Encoding) -> int:
    """Return how many rows are written at once: by a sample, so many that they make 4 MB."""
    if not source.held:
        return _SLAB_ROWS  # a stream comes in pieces
    places = np.linspace(0, len(source.held) - 1, min(_SAMPLE_ROWS, len(source.held)))
    sample = source.held.take(places.astype(np.int64))
    size = _csv.size(encoding.table(sample.rows, sample.labels))
    return max(1, min(_SLAB_ROWS, _SLAB_BYTES * len(sample) // size))


def _keys(piece: Piece, encoding: Encoding, names: list[str]) -> list[pa.Array]:
    """Return columns in small letters, empty where a value is missing."""
    kept = replace(encoding, nulls="keep", header={})
    texts = kept.texts(piece.select(names).rows, piece.labels)
    return [pc.utf8_lower(column).combine_chunks() for column in texts.columns]


def _all_differ(piece: Piece, encoding: Encoding, name: str) -> bool:
    """Return whether no two rows share a value: the usual case, told at little cost."""
    piece = piece.select([name])
    slabs = (piece.slice(at, at + _MARKED_ROWS) for at in range(0, len(piece), _MARKED_ROWS))
    keys = (pa.chunked_array(_keys(slab, encoding, [name])) for slab in slabs)
    differ = are_distinct(_marks(len(piece), keys))
    give_back(len(piece))
    return differ


def _marks(rows: int, columns: Iterable[pa.ChunkedArray]) -> Marks:
    """Return the marks of so many rows, whose texts come slab by slab."""
    marks, at = np.empty(rows, np.uint64), 0
    for texts in columns:
        marks[at : at + len(texts)] = column_marks(texts)
        at += len(texts)
    return marks


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

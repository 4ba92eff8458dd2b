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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from . import _csv
from ._csv import Chunk
from ._encode import Encoding
from ._machine import ahead, apart, beside, give_back
from ._marks import Marks, gathered, mark
from ._ordered import Held, Stream
from ._source import Piece, Source
from .errors import InputError

__all__ = ["Chunk", "Chunks"]

_SLAB_BYTES = 4 << 20
_SLAB_ROWS = 65_536
_SAMPLE_ROWS = 256
#: How much larger rows may be than a sample of them.
_MARGIN = 1.1
_HEADER_BYTES = 1 << 16


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
        self._held: Held | None = None
        self._first: Chunk | None = None
        if source.held:
            self._held, self._first = self._begun(source.held)
        self._rows: Held | Stream | None = self._held
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
        file = self._file(stop - start)
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

    def marks(self, start: int, stop: int, data: bytes, name: str) -> Marks:
        """Return the marks of a chunk's rows over one column."""
        if self._held:
            texts = self._texts(start, stop, [name])
            return gathered(stop - start, (table[name] for table in texts))
        reader = _csv.Reader(columns=[name], each=lambda rows: pa.table({name: mark(rows, [name])}))
        reader.write(data)
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

    @functools.cached_property
    def _row_bytes(self) -> float | None:
        """How many bytes a row in memory takes in a file, by a sample; a stream has none."""
        held = self._source.held
        return _row_bytes(held, self._encoding) if held else None

    @functools.cached_property
    def _step(self) -> int:
        """How many rows are written at once: so many that they make 4 MB; a stream has pieces."""
        fitting = _SLAB_BYTES / self._row_bytes if self._row_bytes else _SLAB_ROWS
        return max(1, min(_SLAB_ROWS, int(fitting)))

    def _file(self, rows: int) -> _File:
        """Return an empty file, with room for so many rows as far as that is known."""
        room = self._row_bytes and int(_MARGIN * rows * self._row_bytes) + _HEADER_BYTES
        return _File(self._limit, room or self._limit)

    def _begun(self, held: Piece) -> tuple[Held, Chunk | None]:
        """Return the rows in their order, and the first chunk of them."""
        ordering = apart(functools.partial(Held, held, self._encoding, self._together))
        # Mostly no two rows have to stay together, and this is it.
        rows = Held(held, self._encoding, [])
        try:
            first = self._chunk(rows, 0)
        finally:
            ordered = ordering.result()
        if ordered.is_free:
            return rows, first
        del first  # its bytes, as above
        return ordered, self._chunk(ordered, 0)

    def _check(self, rows: Held, at: int) -> None:
        """Check the rows from this one on."""
        while piece := rows.read(at, at + self._step):
            self._encoding.check(piece.rows, piece.labels)
            at += len(piece)

    def _open(self) -> Held | Stream:
        return self._held or Stream(self._source, self._encoding, self._together)

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

    def _next(self, rows: Held | Stream, start: int) -> Chunk | None:
        first, self._first = self._first, None
        return first if first and start == 0 else self._chunk(rows, start)

    def _chunk(self, rows: Held | Stream, start: int) -> Chunk | None:
        """Return the rows from ``start`` on that fill a file; None after the last one."""
        most = self._most or sys.maxsize
        file = self._file(min(most, rows.seen - start))
        full = self._fill(file, rows, start, start + most)
        stop = rows.cut(full)
        if stop <= start:
            first = rows.read(start, start + 1)
            if first is None:
                return None
            raise self._too_large(first.labels[0], alone=full == start)
        if stop < full:
            self._fill(file, rows, file.cut(stop), stop)
        data = file.data()
        chunk = Chunk(start, stop, data, file.hashed(data))
        del data  # the chunk has it alone
        give_back(stop - start)
        return chunk

    def _fill(self, file: _File, rows: Held | Stream, at: int, stop: int) -> int:
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
        self, rows: Held | Stream, at: int, stop: int
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


@dataclass
class _Slab:
    """Some rows in a file: the first one, where it begins, and the file's hash up to their end."""

    row: int
    start: int
    hashed: Future[Any] | None = None


class _File:
    """A CSV file that grows by slabs up to a limit, and can be cut back to one.

    It is hashed meanwhile, on another thread: a slab when the next one is there.
    """

    def __init__(self, limit: int, room: int) -> None:
        # At once as large as it will become: to let it grow would leave holes of a third of its
        # size. Not larger: up to some 30 MB it is memory that was used before.
        self._file = io.BytesIO(bytes(min(limit, room)))
        self._limit = limit
        self._size = 0
        self._slabs: list[_Slab] = []
        self._room = limit

    def add(self, at: int, table: pa.Table) -> bool:
        """Write the slab that begins with this row, if it fits; return whether it does."""
        header = b"" if self._size else _csv.header(table)
        begin = self._size + len(header)
        with self._file.getbuffer() as file:
            size = _csv.write_into(file[begin:], table) if len(file) > begin else None
            if size is not None:
                file[self._size : begin] = header
                self._hash_last()
                self._slabs.append(_Slab(at, self._size))
                self._size = begin + size
                return True
            self._room = len(file) - begin
        return self._grow() and self.add(at, table)

    def _grow(self) -> bool:
        """Take all the room that there may be; return whether that is more."""
        self._wait_for_hashes()
        before = self._file.seek(0, io.SEEK_END)
        if before == self._limit:
            return False
        self._file.seek(self._limit - 1)
        self._file.write(b"\0")
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
        self._wait_for_hashes()
        while True:
            last = self._slabs.pop()
            self._size = last.start
            if last.row <= stop:
                return last.row

    def data(self) -> bytes:
        """Return the file, to which nothing will be added."""
        self._wait_for_hashes()
        self._file.truncate(self._size)
        return self._file.getvalue()

    def hashed(self, data: bytes) -> Future[str]:
        """Return what will be the hash of the file, which is given as `data` returned it."""
        start, before = self._slabs[-1].start, self._hash_before_last()
        return beside(lambda: _updated(before, memoryview(data)[start:]).hexdigest())

    def _hash_last(self) -> None:
        """Have the last slab hashed."""
        if self._slabs:
            last, stop = self._slabs[-1], self._size
            before = self._hash_before_last()

            def hashed() -> Any:
                with self._file.getbuffer() as file:
                    return _updated(before, file[last.start : stop])

            last.hashed = beside(hashed)

    def _hash_before_last(self) -> Future[Any] | None:
        return self._slabs[-2].hashed if len(self._slabs) > 1 else None

    def _wait_for_hashes(self) -> None:
        """Wait until none of them holds the file."""
        wait(slab.hashed for slab in self._slabs if slab.hashed)


def _updated(hashed: Future[Any] | None, data: memoryview) -> Any:
    """Return a hash with more bytes, the one before them as it was."""
    found = hashed.result().copy() if hashed else hashlib.sha256()
    found.update(data)
    return found


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


def _row_bytes(rows: Piece, encoding: Encoding) -> float:
    """Return how many bytes a row takes in a file: the mean of some from all over the rows."""
    places = np.linspace(0, len(rows) - 1, min(_SAMPLE_ROWS, len(rows)))
    sample = rows.take(places.astype(np.int64))
    return _csv.size(encoding.table(sample.rows, sample.labels)) / len(sample)
